// A client of the load: keeps its half of the session as the standard wants it, over as many
// connections as it takes, and writes everything that matters into the ledger.

import {
  type AckPacket,
  type ClientPacket,
  type ConnackPacket,
  NO_PROPERTIES,
  PacketIds,
  PacketType,
  type Properties,
  type PublishPacket,
  type QoS,
  type ServerPacket,
  type Will,
} from '@godwit/packet'
import type { Chance } from '../support/chance.ts'
import { after } from '../support/time.ts'
import type { LedgerSink, LedgerWill } from './ledger.ts'
import { Link } from './link.ts'
import { idOf, payloadOf } from './payloads.ts'

const DAY_SECONDS = 86_400
const FAILURE = 0x80
const KEEP_ALIVE_SECONDS = 600
const HELD_MS_MAX = 40

export interface ClientOptions {
  readonly clientId: string
  readonly level: 4 | 5
  readonly clean: boolean
  /** In MQTT 3.1.1 there is no such number: with clean session 0, else a day. */
  readonly expirySeconds: number
  /** Of MQTT 5.0; 0: the largest. */
  readonly receiveMaximum: number
  /** How often an acknowledgement takes its time. */
  readonly holds: number
}

export interface Outgoing {
  readonly id: string
  readonly topic: string
  readonly qos: QoS
  readonly retain: boolean
  readonly clears: boolean
  readonly expirySeconds: number
}

interface Unfinished {
  readonly message: Outgoing
  acknowledged: boolean
}

/** What is not as in the options, for one connection. */
export interface HowToConnect {
  readonly will?: LedgerWill | null
  readonly clean?: boolean
  readonly expirySeconds?: number
}

/** What the clients of one load share. */
export interface World {
  readonly chance: Chance
  ledger: LedgerSink
  /** The last message that cleared a topic: it has no payload that would say so. */
  readonly clears: Map<string, string>
}

export class Client {
  readonly options: ClientOptions
  /** CONNACK has come and the connection has not ended. */
  ready = false
  /** A connection is there, or being made. */
  linked = false
  /** The code of the last CONNACK. */
  code = 0
  /** Called for each message that comes. */
  onMessage: (id: string, topic: string) => void = () => undefined
  /** Called for each PUBACK and PUBREC that was awaited. */
  onAcknowledged: (id: string, code: number) => void = () => undefined
  private readonly world: World
  private link: Link | null = null
  private connection = 0
  private readonly ids = new PacketIds()
  private readonly unfinished = new Map<number, Unfinished>()
  private readonly received = new Map<number, string>()
  private readonly answers = new Map<number, (codes: readonly number[] | null) => void>()
  private pings: ((came: boolean) => void)[] = []
  private held: ClientPacket[] = []
  private settleConnect: ((ready: boolean) => void) | null = null
  private settleClose: (() => void) | null = null

  constructor(world: World, options: ClientOptions) {
    this.world = world
    this.options = options
  }

  get clientId(): string {
    return this.options.clientId
  }

  /** QoS 1 and 2 messages that are not finished. */
  get unfinishedCount(): number {
    return this.unfinished.size
  }

  /**
   * Connects, in place of the connection that there may be. @returns whether the broker let it in
   */
  connect(port: number, how: HowToConnect = {}): Promise<boolean> {
    this.dropLink()
    const connection = ++this.connection
    const { clientId: client, level } = this.options
    const { will = null, clean = this.options.clean } = how
    const { expirySeconds = this.options.expirySeconds } = how
    this.world.ledger.add({ op: 'connect', client, connection, clean, expirySeconds, will })
    this.linked = true
    const link = new Link(port, level, {
      packet: packet => {
        if (this.link === link) this.take(packet)
      },
      broken: error => this.odd(`sent what is no packet: ${error}`),
      closed: () => {
        this.world.ledger.add({ op: 'closed', client, connection })
        if (this.link === link) this.dropLink()
      },
    })
    this.link = link
    link.send(connectPacket(this.options, { will, clean, expirySeconds }))
    return new Promise<boolean>(resolve => {
      this.settleConnect = resolve
    })
  }

  /** Goes with DISCONNECT 0x00. Resolves when the broker has closed. */
  disconnect(): Promise<void> {
    const { link } = this
    if (link === null || !this.ready) {
      this.destroy()
      return Promise.resolve()
    }
    const { clientId: client } = this.options
    this.world.ledger.add({ op: 'disconnect', client, connection: this.connection })
    const type = PacketType.DISCONNECT
    link.send({ type, reasonCode: 0, properties: NO_PROPERTIES })
    this.ready = false
    return new Promise(resolve => {
      this.settleClose = resolve
    })
  }

  /** Breaks the connection. */
  destroy(): void {
    const { link } = this
    this.dropLink()
    link?.destroy()
  }

