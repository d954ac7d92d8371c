// Sessions fall asleep when their connection ends, if the store can give them back, and wake when
// their client returns. Asleep they take messages, expire and publish their wills like the others.
// What the store has to be asked for comes later; nothing else waits for it.

import { parseSharedFilter, utf8ByteLength } from '@godwit/packet'
import type { Broker } from './broker.ts'
import type { Connection } from './connection.ts'
import { giveWay } from './handlers/connect.ts'
import { Inflight } from './inflight.ts'
import { storedMessage } from './keep.ts'
import { shortened } from './ledger.ts'
import { SLEEPERS_LOOKED_INTO_MAX } from './limits.ts'
import type { Message } from './message.ts'
import type { Origin, StoredPage, StoredWill } from './ports.ts'
import { ReceivedIds } from './received-ids.ts'
import { DeliveryQueue, Session } from './session.ts'
import { NO_TIME, Sleepers } from './sleepers.ts'
import { hasWildcard, Subscription } from './subscriptions.ts'
import { deliveryOf } from './tails.ts'

/** Of a session that wakes; the rest follows page by page. */
const FIRST_PAGE_BYTES = 512 * 1024
const SLOTS_PER_TICK = 100_000
/** Of an earlier process that is not kept. */
const UNKNOWN_ORIGIN: Origin = Object.freeze({
  transport: 'unknown',
  remoteAddress: '',
  remotePort: 0,
  listener: '',
  certificate: null,
})

/** Sessions that end, or are asked for their will, in one tick. */
const ENDS_PER_TICK = 2000
const SESSION_NEVER_EXPIRES = 0xffff_ffff

/** A session that was asked for. */
interface Waking {
  ticket: number
  /** The one that has come for it; null when only its will was due, or when it has gone again. */
  connection: Connection | null
  /** Those that came after one that has sent more than CONNECT, which is handled first. */
  followers: Connection[] | null
  /** When it came. What would have been due later than that is not, whenever the store answers. */
  cameMs: number
  /** It is not to be continued: it ends, its will goes out. */
  ends: boolean
}

interface Oldest {
  readonly sequence: number
  readonly byteLength: number
  readonly topic: string
}

/** The head of a sleeping session's queue. */
interface Head {
  ticket: number
  entries: Oldest[]
  next: number
}

export class Sleep {
  readonly sleepers: Sleepers
  /** Stands for every sleeping session where a session is asked for. */
  readonly anySession: Session
  private readonly broker: Broker
  private readonly asked = new Map<number, (page: StoredPage) => void>()
  private nextTicket = 1
  private readonly wakings = new Map<number, Waking>()
  private readonly heads = new Map<number, Head>()
  private scanAt = 0

  constructor(broker: Broker) {
    this.broker = broker
    this.sleepers = new Sleepers(broker.ports.random.below(0x7fff_ffff))
    this.anySession = new Session(broker.sessions, '')
    this.anySession.persistent = true
    broker.router.attach(this.sleepers, this.anySession)
  }

  /** Asks the store something; `broker.fetched` brings the answer to `then`. @returns the ticket */
  ask(then: (page: StoredPage) => void): number {
    const ticket = this.nextTicket++
    this.asked.set(ticket, then)
    // What it depends on has to be committed.
    this.broker.sender.requestTurn()
    return ticket
  }

  /** That the store has not answered. */
  get openQuestions(): number {
    return this.asked.size
  }

  cancel(ticket: number): void {
    this.asked.delete(ticket)
  }

  answered(page: StoredPage): void {
    const then = this.asked.get(page.ticket)
    this.asked.delete(page.ticket)
    then?.(page)
  }

  /** Whether the session can live in the store while nobody is connected. */
  canFall(session: Session): boolean {
    const { store, guard } = this.broker.ports
    // Where its client came from is not stored, and a guard may want to know.
    const mustAsk = session.will !== null && guard.checksPermissions
    return (
      store.pages &&
      !mustAsk &&
      session.persistent &&
      session.retainedJobs === null &&
      !session.takenOver
    )
  }

