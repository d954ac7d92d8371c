// The broker as a program has it: the core with its ports, its listeners, and the clock that
// drives it. The only file that knows all of them.

import { randomBytes, randomInt } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { getHeapStatistics } from 'node:v8'
import { encodeUtf8, NO_PROPERTIES, type Properties, type QoS, ReasonCode } from '@godwit/packet'
import type { MetricsAddress } from './admin/http.ts'
import type { MetricsText } from './admin/metrics.ts'
import type { Readiness } from './admin/readings.ts'
import { Broker as Core } from './core/broker.ts'
import type { LedgerEntry } from './core/ledger.ts'
import type { ClientView, Clock, Guard, Random, Store, Wire } from './core/ports.ts'
import { PacketDump } from './dump.ts'
import { type BrokerEvents, EventTrace, type StoreSpace } from './events.ts'
import { OpenGuard } from './guard/open.ts'
import { ScramUsers } from './guard/scram-users.ts'
import { HooksGuard } from './hooks.ts'
import { type ListenOptions, type MetricsOptions, openListener, resolveMetrics } from './listen.ts'
import { Descriptors } from './listeners/descriptors.ts'
import { Linger } from './listeners/linger.ts'
import type { Listener, ListenerHost, ListeningAddress } from './listeners/listener.ts'
import { openMemoryConnection } from './memory-connection.ts'
import type { Observer } from './observer.ts'
import {
  type BrokerOptions,
  type OpenedStore,
  OptionError,
  type ResolvedOptions,
  resolveOptions,
  type StoreOwner,
} from './options.ts'
import { Alone } from './peers/alone.ts'
import { openDiskStore } from './store/disk.ts'
import { MemoryStore } from './store/memory.ts'
import { VERSION } from './version.ts'

/** A message that the program itself publishes. */
export interface PublishOptions {
  /** Default: 0. */
  readonly qos?: QoS
  readonly retain?: boolean
  readonly properties?: Properties
}

export interface CloseOptions {
  /** How long clients may take to go. Default: 5. */
  readonly drainSeconds?: number
  /** Where clients are sent instead. MQTT 5.0 section 4.11. */
  readonly serverReference?: string
}

/** Numbers that are counted since the start, and some that are as they are now. */
export interface BrokerStats {
  readonly connections: number
  readonly clientsConnected: number
  readonly sessions: number
  readonly subscriptions: number
  readonly retainedMessages: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly messagesReceived: number
  readonly messagesSent: number
  /** Messages that were lost, for whatever reason: see `losses`. */
  readonly messagesDropped: number
  readonly connectionsRefused: number
  readonly protocolErrors: number
  /** What the disk of the store has left; null: not known, or there is no store. */
  readonly storeFreeBytes: number | null
  readonly storeSpace: StoreSpace
}

const TICK_MS = 100
const CLOSE_POLL_MS = 10
const DEFAULT_DRAIN_SECONDS = 5
const STORE_SHARE_OF_DRAIN = 0.75
/** A frame of WebSocket may hold several packets. */
const FRAME_BYTES_MIN = 1024 * 1024
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const clock: Clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() }

const random: Random = { below: limit => randomInt(limit), text: randomText }

/**
 * Makes a broker. It serves nobody until `listen` or `connect` is called.
 *
 *     const broker = createBroker()
 *     await broker.listen({ port: 1883 })
 *     broker.publish('hello', 'world')
 *
 * @throws OptionError
 */
export function createBroker(options: BrokerOptions = {}): BrokerServer {
  return new BrokerServer(resolveOptions(options))
}

/** A broker within this process. Made by `createBroker`. */
export class BrokerServer extends EventEmitter<BrokerEvents> {
  /** Resolves when the store has been read; at once without one. */
  readonly ready: Promise<void>
  /** Resolves when `close` is done. */
  readonly closed: Promise<void>
  private readonly options: ResolvedOptions
  private readonly host: ListenerHost
  private readonly linger = new Linger()
  private readonly descriptors = new Descriptors(isShut => this.tellOfDescriptors(isShut))
  private readonly openListeners: Listener[] = []
  private readonly hooks: HooksGuard | null
  private readonly trace: EventTrace
  private core: Core | null = null
  private store: OpenedStore | null = null
  private tick: NodeJS.Timeout | null = null
  /** Why there will never be a core. */
  private startFailure: Error | null = null
  private closing: Promise<void> | null = null
  /** Nothing is taken any more: it would be in no store. */
  private ended = false
  private space: StoreSpace = 'enough'
  /** Null: nobody has asked for metrics. */
  private observer: Promise<Observer> | null = null
  private resolveClosed: () => void = () => undefined

