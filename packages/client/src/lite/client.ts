// The life of a lite client: attempts, the handshake, keep alive, reconnecting, the end. Time,
// chance and transport are the platform's.

import {
  type ConnackPacket,
  isReasonCode,
  type PacketError,
  PacketType,
  type ProtocolLevel,
  type ServerPacket,
  type Writer,
} from '@godwit/packet'
import type { ClientState } from '../client.ts'
import type { CloseInfo } from '../core.ts'
import { Deferred } from '../deferred.ts'
import {
  ConnectionRefusedError,
  invalidArgument,
  listenerError,
  MqttError,
  protocolError,
  watchResult,
} from '../errors.ts'
import type { ClientEvent } from '../events.ts'
import { firstLevel, hasSpoken5, isVersionRefused, mayBeOlder, moreTelling } from '../fallback.ts'
import { FLUSH_BYTES, Limits } from '../limits.ts'
import { isWorthRetrying, Link, LinkAction, LinkState } from '../link.ts'
import type { Payload } from '../options.ts'
import type { PublishResult } from '../publisher.ts'
import type { Transport } from '../transport.ts'
import { argumentError, checkQoS, messageOf, outgoingOf, readFilters } from './arguments.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import { failure, refusal } from './failure.ts'
import { dialOf, sendConnect, sendDisconnect } from './handshake.ts'
import { type Outgoing, Session, type SessionHost } from './session.ts'
import { type Reconnect, randomId, readReconnect, readSettings, type Settings } from './settings.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'
import type * as Public from './types.ts'

const { CONNACK, PUBLISH, PINGREQ, PINGRESP, DISCONNECT, AUTH } = PacketType
const NEVER = Number.POSITIVE_INFINITY
const UNSPECIFIED = 0x80
const KEEP_ALIVE_TIMEOUT = 0x8d
const QUOTA_EXCEEDED = 0x97

/** By `LinkState`. */
const States: Readonly<Record<number, ClientState>> = {
  [LinkState.CONNECTED]: 'connected',
  [LinkState.CLOSING]: 'closing',
  [LinkState.WAITING]: 'waiting',
  [LinkState.CLOSED]: 'closed',
}

/** `connect` for a platform. Resolves when the server has accepted. */
export function openLite(
  platform: Public.Platform,
  target: Public.ConnectTarget,
  options: Public.ConnectOptions,
): Promise<Public.Client> {
  const client = new Client(platform, target, options)
  return client.opening.promise
}

class Client implements Public.Client, ConnectionOwner, SessionHost, SubscriptionHost {
  readonly opening: Deferred<Public.Client> = new Deferred()
  clientId: string
  private readonly platform: Public.Platform
  private readonly target: Public.ConnectTarget
  private readonly settings: Settings
  private readonly retry: Reconnect
  private readonly link: Link
  private readonly session: Session
  private readonly end = new Deferred<CloseInfo>()
  private agreed: Public.Negotiated | null = null
  private connection: Connection | null = null
  private level: ProtocolLevel
  /** What attempts begin with. */
  private usualLevel: ProtocolLevel
  /** Of the latest CONNECT. */
  private cleanStart = true
  /** Whether the server should have a session. */
  private expectsSession = false
  private lastError: MqttError | null = null
  /** Why nothing is taken any more; null while it is. */
  private refuses: MqttError | null = null
  /** Changes with each attempt and each loss. */
  private generation = 0
  private flushPending = false
  /** The application is being told of an error. */
  private isErring = false
  private timer: unknown = null
  private retired: Transport | null = null
  private retiredTimer: unknown = null
  private answerDueMs = NEVER
  private unclaimedDueMs = NEVER
  /** Told when everything that was published is finished. */
  private idle: (() => void) | null = null

