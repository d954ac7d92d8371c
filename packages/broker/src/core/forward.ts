// hot
// Hands a message to its receivers. A frame that a receiver takes as it came is passed on as a
// slice of the input; any other form is written once into the arena and shared by all who take it.

import type { Broker } from './broker.ts'
import { type Connection, HeldMessage } from './connection.ts'
import { Inflight } from './inflight.ts'
import { Form, keptCopy } from './keep.ts'
import type { DropReason } from './ledger.ts'
import {
  frameBytesMax,
  Message,
  NEVER_EXPIRES,
  writePublish,
  writtenPacketIdAt,
} from './message.ts'
import { InflightState } from './ports.ts'
import type { Receiver, Route } from './router.ts'
import type { Sender } from './sender.ts'
import { Delivery, type Session } from './session.ts'

/** protocol (2) x QoS (3) x retain (2) */
const FORMS = 12
const UNLIMITED = 0xffff_ffff

export class Forwarder {
  /** The message that is just passing. */
  readonly passing: Message = new Message()
  /** A record for the message was put into the open batch: its acknowledgement waits. */
  stored = false
  /** How many sessions what passed last was for. */
  passedTo = 0
  private readonly broker: Broker
  private readonly sender: Sender
  private readonly form = new Form()
  /** A longer topic gets no alias: each has the same share of the bound. */
  private readonly aliasedBytesMax: number
  private message: Message = this.passing
  private kept: Message | null = null
  private stamp = 0
  private readonly stamps = new Int32Array(FORMS)
  private readonly buffers: Uint8Array[] = new Array(FORMS).fill(new Uint8Array(0))
  private readonly starts = new Int32Array(FORMS)
  private readonly ends = new Int32Array(FORMS)
  private readonly idAts = new Int32Array(FORMS)

  constructor(broker: Broker, sender: Sender) {
    this.broker = broker
    this.sender = sender
    const { topicAliasBytesMax, outgoingTopicAliasMax } = broker.limits
    this.aliasedBytesMax = Math.floor(topicAliasBytesMax / outgoingTopicAliasMax)
  }

  /** Begins with a message: forms of the one before are forgotten. */
  begin(message: Message): void {
    this.message = message
    this.kept = message === this.passing ? null : message
    this.stored = false
    this.stamp = (this.stamp + 1) | 0
  }

  /**
   * To everybody on the route; `begin` came before.
   * @param from the publisher's session, for No Local; null for one of the broker's own
   * @returns how many sessions and groups it was for
   */
  toRoute(route: Route, from: Session | null): number {
    const message = this.message
    // Whoever ends meanwhile may have a will, whose route takes the place of this one.
    const { receivers, groups } = route
    const isGuarded = this.broker.ports.guard.checksPermissions
    let count = 0
    for (let i = 0; i < receivers.length; i++) {
      let receiver = receivers[i] as Receiver
      if (isGuarded && !this.broker.mayReceive(receiver.session, route.topic)) continue
      if (receiver.noLocal && this.isOwn(receiver, from)) {
        if (receiver.own === null) continue // [MQTT-3.8.3-3]
        receiver = receiver.own
      }
      count++
      const qos = message.qos < receiver.qos ? message.qos : receiver.qos // [MQTT-3.8.4-8]
      const retain = message.retain && receiver.retainAsPublished // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      if (receiver.slot >= 0) this.toSleeper(receiver, qos, retain)
      else if (qos === 0) this.once(receiver.session, receiver.identifiers, retain)
      else this.acknowledged(receiver.session, receiver.identifiers, qos, retain)
    }
    for (let i = 0; i < groups.length; i++) {
      count++
      this.broker.groups.take(groups[i] as (typeof groups)[number], message)
    }
    // Who sleeps has a record of it and does not hold it: it would be stored anew.
    if (this.kept !== null && this.kept.holders === 0) this.kept.id = 0
    return count
  }

  /** Whether the receiver is the publisher; one that sleeps is for its own will only. */
  private isOwn(receiver: Receiver, from: Session | null): boolean {
    const { slot, session } = receiver
    if (slot < 0) return session === from
    return this.broker.sleep.sleepers.clientId(slot) === this.message.publisher
  }

