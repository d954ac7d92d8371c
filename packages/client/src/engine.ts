// The life of a client: attempts, the handshake, reconnects, the turn's end, the close. It brings
// together the pure parts (session, link) with the world (platform, transport, store).

import {
  type AuthPacket,
  type ConnackPacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type ServerPacket,
  type Writer,
} from '@godwit/packet'
import { type Prepared, prepareAttempt, type ResolveTarget } from './attempt.ts'
import type { Authentication } from './authentication.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import { sendConnect, sendDisconnect, sendPing } from './control.ts'
import {
  brokenError,
  closeError,
  connectError,
  disconnectError,
  silenceError,
  slowError,
  storeError,
} from './engine-errors.ts'
import type { EngineOwner } from './engine-owner.ts'
import { ConnectionRefusedError, closedError, MqttError, protocolError } from './errors.ts'
import { firstLevel, hasSpoken5, isVersionRefused, mayBeOlder, moreTelling } from './fallback.ts'
import { type Agreed, connectPacket, expectsSession, negotiate, sendLimits } from './handshake.ts'
import type { Incoming } from './incoming.ts'
import { Link, LinkAction, LinkState } from './link.ts'
import { type Attempt, type ConnectOptions, needsParts, type Settings } from './options.ts'
import { Outflow, type OutflowPort } from './outflow.ts'
import { type TurnEnd, turnEndOf } from './output.ts'
import type { Parts } from './parts.ts'
import type { PublishReader } from './publish-reader.ts'
import { Reading } from './reading.ts'
import { Retired } from './retired.ts'
import { waitToRetry } from './retry.ts'
import { Router } from './router.ts'
import { Session, type SessionPorts } from './session.ts'
import type { StoreWriter } from './store-writer.ts'
import { type Ticker, tickerOf } from './ticker.ts'
import type { Platform } from './transport.ts'

const { CONNACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH } = PacketType
const NEVER = Number.POSITIVE_INFINITY
const KEEP_ALIVE_TIMEOUT = 0x8d
const UNSPECIFIED = 0x80

export class Engine implements ConnectionOwner, SessionPorts, OutflowPort {
  readonly session: Session
  readonly router: Router
  readonly settings: Settings
  readonly given: ConnectOptions
  readonly platform: Platform
  store: StoreWriter | null = null
  /** What only some clients need, null for those that do not. */
  parts: Parts | null = null
  clientId: string
  /** What was agreed on with the server on the latest connection. */
  agreed: Agreed | null = null
  received: ((packet: Packet) => void) | null = null
  sent: ((packet: Packet) => void) | null = null
  private readonly owner: EngineOwner
  private readonly target: ResolveTarget
  readonly canRenewUrl: boolean
  readonly link: Link
  private readonly turn: TurnEnd
  private readonly ticker: Ticker
  private authentication: Authentication | null = null
  private readonly outflow: Outflow
  connection: Connection | null = null
  private retired: Retired | null = null
  /** When the server must have answered what it was asked, 0 for nothing. */
  private answerDueMs = 0
  /** Whether an answer that took its time still belongs to this connection. */
  epoch = 0
  level: ProtocolLevel
  /** What attempts begin with. */
  private usualLevel: ProtocolLevel
  private prepared: Prepared | null = null
  private lastError: MqttError | null = null
  private turnPending = false
  private readonly reading: Reading

  constructor(
    platform: Platform,
    target: ResolveTarget,
    canRenewUrl: boolean,
    settings: Settings,
    given: ConnectOptions,
    clientId: string,
    owner: EngineOwner,
  ) {
    this.platform = platform
    this.target = target
    this.canRenewUrl = canRenewUrl
    this.settings = settings
    this.given = given
    this.clientId = clientId
    this.owner = owner
    this.level = this.usualLevel = firstLevel(settings.protocolVersion)
    this.link = new Link(settings)
    this.reading = new Reading(this.link, this)
    this.turn = turnEndOf(platform)
    this.ticker = tickerOf(platform)
    this.session = new Session(this, settings)
    this.router = new Router()
    this.outflow = new Outflow(this.session, this)
  }

  /** One of `LinkState`. */
  get state(): number {
    return this.link.state
  }

  get isOver(): boolean {
    return this.link.state === LinkState.CLOSED
  }

  /** Bytes that wait to be sent. */
  get bufferedBytes(): number {
    return this.connection === null ? 0 : this.connection.bufferedBytes
  }