  /** @returns false when there is no connection */
  publish(message: Outgoing): boolean {
    if (!this.ready) return false
    const packetId = message.qos === 0 ? 0 : this.ids.take()
    if (message.qos > 0 && packetId === 0) return false
    if (packetId !== 0) this.unfinished.set(packetId, { message, acknowledged: false })
    if (message.clears) this.world.clears.set(message.topic, message.id)
    this.sendPublish(message, packetId, false)
    return true
  }

  /** @returns the reason code, or -1 when the connection ended before */
  async subscribe(filter: string, qos: QoS): Promise<number> {
    if (!this.ready) return -1
    const client = this.clientId
    this.world.ledger.add({ op: 'subscribe', client, filter, qos })
    const packetId = this.ids.take()
    const request = { filter, qos, noLocal: false, retainAsPublished: false }
    const codes = await this.ask(packetId, {
      type: PacketType.SUBSCRIBE,
      packetId,
      subscriptions: [{ ...request, retainHandling: 0 }],
      properties: NO_PROPERTIES,
    })
    if (codes === null) return -1
    const code = codes[0] ?? FAILURE
    this.world.ledger.add({ op: 'suback', client, filter, code })
    return code
  }

  /** @returns false when the connection ended before the answer */
  async unsubscribe(filter: string): Promise<boolean> {
    if (!this.ready) return false
    const client = this.clientId
    this.world.ledger.add({ op: 'unsubscribe', client, filter })
    const packetId = this.ids.take()
    const properties = NO_PROPERTIES
    const type = PacketType.UNSUBSCRIBE
    const codes = await this.ask(packetId, { type, packetId, filters: [filter], properties })
    if (codes === null) return false
    this.world.ledger.add({ op: 'unsuback', client, filter })
    return true
  }

  /** @returns false when the connection ended before the answer */
  ping(): Promise<boolean> {
    if (!this.ready) return Promise.resolve(false)
    this.link?.send({ type: PacketType.PINGREQ })
    return new Promise(resolve => this.pings.push(resolve))
  }

  private ask(packetId: number, packet: ClientPacket): Promise<readonly number[] | null> {
    this.link?.send(packet)
    return new Promise(resolve => this.answers.set(packetId, resolve))
  }

  private sendPublish(message: Outgoing, packetId: number, again: boolean): void {
    const { id, topic, qos, retain, clears, expirySeconds } = message
    const client = this.clientId
    this.world.ledger.add({
      ...{ op: 'try', id, client, topic, qos, retain, clears, expirySeconds, again },
    })
    const expires = this.options.level === 5 && expirySeconds >= 0
    this.link?.send({
      type: PacketType.PUBLISH,
      topic,
      payload: clears ? new Uint8Array(0) : payloadOf(id),
      qos,
      retain,
      dup: again,
      packetId,
      properties: expires ? { messageExpiryInterval: expirySeconds } : NO_PROPERTIES,
    })
  }

  private take(packet: ServerPacket): void {
    switch (packet.type) {
      case PacketType.CONNACK:
        this.takeConnack(packet)
        break
      case PacketType.PUBLISH:
        this.takePublish(packet)
        break
      case PacketType.PUBACK:
      case PacketType.PUBREC:
        this.takeAcknowledgement(packet)
        break
      case PacketType.PUBREL:
        this.received.delete(packet.packetId)
        this.acknowledge(PacketType.PUBCOMP, packet.packetId)
        break
      case PacketType.PUBCOMP:
        if (this.unfinished.delete(packet.packetId)) this.ids.release(packet.packetId)
        break
      case PacketType.SUBACK:
      case PacketType.UNSUBACK: {
        const settle = this.answers.get(packet.packetId)
        if (settle === undefined) this.odd(`got an answer to ${packet.packetId}, nothing was asked`)
        this.answers.delete(packet.packetId)
        this.ids.release(packet.packetId)
        settle?.(packet.reasonCodes)
        break
      }
      case PacketType.PINGRESP:
        this.pings.shift()?.(true)
        break
      case PacketType.DISCONNECT:
        // The broker closes next; whether it should have is judged by what is lost.
        break
      default:
        this.odd(`got a packet of type ${packet.type}`)
    }
  }

  private takeConnack(packet: ConnackPacket): void {
    const { sessionPresent: present, reasonCode: code } = packet
    const client = this.clientId
    this.world.ledger.add({ op: 'connack', client, connection: this.connection, present, code })
    this.code = code
    this.ready = code === 0
    if (!present) {
      // The other half of the session is gone: what was under way is nobody's any more.
      this.received.clear()
      for (const packetId of this.unfinished.keys()) this.ids.release(packetId)
      this.unfinished.clear()
    }
    for (const [packetId, { message, acknowledged }] of this.unfinished) {
      if (acknowledged) this.sendAck(PacketType.PUBREL, packetId)
      else this.sendPublish(message, packetId, true)
    }
    this.settleConnect?.(this.ready)
    this.settleConnect = null
  }