  constructor(options: ResolvedOptions) {
    super()
    this.options = options
    this.closed = new Promise(resolve => {
      this.resolveClosed = resolve
    })
    this.hooks = this.makeGuard()
    this.trace = new EventTrace(this, options.dump === null ? null : new PacketDump(options.dump))
    const { connectTimeoutMs, packetBytesMax } = options.limits
    this.host = {
      open: wire => this.running().open(wire),
      refused: (origin, text) => this.trace.refused(origin, '', null, 0, text),
      failed: (listener, error) => this.report(`the listener ${listener} failed`, error),
      handshakeTimeoutMs: connectTimeoutMs,
      frameBytesMax: Math.max(FRAME_BYTES_MIN, 2 * packetBytesMax),
      linger: this.linger,
      descriptors: this.descriptors,
    }
    this.ready = this.start()
    // Whoever waits for it is told; for others it is in the log.
    this.ready.catch((error: unknown) => {
      this.startFailure = error instanceof Error ? error : new Error(String(error))
      this.report('the store could not be opened', error)
    })
  }

  /**
   * Listens on an address, or on a server that you bring. May be called several times.
   * @throws OptionError, or the system's error when the address cannot be had
   */
  async listen(options: ListenOptions = {}): Promise<ListeningAddress> {
    await this.ready
    if (this.isClosing()) throw new Error('the broker is closed')
    const { connectionsMax } = this.options.limits
    const listener = await openListener(this.host, options, connectionsMax)
    if (this.isClosing()) {
      listener.close()
      listener.destroy()
      throw new Error('the broker is closed')
    }
    this.openListeners.push(listener)
    this.emit('listening', listener.address)
    return listener.address
  }

  /**
   * Serves `/metrics`, `/healthz` and `/readyz` over HTTP on an address of its own, while the store
   * is still being read, too.
   * @throws OptionError, or the system's error when the address cannot be had
   */
  async listenMetrics(options: MetricsOptions = {}): Promise<MetricsAddress> {
    const { host, port } = resolveMetrics(options)
    const observer = await this.observe()
    const address = await observer.listen(host, port)
    if (!this.ended) return address
    await observer.close()
    throw new Error('the broker is closed')
  }

  /** What `/metrics` says, for a server of your own. */
  async metrics(options: { readonly openMetrics?: boolean } = {}): Promise<MetricsText> {
    const observer = await this.observe()
    return observer.metrics(options.openMetrics ?? false)
  }

  /** Where it listens. */
  get addresses(): readonly ListeningAddress[] {
    return this.openListeners.map(listener => listener.address)
  }

  /**
   * A connection without a network, for clients in this process: a stream of bytes that any MQTT
   * client can be given.
   */
  connect(): Duplex {
    const core = this.open()
    return openMemoryConnection((wire: Wire) => core.open(wire), this.linger)
  }