  /** Takes the parts that the options need, opens the store and begins the first attempt. */
  async start(): Promise<void> {
    this.ticker.add(this)
    try {
      if (needsParts(this.settings, this.given)) {
        const parts = this.platform.parts()
        this.use(parts instanceof Promise ? await parts : parts)
      }
    } catch (error) {
      this.finish(connectError(error))
      return
    }
    if (this.store !== null) {
      try {
        const records = await this.store.open()
        this.session.restore(records)
      } catch (cause) {
        this.finish(storeError(' cannot be opened', cause))
        return
      }
    }
    if (!this.isOver) void this.begin()
  }

  /** Does not wait for the next attempt, if that is what it does; otherwise nothing. */
  reconnect(): void {
    if (this.link.state === LinkState.WAITING) void this.begin()
  }

  /** Says goodbye. `owner.closed` follows when the connection is closed, or its time is over. */
  close(reasonCode: number, properties: Properties): void {
    const { state } = this.link
    if (state === LinkState.CLOSED || state === LinkState.CLOSING) return
    const connection = this.connection
    if (state !== LinkState.CONNECTED || connection === null) {
      this.finish(null)
      return
    }
    // Before MQTT 5.0 there are no reason codes: no DISCONNECT is what publishes the will.
    const wantsWill = reasonCode !== 0 && connection.level < 5
    if (!wantsWill) sendDisconnect(connection, reasonCode, properties, this)
    this.session.close(closedError())
    this.link.closing(this.platform.nowMs())
    this.plan()
    this.outflow.flush()
  }

  /**
   * A connection of 5.0 goes on with the session of one before; without clean session an earlier
   * version would keep one for ever.
   */
  get cleanStart(): boolean {
    return this.settings.cleanStart && (this.level < 5 || !hasSpoken5(this.agreed))
  }

  private get isClosing(): boolean {
    return this.link.state === LinkState.CLOSING || this.isOver
  }

  /** Begins re-authentication. @throws MqttError */
  reauthenticate(): Promise<void> {
    const { authentication } = this
    if (authentication === null) {
      return Promise.reject(new MqttError('not-supported', 'there is no authenticator'))
    }
    if (this.link.state !== LinkState.CONNECTED || this.level < 5) {
      return Promise.reject(new MqttError('not-connected', 'there is no connection of MQTT 5.0'))
    }
    this.expectAnswer()
    return authentication.renew()
  }

  /** Stops or resumes reading for the sake of one reader. */
  holdReading(who: object, hold: boolean): void {
    this.reading.hold(who, hold)
    this.plan()
  }

  /** Reads no further in this turn, so that readers can take what has come. */
  giveTurn(): void {
    this.holdReading(this.reading, true)
  }

  /** A SUBSCRIBE, an UNSUBSCRIBE or an AUTH waits for its answer. */
  expectAnswer(): void {
    if (this.answerDueMs > 0) return
    this.answerDueMs = this.platform.nowMs() + this.settings.operationTimeoutMs
    this.plan()
  }

  /** What `dueMs` of the owner says has changed. */
  plan(): void {
    this.ticker.plan(this.dueMs)
  }

  get dueMs(): number {
    const answerDueMs = this.answerDueMs > 0 ? this.answerDueMs : NEVER
    const retiredDueMs = this.retired === null ? NEVER : this.retired.dueMs
    return Math.min(this.link.dueMs, retiredDueMs, answerDueMs, this.owner.dueMs)
  }

  tick(nowMs: number): void {
    if (this.retired !== null && nowMs >= this.retired.dueMs) this.retired.destroy()
    if (nowMs >= this.owner.dueMs) this.owner.tick(nowMs)
    if (this.answerDueMs > 0 && nowMs >= this.answerDueMs) {
      this.answerDueMs = 0
      const text = `the server did not answer within ${this.settings.operationTimeoutMs} ms`
      this.lost(new MqttError('timeout', text), UNSPECIFIED)
      return
    }
    switch (this.link.tick(nowMs)) {
      case LinkAction.SEND_PING:
        this.ping()
        break
      case LinkAction.KEEP_ALIVE_TIMEOUT:
        this.lost(silenceError(), KEEP_ALIVE_TIMEOUT)
        break
      case LinkAction.CONNECT_TIMEOUT:
        this.lost(slowError(this.settings.connectTimeoutMs), -1)
        break
      case LinkAction.RECONNECT:
        void this.begin()
        break
      case LinkAction.CLOSE_TIMEOUT:
        this.finish(null)
        break
      default:
    }
  }

  writer(): Writer {
    if (this.connection === null) throw new Error('no connection')
    return this.connection.writer()
  }

  // ConnectionOwner

  opened(connection: Connection): void {
    const { prepared } = this
    if (connection !== this.connection || prepared === null) return
    this.link.connecting()
    this.prepared = null
    try {
      sendConnect(connection, connectPacket(this, prepared), this)
    } catch (error) {
      this.lost(connectError(error), -1)
      return
    }
    connection.flush()
  }