  private takePublish(packet: PublishPacket): void {
    const { topic, payload, qos, dup, retain, packetId } = packet
    const client = this.clientId
    const { ledger } = this.world
    const id = payload.length === 0 ? (this.world.clears.get(topic) ?? '') : idOf(payload)
    const firstId = qos === 2 ? this.received.get(packetId) : undefined
    if (firstId !== undefined) ledger.add({ op: 'repeat', client, id, dup, firstId })
    else {
      const { connection } = this
      ledger.add({ op: 'got', client, connection, id, topic, qos, dup, retain, packetId })
    }
    if (qos === 2) this.received.set(packetId, id)
    if (qos > 0) this.acknowledge(qos === 1 ? PacketType.PUBACK : PacketType.PUBREC, packetId)
    if (firstId === undefined) this.onMessage(id, topic)
  }

  private takeAcknowledgement({ type, packetId, reasonCode }: AckPacket): void {
    const known = this.unfinished.get(packetId)
    const isPuback = type === PacketType.PUBACK
    if (known === undefined || (known.message.qos === 1) !== isPuback) {
      this.odd(`got PUBACK or PUBREC for ${packetId}, which awaits none`)
      return
    }
    if (!known.acknowledged) {
      this.world.ledger.add({ op: 'ack', id: known.message.id, code: reasonCode })
      this.onAcknowledged(known.message.id, reasonCode)
    }
    known.acknowledged = true
    if (!isPuback && reasonCode < FAILURE) {
      this.sendAck(PacketType.PUBREL, packetId)
      return
    }
    this.unfinished.delete(packetId)
    this.ids.release(packetId)
  }

  /** In the order in which messages came [MQTT-4.6.0-2], some time later now and then. */
  private acknowledge(type: AckPacket['type'], packetId: number): void {
    const { chance } = this.world
    if (this.held.length === 0 && !chance.happens(this.options.holds)) {
      this.sendAck(type, packetId)
      return
    }
    this.held.push({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
    const { link } = this
    if (this.held.length > 1) return
    after(chance.below(HELD_MS_MAX), () => {
      if (this.link !== link) return
      for (const packet of this.held) link?.send(packet)
      this.held = []
    })
  }

  private sendAck(type: AckPacket['type'], packetId: number): void {
    this.link?.send({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
  }

  /** From here on nothing of the connection counts; it may still be open on the way. */
  private dropLink(): void {
    this.link = null
    this.ready = false
    this.linked = false
    this.held = []
    for (const settle of this.answers.values()) settle(null)
    for (const packetId of this.answers.keys()) this.ids.release(packetId)
    this.answers.clear()
    for (const settle of this.pings) settle(false)
    this.pings = []
    this.settleConnect?.(false)
    this.settleConnect = null
    this.settleClose?.()
    this.settleClose = null
  }

  private odd(text: string): void {
    this.world.ledger.add({ op: 'odd', text: `${this.clientId} ${text}` })
  }
}

function connectPacket(options: ClientOptions, how: Required<HowToConnect>): ClientPacket {
  const { level, clientId, receiveMaximum } = options
  const { will, clean, expirySeconds } = how
  const properties: Properties =
    level === 4
      ? NO_PROPERTIES
      : {
          ...(expirySeconds > 0 ? { sessionExpiryInterval: expirySeconds } : {}),
          ...(receiveMaximum > 0 ? { receiveMaximum } : {}),
        }
  return {
    type: PacketType.CONNECT,
    protocolLevel: level,
    cleanStart: clean,
    keepAliveSeconds: KEEP_ALIVE_SECONDS,
    clientId,
    will: will === null ? null : willPacket(will, level),
    username: null,
    password: null,
    bridge: false,
    properties,
  }
}

function willPacket({ id, topic, qos, delaySeconds }: LedgerWill, level: number): Will {
  const delayed = level === 5 && delaySeconds > 0
  const properties = delayed ? { willDelayInterval: delaySeconds } : NO_PROPERTIES
  return { topic, payload: payloadOf(id), qos: qos as QoS, retain: false, properties }
}

/** @returns options with the usual values */
export function clientOptions(
  clientId: string,
  level: 4 | 5,
  given: Partial<ClientOptions> = {},
): ClientOptions {
  return {
    clientId,
    level,
    clean: false,
    expirySeconds: given.clean === true ? 0 : DAY_SECONDS,
    receiveMaximum: 0,
    holds: 0.1,
    ...given,
  }
}
