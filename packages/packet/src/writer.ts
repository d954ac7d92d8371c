// hot
// Writes MQTT's data types into a buffer that grows. It knows nothing of packets.

import { FIELD_BYTES_MAX, REMAINING_LENGTH_MAX } from './constants.ts'
import { checkInteger, invalidPacket } from './errors.ts'
import { encodeUtf8Into, utf8ByteLength } from './utf8.ts'

const CAPACITY_BYTES = 256

/**
 * Bytes in the making: `bytes[0, length)`. Made once, used for many packets.
 * Numbers must fit their type: who got them from a user checks them. Strings and binary data are
 * checked here, PacketError `invalid-packet`; `what` names them in the error.
 */
export class Writer {
  /** Replaced when it must grow: do not keep it while writing. */
  bytes: Uint8Array
  length = 0

  constructor(capacityBytes: number = CAPACITY_BYTES) {
    this.bytes = new Uint8Array(capacityBytes)
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.length = 0
  }

  /** A copy of what was written, in a buffer of its own. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  uint8(value: number): void {
    const at = this.claim(1)
    this.bytes[at] = value
  }

  uint16(value: number): void {
    const at = this.claim(2)
    this.bytes[at] = value >> 8
    this.bytes[at + 1] = value
  }

  uint32(value: number): void {
    this.uint16(value >>> 16)
    this.uint16(value)
  }

  /** In as few bytes as possible. MQTT 5.0 section 1.5.5. */
  variableInteger(value: number): void {
    checkInteger(value, 0, REMAINING_LENGTH_MAX, 'a variable byte integer')
    this.put(this.claim(variableIntegerByteLength(value)), value) // [MQTT-1.5.5-1]
  }

  /** A string after its length in two bytes. MQTT 5.0 section 1.5.4. */
  string(value: string, what: string): void {
    if (typeof value !== 'string') invalidPacket(`${what} that is a string`, value)
    const length = utf8ByteLength(value)
    checkInteger(length, 0, FIELD_BYTES_MAX, `${what} with a length`)
    if (value.includes('\0')) invalidPacket(`${what} without U+0000`, value) // [MQTT-1.5.4-2]
    this.uint16(length)
    const at = this.claim(length)
    encodeUtf8Into(value, this.bytes, at) // [MQTT-1.5.4-1] [MQTT-1.5.4-3]
  }

  /** Binary data after its length in two bytes. MQTT 5.0 section 1.5.6. */
  binary(value: Uint8Array, what: string): void {
    checkBytes(value, what)
    checkInteger(value.length, 0, FIELD_BYTES_MAX, `${what} with a length`)
    this.uint16(value.length)
    this.raw(value, what)
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array, what: string): void {
    checkBytes(value, what)
    const at = this.claim(value.length)
    this.bytes.set(value, at)
  }

  /** Leaves room for the length of what follows. Give the result to `close`. */
  open(): number {
    return this.claim(1)
  }

  /** Fills in the length of all that was written since `open`, as a variable byte integer. */
  close(mark: number): void {
    const start = mark + 1
    const length = this.length - start
    checkInteger(length, 0, REMAINING_LENGTH_MAX, 'a packet length')
    const more = variableIntegerByteLength(length) - 1
    if (more > 0) {
      this.claim(more)
      this.bytes.copyWithin(start + more, start, start + length)
    }
    this.put(mark, length)
  }

  private put(at: number, value: number): void {
    let to = at
    let rest = value
    while (rest >= 0x80) {
      this.bytes[to++] = 0x80 | rest
      rest >>>= 7
    }
    this.bytes[to] = rest
  }

  /** Makes room. Look at `bytes` only afterwards: it may be another buffer then. */
  private claim(length: number): number {
    const at = this.length
    this.length = at + length
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
    }
    return at
  }
}

/** How many bytes a variable byte integer takes. */
export function variableIntegerByteLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/** @throws PacketError `invalid-packet` */
export function checkBytes(value: Uint8Array, what: string): void {
  if (!(value instanceof Uint8Array)) invalidPacket(`${what} that is a Uint8Array`, value)
}
