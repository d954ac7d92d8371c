// A broker core in a world that the test turns by hand: clock, turns, network and store. Whatever
// the core may ask of the world is answered at once and the same way each time.

import {
  type ConnectPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type ProtocolLevel,
  type PublishPacket,
  readPacket,
  type SubscriptionRequest,
} from '@godwit/packet'
import { Broker, type CoreOptions } from '../core/broker.ts'
import type { Connection } from '../core/connection.ts'
import { DEFAULT_LIMITS, type Limits } from '../core/limits.ts'
import type {
  AuthenticationVerdict,
  Guard,
  Origin,
  Store,
  StoredPage,
  StoreReader,
  Trace,
  Wire,
} from '../core/ports.ts'
import { Model } from '../store/testing/model.ts'
import { applyTo, loadModel, pageOfModel } from '../store/testing/model-store.ts'

function ignore(): void {
  // What a test does not look at.
}

const PACKET_BYTES_MAX = 300_000_000

/** Lets everybody do everything. */
export class OpenGuard implements Guard {
  authenticates = true
  checksSubscriptions = true
  checksPermissions = false
  generation = 0
  inspectsMessages = false
  authenticationMethods: readonly string[] = []
  authenticate(_request: Parameters<Guard['authenticate']>[0]): AuthenticationVerdict | null {
    return { reasonCode: 0 }
  }
  proceed(..._step: Parameters<Guard['proceed']>): AuthenticationVerdict | null {
    return { reasonCode: 0x8c }
  }
  abandon(_ticket: number): void {
    // Nothing was begun.
  }
  unusable(_error: Error): void {
    // What it makes of a message is right.
  }
  mayPublish(..._question: Parameters<Guard['mayPublish']>): number {
    return 0
  }
  maySubscribe(..._question: Parameters<Guard['maySubscribe']>): number {
    return 0
  }
  mayReceive(..._question: Parameters<Guard['mayReceive']>): boolean {
    return true
  }
  inspect(_request: Parameters<Guard['inspect']>[0]): ReturnType<Guard['inspect']> {
    return 0
  }
}

/** A store that writes down what it is told; a batch is durable at its commit, or when told so. */
export class TestStore implements Store {
  openBatch = 1
  dirty = false
  full = false
  low = false
  freeBytes: number | null = null
  congested = false
  /** True: batches become durable only by `finish`. */
  slow = false
  readonly records: [name: string, ...values: unknown[]][] = []
  durable: (batch: number) => void = ignore

  commit(): void {
    const batch = this.openBatch++
    this.dirty = false
    if (!this.slow) this.durable(batch)
  }
  /** All batches that were committed are durable now. */
  finish(): void {
    this.durable(this.openBatch - 1)
  }
  /** True: sessions sleep in the store, see `kept`. */
  pages: boolean = process.env['GODWIT_TEST_PAGES'] === '1'
  /** What was put, when `pages`. */
  kept: Model = new Model()
  /** True: pages are given by `answer` only. */
  late = false
  fetched: (page: StoredPage) => void = ignore
  #asked: (() => void)[] = []
  /** Instead of what is in `kept`. */
  loadFrom: ((reader: StoreReader) => void) | null = null
  load(reader: StoreReader): void {
    if (this.loadFrom !== null) this.loadFrom(reader)
    else loadModel(this.kept, reader)
  }
  fetch(ticket: number, sessionId: number, from: number, messages: number, bytes: number): void {
    const batch = this.dirty ? this.openBatch : this.openBatch - 1
    this.#asked.push(() => {
      if (batch >= this.openBatch) throw new Error('a page was given before its batch was written')
      this.fetched(pageOfModel(this.kept, ticket, sessionId, from, messages, bytes))
    })
  }
  /** Gives the page that was asked for first. @returns false when there is none */
  answer(): boolean {
    const next = this.#asked.shift()
    next?.()
    return next !== undefined
  }
  putSession(...values: unknown[]): void {
    this.#record('putSession', values)
  }
  removeSession(...values: unknown[]): void {
    this.#record('removeSession', values)
  }
  putSubscription(...values: unknown[]): void {
    this.#record('putSubscription', values)
  }
  removeSubscription(...values: unknown[]): void {
    this.#record('removeSubscription', values)
  }
  putMessage(...values: unknown[]): void {
    this.#record('putMessage', values)
  }
  putDelivery(...values: unknown[]): void {
    this.#record('putDelivery', values)
  }
  removeDelivery(...values: unknown[]): void {
    this.#record('removeDelivery', values)
  }
  putInflight(...values: unknown[]): void {
    this.#record('putInflight', values)
  }
  putReceived(...values: unknown[]): void {
    this.#record('putReceived', values)
  }
  removeReceived(...values: unknown[]): void {
    this.#record('removeReceived', values)
  }
  putRetained(...values: unknown[]): void {
    this.#record('putRetained', values)
  }
  removeRetained(...values: unknown[]): void {
    this.#record('removeRetained', values)
  }
  putWill(...values: unknown[]): void {
    this.#record('putWill', values)
  }
  removeWill(...values: unknown[]): void {
    this.#record('removeWill', values)
  }
  putGroup(...values: unknown[]): void {
    this.#record('putGroup', values)
  }
  removeGroup(...values: unknown[]): void {
    this.#record('removeGroup', values)
  }
  putGroupDelivery(...values: unknown[]): void {
    this.#record('putGroupDelivery', values)
  }
  removeGroupDelivery(...values: unknown[]): void {
    this.#record('removeGroupDelivery', values)
  }
  #record(name: string, values: unknown[]): void {
    this.dirty = true
    if (this.pages) applyTo(this.kept, name, values)
    this.records.push([name, ...values])
  }
}