  private toSleeper(receiver: Receiver, qos: 0 | 1 | 2, retain: boolean): void {
    const { slot, identifiers } = receiver
    const { sleep } = this.broker
    if (qos !== 0) sleep.enqueue(slot, this.keep(), qos, retain, identifiers)
    else {
      const { topic, byteLength } = this.message
      this.broker.lose('offline', sleep.sleepers.clientId(slot), topic, byteLength)
    }
  }

  /**
   * The short way of QoS 0: when all receivers take the frame as it came, it goes out as it came,
   * together with those behind it that differ in nothing but the payload.
   * @returns how many messages went this way; 0: the receivers differ, each has to be asked
   */
  pass(route: Route, connection: Connection, prefixLength: number): number {
    const receivers = route.receivers
    const level5 = connection.level5
    const decoder = connection.decoder
    const length = decoder.end - decoder.start
    let sendBytesMax = UNLIMITED
    for (let i = 0; i < receivers.length; i++) {
      const receiver = receivers[i] as Receiver
      const to = receiver.session.connection
      if (to === null) continue
      if (waitsBehindHeld(to)) return 0
      if (to.level5 !== level5 || !to.plain || receiver.identifiers !== null) return 0
      if (receiver.noLocal || to.sendBytesMax < length) return 0
      if (to.sendBytesMax < sendBytesMax) sendBytesMax = to.sendBytesMax
    }
    const count = decoder.extendRun(prefixLength, sendBytesMax)
    const { bytes, start, end } = decoder
    const isGuarded = this.broker.ports.guard.checksPermissions
    this.passedTo = 0
    for (let i = 0; i < receivers.length; i++) {
      const { session, slot } = receivers[i] as Receiver
      // Once for the run: they have one topic, and came together.
      if (isGuarded && !this.broker.mayReceive(session, route.topic)) continue
      this.passedTo++
      const to = session.connection
      if (to === null) {
        const clientId = slot < 0 ? session.clientId : this.broker.sleep.sleepers.clientId(slot)
        this.broker.loseMany('offline', clientId, route.topic, count, end - start)
        continue
      }
      if (!this.sender.hasRoom(to)) {
        this.broker.loseMany('outgoing-full', session.clientId, route.topic, count, end - start)
        continue
      }
      this.sender.outputOf(to).append(bytes, start, end)
      const counters = this.broker.counters
      counters.packetsSent += count
      counters.publishSent += count
      counters.publishBytesSent += end - start
    }
    return count
  }

  /** The message as one that outlives the turn. */
  keep(): Message {
    this.kept ??= keptCopy(this.message)
    return this.kept
  }

  /** QoS 0: now or never. @returns false when it was dropped or nobody is connected */
  once(session: Session, identifiers: readonly number[] | null, retain: boolean): boolean {
    const connection = session.connection
    if (connection === null) return this.lose('offline', session)
    if (waitsBehindHeld(connection)) return this.later(connection, session, identifiers, retain)
    if (!this.sender.hasRoom(connection)) return this.lose('outgoing-full', session)
    if (identifiers !== null || !connection.plain) {
      return this.writeOwn(connection, session, 0, retain, 0, identifiers, false)
    }
    const index = this.formFor(connection.level5, 0, retain)
    const start = this.starts[index] as number
    const end = this.ends[index] as number
    if (end - start > connection.sendBytesMax) return this.lose('packet-too-large', session)
    this.sender.outputOf(connection).append(this.buffers[index] as Uint8Array, start, end)
    this.count(end - start, 0)
    return true
  }

  /** Without an alias: what comes later may go out before it. */
  private later(
    connection: Connection,
    session: Session,
    identifiers: readonly number[] | null,
    retain: boolean,
  ): boolean {
    const { form, sender, message } = this
    if (message.expiresAtMs !== 0) {
      const held = new HeldMessage(this.keep(), identifiers, retain)
      if (sender.messageBehindHeld(connection, held, message.byteLength)) return true
      return this.lose('outgoing-full', session)
    }
    form.identifiers = connection.level5 ? identifiers : null
    const start = this.write(connection.level5, 0, retain)
    form.identifiers = null
    const packet = sender.arena.bytes.slice(start, sender.arena.at)
    sender.arena.at = start
    if (packet.length > connection.sendBytesMax) return this.lose('packet-too-large', session)
    if (!sender.messageBehindHeld(connection, packet, packet.length)) {
      return this.lose('outgoing-full', session)
    }
    // Sent packets are counted when it goes out.
    const counters = this.broker.counters
    counters.publishSent++
    counters.publishBytesSent += packet.length
    return true
  }

