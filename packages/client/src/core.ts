// What is behind a client: it joins the engine with publishers, subscriptions and events, and knows
// how a client ends. The public face is client.ts.

import {
  PacketType,
  type Properties,
  type QoS,
  type UserProperty,
  Writer,
  writeDisconnect,
} from '@godwit/packet'
import { type AbortOptions, aborted, limited, onAbort } from './abort.ts'
import type { ResolveTarget } from './attempt.ts'
import { Deferred, ignore } from './deferred.ts'
import { Engine } from './engine.ts'
import { storeError } from './engine-errors.ts'
import type { EngineOwner } from './engine-owner.ts'
import {
  closedError,
  invalidArgument,
  listenerError,
  type MqttError,
  watchResult,
} from './errors.ts'
import { type ClientEvent, EventReader } from './events.ts'
import type { Agreed } from './handshake.ts'
import type { ConnectOptions, Settings } from './options.ts'
import { Publisher, type PublisherPort } from './publisher.ts'
import type { Session } from './session.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Platform } from './transport.ts'

/** How a client ended. */
export interface CloseInfo {
  /** Null after `close` or `drain`. */
  readonly error: MqttError | null
}

export interface CloseOptions {
  /** Default: 0. With 0x04 the server publishes the will. MQTT 5.0 section 3.14.2.1. */
  readonly reasonCode?: number
  readonly reasonString?: string
  /** Changes how long the server keeps the session. MQTT 5.0. */
  readonly sessionExpirySeconds?: number
  readonly userProperties?: readonly UserProperty[]
}