/** What was traced, in order. */
export class TestTrace implements Trace {
  packets = false
  clients = true
  messages = false
  readonly events: [name: string, ...values: unknown[]][] = []
  readonly received: () => void = ignore
  readonly sent: () => void = ignore
  published(...values: unknown[]): void {
    this.events.push(['published', ...values])
  }
  connected(...values: unknown[]): void {
    this.events.push(['connected', ...values])
  }
  disconnected(...values: unknown[]): void {
    this.events.push(['disconnected', ...values])
  }
  refused(...values: unknown[]): void {
    this.events.push(['refused', ...values])
  }
  flapping(...values: unknown[]): void {
    this.events.push(['flapping', ...values])
  }
  subscribed(...values: unknown[]): void {
    this.events.push(['subscribed', ...values])
  }
  unsubscribed(...values: unknown[]): void {
    this.events.push(['unsubscribed', ...values])
  }
  dropped(...values: unknown[]): void {
    this.events.push(['dropped', ...values])
  }
}

const ORIGIN: Origin = {
  transport: 'memory',
  remoteAddress: '127.0.0.1',
  remotePort: 1,
  listener: 'test',
  certificate: null,
}

export interface WorldOptions {
  readonly limits?: Partial<Limits>
  readonly core?: Partial<CoreOptions>
  readonly guard?: Guard
  /** What the world before has left. */
  readonly kept?: Model
  /** The same, piece by piece. */
  readonly load?: (reader: StoreReader) => void
}

/** The broker and everything around it. */
export class World {
  readonly store: TestStore = new TestStore()
  readonly trace: TestTrace = new TestTrace()
  readonly broker: Broker
  monotonicMs = 1_000_000
  wallMs = 1_700_000_000_000
  #turnRequested = false
  #texts = 0

  constructor(options: WorldOptions = {}) {
    const limits = { ...DEFAULT_LIMITS, routesMax: 1024, ...options.limits }
    const core = {
      version: '0',
      statsIntervalSeconds: 0,
      responseTopicPrefix: null,
      assignedClientIdPrefix: '',
      allowEmptyClientId: true,
      ...options.core,
    }
    this.broker = new Broker(
      {
        clock: { monotonicMs: () => this.monotonicMs, wallMs: () => this.wallMs },
        random: { below: () => 0, text: length => `assigned${this.#texts++}`.padEnd(length, 'x') },
        turn: {
          request: () => {
            this.#turnRequested = true
          },
        },
        store: this.store,
        peers: { nodeName: 'test', present: false, interested: ignore, forward: ignore },
        guard: options.guard ?? new OpenGuard(),
        trace: this.trace,
      },
      limits,
      core,
    )
    if (options.load !== undefined) this.store.loadFrom = options.load
    if (options.kept !== undefined) {
      this.store.pages = true
      this.store.kept = options.kept
    }
    this.store.durable = batch => this.broker.durable(batch)
    this.store.fetched = page => this.broker.fetched(page)
    this.broker.start()
  }

  /** Ends turns until nobody asks for another. */
  settle(): void {
    for (let turns = 0; ; turns++) {
      if (turns > 100_000) throw new Error('the broker never comes to rest')
      if (this.#turnRequested) {
        this.#turnRequested = false
        this.broker.endTurn()
      } else if (this.store.late || !this.store.answer()) return
    }
  }

  /** Time goes by, in ticks of at most 100 ms for a minute, in greater ones beyond. */
  advance(ms: number): void {
    const step = Math.max(100, ms / 600)
    for (let left = ms; left > 0; left -= step) {
      const passed = Math.min(step, left)
      this.monotonicMs += passed
      this.wallMs += passed
      this.broker.tick()
      this.settle()
    }
  }

  /** A network connection that has said nothing yet. */
  open(level: ProtocolLevel = 5): TestClient {
    return new TestClient(this, level)
  }

  /** A client that is connected; what it gets back is checked to be CONNACK 0. */
  connect(options: Partial<ConnectPacket> = {}): TestClient {
    const client = this.open(options.protocolLevel ?? 5)
    client.send(connectPacket(options))
    const [connack, ...others] = client.take()
    if (connack?.type !== PacketType.CONNACK || connack.reasonCode !== 0) {
      throw new Error(`expected CONNACK 0, got ${JSON.stringify(connack)}`)
    }
    client.connack = connack
    client.early.push(...others)
    return client
  }
}

