// Sees all that passes the border of the broker, keeps the facts, and asks the rules at each step.

import type { PublishOptions } from '@godwit/broker/core/broker'
import {
  type ConnectPacket,
  Decoder,
  type Packet,
  PacketType,
  type PublishPacket,
  readPacket,
} from '@godwit/packet'
import type { Offence } from '../clients/offences.ts'
import { dressText } from '../dress.ts'
import { readPayload } from '../payload.ts'
import type { Link } from '../world/link.ts'
import type { Between } from '../world/node.ts'
import { Answers } from './answers.ts'
import {
  type ConnectionEnd,
  type ConnectionRecord,
  Facts,
  NEVER,
  type Publication,
  type WillRecord,
} from './facts.ts'
import { broken } from './failure.ts'
import { Frames } from './frames.ts'
import * as delivery from './rules/delivery.ts'
import * as disconnects from './rules/disconnects.ts'
import * as keepAlive from './rules/keep-alive.ts'
import * as reading from './rules/reading.ts'
import * as retained from './rules/retained.ts'
import * as sessions from './rules/sessions.ts'
import * as subscriptions from './rules/subscriptions.ts'
import * as wills from './rules/wills.ts'
import * as window from './rules/window.ts'

const PACKET_BYTES_MAX = 100_000_000
const FAILURE = 0x80
const GOODBYE = 'the client disconnected'
const SILENT = 'keep alive timed out'
const TAKEN_OVER = 'taken over'
const GAVE_WAY = 'taken over; the other one came from'

export interface ObserverOptions {
  readonly inflightMax: number
  readonly legacySessionExpirySeconds: number
  readonly willDelaySecondsMax: number
  readonly sessionExpirySecondsMax: number
  /** Retained messages may be refused for want of room. */
  readonly retainedMayBeLost: boolean
  /** There will be no crash: what has come at QoS 0 stays. */
  readonly neverCrashes: boolean
  /** What is published on such a topic goes nowhere: somebody has decided that. */
  readonly isSilenced: (topic: string) => boolean
  /** Such a CONNECT must be refused: somebody has decided that. */
  readonly isStranger: (connect: ConnectPacket) => boolean
  /** Each packet, for the history of the run. */
  readonly note: (direction: string, link: Link, packet: Packet) => void
  /** A line for it. */
  readonly tell: (text: string) => void
}

interface Ear {
  readonly incoming: Frames
  readonly outgoing: Decoder
  level: 3 | 4 | 5
  /** When its CONNECT came; 0: it has not. */
  arrivedAt: number
  /** What it has sent against the protocol. */
  offence: Offence | null
}

export class Observer {
  readonly facts: Facts = new Facts()
  readonly #options: ObserverOptions
  readonly #ears = new Map<Link, Ear>()
  readonly #answers: Answers
  readonly #namelessKeys = new Map<string, string>()

  constructor(options: ObserverOptions) {
    this.#options = options
    this.facts.retainedMayBeLost = options.retainedMayBeLost
    this.#answers = new Answers(this.facts, options)
  }

  arrived(link: Link, chunk: Uint8Array): void {
    const ear = this.#earOf(link)
    ear.incoming.push(chunk)
    if (ear.arrivedAt === 0 && ear.incoming.peek() !== null) ear.arrivedAt = ++this.facts.at
    const connection = this.facts.connections.get(link.id)
    if (connection !== undefined) connection.heardMs = this.facts.nowMs
  }

  /** Time has passed, and the broker was awake. */
  passTime(): void {
    for (const link of this.#ears.keys()) {
      const connection = this.facts.connections.get(link.id)
      if (connection === undefined) continue
      keepAlive.passTime(this.facts, connection, link.reading)
      reading.passTime(this.facts, connection, link.reading, link.pendingBytes() > 0)
    }
  }

