// hot
// One network connection: what it negotiated and what of it is under way. Bytes come in here and
// are handed on frame by frame; what a packet means is in handlers/.

import { type ConnectPacket, PacketError, RunDecoder } from '@godwit/packet'
import type { Aliases } from './aliases.ts'
import { type Due, Timer } from './expiry.ts'
import { beginsConnect } from './first-bytes.ts'
import type { Message } from './message.ts'
import type { Output } from './outbox.ts'
import type { Identity, Wire } from './ports.ts'
import type { ReceivedIds } from './received-ids.ts'
import type { Route } from './router.ts'
import type { Session } from './session.ts'

export const ConnectionState = {
  /** No CONNECT yet. */
  NEW: 0,
  /** CONNECT has come, the guard has not decided. */
  AUTHENTICATING: 1,
  OPEN: 2,
  /** It is being closed; nothing is read any more. */
  ENDING: 3,
  CLOSED: 4,
} as const

/** A message of QoS 0 that waits and may expire meanwhile: it is written when it goes out. */
export class HeldMessage {
  readonly message: Message
  readonly identifiers: readonly number[] | null
  readonly retain: boolean

  constructor(message: Message, identifiers: readonly number[] | null, retain: boolean) {
    this.message = message
    this.identifiers = identifiers
    this.retain = retain
  }
}

/** A packed acknowledgement, a whole packet, or a message. */
export type Held = number | Uint8Array | HeldMessage

/** What a connection asks of the broker. */
export interface ConnectionOwner {
  readonly nowMs: number
  readonly incoming: { changed(connection: Connection): void }
  handleFrame(connection: Connection): void
  received(connection: Connection, byteCount: number): void
  failed(connection: Connection, error: PacketError): void
  /** The first bytes are those of no CONNECT. */
  strange(connection: Connection, chunk: Uint8Array): void
  connectionDrained(connection: Connection): void
  connectionClosed(connection: Connection, cause: string): void
  connectionDue(connection: Connection): void
}

const NO_KEEP_ALIVE = 0

/** Who may be silent for long and is for so long: the system looks whether it is still there. */
export const WATCH_AFTER_MS = 60_000

export class Connection implements Due {
  readonly owner: ConnectionOwner
  readonly wire: Wire
  readonly decoder: RunDecoder
  readonly timer: Timer
  state: number = ConnectionState.NEW
  session: Session | null = null
  /** '' before CONNECT. */
  clientId = ''
  username: string | null = null
  private whole: Identity | null = null
  /** True for MQTT 5.0. */
  level5 = false
  protocolLevel: 3 | 4 | 5 = 4
  /** CONNACK told of a session that was there before. */
  sessionPresent = false
  /** CONNACK has been written: other packets may follow. */
  ready = false
  /** What it takes needs nothing of its own: no alias, see delivery.ts. */
  plain = true
  lastActiveMs = 0
  keepAliveMs: number = NO_KEEP_ALIVE
  /** It may be silent for long, and the system does not look after it yet. */
  unwatched = false
  keepAliveSeconds = 0
  output: Output | null = null
  /** Bytes that the network has not taken. */
  pendingBytes = 0
  /** The largest packet that it takes. Section 3.1.2.11.4. */
  sendBytesMax = 0
  /** Unacknowledged QoS 1 and 2 messages that it takes. Section 3.1.2.11.3. */
  sendMaximum = 0
  problemInformation = true
  lastRoute: Route | null = null
  allowedRoute: Route | null = null
  allowedGeneration = -1
  /** QoS and RETAIN that the guard's word was about. */
  allowedFlags = -1
  /** Of the topics that came. */
  aliases: Aliases | null = null
  /** Aliases that were given to topics on the way out. */
  sentAliases: Map<string, number> | null = null
  sendAliasMax = 0
  /** What waits for a batch, in order. */
  heldBatches: number[] | null = null
  held: Held[] | null = null
  /** How many of their places count. */
  heldCount = 0
  /** Bytes of QoS 0 messages among them, until nothing is held: others wait behind these. */
  heldMessageBytes = 0
  /** QoS 2 identifiers from it that came on an earlier connection and wait for PUBREL. */
  carried: ReceivedIds | null = null
  /** QoS 1 and 2 messages from it whose acknowledgement is held. */
  heldPublishes = 0
  /** The guard's ticket that it waits for; 0: none. Nothing is read meanwhile. */
  waitingFor = 0
  /** What goes on when the guard has decided. */
  resume: ((verdict: unknown) => void) | null = null
  chunks: Uint8Array[] | null = null
  authenticationMethod: string | null = null
  ticket = 0
  /** Of CONNECT and what came right behind it, until it is answered. */
  connectBytes = 0
  /** Of a frame of the transport that is not whole. */
  private collectedBytes = 0
  /** What the owner knows of `unfinishedBytes`. */
  incomingBytes = 0
  /** Of the will that waits with it for the session. */
  willBytes = 0
  /** CONNECT, while AUTH packets go to and fro before CONNACK. */
  resumeConnect: ConnectPacket | null = null
  reauthenticating = false
  readingPaused = false
  /** It has had its share of the turn: what came waits, see workload.ts. */
  resting = false
  /** Counts CONNECTs: of two connections of one client the later one stays. */
  arrival = 0
  /** Another connection takes over as soon as what has come is handled: nothing more is read. */
  leaving = false
  /** Why the network connection has ended, while what came before is still to be handled. */
  private endedBy: string | null = null
  /** The broker reads it no faster for now, whatever the guard decides meanwhile. */
  throttled = false
  /** Messages and bytes of this second, where a rate is limited. */
  rateWindowAtMs = 0
  rateMessages = 0
  rateBytes = 0
  /** A close that begins when the output of the turn has been written. */
  endAfterFlush = false

