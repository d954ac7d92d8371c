// hot
// The queues of sessions: what goes in, what is sent when a window has room, what is dropped when
// there is none. A message for a persistent session is sent when its batch is durable, not before.

import { PacketType } from '@godwit/packet'
import type { Broker } from './broker.ts'
import type { Connection } from './connection.ts'
import { Inflight } from './inflight.ts'
import type { DropReason } from './ledger.ts'
import { type Message, NEVER_EXPIRES } from './message.ts'
import { InflightState } from './ports.ts'
import { NO_BATCH } from './sender.ts'
import { type Delivery, DeliveryQueue, type Session } from './session.ts'
import { Tails } from './tails.ts'

export class Queues {
  /** Bytes of all queues together. */
  totalBytes = 0
  readonly tails: Tails
  private readonly broker: Broker
  private waking: Session[] = []
  /** How many of `waking` have been through `assign`. */
  private assigned = 0
  private blocked: Session[] = []

  constructor(broker: Broker) {
    this.broker = broker
    this.tails = new Tails(broker)
  }

  /** One more packet could go over the bound of all queues together. */
  get nearlyFull(): boolean {
    const limits = this.broker.limits
    return this.totalBytes + limits.packetBytesMax > limits.totalQueuedBytesMax
  }

  /** Whether a message for this session would find room, or make it by the policy. */
  admits(session: Session, byteLength: number): boolean {
    const limits = this.broker.limits
    if (session.persistent && this.broker.ports.store.full) return false
    if (this.totalBytes + byteLength > limits.totalQueuedBytesMax) return false
    return limits.fullQueue === 'drop-oldest' || !this.isFull(session, byteLength)
  }

  /** Puts a message at the end of the session's queue; the policy says what if it is full. */
  add(session: Session, delivery: Delivery): void {
    const byteLength = delivery.message.byteLength
    const limits = this.broker.limits
    if (session.ended) {
      this.addToEnded(session, delivery)
      return
    }
    if (this.totalBytes + byteLength > limits.totalQueuedBytesMax) {
      this.lose('total-queue-full', session, delivery.message)
      return
    }
    if (byteLength > limits.queuedBytesMax) {
      this.lose('queue-full', session, delivery.message)
      return
    }
    while (this.isFull(session, byteLength)) {
      const oldest = limits.fullQueue === 'drop-oldest' ? session.queue?.shift() : null
      if (oldest === null || oldest === undefined) {
        this.lose('queue-full', session, delivery.message)
        return
      }
      this.lose('queue-full', session, oldest.message)
      this.forget(session, oldest)
    }
    if (session.tail !== null || (session.persistent && this.tails.isLong(session))) {
      this.tails.add(session, delivery)
      return
    }
    if (session.queue === null) session.queue = new DeliveryQueue()
    session.queue.push(delivery)
    this.hold(session, delivery)
    if (session.persistent) this.store(session, delivery)
    this.wake(session)
  }

  /** Its connection broke while the message was handed out: it ended, or fell asleep. */
  private addToEnded(session: Session, delivery: Delivery): void {
    const { sleep } = this.broker
    const slot = sleep.sleepers.find(session.clientId)
    const { message, qos, retain, identifiers } = delivery
    if (slot < 0) this.lose('session-ended', session, message)
    else sleep.enqueue(slot, message, qos, retain, identifiers)
  }

  /** The session has something to send, or has got room for it: looked at when the turn ends. */
  wake(session: Session): void {
    if (session.waking) return
    session.waking = true
    this.waking.push(session)
    this.broker.sender.requestTurn()
  }

  /** CONNACK is out. What woke the session before, in this very turn, has found it not ready. */
  begin(session: Session): void {
    session.waking = false
    this.wake(session)
    if (session.groups !== null) this.broker.groups.memberCame(session)
  }

  /** Gives packet identifiers to what has room in the windows of those that woke. */
  assignAll(): void {
    // Groups wake sessions and sessions wake groups: the list grows while it is walked.
    while (this.assigned < this.waking.length) {
      const session = this.waking[this.assigned++] as Session
      this.assign(session)
      if (session.groups !== null) this.broker.groups.serve(session)
    }
  }

