// hot
// Cuts a stream of chunks into whole frames. A frame that lies within one chunk is a view on it;
// only a frame that chunks cut apart is copied, once. It does not look inside a frame.

import { malformed, refuse } from './errors.ts'

const EMPTY = new Uint8Array(0)
const FIRST_COPY_BYTES = 512

/**
 * A cursor over frames. MQTT 5.0 section 2.1.
 * After `next()` returned true the fields describe the frame; they are valid until the next call.
 * The bytes of a frame stay untouched as long as the caller leaves the chunks untouched.
 */
export class Decoder {
  /** The largest packet in bytes, header included; a larger one is refused by its header alone. */
  packetBytesMax: number
  /** Where the current frame lies. */
  bytes: Uint8Array = EMPTY
  /** First byte of the frame: packet type and flags. */
  first = 0
  /** Offset of the first byte. */
  start = 0
  /** Offset after the remaining length. */
  bodyStart = 0
  /** Offset after the last byte. */
  end = 0
  protected chunk: Uint8Array = EMPTY
  protected at = 0
  protected rest: Uint8Array = EMPTY
  protected restLength = 0
  private headerLength = 0
  private frameLength = 0

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax
  }

  /** Takes the next bytes of the stream. All frames of the chunk before must have been read. */
  push(chunk: Uint8Array): void {
    this.chunk = chunk
    this.at = 0
  }

  /** How many bytes of an unfinished frame are kept. */
  get pendingBytes(): number {
    return this.restLength
  }

  /** How many bytes of the chunk have not been looked at. */
  get unreadBytes(): number {
    return this.chunk.length - this.at
  }

  /**
   * Goes to the next whole frame.
   * @returns false when the bytes that came so far hold no further whole frame
   * @throws PacketError `malformed-packet` for a bad remaining length, `packet-too-large`
   */
  next(): boolean {
    if (this.restLength > 0) return this.finishRest()
    const chunk = this.chunk
    const at = this.at
    const have = chunk.length - at
    if (have < 2) return this.keep()
    const second = chunk[at + 1]!
    if (second < 128) {
      this.headerLength = 2
      this.frameLength = 2 + second
      if (this.frameLength > this.packetBytesMax) this.refuseSize()
    } else if (!this.readHeader(chunk, at, chunk.length)) {
      return this.keep()
    }
    if (have < this.frameLength) return this.keep()
    if (this.bytes !== chunk) this.bytes = chunk
    this.first = chunk[at]!
    this.start = at
    this.bodyStart = at + this.headerLength
    this.end = this.at = at + this.frameLength
    return true
  }

  /** Lets go of the chunk, so that an idle connection pins no memory. */
  release(): void {
    this.chunk = EMPTY
    this.bytes = EMPTY
    this.at = 0
  }

  /** What was not read of the chunk, as a view on it; the decoder lets go of the chunk. */
  takeUnread(): Uint8Array {
    const unread = this.chunk.subarray(this.at)
    this.release()
    return unread
  }

  private keep(): false {
    const have = this.chunk.length - this.at
    if (have > 0) {
      this.rest = new Uint8Array(Math.max(have, Math.min(FIRST_COPY_BYTES, this.packetBytesMax)))
      this.rest.set(this.at === 0 ? this.chunk : this.chunk.subarray(this.at))
      this.restLength = have
      this.frameLength = 0
    }
    this.release()
    return false
  }

  private finishRest(): boolean {
    while (this.frameLength === 0) {
      if (this.readHeader(this.rest, 0, this.restLength)) break
      if (this.at === this.chunk.length) return this.wait()
      this.growRest(this.restLength + 1)
      this.rest[this.restLength++] = this.chunk[this.at++]!
    }
    const missing = this.frameLength - this.restLength
    const have = this.chunk.length - this.at
    const take = missing < have ? missing : have
    if (take > 0) {
      this.growRest(this.restLength + take)
      this.rest.set(this.chunk.subarray(this.at, this.at + take), this.restLength)
      this.restLength += take
      this.at += take
    }
    if (take < missing) return this.wait()
    this.bytes = this.rest
    this.first = this.rest[0]!
    this.start = 0
    this.bodyStart = this.headerLength
    this.end = this.frameLength
    this.rest = EMPTY
    this.restLength = 0
    this.frameLength = 0
    return true
  }

  private wait(): false {
    this.release()
    return false
  }

  /** Room by doubling, never more than the frame: a header alone reserves nothing. */
  private growRest(length: number): void {
    if (length <= this.rest.length) return
    const doubled = Math.max(length, this.rest.length * 2)
    const room = this.frameLength > 0 ? Math.min(doubled, this.frameLength) : doubled
    const grown = new Uint8Array(Math.max(room, length))
    grown.set(this.rest.subarray(0, this.restLength))
    this.rest = grown
  }

  /** @returns false when the header is not whole yet */
  private readHeader(bytes: Uint8Array, at: number, end: number): boolean {
    let length = 0
    let factor = 1
    for (let i = 1; i <= 4; i++) {
      if (at + i >= end) return false
      const byte = bytes[at + i]!
      length += (byte & 127) * factor
      if (byte < 128) {
        // [MQTT-1.5.5-1]
        if (byte === 0 && i > 1) this.refuseLength('is longer than it needs to be')
        this.headerLength = i + 1
        this.frameLength = i + 1 + length
        if (this.frameLength > this.packetBytesMax) this.refuseSize()
        return true
      }
      factor *= 128
    }
    return this.refuseLength('has more than 4 bytes')
  }

  private refuseLength(what: string): never {
    malformed(`the remaining length ${what}`)
  }

  private refuseSize(): never {
    const { frameLength: size, packetBytesMax: limit } = this
    refuse('packet-too-large', 0x95, `a packet of ${size} bytes came, the limit is ${limit}`)
  }
}