  /** What it waited behind has gone out. */
  sendHeld(connection: Connection, { message, identifiers, retain }: HeldMessage): void {
    const { session } = connection
    if (session === null) return
    if (message.expired(this.broker.ports.clock.wallMs())) {
      // [MQTT-3.3.2-5]
      this.broker.lose('expired', session.clientId, message.topic, message.byteLength)
    } else this.sendKept(connection, session, message, 0, retain, 0, identifiers, false)
  }

  /** QoS 1 and 2: at once to a session that ends with its connection, else through its queue. */
  private acknowledged(
    session: Session,
    identifiers: readonly number[] | null,
    qos: 1 | 2,
    retain: boolean,
  ): void {
    const connection = session.connection
    if (!session.persistent && connection !== null && connection.ready) {
      // What was kept for it may still be on disk: nothing goes out before that.
      const inMemory = session.queue !== null && session.queue.length > 0
      const waiting = inMemory || session.tail !== null
      if (
        !waiting &&
        identifiers === null &&
        connection.plain &&
        this.windowOpen(connection, session)
      ) {
        this.sendAtOnce(connection, session, qos, retain)
        return
      }
    }
    if (connection === null && !session.persistent) return
    this.broker.queues.add(session, new Delivery(this.keep(), qos, retain, identifiers))
  }

  private windowOpen(connection: Connection, session: Session): boolean {
    const inflight = session.inflight
    if (inflight !== null) {
      if (inflight.active >= connection.sendMaximum) return false // [MQTT-3.3.4-9]
      if (inflight.unsentSpan > 0) return false
    }
    return this.sender.hasRoom(connection)
  }

  private sendAtOnce(connection: Connection, session: Session, qos: 1 | 2, retain: boolean): void {
    const index = this.formFor(connection.level5, qos, retain)
    const start = this.starts[index] as number
    const end = this.ends[index] as number
    if (end - start > connection.sendBytesMax) {
      this.lose('packet-too-large', session) // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
      return
    }
    if (session.inflight === null) session.inflight = new Inflight()
    const state = qos === 1 ? InflightState.QOS_1_SENT : InflightState.QOS_2_SENT
    const packetId = session.inflight.begin(state)
    if (packetId === 0) {
      this.broker.queues.add(session, new Delivery(this.keep(), qos, retain, null))
      return
    }
    this.sender
      .outputOf(connection)
      .appendWithId(
        this.buffers[index] as Uint8Array,
        start,
        end,
        this.idAts[index] as number,
        packetId,
      )
    this.count(end - start, qos)
  }

  /**
   * Sends a message that was kept: from a queue, a group, or the retained ones.
   * @returns false when it is too large for the receiver; it is in the ledger then
   */
  sendKept(
    connection: Connection,
    session: Session,
    message: Message,
    qos: number,
    retain: boolean,
    packetId: number,
    identifiers: readonly number[] | null,
    dup: boolean,
  ): boolean {
    this.begin(message)
    if (identifiers !== null || !connection.plain || dup) {
      return this.writeOwn(connection, session, qos, retain, packetId, identifiers, dup)
    }
    const index = this.formFor(connection.level5, qos, retain)
    const start = this.starts[index] as number
    const end = this.ends[index] as number
    if (end - start > connection.sendBytesMax) return this.lose('packet-too-large', session)
    const output = this.sender.outputOf(connection)
    const bytes = this.buffers[index] as Uint8Array
    if (qos === 0) output.append(bytes, start, end)
    else output.appendWithId(bytes, start, end, this.idAts[index] as number, packetId)
    this.count(end - start, qos)
    return true
  }

