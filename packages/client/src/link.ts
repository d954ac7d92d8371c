// One connection's life, pure: how far it is, when a PINGREQ is due, when silence means that the
// peer is gone, and when to try again. Time and randomness are arguments; it does nothing itself.

/** How far the connection is. */
export const LinkState = {
  IDLE: 0,
  /** URL and credentials are being asked for, then the transport opens. */
  OPENING: 1,
  /** CONNECT was sent. */
  CONNECTING: 2,
  CONNECTED: 3,
  /** Nothing more is sent; the transport closes. */
  CLOSING: 4,
  /** Until the next attempt. */
  WAITING: 5,
  CLOSED: 6,
} as const

/** What `tick` asks for. */
export const LinkAction = {
  NONE: 0,
  SEND_PING: 1,
  KEEP_ALIVE_TIMEOUT: 2,
  CONNECT_TIMEOUT: 3,
  RECONNECT: 4,
  CLOSE_TIMEOUT: 5,
} as const

/** Times in milliseconds. */
export interface LinkOptions {
  readonly connectTimeoutMs: number
  readonly closeTimeoutMs: number
  readonly reconnect: DelayOptions
}

export interface DelayOptions {
  /** Bound of the first delay; it doubles with each attempt. */
  readonly initialDelayMs: number
  readonly maxDelayMs: number
  /** A connection that lasted this long starts the delays anew. */
  readonly stableAfterMs: number
}

const NEVER = Number.POSITIVE_INFINITY
const PING_TIMEOUT_MS_MAX = 30_000
const PING_TIMEOUT_MS_MIN = 1000
/** A PINGREQ leaves this share of the keep alive before its end. */
const MARGIN = 0.1
const MARGIN_MS_MAX = 2000
/** A tick this late says that the process slept, not that the peer was silent. */
const LATE_MS = 1000
const DOUBLINGS_MAX = 30

export class Link {
  state: number = LinkState.IDLE
  /** Attempts since the last stable connection. */
  attempt = 0
  /** When `tick` has something to do; infinite when never. */
  dueMs: number = NEVER
  private readonly options: LinkOptions
  private keepAliveMs = 0
  private connectedMs = 0
  private lastSentMs = 0
  private lastReceivedMs = 0
  /** When the answer to a PINGREQ is due, 0 when none was sent. */
  private pongDueMs = 0
  /** We do not read, so we cannot know whether the peer speaks. */
  private paused = false

  constructor(options: LinkOptions) {
    this.options = options
  }

  /** An attempt begins. */
  opening(nowMs: number): void {
    this.state = LinkState.OPENING
    this.attempt++
    this.dueMs = nowMs + this.options.connectTimeoutMs
  }

  /** CONNECT was sent; the time for all of connecting goes on. */
  connecting(): void {
    this.state = LinkState.CONNECTING
  }

  /** The server has accepted. @param keepAliveSeconds what holds for this connection, 0 for none */
  connected(nowMs: number, keepAliveSeconds: number): void {
    this.state = LinkState.CONNECTED
    this.keepAliveMs = keepAliveSeconds * 1000 // [MQTT-3.1.2-21] [MQTT-3.2.2-21]
    this.connectedMs = nowMs
    this.lastSentMs = nowMs
    this.lastReceivedMs = nowMs
    this.pongDueMs = 0
    this.paused = false
    this.plan()
  }

  /** Bytes were written. */
  sent(nowMs: number): void {
    this.lastSentMs = nowMs
  }

  /** Bytes came: any byte is a sign of life. */
  received(nowMs: number): void {
    this.lastReceivedMs = nowMs
    this.pongDueMs = 0
  }

  /** We stop or start reading. */
  setPaused(paused: boolean, nowMs: number): void {
    this.paused = paused
    if (!paused) this.received(nowMs)
    if (this.state === LinkState.CONNECTED) this.plan()
  }

  /** A PINGREQ leaves now, whoever wanted it. */
  pinged(nowMs: number): void {
    this.lastSentMs = nowMs
    this.pongDueMs = nowMs + this.pingTimeoutMs
    this.plan()
  }

  /** The connection is being closed by us. */
  closing(nowMs: number): void {
    this.state = LinkState.CLOSING
    this.dueMs = nowMs + this.options.closeTimeoutMs
  }

  /** The connection or an attempt is over. What was stable makes the attempts begin anew. */
  lost(nowMs: number): void {
    const stable =
      this.state === LinkState.CONNECTED &&
      nowMs - this.connectedMs >= this.options.reconnect.stableAfterMs
    if (stable) this.attempt = 0
  }

