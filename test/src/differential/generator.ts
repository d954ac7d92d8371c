// Scripts from a seed. Every one of them is valid: what a broker has to do is in the standard, but
// for what it leaves open.

import type {
  ConnectPacket,
  Properties,
  ProtocolLevel,
  QoS,
  SubscriptionRequest,
  Will,
} from '@godwit/packet'
import { Chance } from '../support/chance.ts'
import type { Break, Hold, Message, Pipeline, Publish, Script, Step } from './script.ts'

const STEPS_LEAST = 15
const STEPS_MORE = 30
const ALIASES = 3
/** Less than a long payload needs, and more than any other message. */
const SMALL_PACKET_BYTES = 450
const LEVELS: readonly ProtocolLevel[] = [3, 4, 5, 5, 5]
const LONG = 'level/'.repeat(40)

/** Few enough that what is published meets what is subscribed. */
export const TOPICS: readonly string[] = [
  'a',
  'a/b',
  'a/b/c',
  'b',
  'b/b',
  'a//b',
  '/',
  '/a',
  'a/',
  '//',
  '$x/a',
  '$x',
  'ü/猫',
  'a b/ c',
  `${LONG}a`,
]

const FILTERS: readonly string[] = [
  ...TOPICS,
  '#',
  '+',
  '+/+',
  '+/+/+',
  'a/#',
  'a/+',
  '+/b',
  'a/+/b',
  'a/b/#',
  '/#',
  '+/',
  '/+',
  '+/#',
  '//#',
  '$x/#',
  '$x/+',
  '+/a',
  'ü/+',
  'level/+/#',
]

/** Nobody may publish there: MQTT 5.0 sections 4.7.2 and 4.8.2. */
const SERVER_TOPICS: readonly string[] = [
  '$SYS',
  '$SYS/a',
  '$SYS/broker/uptime',
  '$share/g/a',
  '$share',
]

const SHARED: readonly string[] = ['a', 'a/b', 'a/+', '#', '+/b', '/a', '$x/#']

/** What is left out of the scripts for a broker; each reason is in `pairs.ts`. */
export interface Without {
  /** A second SUBSCRIBE to a filter that changes its options. */
  readonly replacement?: boolean
  /** Retained messages for a new shared subscription. */
  readonly retainedToShared?: boolean
  /** Retained messages for a new subscription with No Local. */
  readonly retainedNoLocal?: boolean
  /** Shared subscriptions to topics that begin with `$`. */
  readonly sharedDollar?: boolean
  /** Shared subscriptions at QoS 0. */
  readonly sharedQos0?: boolean
  /** Acknowledgements held back by a client with a small Receive Maximum. */
  readonly holdWithWindow?: boolean
  /** A client with a will that is taken over. */
  readonly takenOverWill?: boolean
  /** Subscriptions at QoS 0 with an identifier. */
  readonly identifierAtQos0?: boolean
  /** A small Maximum Packet Size of a client with a small Receive Maximum. */
  readonly smallPacketWithWindow?: boolean
  readonly restart?: boolean
}

interface Actor {
  readonly name: string
  readonly level: ProtocolLevel
  isConnected: boolean
  /** Whether the CONNECT of its connection has asked for a session that is kept. */
  isKept: boolean
  hasWill: boolean
  hasWindow: boolean
  hold: Hold
  aliases: Map<number, string>
  readonly requests: Map<string, SubscriptionRequest>
  identifiers: Map<string, number | undefined>
}

export function generate(seed: number, without: Without = {}): Script {
  return new Generator(seed, without).script()
}

class Generator {
  readonly #chance: Chance
  readonly #seed: number
  readonly #without: Without
  readonly #actors: readonly Actor[]
  readonly #steps: Step[] = []
  #payloads = 0

