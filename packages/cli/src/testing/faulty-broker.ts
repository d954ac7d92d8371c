// A broker for tests that does wrong on purpose: loses, duplicates, reorders, stalls, refuses. It
// keeps no sessions, and forwards at the QoS that a message came with.

import { createServer, type Server, type Socket } from 'node:net'
import {
  type AckPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  parseSharedFilter,
  type QoS,
  readClientPacket,
  topicMatches,
} from '@godwit/packet'

/** What is done with a message. `hold` sends it after the next one. */
export type Fate = 'pass' | 'lose' | 'duplicate' | 'hold'

export interface Faults {
  /** @param number of the message, from 0 */
  readonly fate?: (number: number) => Fate
  /** After so many messages nothing is read or sent for a while. */
  readonly stall?: { readonly after: number; readonly ms: number }
  /** Reason code of CONNACK for the connection with this number. */
  readonly connack?: (number: number) => number
  /** Properties of each CONNACK. */
  readonly limits?: Properties
  /** Reason code of PUBACK and PUBREC. */
  readonly ack?: (number: number) => number
  /** From this message on pings and messages get no answer. */
  readonly deafFrom?: number
  /** How late PUBACK, PUBREC and PUBCOMP leave. */
  readonly ackDelayMs?: number
  /** How often each of them leaves: 0 for a broker that delivers and never acknowledges. */
  readonly acks?: number
  /** What is delivered instead of a payload. */
  readonly payload?: (number: number, payload: Uint8Array) => Uint8Array
  /** On which topic a message is delivered; as it came, without this. */
  readonly deliverOn?: (number: number, topic: string) => string
  /** At which QoS a message is delivered; as it came, without this. */
  readonly deliverAt?: (number: number, qos: QoS) => QoS
  /** What is granted for the QoS that a SUBSCRIBE asks for. */
  readonly grant?: (qos: QoS) => number
  /** Packets of this type get no answer; see `unanswered`. */
  readonly mute?: PacketType
  /** Connections, by number, that get no CONNACK. */
  readonly muteAt?: (number: number) => boolean
  /** The connection that sends this message is broken instead. */
  readonly breakAt?: number
}

export class FaultyBroker {
  /** What was published, fates left out. */
  messages = 0
  connections = 0
  /** Packets that it was mute about. */
  unanswered = 0
  /** CONNECT packets by client id. */
  readonly connects: Map<string, number> = new Map()
  readonly faults: Faults
  private readonly server: Server
  private readonly clients = new Set<FaultyClient>()
  private held: PublishPacket | null = null
  private isStalled = false
  private nextMember = 0
  private waiting: { condition: () => boolean; resolve: () => void }[] = []

  private constructor(faults: Faults) {
    this.faults = faults
    this.server = createServer(socket => {
      this.clients.add(new FaultyClient(socket, this, this.connections++))
      this.changed()
    })
  }

  static async open(faults: Faults = {}): Promise<FaultyBroker> {
    const broker = new FaultyBroker(faults)
    await new Promise<void>(resolve => broker.server.listen(0, '127.0.0.1', resolve))
    return broker
  }

  get port(): number {
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error('it does not listen')
    return address.port
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.socket.destroy()
    await new Promise(resolve => this.server.close(resolve))
  }

  /** Resolves when `condition` is true of what has come. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise(resolve => this.waiting.push({ condition, resolve }))
  }

  changed(): void {
    for (const one of this.waiting) if (one.condition()) one.resolve()
    this.waiting = this.waiting.filter(({ condition }) => !condition())
  }

  get isDeaf(): boolean {
    return this.messages > (this.faults.deafFrom ?? Number.POSITIVE_INFINITY)
  }

  isMuteAbout(type: PacketType, number: number): boolean {
    const { mute, muteAt } = this.faults
    const isMute = type === mute || (type === PacketType.CONNECT && muteAt?.(number) === true)
    if (isMute) this.unanswered++
    return isMute
  }

  get connectionsNow(): number {
    return this.clients.size
  }

  connackFor(number: number): number {
    return this.faults.connack?.(number) ?? 0
  }

  forget(client: FaultyClient): void {
    this.clients.delete(client)
    this.changed()
  }

  /** @returns the reason code to acknowledge with, or null to break the connection */
  publish(packet: PublishPacket): number | null {
    const number = this.messages++
    if (number === this.faults.breakAt) return null
    const reasonCode = this.faults.ack?.(number) ?? 0
    if (reasonCode >= 0x80) return reasonCode
    if (number === this.faults.stall?.after) this.stall(this.faults.stall.ms)
    const bytes = packet.payload.slice()
    const kept = {
      ...packet,
      payload: this.faults.payload?.(number, bytes) ?? bytes,
      topic: this.faults.deliverOn?.(number, packet.topic) ?? packet.topic,
      qos: this.faults.deliverAt?.(number, packet.qos) ?? packet.qos,
    }
    const fate = this.faults.fate?.(number) ?? 'pass'
    if (fate === 'hold' && this.held === null) {
      this.held = kept
      return reasonCode
    }
    if (fate !== 'lose') this.forward(kept)
    if (fate === 'duplicate') this.forward(kept)
    const { held } = this
    this.held = null
    if (held !== null) this.forward(held)
    return reasonCode
  }

