// The subscriptions of a client: made, asked for, left. What one does with its messages is in
// subscription.ts, what the server is asked in subscribing.ts.

import {
  isTopicFilter,
  type Properties,
  type QoS,
  type SubscriptionRequest,
  type UserProperty,
} from '@godwit/packet'
import { type AbortOptions, aborted, onAbort } from './abort.ts'
import { ignore } from './deferred.ts'
import type { Engine } from './engine.ts'
import { invalidArgument, type MqttError } from './errors.ts'
import type { ClientEvent } from './events.ts'
import { Limits } from './limits.ts'
import type { Message } from './message.ts'
import { checkOptions, type OptionNames } from './option-names.ts'
import { readQoS } from './options.ts'
import { isWellFormed } from './publish-writer.ts'
import {
  type AckMode,
  type BufferOptions,
  Subscription,
  type SubscriptionHost,
} from './subscription.ts'
import { parseTopicTemplate, type TopicTemplate } from './topic-template.ts'
import type { Claimant, Unclaimed } from './unclaimed.ts'
import type { SubscribeDone, Wanted } from './wanted.ts'

const NEVER = Number.POSITIVE_INFINITY
const IDENTIFIER_MAX = 268_435_455
const REFUSED = 0x80
const SHARE_NAME = /^[^/+#\0]+$/

/** How messages are subscribed to. MQTT 5.0 section 3.8.3.1. */
export interface SubscribeOptions<P = Readonly<Record<string, string>>> {
  /** The highest QoS at which the server sends. Default: 1. */
  readonly qos?: QoS
  /** Not what this client itself publishes. MQTT 5.0. */
  readonly noLocal?: boolean
  /** Keeps the RETAIN flag as the publisher set it. MQTT 5.0. */
  readonly retainAsPublished?: boolean
  /** When retained messages are sent: always, to a new subscription, never. MQTT 5.0. */
  readonly retainHandling?: 'always' | 'new' | 'never'
  /** The group of a shared subscription: each message goes to one of its members. */
  readonly share?: string
  readonly buffer?: Partial<BufferOptions>
  /** Default: `processed`. */
  readonly ack?: AckMode
  /** Called at once for each message, instead of a buffer and an iterator. */
  readonly listener?: (message: Message<P>) => void
  readonly userProperties?: readonly UserProperty[]
  /** A subscription identifier of your own, which the server sends with each message. MQTT 5.0. */
  readonly identifier?: number
  /** Of several filters: goes on when the server refuses some of them. Default: false. */
  readonly partial?: boolean
  /** Ends the subscription. */
  readonly signal?: AbortSignal
}

/** How messages that match no subscription are taken. */
export type UnclaimedOptions = Pick<SubscribeOptions, 'ack' | 'buffer' | 'listener' | 'signal'>

export interface UnsubscribeOptions extends AbortOptions {
  readonly userProperties?: readonly UserProperty[]
}

/** What is done for one filter of a subscription. */
interface Member {
  readonly wanted: Wanted
  readonly told: SubscribeDone
}

type AnySubscription = Subscription<Readonly<Record<string, string>>>

interface Port {
  readonly engine: Engine
  event(event: ClientEvent): void
  /** Something failed, and nobody may be waiting for it. */
  reportError(error: MqttError): void
  /** Something was taken, or a subscription has ended. */
  consumed(): void
}

const BufferNames: OptionNames<BufferOptions> = { messagesMax: 1, bytesMax: 1, whenFull: 1 }
const SubscribeNames: OptionNames<SubscribeOptions> = {
  ack: 1,
  buffer: 1,
  listener: 1,
  userProperties: 1,
  qos: 1,
  noLocal: 1,
  retainAsPublished: 1,
  retainHandling: 1,
  share: 1,
  identifier: 1,
  partial: 1,
  signal: 1,
}

const RetainHandlings = { always: 0, new: 1, never: 2 } as const

export class Subscriptions implements SubscriptionHost {
  private readonly port: Port
  private members: Map<AnySubscription, readonly Member[]> | null = null
  private signals: Map<object, () => void> | null = null
  /** Loops that were left and wait for the server. */
  private leaving: Set<() => void> | null = null
  private unclaimed: Unclaimed | null = null
  private nextIdentifier = 1

  constructor(port: Port) {
    this.port = port
  }

  /** @throws MqttError `invalid-argument` */
  add(
    filters: readonly string[],
    options: SubscribeOptions<Readonly<Record<string, string>>>,
  ): AnySubscription {
    checkOptions('subscribe', options, SubscribeNames)
    const { share, signal } = options
    const { engine } = this.port
    if (!Array.isArray(filters) || filters.length === 0) {
      throw invalidArgument('a subscription takes a filter or a list of them')
    }
    const templates = filters.map(filter => readFilter(filter, share))
    const { identifier } = options
    readQoS(options.qos)
    if (identifier !== undefined && !(identifier >= 1 && identifier <= IDENTIFIER_MAX)) {
      throw invalidArgument(`identifier: expected 1 to ${IDENTIFIER_MAX}, got ${identifier}`)
    }
    if (options.noLocal === true && templates.some(({ filter }) => filter.startsWith('$share/'))) {
      throw invalidArgument('a shared subscription cannot be noLocal') // [MQTT-3.8.3-4]
    }
    const buffer = readBuffer(options.buffer ?? {})
    if (buffer.whenFull === 'pause' && !engine.platform.canPause) {
      throw invalidArgument("whenFull: 'pause' cannot be kept in a browser")
    }
    const subscription = new Subscription(this, {
      templates,
      ack: options.ack ?? 'processed',
      buffer,
      listener: options.listener ?? null,
    })
    if (endsAtOnce(subscription, signal)) return subscription
    this.enter(subscription, templates, options)
    if (signal !== undefined) this.watch(subscription, signal)
    this.unclaimed?.claim(subscription as Claimant, false)
    return subscription
  }

  /** Takes all messages that match no other subscription. */
  addFallback(options: UnclaimedOptions): AnySubscription {
    const subscription: AnySubscription = new Subscription(this, {
      templates: [],
      ack: options.ack ?? 'processed',
      buffer: readBuffer(options.buffer ?? {}),
      listener: options.listener ?? null,
    })
    const { signal } = options
    if (endsAtOnce(subscription, signal)) return subscription
    this.all.set(subscription, [])
    if (signal !== undefined) this.watch(subscription, signal)
    this.port.engine.router.fallback = subscription
    this.unclaimed?.claim(subscription as Claimant, true)
    this.unclaimed = null
    return subscription
  }

  /** The server has kept a session of an earlier process, whose messages may come at once. */
  sessionResumed(nowMs: number): void {
    const { parts, router, settings } = this.port.engine
    if (parts === null || router.fallback !== null || settings.unclaimedTimeoutMs === 0) return
    this.unclaimed = new parts.Unclaimed()
    router.fallback = this.unclaimed
    this.unclaimed.dueMs = nowMs + settings.unclaimedTimeoutMs
  }

  /** The time of what nobody wanted is over. */
  tick(): void {
    const { unclaimed } = this
    if (unclaimed === null) return
    this.unclaimed = null
    this.port.engine.router.remove(unclaimed)
    const dropped = unclaimed.release()
    if (dropped > 0) this.port.event({ type: 'unclaimed', dropped })
  }

  /** No subscription gets anything further. @param discard whether what waits is dropped */
  endAll(error: MqttError | null, discard: boolean): void {
    for (const subscription of [...this.all.keys()]) {
      this.unwatch(subscription)
      subscription.end(error, discard)
    }
    this.all.clear()
  }

  /** No subscription takes anything further; what waits can still be read. */
  finishAll(): void {
    for (const subscription of [...this.all.keys()]) subscription.finish()
  }

  /**
   * Nobody reads any more, but for running handlers. What was taken and not dealt with is not
   * acknowledged: a server that keeps the session sends it again.
   */
  abandonReaders(): void {
    for (const subscription of [...this.all.keys()]) {
      if (subscription.isHandling) continue
      this.unwatch(subscription)
      this.all.delete(subscription)
      subscription.end(null, false)
    }
  }

  get all(): Map<AnySubscription, readonly Member[]> {
    this.members ??= new Map()
    return this.members
  }

  get count(): number {
    return this.members === null ? 0 : this.members.size
  }

  /** When what nobody wanted is given up. */
  get dueMs(): number {
    return this.unclaimed === null ? NEVER : this.unclaimed.dueMs
  }

  get isIdle(): boolean {
    for (const subscription of this.all.keys()) if (!subscription.idle) return false
    return true
  }

  // SubscriptionHost

  holdReading(subscription: object, hold: boolean): void {
    this.port.engine.holdReading(subscription, hold)
  }

  giveTurn(): void {
    this.port.engine.giveTurn()
  }

  overflowed(filter: string, dropped: number): void {
    this.port.event({ type: 'overflow', filter, dropped })
  }

  failed(error: MqttError): void {
    this.port.reportError(error)
  }

  consumed(): void {
    this.port.consumed()
  }

  leave(subscription: object, done: (error: MqttError | null) => void): void {
    const left = subscription as AnySubscription
    const members = this.all.get(left)
    left.left = true
    this.unwatch(left)
    this.all.delete(left)
    const { router, session } = this.port.engine
    router.remove(left)
    let waiting = members === undefined ? 0 : members.length
    if (waiting === 0) {
      done(null)
      return
    }
    let first: MqttError | null = null
    for (const { wanted, told } of members ?? []) {
      session.subscribing.remove(wanted, told, error => {
        first ??= error
        if (--waiting === 0) done(first)
      })
    }
    this.port.engine.wantsTurnEnd()
  }

  orLost(left: Promise<void>): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        this.leaving?.delete(done)
        resolve()
      }
      left.then(done, done)
      if (this.port.engine.session.connected) this.leaving = (this.leaving ?? new Set()).add(done)
      else done()
    })
  }

  connectionLost(): void {
    for (const done of this.leaving ?? []) done()
  }

  /** Unsubscribes from filters that an earlier client of this session has left. */
  forget(filters: readonly string[], options: UnsubscribeOptions): Promise<void> {
    const { engine } = this.port
    const { subscribing } = engine.session
    const all = filters.map(filter => readFilter(filter, undefined).filter)
    for (const filter of all) {
      if (!subscribing.isUsed(filter)) continue
      throw invalidArgument(`${filter} belongs to a subscription of this client: end that`)
    }
    const { userProperties } = options
    const properties = userProperties === undefined ? null : { userProperties }
    const left = all.map(filter => {
      return new Promise<void>((resolve, reject) => {
        const told: SubscribeDone = error => (error === null ? resolve() : reject(error))
        subscribing.forget(filter, properties, told)
      })
    })
    engine.wantsTurnEnd()
    return Promise.all(left).then(ignore)
  }

  private enter(
    subscription: AnySubscription,
    templates: readonly TopicTemplate[],
    options: SubscribeOptions,
  ): void {
    const { router, session } = this.port.engine
    const { subscribing } = session
    const codes: number[] = new Array(templates.length).fill(-1)
    const properties: Properties | null =
      options.userProperties === undefined ? null : { userProperties: options.userProperties }
    const members = templates.map(({ filter }, index): Member => {
      const told: SubscribeDone = (error, reasonCode) => {
        codes[index] = error === null ? reasonCode : Math.max(reasonCode, REFUSED)
        if (error !== null && (options.partial !== true || codes.every(isRefusal))) {
          this.refused(subscription, error)
        } else if (!codes.includes(-1)) {
          subscription.granted({ qos: lowest(codes), reasonCodes: codes.slice() })
        }
      }
      const identifier = options.identifier ?? this.identifierFor(filter)
      return {
        wanted: subscribing.add(requestOf(filter, options), identifier, properties, told),
        told,
      }
    })
    subscription.wanted = members.map(({ wanted }) => wanted)
    this.all.set(subscription, members)
    router.add(subscription)
    this.port.engine.wantsTurnEnd()
  }

  /**
   * Only filters that overlap need identifiers: then the server says which of them a copy is for.
   * They cost bytes in every message, so others have none.
   */
  private identifierFor(filter: string): number {
    const { router, session } = this.port.engine
    const others = router.overlapping(filter)
    if (others.length === 0) return 0
    const { identifiers } = session.limits
    for (const other of others) {
      for (const wanted of other.wanted) {
        if (wanted.identifier === 0 && wanted.filter !== filter) {
          session.subscribing.identify(wanted, this.newIdentifier(), identifiers)
        }
      }
    }
    return this.newIdentifier()
  }

  private newIdentifier(): number {
    const identifier = this.nextIdentifier
    this.nextIdentifier = identifier === IDENTIFIER_MAX ? 1 : identifier + 1
    return identifier
  }

  private refused(subscription: AnySubscription, error: MqttError): void {
    if (!this.all.has(subscription)) return
    this.leave(subscription, ignore)
    subscription.end(error, false)
    this.failed(error)
  }

  private watch(subscription: AnySubscription, signal: AbortSignal): void {
    this.signals ??= new Map()
    const letGo = onAbort(signal, () => {
      this.leave(subscription, ignore)
      subscription.end(aborted(signal), true)
    })
    this.signals.set(subscription, letGo)
  }

  private unwatch(subscription: object): void {
    this.signals?.get(subscription)?.()
    this.signals?.delete(subscription)
  }
}

