// The bytes of one connection, both ways: frames in, one write per turn out. What the packets mean
// is the session's and the client's business.

import {
  Decoder,
  PacketError,
  PacketType,
  type ProtocolLevel,
  type PublishPacket,
  readServerPacket,
  type ServerPacket,
  Writer,
} from '@godwit/packet'
import { protocolError } from '../errors.ts'
import { HIGH_WATER_BYTES } from '../limits.ts'
import type { Transport, TransportHandler } from '../transport.ts'

const { CONNACK, PUBLISH } = PacketType
const TOPIC_ALIAS_INVALID = 0x94
/** A CONNACK of MQTT 3.1.1 that says "unacceptable protocol version". */
const V3_CONNACK_BODY = 2

export interface ConnectionOwner {
  opened(connection: Connection): void
  bytesReceived(): void
  /** @throws PacketError when the server must not send that */
  packet(connection: Connection, packet: ServerPacket): void
  drained(connection: Connection): void
  /** The server broke the rules. */
  broken(connection: Connection, error: unknown): void
  transportClosed(connection: Connection, error: Error | null): void
}

export class Connection implements TransportHandler {
  transport: Transport | null = null
  level: ProtocolLevel
  /** CONNACK has come. */
  established = false
  /** Nothing that comes matters any more. */
  over = false
  readonly out: Writer = new Writer()
  private readonly owner: ConnectionOwner
  private readonly decoder: Decoder
  private readonly topicAliasMaximum: number
  private readonly aliases = new Map<number, string>()

  constructor(
    owner: ConnectionOwner,
    level: ProtocolLevel,
    packetBytesMax: number,
    topicAliasMaximum: number,
  ) {
    this.owner = owner
    this.level = level
    this.decoder = new Decoder(packetBytesMax)
    this.topicAliasMaximum = topicAliasMaximum
  }

  opened(): void {
    if (!this.over) this.owner.opened(this)
  }

  received(bytes: Uint8Array): void {
    const { decoder } = this
    if (this.over) return
    this.owner.bytesReceived()
    try {
      decoder.push(bytes)
      while (!this.over && decoder.next()) {
        // What is kept of a message must not be a view on the chunk.
        this.frame(decoder.first, decoder.bytes.slice(decoder.bodyStart, decoder.end))
      }
    } catch (error) {
      this.owner.broken(this, error)
    }
  }

  drained(): void {
    if (!this.over) this.owner.drained(this)
  }

  closed(error: Error | null): void {
    this.owner.transportClosed(this, error)
  }

  /** Hands what was collected to the transport. @returns whether it takes more */
  flush(): boolean {
    const { out, transport } = this
    if (transport === null) return true
    if (out.length > 0) transport.write(out.finish())
    out.reset()
    return transport.bufferedBytes <= HIGH_WATER_BYTES
  }

  private frame(first: number, body: Uint8Array): void {
    const type = first >> 4
    if (!this.established && type === CONNACK && body.length === V3_CONNACK_BODY) {
      // A server that does not know MQTT 5.0 refuses in its own format.
      if (this.level === 5 && body[1] !== 0) this.level = 4
    }
    if (this.established === (type === CONNACK)) {
      protocolError(`packet type ${type} is out of turn`) // [MQTT-3.2.0-1] [MQTT-3.2.0-2]
    }
    let packet = readServerPacket(first, body, 0, body.length, this.level)
    if (packet.type === PUBLISH) packet = this.resolve(packet)
    this.owner.packet(this, packet)
  }

  /** With its topic, if it came with an alias. */
  private resolve(packet: PublishPacket): PublishPacket {
    const { topicAlias } = packet.properties
    if (topicAlias === undefined) return packet
    // [MQTT-3.3.2-10]
    if (topicAlias > this.topicAliasMaximum) {
      throw new PacketError('topic-alias-invalid', TOPIC_ALIAS_INVALID, `alias ${topicAlias}`)
    }
    const topic = packet.topic || this.aliases.get(topicAlias)
    if (topic === undefined) protocolError(`topic alias ${topicAlias} stands for nothing`)
    this.aliases.set(topicAlias, topic)
    return { ...packet, topic }
  }
}