  /** The session leaves the memory. Its connection has ended, its records are written. */
  fall(session: Session): void {
    const { sleepers, broker } = this
    const { sessions, queues, wheel } = broker
    const nextPacketId = session.inflight?.nextId ?? 0
    queues.letGo(session)
    const slot = sleepers.add(session.clientId, session.storedId)
    sleepers.messages.set(slot, session.queuedMessages)
    sleepers.bytes.set(slot, session.queuedBytes)
    sleepers.nextSequence.set(slot, session.nextSequence)
    sleepers.nextPacketId.set(slot, nextPacketId)
    if (session.timer !== null) {
      if (session.expirySeconds !== SESSION_NEVER_EXPIRES) {
        sleepers.endsAtMs.set(slot, session.timer.atMs)
      }
      wheel.cancel(session.timer)
    }
    const { will } = session
    if (will !== null && will.timer !== null) {
      sleepers.willAtMs.set(slot, will.timer.atMs)
      sleepers.willBytes.set(slot, will.message.byteLength)
      wheel.cancel(will.timer)
      broker.releaseMessage(will.message)
    }
    for (const subscription of session.subscriptions()) this.layDown(slot, subscription)
    session.will = null
    session.ended = true
    session.groups = null
    sessions.byClientId.delete(session.clientId)
    sessions.byStoredId.delete(session.storedId)
  }

  /** A subscription of a session that was stored by an earlier process. */
  restoreSubscription(slot: number, filter: string, options: number, identifier: number): void {
    const { sleepers, broker } = this
    broker.subscriptionCount++
    broker.filterBytes += utf8ByteLength(filter)
    const shared = parseSharedFilter(filter)
    if (shared === null && !hasWildcard(filter)) {
      sleepers.addFilter(slot, filter, options, identifier)
      return
    }
    const subscription = new Subscription(this.anySession, filter)
    subscription.options = options
    subscription.identifier = identifier
    subscription.slot = slot
    sleepers.addOther(slot, subscription)
    if (shared === null) broker.router.index.add(filter, subscription)
    else {
      const group = broker.groups.groupOf(shared.shareName, shared.filter)
      broker.groups.joinAsleep(group, subscription)
    }
  }

  /**
   * What a client whose session sleeps has to wait for.
   * @param cleanStart its session is not to be continued
   * @returns false when there is nothing: its session has ended
   */
  holdsUp(connection: Connection, slot: number, cleanStart: boolean): boolean {
    const { sleepers } = this
    const ends = cleanStart || this.isOver(slot)
    const waking = this.wakings.get(slot)
    if (waking !== undefined) {
      if (isWaiting(waking.connection) && waking.connection.hasRest) {
        waking.followers ??= []
        waking.followers.push(connection)
        return true
      }
      if (!isWaiting(waking.connection)) waking.cameMs = this.nowMs
      this.supersede(waking.connection, connection)
      waking.connection = connection
      waking.ends ||= ends
      return true
    }
    if (ends && sleepers.willAtMs.get(slot) === NO_TIME) {
      this.end(slot)
      return false
    }
    this.wake(slot, connection, ends)
    return true
  }

  /** Whether the session of this client is there and will be continued. */
  continues(clientId: string): boolean {
    const slot = this.sleepers.find(clientId)
    return slot >= 0 && !this.isOver(slot) && this.wakings.get(slot)?.ends !== true
  }

  admits(slot: number, byteLength: number): boolean {
    const { limits, ports } = this.broker
    if (ports.store.full) return false
    return limits.fullQueue === 'drop-oldest' || !this.isFull(slot, byteLength, 0)
  }

  /** A message for a sleeping session: a record, and a count. */
  enqueue(
    slot: number,
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): void {
    const { sleepers, broker } = this
    const { byteLength } = message
    if (this.isFull(slot, byteLength, 0) && !this.makeRoom(slot, byteLength)) {
      broker.lose('queue-full', sleepers.clientId(slot), message.topic, byteLength)
      return
    }
    const sequence = sleepers.nextSequence.get(slot)
    sleepers.nextSequence.set(slot, sequence + 1)
    sleepers.messages.set(slot, sleepers.messages.get(slot) + 1)
    sleepers.bytes.add(slot, byteLength)
    broker.storeMessage(message)
    message.holders--
    const ownerId = sleepers.storedId.get(slot)
    const flags = qos | (retain ? 4 : 0)
    const messageId = message.id
    broker.ports.store.putDelivery({
      ownerId,
      sequence,
      byteLength,
      messageId,
      flags,
      identifiers,
    })
    broker.forwarder.stored = true
  }

