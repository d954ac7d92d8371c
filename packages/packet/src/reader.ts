// hot
// Reads MQTT's data types from bytes, never past the end. It knows nothing of packets.

import { malformed } from './errors.ts'
import { decodeUtf8 } from './utf8.ts'

const EMPTY = new Uint8Array(0)

/**
 * A cursor over `bytes[at, end)`. MQTT 5.0 section 1.5. Made once, used for many packets.
 * Every method throws PacketError `malformed-packet` when the bytes end too early.
 */
export class Reader {
  bytes: Uint8Array = EMPTY
  at = 0
  end = 0

  /** Points the cursor at other bytes. */
  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  uint8(): number {
    return this.bytes[this.take(1)]!
  }

  uint16(): number {
    const at = this.take(2)
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16()
  }

  /** 0 to 268,435,455 in one to four bytes. MQTT 5.0 section 1.5.5. */
  variableInteger(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        // [MQTT-1.5.5-1]
        if (byte === 0 && shift > 0) malformed('a variable byte integer has a needless byte')
        return value
      }
    }
    return malformed('a variable byte integer has more than 4 bytes')
  }

  /** A string after its length in two bytes. MQTT 5.0 section 1.5.4. */
  string(): string {
    const length = this.uint16()
    const at = this.take(length)
    return decodeUtf8(this.bytes, at, this.at)
  }

  /** Binary data after its length in two bytes: a view. MQTT 5.0 section 1.5.6. */
  binary(): Uint8Array {
    const length = this.uint16()
    const at = this.take(length)
    return this.bytes.subarray(at, this.at)
  }

  /** All that is left: a view. */
  rest(): Uint8Array {
    return this.bytes.subarray(this.take(this.end - this.at), this.end)
  }

  /** Moves over `length` bytes and says where they began. */
  take(length: number): number {
    const at = this.at
    this.at = at + length
    if (this.at > this.end) malformed('a field goes past the end of the packet')
    return at
  }

  /** Refuses bytes after the last field. */
  finish(): void {
    if (this.at !== this.end) malformed(`${this.end - this.at} bytes follow the last field`)
  }
}