  get stalled(): boolean {
    return this.isStalled
  }

  private stall(ms: number): void {
    this.isStalled = true
    for (const { socket } of this.clients) socket.pause()
    setTimeout(() => {
      this.isStalled = false
      for (const client of this.clients) client.wake()
    }, ms)
  }

  private forward(packet: PublishPacket): void {
    const groups = new Map<string, FaultyClient[]>()
    for (const client of this.clients) {
      for (const filter of client.filters) {
        const shared = parseSharedFilter(filter)
        if (!topicMatches(shared?.filter ?? filter, packet.topic)) continue
        if (shared === null) client.deliver(packet)
        else groups.set(filter, [...(groups.get(filter) ?? []), client])
        break
      }
    }
    for (const members of groups.values()) {
      members[this.nextMember++ % members.length]?.deliver(packet)
    }
  }
}

class FaultyClient {
  readonly socket: Socket
  readonly filters: string[] = []
  private readonly broker: FaultyBroker
  private readonly number: number
  private readonly decoder = new Decoder(PACKET_BYTES_MAX)
  private level: ProtocolLevel = 5
  private packetId = 0
  private waiting: Packet[] = []

  constructor(socket: Socket, broker: FaultyBroker, number: number) {
    this.socket = socket
    this.broker = broker
    this.number = number
    socket.on('data', chunk => this.bytes(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => broker.forget(this))
  }

  deliver(packet: PublishPacket): void {
    this.packetId = packet.qos === 0 ? 0 : (this.packetId % 65_535) + 1
    const packetId = packet.qos === 0 ? 0 : this.packetId
    this.send({ ...packet, packetId, dup: false, retain: false })
  }

  wake(): void {
    const { waiting } = this
    this.waiting = []
    for (const packet of waiting) this.send(packet)
    this.socket.resume()
  }

  private bytes(chunk: Buffer): void {
    this.decoder.push(chunk)
    while (this.decoder.next()) {
      const { first, bytes, bodyStart, end } = this.decoder
      this.handle(readClientPacket(first, bytes, bodyStart, end, this.level))
    }
    this.broker.changed()
  }

  private handle(packet: Packet): void {
    if (this.broker.isMuteAbout(packet.type, this.number)) return
    const properties = NO_PROPERTIES
    switch (packet.type) {
      case PacketType.CONNECT: {
        this.level = packet.protocolLevel
        const { connects } = this.broker
        connects.set(packet.clientId, (connects.get(packet.clientId) ?? 0) + 1)
        const reasonCode = this.broker.connackFor(this.number)
        const { limits = properties } = this.broker.faults
        this.send({
          type: PacketType.CONNACK,
          sessionPresent: false,
          reasonCode,
          properties: limits,
        })
        break
      }
      case PacketType.SUBSCRIBE: {
        const { packetId, subscriptions } = packet
        this.filters.push(...subscriptions.map(({ filter }) => filter))
        const { grant } = this.broker.faults
        const reasonCodes = subscriptions.map(({ qos }) => grant?.(qos) ?? qos)
        this.send({ type: PacketType.SUBACK, packetId, reasonCodes, properties })
        break
      }
      case PacketType.PUBLISH:
        this.take(packet)
        break
      case PacketType.PUBREC:
        this.acknowledge(PacketType.PUBREL, packet.packetId, 0)
        break
      case PacketType.PUBREL:
        this.acknowledge(PacketType.PUBCOMP, packet.packetId, 0)
        break
      case PacketType.PINGREQ:
        if (!this.broker.isDeaf) this.send({ type: PacketType.PINGRESP })
        break
      case PacketType.DISCONNECT:
        this.socket.end()
        break
    }
  }

  private take(packet: PublishPacket): void {
    const reasonCode = this.broker.publish(packet)
    if (reasonCode === null) this.socket.destroy()
    else if (packet.qos > 0 && !this.broker.isDeaf) {
      const type = packet.qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
      this.acknowledge(type, packet.packetId, reasonCode)
    }
  }

  private acknowledge(type: AckPacket['type'], packetId: number, reasonCode: number): void {
    const { acks = 1, ackDelayMs } = this.broker.faults
    const send = (): void => {
      for (let i = 0; i < acks; i++) {
        this.send({ type, packetId, reasonCode, properties: NO_PROPERTIES })
      }
    }
    if (ackDelayMs === undefined) send()
    else setTimeout(send, ackDelayMs)
  }

  private send(packet: Packet): void {
    if (this.broker.stalled) this.waiting.push(packet)
    else if (this.socket.writable) this.socket.write(encodePacket(packet, this.level))
  }
}