  /** Looks for those whose time has come: all of them within a second or so. */
  tick(): void {
    const { sleepers } = this
    if (sleepers.count === 0) return
    const nowMs = this.broker.ports.clock.monotonicMs()
    let acted = 0
    const slots = Math.min(sleepers.slotsMax, SLOTS_PER_TICK)
    for (let i = 0; i < slots && acted < ENDS_PER_TICK; i++) {
      if (this.scanAt >= sleepers.slotsMax) this.scanAt = 0
      const slot = this.scanAt++
      if (!sleepers.has(slot)) continue
      const endsAtMs = sleepers.endsAtMs.get(slot)
      const willAtMs = sleepers.willAtMs.get(slot)
      const ends = endsAtMs !== NO_TIME && endsAtMs <= nowMs
      if (!ends && (willAtMs === NO_TIME || willAtMs > nowMs)) continue
      if (this.wakings.has(slot)) continue
      acted++
      if (willAtMs !== NO_TIME) this.wake(slot, null, ends)
      else {
        this.broker.counters.clientsExpired++
        this.end(slot)
      }
    }
  }

  /** The session ends with all it has; a will that is pending has been published before. */
  private end(slot: number): void {
    const { sleepers, broker } = this
    const { router, groups, ports, sender } = broker
    sleepers.eachFilter(slot, filter => {
      broker.subscriptionCount--
      broker.filterBytes -= utf8ByteLength(filter)
      router.forget(filter)
    })
    for (const subscription of [...sleepers.othersOf(slot)]) {
      broker.subscriptionCount--
      broker.filterBytes -= utf8ByteLength(subscription.filter)
      if (subscription.group !== null) groups.leave(subscription.group, subscription)
      else {
        router.index.remove(subscription.filter, subscription)
        router.forget(subscription.filter)
      }
    }
    const count = sleepers.messages.get(slot)
    if (count > 0) {
      const bytes = sleepers.bytes.get(slot)
      broker.loseMany('session-ended', sleepers.clientId(slot), '', count, bytes)
    }
    ports.store.removeSession(sleepers.storedId.get(slot))
    broker.sessions.removedIn = ports.store.openBatch
    this.forgetHead(slot)
    sleepers.remove(slot)
    sender.requestTurn()
  }

  /** From the session into what is kept of it meanwhile. */
  private layDown(slot: number, subscription: Subscription): void {
    const { sleepers, broker } = this
    const { filter, options, identifier } = subscription
    const { index } = broker.router
    if (subscription.group === null && !hasWildcard(filter)) {
      index.remove(filter, subscription)
      sleepers.addFilter(slot, filter, options, identifier)
    } else {
      subscription.session = this.anySession
      subscription.slot = slot
      sleepers.addOther(slot, subscription)
    }
    if (subscription.group === null) broker.router.forget(filter)
  }

  private wake(slot: number, connection: Connection | null, ends: boolean): void {
    const ticket = this.ask(page => this.woken(slot, page))
    this.wakings.set(slot, { ticket, connection, followers: null, cameMs: this.nowMs, ends })
    const storedId = this.sleepers.storedId.get(slot)
    const { ports, paging } = this.broker
    ports.store.fetch(ticket, storedId, 0, paging.firstPage, FIRST_PAGE_BYTES)
  }

