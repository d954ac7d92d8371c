// The bytes of a session file: how commits are sealed, and what a file that was torn or damaged
// still holds. It opens nothing.
//
// The file: 8 bytes of magic, then commits: length of the body (4), CRC-32 of that length and of
// the commit's place in the file (4), CRC-32 of the body (4), and the body: entries of operation
// (1: 1 put, 2 delete), key (6), for a put length (4) and bytes. All numbers big-endian. A commit
// without a body says that the file was closed: what comes before it was whole.

import { crc32 } from 'node:zlib'

export const MAGIC: Uint8Array = new TextEncoder().encode('GWSESS2\n')
/** Bytes of a commit before its body. */
export const HEADER_BYTES = 12
/** Bytes of an entry without its value, and without the length of one. */
export const ENTRY_BYTES = 7
export const LENGTH_BYTES = 4

const PUT = 1
const DELETE = 2
const PLACE_BYTES = 6
const HIGH = 0x1_0000_0000

/** Told of each entry in order; the bytes are the caller's, null for a key that was deleted. */
type Apply = (key: number, value: Uint8Array | null) => void

/** Bytes that are not what was written, and have whole commits behind them. */
export interface Damage {
  readonly atByte: number
  /** Where the next whole commit begins. */
  readonly nextByte: number
}

/** What a file holds. */
export interface Contents {
  /** Where the last whole commit ends. What lies behind it was never confirmed. */
  readonly end: number
  /** The last commit says that the file was closed. */
  readonly isClosed: boolean
  readonly damages: readonly Damage[]
}

/** Writes an entry at `at`. @param value null deletes the key @returns where it ends */
export function writeEntry(
  bytes: Uint8Array,
  at: number,
  key: number,
  value: Uint8Array | null,
): number {
  const view = viewOf(bytes)
  view.setUint8(at, value === null ? DELETE : PUT)
  view.setUint16(at + 1, Math.floor(key / HIGH))
  view.setUint32(at + 3, key >>> 0)
  if (value === null) return at + ENTRY_BYTES
  view.setUint32(at + ENTRY_BYTES, value.length)
  bytes.set(value, at + ENTRY_BYTES + LENGTH_BYTES)
  return at + entryBytes(value)
}

/** Bytes of an entry that puts `value`. */
export function entryBytes(value: Uint8Array): number {
  return ENTRY_BYTES + LENGTH_BYTES + value.length
}

/** Fills in the header of a commit. @param place where it begins in the file */
export function seal(commit: Uint8Array, place: number): void {
  const view = viewOf(commit)
  view.setUint32(0, commit.length - HEADER_BYTES)
  view.setUint32(4, headerCheck(commit.subarray(0, 4), place))
  view.setUint32(8, crc32(commit.subarray(HEADER_BYTES)))
}

/** Whether `bytes` begin as a session file does; of fewer bytes as far as they go. */
export function hasMagic(bytes: Uint8Array): boolean {
  return bytes.subarray(0, MAGIC.length).every((byte, index) => byte === MAGIC[index])
}

/**
 * Reads a file; what is damaged is skipped and named.
 * @returns null for a file that is no session file
 */
export function readContents(bytes: Uint8Array, apply: Apply): Contents | null {
  const damages: Damage[] = []
  let at = MAGIC.length
  if (!hasMagic(bytes)) {
    if (commitEnd(bytes, at) < 0) return null
    damages.push({ atByte: 0, nextByte: at })
  }
  let isClosed = false
  for (;;) {
    let end = commitEnd(bytes, at)
    if (end < 0) {
      const next = nextCommit(bytes, at + 1)
      if (next < 0) return { end: at, isClosed, damages }
      damages.push({ atByte: at, nextByte: next })
      at = next
      end = commitEnd(bytes, at)
    }
    isClosed = end === at + HEADER_BYTES
    readEntries(bytes, at + HEADER_BYTES, end, apply)
    at = end
  }
}

/** @returns -1 when no whole commit begins there */
function commitEnd(bytes: Uint8Array, at: number): number {
  if (at + HEADER_BYTES > bytes.length) return -1
  const view = viewOf(bytes)
  const end = at + HEADER_BYTES + view.getUint32(at)
  if (end > bytes.length) return -1
  if (headerCheck(bytes.subarray(at, at + 4), at) !== view.getUint32(at + 4)) return -1
  return crc32(bytes.subarray(at + HEADER_BYTES, end)) === view.getUint32(at + 8) ? end : -1
}

/** A commit that a message carries as its payload is at another place than it was sealed for. */
function nextCommit(bytes: Uint8Array, from: number): number {
  for (let at = from; at + HEADER_BYTES <= bytes.length; at++) {
    if (commitEnd(bytes, at) >= 0) return at
  }
  return -1
}

function readEntries(bytes: Uint8Array, start: number, end: number, apply: Apply): void {
  const view = viewOf(bytes)
  for (let at = start; at < end; ) {
    const key = view.getUint16(at + 1) * HIGH + view.getUint32(at + 3)
    if (view.getUint8(at) === DELETE) {
      apply(key, null)
      at += ENTRY_BYTES
      continue
    }
    const from = at + ENTRY_BYTES + LENGTH_BYTES
    at = from + view.getUint32(at + ENTRY_BYTES)
    apply(key, bytes.slice(from, at))
  }
}

function headerCheck(length: Uint8Array, place: number): number {
  const placed = new Uint8Array(PLACE_BYTES)
  const view = viewOf(placed)
  view.setUint16(0, Math.floor(place / HIGH))
  view.setUint32(2, place >>> 0)
  return crc32(placed, crc32(length))
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
