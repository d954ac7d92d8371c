// The core: everything that is neither a socket, nor a disk, nor a clock. Bytes, durable batches,
// late decisions and ticks come in; bytes, records and questions go out. It is synchronous and
// deterministic: each entry point runs to its end, and nothing is written before the turn ends.

import { PacketError, type Properties, PublishView, type QoS, ReasonCode } from '@godwit/packet'
import { AliasPool } from './aliases.ts'
import { Connacks } from './connacks.ts'
import { Connection, type ConnectionOwner, ConnectionState } from './connection.ts'
import { Counters } from './counters.ts'
import { TimerWheel } from './expiry.ts'
import { disconnectPacket } from './explained.ts'
import { notConnect } from './first-bytes.ts'
import { Flapping } from './flapping.ts'
import { Forwarder } from './forward.ts'
import { Groups } from './groups.ts'
import { refuseConnect, refuseUnreadable } from './handlers/connect.ts'
import { handleFrame } from './handlers/frame.ts'
import { admits } from './handlers/publish.ts'
import { Incoming } from './incoming.ts'
import { ownMessage } from './keep.ts'
import { type DropReason, Ledger } from './ledger.ts'
import { DEFAULT_PAGING, DEFAULT_SHARES, type Limits, type Paging, type Shares } from './limits.ts'
import type { Message } from './message.ts'
import type { ClientView, Ports, StoredPage, Wire } from './ports.ts'
import { Queues } from './queues.ts'
import { Restorer } from './restorer.ts'
import { Retainer } from './retainer.ts'
import { Router } from './router.ts'
import { Sender } from './sender.ts'
import type { Session } from './session.ts'
import { Sessions } from './sessions.ts'
import { Sleep } from './sleep.ts'
import { SysTopics } from './sys-topics.ts'
import { Takeovers } from './takeovers.ts'
import { Wills } from './wills.ts'
import { Workload } from './workload.ts'

export interface CoreOptions {
  /** Of the product, for $SYS. */
  readonly version: string
  /** 0: no $SYS topics. */
  readonly statsIntervalSeconds: number
  /** Memory in use, for $SYS. */
  readonly heapBytes?: () => number
  /** What a client that asks for Response Information gets, before its client id; null: nothing. */
  readonly responseTopicPrefix: string | null
  /** Client ids that the broker gives begin with it. */
  readonly assignedClientIdPrefix: string
  /** False: a client without a client id is refused. */
  readonly allowEmptyClientId: boolean
  /** Only the simulation gives others. */
  readonly paging?: Paging
  /** Only the simulation gives others. */
  readonly shares?: Shares
}

/** A message of an embedder or of the broker itself. */
export interface PublishOptions {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

const RATE_WINDOW_MS = 1000
/** Ticks that are further apart: the process was stopped, or had no time. */
const STANDSTILL_MS = 500

export class Broker implements ConnectionOwner {
  readonly ports: Ports
  readonly limits: Limits
  readonly options: CoreOptions
  readonly paging: Paging
  readonly shares: Shares
  readonly counters: Counters = new Counters()
  readonly ledger: Ledger
  readonly router: Router
  readonly wheel: TimerWheel
  readonly sender: Sender
  readonly forwarder: Forwarder
  readonly queues: Queues
  readonly groups: Groups
  readonly sessions: Sessions
  readonly sleep: Sleep
  readonly retainer: Retainer
  readonly flapping: Flapping
  readonly connacks: Connacks
  readonly workload: Workload
  readonly takeovers: Takeovers
  readonly wills: Wills
  readonly aliasPool: AliasPool
  readonly incoming: Incoming
  readonly view: PublishView = new PublishView()
  /** Monotonic, as of the last tick. */
  nowMs: number
  /** The end of the last time that the process stood still. */
  private awakeAtMs = 0
  startedAtMs: number
  subscriptionCount = 0
  /** Of the filters of all subscriptions, as UTF-8. */
  filterBytes = 0
  /** New clients are refused with this code; 0: they are let in. */
  refusing = 0
  private stopping = false
  private readonly passes: boolean
  private readonly system: SysTopics
  private readonly tickets = new Map<number, Connection>()
  private nextTicket = 1
  private nextMessageId = 1
  private readonly connections = new Set<Connection>()
  /** Not read until the store or their rate allows it. */
  private paused: Connection[] = []
  private rateWindowAtMs: number
  /** Connections that were opened in the second that began then. */
  private openedInWindow = 0
  private openedWindowAtMs = -1

