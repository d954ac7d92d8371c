// hot
// The bytes of one connection, both ways: frames in, one write per turn out. It knows which packets
// may come when; what they mean is the engine's and the session's business.

import {
  type AckPacket,
  Decoder,
  NO_PROPERTIES,
  type Packet,
  PacketError,
  PacketType,
  type ProtocolLevel,
  readServerPacket,
  type ServerPacket,
  type Writer,
} from '@godwit/packet'
import { protocolError } from './errors.ts'
import type { Incoming } from './incoming.ts'
import { FLUSH_BYTES, HIGH_WATER_BYTES } from './limits.ts'
import { giveWriter, takeWriter } from './output.ts'
import { PublishReader } from './publish-reader.ts'
import type { Session } from './session.ts'
import type { Transport, TransportHandler } from './transport.ts'

const { CONNACK, PUBLISH, PUBACK, PUBREL, PUBCOMP, AUTH } = PacketType
const TOPIC_ALIAS_INVALID = 0x94
/** A CONNACK of MQTT 3.1.1 that says "unacceptable protocol version". */
const V3_CONNACK_BODY = 2

/** Who owns a connection. */
export interface ConnectionOwner {
  readonly session: Session
  /** Sees every packet; null for nobody. */
  readonly received: ((packet: Packet) => void) | null
  opened(connection: Connection): void
  bytesReceived(connection: Connection): void
  /** A message came. @returns whether somebody wants it */
  deliver(source: PublishReader, topic: string, incoming: Incoming): boolean
  /** Any packet but PUBLISH and its acknowledgements. */
  handle(connection: Connection, packet: ServerPacket): void
  /** Something must be written at the end of the turn. */
  wantsTurnEnd(): void
  /** The output of this turn has grown large. */
  outputFull(): void
  drained(connection: Connection): void
  /** The peer broke the rules, or a packet could not be written. */
  failed(connection: Connection, error: unknown): void
  closed(connection: Connection, error: Error | null): void
}

/** What the server was told. */
interface ConnectionLimits {
  readonly packetBytesMax: number
  readonly topicAliasMaximum: number
}

// One for all connections: it is used from one call to the next only.
const reader = new PublishReader()
/** A decoder that waits for nothing, null while it is in use. */
let spare: Decoder | null = null

export class Connection implements TransportHandler {
  transport: Transport | null = null
  level: ProtocolLevel
  /** CONNACK has come. */
  established = false
  /** Nothing that comes or goes matters any more. */
  over = false
  private readonly topicAliasMaximum: number
  private readonly owner: ConnectionOwner
  private readonly packetBytesMax: number
  /** Null while no frame has begun. */
  private decoder: Decoder | null = null
  private out: Writer | null = null
  private aliases: Map<number, string> | null = null
  /** What has come while nothing further is to be read, null while that is not so. */
  private kept: Uint8Array[] | null = null

  constructor(owner: ConnectionOwner, level: ProtocolLevel, limits: ConnectionLimits) {
    this.owner = owner
    this.level = level
    this.topicAliasMaximum = limits.topicAliasMaximum
    this.packetBytesMax = limits.packetBytesMax
  }

  opened(): void {
    if (!this.over) this.owner.opened(this)
  }

  received(bytes: Uint8Array): void {
    if (this.over) return
    this.owner.bytesReceived(this)
    if (!this.transport?.canPause) this.readKept()
    this.take(bytes)
    // The transport may reuse the buffer. What has been copied once is not copied again.
    this.kept?.push((this.kept.pop() as Uint8Array).slice())
  }

  /** Reads what was kept, as far as nobody stops it again. */
  resume(): void {
    const kept = this.kept ?? []
    this.kept = null
    for (const bytes of kept) this.take(bytes)
  }

  /** Reads no further than the current frame. */
  hold(): void {
    this.kept ??= []
  }

  /** Readers have had their turn, or there will be none. */
  private readKept(): void {
    while (this.kept !== null) this.resume()
  }

  private take(bytes: Uint8Array): void {
    if (this.kept === null) this.read(bytes)
    else this.kept.push(bytes)
  }

  private read(bytes: Uint8Array): void {
    if (this.over) return
    reader.chunk = (reader.chunk + 1) | 0
    const decoder = this.decoder ?? spare ?? new Decoder(this.packetBytesMax)
    if (decoder === spare) spare = null
    decoder.packetBytesMax = this.packetBytesMax
    this.decoder = null
    try {
      decoder.push(bytes)
      while (decoder.next()) {
        this.frame(decoder.first, decoder.bytes, decoder.bodyStart, decoder.end)
        if (this.over) return
        if (this.kept !== null) {
          this.kept.push(decoder.takeUnread())
          break
        }
      }
    } catch (error) {
      this.owner.failed(this, error)
      return
    }
    // An idle connection has none.
    if (decoder.pendingBytes > 0) this.decoder = decoder
    else spare = decoder
  }

