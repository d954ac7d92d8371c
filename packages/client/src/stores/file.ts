// A session store in one file: records are appended, each commit is one write and one fdatasync,
// and a file that is mostly history is written anew. Opening takes the file for one client, keeps
// what is whole and cuts a torn end; damage before commits that are whole is refused, or skipped
// when the caller asks for that. The bytes themselves are in session-file.ts.

import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Limits } from '../limits.ts'
import { checkNames, type OptionNames } from '../option-names.ts'
import type { SessionStore, StoredRecord } from '../store.ts'
import { FileLock } from './file-lock.ts'
import {
  type Contents,
  ENTRY_BYTES,
  entryBytes,
  HEADER_BYTES,
  hasMagic,
  MAGIC,
  readContents,
  seal,
  writeEntry,
} from './session-file.ts'

const FIRST_BYTES = 4096

export interface FileStoreOptions {
  /**
   * Opens a file with damage in its midst: keeps the commits that are whole and a copy of the
   * file, `<path>.damaged`. What is missing then may be lost or come twice. Default: false, such a
   * file is refused.
   */
  readonly salvage?: boolean
}

const FileStoreNames: OptionNames<FileStoreOptions> = { salvage: 1 }

/**
 * A store that survives the process: QoS 2 exactly once across restarts. One client at a time can
 * use a file; the lock beside it, `<path>.lock`, does not outlive its process. `connect` fails with
 * `store-failed` when the file is in use, is damaged or is no session store.
 * @param path of the file, which is made when there is none; its folder must exist
 */
export function fileStore(path: string, options: FileStoreOptions = {}): SessionStore {
  checkNames('fileStore', options, FileStoreNames)
  return new FileStore(resolve(path), options.salvage === true)
}

class FileStore implements SessionStore {
  private path: string
  private readonly salvages: boolean
  private readonly records = new Map<number, Uint8Array>()
  private lock: FileLock | null = null
  private file: FileHandle | null = null
  private fileBytes = 0
  /** Bytes of the file that the records need. */
  private liveBytes = 0
  /** The file ends with the mark of a file that was closed. */
  private isMarked = false
  private batch = new Uint8Array(FIRST_BYTES)
  private batchLength = HEADER_BYTES
  private writing: Promise<void> | null = null
  private failure: Error | null = null

  constructor(path: string, salvages: boolean) {
    this.path = path
    this.salvages = salvages
  }

  async open(): Promise<readonly StoredRecord[]> {
    if (this.lock !== null) throw new Error(`${this.path} is open already`)
    this.path = await realPath(this.path)
    this.lock = await FileLock.take(this.path)
    this.failure = null
    this.batchLength = HEADER_BYTES
    try {
      this.file = await open(this.path, constants.O_RDWR | constants.O_CREAT, 0o600)
      await this.load(this.file)
    } catch (error) {
      await this.letGo()
      throw error
    }
    return [...this.records].map(([key, value]) => ({ key, value }))
  }

  put(key: number, value: Uint8Array): void {
    const at = this.claim(entryBytes(value))
    writeEntry(this.batch, at, key, value)
    this.keep(key, value)
  }

  delete(key: number): void {
    const at = this.claim(ENTRY_BYTES)
    writeEntry(this.batch, at, key, null)
    this.keep(key, null)
  }

  commit(done: (error: Error | null) => void): void {
    const { file, batch, batchLength } = this
    if (file === null || this.failure !== null) {
      done(this.failure ?? new Error(`${this.path} is not open`))
      return
    }
    if (batchLength === HEADER_BYTES) {
      done(null)
      return
    }
    const bytes = batch.subarray(0, batchLength)
    seal(bytes, this.fileBytes)
    this.batch = new Uint8Array(FIRST_BYTES)
    this.batchLength = HEADER_BYTES
    this.isMarked = false
    const writing = this.write(file, bytes)
    this.writing = writing
    writing.then(
      () => {
        this.writing = null
        done(null)
      },
      (error: Error) => {
        // After a failed fsync nobody knows what the file holds.
        this.writing = null
        this.failure = error
        done(error)
      },
    )
  }

  async close(): Promise<void> {
    // Its failure has been told to whoever waited for the commit.
    await this.writing?.catch(ignore)
    try {
      if (this.file !== null && this.failure === null && !this.isMarked) await this.mark(this.file)
    } finally {
      await this.letGo()
    }
  }