  /** Sends what is durable to all that woke. */
  transmitAll(): void {
    if (this.waking.length === 0) return
    const waking = this.waking
    const assigned = this.assigned
    this.waking = []
    this.assigned = 0
    for (let i = 0; i < waking.length; i++) {
      const session = waking[i] as Session
      session.waking = false
      const connection = session.connection
      if (connection === null || !connection.ready) continue
      if (!this.transmit(connection, session)) this.blocked.push(session)
      if (session.retainedJobs !== null) this.broker.retainer.serve(connection, session)
      if (i >= assigned) this.lookAgain(session)
    }
  }

  /** It woke after `assignAll`, its CONNACK just gone: what waits for it is looked at next turn. */
  private lookAgain(session: Session): void {
    if (session.queue !== null && session.queue.length > 0) this.wake(session)
    this.broker.groups.serve(session)
  }

  /** A batch is durable: those that waited for it go on. */
  wakeBlocked(): void {
    if (this.blocked.length === 0) return
    const blocked = this.blocked
    this.blocked = []
    for (let i = 0; i < blocked.length; i++) this.wake(blocked[i] as Session)
  }

  /** Moves messages from the queue into the window, as far as it has room [MQTT-4.9.0-2]. */
  assign(session: Session): void {
    const connection = session.connection
    const queue = session.queue
    if (connection === null || !connection.ready) return
    if (queue !== null) this.assignFrom(connection, session, queue)
    if (session.tail !== null) this.tails.refill(session)
  }

  private assignFrom(connection: Connection, session: Session, queue: DeliveryQueue): void {
    const store = this.broker.ports.store
    for (let next = queue.first; next !== null; next = queue.first) {
      if (session.inflight === null) session.inflight = new Inflight()
      const inflight = session.inflight
      if (inflight.active >= connection.sendMaximum) return // [MQTT-3.3.4-9]
      queue.shift()
      if (this.isExpired(next.message)) {
        this.lose('expired', session, next.message) // [MQTT-3.3.2-5]
        this.forget(session, next)
        continue
      }
      const state = next.qos === 1 ? InflightState.QOS_1_SENT : InflightState.QOS_2_SENT
      const packetId = inflight.assign(state, next)
      if (packetId === 0) {
        queue.unshift([next])
        return
      }
      if (next.ownerId === 0) continue
      store.putInflight(session.storedId, packetId, next.sequence, state)
      // A QoS 2 message must keep its identifier across a crash, or the client takes it twice.
      if (next.qos === 2) next.batch = store.openBatch
    }
  }

  /** The message is finished or dropped: its bytes are free, the store forgets it. */
  forget(session: Session, delivery: Delivery): void {
    session.queuedMessages--
    const byteLength = delivery.message.byteLength
    session.queuedBytes -= byteLength
    this.totalBytes -= byteLength
    if (delivery.ownerId === 0) return
    this.broker.ports.store.removeDelivery(delivery.ownerId, delivery.sequence)
    this.broker.releaseMessage(delivery.message)
    this.broker.sender.requestTurn()
  }

  /** The session falls asleep: the store has all of it, the memory nothing any more. */
  letGo(session: Session): void {
    this.tails.letGo(session)
    for (let next = session.queue?.shift(); next; next = session.queue?.shift()) this.drop(next)
    session.inflight?.each((packetId, _state, delivery) => {
      if (delivery === null) return
      const { ownerId, sequence } = delivery
      // One that was never sent waits again: it must not come with DUP [MQTT-3.3.1-2].
      if (!delivery.sentBefore) {
        this.broker.ports.store.putInflight(ownerId, packetId, sequence, InflightState.NONE)
      }
      this.drop(delivery)
    })
    session.queue = null
    session.inflight = null
  }

  /** The record of it stays, the memory for it is free. */
  drop(delivery: Delivery): void {
    this.totalBytes -= delivery.message.byteLength
    this.broker.releaseMessage(delivery.message)
  }

  /** Counts a message to the session. */
  hold(session: Session, delivery: Delivery): void {
    session.queuedMessages++
    const byteLength = delivery.message.byteLength
    session.queuedBytes += byteLength
    this.totalBytes += byteLength
  }

  /** Everything that waits or is in flight is lost: the session ends. */
  discard(session: Session, reason: DropReason): void {
    this.tails.discard(session, reason)
    for (let next = session.queue?.shift(); next; next = session.queue?.shift()) {
      this.lose(reason, session, next.message)
      this.forget(session, next)
    }
    session.inflight?.each((_packetId, state, delivery) => {
      if (delivery === null) {
        // It went out at once and nobody knows what became of it, not even its topic.
        if (state !== InflightState.RELEASED) this.broker.lose(reason, session.clientId, '', 0)
        return
      }
      if (state !== InflightState.RELEASED) this.lose(reason, session, delivery.message)
      this.forget(session, delivery)
    })
    session.inflight = null
  }