  drained(): void {
    if (!this.over) this.owner.drained(this)
  }

  closed(error: Error | null): void {
    // What was kept may be wrong, and nobody can be told.
    this.transport = null
    this.readKept()
    this.owner.closed(this, error)
  }

  /** The output of this turn. What is large is written at once. */
  writer(): Writer {
    let out = this.out
    if (out === null) {
      out = this.out = takeWriter()
      this.owner.wantsTurnEnd()
    } else if (out.length >= FLUSH_BYTES) {
      this.owner.outputFull()
      out = this.out ??= takeWriter()
    }
    return out
  }

  get hasOutput(): boolean {
    return this.out !== null && this.out.length > 0
  }

  /** Bytes that were collected or written and have not been sent. */
  get bufferedBytes(): number {
    const collected = this.out === null ? 0 : this.out.length
    return collected + (this.transport === null ? 0 : this.transport.bufferedBytes)
  }

  /** Hands what was collected to the transport. @returns whether it takes more */
  flush(): boolean {
    const { out, transport } = this
    if (transport === null) return true
    if (out !== null) {
      this.out = null
      const { bytes, length } = out
      const free = transport.write(length === bytes.length ? bytes : bytes.subarray(0, length))
      if (free) giveWriter(out)
    }
    return transport.bufferedBytes <= HIGH_WATER_BYTES
  }

  /** Stops everything; the transport is closed by whoever calls this. */
  stop(): void {
    this.over = true
    if (this.out !== null) giveWriter(this.out)
    this.out = null
    this.decoder = null
    this.kept = null
  }

  private frame(first: number, bytes: Uint8Array, at: number, end: number): void {
    const type = first >> 4
    if (!this.established) {
      this.frameBeforeConnack(type, first, bytes, at, end)
    } else if (type === PUBLISH) {
      this.publish(first, bytes, at, end)
    } else if (type >= PUBACK && type <= PUBCOMP) {
      this.ack(type, first, bytes, at, end)
    } else {
      const packet = readServerPacket(first, bytes, at, end, this.level)
      this.owner.received?.(packet)
      if (type === CONNACK) protocolError('a second CONNACK')
      this.owner.handle(this, packet)
    }
  }

  private frameBeforeConnack(
    type: number,
    first: number,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): void {
    if (type !== CONNACK && (type !== AUTH || this.level < 5)) {
      protocolError(`packet type ${type} before CONNACK`) // [MQTT-3.2.0-1]
    }
    // A server that does not know MQTT 5.0 refuses in its own format.
    const old = this.level === 5 && type === CONNACK && end - at === V3_CONNACK_BODY
    if (old && bytes[at + 1] !== 0) this.level = 4
    const packet = readServerPacket(first, bytes, at, end, this.level)
    this.owner.received?.(packet)
    this.owner.handle(this, packet)
  }

  private publish(first: number, bytes: Uint8Array, at: number, end: number): void {
    reader.read(first, bytes, at, end, this.level)
    if (this.owner.received !== null) this.owner.received(reader.toPacket())
    const alias = reader.properties.topicAlias
    const topic = alias === undefined ? reader.topic : this.resolve(alias, reader.topic)
    const { incoming } = this.owner.session
    if (reader.qos === 0) {
      this.owner.deliver(reader, topic, incoming)
      return
    }
    if (!incoming.begin(reader.packetId, reader.qos, reader.dup)) return
    this.owner.deliver(reader, topic, incoming)
    incoming.end()
  }

  private resolve(alias: number, topic: string): string {
    if (alias === 0 || alias > this.topicAliasMaximum) {
      const text = `topic alias ${alias}, the maximum is ${this.topicAliasMaximum}`
      throw new PacketError('topic-alias-invalid', TOPIC_ALIAS_INVALID, text) // [MQTT-3.3.2-10]
    }
    this.aliases ??= new Map()
    if (topic !== '') {
      this.aliases.set(alias, topic)
      return topic
    }
    const known = this.aliases.get(alias)
    if (known === undefined) protocolError(`topic alias ${alias} stands for nothing`)
    return known
  }

  private ack(type: number, first: number, bytes: Uint8Array, at: number, end: number): void {
    const { session } = this.owner
    const plain = end - at === 2 && this.owner.received === null
    if (plain && first === ((type << 4) | (type === PUBREL ? 2 : 0))) {
      const packetId = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
      if (packetId === 0) protocolError('packet identifier 0')
      session.acknowledged(type, packetId, 0, NO_PROPERTIES)
      return
    }
    const packet = readServerPacket(first, bytes, at, end, this.level) as AckPacket
    this.owner.received?.(packet)
    session.acknowledged(type, packet.packetId, packet.reasonCode, packet.properties)
  }
}