  /**
   * Publishes a message to all subscribers.
   * @returns the reason code that a client would get; 0x10: nobody has subscribed to it. Within a
   * hook it is published when the hook has returned, and 0 is what comes back.
   * @throws PacketError for an invalid topic or property; Error when the broker has closed
   */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): number {
    const { qos = 0, retain = false, properties = NO_PROPERTIES } = options
    const core = this.open()
    const bytes = typeof payload === 'string' ? encodeUtf8(payload) : payload
    const message = { topic, payload: bytes, qos, retain, properties }
    if (this.hooks?.asking !== true) return core.publish(message)
    // What is wrong with it is the hook's to hear.
    core.check(message)
    queueMicrotask(() => core.publish(message))
    return ReasonCode.SUCCESS
  }

  /** Ends the connection of a client. @returns false when it is not connected */
  disconnectClient(
    clientId: string,
    reasonCode: number = ReasonCode.ADMINISTRATIVE_ACTION,
    text = 'disconnected by the administrator',
  ): boolean {
    const core = this.running()
    if (this.hooks?.asking !== true) return core.disconnect(clientId, reasonCode, text)
    queueMicrotask(() => core.disconnect(clientId, reasonCode, text))
    return true
  }

  /** Tells that hooks may answer otherwise than before: what they allowed is asked again. */
  permissionsChanged(): void {
    if (this.hooks === null) return
    this.hooks.generation++
    // A hook may say so, in the middle of what it was asked for.
    queueMicrotask(() => this.core?.groups.permissionsChanged())
  }

  /**
   * Reads certificates, keys, CA and CRL again from their files, for the connections to come.
   * @throws Error when one cannot be read; then the old ones stay
   */
  reloadCertificates(): void {
    for (const listener of this.openListeners) listener.reload()
  }

  /** Who is connected. */
  clients(): ClientView[] {
    return [...this.running().clients()]
  }

  /** Every loss of a message, counted by reason, client and topic. */
  losses(): readonly LedgerEntry[] {
    return this.running()
      .ledger.entries()
      .map(entry => ({ ...entry }))
  }

  stats(): BrokerStats {
    const { counters, sessions, subscriptionCount, retainer, ledger } = this.running()
    return {
      connections: counters.connectionsNow,
      clientsConnected: counters.clientsConnected,
      sessions: sessions.count,
      subscriptions: subscriptionCount,
      retainedMessages: retainer.messages.count,
      packetsReceived: counters.packetsReceived,
      packetsSent: counters.packetsSent,
      bytesReceived: counters.bytesReceived,
      bytesSent: counters.bytesSent,
      messagesReceived: counters.publishReceived,
      messagesSent: counters.publishSent,
      messagesDropped: ledger.total,
      connectionsRefused: counters.connectionsRefused,
      protocolErrors: counters.protocolErrors,
      storeFreeBytes: this.running().ports.store.freeBytes,
      storeSpace: spaceOf(this.running().ports.store),
    }
  }

  /**
   * Stops: takes no more connections, sends DISCONNECT 0x8B to clients of MQTT 5.0, writes what is
   * to be written, ends what does not end by itself, and closes the store. Sessions stay in it.
   * @throws OptionError
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.closing ??= this.shutDown(drainMsOf(options), options.serverReference ?? null)
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async start(): Promise<void> {
    const owner: StoreOwner = {
      durable: batch => this.core?.durable(batch),
      fetched: page => this.core?.fetched(page),
      failed: cause => this.storeFailed(cause),
    }
    if (this.options.store === 'none') {
      const memory = new MemoryStore()
      memory.attach(owner)
      this.run({ store: memory, close: () => Promise.resolve() })
      return
    }
    const { store, log } = this.options
    if (typeof store !== 'function') {
      const disk = await openDiskStore(store, owner, log)
      this.run({ store: disk, close: () => disk.close(), report: () => disk.report() })
      return
    }
    const opened = store(owner)
    this.run(opened instanceof Promise ? await opened : opened)
  }

  private run(opened: OpenedStore): void {
    const { nodeName, limits, statsIntervalSeconds, responseTopicPrefix } = this.options
    const { assignedClientIdPrefix, allowEmptyClientId } = this.options
    this.store = opened
    // To read it may take seconds.
    if (this.isClosing()) return
    const endTurn = (): void => core.endTurn()
    const turn = { request: () => void setImmediate(endTurn) }
    const guard: Guard = this.hooks ?? new OpenGuard()
    const peers = new Alone(nodeName)
    const ports = { clock, random, turn, store: opened.store, peers, guard, trace: this.trace }
    const core = new Core(ports, limits, {
      version: VERSION,
      statsIntervalSeconds,
      heapBytes,
      responseTopicPrefix,
      assignedClientIdPrefix,
      allowEmptyClientId,
    })
    this.core = core
    core.start()
    this.tick = setInterval(() => {
      core.tick()
      this.tellOfSpace(opened.store)
      this.descriptors.look()
    }, TICK_MS)
    this.tick.unref()
  }

  private tellOfSpace(store: Store): void {
    const space = spaceOf(store)
    if (space === this.space) return
    this.space = space
    this.emit('space', { space, freeBytes: store.freeBytes })
  }

  private tellOfDescriptors(isShut: boolean): void {
    const { log } = this.options
    const fields = { openFilesMax: this.descriptors.most }
    const why = 'nearly all files that the process may have open (ulimit -n) are'
    if (isShut) log.warn(fields, `${why}: no connections are taken until some end`)
    else log.info(fields, 'connections are taken again')
  }

  private makeGuard(): HooksGuard | null {
    const { hooks, scram, hookTimeoutMs } = this.options
    const isUsed = scram !== null || Object.values(hooks).some(hook => hook !== undefined)
    if (!isUsed) return null
    return new HooksGuard({
      hooks,
      enhanced: scram === null ? null : new ScramUsers(scram),
      timeoutMs: hookTimeoutMs,
      decided: (ticket, verdict) => this.core?.decided(ticket, verdict),
      report: (hook, error) => this.report(`the hook ${hook} failed`, error),
    })
  }

  private async shutDown(drainMs: number, serverReference: string | null): Promise<void> {
    // Without a store nothing was opened.
    await this.ready.catch(() => undefined)
    for (const listener of this.openListeners) listener.close()
    const { core } = this
    if (core !== null) {
      core.stopReading()
      await nextTurn()
      const beginMs = performance.now()
      // A disk that hangs leaves clients some of the time, to be told and to go.
      await until(() => core.answered, beginMs + drainMs * STORE_SHARE_OF_DRAIN)
      core.drain(ReasonCode.SERVER_SHUTTING_DOWN, serverReference)
      // The turn ends first: whoever is told anything is told before it is cut off.
      await nextTurn()
      const isOver = (): boolean =>
        core.counters.connectionsNow === 0 && core.wills.askedCount === 0
      await until(isOver, beginMs + drainMs)
    }
    this.linger.destroyAll()
    for (const listener of this.openListeners) listener.destroy()
    await nextTurn()
    if (this.tick !== null) clearInterval(this.tick)
    this.ended = true
    try {
      await this.store?.close()
    } finally {
      await (await this.observer)?.close()
      this.emit('closed')
      this.resolveClosed()
    }
  }

  /** Nobody may be told any more that something was kept: the broker ends. */
  private storeFailed(cause: Error): void {
    this.report('the store failed', cause)
    this.core?.storeFailed(cause.message)
    this.close({ drainSeconds: 1 }).catch((error: unknown) => {
      this.report('the store could not be closed', error)
    })
  }

  private report(text: string, cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    this.options.log.error({ err: error }, text)
    if (this.listenerCount('error') > 0) queueMicrotask(() => this.emit('error', error))
  }

  /** What it takes is loaded now. */
  private observe(): Promise<Observer> {
    if (this.ended) throw new Error('the broker is closed')
    this.observer ??= import('./observer.ts').then(module => {
      return new module.Observer({
        core: () => this.core,
        store: () => this.store,
        readiness: () => this.readiness(),
        failed: error => this.report('the metrics failed', error),
      })
    })
    return this.observer
  }

  private readiness(): Readiness {
    const { core } = this
    const space = core === null ? 'enough' : spaceOf(core.ports.store)
    if (this.startFailure !== null) return { reason: 'failed', space }
    if (this.isClosing()) return { reason: 'draining', space }
    if (core === null) return { reason: 'starting', space }
    return { reason: space === 'full' ? 'full' : null, space }
  }

  private isClosing(): boolean {
    return this.closing !== null
  }

  private open(): Core {
    if (this.ended) throw new Error('the broker is closed')
    return this.running()
  }

  private running(): Core {
    if (this.core !== null) return this.core
    if (this.startFailure !== null) throw this.startFailure
    if (this.isClosing()) throw new Error('the broker is closed')
    throw new Error('the store is not open yet: await broker.ready first')
  }
}

/** What the language's heap has, and what lies outside of it for what is in it. */
function heapBytes(): number {
  const { used_heap_size: used, external_memory: outside } = getHeapStatistics()
  return used + outside
}

function drainMsOf({ drainSeconds = DEFAULT_DRAIN_SECONDS }: CloseOptions): number {
  if (typeof drainSeconds === 'number' && drainSeconds >= 0) return drainSeconds * 1000
  throw new OptionError('drainSeconds', `expected a number of at least 0, got ${drainSeconds}`)
}

function spaceOf({ full, low }: Store): StoreSpace {
  if (full) return 'full'
  return low ? 'low' : 'enough'
}

/** Every character is one of 62, each as likely as the others. */
function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length)
    }
  }
  return text
}

function until(isDone: () => boolean, endMs: number): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (isDone() || performance.now() >= endMs) resolve()
      else setTimeout(look, CLOSE_POLL_MS)
    }
    look()
  })
}

/** What was destroyed reports its end before this resolves. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(() => setImmediate(resolve))
  })
}