  /** There will be another attempt. @returns the delay */
  waiting(nowMs: number, random: number): number {
    return this.waitFor(nowMs, fullJitter(this.options.reconnect, this.attempt, random))
  }

  /** The same with a delay that somebody else has chosen. */
  waitFor(nowMs: number, delayMs: number): number {
    this.state = LinkState.WAITING
    this.dueMs = nowMs + delayMs
    return delayMs
  }

  closed(): void {
    this.state = LinkState.CLOSED
    this.dueMs = NEVER
  }

  /** @returns one of `LinkAction`; `dueMs` says when to ask again */
  tick(nowMs: number): number {
    if (nowMs < this.dueMs) return LinkAction.NONE
    switch (this.state) {
      case LinkState.OPENING:
      case LinkState.CONNECTING:
        this.dueMs = NEVER
        return LinkAction.CONNECT_TIMEOUT
      case LinkState.CLOSING:
        this.dueMs = NEVER
        return LinkAction.CLOSE_TIMEOUT
      case LinkState.WAITING:
        this.dueMs = NEVER
        return LinkAction.RECONNECT
      case LinkState.CONNECTED:
        return this.tickConnected(nowMs)
      default:
        this.dueMs = NEVER
        return LinkAction.NONE
    }
  }

  private get pingTimeoutMs(): number {
    // The server waits one and a half times the keep alive; so may we.
    const half = this.keepAliveMs > 0 ? this.keepAliveMs / 2 : PING_TIMEOUT_MS_MAX
    return Math.min(PING_TIMEOUT_MS_MAX, Math.max(PING_TIMEOUT_MS_MIN, half))
  }

  private tickConnected(nowMs: number): number {
    if (this.pongDueMs > 0 && nowMs >= this.pongDueMs) {
      if (nowMs - this.pongDueMs > LATE_MS) {
        // The answer may lie in the socket, unread.
        this.pongDueMs = nowMs + LATE_MS
        this.dueMs = this.pongDueMs
        return LinkAction.NONE
      }
      this.dueMs = NEVER
      return LinkAction.KEEP_ALIVE_TIMEOUT
    }
    if (this.pongDueMs === 0 && this.keepAliveMs > 0 && nowMs >= this.pingDueMs) {
      return LinkAction.SEND_PING // [MQTT-3.1.2-20] [MQTT-3.1.2-23 v3]
    }
    this.plan()
    return LinkAction.NONE
  }

  private get pingDueMs(): number {
    const margin = Math.min(MARGIN_MS_MAX, this.keepAliveMs * MARGIN)
    // A peer that is only written to must show life as well, unless we do not listen.
    const idleSince = this.paused ? this.lastSentMs : Math.min(this.lastSentMs, this.lastReceivedMs)
    return idleSince + this.keepAliveMs - margin
  }

  private plan(): void {
    if (this.paused) this.pongDueMs = 0
    const pingDueMs = this.keepAliveMs > 0 ? this.pingDueMs : NEVER
    this.dueMs = this.pongDueMs > 0 ? this.pongDueMs : pingDueMs
  }
}

/** A delay anywhere between zero and a bound that doubles with each attempt. */
export function fullJitter(options: DelayOptions, attempt: number, random: number): number {
  const doublings = Math.min(DOUBLINGS_MAX, Math.max(0, attempt - 1))
  return random * Math.min(options.maxDelayMs, options.initialDelayMs * 2 ** doublings)
}

/** What may be different on the next attempt, because a function is asked anew. */
export interface Renewed {
  readonly credentials: boolean
  readonly url: boolean
}

/**
 * Whether another attempt makes sense after a refusal or a DISCONNECT with this reason code.
 * MQTT 5.0 sections 3.2.2.2 and 3.14.2.1.
 */
export function isWorthRetrying(reasonCode: number, renewed: Renewed): boolean {
  switch (reasonCode) {
    case 0x86: // bad user name or password
    case 0x87: // not authorized
      return renewed.credentials
    case 0x9c: // use another server
    case 0x9d: // server moved
      return renewed.url
    case 0x81: // malformed packet
    case 0x82: // protocol error
    case 0x84: // unsupported protocol version
    case 0x85: // client identifier not valid
    case 0x8a: // banned
    case 0x8c: // bad authentication method
    case 0x8e: // session taken over: two clients with one identifier would fight for ever
    case 0x90: // topic name invalid
    case 0x95: // packet too large
    case 0x98: // administrative action
    case 0x99: // payload format invalid
    case 0x9a: // retain not supported
    case 0x9b: // QoS not supported
      return false
    default:
      return true
  }
}