  constructor(
    platform: Public.Platform,
    target: Public.ConnectTarget,
    options: Public.ConnectOptions,
  ) {
    this.platform = platform
    this.target = target
    const settings = readSettings(options)
    const { clientId, protocolVersion = 'auto' } = settings
    this.settings = settings
    this.retry = readReconnect(options)
    this.level = this.usualLevel = firstLevel(protocolVersion)
    this.clientId = clientId ?? randomId(platform)
    this.link = new Link({ ...settings, reconnect: this.retry })
    this.session = new Session(this, settings.receiveMaximum)
    const { signal } = settings
    const abort = (): void => this.abort()
    signal?.addEventListener('abort', abort, { once: true })
    void this.end.promise.then(() => signal?.removeEventListener('abort', abort))
    if (signal?.aborted) abort()
    else void this.begin()
  }

  get state(): ClientState {
    const state = States[this.link.state] ?? 'connecting'
    return state === 'connected' && this.refuses !== null ? 'draining' : state
  }

  get negotiated(): Public.Negotiated {
    if (this.agreed === null) throw failure('invalid-argument')
    return this.agreed
  }

  get closed(): Promise<CloseInfo> {
    return this.end.promise
  }

  publish(
    topic: string,
    payload: Payload,
    options: Public.PublishOptions = {},
  ): Promise<PublishResult> {
    let item: Outgoing
    let error = this.refuses
    try {
      item = outgoingOf(topic, payload, options)
      if (!this.session.connected && item.qos === 0) {
        error ??= failure('not-connected')
      }
    } catch (cause) {
      item = outgoingOf('-', '', {})
      error ??= argumentError(cause)
    }
    if (error === null) this.session.publish(item)
    else this.session.fail(item, error)
    return item.promise
  }

  subscribe(
    filters: string | readonly string[],
    options: Public.SubscribeOptions = {},
  ): Public.Subscription {
    if (this.refuses !== null) throw this.refuses
    const all = readFilters(filters)
    checkQoS(options.qos ?? 0)
    // [MQTT-3.8.3-2] [MQTT-3.8.3-4]
    if (all.length === 0 || (options.noLocal && all.some(each => each.startsWith('$share/')))) {
      throw failure('invalid-argument')
    }
    const subscription = new Subscription(this, all, options)
    this.session.subscribe(subscription)
    return subscription
  }

  async unsubscribe(filters: string | readonly string[]): Promise<void> {
    if (this.refuses !== null) throw this.refuses
    await this.session.unsubscribe(readFilters(filters))
  }

  reconnect(): void {
    if (this.link.state === LinkState.WAITING) void this.begin()
  }