  constructor(ports: Ports, limits: Limits, options: CoreOptions) {
    this.ports = ports
    this.limits = limits
    this.options = options
    this.paging = options.paging ?? DEFAULT_PAGING
    this.shares = options.shares ?? DEFAULT_SHARES
    this.nowMs = ports.clock.monotonicMs()
    this.startedAtMs = this.nowMs
    this.rateWindowAtMs = this.nowMs
    this.ledger = new Ledger(limits.ledgerEntriesMax)
    this.router = new Router(limits)
    this.wheel = new TimerWheel(this.nowMs)
    this.sender = new Sender(
      ports.turn,
      this.counters,
      limits,
      ports.trace,
      connection => this.becomeReady(connection),
      (connection, held) => this.forwarder.sendHeld(connection, held),
    )
    this.forwarder = new Forwarder(this, this.sender)
    this.queues = new Queues(this)
    this.groups = new Groups(this)
    this.sessions = new Sessions(this)
    this.sleep = new Sleep(this)
    this.retainer = new Retainer(this)
    this.workload = new Workload(this)
    this.takeovers = new Takeovers(this)
    this.wills = new Wills(this)
    this.incoming = new Incoming(this)
    this.aliasPool = new AliasPool(limits.topicAliasPoolBytesMax)
    this.flapping = new Flapping(limits)
    this.connacks = new Connacks(limits, options.responseTopicPrefix)
    this.system = new SysTopics(this)
    this.passes = !ports.guard.inspectsMessages && limits.messagesPerSecondMax === 0
  }

  /** Nobody looks at single messages now: those of QoS 0 may take the short way. */
  get mayPass(): boolean {
    const { trace, peers } = this.ports
    return this.passes && !trace.messages && !trace.packets && !peers.present
  }

  /** Takes back what the store has kept. Once, before the first connection. */
  start(): void {
    const restorer = new Restorer(this)
    this.ports.store.load(restorer)
    restorer.finish()
    this.nextMessageId = restorer.lastMessageId + 1
    this.system.publishAll()
  }

  /** A network connection has come. */
  open(wire: Wire): Connection {
    const connection = new Connection(this, wire, this.limits.connectPacketBytesMax)
    this.counters.connectionsOpened++
    this.connections.add(connection)
    this.counters.connectionsNow = this.connections.size
    connection.lastActiveMs = this.nowMs
    const openMs = this.ports.clock.monotonicMs()
    this.wheel.set(connection.timer, openMs + this.limits.connectTimeoutMs)
    if (this.connections.size > this.limits.connectionsMax) {
      this.turnAway(connection, ReasonCode.SERVER_BUSY, 'too many connections')
    } else if (this.opensTooFast()) {
      const text = 'too many connections in this second'
      this.turnAway(connection, ReasonCode.CONNECTION_RATE_EXCEEDED, text)
    }
    return connection
  }

  private turnAway(connection: Connection, reasonCode: number, text: string): void {
    this.counters.refused(reasonCode)
    this.ports.trace.refused(connection.wire.origin, '', null, reasonCode, text)
    connection.state = ConnectionState.ENDING
    connection.wire.destroy()
  }

  private opensTooFast(): boolean {
    if (this.openedWindowAtMs !== this.rateWindowAtMs) {
      this.openedWindowAtMs = this.rateWindowAtMs
      this.openedInWindow = 0
    }
    const most = this.limits.connectionsPerSecondMax
    return most > 0 && ++this.openedInWindow > most
  }

  /** The world's answer to `turn.request()`. */
  endTurn(): void {
    this.sender.beginEnd()
    this.workload.goOn()
    if (this.takeovers.wait) this.takeovers.goOn()
    this.queues.assignAll()
    while (this.groups.pumpAll()) this.queues.assignAll()
    const store = this.ports.store
    if (store.dirty) store.commit()
    this.queues.transmitAll()
    this.sender.flushAll()
  }

  /** The store has made all batches up to `batch` durable. */
  durable(batch: number): void {
    this.sender.durable(batch)
    this.queues.wakeBlocked()
    this.groups.wakeBlocked()
    this.sender.requestTurn()
  }

  /** The store's answer to `fetch`. */
  fetched(page: StoredPage): void {
    this.sleep.answered(page)
    this.sender.requestTurn()
  }

  /** The store can keep nothing any more: nobody is told that it was kept. */
  storeFailed(cause: string): void {
    this.refusing = ReasonCode.SERVER_UNAVAILABLE
    this.closeAll(ReasonCode.SERVER_UNAVAILABLE, `the store failed: ${cause}`)
  }

