// Reads SQLite's write-ahead log (https://sqlite.org/fileformat2.html#walformat) as SQLite does, to
// know which pages of the database it is going to write, and what will be in them.

import { crc32 } from 'node:zlib'
import { asBuffer } from './log-format.ts'
import type { ReadAt } from './waiting-files.ts'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** The lowest bit says in which order the bytes of the checksums are: most significant first. */
const MAGIC = 0x377f0682

/** What the log makes of the database. */
export interface WalContent {
  readonly pageBytes: number
  /** How many pages the database has then. */
  readonly pageCount: number
  /** The least number of pages that it had in between: what is beyond was given back. */
  readonly pageCountMin: number
  /** Of each page that is written, its checksum. Pages are numbered from 1. */
  readonly sums: ReadonlyMap<number, number>
}

/** @returns null when no transaction is in it */
export function readWal(readAt: ReadAt): WalContent | null {
  const header = Buffer.alloc(HEADER_BYTES)
  if (!fill(readAt, header, 0)) return null
  const magic = header.readUInt32BE(0)
  if ((magic & ~1) !== MAGIC) return null
  const pageBytes = header.readUInt32BE(8)
  const checksum = new WalChecksum((magic & 1) === 1)
  checksum.add(header, 0, FRAME_HEADER_BYTES)
  if (!checksum.equals(header, FRAME_HEADER_BYTES)) return null
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes)
  const sums = new Map<number, number>()
  /** Of the transaction that is being read. */
  const open = new Map<number, number>()
  let pageCount = 0
  let pageCountMin = Number.MAX_SAFE_INTEGER
  for (let at = HEADER_BYTES; fill(readAt, frame, at); at += frame.length) {
    if (header.compare(frame, 8, 16, 16, 24) !== 0) break
    checksum.add(frame, 0, 8)
    checksum.add(frame, FRAME_HEADER_BYTES, frame.length)
    if (!checksum.equals(frame, 16)) break
    open.set(frame.readUInt32BE(0), pageSum(frame.subarray(FRAME_HEADER_BYTES)))
    const committed = frame.readUInt32BE(4)
    if (committed === 0) continue
    for (const [page, sum] of open) sums.set(page, sum)
    open.clear()
    pageCount = committed
    pageCountMin = Math.min(pageCountMin, committed)
  }
  return pageCount === 0 ? null : { pageBytes, pageCount, pageCountMin, sums }
}

/** Of the bytes of a page; never 0, which stands for a page whose checksum nobody knows. */
export function pageSum(bytes: Uint8Array): number {
  return crc32(bytes) || 1
}

/** @returns whether there were that many bytes */
export function fill(readAt: ReadAt, into: Uint8Array, offset: number): boolean {
  const bytes = asBuffer(into)
  for (let done = 0; done < bytes.length; ) {
    const count = readAt(bytes.subarray(done), offset + done)
    if (count === 0) return false
    done += count
  }
  return true
}

/** Goes on from frame to frame: a damaged one ends the log. */
class WalChecksum {
  private first = 0
  private second = 0
  private readonly isBigEndian: boolean

  constructor(isBigEndian: boolean) {
    this.isBigEndian = isBigEndian
  }

  add(bytes: Buffer, start: number, end: number): void {
    let { first, second } = this
    for (let at = start; at < end; at += 8) {
      const one = this.isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
      const two = this.isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)
      first = (first + one + second) >>> 0
      second = (second + two + first) >>> 0
    }
    this.first = first
    this.second = second
  }

  equals(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.first && bytes.readUInt32BE(at + 4) === this.second
  }
}
