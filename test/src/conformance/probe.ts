// What a case has in hand: connections, names of its own, and the steps that many cases share.

import {
  type AckPacket,
  type ConnackPacket,
  type ConnectPacket,
  type DisconnectPacket,
  describePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  type QoS,
  type SubackPacket,
  type UnsubackPacket,
} from '@godwit/packet'
import { elapse } from '../support/elapse.ts'
import { textOf } from './bytes.ts'
import { check, NotApplicable } from './outcome.ts'
import {
  ack,
  type ConnectOptions,
  disconnect,
  publish,
  type Request,
  subscribe,
  unsubscribe,
} from './packets.ts'
import { type Address, type Received, Wire } from './wire.ts'

const SESSION_SECONDS = 300
const BARRIER = 'the barrier'

/** A connection whose CONNECT was accepted. */
export class Client {
  readonly wire: Wire
  readonly id: string
  readonly connack: ConnackPacket
  readonly #probe: Probe
  #lastPacketId = 100

  constructor(probe: Probe, wire: Wire, id: string, connack: ConnackPacket) {
    this.#probe = probe
    this.wire = wire
    this.id = id
    this.connack = connack
  }

  send(...all: readonly (Packet | Uint8Array)[]): void {
    this.wire.send(...all)
  }

  packetId(): number {
    return ++this.#lastPacketId
  }

  /** Subscribes, and checks that every filter is granted. */
  async subscribe(
    requests: Request | readonly Request[],
    properties: Properties = NO_PROPERTIES,
  ): Promise<SubackPacket> {
    const all = Array.isArray(requests) ? (requests as readonly Request[]) : [requests as Request]
    const packetId = this.packetId()
    this.send(subscribe(packetId, all, properties))
    const suback = await this.wire.expect(PacketType.SUBACK)
    const refused = suback.reasonCodes.some(code => code >= 0x80)
    check(!refused, `expected a granted subscription, came ${describePacket(suback)}`)
    return suback
  }

  async unsubscribe(...filters: string[]): Promise<UnsubackPacket> {
    this.send(unsubscribe(this.packetId(), filters))
    return await this.wire.expect(PacketType.UNSUBACK)
  }

  /**
   * Publishes, and goes through the handshake of the message's QoS.
   * @returns PUBACK or PUBREC; null at QoS 0
   */
  async publish(
    topic: string,
    payload: string,
    options: Partial<PublishPacket> = {},
  ): Promise<AckPacket | null> {
    const qos = options.qos ?? 0
    const packetId = qos === 0 ? 0 : (options.packetId ?? this.packetId())
    this.send(publish(topic, payload, { packetId, ...options }))
    if (qos === 0) return null
    const wanted = qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
    const answer = await this.acknowledged(wanted, packetId)
    if (qos === 2 && answer.reasonCode < 0x80) await this.release(packetId)
    return answer
  }

  /** Sends PUBREL, takes PUBCOMP. */
  async release(packetId: number): Promise<AckPacket> {
    this.send(ack(PacketType.PUBREL, packetId))
    return await this.acknowledged(PacketType.PUBCOMP, packetId)
  }

  async acknowledged(type: AckPacket['type'], packetId: number): Promise<AckPacket> {
    const what = `${describePacket(ack(type, packetId))}`
    const { packet } = await this.wire.receive(what, other => {
      return other.type === type && other.packetId === packetId
    })
    return packet as AckPacket
  }

  /** Takes the handshake of a message that came to its end. */
  async finish(message: PublishPacket): Promise<void> {
    const { qos, packetId } = message
    if (qos === 1) this.send(ack(PacketType.PUBACK, packetId))
    if (qos !== 2) return
    this.send(ack(PacketType.PUBREC, packetId))
    await this.acknowledged(PacketType.PUBREL, packetId)
    this.send(ack(PacketType.PUBCOMP, packetId))
  }

  /** The next message, whose payload is checked where it is given. */
  async message(payload?: string): Promise<PublishPacket> {
    const message = await this.wire.expect(PacketType.PUBLISH)
    if (payload !== undefined) {
      const text = describePacket(message)
      check(textOf(message.payload) === payload, `expected the message "${payload}", came ${text}`)
    }
    return message
  }

  /** PINGREQ and PINGRESP: whatever was sent before has been handled. */
  async ping(): Promise<void> {
    this.send({ type: PacketType.PINGREQ })
    await this.wire.expect(PacketType.PINGRESP)
  }

  /**
   * All messages that came until a message of `by`, published now, has come as well: nothing that
   * was published before can come any more.
   */
  async messages(by: Client): Promise<PublishPacket[]> {
    // Not below a topic of the case, whose filters must not match it.
    const topic = `barrier/${this.#probe.id()}`
    await this.subscribe(topic)
    by.send(publish(topic, BARRIER))
    const isBarrier = (packet: Packet): boolean =>
      packet.type === PacketType.PUBLISH && textOf(packet.payload) === BARRIER
    await this.wire.receive('the message of the barrier', isBarrier)
    await this.ping()
    const all: PublishPacket[] = []
    while (this.wire.inbox.some(({ packet }) => packet.type === PacketType.PUBLISH)) {
      all.push(await this.wire.expect(PacketType.PUBLISH))
    }
    return all
  }

