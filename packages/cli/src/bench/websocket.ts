// hot
// WebSocket as a client has it, as little as a tester needs: the handshake, masked binary frames
// out, frames of any length in, however the stream cuts them. RFC 6455.

import { createHash, randomBytes } from 'node:crypto'
import type { Transport, TransportOwner } from './transport.ts'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const BINARY = 0x82
const CLOSE = 0x88
const PONG = 0x8a
const HEAD_BYTES_MAX = 16 * 1024
const CONTROL_BYTES_MAX = 125

export class WebSocketFrames implements Transport, TransportOwner {
  private readonly below: Transport
  private readonly owner: TransportOwner
  private readonly key: string = randomBytes(16).toString('base64')
  private readonly request: string
  private head = ''
  private isOpen = false
  /** The header of a frame, as far as it has come. */
  private readonly header = new Uint8Array(10)
  private headerLength = 0
  private opcode = 0
  private payloadLeft = 0
  private control: number[] = []
  private mask = 0x2545f491

  constructor(host: string, path: string, below: Transport, owner: TransportOwner) {
    this.below = below
    this.owner = owner
    this.request =
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: ${this.key}\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n'
  }

  get isFull(): boolean {
    return this.below.isFull
  }

  opened(): void {
    this.below.write(Buffer.from(this.request, 'latin1'), null)
  }

  received(bytes: Uint8Array, length: number): void {
    let at = 0
    if (!this.isOpen) {
      at = this.readHead(bytes, length)
      if (!this.isOpen) return
    }
    while (at < length) {
      at = this.payloadLeft > 0 ? this.readPayload(bytes, at, length) : this.readHeader(bytes, at)
      if (at < 0) return
    }
  }

  drained(): void {
    this.owner.drained()
  }

  closed(error: Error | null): void {
    this.owner.closed(error)
  }

  write(bytes: Uint8Array, done: (() => void) | null): void {
    this.below.write(this.frame(BINARY, bytes), null)
    // The frame is a masked copy.
    if (done !== null) process.nextTick(done)
  }

  pause(): void {
    this.below.pause()
  }

  resume(): void {
    this.below.resume()
  }

  end(bytes: Uint8Array): void {
    this.below.write(this.frame(BINARY, bytes), null)
    this.below.end(this.frame(CLOSE, new Uint8Array([0x03, 0xe8])))
  }

  destroy(): void {
    this.below.destroy()
  }

  /** @returns where the frames begin */
  private readHead(bytes: Uint8Array, length: number): number {
    const before = this.head.length
    this.head += Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
    const end = this.head.indexOf('\r\n\r\n')
    if (end === -1) {
      if (this.head.length > HEAD_BYTES_MAX) this.fail('a header of more than 16 KiB')
      return length
    }
    const head = this.head.slice(0, end)
    this.head = ''
    const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 'no HTTP'
    const accept = /^sec-websocket-accept:\s*(\S+)/im.exec(head)?.[1]
    const wanted = createHash('sha1').update(`${this.key}${GUID}`).digest('base64')
    if (status !== '101') this.fail(`${status} instead of 101 for WebSocket`)
    else if (accept !== wanted) this.fail('a wrong Sec-WebSocket-Accept')
    else {
      this.isOpen = true
      this.owner.opened()
    }
    return end + 4 - before
  }

  /** Takes one byte of a frame's header. @returns the next offset, -1 after a failure */
  private readHeader(bytes: Uint8Array, at: number): number {
    const header = this.header
    header[this.headerLength++] = bytes[at]!
    if (this.headerLength < 2) return at + 1
    const short = header[1]! & 127
    const wanted = short === 127 ? 10 : short === 126 ? 4 : 2
    if (this.headerLength < wanted) return at + 1
    if ((header[1]! & 128) !== 0) return this.fail('a masked frame')
    this.opcode = header[0]! & 15
    this.payloadLeft = short
    if (short === 126) this.payloadLeft = (header[2]! << 8) | header[3]!
    else if (short === 127) {
      this.payloadLeft = 0
      for (let i = 2; i < 10; i++) this.payloadLeft = this.payloadLeft * 256 + header[i]!
    }
    this.headerLength = 0
    this.control = []
    if (this.opcode === 1) return this.fail('a frame of text')
    if (this.opcode >= 8 && this.payloadLeft > CONTROL_BYTES_MAX) return this.fail('a long ping')
    if (this.payloadLeft === 0 && this.opcode >= 8) this.answer()
    return at + 1
  }

  private readPayload(bytes: Uint8Array, at: number, length: number): number {
    const count = Math.min(this.payloadLeft, length - at)
    const piece = bytes.subarray(at, at + count)
    this.payloadLeft -= count
    if (this.opcode < 8) this.owner.received(piece, count)
    else {
      this.control.push(...piece)
      if (this.payloadLeft === 0) this.answer()
    }
    return at + count
  }

  /** A ping is answered with its bytes, a close ends the connection. */
  private answer(): void {
    if (this.opcode === 9) this.below.write(this.frame(PONG, new Uint8Array(this.control)), null)
    if (this.opcode === 8) this.below.end(this.frame(CLOSE, new Uint8Array(this.control)))
  }

  private frame(first: number, payload: Uint8Array): Buffer {
    const length = payload.length
    const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
    const frame = Buffer.allocUnsafe(headerBytes + 4 + length)
    frame[0] = first
    frame[1] = 0x80 | (headerBytes === 2 ? length : headerBytes === 4 ? 126 : 127)
    if (headerBytes === 4) frame.writeUInt16BE(length, 2)
    else if (headerBytes === 10) frame.writeBigUInt64BE(BigInt(length), 2)
    // It protects proxies from scripts in browsers; here it only has to change.
    const mask = Math.imul(this.mask, 1_664_525) + 1_013_904_223
    this.mask = mask
    frame.writeInt32BE(mask | 0, headerBytes)
    const start = headerBytes + 4
    for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ frame[headerBytes + (i & 3)]!
    return frame
  }

  private fail(what: string): -1 {
    this.below.destroy()
    this.owner.closed(new Error(`the server sent ${what}`))
    return -1
  }
}