  async close({ reasonCode = 0 }: Public.CloseOptions = {}): Promise<void> {
    const { connection, link, session } = this
    if (!isReasonCode(DISCONNECT, reasonCode, 5)) {
      throw invalidArgument(`not a reason code: ${reasonCode}`)
    }
    if (link.state === LinkState.CONNECTED && connection !== null) {
      this.refuses ??= failure('closed')
      for (const subscription of session.subscriptions) subscription.end(null, true)
      // Before MQTT 5.0 there are no reason codes: no DISCONNECT is what publishes the will.
      if (reasonCode === 0 || connection.level === 5) sendDisconnect(connection, reasonCode)
      session.close(failure('closed'))
      link.closing(this.platform.nowMs())
      this.plan()
      connection.over = true
      connection.flush()
      connection.transport?.end() // [MQTT-3.14.4-1] [MQTT-3.14.4-2]
    } else if (link.state !== LinkState.CLOSING) {
      this.finish(null)
    }
    await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state === 'closed') return
    this.refuses ??= failure('closed')
    for (const subscription of this.session.subscriptions) subscription.end(null, false)
    const { platform } = this
    let timer: unknown
    await new Promise<void>(resolve => {
      timer = platform.after(this.settings.closeTimeoutMs, resolve)
      this.idle = resolve
      this.wantsFlush()
    })
    platform.cancel(timer)
    await this.close()
  }

  // ConnectionOwner

  opened(connection: Connection): void {
    this.link.connecting()
    connection.flush()
  }

  bytesReceived(): void {
    this.link.received(this.platform.nowMs())
  }

  packet(connection: Connection, packet: ServerPacket): void {
    switch (packet.type) {
      case CONNACK:
        this.connack(connection, packet)
        break
      case PUBLISH:
        this.session.received(packet)
        break
      case DISCONNECT:
        this.lost(refusal('server-disconnected', packet.reasonCode, packet.properties), -1)
        break
      case PINGRESP:
        break
      case PINGREQ:
      case AUTH: // [MQTT-4.12.0-6]
        protocolError(`packet type ${packet.type} from this server`)
        break
      default:
        this.session.answered(packet)
    }
    // A server that does not read its answers must not fill the memory with them.
    if (this.session.unreadBytes > Limits.unreadBytes) {
      protocolError('the acknowledgements are not read', QUOTA_EXCEEDED)
    }
    if (this.idle !== null) this.wantsFlush()
  }

  drained(): void {
    const { session } = this
    session.writable = true
    session.unreadBytes = 0
    session.pump()
  }

  broken(connection: Connection, cause: unknown): void {
    if (connection !== this.connection) return
    const { reasonCode = UNSPECIFIED } = cause as Partial<PacketError>
    const error = new MqttError('protocol-error', messageOf(cause), { reasonCode, cause })
    this.lost(error, reasonCode) // [MQTT-4.13.1-1] [MQTT-4.8.0-1 v3]
  }

  transportClosed({ transport }: Connection, cause: Error | null): void {
    if (transport === this.retired) {
      this.retired = null
      this.platform.cancel(this.retiredTimer)
    } else if (transport === this.connection?.transport) {
      this.connection.transport = null
      const code = this.session.connected ? 'connection-lost' : 'connect-failed'
      this.lost(new MqttError(code, cause?.message || code, { cause }), -1)
    }
  }

  // SessionHost and SubscriptionHost

  get out(): Writer {
    return (this.connection as Connection).out
  }

  wantsFlush(): void {
    const { connection } = this
    if (connection !== null && connection.out.length > FLUSH_BYTES) this.flush()
    if (this.flushPending) return
    this.flushPending = true
    this.platform.atTurnEnd(() => {
      this.flushPending = false
      this.flush()
      if (this.session.isIdle) this.idle?.()
    })
  }

  asked(waiting: boolean): void {
    this.answerDueMs = waiting ? this.platform.nowMs() + this.settings.operationTimeoutMs : NEVER
    this.plan()
  }

  failed(error: MqttError): void {
    // What a listener does wrong when it is told of an error had no end otherwise.
    if (this.isErring) return
    this.isErring = true
    this.event({ type: 'error', error })
    this.isErring = false
  }

  overflowed(filter: string, dropped: number): void {
    this.event({ type: 'overflow', filter, dropped })
  }

  leave(subscription: Subscription): Promise<void> {
    this.session.subscriptions.delete(subscription)
    return this.session.unsubscribe(subscription.filters)
  }

  private event(event: ClientEvent): void {
    const failed = (error: MqttError): void => {
      // What it does wrong when it is told of an error had no end otherwise.
      if (event.type !== 'error') this.failed(error)
    }
    try {
      watchResult(this.settings.onEvent?.(event), failed)
    } catch (cause) {
      failed(listenerError(cause))
    }
  }

  private flush(): void {
    const { connection, session } = this
    if (connection === null || !session.connected) return
    this.link.sent(this.platform.nowMs())
    if (!connection.flush()) session.writable = false
  }

  private plan(): void {
    const { platform } = this
    const dueMs = Math.min(this.link.dueMs, this.answerDueMs, this.unclaimedDueMs)
    platform.cancel(this.timer)
    if (dueMs === NEVER) return
    this.timer = platform.after(Math.max(0, dueMs - platform.nowMs()), () => this.tick())
  }

  private tick(): void {
    const { connection } = this
    const nowMs = this.platform.nowMs()
    if (nowMs >= this.unclaimedDueMs) {
      this.unclaimedDueMs = NEVER
      const dropped = this.session.release()
      if (dropped > 0) this.event({ type: 'unclaimed', dropped })
    }
    if (nowMs >= this.answerDueMs) {
      this.lost(failure('timeout'), UNSPECIFIED)
      return
    }
    switch (this.link.tick(nowMs)) {
      case LinkAction.SEND_PING:
        connection?.out.uint16(PINGREQ << 12)
        this.link.pinged(nowMs)
        this.flush()
        break
      case LinkAction.KEEP_ALIVE_TIMEOUT:
        this.lost(failure('keep-alive-timeout'), KEEP_ALIVE_TIMEOUT)
        break
      case LinkAction.CONNECT_TIMEOUT:
        this.lost(failure('connect-timeout'), -1)
        break
      case LinkAction.RECONNECT:
        void this.begin()
        break
      case LinkAction.CLOSE_TIMEOUT:
        this.finish(null)
        break
      default:
    }
    this.plan()
  }

  private async begin(): Promise<void> {
    const { link, platform, settings, target } = this
    link.opening(platform.nowMs())
    this.plan()
    const generation = ++this.generation
    const attempt = { attempt: link.attempt, lastError: this.lastError }
    try {
      const to = typeof target === 'function' ? await target(attempt) : target
      const { credentials: asked } = settings
      const credentials = asked === undefined ? settings : await asked(attempt)
      // Who is nobody by mistake must not connect without a name.
      if (credentials == null) throw failure('invalid-argument')
      if (generation !== this.generation) return
      const dial = dialOf(platform, to)
      const { packetBytesMax, topicAliasMaximum } = settings
      const connection = new Connection(this, this.level, packetBytesMax, topicAliasMaximum)
      const { agreed, clientId, level } = this
      // 5.0 goes on with its session; without clean session earlier versions keep one for ever.
      const before = level === 5 && hasSpoken5(agreed) ? agreed : null
      const cleanStart = settings.cleanStart && before === null
      this.cleanStart = cleanStart
      this.expectsSession = before === null ? !cleanStart : before.sessionExpirySeconds > 0
      sendConnect(connection, settings, { ...credentials, clientId, cleanStart })
      this.connection = connection
      connection.transport = dial(connection)
    } catch (cause) {
      if (generation !== this.generation) return
      const error = new MqttError('connect-failed', messageOf(cause), { cause })
      this.lost(cause instanceof MqttError ? cause : error, -1)
    }
  }

  private connack(connection: Connection, packet: ConnackPacket): void {
    const { agreed, level, link, platform, session, settings } = this
    const { properties, reasonCode, sessionPresent } = packet
    if (reasonCode !== 0) {
      this.lost(new ConnectionRefusedError(reasonCode, connection.level, properties), -1)
      return
    }
    // [MQTT-3.2.2-4]
    if (sessionPresent && this.cleanStart) protocolError('a session, which was to be new')
    if (properties.authenticationMethod !== undefined) protocolError('an authentication method')
    const isForgotten = !sessionPresent && this.expectsSession && session.hasState
    this.clientId = properties.assignedClientIdentifier ?? this.clientId // [MQTT-3.2.2-16]
    this.agreed = {
      protocolVersion: level,
      clientId: this.clientId,
      sessionPresent,
      keepAliveSeconds: properties.serverKeepAlive ?? settings.keepAliveSeconds, // [MQTT-3.1.2-21]
      sessionExpirySeconds: properties.sessionExpiryInterval ?? settings.sessionExpirySeconds,
      properties,
    }
    connection.established = true
    if (isVersionRefused(this.lastError)) this.usualLevel = level
    this.lastError = null
    link.connected(platform.nowMs(), this.agreed.keepAliveSeconds)
    session.opened(properties, level, sessionPresent)
    if (agreed === null && sessionPresent) {
      session.holdsUnclaimed = true
      this.unclaimedDueMs = platform.nowMs() + settings.unclaimedTimeoutMs
    }
    this.plan()
    if (isForgotten) this.event({ type: 'session-lost' })
    // A listener of the event may have closed the client.
    if (link.state === LinkState.CONNECTED) this.event({ type: 'connected', sessionPresent })
    this.opening.resolve(this)
  }

  /** A connection or an attempt is over. @param reasonCode to tell the server, -1 for nothing */
  private lost(cause: MqttError, reasonCode: number): void {
    const { agreed, connection, lastError, level, link } = this
    const { protocolVersion = 'auto' } = this.settings
    const { state } = link
    if (state === LinkState.CLOSED) return
    this.generation++
    this.level = this.usualLevel
    const error = level === this.level ? cause : moreTelling(lastError, cause)
    this.lastError = error
    const wasConnected = state === LinkState.CONNECTED
    if (connection !== null) {
      if (wasConnected && reasonCode >= 0 && connection.level === 5) {
        sendDisconnect(connection, reasonCode)
      }
      this.drop(connection)
    }
    this.session.lost()
    this.answerDueMs = NEVER
    if (state === LinkState.CLOSING) {
      this.finish(null)
      return
    }
    if (level === 5 && protocolVersion === 'auto' && mayBeOlder(state, error, agreed)) {
      this.level = 4
      link.attempt--
      void this.begin()
      return
    }
    if (wasConnected) this.event({ type: 'disconnected', error })
    // A listener of the event may have closed the client.
    if (this.state === 'closed') return
    const delayMs = this.nextDelay(error)
    if (typeof delayMs !== 'number') {
      this.finish(delayMs)
      return
    }
    this.plan()
    this.event({ type: 'reconnecting', delayMs, attempt: link.attempt + 1, error })
  }

  /** Begins to wait. @returns for how many milliseconds, or why there is no further attempt */
  private nextDelay(error: MqttError): number | MqttError {
    const { link, platform, retry } = this
    const nowMs = platform.nowMs()
    link.lost(nowMs)
    if (!this.mayRetry(error)) return error
    if (retry.delayMs === undefined) return link.waiting(nowMs, platform.random())
    try {
      const delayMs = retry.delayMs({ attempt: link.attempt, lastError: error })
      return delayMs >= 0 ? link.waitFor(nowMs, delayMs) : error
    } catch (cause) {
      return listenerError(cause)
    }
  }

  /** Whether there is another attempt. */
  private mayRetry({ code, reasonCode }: MqttError): boolean {
    const { agreed, link, retry, settings, target } = this
    const may = settings.reconnect !== false && (agreed !== null || retry.first)
    if (!may || link.attempt >= retry.attemptsMax || code === 'invalid-argument') return false
    if (code !== 'connection-refused' && code !== 'server-disconnected') return true
    const credentials = settings.credentials !== undefined
    return isWorthRetrying(reasonCode, { credentials, url: typeof target === 'function' })
  }

  /** Lets go of a connection: it has a while to send what was written. */
  private drop(connection: Connection): void {
    const { transport } = connection
    connection.over = true
    if (connection.established) connection.flush()
    this.connection = null
    if (transport === null) return
    this.destroyRetired()
    this.retired = transport
    this.retiredTimer = this.platform.after(this.settings.closeTimeoutMs, () => {
      this.destroyRetired()
    })
    transport.end()
  }

  private destroyRetired(): void {
    const { retired } = this
    this.platform.cancel(this.retiredTimer)
    this.retired = null
    retired?.destroy()
  }

  private abort(): void {
    const { signal } = this.settings
    const error = failure('aborted', { cause: signal?.reason })
    if (this.agreed === null) this.finish(error)
    else void this.close()
  }

  private finish(error: MqttError | null): void {
    const { connection, link, session } = this
    if (link.state === LinkState.CLOSED) return
    this.generation++
    this.connection = null
    this.answerDueMs = this.unclaimedDueMs = NEVER
    link.closed()
    this.plan()
    this.destroyRetired()
    if (connection !== null) {
      connection.over = true
      connection.transport?.destroy()
    }
    const why = error ?? failure('closed')
    this.refuses = why
    session.close(why)
    for (const subscription of session.subscriptions) subscription.end(error, error === null)
    this.idle?.()
    this.event({ type: 'closed', error })
    this.end.resolve({ error })
    this.opening.reject(why)
  }
}
