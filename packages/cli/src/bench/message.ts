// hot
// What a payload of the testers begins with: who sent it, which it is, when it was meant to be
// sent, when it was. Times are microseconds modulo 2^32, so differences up to 71 minutes are exact.
//
//   0  magic "GW", run (16 bits)     8  sequence      16  time of sending
//   4  stream                       12  intended time

/** The whole header. */
export const HEADER_BYTES = 20

/** Up to here a message can be counted, found lost, duplicated or reordered, but not timed. */
export const SEQUENCE_BYTES = 12

const MAGIC = 0x4757
const UINT32 = 0x100000000

/** What can be told from a payload of this size. */
export type Detail = 'times' | 'sequence' | 'count'

export function detailOf(payloadBytes: number): Detail {
  if (payloadBytes >= HEADER_BYTES) return 'times'
  return payloadBytes >= SEQUENCE_BYTES ? 'sequence' : 'count'
}

/** Writes what does not change within a stream. There must be room for SEQUENCE_BYTES. */
export function stampStream(bytes: Uint8Array, at: number, run: number, stream: number): void {
  writeUint32(bytes, at, ((MAGIC << 16) | (run & 0xffff)) >>> 0)
  writeUint32(bytes, at + 4, stream)
}

/** Writes the number of a message, and its times where there is room for the whole header. */
export function stampMessage(
  bytes: Uint8Array,
  at: number,
  sequence: number,
  intendedUs: number,
  sentUs: number,
  timed: boolean,
): void {
  writeUint32(bytes, at + 8, sequence)
  if (!timed) return
  writeUint32(bytes, at + 12, intendedUs)
  writeUint32(bytes, at + 16, sentUs)
}

/** Whether a payload was written by this run. There must be SEQUENCE_BYTES. */
export function isOfRun(bytes: Uint8Array, at: number, run: number): boolean {
  return readUint32(bytes, at) === ((MAGIC << 16) | (run & 0xffff)) >>> 0
}

export function streamOf(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 4)
}

export function sequenceOf(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 8)
}

export function intendedOf(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 12)
}

export function sentOf(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 16)
}

/** From `fromUs`, modulo 2^32, to `nowUs`; a time slightly in the future is 0. */
export function elapsedUs(nowUs: number, fromUs: number): number {
  const difference = (nowUs % UINT32) - fromUs
  const elapsed = difference < 0 ? difference + UINT32 : difference
  return elapsed > UINT32 / 2 ? 0 : elapsed
}

/** Microseconds as they stand in a header. */
export function wrapped(timeUs: number): number {
  return (timeUs % UINT32) >>> 0
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}
