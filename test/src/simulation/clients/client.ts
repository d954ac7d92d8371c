// A client written on the codec, of any protocol level. It keeps to the protocol; what it does and
// when is decided by its driver (behaviour.ts). Its acknowledgements take time, in order.

import {
  type ConnackPacket,
  type ConnectPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  readPacket,
  type SubscriptionRequest,
  type Will,
} from '@godwit/packet'
import { ScramClient } from '../../support/scram-client.ts'
import { SCRAM_METHOD, SCRAM_PASSWORD, SCRAM_USER, STRANGER } from '../world/late-guard.ts'
import type { Link } from '../world/link.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Schedule } from '../world/schedule.ts'
import { ClientState, type OutgoingMessage, Stage } from './client-state.ts'
import type { Offence } from './offences.ts'
import { RealSession } from './real-session.ts'

export interface ConnectChoice {
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  readonly properties: Properties
  readonly will: Will | null
  /** It comes with a name that may not come in. */
  readonly isStranger: boolean
  /** It forgets its keep alive: whatever it has agreed to, it sends no PINGREQ. */
  readonly isMute: boolean
}

/** Who wants to know what a client has got. */
export interface ClientWatcher {
  /** An application message, after QoS 2 has taken out repetitions. */
  took(client: Client, link: Link, packet: PublishPacket): void
  /** The server did what no client understands. */
  misunderstood(client: Client, text: string): void
  /** CONNACK says no. @param hasHurried it had sent more than CONNECT */
  refused(client: Client, hasHurried: boolean): void
  /** It is going to send what it must not send. */
  offends(link: Link, offence: Offence): void
  /** It begins to prove with a wrong password who it is. */
  lies(link: Link): void
  /** DISCONNECT comes while it says SCRAM again. */
  expelled(client: Client): void
}

export interface ClientOptions {
  readonly id: string
  readonly level: ProtocolLevel
  /** Its session is that of @godwit/client. */
  readonly isReal: boolean
  /** It proves by SCRAM who it is. */
  readonly usesScram: boolean
  /** The longest that it thinks before it acknowledges. */
  readonly ackDelayMsMax: number
}

export type NewMessage = Omit<
  OutgoingMessage,
  'packetId' | 'stage' | 'unsent' | 'counted' | 'isEarly'
>

const PACKET_BYTES_MAX = 10_000_000
const RECEIVE_MAXIMUM = 65_535
const NO_ALIASES = 0
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
/** Flags, lengths and properties of a PUBLISH. */
const HEADER_BYTES_MAX = 160
const NOTHING: Uint8Array = new Uint8Array(0)

export class Client {
  readonly id: string
  readonly level: ProtocolLevel
  readonly state: ClientState = new ClientState()
  link: Link | null = null
  /** CONNACK 0 has come. */
  isOpen = false
  connack: ConnackPacket | null = null
  choice: ConnectChoice | null = null
  offlineSinceMs = 0
  /** It has asked for a clean start and nobody has answered. */
  #isStartingClean = false
  ackDelayMsMax: number
  readonly usesScram: boolean
  /** An exchange that is under way. */
  #scram: ScramClient | null = null
  readonly #real: RealSession | null
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #watcher: ClientWatcher
  #decoder = new Decoder(PACKET_BYTES_MAX)
  #quota = 0
  #expirySeconds: number | null = null
  #answers: Packet[] = []
  #answering = false
  #busyUntilMs = 0
  #aliases = new Map<string, number>()
  #heard = new Map<number, string>()
  #hasHurried = false
  #hasOffended = false

  constructor(
    options: ClientOptions,
    schedule: Schedule,
    random: SeededRandom,
    watcher: ClientWatcher,
  ) {
    this.id = options.id
    this.level = options.level
    this.ackDelayMsMax = options.ackDelayMsMax
    this.usesScram = options.usesScram
    this.#schedule = schedule
    this.#random = random
    this.#watcher = watcher
    const send = (bytes: Uint8Array): void => this.link?.send(bytes)
    this.#real = options.isReal ? new RealSession(send, done => this.#think(done)) : null
  }