export function connectPacket(options: Partial<ConnectPacket> = {}): ConnectPacket {
  return {
    type: PacketType.CONNECT,
    protocolLevel: 5,
    cleanStart: true,
    keepAliveSeconds: 0,
    clientId: 'client',
    will: null,
    username: null,
    password: null,
    bridge: false,
    properties: NO_PROPERTIES,
    ...options,
  }
}

export function publishPacket(
  topic: string,
  payload: string,
  options: Partial<PublishPacket> = {},
): PublishPacket {
  return {
    type: PacketType.PUBLISH,
    topic,
    payload: new TextEncoder().encode(payload),
    qos: 0,
    retain: false,
    dup: false,
    packetId: (options.qos ?? 0) > 0 ? 1 : 0,
    properties: NO_PROPERTIES,
    ...options,
  }
}

/** A raw client: it sends what the test says and acknowledges nothing by itself. */
export class TestClient implements Wire {
  readonly origin: Origin = ORIGIN
  readonly connection: Connection
  level: ProtocolLevel
  connack: (Packet & { type: typeof PacketType.CONNACK }) | null = null
  /** What came right behind CONNACK. */
  readonly early: Packet[] = []
  /** The broker has ended the connection. */
  ended = false
  reading = true
  /** False: the network takes nothing, what is written stays pending. */
  flowing = true
  writes = 0
  /** How often the system was asked to look after it. */
  watched = 0
  #opened = false
  readonly #world: World
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  #written: Uint8Array[] = []
  #pendingBytes = 0

  constructor(world: World, level: ProtocolLevel) {
    this.#world = world
    this.level = level
    this.connection = world.broker.open(this)
    this.#opened = true
    if (this.ended) this.connection.closed('ended by the broker')
  }

  write(pieces: readonly Uint8Array[]): void {
    this.writes++
    for (const piece of pieces) {
      if (this.flowing) this.#written.push(piece.slice())
      else this.#pendingBytes += piece.length
      if (!this.flowing) this.#held.push(piece.slice())
    }
  }
  #held: Uint8Array[] = []
  pendingBytes(): number {
    return this.#pendingBytes
  }
  end(): void {
    this.ended = true
    if (this.#opened) this.connection.closed('ended by the broker')
  }
  destroy(): void {
    this.end()
  }
  pauseReading(): void {
    this.reading = false
  }
  resumeReading(): void {
    this.reading = true
  }
  watchPeer(): void {
    this.watched++
  }

  /** The network takes again what it has not taken. */
  flow(): void {
    this.flowing = true
    this.#written.push(...this.#held)
    this.#held = []
    this.#pendingBytes = 0
    this.connection.drained()
    this.#world.settle()
  }

  /** Sends a packet, or bytes as they are. */
  send(what: Packet | Uint8Array | readonly number[]): this {
    if (what instanceof Uint8Array) this.connection.bytes(what)
    else if ('type' in what) this.connection.bytes(encodePacket(what, this.level))
    else this.connection.bytes(Uint8Array.from(what))
    this.#world.settle()
    return this
  }

  /** All packets that came since the last call. */
  take(): Packet[] {
    this.#world.settle()
    const packets: Packet[] = []
    for (const bytes of this.#written) {
      this.#decoder.push(bytes)
      while (this.#decoder.next()) {
        const { first, bytes: frame, bodyStart, end } = this.#decoder
        packets.push(readPacket(first, frame, bodyStart, end, this.level, 'server'))
      }
    }
    this.#written = []
    return packets
  }

  /** The PUBLISH packets of `take()`. */
  takePublishes(): PublishPacket[] {
    return this.take().filter(packet => packet.type === PacketType.PUBLISH)
  }

  /** Sends a packet and gives back what comes. */
  ask(what: Packet | Uint8Array | readonly number[]): Packet[] {
    return this.send(what).take()
  }

  subscribe(
    filter: string,
    qos: 0 | 1 | 2 = 0,
    options: Partial<SubscriptionRequest> = {},
    identifier = 0,
  ): Packet[] {
    const request = { filter, qos, noLocal: false, retainAsPublished: false, ...options }
    return this.ask({
      type: PacketType.SUBSCRIBE,
      packetId: 7,
      subscriptions: [{ retainHandling: 0, ...request }],
      properties: identifier === 0 ? NO_PROPERTIES : { subscriptionIdentifiers: [identifier] },
    })
  }

  publish(topic: string, payload: string, options: Partial<PublishPacket> = {}): this {
    return this.send(publishPacket(topic, payload, options))
  }

  acknowledge(type: 4 | 5 | 6 | 7, packetId: number, reasonCode = 0): Packet[] {
    return this.ask({ type, packetId, reasonCode, properties: NO_PROPERTIES })
  }

  /** The network connection breaks. */
  cut(): void {
    this.connection.closed('the network failed')
    this.#world.settle()
  }

  disconnect(reasonCode = 0): void {
    this.send({ type: PacketType.DISCONNECT, reasonCode, properties: NO_PROPERTIES })
  }
}

export function text(packet: PublishPacket): string {
  return new TextDecoder().decode(packet.payload)
}