  constructor(owner: ConnectionOwner, wire: Wire, connectPacketBytesMax: number) {
    this.owner = owner
    this.wire = wire
    this.decoder = new RunDecoder(connectPacketBytesMax)
    this.timer = new Timer(this)
  }

  /** For the guard, which may keep it. */
  get identity(): Identity {
    const { clientId, username } = this
    this.whole ??= { clientId, username, origin: this.wire.origin }
    return this.whole
  }

  /** Who the peer is has been said, or the guard has found another name for it. */
  identify(clientId: string, username: string | null): void {
    this.clientId = clientId
    this.username = username
    this.whole = null
  }

  /**
   * When it is to be looked at again, or is late. Who may be silent for long is handed to the
   * system only once it is: opening thousands should not cost what most of them never need.
   */
  dueMs(activeMs: number, nowMs: number): number {
    if (this.unwatched) {
      if (nowMs < activeMs + WATCH_AFTER_MS) return activeMs + WATCH_AFTER_MS
      this.unwatched = false
      this.wire.watchPeer?.()
    }
    return this.keepAliveMs === 0 ? Number.POSITIVE_INFINITY : activeMs + this.keepAliveMs
  }

  /** Takes bytes from the network. */
  bytes(chunk: Uint8Array): void {
    if (this.state >= ConnectionState.ENDING) return
    const { owner } = this
    this.lastActiveMs = owner.nowMs
    owner.received(this, chunk.length)
    if (this.isHeldUp) {
      // Reading is paused; at most what was on its way comes here.
      if (this.chunks === null) this.chunks = []
      this.chunks.push(chunk)
      return
    }
    // Whoever speaks something else sends no packet that could be waited for.
    const isFirst = this.state === ConnectionState.NEW && this.decoder.pendingBytes === 0
    if (isFirst && !beginsConnect(chunk)) {
      owner.strange(this, chunk)
      return
    }
    this.decoder.push(chunk)
    this.run()
    if (this.unfinishedBytes !== this.incomingBytes) owner.incoming.changed(this)
  }

  /** The transport has so many bytes that are for nobody until more come. */
  collected(byteCount: number): void {
    if (this.state >= ConnectionState.ENDING) return
    this.collectedBytes = byteCount
    if (this.unfinishedBytes !== this.incomingBytes) this.owner.incoming.changed(this)
  }