  bytesReceived(): void {
    this.link.received(this.platform.nowMs())
  }

  deliver(source: PublishReader, topic: string, incoming: Incoming): boolean {
    const { channels } = this.platform
    if (channels?.message.hasSubscribers === true) {
      channels.message.publish({ clientId: this.clientId, topic, qos: source.qos })
    }
    return this.router.deliver(source, topic, incoming)
  }

  handle(connection: Connection, packet: ServerPacket): void {
    switch (packet.type) {
      case CONNACK:
        this.handleConnack(connection, packet)
        break
      case SUBACK:
        this.session.subscribing.subscribed(packet)
        this.answered()
        break
      case UNSUBACK:
        this.session.subscribing.unsubscribed(packet)
        this.answered()
        break
      case PINGRESP:
        break
      case DISCONNECT:
        this.lost(disconnectError(packet), -1)
        break
      case AUTH:
        this.handleAuth(packet)
        break
      default:
        protocolError(`packet type ${packet.type} from a server`)
    }
  }

  wantsTurnEnd(): void {
    if (this.turnPending) return
    this.turnPending = true
    this.turn.add(this)
  }

  outputFull(): void {
    if (this.connection !== null) this.outflow.full(this.connection)
  }

  drained(connection: Connection): void {
    if (connection === this.connection) this.outflow.resume()
  }

  failed(connection: Connection, cause: unknown): void {
    if (connection !== this.connection) return
    const error = brokenError(cause)
    this.lost(error, error.reasonCode) // [MQTT-4.13.1-1] [MQTT-4.8.0-1 v3]
  }

  closed(connection: Connection, cause: Error | null): void {
    if (this.retired?.closed(connection) || connection !== this.connection) return
    const { state } = this.link
    if (state === LinkState.CLOSING) {
      this.finish(null)
      return
    }
    this.lost(closeError(state, cause), -1)
  }

  /** Everything of this turn goes out in one write. */
  turnEnded(): void {
    this.turnPending = false
    this.reading.turnEnded()
    this.owner.turnEnded()
    const { subscribing } = this.session
    subscribing.flush()
    if (subscribing.askedCount > 0) this.expectAnswer()
    this.outflow.flush()
  }

  // OutflowPort

  writing(): void {
    this.link.sent(this.platform.nowMs())
  }

  written(connection: Connection): void {
    if (this.link.state !== LinkState.CLOSING || connection.over) return
    connection.stop()
    connection.transport?.end() // [MQTT-3.14.4-1] [MQTT-3.14.4-2]
  }

  unread(now: boolean): void {
    this.holdReading(this.outflow, now)
    if (now) this.expectAnswer()
    else this.answered()
  }

  storeFailed(cause: Error): void {
    this.finish(storeError('', cause))
  }

  authenticationFailed(error: MqttError): void {
    this.lost(error, UNSPECIFIED)
  }

  private use(parts: Parts): void {
    if (this.isOver) return
    this.parts = parts
    const { authenticator, dump, onPacket, store } = this.given
    if (authenticator !== undefined) {
      this.authentication = new parts.Authentication(authenticator, this)
    }
    if (dump !== undefined || onPacket !== undefined) {
      const watch = new parts.PacketWatch(this.given, this.platform, this.owner)
      this.sent = watch.sent
      this.received = watch.received
    }
    if (store !== undefined) {
      this.outflow.store = this.store = new parts.StoreWriter(store, () => this.wantsTurnEnd())
    }
  }

  private async begin(): Promise<void> {
    this.link.opening(this.platform.nowMs())
    this.plan()
    const epoch = ++this.epoch
    const attempt: Attempt = { attempt: this.link.attempt, lastError: this.lastError }
    try {
      const prepared = await prepareAttempt(attempt, this.target, this.given, this.authentication)
      if (epoch !== this.epoch) return
      this.prepared = prepared
      this.connection = new Connection(this, this.level, this.settings)
      this.connection.transport = prepared.dial(this.connection)
    } catch (error) {
      if (epoch === this.epoch) this.lost(connectError(error), -1)
    }
  }

