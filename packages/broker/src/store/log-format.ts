// The bytes of a log segment: a header of one sector, then frames, then whatever was there before.
//
//   header   magic 8 | version u32 | zero u32 | store id 16 | segment no u64 | size u64 | crc u32
//   frame    length u32 | crc u32 | sequence u64 | record count u32 | records
//
// All numbers are little-endian. The checksum of a frame covers the store's id and the number of
// the segment, so a frame that a recycled segment still holds from its earlier life is not valid.

import { crc32 } from 'node:zlib'

/** 2: wills with their users. */
export const FORMAT_VERSION = 2
/** Where the first frame of a segment begins. A sector, so that a torn frame cannot hurt it. */
export const SEGMENT_HEADER_BYTES = 512
export const FRAME_HEADER_BYTES = 20
export const STORE_ID_BYTES = 16

const MAGIC = Buffer.from('GODWITLG', 'latin1')
const CHECKED_HEADER_BYTES = 48
const SEQUENCE_AT = 8
const TWO_TO_32 = 0x1_0000_0000

const NAME_DIGITS = 16
const NAME_PATTERN = /^(\d{16})\.log$/

export function segmentName(number: number): string {
  return `${String(number).padStart(NAME_DIGITS, '0')}.log`
}

/** @returns the number of the segment, or 0 when it is no segment's name */
export function segmentNumber(name: string): number {
  const match = NAME_PATTERN.exec(name)
  return match === null ? 0 : Number(match[1])
}

export interface SegmentHeader {
  readonly version: number
  readonly storeId: Uint8Array
  readonly number: number
  readonly byteCount: number
}

export function writeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  MAGIC.copy(bytes, 0)
  bytes.writeUInt32LE(header.version, 8)
  bytes.set(header.storeId, 16)
  writeLong(bytes, header.number, 32)
  writeLong(bytes, header.byteCount, 40)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, CHECKED_HEADER_BYTES)), CHECKED_HEADER_BYTES)
  return bytes
}

/** @returns null when it is damaged, or no header at all */
export function readSegmentHeader(from: Uint8Array): SegmentHeader | null {
  if (from.length < SEGMENT_HEADER_BYTES) return null
  const bytes = asBuffer(from)
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null
  const checksum = crc32(bytes.subarray(0, CHECKED_HEADER_BYTES))
  if (bytes.readUInt32LE(CHECKED_HEADER_BYTES) !== checksum) return null
  return {
    version: bytes.readUInt32LE(8),
    storeId: new Uint8Array(bytes.subarray(16, 16 + STORE_ID_BYTES)),
    number: readLong(bytes, 32),
    byteCount: readLong(bytes, 40),
  }
}

/** What the checksum of every frame of this segment begins with. */
export function frameSeed(storeId: Uint8Array, number: number): number {
  const bytes = Buffer.alloc(STORE_ID_BYTES + 8)
  bytes.set(storeId)
  writeLong(bytes, number, STORE_ID_BYTES)
  return crc32(bytes)
}

/** Fills in the header of the frame that begins at 0 and ends at `end`. */
export function sealFrame(
  bytes: Buffer,
  end: number,
  seed: number,
  sequence: number,
  recordCount: number,
): void {
  const seal = new FrameSeal(bytes, end, seed, sequence, recordCount)
  seal.add(bytes.subarray(0, end))
  seal.end()
}

/** The header of a frame that is in pieces: the first is given to it, then all are added. */
export class FrameSeal {
  private readonly header: Buffer
  private checksum: number
  private isFirst = true

  /** @param byteCount of the whole frame */
  constructor(
    first: Buffer,
    byteCount: number,
    seed: number,
    sequence: number,
    recordCount: number,
  ) {
    this.header = first
    first.writeUInt32LE(byteCount - FRAME_HEADER_BYTES, 0)
    writeLong(first, sequence, SEQUENCE_AT)
    first.writeUInt32LE(recordCount, 16)
    this.checksum = crc32(first.subarray(0, 4), seed)
  }

  add(piece: Buffer): void {
    this.checksum = crc32(this.isFirst ? piece.subarray(SEQUENCE_AT) : piece, this.checksum)
    this.isFirst = false
  }

  end(): void {
    this.header.writeUInt32LE(this.checksum, 4)
  }
}

/** A frame in a segment; `records` are at `[start, end)`. */
export interface Frame {
  readonly sequence: number
  readonly recordCount: number
  readonly start: number
  readonly end: number
}

/** @returns the frame at this offset, or null when there is no whole and sound one */
export function frameAt(bytes: Buffer, at: number, seed: number): Frame | null {
  const start = at + FRAME_HEADER_BYTES
  if (start > bytes.length) return null
  const byteLength = bytes.readUInt32LE(at)
  const end = start + byteLength
  if (byteLength === 0 || end > bytes.length) return null
  if (bytes.readUInt32LE(at + 4) !== checksumOf(bytes, at, end, seed)) return null
  return {
    sequence: readLong(bytes, at + SEQUENCE_AT),
    recordCount: bytes.readUInt32LE(at + 16),
    start,
    end,
  }
}

/**
 * What the header of a frame at this offset says, if it can be one: its checksum is not looked at.
 * @returns how many bytes the whole frame has, or 0
 */
export function frameBytesAt(bytes: Buffer, at: number): number {
  const byteLength = bytes.readUInt32LE(at)
  // The two highest bytes of a sequence are always zero.
  if (byteLength === 0 || bytes[at + 15] !== 0 || bytes[at + 14] !== 0) return 0
  const recordCount = bytes.readUInt32LE(at + 16)
  return recordCount === 0 || recordCount > byteLength ? 0 : FRAME_HEADER_BYTES + byteLength
}

/** @returns the sequence in the header of a frame at this offset, which may be none */
export function sequenceAt(bytes: Buffer, at: number): number {
  return readLong(bytes, at + SEQUENCE_AT)
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function checksumOf(bytes: Buffer, start: number, end: number, seed: number): number {
  const lengthSum = crc32(bytes.subarray(start, start + 4), seed)
  return crc32(bytes.subarray(start + SEQUENCE_AT, end), lengthSum)
}

function writeLong(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % TWO_TO_32, at)
  bytes.writeUInt32LE(Math.floor(value / TWO_TO_32), at + 4)
}

function readLong(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * TWO_TO_32
}
