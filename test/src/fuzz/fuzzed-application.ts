// An application that uses its client by chance, and keeps an account of every promise it got and
// of every bound that the client has promised.

import {
  type Client,
  type ConnectOptions,
  type Message,
  MqttError,
  memoryStore,
  type Subscription,
} from '@godwit/client'
import type { QoS } from '@godwit/packet'
import type { Chance } from './random.ts'
import { FLOOD_PACKETS_MAX, METHOD } from './server-packets.ts'

const TOPICS = ['a', 'a/b', 'a/b/c', 'b', 'é/ü', 'x'.repeat(40)] as const
const FILTERS = ['#', 'a/#', '+', 'a/+level', 'a', 'b', 'é/ü', '$share/g/a'] as const
const SUBSCRIPTIONS_MAX = 6
/** What a message of this application takes at most, as the client counts. */
const MESSAGE_BYTES_MAX = 400
/** Before MQTT 5.0 nobody tells the server the receive maximum; see limits.ts of the client. */
const UNANNOUNCED_MAX = 4096

/** What is promised of the client under test. */
export interface Bounds {
  readonly options: ConnectOptions
  readonly messagesMax: number
  readonly bytesMax: number
  readonly inflightMax: number
  readonly receiveMaximum: number
  readonly bufferMessagesMax: number
}

/** Small bounds, so that they are met. @param signal ends the client */
export function boundsOf(chance: Chance, signal: AbortSignal): Bounds {
  const [messagesMax, bytesMax] = [1 + chance.below(6), chance.pick([300, 2000])]
  const [inflightMax, receiveMaximum] = [1 + chance.below(4), 1 + chance.below(4)]
  const isPersistent = chance.oneIn(2)
  const protocolVersion = chance.pick(['auto', 'auto', 5, 4, 3] as const)
  const authenticates = protocolVersion !== 4 && protocolVersion !== 3 && chance.oneIn(4)
  const options: ConnectOptions = {
    protocolVersion,
    receiveMaximum,
    inflightMax,
    packetBytesMax: chance.pick([64, 4096]),
    topicAliasMaximum: chance.below(3),
    keepAliveSeconds: chance.pick([0, 1, 60]),
    reconnect: chance.pick([true, true, false, { first: true }, { first: true, attemptsMax: 3 }]),
    offline: {
      messagesMax,
      bytesMax,
      qos0: chance.pick(['drop', 'queue']),
      whenFull: chance.pick(['wait', 'reject', 'drop-oldest']),
    },
    signal,
    ...(isPersistent && { clientId: 'c', sessionExpirySeconds: 60, cleanStart: chance.oneIn(2) }),
    ...(isPersistent && chance.oneIn(2) && { store: memoryStore() }),
    ...(chance.oneIn(3) && { credentials: async () => ({ username: 'ann', password: 'p' }) }),
    ...(authenticates && { authenticator: authenticatorOf(chance) }),
    ...(chance.oneIn(4) && { will: { topic: 'will', payload: 'gone', qos: 1 as const } }),
    ...(chance.oneIn(3) && { dump: () => undefined }),
    ...(chance.oneIn(3) && { onEvent: () => undefined }),
    ...(chance.oneIn(3) && { unclaimedTimeoutMs: 0 }),
  }
  const bufferMessagesMax = 1 + chance.below(5)
  return { options, messagesMax, bytesMax, inflightMax, receiveMaximum, bufferMessagesMax }
}

function authenticatorOf(chance: Chance): NonNullable<ConnectOptions['authenticator']> {
  return {
    method: METHOD,
    start: () => Uint8Array.of(1),
    next: data => {
      if (chance.oneIn(6)) throw new Error('a wrong proof')
      return chance.oneIn(2) ? data : Promise.resolve(data)
    },
    finish: () => {
      if (chance.oneIn(10)) throw new Error('a wrong signature')
    },
  }
}

export class FuzzedApplication {
  /** Promises that have not settled, by what they are of. */
  readonly open: Map<number, string> = new Map()
  /** What settled with something that is no error of the client. */
  trouble: string | null = null
  messages = 0
  publishes = 0
  readonly #chance: Chance
  readonly #bounds: Bounds
  readonly #subscriptions: Subscription[] = []
  readonly #pausing = new Set<string>()
  #manual: Message[] = []
  #count = 0

  constructor(chance: Chance, bounds: Bounds) {
    this.#chance = chance
    this.#bounds = bounds
  }

  /** Keeps an account of a promise. */
  track<T>(what: string, promise: Promise<T>): Promise<T | null> {
    const number = this.#count++
    this.open.set(number, what)
    return promise.then(
      value => {
        this.open.delete(number)
        return value
      },
      (error: unknown) => {
        this.open.delete(number)
        if (!(error instanceof MqttError)) this.trouble ??= `${what} failed with ${String(error)}`
        return null
      },
    )
  }

