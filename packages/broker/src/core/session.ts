// hot
// What outlives a connection: subscriptions, the queue, what is in flight both ways, the will.
// It is state with the operations on it; what is sent when is decided in delivery.ts.

import { utf8ByteLength } from '@godwit/packet'
import type { Connection } from './connection.ts'
import { type Due, Timer } from './expiry.ts'
import type { Inflight } from './inflight.ts'
import type { Message } from './message.ts'
import type { StoredDelivery } from './ports.ts'
import type { ReceivedIds } from './received-ids.ts'
import type { RetainedJob } from './retained.ts'
import type { Group } from './shared.ts'
import type { Subscription } from './subscriptions.ts'
import type { PendingWill } from './wills.ts'

const FEW_SUBSCRIPTIONS = 8

/** A message for one session (or one shared group) that waits or is in flight. */
export class Delivery implements StoredDelivery {
  readonly message: Message
  /** Session id or group id in the store; 0 when it is not stored. */
  ownerId: number
  sequence: number
  qos: 1 | 2
  retain: boolean
  identifiers: readonly number[] | null
  /** It may be sent when this batch is durable. */
  batch: number
  /** The shared group that it came from and may go back to. */
  group: Group | null
  /** It was sent before: DUP on the next copy [MQTT-3.3.1-1]. */
  sentBefore = false

  constructor(
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    identifiers: readonly number[] | null,
  ) {
    this.message = message
    this.ownerId = 0
    this.sequence = 0
    this.qos = qos
    this.retain = retain
    this.identifiers = identifiers
    this.batch = 0
    this.group = null
  }

  get byteLength(): number {
    return this.message.byteLength
  }

  get messageId(): number {
    return this.message.id
  }

  get flags(): number {
    return this.qos | (this.retain ? 4 : 0)
  }
}

/** What is empty and larger than this gives its memory back. */
const KEPT_ROOM = 64

/**
 * First in, first out, in an array that is compacted now and then. One that runs empty keeps a
 * small array: a queue that is filled and emptied in each turn would make a new one each time.
 */
export class DeliveryQueue {
  private items: (Delivery | null)[] = []
  private head = 0
  private tail = 0

  get length(): number {
    return this.tail - this.head
  }

  get last(): Delivery | null {
    return this.tail > this.head ? (this.items[this.tail - 1] as Delivery) : null
  }

  get first(): Delivery | null {
    return this.head < this.tail ? (this.items[this.head] as Delivery) : null
  }

  push(delivery: Delivery): void {
    this.items[this.tail++] = delivery
  }

  /** Puts back what was taken out, before all others. */
  unshift(deliveries: readonly Delivery[]): void {
    this.take([...deliveries, ...this.items.slice(this.head, this.tail)])
  }

  shift(): Delivery | null {
    if (this.head === this.tail) return null
    const delivery = this.items[this.head] as Delivery
    this.items[this.head++] = null
    if (this.head === this.tail) {
      this.head = 0
      this.tail = 0
      if (this.items.length > KEPT_ROOM) this.items = []
    } else if (this.head > 1024 && this.head * 2 > this.tail) {
      this.take(this.items.slice(this.head, this.tail))
    }
    return delivery
  }

  /** Takes out all that `drop` says. */
  removeWhere(drop: (delivery: Delivery) => boolean): void {
    const kept: Delivery[] = []
    for (let i = this.head; i < this.tail; i++) {
      const delivery = this.items[i] as Delivery
      if (!drop(delivery)) kept.push(delivery)
    }
    this.take(kept)
  }

  private take(items: (Delivery | null)[]): void {
    this.items = items
    this.head = 0
    this.tail = items.length
  }
}

/**
 * The end of a session's queue that is in the store and not in memory. A page of it is asked for
 * before the rest is used up; meanwhile what comes goes behind it.
 */
export class Tail {
  messages = 0
  bytes = 0
  /** The last sequence that is in memory: the tail comes after it. */
  after: number
  /** Of the page that was asked for; 0: none was. */
  ticket = 0
  /** Came after the page was asked for that has all of the tail: kept in memory, to follow it. */
  arrivals: Delivery[] | null = null

  constructor(after: number) {
    this.after = after
  }
}

/** What a session asks of its owner when its time has come. */
export interface SessionOwner {
  sessionDue(session: Session, timer: Timer): void
}

export class Session implements Due {
  readonly owner: SessionOwner
  readonly clientId: string
  connection: Connection | null = null
  protocolLevel: 3 | 4 | 5 = 4
  /** It is kept when the connection ends: its expiry is above 0. */
  persistent = false
  expirySeconds = 0
  /** Id in the store; 0 when it is not kept. */
  storedId = 0
  /** Bytes and messages that wait or are in flight. */
  queuedMessages = 0
  queuedBytes = 0
  queue: DeliveryQueue | null = null
  tail: Tail | null = null
  inflight: Inflight | null = null
  /** Packet identifiers of QoS 2 messages that came and are not released. */
  received: ReceivedIds | null = null
  will: PendingWill | null = null
  /** Shared groups that it is a member of. */
  groups: Group[] | null = null
  /** In the order in which they are served. */
  retainedJobs: Map<Subscription, RetainedJob> | null = null
  /** Expiry of the session while nobody is connected. */
  timer: Timer | null = null
  nextSequence = 1
  /** It is in the list of those that have something to send at the end of the turn. */
  waking = false
  /** Another connection of its client is about to have it. */
  takenOver = false
  ended = false
  /** Of its filters, as UTF-8. */
  filterBytes = 0
  private one: Subscription | null = null
  private few: Subscription[] | null = null
  private many: Map<string, Subscription> | null = null

  constructor(owner: SessionOwner, clientId: string) {
    this.owner = owner
    this.clientId = clientId
  }

  get subscriptionCount(): number {
    if (this.many !== null) return this.many.size
    if (this.few !== null) return this.few.length
    return this.one === null ? 0 : 1
  }

  subscription(filter: string): Subscription | null {
    if (this.many !== null) return this.many.get(filter) ?? null
    if (this.few !== null) return this.few.find(known => known.filter === filter) ?? null
    return this.one !== null && this.one.filter === filter ? this.one : null
  }

  /** The filter must not be subscribed yet. */
  addSubscription(subscription: Subscription): void {
    this.filterBytes += utf8ByteLength(subscription.filter)
    if (this.many !== null) this.many.set(subscription.filter, subscription)
    else if (this.few !== null) {
      this.few.push(subscription)
      if (this.few.length > FEW_SUBSCRIPTIONS) {
        this.many = new Map(this.few.map(known => [known.filter, known]))
        this.few = null
      }
    } else if (this.one !== null) {
      this.few = [this.one, subscription]
      this.one = null
    } else this.one = subscription
  }

  removeSubscription(subscription: Subscription): void {
    this.filterBytes -= utf8ByteLength(subscription.filter)
    if (this.many !== null) this.many.delete(subscription.filter)
    else if (this.few !== null) this.few = this.few.filter(known => known !== subscription)
    else this.one = null
  }

  subscriptions(): Subscription[] {
    if (this.many !== null) return [...this.many.values()]
    if (this.few !== null) return this.few.slice()
    return this.one === null ? [] : [this.one]
  }

  setTimer(): Timer {
    this.timer ??= new Timer(this)
    return this.timer
  }

  due(timer: Timer): void {
    this.owner.sessionDue(this, timer)
  }
}