  incoming(link: Link, packets: number, between: readonly Between[], isOver: boolean): void {
    const ear = this.#earOf(link)
    let told = 0
    for (let count = 0; ; count++) {
      // What ends it without being a packet comes before what was told of the end.
      if (count === packets && isOver) this.#offendsByHeader(link, ear)
      for (let next = between[told]; next && next.packets <= count; next = between[++told]) {
        next.tell()
      }
      if (count === packets) break
      const frame = ear.incoming.next()
      if (frame === null) throw new Error('the broker has handled what has not come')
      const { first, bytes, bodyStart, end } = frame
      if (this.#offends(link, ear, bytes.subarray(0, end), isOver && count === packets - 1))
        continue
      if (first >> 4 === PacketType.CONNECT) ear.level = levelOf(bytes, bodyStart)
      const packet = readPacket(first, bytes, bodyStart, end, ear.level, 'client')
      this.facts.at++
      this.#options.note('->', link, packet)
      this.facts.coverage.incoming(packet)
      this.#read(link, packet, end)
    }
    for (const { tell } of between.slice(told)) tell()
    if (packets > 1) this.facts.coverage.count('several packets come at once')
    if (packets > 0 && ear.incoming.hasPart) this.facts.coverage.count('a packet comes in pieces')
  }

  /** A client says that it is going to send what it must not send. */
  offends(link: Link, offence: Offence): void {
    this.#earOf(link).offence = offence
  }

  /** A client begins to say who it is once more, with a wrong password. */
  lies(link: Link): void {
    const connection = this.facts.connections.get(link.id)
    if (connection !== undefined) connection.hasLied = true
  }

  /** The embedder ends the connection of a client. */
  expels(clientId: string): void {
    const connection = this.facts.attached.get(clientId)
    if (connection !== undefined) connection.isExpelled = true
  }

  /** The broker ends a network connection, after what it has written. */
  ends(link: Link): void {
    const connection = this.facts.connections.get(link.id)
    if (connection !== undefined) disconnects.end(connection)
  }

  /** @returns whether the frame is what it must not be, and has ended the connection */
  #offends(link: Link, ear: Ear, bytes: Uint8Array, isLast: boolean): boolean {
    const { offence } = ear
    if (offence === null || Buffer.compare(offence.bytes, bytes) !== 0) return false
    if (isLast) this.#fault(link, offence)
    else if (offence.isSure) broken('fault', `link ${link.id} goes on after ${offence.name}`)
    return isLast
  }