  private woken(slot: number, page: StoredPage): void {
    const waking = this.wakings.get(slot)
    this.wakings.delete(slot)
    if (waking === undefined || !this.sleepers.has(slot)) return
    const willAtMs = this.sleepers.willAtMs.get(slot)
    const all = [waking.connection, ...(waking.followers ?? [])]
    const [connection = null, ...others] = all.filter(isWaiting)
    const atMs = isWaiting(connection) ? waking.cameMs : this.nowMs
    const isOver = waking.ends || this.isOver(slot, atMs)
    // [MQTT-3.1.3-9]
    if (willAtMs !== NO_TIME && (isOver || willAtMs <= atMs)) this.publishWill(slot, page.will)
    if (isOver) this.end(slot)
    if (!isWaiting(connection)) return
    if (!isOver) this.rise(slot, page)
    this.broker.decided(connection.waitingFor, null)
    for (const { waitingFor } of others) this.broker.decided(waitingFor, null)
  }

  private publishWill(slot: number, will: StoredWill | null): void {
    const { broker, sleepers } = this
    this.forgetWill(slot)
    broker.ports.store.removeWill(sleepers.storedId.get(slot))
    if (will === null) return
    const { delaySeconds, expirySeconds, user } = will
    const message = storedMessage(will.message)
    // The record of the will was its only one.
    message.id = 0
    const identity =
      user === null ? null : { clientId: message.publisher, ...user, origin: UNKNOWN_ORIGIN }
    broker.wills.publish({ message, delaySeconds, expirySeconds, identity, timer: null })
  }

  private forgetWill(slot: number): void {
    const { sleepers, broker } = this
    broker.wills.byteCount -= sleepers.willBytes.get(slot)
    sleepers.willBytes.set(slot, 0)
    sleepers.willAtMs.set(slot, NO_TIME)
  }

  /** Makes a session again, for a connection that takes it over at once. */
  private rise(slot: number, page: StoredPage): void {
    const { sleepers, broker } = this
    const { sessions, queues, ports } = broker
    this.forgetHead(slot)
    const session = sessions.create(sleepers.clientId(slot))
    session.storedId = sleepers.storedId.get(slot)
    session.persistent = true
    session.nextSequence = sleepers.nextSequence.get(slot)
    sessions.byStoredId.set(session.storedId, session)
    for (const entry of page.entries) {
      const delivery = deliveryOf(entry)
      queues.hold(session, delivery)
      if (entry.packetId === 0) {
        session.queue ??= new DeliveryQueue()
        session.queue.push(delivery)
        continue
      }
      session.inflight ??= new Inflight()
      delivery.sentBefore = true
      session.inflight.restore(entry.packetId, entry.state, delivery)
    }
    const nextPacketId = sleepers.nextPacketId.get(slot)
    if (nextPacketId > 0) {
      session.inflight ??= new Inflight()
      session.inflight.continueAt(nextPacketId)
    }
    const messages = sleepers.messages.get(slot)
    const bytes = sleepers.bytes.get(slot)
    queues.tails.begin(session, messages - session.queuedMessages, bytes - session.queuedBytes)
    session.queuedMessages = messages
    session.queuedBytes = bytes
    if (page.received.length > 0) session.received = new ReceivedIds(page.received)
    if (sleepers.willAtMs.get(slot) !== NO_TIME) {
      ports.store.removeWill(session.storedId)
      this.forgetWill(slot)
    }
    this.raiseSubscriptions(slot, session)
    sleepers.remove(slot)
  }

  private raiseSubscriptions(slot: number, session: Session): void {
    const { sleepers, broker } = this
    sleepers.eachFilter(slot, (filter, options, identifier) => {
      const subscription = new Subscription(session, filter)
      subscription.options = options
      subscription.identifier = identifier
      session.addSubscription(subscription)
      broker.router.index.add(filter, subscription)
      broker.router.forget(filter)
    })
    for (const subscription of sleepers.othersOf(slot)) {
      subscription.session = session
      subscription.slot = -1
      session.addSubscription(subscription)
      if (subscription.group === null) broker.router.forget(subscription.filter)
      else {
        session.groups ??= []
        session.groups.push(subscription.group)
      }
    }
  }

  /** Two connections of one client wait: the first one makes way [MQTT-3.1.4-3]. */
  private supersede(first: Connection | null, second: Connection): void {
    if (first === null || first === second || first.waitingFor === 0) return
    giveWay(this.broker, first, second)
  }

