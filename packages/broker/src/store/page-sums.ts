// Checksums of the pages of a database, which SQLite has none of, in a file beside it. They are
// noted before SQLite writes pages into the file, and compared before it reads any: a bit that
// flipped on the disk refuses the start. A page that is changed is always in SQLite's write-ahead
// log first; that is where its checksum is taken from, here and after a crash.

import fs from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { StoreError } from './errors.ts'
import type { ReadAt } from './waiting-files.ts'
import { nodeWaitingFiles } from './waiting-files.ts'
import { fill, pageSum, readWal, type WalContent } from './wal-reader.ts'

const MAGIC = Buffer.from('GODWITPS', 'latin1')
const HEADER_BYTES = 24
const CHECKED_HEADER_BYTES = 20
const VERSION = 1
const PAGES_PER_READ = 64
const PAGE_BYTES_AT = 16
/** Of a page whose checksum nobody knows: it was never written, or before there were any. */
const UNKNOWN = 0

export interface PageSumsOptions {
  /** Go on with a page that is damaged, and tell of it in `damaged`. */
  readonly salvage: boolean
  /** They have been compared by this process; they are only read again if none were noted. */
  readonly compared: boolean
}

export class PageSums {
  /** Offsets of pages that are not what was written; empty without `salvage`. */
  readonly damaged: number[] = []
  private readonly path: string
  private readonly sumsPath: string
  private readonly options: PageSumsOptions
  private pageBytes = 0
  private pageCount = 0
  /** By page, from 0. */
  private sums = new Uint32Array(0)

  /** @param path of the database */
  constructor(path: string, options: PageSumsOptions) {
    this.path = path
    this.sumsPath = sumsPathOf(path)
    this.options = options
  }

  /**
   * Compares all pages. Must be called before the database is opened.
   * @throws StoreError `corrupt` with the offset of the page
   */
  verify(): void {
    const byteCount = fs.statSync(this.path, { throwIfNoEntry: false })?.size ?? 0
    const wal = this.wal()
    if (byteCount === 0 && wal === null) {
      this.forget()
      return
    }
    const isKnown = this.load()
    if (!isKnown || !this.options.compared) this.readPages(wal, byteCount, isKnown)
    if (wal !== null) this.apply(wal)
    this.save()
  }

  /** Must be called before SQLite moves pages from its write-ahead log into the database. */
  take(): void {
    const wal = this.wal()
    if (wal === null) return
    this.apply(wal)
    this.save()
  }

  private wal(): WalContent | null {
    const path = `${this.path}-wal`
    let wal: WalContent | null = null
    if (!fs.existsSync(path)) return null
    nodeWaitingFiles.read(path, readAt => {
      wal = readWal(readAt)
    })
    return wal
  }

  private apply(wal: WalContent): void {
    this.pageBytes = wal.pageBytes
    // What was given back and taken again may hold anything.
    this.sums.fill(UNKNOWN, Math.min(this.sums.length, wal.pageCountMin))
    this.resize(wal.pageCount)
    for (const [page, sum] of wal.sums) {
      if (page <= wal.pageCount) this.sums[page - 1] = sum
    }
  }

  private resize(pageCount: number): void {
    this.pageCount = pageCount
    if (pageCount <= this.sums.length) return
    const grown = new Uint32Array(Math.ceil(pageCount * 1.25))
    grown.set(this.sums)
    this.sums = grown
  }

  /** Compares those that the write-ahead log does not replace, or notes them if none were noted. */
  private readPages(wal: WalContent | null, byteCount: number, isKnown: boolean): void {
    if (!isKnown) {
      this.pageBytes = this.pageBytesOf()
      if (this.pageBytes === 0) return
      this.resize(Math.floor(byteCount / this.pageBytes))
    }
    const { pageBytes, pageCount } = this
    if (byteCount < pageCount * pageBytes && wal === null) {
      this.damage(Math.floor(byteCount / pageBytes), `it ends at ${byteCount}`)
    }
    nodeWaitingFiles.read(this.path, readAt => {
      const buffer = Buffer.allocUnsafeSlow(PAGES_PER_READ * pageBytes)
      for (let page = 0; page < pageCount; page += PAGES_PER_READ) {
        const count = Math.min(PAGES_PER_READ, pageCount - page)
        this.comparePages(buffer.subarray(0, count * pageBytes), page, readAt, wal, isKnown)
      }
    })
  }