  /** About every 100 ms. */
  tick(): void {
    const beforeMs = this.nowMs
    this.nowMs = this.ports.clock.monotonicMs()
    if (this.nowMs - beforeMs > STANDSTILL_MS) this.awakeAtMs = this.nowMs
    this.wheel.turn(this.nowMs)
    this.retainer.sweepExpired()
    this.sleep.tick()
    if (this.nowMs - this.rateWindowAtMs >= RATE_WINDOW_MS) this.rateWindowAtMs = this.nowMs
    if (this.paused.length > 0) this.resumePaused()
    this.system.tick()
  }

  /** A guard's late answer: an AuthenticationVerdict, a reason code, or a replacement. */
  decided(ticket: number, verdict: unknown): void {
    const connection = this.tickets.get(ticket)
    if (connection === undefined) {
      this.wills.decided(ticket, verdict)
      return
    }
    this.tickets.delete(ticket)
    if (connection.waitingFor !== ticket) return
    connection.decide(verdict)
    this.sender.requestTurn()
  }

  /**
   * Publishes for an embedder or the broker itself.
   * @returns the reason code that a PUBACK would have
   * @throws PacketError for an invalid topic or property
   */
  publish(own: PublishOptions, publisher = ''): number {
    const route = this.router.findTopic(own.topic, !own.topic.startsWith('$SYS/'))
    const message = ownMessage(own, publisher, this.ports.clock.wallMs())
    this.forwarder.begin(message)
    if (own.qos > 0 && !admits(this, route, message)) {
      this.lose('queue-full', publisher, own.topic, message.byteLength)
      return ReasonCode.QUOTA_EXCEEDED
    }
    if (own.retain && !this.retainer.retain(own.topic, message)) {
      this.lose('retained-full', publisher, own.topic, message.byteLength)
      return ReasonCode.QUOTA_EXCEEDED
    }
    const count = this.forwarder.toRoute(route, null)
    this.sender.requestTurn()
    return count === 0 ? ReasonCode.NO_MATCHING_SUBSCRIBERS : ReasonCode.SUCCESS
  }

  /**
   * Whether `publish` would take it.
   * @throws PacketError for an invalid topic or property
   */
  check(own: PublishOptions): void {
    this.router.findTopic(own.topic)
    ownMessage(own, '', this.ports.clock.wallMs())
  }

  /** Ends a client's connection. @returns false when it is not connected */
  disconnect(clientId: string, reasonCode: number, text: string): boolean {
    const connection = this.sessions.byClientId.get(clientId)?.connection ?? null
    if (connection === null) return false
    this.close(connection, reasonCode, text)
    return true
  }

  /** Reads nothing more: what has come is answered, before `drain`. */
  stopReading(): void {
    this.stopping = true
    for (const connection of this.connections) this.pause(connection)
  }

  /** Whether no answer waits for the store, or for a turn that has time for it. */
  get answered(): boolean {
    if (this.workload.waits) return false
    for (const connection of this.connections) if (connection.heldCount > 0) return false
    return true
  }

  /** Lets nobody in any more and ends every connection; sessions stay. */
  drain(reasonCode: number, serverReference: string | null): void {
    this.refusing = reasonCode
    this.closeAll(reasonCode, 'the server is shutting down', serverReference)
  }

  *clients(): Iterable<ClientView> {
    for (const session of this.sessions.byClientId.values()) {
      if (session.connection !== null) yield this.viewOf(session.connection)
    }
  }

  viewOf(connection: Connection): ClientView {
    return {
      clientId: connection.clientId,
      username: connection.username,
      protocolLevel: connection.protocolLevel,
      origin: connection.wire.origin,
      keepAliveSeconds: connection.keepAliveSeconds,
      sessionPresent: connection.sessionPresent,
    }
  }

  // What follows is for the parts of the core and for connections.

  handleFrame(connection: Connection): void {
    handleFrame(this, connection)
  }

  received(connection: Connection, byteCount: number): void {
    this.counters.bytesReceived += byteCount
    if (this.limits.bytesPerSecondMax > 0) this.countRate(connection, 0, byteCount)
    if (this.isUnread(connection)) this.pause(connection)
  }

  /** Counts to the present second; a connection over its rate is read again in a later one. */
  countRate(connection: Connection, messageCount: number, byteCount: number): void {
    this.payRate(connection)
    connection.rateMessages += messageCount
    connection.rateBytes += byteCount
    if (this.isOverRate(connection)) this.pause(connection)
  }

  /** Reads no more from this connection for now; the next tick looks again. */
  pause(connection: Connection): void {
    if (connection.throttled) return
    connection.throttled = true
    connection.pauseReading()
    this.paused.push(connection)
  }