  /** Does one thing; what it throws must be an MqttError. */
  act(client: Client): void {
    try {
      this.#act(client)
    } catch (error) {
      if (!(error instanceof MqttError)) this.trouble ??= `it threw ${String(error)}`
    }
  }

  #act(client: Client): void {
    const chance = this.#chance
    const topic = chance.pick(TOPICS)
    switch (chance.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        void this.#publish(client, topic)
        return
      case 4:
        client.tryPublish(topic, chance.bytes(30), { qos: chance.pick([0, 1, 2] as const) })
        return
      case 5:
      case 6:
      case 7:
        this.#subscribe(client)
        return
      case 8:
      case 9:
      case 10:
        void this.#take()
        return
      case 11:
        this.#leaveOne()
        return
      case 12:
        for (const message of this.#manual.splice(0)) message.ack()
        return
      case 13:
        void this.track('request', client.request(topic, 'question', { timeoutMs: 5000 }))
        return
      case 14:
        void this.track('writable', client.writable)
        void this.track('reauthenticate', client.reauthenticate())
        return
      default:
        client.reconnect()
    }
  }

  async #publish(client: Client, topic: string): Promise<void> {
    const chance = this.#chance
    const qos = chance.pick([0, 1, 2] as const)
    const retain = chance.oneIn(6)
    const limit = chance.oneIn(8) ? { timeoutMs: 500 } : {}
    const promise = client.publish(topic, chance.bytes(200), { qos, retain, ...limit })
    if ((await this.track(`publish of QoS ${qos}`, promise)) !== null) this.publishes++
  }

  #subscribe(client: Client): void {
    if (this.#subscriptions.length >= SUBSCRIPTIONS_MAX) return
    const chance = this.#chance
    const ack = chance.pick(['processed', 'received', 'manual'] as const)
    const whenFull = chance.pick([
      'drop-oldest',
      'drop-newest',
      'latest-per-topic',
      'error',
      'pause',
    ] as const)
    const listener = (message: Message): void => this.#took(message, ack)
    const subscription: Subscription = client.subscribe<string>(chance.pick(FILTERS), {
      qos: chance.pick([0, 1, 2] as const) as QoS,
      ack,
      buffer: { messagesMax: this.#bounds.bufferMessagesMax, bytesMax: 400, whenFull },
      ...(chance.oneIn(2) && { listener }),
    })
    this.#subscriptions.push(subscription)
    if (whenFull === 'pause') this.#pausing.add(subscription.filter)
    void this.track('ready', subscription.ready)
  }

  #took(message: Message, ack: string): void {
    this.messages++
    // Whatever came has to be readable.
    message.text()
    if (ack === 'manual' && message.qos > 0) this.#manual.push(message)
  }

  async #take(): Promise<void> {
    if (this.#subscriptions.length === 0) return
    const subscription = this.#chance.pick(this.#subscriptions)
    const taken = await this.track('next', subscription.next())
    if (taken !== null && taken.done !== true) this.#took(taken.value, 'manual')
  }

  #leaveOne(): void {
    const at = this.#chance.below(this.#subscriptions.length + 1)
    const [subscription] = this.#subscriptions.splice(at, 1)
    if (subscription !== undefined) void this.track('unsubscribe', subscription.unsubscribe())
  }

  /** Ends everything that could hold up a connection that is good. */
  leaveAll(): void {
    for (const subscription of this.#subscriptions.splice(0)) {
      void this.track('unsubscribe', subscription.unsubscribe())
    }
    for (const message of this.#manual.splice(0)) message.ack()
  }

  /** @param connections how many there have been. @returns which bound does not hold, or null */
  beyondBounds(client: Client, connections: number): string | null {
    const { messagesMax, bytesMax, inflightMax, receiveMaximum, bufferMessagesMax } = this.#bounds
    const { queued, queuedBytes, inflight, unacknowledged } = client.stats
    // What was in flight when a session was lost is put before the line, whatever that holds.
    if (queued > messagesMax + inflightMax) return `${queued} messages are queued`
    const queuedBytesMax = bytesMax + inflightMax * MESSAGE_BYTES_MAX
    if (queued > 1 && queuedBytes > queuedBytesMax) return `${queuedBytes} bytes are queued`
    // A PUBREL that is sent again is in flight, but not in the window of its connection.
    if (inflight > inflightMax * connections) return `${inflight} messages are in flight`
    const isTold = client.negotiated.protocolVersion === 5
    const unackedMax = isTold ? 4 * receiveMaximum : UNANNOUNCED_MAX
    if (unacknowledged > unackedMax) return `${unacknowledged} messages are unacknowledged`
    for (const { buffered, filter } of this.#subscriptions) {
      // A pause comes after the chunk that made it necessary.
      const chunkMax = this.#pausing.has(filter) ? FLOOD_PACKETS_MAX : 0
      if (buffered <= bufferMessagesMax + unackedMax + chunkMax) continue
      return `${buffered} messages are in the buffer of ${filter}`
    }
    return null
  }
}