  private handleConnack(connection: Connection, packet: ConnackPacket): void {
    const { reasonCode, properties } = packet
    if (reasonCode !== 0) {
      this.lost(new ConnectionRefusedError(reasonCode, connection.level, properties), -1)
      return
    }
    const { settings } = this
    if (packet.sessionPresent && this.cleanStart) {
      // [MQTT-3.2.2-4]
      protocolError('a session is present that was to be new')
    }
    this.authentication?.accepted(properties)
    if (this.authentication === null && properties.authenticationMethod !== undefined) {
      protocolError('an authentication method that was not asked for')
    }
    const { level } = connection
    const { agreed: before } = this
    const expected = expectsSession(level, before, this.cleanStart)
    const agreed = negotiate(settings, level, packet)
    this.agreed = agreed
    this.clientId = properties.assignedClientIdentifier ?? this.clientId // [MQTT-3.2.2-16]
    connection.established = true
    if (isVersionRefused(this.lastError)) this.usualLevel = level
    this.lastError = null
    this.link.connected(this.platform.nowMs(), agreed.keepAliveSeconds)
    this.reading.attach(connection)
    const kept = packet.sessionPresent
    const forgotten = !kept && expected && this.session.hasState
    const canPause = connection.transport?.canPause === true
    this.session.connectionOpened(sendLimits(settings, agreed, canPause), kept)
    this.plan()
    this.owner.connected(agreed)
    if (forgotten) this.owner.event({ type: 'session-lost' })
    // A listener of an event may have closed the client.
    if (this.isClosing) return
    this.owner.event({ type: 'connected', sessionPresent: kept })
    if (this.isOver) return
    if (before === null) this.owner.ready()
    this.wantsTurnEnd()
  }

  private handleAuth(packet: AuthPacket): void {
    if (this.authentication === null) {
      protocolError('an AUTH that was not asked for') // [MQTT-4.12.0-6]
    }
    this.authentication.received(packet, this.link.state === LinkState.CONNECTED)
    if (!this.authentication.isRenewing) this.answered()
  }

  answered(): void {
    this.answerDueMs = 0
    const asked = this.session.subscribing.askedCount > 0 || this.outflow.isUnread
    if (asked || this.authentication?.isRenewing === true) this.expectAnswer()
    if (this.session.subscribing.isDirty) this.wantsTurnEnd()
  }

  private ping(): void {
    const { connection } = this
    if (connection === null) return
    sendPing(connection, this)
    this.link.pinged(this.platform.nowMs())
    this.plan()
  }

  /** A connection or an attempt is over. @param reasonCode to tell the server, -1 for nothing */
  private lost(cause: MqttError, reasonCode: number): void {
    const { agreed, authentication, connection, level, link } = this
    const { protocolVersion } = this.settings
    const { state } = link
    if (state === LinkState.CLOSED) return
    this.epoch++
    this.level = this.usualLevel
    const error = level === this.level ? cause : moreTelling(this.lastError, cause)
    this.lastError = error
    const wasConnected = state === LinkState.CONNECTED
    if (connection !== null) {
      if (wasConnected && reasonCode >= 0 && connection.level === 5 && !this.outflow.isBehind) {
        sendDisconnect(connection, reasonCode, NO_PROPERTIES, this)
        connection.flush()
      }
      this.drop(connection)
    }
    authentication?.cancel(error)
    this.session.connectionLost()
    this.reading.attach(null)
    this.outflow.reset()
    this.answerDueMs = 0
    if (state === LinkState.CLOSING) {
      this.finish(null)
      return
    }
    // Before MQTT 5.0 an authenticator could not take part.
    const canFallBack = level === 5 && protocolVersion === 'auto' && authentication === null
    if (canFallBack && mayBeOlder(state, error, agreed)) {
      this.level = 4
      link.attempt--
      void this.begin()
      return
    }
    if (wasConnected) {
      this.owner.connectionLost(error)
      this.owner.event({ type: 'disconnected', error })
    }
    // A listener of the event may have closed the client.
    if (this.isOver) return
    const delayMs = waitToRetry(error, this)
    if (typeof delayMs !== 'number') {
      this.finish(delayMs)
      return
    }
    this.plan()
    this.owner.event({ type: 'reconnecting', delayMs, attempt: link.attempt + 1, error })
  }

  /** Lets go of a connection: it has a while to send what was written. */
  private drop(connection: Connection): void {
    connection.stop()
    this.connection = null
    if (connection.transport === null) return
    this.retired ??= new Retired()
    this.retired.add(connection, this.platform.nowMs() + this.settings.closeTimeoutMs)
  }

  /** Ends everything, perhaps because of an error. */
  finish(error: MqttError | null): void {
    if (this.isOver) return
    this.epoch++
    const { connection } = this
    this.link.closed()
    this.answerDueMs = 0
    this.ticker.remove(this)
    this.connection = null
    if (connection !== null) {
      connection.stop()
      connection.transport?.destroy()
    }
    this.retired?.destroy()
    const why = error ?? closedError()
    this.authentication?.cancel(why)
    this.session.close(why)
    this.reading.attach(null)
    this.owner.closed(error)
  }
}