  /** The peer sent what it must not send. MQTT 5.0 section 4.13. */
  failed(connection: Connection, error: PacketError): void {
    this.counters.protocolErrors++
    if (connection.state === ConnectionState.OPEN) {
      this.close(connection, error.reasonCode, error.message) // [MQTT-4.13.1-1]
      return
    }
    if (connection.state === ConnectionState.NEW) refuseUnreadable(this, connection, error)
    else refuseConnect(this, connection, error.reasonCode, error.message)
  }

  strange(connection: Connection, chunk: Uint8Array): void {
    this.failed(connection, notConnect(chunk, connection.wire.origin.transport))
  }

  connectionDrained(connection: Connection): void {
    this.sender.drained(connection)
    if (connection.session !== null) this.queues.wake(connection.session)
  }

  /** The network connection is gone. */
  connectionClosed(connection: Connection, cause: string): void {
    if (connection.state === ConnectionState.CLOSED) return
    const wasOpen = connection.state === ConnectionState.OPEN
    if (connection.state < ConnectionState.OPEN) {
      const { clientId, username } = connection
      this.ports.trace.refused(connection.wire.origin, clientId, username, 0, cause)
    }
    connection.state = ConnectionState.CLOSED
    this.sender.drained(connection)
    this.sender.dropHeld(connection)
    this.connections.delete(connection)
    this.counters.connectionsNow = this.connections.size
    this.letGo(connection)
    if (wasOpen) this.detach(connection, true, ReasonCode.UNSPECIFIED_ERROR, cause)
  }

  connectionDue(connection: Connection): void {
    if (connection.state < ConnectionState.OPEN) {
      if (this.takeovers.isLate(connection)) return
      refuseConnect(this, connection, ReasonCode.MAXIMUM_CONNECT_TIME, 'CONNECT took too long')
      return
    }
    if (connection.state !== ConnectionState.OPEN) return
    // What is not read cannot be late.
    if (connection.readingPaused) connection.lastActiveMs = this.nowMs
    // What came while the process stood still has no time of its own and may not be read yet.
    const sinceMs = Math.max(connection.lastActiveMs, this.awakeAtMs)
    const dueMs = connection.dueMs(sinceMs, this.nowMs)
    if (this.nowMs < dueMs) {
      if (dueMs !== Number.POSITIVE_INFINITY) this.wheel.set(connection.timer, dueMs)
      return
    }
    this.counters.keepAliveTimeouts++
    this.close(connection, ReasonCode.KEEP_ALIVE_TIMEOUT, 'keep alive timed out') // [MQTT-3.1.2-22]
  }

  /** Ends a connection from this side, with DISCONNECT where the client understands it. */
  close(
    connection: Connection,
    reasonCode: number,
    text: string,
    reference: string | null = null,
  ): void {
    if (connection.state >= ConnectionState.ENDING) return
    const wasOpen = connection.state === ConnectionState.OPEN
    if (wasOpen && connection.ready && connection.level5) {
      const packet = disconnectPacket(connection, reasonCode, text, reference)
      if (packet !== null) this.sender.writePacket(connection, packet)
    }
    this.endConnection(connection)
    if (wasOpen) this.detach(connection, true, reasonCode, text)
  }

  /** Writes what is in the output, then ends the network connection [MQTT-3.14.4-2]. */
  endConnection(connection: Connection): void {
    connection.state = ConnectionState.ENDING
    connection.endAfterFlush = true
    this.sender.dropHeld(connection)
    this.sender.outputOf(connection)
    this.letGo(connection)
    connection.ending()
  }

  /** The session goes on, or ends, without this connection. */
  detach(connection: Connection, withWill: boolean, reasonCode: number, text: string): void {
    const session = connection.session
    if (session === null) return
    connection.session = null
    this.counters.clientsConnected--
    this.ports.trace.disconnected(session.clientId, reasonCode, text)
    this.sessions.detach(session, withWill)
  }

  /**
   * Sends an answer that has to come: no client can go on without it.
   * @throws PacketError `packet-too-large` when the client does not take it [MQTT-3.1.2-24]
   */
  answer(connection: Connection, packet: Uint8Array, batch: number): void {
    const most = connection.sendBytesMax
    if (packet.length > most) {
      const text = `the answer has ${packet.length} bytes, the client takes ${most}`
      throw new PacketError('packet-too-large', ReasonCode.PACKET_TOO_LARGE, text)
    }
    this.sender.packet(connection, packet, batch)
  }

  /** Questions that are not answered. */
  get openTickets(): number {
    return this.tickets.size + this.wills.askedCount
  }