  /** Of packets that are not whole, or not answered. */
  get unfinishedBytes(): number {
    return this.decoder.pendingBytes + this.connectBytes + this.collectedBytes
  }

  /** Handles frames until there is no whole one, or something has to be waited for. */
  run(): void {
    const decoder = this.decoder
    const owner = this.owner
    try {
      while (decoder.next()) {
        owner.handleFrame(this)
        if (this.isHeldUp || this.state >= ConnectionState.ENDING) return
      }
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      owner.failed(this, error)
    }
  }

  /** Stops reading until `decide` is called. */
  wait(ticket: number, resume: (verdict: unknown) => void): void {
    this.waitingFor = ticket
    this.resume = resume
    this.pauseReading()
  }

  /** The answer to `wait` has come. */
  decide(verdict: unknown): void {
    const resume = this.resume
    this.waitingFor = 0
    this.resume = null
    try {
      resume?.(verdict)
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      this.owner.failed(this, error)
    }
    this.goOn()
  }

  /** Stops after the present packet until `restEnded` is called. */
  rest(): void {
    this.resting = true
    this.pauseReading()
  }

  restEnded(): void {
    this.resting = false
    this.goOn()
  }

  /** What came is not handled yet, or not answered: a hook is asked, or it rests. */
  get isBehind(): boolean {
    return this.isHeldUp && this.state === ConnectionState.OPEN
  }

  /** Something came behind what it waits for. */
  get hasRest(): boolean {
    return this.decoder.unreadBytes > 0 || (this.chunks !== null && this.chunks.length > 0)
  }

  private get isHeldUp(): boolean {
    return this.waitingFor !== 0 || this.resting
  }

  private goOn(): void {
    if (this.isHeldUp || this.state >= ConnectionState.ENDING) return
    this.run()
    while (!this.isHeldUp && this.state < ConnectionState.ENDING) {
      const chunk = this.chunks?.shift()
      if (chunk === undefined) break
      this.decoder.push(chunk)
      this.run()
    }
    if (this.unfinishedBytes !== this.incomingBytes) this.owner.incoming.changed(this)
    if (this.endedBy === null) this.resumeReading()
    else if (!this.isHeldUp) this.owner.connectionClosed(this, this.endedBy)
  }

  pauseReading(): void {
    if (this.readingPaused) return
    this.readingPaused = true
    this.wire.pauseReading()
  }

  resumeReading(): void {
    if (!this.readingPaused || this.throttled || this.leaving || this.isHeldUp) return
    if (this.state >= ConnectionState.ENDING) return
    this.readingPaused = false
    // What was not read could not be late, and comes only after what is due now.
    this.lastActiveMs = this.owner.nowMs
    this.wire.resumeReading()
  }

  /** The network has taken all that was written. */
  drained(): void {
    this.owner.connectionDrained(this)
  }

  /**
   * The network connection has ended, for whatever cause. Called once. What came before counts:
   * messages, and the DISCONNECT that takes the will back [MQTT-3.14.4-3]. Clients need not wait
   * for CONNACK, section 3.1.4; of one that has sent no more than CONNECT nothing is left to do.
   */
  closed(cause: string): void {
    const isComing = this.state === ConnectionState.AUTHENTICATING && this.hasRest
    if (this.isBehind || (this.isHeldUp && isComing)) this.endedBy = cause
    else this.owner.connectionClosed(this, cause)
  }

  /** The broker ends it. If the network has before, nothing else will. */
  ending(): void {
    if (this.endedBy !== null) this.owner.connectionClosed(this, this.endedBy)
  }

  /** Keeps nothing of what it needed while it was open. */
  release(): void {
    this.decoder.drop()
    this.connectBytes = 0
    this.collectedBytes = 0
    if (this.incomingBytes > 0) this.owner.incoming.changed(this)
    this.chunks = null
    this.lastRoute = null
    this.allowedRoute = null
    this.aliases?.release()
    this.aliases = null // [MQTT-3.3.2-7]
    this.sentAliases = null
    this.carried = null
  }

  due(): void {
    this.owner.connectionDue(this)
  }
}
