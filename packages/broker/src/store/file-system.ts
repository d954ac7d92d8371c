// What the store asks of files, and its production form on node:fs. The calls run on libuv's pool,
// so the event loop never waits for the disk. testing/simulated-disk.ts is the other form.

import fs from 'node:fs'
import { makeDirectory } from './make-directory.ts'

export interface File {
  readonly path: string
  /** @returns how many bytes were written: fewer than asked for when the disk is full */
  write(bytes: Uint8Array, offset: number): Promise<number>
  /** One after the other from the offset on. @returns how many bytes were written of them all */
  writePieces(pieces: readonly Uint8Array[], offset: number): Promise<number>
  /** @returns how many bytes were read: fewer at the end of the file */
  read(bytes: Uint8Array, offset: number): Promise<number>
  /** After it all that was written is on disk. A second call after an error proves nothing. */
  sync(): Promise<void>
  truncate(byteCount: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** `create` makes a new empty file, in place of one that is there. */
export type OpenMode = 'read' | 'write' | 'create'

export interface DiskSpace {
  /** What an unprivileged process may still use. */
  readonly freeBytes: number
  /** Of the whole file system. */
  readonly totalBytes: number
}

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<File>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Names, in no order. */
  list(directory: string): Promise<string[]>
  /** After it what was created, renamed and unlinked in it before stays so. */
  syncDirectory(directory: string): Promise<void>
  /** With those above it; nothing when it is there. */
  makeDirectory(directory: string): Promise<void>
  space(directory: string): Promise<DiskSpace>
  /** Calls back once. @returns what cancels it */
  after(delayMs: number, callback: () => void): () => void
}

class NodeFile implements File {
  readonly path: string
  private readonly descriptor: number

  constructor(path: string, descriptor: number) {
    this.path = path
    this.descriptor = descriptor
  }

  write(bytes: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(this.descriptor, bytes, 0, bytes.length, offset, (error, byteCount) => {
        if (error === null) resolve(byteCount)
        else reject(error)
      })
    })
  }

  writePieces(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.writev(this.descriptor, pieces, offset, (error, byteCount) => {
        if (error === null) resolve(byteCount)
        else reject(error)
      })
    })
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.descriptor, bytes, 0, bytes.length, offset, (error, byteCount) => {
        if (error === null) resolve(byteCount)
        else reject(error)
      })
    })
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => fs.fdatasync(this.descriptor, settle(resolve, reject)))
  }

  truncate(byteCount: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.descriptor, byteCount, settle(resolve, reject))
    })
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.descriptor, (error, stats) => {
        if (error === null) resolve(stats.size)
        else reject(error)
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => fs.close(this.descriptor, settle(resolve, reject)))
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC } = fs.constants
const Flags = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT | O_TRUNC } as const
/** Nobody else is to read what clients sent. */
const FILE_PERMISSIONS = 0o600

export const nodeFileSystem: FileSystem = {
  open: (path, mode) =>
    new Promise((resolve, reject) => {
      fs.open(path, Flags[mode], FILE_PERMISSIONS, (error, descriptor) => {
        if (error === null) resolve(new NodeFile(path, descriptor))
        else reject(error)
      })
    }),
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: path => fs.promises.unlink(path),
  list: directory => fs.promises.readdir(directory),
  syncDirectory,
  makeDirectory: async directory => makeDirectory(directory),
  space: async directory => {
    const { bavail, blocks, bsize } = await fs.promises.statfs(directory)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; its file systems keep the order of names themselves.
  if (process.platform === 'win32') return
  const handle = await fs.promises.open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function settle(
  resolve: () => void,
  reject: (error: Error) => void,
): (error: Error | null) => void {
  return error => {
    if (error === null) resolve()
    else reject(error)
  }
}