  /** A frame that only this connection takes: with its alias or identifiers, or with DUP. */
  private writeOwn(
    connection: Connection,
    session: Session,
    qos: number,
    retain: boolean,
    packetId: number,
    identifiers: readonly number[] | null,
    dup: boolean,
  ): boolean {
    const form = this.form
    form.dup = dup
    form.packetId = packetId
    form.identifiers = connection.level5 ? identifiers : null
    const fresh = this.chooseAlias(connection)
    const { arena } = this.sender
    let start = this.write(connection.level5, qos, retain)
    form.alias = 0
    form.aliasKnown = false
    if (fresh && arena.at - start > connection.sendBytesMax) {
      // The alias itself has three bytes.
      connection.sentAliases?.delete(this.message.topic)
      arena.at = start
      start = this.write(connection.level5, qos, retain)
    }
    form.dup = false
    form.packetId = 0
    form.identifiers = null
    const length = arena.at - start
    if (length > connection.sendBytesMax) {
      arena.at = start
      return this.lose('packet-too-large', session)
    }
    this.sender.outputOf(connection).append(arena.bytes, start, arena.at)
    this.count(length, qos)
    return true
  }

  /** @returns true when the topic got an alias just now */
  private chooseAlias(connection: Connection): boolean {
    if (connection.sendAliasMax === 0) return false // [MQTT-3.1.2-27]
    const form = this.form
    connection.sentAliases ??= new Map()
    const known = connection.sentAliases.get(this.message.topic)
    if (known !== undefined) {
      form.alias = known
      form.aliasKnown = true
      return false
    }
    const next = connection.sentAliases.size + 1
    if (next > connection.sendAliasMax) return false // [MQTT-3.1.2-26] [MQTT-3.3.2-11]
    if (this.message.topicEnd - this.message.topicStart > this.aliasedBytesMax) return false
    connection.sentAliases.set(this.message.topic, next)
    form.alias = next
    return true
  }

  /** The shared frame of this form, written on first need. */
  private formFor(level5: boolean, qos: number, retain: boolean): number {
    const index = (level5 ? 6 : 0) + qos * 2 + (retain ? 1 : 0)
    if (this.stamps[index] === this.stamp) return index
    this.stamps[index] = this.stamp
    const message = this.message
    if (
      message.plain &&
      (message.protocolLevel === 5) === level5 &&
      message.qos === qos &&
      message.retain === retain &&
      (message === this.passing || message.expiresAtMs === NEVER_EXPIRES)
    ) {
      if (this.buffers[index] !== message.bytes) this.buffers[index] = message.bytes
      this.starts[index] = message.start
      this.ends[index] = message.end
      this.idAts[index] = message.packetIdAt
      return index
    }
    const start = this.write(level5, qos, retain)
    this.buffers[index] = this.sender.arena.bytes
    this.starts[index] = start
    this.ends[index] = this.sender.arena.at
    this.idAts[index] = writtenPacketIdAt
    return index
  }

  private write(level5: boolean, qos: number, retain: boolean): number {
    const form = this.form
    const message = this.message
    const arena = this.sender.arena
    form.level5 = level5
    form.qos = qos
    form.retain = retain
    form.expirySeconds = level5 ? this.secondsLeft(message) : -1
    arena.reserve(frameBytesMax(message, form.identifiers === null ? 0 : form.identifiers.length))
    const start = arena.at
    arena.at = writePublish(message, form, arena.bytes, start)
    return start
  }

  /** What is left of the message expiry interval [MQTT-3.3.2-6]. */
  private secondsLeft(message: Message): number {
    if (message.expiresAtMs === NEVER_EXPIRES) return -1
    const left = Math.ceil((message.expiresAtMs - this.broker.ports.clock.wallMs()) / 1000)
    return Math.min(Math.max(left, 0), 0xffff_ffff)
  }

  private count(byteCount: number, qos: number): void {
    const counters = this.broker.counters
    counters.packetsSent++
    counters.publishSent++
    counters.publishBytesSent += byteCount
    if (qos === 1) counters.publishSentQos1++
    else if (qos === 2) counters.publishSentQos2++
  }

  private lose(reason: DropReason, session: Session): false {
    const message = this.message
    this.broker.lose(reason, session.clientId, message.topic, message.byteLength)
    return false
  }
}

/** Its CONNACK, or a message of QoS 0 behind it, waits for the store. */
function waitsBehindHeld(connection: Connection): boolean {
  return !connection.ready || connection.heldMessageBytes > 0
}
