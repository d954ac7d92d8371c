// hot
// Remembers for each topic who receives it. A change of subscriptions makes it forget: a filter
// without wildcards its own topic only, one with wildcards everything, by a generation number.

import {
  decodeUtf8,
  encodeUtf8,
  isTopicName,
  PacketError,
  ReasonCode,
  utf8ByteLength,
} from '@godwit/packet'
import { type Limits, LONG_ROUTES_MAX, LONG_TOPIC_BYTES } from './limits.ts'
import { copyOfBytes } from './plain.ts'
import type { Session } from './session.ts'
import type { Group } from './shared.ts'
import type { Sleepers } from './sleepers.ts'
import { hasWildcard, type Matches, Subscription, SubscriptionIndex } from './subscriptions.ts'

const WAYS = 2
const FORGOTTEN = -1

/** A session that receives a topic, with what its matching subscriptions add up to. */
export class Receiver {
  readonly session: Session
  /** Of a session that sleeps; -1 when it is awake. */
  readonly slot: number
  /** The highest of the matching subscriptions [MQTT-3.3.4-2]. */
  qos: 0 | 1 | 2
  retainAsPublished: boolean
  /** Of all matching subscriptions that have one [MQTT-3.3.4-3] [MQTT-3.3.4-4]. */
  identifiers: number[] | null
  /** True: a matching subscription has No Local, see `own`. */
  noLocal: boolean
  /** The same without those that have No Local; null when there is no other. */
  own: Receiver | null

  constructor(session: Session, slot = -1) {
    this.session = session
    this.slot = slot
    this.qos = 0
    this.retainAsPublished = false
    this.identifiers = null
    this.noLocal = false
    this.own = null
  }

  add(subscription: Subscription): void {
    if (subscription.qos > this.qos) this.qos = subscription.qos
    if (subscription.retainAsPublished) this.retainAsPublished = true
    if (subscription.identifier !== 0) {
      if (this.identifiers === null) this.identifiers = []
      this.identifiers.push(subscription.identifier)
    }
  }
}

/** A topic and who receives it. */
export class Route {
  readonly topic: string
  readonly topicBytes: Uint8Array
  readonly hash: number
  /** The topic begins with '$'. */
  readonly special: boolean
  generation: number = FORGOTTEN
  receivers: Receiver[] = NO_RECEIVERS
  groups: Group[] = NO_GROUPS
  /** Subscriptions and groups that it matched: what remembering it takes. */
  weight = 0
  /**
   * Where the route was that a publisher needed after this one. A place and no reference: routes
   * that are no longer remembered would keep each other alive.
   */
  next = 0

  constructor(topic: string, topicBytes: Uint8Array, hash: number) {
    this.topic = topic
    this.topicBytes = topicBytes
    this.hash = hash
    this.special = topic.startsWith('$')
  }

  /** Whether `bytes[start, end)` is this topic. */
  is(bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.topicBytes
    if (own.length !== end - start) return false
    // From the end: topics that are not the same mostly begin alike.
    for (let i = own.length - 1; i >= 0; i--) if (own[i] !== bytes[start + i]) return false
    return true
  }
}

const NO_RECEIVERS: Receiver[] = []
const NO_GROUPS: Group[] = []

/** `routesMax` is a power of two. */
type RouterLimits = Pick<
  Limits,
  'routesMax' | 'routeReceiversMax' | 'topicLevelsMax' | 'topicBytesMax'
>

export class Router {
  readonly index: SubscriptionIndex = new SubscriptionIndex()
  /** Routes of an older generation are stale. */
  generation = 0
  private readonly routes: (Route | undefined)[]
  private readonly mask: number
  private readonly longMask: number
  private victim = 0
  /** Of all routes that are remembered. */
  weight = 0
  private readonly weightMax: number
  /** The last place that gave up its receivers. */
  private hand = 0
  /** Of the route that `find` has found. */
  private place = 0
  private readonly topicLevelsMax: number
  private readonly topicBytesMax: number
  private readonly found: Matches = { subscriptions: [], groups: [] }
  /** By session, or by slot where it sleeps. */
  private readonly merging = new Map<Session | number, Receiver>()
  private sleepers: Sleepers | null = null
  /** Filters of sessions that sleep, among those that were found last. */
  private asleep = 0
  /** Stands for the filter of a sleeping session that is just looked at. */
  private sleeping: Subscription | null = null