  /** Puts a record of it into the open batch. It may be sent when that is durable. */
  store(session: Session, delivery: Delivery): void {
    const store = this.broker.ports.store
    this.broker.storeMessage(delivery.message)
    delivery.ownerId = session.storedId
    delivery.sequence = session.nextSequence++
    store.putDelivery(delivery)
    delivery.batch = store.openBatch
    this.broker.forwarder.stored = true
  }

  hasRoom(connection: Connection, session: Session): boolean {
    const inflight = session.inflight
    if (inflight !== null && inflight.active >= connection.sendMaximum) return false
    return connection.pendingBytes < this.broker.limits.outgoingBytesMax
  }

  /**
   * Sends what is assigned and not sent on this connection, in its order. After a resumption that
   * is what was in flight, with DUP [MQTT-4.4.0-1] [MQTT-3.3.1-1].
   * @returns false when a batch has to become durable first
   */
  private transmit(connection: Connection, session: Session): boolean {
    const inflight = session.inflight
    if (inflight === null) return true
    const sender = this.broker.sender
    for (let id = inflight.nextUnsent(); id !== 0; id = inflight.nextUnsent()) {
      const delivery = inflight.deliveryOf(id)
      if (inflight.stateOf(id) === InflightState.RELEASED) {
        inflight.markSent()
        sender.acknowledge(connection, PacketType.PUBREL, id, 0, delivery?.batch ?? NO_BATCH)
        continue
      }
      if (inflight.sent >= connection.sendMaximum || !sender.hasRoom(connection)) return true
      if (delivery !== null && delivery.batch > sender.durableBatch) return false
      inflight.markSent()
      const isBegun = delivery !== null && delivery.qos === 2 && delivery.sentBefore
      if (delivery !== null && this.sendCopy(connection, session, delivery, id)) continue
      if (isBegun) this.giveUp(connection, session, delivery, id)
      else {
        inflight.finish(id)
        if (delivery !== null) this.forget(session, delivery)
        this.wake(session)
      }
    }
    return true
  }

  /**
   * A QoS 2 message that the client may have cannot be sent again: it takes no packet so large any
   * more. PUBREL frees the identifier on its side; used anew without, the client would take the
   * next message for a repetition of this one [MQTT-3.1.2-25].
   */
  private giveUp(connection: Connection, session: Session, delivery: Delivery, id: number): void {
    session.inflight?.release(id)
    let batch = NO_BATCH
    if (delivery.ownerId !== 0) {
      const { store } = this.broker.ports
      store.putInflight(session.storedId, id, delivery.sequence, InflightState.RELEASED)
      batch = store.openBatch
      delivery.batch = batch
    }
    this.broker.sender.acknowledge(connection, PacketType.PUBREL, id, 0, batch)
  }

  private sendCopy(
    connection: Connection,
    session: Session,
    delivery: Delivery,
    id: number,
  ): boolean {
    const { message, qos, retain, identifiers, sentBefore } = delivery
    // Once it was sent it does not expire any more [MQTT-4.3.3-7].
    if (!sentBefore && this.isExpired(message)) {
      this.lose('expired', session, message)
      return false
    }
    if (!sentBefore && !this.broker.mayReceive(session, message.topic)) {
      this.lose('not-authorized', session, message)
      return false
    }
    delivery.sentBefore = true
    const forwarder = this.broker.forwarder
    return forwarder.sendKept(
      connection,
      session,
      message,
      qos,
      retain,
      id,
      identifiers,
      sentBefore,
    )
  }

  isExpired(message: Message): boolean {
    return (
      message.expiresAtMs !== NEVER_EXPIRES && message.expired(this.broker.ports.clock.wallMs())
    )
  }

  private isFull(session: Session, byteLength: number): boolean {
    const limits = this.broker.limits
    return (
      session.queuedMessages >= limits.queuedMessagesMax ||
      session.queuedBytes + byteLength > limits.queuedBytesMax
    )
  }

  private lose(reason: DropReason, session: Session, message: Message): void {
    this.broker.lose(reason, session.clientId, message.topic, message.byteLength)
  }
}