  /** Nothing that was published before comes: a message of `by`, published now, comes first. */
  async silent(by: Client): Promise<void> {
    const all = await this.messages(by)
    check(all.length === 0, `expected no message, came ${all.map(describePacket).join(', ')}`)
  }

  /**
   * Waits for the end of the connection.
   * @returns the broker's DISCONNECT, or null when it said nothing
   */
  async end(): Promise<DisconnectPacket | null> {
    const rest = await this.wire.end()
    const last = rest.at(-1)?.packet
    return last?.type === PacketType.DISCONNECT ? last : null
  }

  /** Says DISCONNECT and waits for the end, so that the broker has handled it. */
  async leave(reasonCode = 0, properties: Properties = NO_PROPERTIES): Promise<void> {
    this.send(disconnect(reasonCode, properties))
    await this.wire.end()
  }
}

export class Probe {
  readonly level: ProtocolLevel
  readonly address: Address
  /** What went to and fro, a line each. */
  readonly log: string[] = []
  readonly limitMs: number
  readonly #name: string
  readonly #wires: Wire[] = []
  #names = 0

  /** @param name unlike that of any other case, now or later, of letters and digits */
  constructor(address: Address, level: ProtocolLevel, name: string, limitMs: number) {
    this.address = address
    this.level = level
    this.limitMs = limitMs
    this.#name = name
  }

  get v5(): boolean {
    return this.level === 5
  }

  /** A client id that nobody else has, of at most 23 letters and digits. */
  id(): string {
    return `${this.#name}${this.#names++}`
  }

  /** A topic below one that nobody else uses. */
  topic(...levels: string[]): string {
    return ['godwit', this.#name, ...levels].join('/')
  }

  async open(level: ProtocolLevel = this.level): Promise<Wire> {
    const wire = await Wire.open(this.address, level, this.limitMs, this.log)
    this.#wires.push(wire)
    return wire
  }

  connectPacket(options: ConnectOptions = {}): ConnectPacket {
    return {
      type: PacketType.CONNECT,
      protocolLevel: this.level,
      cleanStart: true,
      keepAliveSeconds: 0,
      clientId: options.clientId ?? this.id(),
      will: null,
      username: null,
      password: null,
      bridge: false,
      properties: NO_PROPERTIES,
      ...options,
    }
  }

  /** A client that the broker lets in. */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const wire = await this.open(options.protocolLevel ?? this.level)
    const packet = this.connectPacket(options)
    wire.send(packet)
    const connack = await wire.expectNext(PacketType.CONNACK)
    check(connack.reasonCode === 0, `expected CONNACK 0, came ${describePacket(connack)}`)
    const { assignedClientIdentifier } = connack.properties
    return new Client(this, wire, assignedClientIdentifier ?? packet.clientId, connack)
  }

  /** A client whose session outlives its connection; it resumes the one there is. */
  connectKept(clientId: string, options: ConnectOptions = {}): Promise<Client> {
    const kept = this.v5 ? { sessionExpiryInterval: SESSION_SECONDS } : {}
    const properties = { ...kept, ...options.properties }
    return this.connect({ cleanStart: false, ...options, clientId, properties })
  }

  /** A client that gets whatever is published to the filter. */
  async watch(filter: string, qos: QoS = 0): Promise<Client> {
    const watcher = await this.connect()
    await watcher.subscribe({ filter, qos })
    return watcher
  }

  /**
   * Sends bytes as the first packet and expects to be refused.
   * @returns CONNACK, or null when the broker only ended the connection
   */
  async refused(first: Uint8Array | Packet): Promise<ConnackPacket | null> {
    const wire = await this.open()
    wire.send(first)
    const [only, ...more] = (await wire.end()).map(({ packet }) => packet)
    if (only === undefined) return null
    const came = [only, ...more].map(describePacket).join(', ')
    check(more.length === 0 && only.type === PacketType.CONNACK, `expected no more, came ${came}`)
    check(only.reasonCode !== 0, `expected a refusal, came ${came}`)
    return only
  }

  /** A connected client sends what ends its connection. @returns DISCONNECT, or null */
  async breaks(...all: readonly (Packet | Uint8Array)[]): Promise<DisconnectPacket | null> {
    const client = await this.connect()
    client.send(...all)
    return await client.end()
  }

  /** Time goes by, in which a broker has to do or let something. */
  elapse(ms: number): Promise<void> {
    return elapse(ms)
  }

  /** @throws NotApplicable */
  notApplicable(why: string): never {
    throw new NotApplicable(why)
  }

  /** Every packet has to be no larger than what the client takes. */
  checkSizes(all: readonly Received[], most: number): void {
    const large = all.find(({ bytes }) => bytes.length > most)
    check(large === undefined, `a packet of ${large?.bytes.length} bytes, the maximum is ${most}`)
  }

  close(): void {
    for (const wire of this.#wires) if (!wire.ended) wire.cut()
  }
}