  /** Messages of QoS 1 and 2 that are not finished. */
  get outgoingCount(): number {
    return this.#real === null ? this.state.outgoing.length : this.#real.outgoingCount
  }

  /** It has nothing to go back to: it has begun anew, or its session ended with the connection. */
  get wantsCleanStart(): boolean {
    return this.#isStartingClean || (this.level === 5 && this.#expirySeconds === 0)
  }

  /** Opens a connection; the one before, if there is one, is left to the server. */
  connect(link: Link, choice: ConnectChoice): void {
    if (this.link !== null) {
      this.link.client = null
      this.#real?.lost()
      this.offlineSinceMs = this.#schedule.nowMs
    }
    this.link = link
    this.isOpen = false
    this.#hasHurried = false
    this.#hasOffended = false
    this.choice = choice
    this.#isStartingClean = choice.cleanStart
    this.#decoder = new Decoder(PACKET_BYTES_MAX)
    this.#answers = []
    this.#aliases.clear()
    this.#heard.clear()
    link.client = {
      bytes: chunk => this.#bytes(link, chunk),
      closed: () => {
        if (this.link === link) this.#gone()
      },
    }
    const { cleanStart, keepAliveSeconds, will, isStranger } = choice
    const properties = this.usesScram
      ? { ...choice.properties, ...this.#beginScram(isStranger ? STRANGER : SCRAM_PASSWORD) }
      : choice.properties
    // Whatever comes of this connection, the client has given up what was before.
    this.state.endEarly(false)
    if (cleanStart) this.state.forget()
    const packet: ConnectPacket = {
      type: PacketType.CONNECT,
      protocolLevel: this.level,
      cleanStart,
      keepAliveSeconds,
      clientId: this.id,
      will,
      username: isStranger ? STRANGER : null,
      password: null,
      bridge: false,
      properties,
    }
    link.send(encodePacket(packet, this.level))
  }

  /** Other packets may follow CONNECT at once, but where SCRAM has to come between. */
  get mayHurry(): boolean {
    return this.link !== null && !this.isOpen && !this.usesScram
  }

  /**
   * Sends a message behind CONNECT. What the server takes is not known yet: no alias, and no more
   * than one of QoS 1 or 2.
   */
  publishEarly(message: NewMessage): void {
    this.#hasHurried = true
    if (message.qos === 0) {
      this.#send(plainPacketOf({ ...message, ...Unsent }))
      return
    }
    const isBusy = this.state.outgoing.some(({ stage }) => stage !== Stage.WAITING)
    if (this.#real !== null || isBusy) return
    const early = { ...message, ...Unsent, packetId: this.state.freeId(), isEarly: true }
    this.#send(plainPacketOf(early))
    this.state.outgoing.unshift({ ...early, stage: Stage.SENT, unsent: false, counted: true })
  }

  /** Says DISCONNECT and closes. */
  disconnect(reasonCode: number, properties: Properties): void {
    const link = this.link
    if (link === null) return
    this.#expirySeconds = properties.sessionExpiryInterval ?? this.#expirySeconds
    this.#send({ type: PacketType.DISCONNECT, reasonCode, properties })
    link.close()
    this.#gone()
  }

  /** Leaves without a word. */
  leave(): void {
    this.link?.close()
    this.#gone()
  }

  subscribe(subscriptions: readonly SubscriptionRequest[], identifier: number): void {
    const properties = identifier === 0 ? NO_PROPERTIES : { subscriptionIdentifiers: [identifier] }
    const packetId = this.state.freeId()
    this.#hasHurried ||= !this.isOpen
    this.#send({ type: PacketType.SUBSCRIBE, packetId, subscriptions, properties })
  }

  unsubscribe(filters: readonly string[]): void {
    const packetId = this.state.freeId()
    this.#send({ type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES })
  }

  /** Proves once more who it is, or fails to. */
  reauthenticate(password: string): void {
    const { link } = this
    if (!this.usesScram || !this.isOpen || this.#scram !== null || link === null) return
    if (password !== SCRAM_PASSWORD) this.#watcher.lies(link)
    this.#send({ type: PacketType.AUTH, reasonCode: 0x19, properties: this.#beginScram(password) })
  }

  #beginScram(password: string): Properties {
    this.#scram = new ScramClient(SCRAM_USER, password)
    return { authenticationMethod: SCRAM_METHOD, authenticationData: this.#scram.first }
  }

  #auth(reasonCode: number, data: Uint8Array): void {
    const scram = this.#scram
    if (scram === null) {
      this.#watcher.misunderstood(this, 'AUTH came and nothing is under way')
      return
    }
    if (reasonCode === 0x18) {
      const authenticationData = scram.final(data)
      const properties = { authenticationMethod: SCRAM_METHOD, authenticationData }
      this.#send({ type: PacketType.AUTH, reasonCode, properties })
      return
    }
    this.#scram = null
    if (!scram.accepts(data)) this.#watcher.misunderstood(this, 'the server has no proof')
  }

  /** Sends what it must not send. */
  offend(offence: Offence): void {
    const { link } = this
    if (link === null || this.#hasOffended) return
    this.#hasOffended = true
    this.#watcher.offends(link, offence)
    link.send(offence.bytes)
  }

  /** How many messages go beyond what the server takes at once; 0: it cannot tell. */
  get tooMany(): number {
    const most = this.connack?.properties.receiveMaximum ?? RECEIVE_MAXIMUM
    const isFree = this.#real === null && this.state.outgoing.length === 0 && this.#quota === most
    return this.level === 5 && isFree && !this.#hasOffended ? most + 1 : 0
  }

  /** Sends `tooMany` messages of QoS 2. @param isSure none of them will be refused before */
  overrun(messages: readonly NewMessage[], isSure: boolean): void {
    for (const message of messages.slice(0, -1)) this.publish(message)
    const last = messages.at(-1)
    if (last === undefined || this.#quota !== 0) return
    const packetId = this.state.freeId()
    const own = { ...last, ...Unsent, packetId, stage: Stage.SENT, unsent: false, counted: true }
    const bytes = encodePacket({ ...plainPacketOf(own), dup: false }, this.level)
    this.state.outgoing.push(own)
    this.#quota--
    const name = 'more messages than the server takes at once'
    this.offend({ name, bytes, reasonCode: RECEIVE_MAXIMUM_EXCEEDED, isHeader: false, isSure })
  }

  publish(message: NewMessage): void {
    if (this.#isTooLarge(message)) return
    if (this.#real !== null) {
      this.#real.publish(message)
      return
    }
    if (message.qos === 0) {
      if (this.isOpen) this.#send(this.#packetOf({ ...message, ...Unsent }))
      return
    }
    this.state.outgoing.push({ ...message, ...Unsent })
    this.#pump()
  }

  /** Before MQTT 5.0 only the server knows how long. */
  #expiryOf(choice: ConnectChoice): number | null {
    if (this.level === 5) return choice.properties.sessionExpiryInterval ?? 0
    return choice.cleanStart ? 0 : null
  }

  #isTooLarge(message: NewMessage): boolean {
    const most = this.connack?.properties.maximumPacketSize ?? PACKET_BYTES_MAX
    return message.payload.length + message.topic.length + HEADER_BYTES_MAX > most
  }

  #gone(): void {
    this.#scram = null
    this.#real?.lost()
    this.link = null
    this.isOpen = false
    this.offlineSinceMs = this.#schedule.nowMs
  }

  #send(packet: Packet): void {
    this.link?.send(encodePacket(packet, this.level))
  }

  #keepAlive(link: Link, seconds: number): void {
    this.#schedule.after(seconds * 700, () => {
      if (this.link !== link) return
      if (this.isOpen) this.#send({ type: PacketType.PINGREQ })
      this.#keepAlive(link, seconds)
    })
  }

  #bytes(link: Link, chunk: Uint8Array): void {
    this.#decoder.push(chunk)
    while (this.link === link && this.#decoder.next()) {
      const { first, bytes, bodyStart, end } = this.#decoder
      this.#packet(link, readPacket(first, bytes, bodyStart, end, this.level, 'server'))
    }
  }

  #packet(link: Link, packet: Packet): void {
    switch (packet.type) {
      case PacketType.CONNACK:
        this.#connack(packet)
        break
      case PacketType.AUTH:
        this.#auth(packet.reasonCode, packet.properties.authenticationData ?? NOTHING)
        break
      case PacketType.PUBLISH:
        this.#publish(link, packet)
        break
      case PacketType.PUBREL:
        if (this.#real !== null) {
          this.#real.acknowledged(packet.type, packet.packetId, packet.reasonCode)
          break
        }
        this.state.incoming.delete(packet.packetId)
        this.#answer(PacketType.PUBCOMP, packet.packetId)
        break
      case PacketType.PUBACK:
      case PacketType.PUBREC:
      case PacketType.PUBCOMP:
        this.#acknowledged(packet.type, packet.packetId, packet.reasonCode)
        break
      case PacketType.DISCONNECT:
        if (this.#scram !== null) this.#watcher.expelled(this)
        this.leave()
        break
      default:
    }
  }

  #connack(packet: ConnackPacket): void {
    if (packet.reasonCode !== 0) {
      this.#watcher.refused(this, this.#hasHurried)
      this.state.endEarly(true)
      this.leave()
      return
    }
    if (this.usesScram) this.#auth(0, packet.properties.authenticationData ?? NOTHING)
    this.isOpen = true
    this.#isStartingClean = false
    this.connack = packet
    if (this.choice !== null) this.#expirySeconds = this.#expiryOf(this.choice)
    const asked = this.choice?.keepAliveSeconds ?? 0
    const keepAliveSeconds = packet.properties.serverKeepAlive ?? asked
    const { link } = this
    const pings = keepAliveSeconds > 0 && this.choice?.isMute !== true
    if (pings && link !== null) this.#keepAlive(link, keepAliveSeconds)
    this.#quota = packet.properties.receiveMaximum ?? RECEIVE_MAXIMUM
    // MQTT 3.1 does not say whether there was a session.
    const isLost = this.level === 3 ? this.choice?.cleanStart : !packet.sessionPresent
    if (this.#real !== null) {
      const most = this.choice?.properties.receiveMaximum ?? RECEIVE_MAXIMUM
      this.#real.opened(this.level, packet, most, isLost !== true)
      return
    }
    if (isLost) this.state.forget()
    this.state.rewind()
    this.#quota -= this.state.outgoing.filter(message => message.isEarly).length
    for (const message of this.state.outgoing) {
      if (message.stage !== Stage.RELEASED) continue
      message.unsent = false
      this.#release(message.packetId)
    }
    this.#pump()
  }

  #release(packetId: number): void {
    this.#send({ type: PacketType.PUBREL, packetId, reasonCode: 0, properties: NO_PROPERTIES })
  }

  /** Sends what the server's window has room for, in order. */
  #pump(): void {
    if (!this.isOpen) return
    for (const message of this.state.outgoing) {
      if (!message.unsent) continue
      if (this.#quota <= 0) return
      const packet = this.#packetOf(message)
      message.unsent = false
      message.counted = true
      message.stage = Stage.SENT
      this.#quota--
      this.#send(packet)
    }
  }

  #packetOf(message: OutgoingMessage): PublishPacket {
    if (message.qos > 0 && message.stage === Stage.WAITING) message.packetId = this.state.freeId()
    const { topic } = message
    const alias = this.#aliasOf(topic)
    const isKnown = alias !== NO_ALIASES && this.#aliases.get(topic) === alias
    if (alias !== NO_ALIASES) this.#aliases.set(topic, alias)
    const packet = plainPacketOf(message)
    if (alias === NO_ALIASES) return packet
    const properties = { ...message.properties, topicAlias: alias }
    return { ...packet, topic: isKnown ? '' : topic, properties }
  }

  /** Sometimes an alias, among those that the server allows; a topic may lose its alias again. */
  #aliasOf(topic: string): number {
    const most = this.connack?.properties.topicAliasMaximum ?? 0
    if (this.level !== 5 || most === 0 || this.#random.chance(0.5)) return NO_ALIASES
    const known = this.#aliases.get(topic)
    if (known !== undefined) return known
    const alias = this.#random.between(1, most)
    for (const [other, taken] of this.#aliases) if (taken === alias) this.#aliases.delete(other)
    return alias
  }

  #publish(link: Link, packet: PublishPacket): void {
    const known = this.#resolve(packet)
    if (packet.qos === 0) {
      this.#watcher.took(this, link, known)
      return
    }
    if (this.#real !== null) {
      this.#real.received(packet, () => this.#watcher.took(this, link, known))
      return
    }
    if (packet.qos === 1) {
      this.#watcher.took(this, link, known)
      this.#answer(PacketType.PUBACK, packet.packetId)
      return
    }
    // A client that never got the CONNACK which said that its session was gone knows it by this.
    if (!packet.dup || !this.state.incoming.has(packet.packetId)) {
      this.state.incoming.add(packet.packetId)
      this.#watcher.took(this, link, known)
    }
    this.#answer(PacketType.PUBREC, packet.packetId)
  }

  #resolve(packet: PublishPacket): PublishPacket {
    const alias = packet.properties.topicAlias
    if (alias === undefined) return packet
    if (packet.topic !== '') {
      this.#heard.set(alias, packet.topic)
      return packet
    }
    const topic = this.#heard.get(alias)
    if (topic === undefined) this.#watcher.misunderstood(this, `alias ${alias} stands for nothing`)
    return { ...packet, topic: topic ?? '' }
  }

  #acknowledged(type: number, packetId: number, reasonCode: number): void {
    if (this.#real !== null) {
      this.#real.acknowledged(type, packetId, reasonCode)
      return
    }
    const message = this.state.find(packetId)
    if (message === undefined) return
    const isRefused = reasonCode >= 0x80
    if (type === PacketType.PUBREC && !isRefused) {
      message.stage = Stage.RELEASED
      this.#release(packetId)
      return
    }
    this.state.remove(message)
    if (message.counted) this.#quota++
    this.#pump()
  }

  /** The user of the real session: he deals with one message after the other. */
  #think(done: () => void): void {
    const { nowMs } = this.#schedule
    const doneMs = nowMs + this.#random.below(this.ackDelayMsMax + 1)
    this.#busyUntilMs = Math.max(doneMs, this.#busyUntilMs)
    this.#schedule.after(this.#busyUntilMs - nowMs, done)
  }

  /** Answers go out one after the other, each after a while. */
  #answer(type: 4 | 5 | 6 | 7, packetId: number): void {
    this.#answers.push({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
    if (!this.#answering) this.#answerLater()
  }

  #answerLater(): void {
    this.#answering = true
    this.#schedule.after(this.#random.below(this.ackDelayMsMax + 1), () => {
      const count = this.#random.between(1, 8)
      for (const answer of this.#answers.splice(0, count)) this.#send(answer)
      this.#answering = false
      if (this.#answers.length > 0) this.#answerLater()
    })
  }
}

const Unsent = {
  packetId: 0,
  stage: Stage.WAITING,
  unsent: true,
  counted: false,
  isEarly: false,
} as const

function plainPacketOf(message: OutgoingMessage): PublishPacket {
  const { topic, payload, qos, retain, packetId, stage, properties } = message
  const dup = stage === Stage.SENT
  return { type: PacketType.PUBLISH, topic, payload, qos, retain, dup, packetId, properties }
}
