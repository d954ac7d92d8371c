// Packets from a stream, one after the other, as a client sees them.

import type { Readable } from 'node:stream'
import { Decoder, type Packet, type ProtocolLevel, readPacket } from '@godwit/packet'

const PACKET_BYTES_MAX = 16 * 1024 * 1024

export class PacketReader {
  /** The stream has closed: no more packets come. */
  closed = false
  readonly #stream: Readable
  readonly #level: ProtocolLevel
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  readonly #packets: Packet[] = []
  readonly #waiting: { resolve: (packet: Packet) => void; reject: (error: Error) => void }[] = []

  constructor(stream: Readable, level: ProtocolLevel = 5) {
    this.#stream = stream
    this.#level = level
    stream.on('data', (chunk: Buffer) => this.#take(chunk))
    stream.on('error', () => undefined)
    stream.on('close', () => this.#close())
  }

  /** Packets that came and were not asked for. */
  get waiting(): number {
    return this.#packets.length
  }

  /** @throws Error when the connection closes before one comes */
  next(): Promise<Packet> {
    const packet = this.#packets.shift()
    if (packet !== undefined) return Promise.resolve(packet)
    if (this.closed) return Promise.reject(new Error('the connection is closed'))
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /** Reads no more for now. */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  #take(chunk: Uint8Array): void {
    this.#decoder.push(chunk.slice())
    while (this.#decoder.next()) {
      const { first, bytes, bodyStart, end } = this.#decoder
      const packet = readPacket(first, bytes, bodyStart, end, this.#level, 'server')
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#packets.push(packet)
      else waiting.resolve(packet)
    }
  }

  #close(): void {
    this.closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection closed'))
  }
}