  private comparePages(
    buffer: Buffer,
    first: number,
    readAt: ReadAt,
    wal: WalContent | null,
    isKnown: boolean,
  ): void {
    const { pageBytes, sums } = this
    const isWhole = fill(readAt, buffer, first * pageBytes)
    for (let at = 0; at < buffer.length; at += pageBytes) {
      const page = first + at / pageBytes
      const isReplaced = wal?.sums.has(page + 1) === true
      if (isReplaced || (wal !== null && page >= wal.pageCount)) continue
      const known = sums[page] as number
      if (isKnown && known === UNKNOWN) continue
      if (!isWhole && !fill(readAt, buffer.subarray(at, at + pageBytes), page * pageBytes)) {
        this.damage(page, 'the file ends before it')
        continue
      }
      const sum = pageSum(buffer.subarray(at, at + pageBytes))
      if (isKnown && sum !== known) this.damage(page, 'its checksum is another one')
      sums[page] = sum
    }
  }

  private damage(page: number, what: string): void {
    if (this.options.salvage) {
      this.damaged.push(page * this.pageBytes)
      return
    }
    throw new StoreError(
      'corrupt',
      `${this.path} is damaged at offset ${page * this.pageBytes}: what page ${page + 1} has is ` +
        `not what was written (${what}). Nothing was changed. Put back a copy of the whole ` +
        'directory; or start with --salvage to go on with what can be read, some of which may be ' +
        `wrong. If it is state.db that you put back, delete ${this.sumsPath}: it is made anew`,
    )
  }

  /** As the header of the database says; 0: it is none. */
  private pageBytesOf(): number {
    const header = Buffer.alloc(100)
    let isWhole = false
    nodeWaitingFiles.read(this.path, readAt => {
      isWhole = fill(readAt, header, 0)
    })
    const pageBytes = header.readUInt16BE(PAGE_BYTES_AT)
    if (!isWhole || pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) return 0
    return pageBytes
  }

  /** @returns whether there were any */
  private load(): boolean {
    if (!fs.existsSync(this.sumsPath)) return false
    const bytes = fs.readFileSync(this.sumsPath)
    const isSound =
      bytes.length >= HEADER_BYTES &&
      bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
      bytes.readUInt32LE(8) === VERSION &&
      bytes.readUInt32LE(CHECKED_HEADER_BYTES) === crc32(bytes.subarray(0, CHECKED_HEADER_BYTES))
    const pageCount = isSound ? bytes.readUInt32LE(16) : 0
    if (!isSound || bytes.length < HEADER_BYTES + 4 * pageCount) {
      if (this.options.salvage) return false
      throw new StoreError(
        'corrupt',
        `${this.sumsPath} is damaged: it has the checksums of state.db. Nothing was changed. ` +
          'Put it back; or delete it, and state.db is taken as it is',
      )
    }
    this.pageBytes = bytes.readUInt32LE(12)
    this.resize(pageCount)
    for (let i = 0; i < pageCount; i++) this.sums[i] = bytes.readUInt32LE(HEADER_BYTES + 4 * i)
    return true
  }

  /** Whole and in its place: what differs from what is there is in the write-ahead log as well. */
  private save(): void {
    const bytes = Buffer.alloc(HEADER_BYTES + 4 * this.pageCount)
    MAGIC.copy(bytes)
    bytes.writeUInt32LE(VERSION, 8)
    bytes.writeUInt32LE(this.pageBytes, 12)
    bytes.writeUInt32LE(this.pageCount, 16)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, CHECKED_HEADER_BYTES)), CHECKED_HEADER_BYTES)
    for (let i = 0; i < this.pageCount; i++) {
      bytes.writeUInt32LE(this.sums[i] as number, HEADER_BYTES + 4 * i)
    }
    try {
      writeInPlace(this.sumsPath, bytes)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      // No checksums are better than wrong ones: they are made anew from what is there.
      this.forget()
    }
  }

  private forget(): void {
    if (!fs.existsSync(this.sumsPath)) return
    fs.rmSync(this.sumsPath)
    syncDirectory(dirname(this.sumsPath))
  }
}

export function sumsPathOf(databasePath: string): string {
  return `${databasePath}.sums`
}

function writeInPlace(path: string, bytes: Uint8Array): void {
  const { O_RDWR, O_CREAT } = fs.constants
  const descriptor = fs.openSync(path, O_RDWR | O_CREAT, 0o600)
  try {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(descriptor, bytes, done, bytes.length - done, done)
    }
    fs.fdatasyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return
  const descriptor = fs.openSync(directory, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