  constructor(limits: RouterLimits) {
    const { routesMax } = limits
    this.routes = new Array(routesMax)
    this.mask = routesMax / WAYS - 1
    this.longMask = Math.min(routesMax, LONG_ROUTES_MAX) / WAYS - 1
    this.weightMax = limits.routeReceiversMax
    this.topicLevelsMax = limits.topicLevelsMax
    this.topicBytesMax = limits.topicBytesMax
  }

  /** Where filters of sessions without a connection are; `sleeping` stands for each of them. */
  attach(sleepers: Sleepers, sleeping: Session): void {
    this.sleepers = sleepers
    this.sleeping = new Subscription(sleeping, '')
  }

  /**
   * The route of the topic `bytes[start, end)`, fresh.
   * @param isLimited false where it was let in before, maybe under other limits
   * @throws PacketError `malformed-packet` or `topic-name-invalid`
   */
  find(bytes: Uint8Array, start: number, end: number, isLimited = true): Route {
    const hash = hashOf(bytes, start, end)
    const set = this.setOf(hash, end - start)
    for (let way = 0; way < WAYS; way++) {
      const route = this.routes[set + way]
      if (route !== undefined && route.hash === hash && route.is(bytes, start, end)) {
        if (route.generation !== this.generation) this.refresh(route)
        this.place = set + way
        return route
      }
    }
    return this.remember(copyOfBytes(bytes, start, end), hash, set, isLimited)
  }

  /**
   * As `find`, but what came after `last` before is tried first: who has several topics publishes
   * them in turns, and to compare a topic takes a third of what its hash takes.
   * @throws PacketError `topic-name-invalid`
   */
  findAfter(last: Route, bytes: Uint8Array, start: number, end: number): Route {
    const next = this.routes[last.next]
    if (next?.is(bytes, start, end)) {
      if (next.generation !== this.generation) this.refresh(next)
      return next
    }
    const route = this.find(bytes, start, end)
    last.next = this.place
    return route
  }

  /** @throws PacketError `topic-name-invalid` */
  findTopic(topic: string, isLimited = true): Route {
    const bytes = encodeUtf8(topic)
    return this.find(bytes, 0, bytes.length, isLimited)
  }

  /** Matches anew. */
  refresh(route: Route): void {
    const found = this.found
    found.subscriptions.length = 0
    found.groups.length = 0
    this.asleep = 0
    this.index.match(route.topic, found)
    const sleep = this.sleepers?.match(route.topicBytes) === true
    route.receivers = sleep
      ? this.mergeAll(found.subscriptions, route.topicBytes)
      : this.merge(found.subscriptions)
    route.groups = found.groups.length === 0 ? NO_GROUPS : found.groups.slice()
    route.generation = this.generation
    const weight = found.subscriptions.length + this.asleep + found.groups.length
    this.weight += weight - route.weight
    route.weight = weight
    if (this.weight > this.weightMax) this.makeRoom(route)
  }

  /** Place by place others forget who receives them: it is found out anew when it is needed. */
  private makeRoom(needed: Route): void {
    const last = this.routes.length - 1
    for (let i = 0; i <= last && this.weight > this.weightMax; i++) {
      this.hand = this.hand === last ? 0 : this.hand + 1
      const route = this.routes[this.hand]
      if (route !== undefined && route !== needed) this.empty(route)
    }
  }

  /** Connections may hold it: they have to ask again, and keep nobody alive meanwhile. */
  private empty(route: Route): void {
    route.generation = FORGOTTEN
    route.receivers = NO_RECEIVERS
    route.groups = NO_GROUPS
    this.weight -= route.weight
    route.weight = 0
  }

  /** The subscriptions of `filter` (without a share name) have changed. */
  forget(filter: string): void {
    if (hasWildcard(filter)) {
      this.generation++
      return
    }
    const hash = hashOfText(filter)
    const set = this.setOf(hash, utf8ByteLength(filter))
    for (let way = 0; way < WAYS; way++) {
      const route = this.routes[set + way]
      if (route !== undefined && route.topic === filter) route.generation = FORGOTTEN
    }
  }

  /** Where the route of a topic may be. */
  private setOf(hash: number, topicBytes: number): number {
    const mask = topicBytes > LONG_TOPIC_BYTES ? this.longMask : this.mask
    return (hash & mask) * WAYS
  }

