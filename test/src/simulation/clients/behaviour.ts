// What the clients do: a series of things drawn from the seed, each after a while. In the second
// part of a run they only come back, stay, and finish what they have begun.

import {
  NO_PROPERTIES,
  type Properties,
  type QoS,
  type SubscriptionRequest,
  type Will,
} from '@godwit/packet'
import { dressOf } from '../dress.ts'
import { keyOf, payloadOf } from '../payload.ts'
import type { Action, Plan } from '../plan.ts'
import { judgesLogins, SCRAM_PASSWORD, STRANGER } from '../world/late-guard.ts'
import type { Link } from '../world/link.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Schedule } from '../world/schedule.ts'
import type { Client, ConnectChoice, NewMessage } from './client.ts'
import { offencesOf } from './offences.ts'

const CALM_RETRY_MS = 300
/** More would take a slow server longer than a run lasts. */
const OUTGOING_MAX = 200
const FOREVER_SECONDS = 0xffff_ffff
const SMALL_BYTES_MAX = 80
const LARGE_BYTES_MAX = 2000
/** What each server takes, whatever its limits are. */
const EARLY_BYTES_MAX = 80
/** More messages in one go than these take too long. */
const MANY = 11

/** A connection that is left alone. */
const PLAIN = { keepAliveSeconds: 0, will: null, isStranger: false, isMute: false } as const

export class Behaviour {
  readonly client: Client
  /** No new things: the client comes back and stays. */
  isCalm = false
  /** It has gone for good. */
  hasLeft = false
  readonly #plan: Plan
  readonly #paceMs: number
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #dial: () => Link
  #number = 0

  constructor(
    client: Client,
    paceMs: number,
    plan: Plan,
    schedule: Schedule,
    random: SeededRandom,
    dial: () => Link,
  ) {
    this.client = client
    this.#paceMs = paceMs
    this.#plan = plan
    this.#schedule = schedule
    this.#random = random
    this.#dial = dial
  }

