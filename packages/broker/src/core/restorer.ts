// Takes back what the store has kept, at start: the reverse of the records that the core writes.

import type { Broker } from './broker.ts'
import { Timer } from './expiry.ts'
import { addSubscription } from './handlers/subscribe.ts'
import { Inflight } from './inflight.ts'
import { storedMessage } from './keep.ts'
import type { Message } from './message.ts'
import type {
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from './ports.ts'
import { Delivery, DeliveryQueue, type Session } from './session.ts'

const NEVER = 0xffff_ffff

export class Restorer implements StoreReader {
  messageIdMax = 0
  private readonly broker: Broker
  private readonly messages = new Map<number, Message>()
  /** By session and sequence, for `inflight`. */
  private readonly deliveries = new Map<Session, Map<number, Delivery>>()
  private readonly nowWallMs: number

  constructor(broker: Broker) {
    this.broker = broker
    this.nowWallMs = broker.ports.clock.wallMs()
    broker.groups.beginRestore()
  }

  session(stored: StoredSession): void {
    const sessions = this.broker.sessions
    const session = sessions.create(stored.clientId)
    session.storedId = stored.id
    session.protocolLevel = stored.protocolLevel
    session.expirySeconds = stored.sessionExpirySeconds
    session.persistent = stored.sessionExpirySeconds > 0
    sessions.byStoredId.set(stored.id, session)
    sessions.nextStoredId = Math.max(sessions.nextStoredId, stored.id + 1)
    if (stored.sessionExpirySeconds === NEVER) return
    // One that was connected when the process ended begins to expire now.
    const sinceMs = stored.disconnectedAtMs === 0 ? this.nowWallMs : stored.disconnectedAtMs
    const leftMs = Math.max(sinceMs + stored.sessionExpirySeconds * 1000 - this.nowWallMs, 0)
    this.broker.wheel.set(session.setTimer(), this.broker.nowMs + leftMs)
  }

  subscription(stored: StoredSubscription): void {
    const session = this.broker.sessions.byStoredId.get(stored.sessionId)
    if (session === undefined) return
    const { filter, options, identifier } = stored
    addSubscription(this.broker, session, filter, options, identifier)
  }

  message(stored: StoredMessage): void {
    this.messages.set(stored.id, storedMessage(stored))
    this.messageIdMax = Math.max(this.messageIdMax, stored.id)
  }

  retained(stored: StoredMessage): void {
    this.broker.retainer.restore(this.messageOf(stored))
  }

  will(stored: StoredWill): void {
    const session = this.broker.sessions.byStoredId.get(stored.sessionId)
    if (session === undefined) return
    const message = this.messageOf(stored.message)
    message.holders++
    // One that was connected when the process ended: its connection ended with it.
    const fireAtMs =
      stored.fireAtMs === 0 ? this.nowWallMs + stored.delaySeconds * 1000 : stored.fireAtMs
    const timer = new Timer(session)
    const { delaySeconds, expirySeconds } = stored
    session.will = { message, delaySeconds, expirySeconds, timer }
    const leftMs = Math.max(fireAtMs - this.nowWallMs, 0)
    this.broker.wheel.set(timer, this.broker.nowMs + leftMs)
  }

  group(groupId: number, shareName: string, filter: string): void {
    this.broker.groups.restore(groupId, shareName, filter)
  }

  delivery(stored: StoredDelivery): void {
    const session = this.broker.sessions.byStoredId.get(stored.ownerId)
    const delivery = this.deliveryOf(stored)
    if (session === undefined || delivery === null) return
    if (session.queue === null) session.queue = new DeliveryQueue()
    session.queue.push(delivery)
    session.nextSequence = Math.max(session.nextSequence, stored.sequence + 1)
    this.broker.queues.hold(session, delivery)
    let known = this.deliveries.get(session)
    if (known === undefined) {
      known = new Map()
      this.deliveries.set(session, known)
    }
    known.set(stored.sequence, delivery)
  }

  groupDelivery(stored: StoredDelivery): void {
    const delivery = this.deliveryOf(stored)
    if (delivery !== null) this.broker.groups.restoreDelivery(stored.ownerId, delivery)
  }

  inflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    const session = this.broker.sessions.byStoredId.get(sessionId)
    if (session === undefined) return
    const delivery = this.deliveries.get(session)?.get(sequence) ?? null
    if (delivery === null) return
    session.queue?.removeWhere(waiting => waiting === delivery)
    if (session.inflight === null) session.inflight = new Inflight()
    delivery.sentBefore = true
    session.inflight.restore(packetId, state, delivery)
  }

  received(sessionId: number, packetId: number): void {
    const session = this.broker.sessions.byStoredId.get(sessionId)
    if (session === undefined) return
    session.received ??= new Set()
    session.received.add(packetId)
  }

  /** All has been read. */
  finish(): void {
    this.messages.clear()
    this.deliveries.clear()
    // Sessions that last as long as their connection have ended with the process.
    for (const session of [...this.broker.sessions.byStoredId.values()]) {
      if (!session.persistent) this.broker.sessions.end(session) // [MQTT-4.1.0-2]
    }
    this.broker.groups.endRestore()
  }

  private messageOf(stored: StoredMessage): Message {
    const known = this.messages.get(stored.id)
    if (known !== undefined) return known
    this.message(stored)
    return this.messages.get(stored.id) ?? storedMessage(stored)
  }

  private deliveryOf(stored: StoredDelivery): Delivery | null {
    const message = this.messages.get(stored.messageId)
    const qos = stored.flags & 3
    if (message === undefined || (qos !== 1 && qos !== 2)) return null
    const delivery = new Delivery(message, qos, (stored.flags & 4) !== 0, stored.identifiers)
    delivery.ownerId = stored.ownerId
    delivery.sequence = stored.sequence
    message.holders++
    return delivery
  }
}
