// A session store in one file: records are appended, each commit is one write and one fdatasync,
// and a file that is mostly history is written anew. Opening keeps what is whole and cuts a torn
// end.
//
// The file: 8 bytes of magic, then per commit: length (4), CRC-32 of what follows (4), and entries:
// operation (1: 1 put, 2 delete), key (6), for a put length (4) and bytes. All numbers big-endian.

import { closeSync, constants, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { Limits } from '../limits.ts'
import type { SessionStore, StoredRecord } from '../store.ts'

const MAGIC = new TextEncoder().encode('GWSESS1\n')
const HEADER_BYTES = 8
const ENTRY_BYTES = 7
const PUT = 1
const DELETE = 2
const FIRST_BYTES = 4096

/**
 * A store that survives the process: QoS 2 exactly once across restarts. One client at a time may
 * use a file.
 * @param path of the file, which is made when there is none; its folder must exist
 */
export function fileStore(path: string): SessionStore {
  return new FileStore(resolve(path))
}

class FileStore implements SessionStore {
  private readonly path: string
  private readonly records = new Map<number, Uint8Array>()
  private file: FileHandle | null = null
  private fileBytes = 0
  /** Bytes of the file that the records need. */
  private liveBytes = 0
  private batch = new Uint8Array(FIRST_BYTES)
  private batchLength = HEADER_BYTES
  private writing: Promise<void> | null = null
  private failure: Error | null = null

  constructor(path: string) {
    this.path = path
  }

  async open(): Promise<readonly StoredRecord[]> {
    if (this.file !== null) throw new Error(`${this.path} is open already`)
    this.failure = null
    this.batchLength = HEADER_BYTES
    const file = await open(this.path, constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      await this.load(file)
    } catch (error) {
      await file.close()
      throw error
    }
    this.file = file
    return [...this.records].map(([key, value]) => ({ key, value }))
  }

  put(key: number, value: Uint8Array): void {
    const at = this.claim(ENTRY_BYTES + 4 + value.length)
    writeEntry(this.batch, at, PUT, key)
    new DataView(this.batch.buffer).setUint32(at + ENTRY_BYTES, value.length)
    this.batch.set(value, at + ENTRY_BYTES + 4)
    this.keep(key, value)
  }

  delete(key: number): void {
    writeEntry(this.batch, this.claim(ENTRY_BYTES), DELETE, key)
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
    seal(batch, batchLength)
    const bytes = batch.subarray(0, batchLength)
    this.batch = new Uint8Array(FIRST_BYTES)
    this.batchLength = HEADER_BYTES
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
    const { file } = this
    this.file = null
    this.records.clear()
    await file?.close()
  }

  private async write(file: FileHandle, bytes: Uint8Array): Promise<void> {
    await writeAll(file, bytes, this.fileBytes)
    await file.datasync()
    this.fileBytes += bytes.length
    if (this.fileBytes > Limits.storeFileBytes && this.fileBytes > 4 * this.liveBytes) {
      await this.compact()
    }
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
    let length = MAGIC.length + HEADER_BYTES
    for (const value of this.records.values()) length += ENTRY_BYTES + 4 + value.length
    const image = new Uint8Array(length)
    image.set(MAGIC)
    const body = image.subarray(MAGIC.length)
    let at = HEADER_BYTES
    for (const [key, value] of this.records) {
      writeEntry(body, at, PUT, key)
      new DataView(body.buffer, body.byteOffset).setUint32(at + ENTRY_BYTES, value.length)
      body.set(value, at + ENTRY_BYTES + 4)
      at += ENTRY_BYTES + 4 + value.length
    }
    seal(body, at)
    return image
  }

  private async load(file: FileHandle): Promise<void> {
    const bytes = new Uint8Array(await file.readFile())
    this.records.clear()
    this.liveBytes = 0
    if (bytes.length < MAGIC.length && isPrefix(bytes)) {
      // New, or made by a process that died at once.
      await file.truncate(0)
      await writeAll(file, MAGIC, 0)
      await file.sync()
      syncFolder(this.path)
      this.fileBytes = MAGIC.length
      return
    }
    if (bytes.length < MAGIC.length || !isPrefix(bytes.subarray(0, MAGIC.length))) {
      throw new Error(`${this.path} is no session store`)
    }
    const end = this.replay(bytes)
    if (end < bytes.length) {
      // The last commit was not whole: nothing that depended on it was sent.
      await file.truncate(end)
      await file.datasync()
    }
    this.fileBytes = end
  }

  /** @returns where the last whole commit ends */
  private replay(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = MAGIC.length
    while (at + HEADER_BYTES <= bytes.length) {
      const end = at + HEADER_BYTES + view.getUint32(at)
      if (end > bytes.length) break
      if (crc32(bytes.subarray(at + HEADER_BYTES, end)) !== view.getUint32(at + 4)) {
        if (end < bytes.length) {
          throw new Error(`${this.path} is damaged at byte ${at}, before commits that are whole`)
        }
        break
      }
      this.replayCommit(view, at + HEADER_BYTES, end)
      at = end
    }
    return at
  }

  private replayCommit(view: DataView, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const key = view.getUint16(at + 1) * 0x1_0000_0000 + view.getUint32(at + 3)
      if (view.getUint8(at) === DELETE) {
        this.keep(key, null)
        at += ENTRY_BYTES
        continue
      }
      const length = view.getUint32(at + ENTRY_BYTES)
      const from = view.byteOffset + at + ENTRY_BYTES + 4
      this.keep(key, new Uint8Array(view.buffer.slice(from, from + length)))
      at += ENTRY_BYTES + 4 + length
    }
  }

  private keep(key: number, value: Uint8Array | null): void {
    const before = this.records.get(key)
    if (before !== undefined) this.liveBytes -= ENTRY_BYTES + 4 + before.length
    if (value === null) {
      this.records.delete(key)
    } else {
      this.records.set(key, value)
      this.liveBytes += ENTRY_BYTES + 4 + value.length
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

function writeEntry(bytes: Uint8Array, at: number, operation: number, key: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint8(at, operation)
  view.setUint16(at + 1, Math.floor(key / 0x1_0000_0000))
  view.setUint32(at + 3, key >>> 0)
}

/** Fills in the header of a commit. */
function seal(bytes: Uint8Array, length: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint32(0, length - HEADER_BYTES)
  view.setUint32(4, crc32(bytes.subarray(HEADER_BYTES, length)))
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

function isPrefix(bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => byte === MAGIC[index])
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