/** A signal that has fired asks the server nothing. */
function endsAtOnce(subscription: AnySubscription, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false
  subscription.end(aborted(signal), true)
  return true
}

function requestOf(filter: string, options: SubscribeOptions): SubscriptionRequest {
  const { qos = 1, noLocal = false, retainAsPublished = false, retainHandling } = options
  return {
    filter,
    qos,
    noLocal,
    retainAsPublished,
    retainHandling: RetainHandlings[retainHandling ?? 'always'],
  }
}

function readFilter(text: string, share: string | undefined): TopicTemplate {
  if (typeof text !== 'string') throw invalidArgument('a topic filter is a string')
  if (share !== undefined && !SHARE_NAME.test(share)) {
    throw invalidArgument(`not a name of a share: ${JSON.stringify(share)}`) // [MQTT-4.8.2-2]
  }
  const template = parseTopicTemplate(share === undefined ? text : `$share/${share}/${text}`)
  // [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-3.8.3-1] [MQTT-3.10.3-1]
  if (isTopicFilter(template.filter) && isWellFormed(template.filter)) return template
  throw invalidArgument(`not a topic filter: ${JSON.stringify(text.slice(0, 40))}`)
}

function readBuffer(buffer: Partial<BufferOptions>): BufferOptions {
  checkOptions('buffer', buffer, BufferNames)
  return {
    messagesMax: buffer.messagesMax ?? Limits.bufferMessages,
    bytesMax: buffer.bytesMax ?? Limits.bufferBytes,
    whenFull: buffer.whenFull ?? 'drop-oldest',
  }
}

/** Of those that were granted. */
function lowest(codes: readonly number[]): QoS {
  return Math.min(...codes.filter(code => !isRefusal(code))) as QoS
}

function isRefusal(code: number): boolean {
  return code >= REFUSED
}