  private get nowMs(): number {
    return this.broker.ports.clock.monotonicMs()
  }

  private isOver(slot: number, atMs = this.nowMs): boolean {
    const endsAtMs = this.sleepers.endsAtMs.get(slot)
    return endsAtMs !== NO_TIME && endsAtMs <= atMs
  }

  private isFull(slot: number, byteLength: number, beyond: number): boolean {
    const { limits } = this.broker
    const { messages, bytes } = this.sleepers
    return (
      messages.get(slot) >= limits.queuedMessagesMax + beyond ||
      bytes.get(slot) + byteLength > limits.queuedBytesMax * (beyond > 0 ? 2 : 1)
    )
  }

  /**
   * Drops the oldest messages of a full queue, as far as they are known; they are asked for when
   * they are not, and a few more come in meanwhile.
   * @returns false when the message has to be lost instead
   */
  private makeRoom(slot: number, byteLength: number): boolean {
    const { limits } = this.broker
    if (limits.fullQueue !== 'drop-oldest' || byteLength > limits.queuedBytesMax) return false
    // The page of one that wakes must not have what is dropped now.
    if (!this.wakings.has(slot)) {
      const head = this.headOf(slot)
      while (this.isFull(slot, byteLength, 0) && this.dropOldest(slot, head));
      if (!this.isFull(slot, byteLength, 0)) return true
      if (head.ticket === 0 && !this.askHead(slot, head)) return false
    }
    return !this.isFull(slot, byteLength, this.broker.paging.oldest)
  }

  private headOf(slot: number): Head {
    let head = this.heads.get(slot)
    if (head !== undefined) return head
    if (this.heads.size >= SLEEPERS_LOOKED_INTO_MAX) {
      for (const other of this.heads.keys()) {
        this.forgetHead(other)
        break
      }
    }
    head = { ticket: 0, entries: [], next: 0 }
    this.heads.set(slot, head)
    return head
  }

  /** @returns false when there is nothing that could be dropped */
  private askHead(slot: number, head: Head): boolean {
    if (this.sleepers.messages.get(slot) === 0) return false
    head.ticket = this.ask(page => this.headCame(slot, head, page))
    const storedId = this.sleepers.storedId.get(slot)
    const { ports, paging } = this.broker
    ports.store.fetch(head.ticket, storedId, 0, paging.oldest, FIRST_PAGE_BYTES)
    return true
  }

  private headCame(slot: number, head: Head, page: StoredPage): void {
    head.ticket = 0
    if (this.heads.get(slot) !== head || this.wakings.has(slot)) return
    head.entries = []
    head.next = 0
    for (const { delivery, message, packetId } of page.entries) {
      // The client may have it already.
      if (packetId !== 0) continue
      const { sequence, byteLength } = delivery
      const topic = shortened(storedMessage(message).topic)
      head.entries.push({ sequence, byteLength, topic })
    }
    while (this.isOverfull(slot) && this.dropOldest(slot, head));
  }

  private isOverfull(slot: number): boolean {
    const { limits } = this.broker
    const { messages, bytes } = this.sleepers
    return messages.get(slot) > limits.queuedMessagesMax || bytes.get(slot) > limits.queuedBytesMax
  }

  private dropOldest(slot: number, head: Head): boolean {
    const oldest = head.entries[head.next]
    if (oldest === undefined) return false
    head.next++
    const { sleepers, broker } = this
    const { sequence, byteLength, topic } = oldest
    sleepers.messages.set(slot, sleepers.messages.get(slot) - 1)
    sleepers.bytes.add(slot, -byteLength)
    broker.ports.store.removeDelivery(sleepers.storedId.get(slot), sequence)
    broker.lose('queue-full', sleepers.clientId(slot), topic, byteLength)
    broker.sender.requestTurn()
    return true
  }

  private forgetHead(slot: number): void {
    const head = this.heads.get(slot)
    if (head === undefined) return
    if (head.ticket !== 0) this.cancel(head.ticket)
    this.heads.delete(slot)
  }
}

function isWaiting(connection: Connection | null): connection is Connection {
  return connection !== null && connection.waitingFor !== 0
}
