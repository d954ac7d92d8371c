// A client that sends whatever it is told, keeps what it gets, and sometimes acknowledges it.

import type { Duplex } from 'node:stream'
import {
  Decoder,
  encodePacket,
  type Packet,
  PacketType,
  type ProtocolLevel,
  readPacket,
} from '@godwit/packet'
import type { Chance } from './random.ts'

const PACKET_BYTES_MAX = 16 * 1024 * 1024

export class HostileClient {
  readonly level: ProtocolLevel
  readonly sent: Uint8Array[] = []
  readonly received: Packet[] = []
  /** The broker has ended the connection, not this client. */
  endedByBroker = false
  closed = false
  /** The first thing of the broker that is no well-formed packet. */
  badAnswer: Error | null = null
  #endedByItself = false
  #acknowledged = 0
  readonly #stream: Duplex
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)

  constructor(stream: Duplex, level: ProtocolLevel) {
    this.#stream = stream
    this.level = level
    stream.on('data', (chunk: Uint8Array) => this.#take(chunk))
    stream.on('end', () => {
      if (!this.#endedByItself) this.endedByBroker = true
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      this.closed = true
    })
  }

  /** The level that it has really asked for. */
  get answerLevel(): ProtocolLevel {
    return levelAskedFor(this.sent)
  }

  /** CONNACK 0 has come. */
  get isIn(): boolean {
    const [first] = this.received
    return first?.type === PacketType.CONNACK && first.reasonCode === 0
  }

  send(bytes: Uint8Array): void {
    if (this.closed || this.endedByBroker || bytes.length === 0) return
    this.sent.push(bytes)
    this.#stream.write(bytes)
  }

  /** Answers some of what came as the protocol asks for. */
  acknowledge(chance: Chance): void {
    const come = this.received.slice(this.#acknowledged)
    this.#acknowledged = this.received.length
    for (const packet of come) {
      if (chance.oneIn(4)) continue
      const answer = answerTo(packet)
      if (answer !== null) this.send(encodePacket(answer, this.level))
    }
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Goes, with a word to the network or without. */
  leave(chance: Chance): void {
    this.#endedByItself = true
    this.#stream.resume()
    if (chance.oneIn(2)) this.#stream.end()
    else this.#stream.destroy()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #take(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk.slice())
      while (this.#decoder.next()) {
        const { first, bytes, bodyStart, end } = this.#decoder
        const level = levelAskedFor(this.sent)
        this.received.push(readPacket(first, bytes, bodyStart, end, level, 'server'))
      }
    } catch (error) {
      this.badAnswer ??= error instanceof Error ? error : new Error(String(error))
    }
  }
}

/** The level that a CONNECT asks for, spoiled or not; the broker answers in its format. */
function levelAskedFor(sent: readonly Uint8Array[]): ProtocolLevel {
  const bytes = Buffer.concat(sent)
  let bodyStart = 2
  while ((bytes[bodyStart - 1] ?? 0) > 127 && bodyStart < 5) bodyStart++
  const nameLength = bytes[bodyStart + 1] ?? 0
  return ((bytes[bodyStart + 2 + nameLength] ?? 0) & 0x7f) >= 5 ? 5 : 4
}

function answerTo(packet: Packet): Packet | null {
  switch (packet.type) {
    case PacketType.PUBLISH: {
      if (packet.qos === 0) return null
      const type = packet.qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
      return { type, packetId: packet.packetId, reasonCode: 0, properties: {} }
    }
    case PacketType.PUBREC:
      return { type: PacketType.PUBREL, packetId: packet.packetId, reasonCode: 0, properties: {} }
    case PacketType.PUBREL:
      return { type: PacketType.PUBCOMP, packetId: packet.packetId, reasonCode: 0, properties: {} }
    default:
      return null
  }
}
