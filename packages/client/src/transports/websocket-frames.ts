// hot
// The frames of RFC 6455 as a client sees them: writes masked ones, reads a server's and hands the
// payload on as it comes. A payload is never collected, so no frame is too large for memory.

/** Opcodes. RFC 6455 section 5.2. */
export const Opcode = {
  CONTINUATION: 0,
  TEXT: 1,
  BINARY: 2,
  CLOSE: 8,
  PING: 9,
  PONG: 10,
} as const

/** Status codes of a close frame. RFC 6455 section 7.4.1. */
export const CloseStatus = {
  NORMAL: 1000,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
} as const

const CONTROL_BYTES_MAX = 125
const FIN = 0x80
const RESERVED = 0x70
const MASKED = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127
const HEADER_BYTES_MAX = 10
const EMPTY = new Uint8Array(0)

/** The server broke RFC 6455; `status` is what to close with. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What a reader tells. */
export interface FrameHandler {
  /** Bytes of binary messages, in order; a view on the chunk. */
  data(bytes: Uint8Array): void
  /** A whole ping, pong or close. */
  control(opcode: number, payload: Uint8Array): void
}

/** Reads the frames that a server sends. */
export class FrameReader {
  /** Stops reading: what comes after a close frame is nobody's. */
  stopped = false
  private readonly handler: FrameHandler
  private readonly header = new Uint8Array(HEADER_BYTES_MAX)
  private headerLength = 0
  private opcode = 0
  /** Payload bytes of the current frame that have not come; -1 while its header is read. */
  private missing = -1
  /** Within a message of several frames. */
  private fragmented = false
  private control: Uint8Array = EMPTY
  private controlLength = 0

  constructor(handler: FrameHandler) {
    this.handler = handler
  }

  /** @throws FrameError */
  push(chunk: Uint8Array): void {
    let at = 0
    while (!this.stopped) {
      if (this.missing < 0) {
        at = this.readHeader(chunk, at)
        if (this.missing < 0) return
      }
      const end = Math.min(chunk.length, at + this.missing)
      if (this.opcode >= Opcode.CLOSE) {
        this.control.set(chunk.subarray(at, end), this.controlLength)
        this.controlLength += end - at
      } else if (end > at) {
        this.handler.data(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))
      }
      this.missing -= end - at
      at = end
      if (this.missing > 0) return
      this.endFrame()
    }
  }

  private readHeader(chunk: Uint8Array, start: number): number {
    const header = this.header
    let at = start
    while (at < chunk.length) {
      header[this.headerLength++] = chunk[at++] as number
      if (this.headerLength < 2) continue
      const short = (header[1] as number) & 0x7f
      const length = short === LENGTH_16 ? 4 : short === LENGTH_64 ? HEADER_BYTES_MAX : 2
      if (this.headerLength < length) continue
      this.headerLength = 0
      this.beginFrame(header[0] as number, header[1] as number)
      break
    }
    return at
  }

  private beginFrame(first: number, second: number): void {
    if ((first & RESERVED) !== 0) wrong('reserved bits are set')
    if ((second & MASKED) !== 0) wrong('a server must not mask')
    const opcode = first & 15
    const final = (first & FIN) !== 0
    const length = this.payloadLength(second)
    if (opcode >= Opcode.CLOSE) {
      if (opcode > Opcode.PONG) wrong(`opcode ${opcode}`)
      if (!final || length > CONTROL_BYTES_MAX) wrong('a control frame is cut or too long')
      this.control = new Uint8Array(length)
      this.controlLength = 0
    } else if (opcode === Opcode.CONTINUATION) {
      if (!this.fragmented) wrong('a continuation of nothing')
      this.fragmented = !final
    } else if (opcode === Opcode.BINARY) {
      if (this.fragmented) wrong('a message within another')
      this.fragmented = !final
    } else if (opcode === Opcode.TEXT) {
      // [MQTT-6.0.0-1]
      throw new FrameError(CloseStatus.UNSUPPORTED_DATA, 'a text frame; MQTT is binary')
    } else {
      wrong(`opcode ${opcode}`)
    }
    this.opcode = opcode
    this.missing = length
  }

  private payloadLength(second: number): number {
    const header = this.header
    const short = second & 0x7f
    if (short < LENGTH_16) return short
    let length = 0
    const end = short === LENGTH_16 ? 4 : HEADER_BYTES_MAX
    for (let i = 2; i < end; i++) length = length * 256 + (header[i] as number)
    if (!Number.isSafeInteger(length)) wrong('a length of more than 53 bits')
    const least = short === LENGTH_16 ? LENGTH_16 : 65_536
    if (length < least) wrong('a length that is longer than it needs to be')
    return length
  }

  private endFrame(): void {
    this.missing = -1
    if (this.opcode < Opcode.CLOSE) return
    const payload = this.control
    this.control = EMPTY
    if (this.opcode === Opcode.CLOSE) {
      if (payload.length === 1) wrong('a close frame of one byte')
      this.stopped = true
    }
    this.handler.control(this.opcode, payload)
  }
}

/**
 * A whole masked frame.
 * @param mask four bytes that nobody can guess; RFC 6455 section 5.3
 */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const { length } = payload
  const header = length < LENGTH_16 ? 2 : length < 65_536 ? 4 : HEADER_BYTES_MAX
  const frame = new Uint8Array(header + 4 + length)
  frame[0] = FIN | opcode
  if (header === 2) {
    frame[1] = MASKED | length
  } else if (header === 4) {
    frame[1] = MASKED | LENGTH_16
    frame[2] = length >> 8
    frame[3] = length
  } else {
    frame[1] = MASKED | LENGTH_64
    new DataView(frame.buffer).setBigUint64(2, BigInt(length))
  }
  frame.set(mask, header)
  const start = header + 4
  for (let i = 0; i < length; i++) {
    frame[start + i] = (payload[i] as number) ^ (mask[i & 3] as number)
  }
  return frame
}

function wrong(what: string): never {
  throw new FrameError(CloseStatus.PROTOCOL_ERROR, what)
}