export interface DrainOptions {
  /** Default: 30 seconds. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Told when `connect` is done. */
export interface Opening {
  resolve(): void
  reject(error: MqttError): void
}

const DRAIN_TIMEOUT_MS = 30_000
const WITH_WILL = 4
const RANDOM_ID_LENGTH = 22
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export class ClientCore implements EngineOwner, PublisherPort {
  readonly engine: Engine
  readonly session: Session
  readonly publisher: Publisher
  readonly subscriptions: Subscriptions
  readonly platform: Platform
  readonly settings: Settings
  readonly given: ConnectOptions
  readonly queuesQos0: boolean
  readonly whenFull: 'wait' | 'reject' | 'drop-oldest'
  refuses: MqttError | null = null
  isDraining = false
  /** The application is being told of an error. */
  private isErring = false
  private opening: Opening | null
  private readers: EventReader[] | null = null
  private drained: (() => void) | null = null
  private end: Deferred<CloseInfo> | null = null
  private info: CloseInfo | null = null
  private letGo: () => void = ignore

  constructor(
    platform: Platform,
    target: ResolveTarget,
    canRenewUrl: boolean,
    settings: Settings,
    given: ConnectOptions,
    opening: Opening,
  ) {
    this.platform = platform
    this.settings = settings
    this.given = given
    this.opening = opening
    this.queuesQos0 = settings.offline.qos0 === 'queue'
    this.whenFull = settings.offline.whenFull
    const clientId = given.clientId ?? randomId(platform)
    this.engine = new Engine(platform, target, canRenewUrl, settings, given, clientId, this)
    this.session = this.engine.session
    this.publisher = new Publisher(this)
    this.subscriptions = new Subscriptions(this)
  }

  start(): void {
    const { signal } = this.given
    this.letGo = onAbort(signal, () => this.abort(signal))
    if (this.info === null) void this.engine.start()
  }

  get closedPromise(): Promise<CloseInfo> {
    if (this.info !== null) return Promise.resolve(this.info)
    this.end ??= new Deferred()
    return this.end.promise
  }

  openReader({ signal }: AbortOptions): EventReader {
    let letGo = ignore
    const reader = new EventReader(left => {
      this.readers = this.readers?.filter(other => other !== left) ?? null
      letGo()
    })
    letGo = onAbort(signal, () => reader.return())
    if (signal?.aborted === true) return reader
    if (this.info !== null) {
      reader.push({ type: 'closed', error: this.info.error })
      return reader
    }
    this.readers ??= []
    this.readers.push(reader)
    return reader
  }

  /** @throws MqttError `invalid-argument` */
  async close(options: CloseOptions): Promise<void> {
    const { reasonCode = 0, reasonString, sessionExpirySeconds, userProperties } = options
    if (reasonCode !== 0 && reasonCode < 0x80 && reasonCode !== WITH_WILL) {
      throw invalidArgument(`not a reason code of DISCONNECT: ${reasonCode}`)
    }
    if (sessionExpirySeconds !== undefined && this.settings.sessionExpirySeconds === 0) {
      // MQTT 5.0 section 3.14.2.2.2
      if (sessionExpirySeconds > 0) throw invalidArgument('CONNECT did not ask for a session')
    }
    if (this.info !== null) return
    const expiry: Properties =
      sessionExpirySeconds === undefined ? {} : { sessionExpiryInterval: sessionExpirySeconds }
    const properties = {
      ...expiry,
      ...(reasonString !== undefined && { reasonString }),
      ...(userProperties !== undefined && { userProperties }),
    }
    const size = disconnectSize(reasonCode, properties)
    const { agreed } = this.engine
    // [MQTT-3.14.2-3] [MQTT-3.14.2-4]
    const tooLarge = agreed !== null && size > agreed.packetBytesMax
    this.refuses ??= closedError()
    this.subscriptions.endAll(null, true)
    this.publisher.close(closedError())
    this.engine.close(reasonCode, tooLarge ? expiry : properties)
    await this.closedPromise
  }

  /** @throws MqttError `timeout`, `aborted`, or why the client ended */
  async drain(options: DrainOptions): Promise<void> {
    const { timeoutMs = DRAIN_TIMEOUT_MS, signal } = options
    if (this.info !== null) return
    const error = await this.whenDone(timeoutMs, signal)
    if (error !== null) throw error
  }

  /** The end of `await using`: what was sent arrives, what nobody reads any more is left. */
  async dispose(): Promise<void> {
    if (this.info !== null) return
    this.subscriptions.abandonReaders()
    await this.whenDone(this.settings.closeTimeoutMs)
  }

  // EngineOwner

  get dueMs(): number {
    return this.subscriptions.dueMs
  }

  tick(): void {
    this.subscriptions.tick()
  }

  event(event: ClientEvent): void {
    this.tell(event)
    // Not to `onEvent` itself: it could fail again.
    const failed = (error: MqttError): void => this.tell({ type: 'error', error })
    try {
      watchResult(this.given.onEvent?.(event), failed)
    } catch (cause) {
      failed(listenerError(cause))
    }
  }

  private tell(event: ClientEvent): void {
    if (this.readers !== null) for (const reader of [...this.readers]) reader.push(event)
    const { channels } = this.platform
    if (channels?.events.hasSubscribers === true) {
      channels.events.publish({ clientId: this.engine.clientId, event })
    }
  }

  ready(): void {
    const { opening } = this
    this.opening = null
    opening?.resolve()
  }

  connected({ sessionPresent }: Agreed): void {
    if (this.opening !== null && sessionPresent) {
      this.subscriptions.sessionResumed(this.platform.nowMs())
      this.engine.plan()
    }
  }

  connectionLost(): void {
    this.subscriptions.connectionLost()
    this.checkIdle()
  }

  turnEnded(): void {
    this.publisher.admit()
    this.checkIdle()
  }

  closed(error: MqttError | null): void {
    const why = error ?? closedError()
    this.refuses = why
    this.info = { error }
    this.letGo()
    this.publisher.close(why)
    this.subscriptions.endAll(error, false)
    void this.finishClosing(error, why)
  }

  // PublisherPort

  wantsTurnEnd(): void {
    this.engine.wantsTurnEnd()
  }

  reportError(error: MqttError): void {
    // What a listener does wrong when it is told of an error had no end otherwise.
    if (this.isErring) return
    this.isErring = true
    this.event({ type: 'error', error })
    this.isErring = false
  }

  watched(topic: string, qos: QoS): void {
    const { channels } = this.platform
    if (channels?.publish.hasSubscribers === true) {
      channels.publish.publish({ clientId: this.engine.clientId, topic, qos })
    }
  }

  /** Of a subscription: something was taken. */
  consumed(): void {
    if (this.drained !== null) this.engine.wantsTurnEnd()
  }

  private async finishClosing(error: MqttError | null, why: MqttError): Promise<void> {
    let failed = error
    try {
      await this.engine.store?.close()
    } catch (cause) {
      failed ??= storeError(' cannot be closed', cause)
    }
    this.info = { error: failed }
    this.drained?.()
    this.event({ type: 'closed', error: failed })
    this.readers = null
    this.end?.resolve(this.info)
    const { opening } = this
    this.opening = null
    opening?.reject(why)
  }

  private abort(signal: AbortSignal | undefined): void {
    if (this.opening !== null) this.engine.finish(aborted(signal))
    else void this.close({})
  }

  private checkIdle(): void {
    if (this.drained !== null && this.isIdle) this.drained()
  }

  private get isIdle(): boolean {
    const { session, publisher, subscriptions } = this
    return (
      this.info !== null ||
      (session.inflightCount === 0 &&
        session.queuedCount === 0 &&
        publisher.waitingCount === 0 &&
        subscriptions.isIdle)
    )
  }

  /** Takes nothing new, waits until all is done, closes. @returns why it could not, or null */
  private async whenDone(timeoutMs: number, signal?: AbortSignal): Promise<MqttError | null> {
    this.refuses ??= closedError()
    this.isDraining = true
    this.subscriptions.finishAll()
    const failure = await this.whenIdle(timeoutMs, signal)
    // The client may have ended while this waited.
    const error = failure ?? this.info?.error ?? null
    await this.close({})
    return error
  }

  /** @returns why it could not wait for the end, or null */
  private whenIdle(timeoutMs: number, signal: AbortSignal | undefined): Promise<MqttError | null> {
    return new Promise(resolve => {
      const before = this.drained
      let letGo = ignore
      const done = (failure: MqttError | null): void => {
        this.drained = null
        letGo()
        before?.()
        resolve(failure)
      }
      this.drained = () => done(null)
      letGo = limited(this.platform, signal, timeoutMs, 'not drained', done)
      this.engine.wantsTurnEnd()
    })
  }
}

/** @throws MqttError `invalid-argument` when it cannot be written */
function disconnectSize(reasonCode: number, properties: Properties): number {
  try {
    const writer = new Writer()
    writeDisconnect(writer, { type: PacketType.DISCONNECT, reasonCode, properties }, 5)
    return writer.length
  } catch (error) {
    throw invalidArgument(error instanceof Error ? error.message : String(error), error)
  }
}

/** An identifier of 128 random bits, of a length and of characters that every server takes. */
function randomId(platform: Platform): string {
  const bytes = platform.randomBytes(RANDOM_ID_LENGTH)
  return Array.from(bytes, byte => ALPHABET[byte % ALPHABET.length]).join('') // [MQTT-3.1.3-5]
}