  /** For a question; most are answered at once and need no more than the number. */
  newTicket(): number {
    return this.nextTicket++
  }

  /** Reads nothing more of the connection until its question is `decided`. */
  waitFor(connection: Connection, ticket: number, resume: (verdict: unknown) => void): void {
    this.tickets.set(ticket, connection)
    connection.wait(ticket, resume)
  }

  /** Whether the client may have messages of the topic; one that is away is asked about later. */
  mayReceive(session: Session, topic: string): boolean {
    const { guard } = this.ports
    const { connection } = session
    if (connection === null || !guard.checksPermissions) return true
    return guard.mayReceive(connection.identity, topic)
  }

  /** One more record refers to the message; the first one puts it into the store. */
  storeMessage(message: Message): void {
    if (message.id === 0) {
      message.id = this.nextMessageId++
      this.ports.store.putMessage(message)
    }
    message.holders++
  }

  /** One record less refers to it; after the last one the store has forgotten it. */
  releaseMessage(message: Message): void {
    message.holders--
    if (message.holders === 0) message.id = 0
  }

  /** A message is lost. */
  lose(reason: DropReason, clientId: string, topic: string, byteCount: number): void {
    this.loseMany(reason, clientId, topic, 1, byteCount)
  }

  /** Several messages of one topic are lost. */
  loseMany(
    reason: DropReason,
    clientId: string,
    topic: string,
    count: number,
    byteCount: number,
  ): void {
    // The broker's own numbers, which come again in a moment, are no loss for who is away.
    if (reason === 'offline' && topic.startsWith('$SYS/')) return
    const first = this.ledger.count(reason, clientId, topic, byteCount, count)
    // That QoS 0 passes by who is away is what its subscriber has chosen: counted, not told.
    if (first && reason !== 'offline') this.ports.trace.dropped(reason, clientId, topic)
  }

  /** CONNACK is out: the session may send. */
  becomeReady(connection: Connection): void {
    connection.ready = true
    if (connection.session !== null) this.queues.begin(connection.session)
  }

  private letGo(connection: Connection): void {
    this.wheel.cancel(connection.timer)
    this.takeovers.forget(connection)
    if (this.takeovers.wait) this.sender.requestTurn()
    connection.release()
    this.wills.letGo(connection)
    if (connection.waitingFor !== 0) this.tickets.delete(connection.waitingFor)
    connection.waitingFor = 0
    connection.resume = null
    if (connection.ticket === 0) return
    this.ports.guard.abandon(connection.ticket)
    connection.ticket = 0
  }

  private closeAll(reasonCode: number, text: string, reference: string | null = null): void {
    for (const connection of [...this.connections]) {
      if (connection.state >= ConnectionState.ENDING) continue
      if (connection.state === ConnectionState.OPEN) {
        this.close(connection, reasonCode, text, reference)
      } else refuseConnect(this, connection, reasonCode, text)
    }
    this.sender.requestTurn()
  }

  private resumePaused(): void {
    if (this.ports.store.congested || this.stopping) return
    const paused = this.paused
    this.paused = []
    for (const connection of paused) {
      if (connection.state >= ConnectionState.ENDING) continue
      if (this.isOverRate(connection) || this.isUnread(connection)) {
        this.paused.push(connection)
        continue
      }
      connection.throttled = false
      connection.resumeReading()
    }
  }

  /** What one read brought beyond the rate counts to the seconds after it. */
  private payRate(connection: Connection): void {
    if (connection.rateWindowAtMs === this.rateWindowAtMs) return
    const seconds = (this.rateWindowAtMs - connection.rateWindowAtMs) / RATE_WINDOW_MS
    const { bytesPerSecondMax, messagesPerSecondMax } = this.limits
    connection.rateWindowAtMs = this.rateWindowAtMs
    connection.rateMessages = Math.max(0, connection.rateMessages - seconds * messagesPerSecondMax)
    connection.rateBytes = Math.max(0, connection.rateBytes - seconds * bytesPerSecondMax)
  }

  private isOverRate(connection: Connection): boolean {
    this.payRate(connection)
    const { bytesPerSecondMax, messagesPerSecondMax } = this.limits
    if (bytesPerSecondMax > 0 && connection.rateBytes > bytesPerSecondMax) return true
    return messagesPerSecondMax > 0 && connection.rateMessages > messagesPerSecondMax
  }

  /** It asks and does not read the answers, which no bound of messages holds back. */
  private isUnread(connection: Connection): boolean {
    if (connection.heldCount > this.shares.heldAnswers) return true
    return connection.pendingBytes > 2 * this.limits.outgoingBytesMax
  }
}
