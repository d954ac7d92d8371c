// The other end of a client's connection: it keeps what the client wrote, which has to be packets,
// and sends what it is told. On request it behaves like a broker for once.

import type { Transport, TransportHandler } from '@godwit/client'
import {
  type ClientPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type ProtocolLevel,
  readClientPacket,
} from '@godwit/packet'
import type { Chance } from './random.ts'

const PACKET_BYTES_MAX = 16 * 1024 * 1024
const ABOVE_HIGH_WATER_BYTES = 70_000

/** Runs what calls into the client. */
interface Guard {
  readonly canPause: boolean
  guard(call: () => void): void
}

export class HostileBroker implements Transport {
  readonly canPause: boolean
  bufferedBytes = 0
  /** What the client asked for in CONNECT; 5 before that. */
  level: ProtocolLevel = 5
  isOpen = false
  isClosed = false
  /** The client has ended its side, or all of it. */
  isLeft = false
  /** The first thing of the client that is no well-formed packet, or is none of its packets. */
  badWrite: string | null = null
  /** Packets of the client that nobody has answered. */
  readonly unanswered: ClientPacket[] = []
  readonly #handler: TransportHandler
  readonly #guard: Guard
  readonly #chance: Chance
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  /** Buffers that the client has left to us, and what was in them. */
  #kept: { readonly bytes: Uint8Array; readonly copy: Uint8Array }[] = []
  #paused = false
  #unread: Uint8Array[] = []
  #hasConnect = false

  constructor(handler: TransportHandler, guard: Guard, chance: Chance) {
    this.#handler = handler
    this.#guard = guard
    this.#chance = chance
    this.canPause = guard.canPause
  }

  // Transport

  write(bytes: Uint8Array): boolean {
    const copy = bytes.slice()
    if (this.isLeft || this.isClosed) this.badWrite ??= 'it writes after the end'
    this.#read(copy)
    if (this.#chance.oneIn(4)) this.bufferedBytes += bytes.length
    if (this.#chance.oneIn(2)) return true
    this.#kept.push({ bytes, copy })
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#unread.length > 0) setImmediate(() => this.#deliver())
  }

  end(): void {
    this.isLeft = true
    // Some never close.
    if (this.#chance.oneIn(2)) queueMicrotask(() => this.lose(null))
  }

  destroy(): void {
    this.isLeft = true
    queueMicrotask(() => this.lose(null))
  }

  // The script

  open(): void {
    if (this.isClosed || this.isOpen) return
    this.isOpen = true
    this.#guard.guard(() => this.#handler.opened())
  }

  /** Sends bytes, which wait while the client does not read. */
  send(bytes: Uint8Array): void {
    if (this.isClosed || !this.isOpen || bytes.length === 0) return
    this.#unread.push(bytes)
    if (!this.#paused) this.#deliver()
  }

  sendPacket(packet: Packet): void {
    this.send(encodePacket(packet, this.level))
  }

  /** Sends a message of QoS 0. */
  publish(topic: string, text: string): void {
    const rest = {
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      properties: NO_PROPERTIES,
    } as const
    this.sendPacket({ type: PacketType.PUBLISH, topic, payload: Buffer.from(text), ...rest })
  }

  /** The network has too much to send. */
  clog(): void {
    this.bufferedBytes = ABOVE_HIGH_WATER_BYTES
  }

  /** All that was written is sent. */
  drain(): void {
    if (this.isClosed || !this.isOpen) return
    this.bufferedBytes = 0
    for (const { bytes, copy } of this.#kept) {
      if (!Buffer.from(copy).equals(bytes))
        this.badWrite ??= 'it changed bytes that are not its own'
    }
    this.#kept = []
    this.#guard.guard(() => this.#handler.drained())
  }

  lose(error: Error | null): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#unread = []
    this.#guard.guard(() => this.#handler.closed(error))
  }

  /** Answers what the client sent as a good broker does, and sends its messages back to it. */
  serve(): void {
    for (const packet of this.unanswered.splice(0)) {
      for (const answer of answersTo(packet, this.level)) this.sendPacket(answer)
    }
  }

  #deliver(): void {
    for (const bytes of this.#unread.splice(0)) {
      if (this.isClosed) return
      // A transport reads the next chunk into the same buffer.
      const chunk = Uint8Array.from(bytes)
      this.#guard.guard(() => this.#handler.received(chunk))
      chunk.fill(0xee)
    }
  }

  #read(bytes: Uint8Array): void {
    try {
      this.#decoder.push(bytes)
      while (this.#decoder.next()) {
        const { first, bytes: frame, bodyStart, end } = this.#decoder
        if (first >> 4 === PacketType.CONNECT) this.level = levelOf(frame, bodyStart)
        const packet = readClientPacket(first, frame, bodyStart, end, this.level)
        const isConnect = packet.type === PacketType.CONNECT
        if (isConnect === this.#hasConnect) throw new Error('CONNECT is not first, or not alone')
        this.#hasConnect = true
        this.unanswered.push(packet)
      }
    } catch (error) {
      this.badWrite ??= error instanceof Error ? error.message : String(error)
    }
  }
}

/** The level that a CONNECT asks for, after its protocol name. */
function levelOf(bytes: Uint8Array, bodyStart: number): ProtocolLevel {
  const level = bytes[bodyStart + 2 + (bytes[bodyStart + 1] ?? 0)]
  return level === 3 || level === 4 ? level : 5
}

/** What a good broker, to which nobody else has subscribed, sends next. */
export function answersTo(packet: ClientPacket, level: ProtocolLevel): Packet[] {
  const properties = NO_PROPERTIES
  switch (packet.type) {
    case PacketType.CONNECT: {
      const { authenticationMethod } = packet.properties
      const with5 = authenticationMethod === undefined ? properties : { authenticationMethod }
      const { CONNACK: type } = PacketType
      return [{ type, sessionPresent: false, reasonCode: 0, properties: with5 }]
    }
    case PacketType.SUBSCRIBE: {
      const reasonCodes = packet.subscriptions.map(({ qos }) => qos)
      return [{ type: PacketType.SUBACK, packetId: packet.packetId, reasonCodes, properties }]
    }
    case PacketType.UNSUBSCRIBE: {
      const reasonCodes = level === 5 ? packet.filters.map(() => 0) : []
      return [{ type: PacketType.UNSUBACK, packetId: packet.packetId, reasonCodes, properties }]
    }
    case PacketType.PUBLISH: {
      if (packet.qos === 0) return []
      const type = packet.qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
      return [{ type, packetId: packet.packetId, reasonCode: 0, properties }]
    }
    case PacketType.PUBREC: {
      if (packet.reasonCode >= 0x80) return []
      return [{ type: PacketType.PUBREL, packetId: packet.packetId, reasonCode: 0, properties }]
    }
    case PacketType.PUBREL:
      return [{ type: PacketType.PUBCOMP, packetId: packet.packetId, reasonCode: 0, properties }]
    case PacketType.PINGREQ:
      return [{ type: PacketType.PINGRESP }]
    case PacketType.AUTH: {
      const { authenticationMethod = '' } = packet.properties
      return [{ type: PacketType.AUTH, reasonCode: 0, properties: { authenticationMethod } }]
    }
    default:
      return []
  }
}