  private remember(topicBytes: Uint8Array, hash: number, set: number, isLimited: boolean): Route {
    const topic = decodeUtf8(topicBytes, 0, topicBytes.length) // [MQTT-1.5.4-1] [MQTT-4.7.3-2]
    this.checkTopic(topic, topicBytes.length, isLimited)
    let slot = set
    if (this.routes[slot] !== undefined) slot = set + 1
    if (this.routes[slot] !== undefined) {
      this.victim ^= 1
      slot = set + this.victim
      this.empty(this.routes[slot] as Route)
    }
    const route = new Route(topic, topicBytes, hash)
    this.routes[slot] = route
    this.place = slot
    this.refresh(route)
    return route
  }

  private checkTopic(topic: string, topicBytes: number, isLimited: boolean): void {
    if (!isTopicName(topic)) {
      refuseTopic('has a wildcard or is empty') // [MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.3-1]
    }
    if (!isLimited) return
    if (topicBytes > this.topicBytesMax) {
      refuseTopic(`has ${topicBytes} bytes, the limit is ${this.topicBytesMax}`)
    }
    let levels = 1
    for (let i = 0; i < topic.length; i++) if (topic.charCodeAt(i) === 0x2f) levels++
    if (levels > this.topicLevelsMax) {
      refuseTopic(`has ${levels} levels, the limit is ${this.topicLevelsMax}`)
    }
  }

  /** One receiver per session: overlapping subscriptions give one copy. */
  private merge(subscriptions: Subscription[]): Receiver[] {
    if (subscriptions.length === 0) return NO_RECEIVERS
    if (subscriptions.length === 1) return [this.receiverOf(subscriptions[0] as Subscription, null)]
    for (let i = 0; i < subscriptions.length; i++) this.addTo(subscriptions[i] as Subscription)
    return this.takeMerged()
  }

  /** The same with those that sleep and whose filter is the topic itself. */
  private mergeAll(subscriptions: Subscription[], topicBytes: Uint8Array): Receiver[] {
    const { sleepers, sleeping } = this
    if (sleepers === null || sleeping === null) return this.merge(subscriptions)
    for (let i = 0; i < subscriptions.length; i++) this.addTo(subscriptions[i] as Subscription)
    for (;;) {
      const address = sleepers.nextMatch(topicBytes)
      if (address === 0) return this.takeMerged()
      sleeping.slot = sleepers.slotOf(address)
      sleeping.options = sleepers.optionsOf(address)
      sleeping.identifier = sleepers.identifierOf(address)
      this.addTo(sleeping)
      this.asleep++
    }
  }

  private addTo(subscription: Subscription): void {
    const key = subscription.slot >= 0 ? subscription.slot : subscription.session
    const known = this.merging.get(key) ?? null
    const receiver = this.receiverOf(subscription, known)
    if (known === null) this.merging.set(key, receiver)
  }

  private takeMerged(): Receiver[] {
    if (this.merging.size === 0) return NO_RECEIVERS
    const receivers = [...this.merging.values()]
    this.merging.clear()
    return receivers
  }

  private receiverOf(subscription: Subscription, known: Receiver | null): Receiver {
    const { session, slot } = subscription
    const receiver = known ?? new Receiver(session, slot)
    if (subscription.noLocal && !receiver.noLocal) {
      receiver.noLocal = true
      receiver.own = known === null ? null : copyOf(receiver)
    }
    if (receiver.noLocal && !subscription.noLocal) {
      if (receiver.own === null) receiver.own = new Receiver(session, slot)
      receiver.own.add(subscription)
    }
    receiver.add(subscription)
    return receiver
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return hash ^ (hash >>> 15)
}

/** The same of a text's bytes, which are made only when they are other than its characters. */
function hashOfText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) {
      const bytes = encodeUtf8(text)
      return hashOf(bytes, 0, bytes.length)
    }
    hash = Math.imul(hash ^ unit, 0x01000193)
  }
  return hash ^ (hash >>> 15)
}

function copyOf(receiver: Receiver): Receiver {
  const copy = new Receiver(receiver.session, receiver.slot)
  copy.qos = receiver.qos
  copy.retainAsPublished = receiver.retainAsPublished
  copy.identifiers = receiver.identifiers?.slice() ?? null
  return copy
}

function refuseTopic(what: string): never {
  throw new PacketError('topic-name-invalid', ReasonCode.TOPIC_NAME_INVALID, `the topic ${what}`)
}