  #offendsByHeader(link: Link, { offence, incoming }: Ear): void {
    if (offence?.isHeader && incoming.beginsWith(offence.bytes)) this.#fault(link, offence)
  }

  #fault(link: Link, { name, reasonCode }: Offence): void {
    const { facts } = this
    const connection = facts.connections.get(link.id)
    if (connection === undefined) return
    facts.at++
    connection.fault = reasonCode
    facts.coverage.count('a client breaks the protocol')
    this.#options.tell(`link ${link.id} has sent ${name}`)
  }

  /** The embedder has published: nobody acknowledges that, but it is kept like anything else. */
  embedded(message: PublishOptions, reasonCode: number): void {
    const { facts } = this
    facts.at++
    const { topic, payload, qos, retain, properties } = message
    const isEmpty = payload.length === 0
    const key = isEmpty ? `nothing#${facts.at}` : (readPayload(payload) ?? '')
    const publication: Publication = {
      ...this.#newPublication(key, '', topic, payload.length),
      isEmpty,
      qos,
      retain,
      expirySeconds: properties.messageExpiryInterval ?? -1,
      dress: dressText(properties),
      arrivals: 1,
    }
    facts.remember(publication)
    if (retain) retained.arrive(facts, publication)
    if (reasonCode >= FAILURE) publication.isRefused = true
    else if (this.#options.neverCrashes && !(retain && facts.retainedMayBeLost)) {
      delivery.acknowledge(facts, publication)
    }
  }

  outgoing(link: Link, pieces: readonly Uint8Array[]): void {
    const ear = this.#earOf(link)
    for (const piece of pieces) {
      ear.outgoing.push(piece)
      while (ear.outgoing.next()) {
        const { first, bytes, bodyStart, start, end } = ear.outgoing
        const connection = this.facts.connections.get(link.id)
        const level = connection === undefined ? undecidedLevel(ear) : ear.level
        const packet = readPacket(first, bytes, bodyStart, end, level, 'server')
        this.facts.at++
        this.#options.note('<-', link, packet)
        this.facts.coverage.outgoing(packet)
        if (packet.type === PacketType.AUTH) {
          if (connection !== undefined) disconnects.checkSilence(connection, packet.type)
          continue
        }
        if (connection === undefined) {
          // The broker has not decided about CONNECT, and does not wait for who has to.
          if (packet.type === PacketType.CONNACK && packet.reasonCode !== 0) continue
          broken('connack', `link ${link.id} gets a packet, and nobody has let it in`)
        }
        this.#answers.write(connection, packet, end - start)
      }
    }
  }

  /** The broker says that the connection has the session; CONNACK may have to wait. */
  attached(clientId: string, link: number): void {
    const { facts } = this
    const connection = facts.connections.get(link)
    if (connection === undefined) broken('session', `link ${link} has a session, no CONNECT`)
    if (facts.attached.has(clientId)) broken('session', `${clientId} has two connections`)
    facts.attached.set(clientId, connection)
  }

  /** The broker says that the connection will get no session. */
  refused(link: number, text: string): void {
    const { facts } = this
    const connection = facts.connections.get(link)
    if (connection === undefined) return
    connection.isRefused = true
    if (!text.startsWith(GAVE_WAY)) return
    facts.at++
    if (this.#stopWaiting(connection)) sessions.giveWay(facts, connection)
  }

  /** The broker says that the client's connection has ended. */
  detached(clientId: string, text: string): void {
    const { facts } = this
    facts.at++
    const connection = facts.attached.get(clientId)
    if (connection === undefined) broken('session', `${clientId} is detached and was not attached`)
    facts.attached.delete(clientId)
    const end = endOf(connection, text)
    connection.isSilenced = text === SILENT
    for (const [link, { incoming }] of this.#ears) {
      if (link.id !== connection.link) continue
      if (text === SILENT) keepAlive.checkSilence(facts, connection, link.reading)
      reading.checkHandled(connection, text, incoming.peek() !== null)
    }
    if (end === 'takeover' && (facts.welcomeAt.get(clientId) ?? 0) <= connection.arrivedAt) {
      broken('session', `${clientId} is taken over by one that may not come in`)
    }
    if (this.#stopWaiting(connection)) {
      sessions.ghost(facts, connection, this.#options.legacySessionExpirySeconds, end)
    } else sessions.detach(facts, connection, end)
  }

  closed(link: Link): void {
    const { facts } = this
    this.#ears.delete(link)
    const connection = facts.connections.get(link.id)
    if (connection === undefined) return
    if (connection.life?.connection === connection) {
      broken('session', `${connection.connect.clientId} is connected by a closed connection`)
    }
    connection.isClosed = true
    if (!this.#stopWaiting(connection)) return
    // It waited for its session, and was not let in: what its CONNECT did is not known.
    const seconds = this.#options.legacySessionExpirySeconds
    sessions.ghost(facts, connection, seconds, 'otherwise')
  }

  /** @returns whether its CONNACK had not been written */
  #stopWaiting(connection: ConnectionRecord): boolean {
    const waiting = this.facts.connecting.get(connection.connect.clientId) ?? []
    const place = waiting.indexOf(connection)
    if (place >= 0) waiting.splice(place, 1)
    return place >= 0
  }

  turnEnded(): void {
    delivery.endTurn(this.facts)
    this.facts.turnAt = this.facts.at
  }

  crashed(): void {
    const { facts } = this
    facts.at++
    facts.crashes++
    facts.lastCrashAt = facts.at
    facts.lastCrashMs = facts.nowMs
    sessions.crash(facts, this.#options.legacySessionExpirySeconds)
    for (const connection of facts.connections.values()) {
      connection.isClosed = true
      connection.owed.clear()
    }
    this.#ears.clear()
  }

  started(): void {
    this.facts.at++
    delivery.restart(this.facts)
    sessions.restart(this.facts)
  }

  /** A client's user has got a message. */
  took(link: Link, packet: PublishPacket): void {
    const life = this.facts.connections.get(link.id)?.life
    const key = readPayload(packet.payload)
    if (key === null) broken('payload', `${packet.topic} came with a payload that nobody has sent`)
    const publication = this.facts.publications.get(key)
    if (life && publication !== undefined) delivery.take(this.facts, life, packet, publication)
  }

  #earOf(link: Link): Ear {
    let ear = this.#ears.get(link)
    if (ear === undefined) {
      const incoming = new Frames()
      const outgoing = new Decoder(PACKET_BYTES_MAX)
      ear = { incoming, outgoing, level: 4, arrivedAt: 0, offence: null }
      this.#ears.set(link, ear)
    }
    return ear
  }

  #read(link: Link, packet: Packet, byteLength: number): void {
    if (packet.type === PacketType.CONNECT) {
      this.#connect(link, packet)
      return
    }
    const connection = this.facts.connections.get(link.id)
    if (connection === undefined) return
    if (connection.isRefused) {
      broken('refused', `what came behind the CONNECT of ${connection.connect.clientId} is handled`)
    }
    if (connection.isClosed) return
    this.#countEarly(connection, packet)
    switch (packet.type) {
      case PacketType.PUBLISH:
        this.#publish(connection, packet, byteLength)
        break
      case PacketType.PUBACK:
      case PacketType.PUBREC:
      case PacketType.PUBCOMP: {
        const { type, packetId, reasonCode } = packet
        const life = connection.life
        const { isFull, coverage } = this.facts
        if (isFull) coverage.count('a client acknowledges while the disk is full')
        if (type === PacketType.PUBREC && reasonCode < FAILURE) connection.pubrel.add(packetId)
        if (life) window.readAcknowledgement(connection, life, type, packetId, reasonCode)
        break
      }
      case PacketType.PINGREQ:
        connection.pings++
        break
      case PacketType.PUBREL:
        connection.pubcomp.push(packet.packetId)
        break
      case PacketType.SUBSCRIBE:
      case PacketType.UNSUBSCRIBE:
        subscriptions.ask(this.facts, connection, packet)
        break
      case PacketType.DISCONNECT: {
        const asked = packet.properties.sessionExpiryInterval
        const most = this.#options.sessionExpirySecondsMax
        const expirySeconds = asked === undefined ? null : Math.min(asked, most)
        connection.farewell = { reasonCode: packet.reasonCode, expirySeconds }
        break
      }
      default:
    }
  }

  #countEarly(connection: ConnectionRecord, packet: Packet): void {
    if (connection.openAt !== NEVER) return
    const { coverage } = this.facts
    if (packet.type === PacketType.PUBLISH) coverage.count('a client publishes before its CONNACK')
    else if (packet.type === PacketType.SUBSCRIBE) {
      coverage.count('a client subscribes before its CONNACK')
    } else if (packet.type === PacketType.DISCONNECT) {
      coverage.count('a client says goodbye before its CONNACK')
    }
  }

  #connect(link: Link, connect: ConnectPacket): void {
    const { facts } = this
    const { clientId, properties } = connect
    const { arrivedAt } = this.#earOf(link)
    const isStranger = this.#options.isStranger(connect)
    const connection: ConnectionRecord = {
      link: link.id,
      arrivedAt,
      connect,
      connectAt: facts.at,
      connectMs: facts.nowMs,
      tickMs: facts.tickMs,
      cameWhileFull: facts.isFull,
      openAt: NEVER,
      openMs: NEVER,
      isStranger,
      isClosed: false,
      isRefused: false,
      life: null,
      isHeldBack: true,
      early: [],
      fault: 0,
      dismissedWith: 0,
      isSilenced: false,
      isExpelled: false,
      hasLied: false,
      farewell: null,
      receiveMaximum: Math.min(properties.receiveMaximum ?? 65_535, this.#options.inflightMax),
      packetBytesMax: properties.maximumPacketSize ?? NEVER,
      aliasMaximum: properties.topicAliasMaximum ?? 0,
      window: new Map(),
      puback: [],
      pubrec: [],
      pubcomp: [],
      pubrel: new Set(),
      suback: new Map(),
      unsuback: new Map(),
      pings: 0,
      keepAliveMs: 0,
      heardMs: facts.nowMs,
      owed: new Map(),
      retainedOwed: new Map(),
      newest: new Map(),
      replayed: new Map(),
      counts: new Map(),
      incomingAliases: new Map(),
      outgoingAliases: new Map(),
      will: null,
    }
    connection.will = this.#willOf(connection)
    facts.connections.set(link.id, connection)
    const life = facts.lives.get(clientId)
    const welcomeAt = Math.max(facts.welcomeAt.get(clientId) ?? 0, arrivedAt)
    if (!isStranger) facts.welcomeAt.set(clientId, welcomeAt)
    if (connect.cleanStart && life !== undefined && !isStranger) wills.mayEnd(facts, life)
    const connecting = facts.connecting.get(clientId)
    if (connecting === undefined) facts.connecting.set(clientId, [connection])
    else connecting.push(connection)
  }

  #willOf(connection: ConnectionRecord): WillRecord | null {
    const { will, clientId } = connection.connect
    if (will === null) return null
    const { topic, payload, qos, retain, properties } = will
    const key = readPayload(payload) ?? ''
    const publication: Publication = {
      ...this.#newPublication(key, clientId, topic, payload.length),
      qos,
      retain,
      isWill: true,
      expirySeconds: properties.messageExpiryInterval ?? -1,
      dress: dressText(properties),
      arrivals: 1,
      firstAt: NEVER,
      lastAt: NEVER,
    }
    this.facts.remember(publication)
    const { willDelaySecondsMax } = this.#options
    const delaySeconds = Math.min(properties.willDelayInterval ?? 0, willDelaySecondsMax)
    const record = {
      publication,
      connection,
      delaySeconds,
      end: null,
      forbiddenMs: Number.NEGATIVE_INFINITY,
      dueMs: NEVER,
      batch: 0,
    }
    this.facts.wills.push(record)
    return record
  }

  #publish(connection: ConnectionRecord, packet: PublishPacket, byteLength: number): void {
    const { facts } = this
    const topic = resolve(connection.incomingAliases, packet)
    const written = readPayload(packet.payload) ?? ''
    const isEmpty = written === ''
    const { clientId, protocolLevel } = connection.connect
    const key = isEmpty ? this.#nameless(clientId, packet) : written
    const isSilenced = this.#options.isSilenced(topic)
    let publication = facts.publications.get(key)
    if (publication === undefined) {
      publication = {
        ...this.#newPublication(key, clientId, topic, byteLength),
        qos: packet.qos,
        retain: packet.retain && !isSilenced,
        isEmpty,
        forbidden: isSilenced ? 'nobody may publish on its topic' : '',
        expirySeconds: packet.properties.messageExpiryInterval ?? -1,
        dress: dressText(packet.properties),
        mayRepeat: protocolLevel === 3,
      }
      facts.remember(publication)
    }
    publication.arrivals++
    publication.lastAt = facts.at
    publication.lastMs = facts.nowMs
    if (publication.retain) retained.arrive(facts, publication)
    const { packetId } = packet
    if (packet.qos === 1) connection.puback.push({ packetId, publication })
    else if (packet.qos === 2) connection.pubrec.push({ packetId, publication })
    else if (!isSilenced) {
      if (!isEmpty) delivery.oweAtOnce(facts, publication)
      const mayBeLost = packet.retain && facts.retainedMayBeLost
      if (this.#options.neverCrashes && !mayBeLost) delivery.acknowledge(facts, publication)
    }
  }

  /** A message without a payload is known by its packet identifier until that is used anew. */
  #nameless(clientId: string, packet: PublishPacket): string {
    const place = `${clientId} ${packet.qos} ${packet.packetId}`
    const known = this.#namelessKeys.get(place)
    if (packet.qos > 0 && packet.dup && known !== undefined) return known
    const key = `nothing#${this.facts.at}`
    this.#namelessKeys.set(place, key)
    return key
  }

  #newPublication(key: string, publisher: string, topic: string, byteLength: number): Publication {
    return {
      key,
      publisher,
      topic,
      qos: 0,
      retain: false,
      isEmpty: false,
      isWill: false,
      expirySeconds: -1,
      dress: '',
      byteLength,
      arrivals: 0,
      firstAt: this.facts.at,
      firstMs: this.facts.nowMs,
      lastAt: this.facts.at,
      lastMs: this.facts.nowMs,
      acknowledgedAt: NEVER,
      acknowledgedMs: NEVER,
      isRefused: false,
      mayRepeat: false,
      forbidden: '',
      earliestMs: 0,
    }
  }
}

function endOf({ farewell }: ConnectionRecord, text: string): ConnectionEnd {
  if (text.startsWith(TAKEN_OVER)) return 'takeover'
  if (farewell === null || text !== GOODBYE) return 'otherwise'
  return farewell.reasonCode === 0 ? 'goodbye' : 'goodbye with will'
}

/** Of a CONNECT that has come and waits. */
function undecidedLevel(ear: Ear): 3 | 4 | 5 {
  const frame = ear.incoming.peek()
  return frame === null ? ear.level : levelOf(frame.bytes, frame.bodyStart)
}

function levelOf(bytes: Uint8Array, bodyStart: number): 3 | 4 | 5 {
  const nameLength = bytes[bodyStart + 1] ?? 0
  const level = (bytes[bodyStart + 2 + nameLength] ?? 0) & 0x7f
  return level === 5 ? 5 : level === 3 ? 3 : 4
}

function resolve(aliases: Map<number, string>, packet: PublishPacket): string {
  const alias = packet.properties.topicAlias
  if (alias === undefined) return packet.topic
  if (packet.topic !== '') aliases.set(alias, packet.topic)
  return aliases.get(alias) ?? ''
}