  private async letGo(): Promise<void> {
    const { file, lock } = this
    this.file = null
    this.lock = null
    this.records.clear()
    try {
      await file?.close()
    } finally {
      await lock?.release()
    }
  }

  private async write(file: FileHandle, bytes: Uint8Array): Promise<void> {
    await writeAll(file, bytes, this.fileBytes)
    await file.datasync()
    this.fileBytes += bytes.length
    if (this.fileBytes > Limits.storeFileBytes && this.fileBytes > 4 * this.liveBytes) {
      await this.compact()
    }
  }

  /** Says that all before it was whole: so damage of the last commit is seen, too. */
  private async mark(file: FileHandle): Promise<void> {
    const commit = new Uint8Array(HEADER_BYTES)
    seal(commit, this.fileBytes)
    await writeAll(file, commit, this.fileBytes)
    this.fileBytes += commit.length
    this.isMarked = true
  }

  /** Writes the file anew, without its history. What is not committed yet may be among it. */
  private async compact(): Promise<void> {
    const image = this.image()
    const next = `${this.path}.new`
    const descriptor = openSync(next, 'w+', 0o600)
    try {
      for (let at = 0; at < image.length; ) at += writeSync(descriptor, image, at)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(next, this.path)
    syncFolder(this.path)
    const old = this.file
    this.file = await open(this.path, 'r+')
    this.fileBytes = image.length
    await old?.close()
  }

  private image(): Uint8Array {
    const image = new Uint8Array(MAGIC.length + HEADER_BYTES + this.liveBytes)
    image.set(MAGIC)
    const commit = image.subarray(MAGIC.length)
    let at = HEADER_BYTES
    for (const [key, value] of this.records) at = writeEntry(commit, at, key, value)
    seal(commit, MAGIC.length)
    return image
  }

  private async load(file: FileHandle): Promise<void> {
    const bytes = new Uint8Array(await file.readFile())
    this.records.clear()
    this.liveBytes = 0
    this.isMarked = false
    if (bytes.length < MAGIC.length && hasMagic(bytes)) {
      // New, or made by a process that died at once.
      await file.truncate(0)
      await writeAll(file, MAGIC, 0)
      await file.sync()
      syncFolder(this.path)
      this.fileBytes = MAGIC.length
      return
    }
    const contents = readContents(bytes, (key, value) => this.keep(key, value))
    if (contents === null) throw new Error(`${this.path} is no session store`)
    if (contents.damages.length > 0) {
      if (!this.salvages) throw damaged(this.path, contents)
      copyFileSync(this.path, `${this.path}.damaged`)
      await this.compact()
      return
    }
    const { end } = contents
    if (end < bytes.length) {
      // The last commit was not whole: nothing that depended on it was sent.
      await file.truncate(end)
      await file.datasync()
    }
    this.fileBytes = end
    this.isMarked = contents.isClosed
  }

  private keep(key: number, value: Uint8Array | null): void {
    const before = this.records.get(key)
    if (before !== undefined) this.liveBytes -= entryBytes(before)
    if (value === null) {
      this.records.delete(key)
    } else {
      this.records.set(key, value)
      this.liveBytes += entryBytes(value)
    }
  }

  private claim(length: number): number {
    const at = this.batchLength
    const end = at + length
    if (end > this.batch.length) {
      const grown = new Uint8Array(Math.max(end, this.batch.length * 2))
      grown.set(this.batch)
      this.batch = grown
    }
    this.batchLength = end
    return at
  }
}

function damaged(path: string, { damages }: Contents): Error {
  const places = damages.slice(0, 3).map(({ atByte, nextByte }) => `${atByte} to ${nextByte}`)
  return new Error(
    `${path} is damaged: bytes ${places.join(', ')} are not what was written, and whole commits ` +
      'follow. Nothing was changed. fileStore(path, { salvage: true }) goes on without them',
  )
}

/** The same file has one name, whatever links lead to it. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    // There is no such file yet; its folder must be there.
    return join(await realpath(dirname(path)), path.slice(dirname(path).length))
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

/** A new name is durable when its folder is. */
function syncFolder(path: string): void {
  const descriptor = openSync(dirname(path), 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function ignore(): void {
  // Told already.
}