  start(): void {
    const delayMs = this.isCalm
      ? this.#random.below(CALM_RETRY_MS)
      : this.#random.below(this.#paceMs * 2)
    this.#schedule.after(delayMs + 1, () => {
      if (this.hasLeft) return
      if (this.isCalm) this.#rest()
      else this.#act()
      this.start()
    })
  }

  /** Comes once more with a clean start and goes: nothing of it may be left. */
  clear(): void {
    this.hasLeft = true
    this.client.disconnect(0, NO_PROPERTIES)
    const properties = NO_PROPERTIES
    const choice = { ...PLAIN, cleanStart: true, properties }
    this.client.connect(this.#dial(), choice)
  }

  /** When the connection is open: says goodbye. */
  leave(): boolean {
    if (!this.client.isOpen) return false
    this.client.disconnect(0, NO_PROPERTIES)
    return true
  }

  #rest(): void {
    const { client } = this
    if (client.link !== null) return
    const properties = client.level === 5 ? { sessionExpiryInterval: FOREVER_SECONDS } : {}
    client.connect(this.#dial(), { ...PLAIN, cleanStart: client.wantsCleanStart, properties })
  }

  #act(): void {
    const { client } = this
    const random = this.#random
    if (client.link === null) {
      if (random.chance(0.5)) this.#connect()
      return
    }
    if (!client.isOpen) {
      // It waits for CONNACK, or has enough of waiting.
      if (random.chance(0.05)) client.leave()
      return
    }
    this.#do(random.weighted(this.#plan.weights))
  }

  #do(action: Action): void {
    const { client } = this
    const random = this.#random
    switch (action) {
      case 'publish':
        this.#publish()
        break
      case 'burst':
        for (let i = random.between(2, 30); i > 0; i--) this.#publish()
        break
      case 'subscribe':
        this.#subscribe()
        break
      case 'unsubscribe':
        client.unsubscribe([random.pick(this.#plan.filters)])
        break
      case 'goodbye':
        this.#goodbye()
        break
      case 'vanish':
        client.leave()
        break
      case 'reauthenticate':
        client.reauthenticate(random.chance(0.1) ? STRANGER : SCRAM_PASSWORD)
        break
      case 'offend':
        this.#offend()
        break
      case 'takeover':
        this.#connect()
        break
      default:
    }
  }

  #offend(): void {
    const { client } = this
    const random = this.#random
    const { limits, topics, guard, mayRefuse } = this.#plan
    const count = client.tooMany
    const isSure = guard === null && !mayRefuse
    if (isSure && count > 0 && count <= MANY && limits.maximumQoS === 2 && random.chance(0.9)) {
      const topic = topics[0] ?? ''
      const messages = Array.from({ length: count }, () => this.#plainMessage(topic, 2))
      if (topic !== '') client.overrun(messages, isSure)
      return
    }
    const { connack, choice, level, usesScram } = client
    const offences = offencesOf({
      level,
      usesScram,
      sessionExpirySeconds: choice?.properties.sessionExpiryInterval ?? null,
      packetBytesMax: limits.packetBytesMax,
      topicAliasMaximum: connack?.properties.topicAliasMaximum ?? 0,
      userPropertiesMax: limits.userPropertiesMax,
      maximumQoS: limits.maximumQoS,
    })
    client.offend(random.pick(offences))
  }

  #plainMessage(topic: string, qos: QoS): NewMessage {
    const key = this.#nextKey()
    const properties = NO_PROPERTIES
    return { key, topic, payload: payloadOf(key, 20), qos, retain: false, properties }
  }

  /** Sometimes it does not wait for the answer. */
  #connect(): void {
    const { client } = this
    const random = this.#random
    client.connect(this.#dial(), this.#choice())
    if (!client.mayHurry || !random.chance(this.#plan.hurry)) return
    for (let i = random.between(1, 4); i > 0; i--) {
      if (random.chance(0.5)) client.publishEarly(this.#message(EARLY_BYTES_MAX))
      else if (random.chance(0.8)) this.#subscribe()
      else client.unsubscribe([random.pick(this.#plan.filters)])
    }
    if (random.chance(0.1)) {
      client.disconnect(client.level === 5 && random.chance(0.3) ? 4 : 0, NO_PROPERTIES)
    } else if (random.chance(0.05)) client.leave()
  }

  #goodbye(): void {
    const { client } = this
    const random = this.#random
    const isFive = client.level === 5
    const hasExpiry = (client.choice?.properties.sessionExpiryInterval ?? 0) > 0
    const reasonCode = isFive && random.chance(0.3) ? 4 : 0
    const properties =
      isFive && hasExpiry && random.chance(0.3)
        ? { sessionExpiryInterval: random.pick([0, 2, 60]) }
        : NO_PROPERTIES
    client.disconnect(reasonCode, properties)
  }

  #choice(): ConnectChoice {
    const random = this.#random
    const { client } = this
    const keepAliveSeconds = random.pick([0, 1, 1, 1, 2, 60])
    const cleanStart = random.chance(0.15) || client.wantsCleanStart
    const will = random.chance(0.3) ? this.#will() : null
    const isStranger = judgesLogins(this.#plan.guard) && random.chance(0.1)
    const isMute = random.chance(0.1)
    const plain = { cleanStart, keepAliveSeconds, will, isStranger, isMute }
    if (client.level !== 5) return { ...plain, properties: NO_PROPERTIES }
    const maybe = <T extends Properties>(probability: number, properties: () => T): Properties =>
      random.chance(probability) ? properties() : NO_PROPERTIES
    const properties = {
      ...maybe(0.85, () => ({
        sessionExpiryInterval: random.pick([1, 3, 20, 300, FOREVER_SECONDS]),
      })),
      ...maybe(0.5, () => ({ receiveMaximum: random.pick([1, 2, 3, 10]) })),
      ...maybe(0.15, () => ({ maximumPacketSize: random.pick([60, 150, 600]) })),
      ...maybe(0.4, () => ({ topicAliasMaximum: random.pick([1, 2, 10]) })),
    }
    return { ...plain, properties }
  }

  /** Null: it may publish nowhere. */
  #will(): Will | null {
    const random = this.#random
    const isFive = this.client.level === 5
    const properties = {
      ...(isFive ? dressOf(random) : NO_PROPERTIES),
      ...(isFive && random.chance(0.6) ? { willDelayInterval: random.pick([0, 1, 2, 5]) } : {}),
      ...(isFive && random.chance(0.2) ? { messageExpiryInterval: random.pick([1, 30]) } : {}),
    }
    const { topics, guard } = this.#plan
    const allowed = topics.filter(topic => topic !== guard?.forbidden)
    if (allowed.length === 0) return null
    return {
      topic: random.pick(allowed),
      payload: payloadOf(this.#nextKey(), random.below(60)),
      qos: this.#qos(),
      retain: random.chance(0.2),
      properties,
    }
  }

  #qos(): QoS {
    const most = this.#plan.limits.maximumQoS
    return Math.min(this.#random.below(3), most) as QoS
  }

  #nextKey(): string {
    return keyOf(this.client.id, ++this.#number)
  }

  #publish(): void {
    if (this.client.outgoingCount >= OUTGOING_MAX) return
    const isLarge = this.#random.chance(0.1)
    this.client.publish(this.#message(isLarge ? LARGE_BYTES_MAX : SMALL_BYTES_MAX))
  }

  #message(bytesMax: number): NewMessage {
    const random = this.#random
    const key = this.#nextKey()
    const retain = random.chance(0.2)
    const isEmpty = retain && random.chance(0.25)
    const byteLength = random.below(bytesMax)
    const expires = this.client.level === 5 && random.chance(0.15)
    return {
      key,
      topic: random.pick(this.#plan.topics),
      payload: isEmpty ? new Uint8Array(0) : payloadOf(key, byteLength),
      qos: this.#qos(),
      retain,
      properties: {
        ...(this.client.level === 5 ? dressOf(random) : NO_PROPERTIES),
        ...(expires ? { messageExpiryInterval: random.pick([1, 3, 30]) } : NO_PROPERTIES),
      },
    }
  }

  #subscribe(): void {
    const random = this.#random
    const isFive = this.client.level === 5
    const filters = new Set<string>()
    for (let i = random.between(1, 3); i > 0; i--) filters.add(random.pick(this.#plan.filters))
    const requests: SubscriptionRequest[] = [...filters].map(filter => ({
      filter,
      qos: random.below(3) as QoS,
      noLocal: isFive && !filter.startsWith('$share') && random.chance(0.2),
      retainAsPublished: isFive && random.chance(0.3),
      retainHandling: isFive ? (random.below(3) as 0 | 1 | 2) : 0,
    }))
    this.client.subscribe(requests, isFive && random.chance(0.3) ? random.between(1, 300) : 0)
  }
}