  constructor(seed: number, without: Without) {
    this.#seed = seed
    this.#without = without
    this.#chance = new Chance(seed)
    this.#actors = ['a', 'b', 'c', 'd'].slice(0, 2 + this.#chance.below(3)).map(name => ({
      name,
      level: this.#chance.pick(LEVELS),
      isConnected: false,
      isKept: false,
      hasWill: false,
      hasWindow: false,
      hold: 'nothing',
      aliases: new Map(),
      requests: new Map(),
      identifiers: new Map(),
    }))
  }

  script(): Script {
    const chance = this.#chance
    for (const actor of this.#actors) this.#connect(actor)
    const count = STEPS_LEAST + chance.below(STEPS_MORE)
    while (this.#steps.length < count) this.#next(chance.pick(this.#actors))
    // What was held or waits has to come out at the end.
    for (const actor of this.#actors) {
      if (actor.hold !== 'nothing') this.#hold(actor, 'nothing')
      if (!actor.isConnected && actor.isKept) this.#connect(actor, false)
    }
    const levels = Object.fromEntries(this.#actors.map(({ name, level }) => [name, level]))
    return { seed: this.#seed, levels, steps: this.#steps }
  }

  #next(actor: Actor): void {
    const chance = this.#chance
    if (chance.happens(0.05)) return this.#together()
    if (chance.happens(0.06)) return this.#pipeline(actor)
    if (chance.happens(0.02) && this.#without.restart !== true) return this.#restart()
    if (!actor.isConnected) return this.#connect(actor)
    const dice = chance.below(100)
    if (dice < 25) return this.#subscribe(actor)
    if (dice < 70) return this.#publish(actor)
    if (dice < 76) return this.#unsubscribe(actor)
    if (dice < 80) return this.#disconnect(actor)
    if (dice < 85) return this.#cut(actor)
    if (dice < 88) return this.#takeOver(actor)
    if (dice < 93) return this.#breakPublish(actor)
    const isLeftOut = actor.hasWindow && this.#without.holdWithWindow === true
    if (!isLeftOut) {
      this.#hold(actor, actor.hold === 'nothing' ? chance.pick(['all', 'pubcomp']) : 'nothing')
    }
  }

  #connect(actor: Actor, cleanStart = this.#chance.happens(0.3)): void {
    const packet = this.#connectPacket(actor, cleanStart)
    if (cleanStart || !actor.isKept) {
      actor.requests.clear()
      actor.identifiers.clear()
    }
    actor.isKept = packet.properties.sessionExpiryInterval !== undefined
    if (actor.level !== 5) actor.isKept = !cleanStart
    actor.isConnected = true
    actor.hasWill = packet.will !== null
    actor.hasWindow = packet.properties.receiveMaximum !== undefined
    actor.aliases = new Map()
    actor.hold = 'nothing'
    this.#steps.push({ does: 'connect', client: actor.name, packet })
  }

  #takeOver(actor: Actor): void {
    if (!actor.hasWill || this.#without.takenOverWill !== true) this.#connect(actor)
  }

  #connectPacket(actor: Actor, cleanStart: boolean): ConnectPacket {
    const chance = this.#chance
    const properties = actor.level === 5 ? this.#connectProperties() : {}
    return {
      type: 1,
      protocolLevel: actor.level,
      cleanStart,
      keepAliveSeconds: chance.pick([0, 600, 0xffff]),
      clientId: actor.name,
      will: chance.happens(0.4) ? this.#will(actor) : null,
      username: null,
      password: null,
      bridge: false,
      properties,
    }
  }

  #connectProperties(): Properties {
    const chance = this.#chance
    const hasWindow = chance.happens(0.3)
    const isLeftOut = hasWindow && this.#without.smallPacketWithWindow === true
    const packetBytes = isLeftOut ? [100_000] : [SMALL_PACKET_BYTES, 100_000]
    return {
      ...(chance.happens(0.7) ? { sessionExpiryInterval: chance.pick([3600, 0xffff_ffff]) } : {}),
      ...(chance.happens(0.3) ? { topicAliasMaximum: 2 } : {}),
      ...(hasWindow ? { receiveMaximum: 1 + chance.below(3) } : {}),
      ...(chance.happens(0.15) ? { maximumPacketSize: chance.pick(packetBytes) } : {}),
    }
  }

  #will(actor: Actor): Will {
    const chance = this.#chance
    const { topic, payload, qos, retain, properties } = this.#message(actor)
    const delay = actor.level === 5 && chance.happens(0.3) ? { willDelayInterval: 0 } : {}
    const bytes = Buffer.from(`will ${payload}`)
    return { topic, payload: bytes, qos, retain, properties: { ...properties, ...delay } }
  }

  #topic(): string {
    return this.#chance.pick(TOPICS)
  }

  #message(actor: Actor, qos: QoS = this.#chance.pick([0, 1, 2])): Message {
    const chance = this.#chance
    // Publisher and QoS go with it, by which order is compared, and a number, so that it is unique.
    const payload = `${actor.name}${qos} ${++this.#payloads}`
    return {
      topic: this.#topic(),
      payload: payload + (chance.happens(0.05) ? '.'.repeat(500) : ''),
      qos,
      retain: chance.happens(0.3),
      alias: 0,
      aliasOnly: false,
      properties: actor.level === 5 ? this.#properties() : {},
    }
  }

  #properties(): Properties {
    const chance = this.#chance
    if (chance.happens(0.5)) return {}
    return {
      ...(chance.happens(0.4) ? { contentType: 'text/plain' } : {}),
      ...(chance.happens(0.3) ? { responseTopic: chance.pick(['r', 'answers/ü']) } : {}),
      ...(chance.happens(0.3) ? { correlationData: Buffer.from([1, 0, 254]) } : {}),
      ...(chance.happens(0.3) ? { payloadFormatIndicator: chance.below(2) } : {}),
      ...(chance.happens(0.3) ? { messageExpiryInterval: 100_000 } : {}),
      ...(chance.happens(0.4) ? { userProperties: this.#userProperties() } : {}),
    }
  }

  #userProperties(): (readonly [string, string])[] {
    const names = ['z', 'a', '', 'ü']
    return Array.from({ length: 1 + this.#chance.below(3) }, () => {
      return [this.#chance.pick(names), this.#chance.pick(names)] as const
    })
  }

  #publish(actor: Actor): void {
    const chance = this.#chance
    if (chance.happens(0.12)) {
      // Alone in its step: without a payload nobody can tell copies from messages.
      const message = { ...this.#message(actor), payload: '' }
      this.#steps.push({ does: 'publish', client: actor.name, messages: [message] })
      return
    }
    if (chance.happens(0.04)) return this.#publishToServer(actor)
    const count = chance.happens(0.3) ? 2 + chance.below(4) : 1
    // QoS 2 may be handed on at PUBLISH or at PUBREL: which message is retained last differs.
    const qos = chance.happens(0.25) ? undefined : chance.pick<QoS>([0, 1, 2])
    const messages = Array.from({ length: count }, () => {
      const message = this.#message(actor, qos)
      const retain = message.retain && (qos !== undefined || count === 1)
      return this.#aliased(actor, { ...message, retain })
    })
    this.#steps.push({ does: 'publish', client: actor.name, messages })
  }

  #publishToServer(actor: Actor): void {
    const message = { ...this.#message(actor), topic: this.#chance.pick(SERVER_TOPICS) }
    this.#steps.push({ does: 'publish', client: actor.name, messages: [message] })
  }

  #together(): void {
    const connected = this.#actors.filter(({ isConnected }) => isConnected)
    const all = connected.map((actor): Publish => {
      const count = 1 + this.#chance.below(3)
      // Whose message would be retained last is open.
      const messages = Array.from({ length: count }, () => ({
        ...this.#message(actor),
        retain: false,
      }))
      return { does: 'publish', client: actor.name, messages }
    })
    if (all.length > 0) this.#steps.push({ does: 'together', client: 'all', all })
  }

  /** What is said before the CONNACK has come. */
  #pipeline(actor: Actor): void {
    const chance = this.#chance
    if (actor.isConnected && actor.hasWill && this.#without.takenOverWill === true) return
    const before = this.#steps.length
    // What waits in a group may end with its last member, or be a session's already.
    const known = [...actor.requests.keys()].filter(filter => !filter.startsWith('$share'))
    const unsubscribed = known.slice(0, chance.below(3))
    // Retained messages of QoS 0 that were not sent yet may be sent when it comes back.
    const leaves = chance.happens(0.3)
    this.#connect(actor)
    if (unsubscribed.length > 0) {
      for (const filter of unsubscribed) actor.requests.delete(filter)
      this.#steps.push({ does: 'unsubscribe', client: actor.name, filters: unsubscribed })
    }
    for (let left = 1 + chance.below(4); left > 0; left--) {
      if (!leaves && chance.happens(0.5)) this.#subscribe(actor)
      else {
        // When QoS 2 is handed on is open, and so is whether a message that is retained comes
        // before one that is published behind the SUBSCRIBE.
        const message = this.#message(actor, chance.pick([0, 1]))
        const messages = [{ ...message, retain: false }]
        this.#steps.push({ does: 'publish', client: actor.name, messages })
      }
    }
    const [first, ...rest] = this.#steps.splice(before)
    if (first?.does !== 'connect') throw new Error('a pipeline begins with CONNECT')
    if (leaves) actor.isConnected = false
    const parts = rest as Pipeline['parts']
    this.#steps.push({
      does: 'pipeline',
      client: actor.name,
      packet: first.packet,
      parts,
      leaves,
    })
  }

  #restart(): void {
    for (const actor of this.#actors) actor.isConnected = false
    this.#steps.push({ does: 'restart', client: 'all' })
  }

  #aliased(actor: Actor, message: Message): Message {
    const chance = this.#chance
    if (actor.level !== 5 || chance.happens(0.7)) return message
    const alias = 1 + chance.below(ALIASES)
    const known = actor.aliases.get(alias)
    if (known !== undefined && chance.happens(0.6)) {
      return { ...message, topic: known, alias, aliasOnly: true }
    }
    actor.aliases.set(alias, message.topic)
    return { ...message, alias }
  }

  #breakPublish(actor: Actor): void {
    const chance = this.#chance
    if (!actor.isKept || actor.hold !== 'nothing') return
    const after: Break = chance.pick(['publish', 'pubrec', 'pubrel', 'pubcomp'])
    const made = this.#message(actor, 2)
    // Its will may go out between PUBREC and PUBREL: which one is retained last is open.
    const message = { ...made, retain: made.retain && !actor.hasWill }
    const { will: _, ...rest } = this.#connectPacket(actor, false)
    const kept: Properties =
      actor.level === 5 ? { ...rest.properties, sessionExpiryInterval: 3600 } : {}
    const packet = { ...rest, will: null, properties: kept }
    actor.aliases = new Map()
    actor.hasWill = false
    actor.hasWindow = kept.receiveMaximum !== undefined
    this.#steps.push({ does: 'broken-publish', client: actor.name, message, after, packet })
  }

  #subscribe(actor: Actor): void {
    const chance = this.#chance
    const identifier = actor.level === 5 && chance.happens(0.4) ? 1 + chance.below(300) : undefined
    const requests = new Map<string, SubscriptionRequest>()
    for (let left = chance.happens(0.3) ? 3 : 1; left > 0; left--) {
      const request = this.#identified(this.#request(actor), identifier)
      const before = actor.requests.get(request.filter)
      const isOther =
        before !== undefined &&
        (before.noLocal !== request.noLocal ||
          before.retainAsPublished !== request.retainAsPublished ||
          actor.identifiers.get(request.filter) !== identifier)
      if (isOther && this.#without.replacement === true) continue
      requests.set(request.filter, request)
      actor.requests.set(request.filter, request)
      actor.identifiers.set(request.filter, identifier)
    }
    if (requests.size === 0) return
    const properties = identifier === undefined ? {} : { subscriptionIdentifiers: [identifier] }
    const all = [...requests.values()]
    const [first] = all
    // The same filter twice is as two packets, one after the other.
    if (first !== undefined && chance.happens(0.1)) {
      const qos = chance.pick<QoS>(first.filter.startsWith('$share') ? [1, 2] : [0, 1, 2])
      const again = this.#identified({ ...first, qos }, identifier)
      all.push(again)
      actor.requests.set(first.filter, again)
    }
    this.#steps.push({ does: 'subscribe', client: actor.name, requests: all, properties })
  }

  #identified(request: SubscriptionRequest, identifier: number | undefined): SubscriptionRequest {
    const isLeftOut = identifier !== undefined && this.#without.identifierAtQos0 === true
    return isLeftOut && request.qos === 0 ? { ...request, qos: 1 } : request
  }

  #request(actor: Actor): SubscriptionRequest {
    const chance = this.#chance
    const isV5 = actor.level === 5
    const isShared = isV5 && chance.happens(0.15)
    const isAcknowledged = isShared && this.#without.sharedQos0 === true
    const noDollar = this.#without.sharedDollar === true
    const shared = noDollar ? SHARED.filter(filter => !filter.startsWith('$')) : SHARED
    const noLocal = isV5 && !isShared && chance.happens(0.3)
    const noRetained =
      (isShared && this.#without.retainedToShared === true) ||
      (noLocal && this.#without.retainedNoLocal === true)
    const retainHandling = chance.pick([0, 0, 0, 1, 2] as const)
    return {
      filter: isShared
        ? `$share/${chance.pick(['g', 'h', 'ü '])}${actor.name}/${chance.pick(shared)}`
        : chance.pick(FILTERS),
      qos: chance.pick<QoS>(isAcknowledged ? [1, 2] : [0, 1, 2]),
      noLocal,
      retainAsPublished: isV5 && chance.happens(0.4),
      retainHandling: noRetained ? 2 : isV5 ? retainHandling : 0,
    }
  }

  #unsubscribe(actor: Actor): void {
    const chance = this.#chance
    const known = [...actor.requests.keys()]
    const filters = new Set<string>()
    for (let left = chance.happens(0.3) ? 2 : 1; left > 0; left--) {
      const isKnown = known.length > 0 && chance.happens(0.8)
      filters.add(isKnown ? chance.pick(known) : chance.pick(FILTERS))
    }
    for (const filter of filters) {
      actor.requests.delete(filter)
      actor.identifiers.delete(filter)
    }
    this.#steps.push({ does: 'unsubscribe', client: actor.name, filters: [...filters] })
  }

  #disconnect(actor: Actor): void {
    const chance = this.#chance
    const isV5 = actor.level === 5
    const properties =
      isV5 && actor.isKept && chance.happens(0.3)
        ? { sessionExpiryInterval: chance.pick([0, 7200]) }
        : {}
    if (properties.sessionExpiryInterval === 0) actor.isKept = false
    actor.isConnected = false
    const reasonCode = isV5 && chance.happens(0.3) ? 4 : 0
    this.#steps.push({ does: 'disconnect', client: actor.name, reasonCode, properties })
  }

  #cut(actor: Actor): void {
    actor.isConnected = false
    this.#steps.push({ does: 'cut', client: actor.name })
  }

  #hold(actor: Actor, hold: Hold): void {
    actor.hold = hold
    this.#steps.push({ does: 'hold', client: actor.name, hold })
  }
}
