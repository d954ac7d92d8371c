// The options of a client: their shapes, defaults and checks. Read once, then frozen.

import {
  isTopicName,
  type Packet,
  type ProtocolLevel,
  type QoS,
  type UserProperty,
} from '@godwit/packet'
import { invalidArgument, type MqttError } from './errors.ts'
import type { ClientEvent } from './events.ts'
import { Limits } from './limits.ts'
import { checkOptions, type OptionNames } from './option-names.ts'
import { isWellFormed } from './publish-writer.ts'
import { sharing } from './same.ts'
import type { SessionStore } from './store.ts'
import type { TlsOptions } from './transport.ts'

/** A payload; text is sent as UTF-8. */
export type Payload = string | Uint8Array | ArrayBuffer

export interface Credentials {
  readonly username?: string | undefined
  readonly password?: string | Uint8Array | undefined
}

/** What an attempt to connect knows of those before it. */
export interface Attempt {
  /** 1 for the first since the last stable connection. */
  readonly attempt: number
  readonly lastError: MqttError | null
}

/** The message that the server publishes when the connection ends without DISCONNECT. */
export interface WillOptions extends MessageProperties {
  readonly topic: string
  readonly payload?: Payload
  readonly qos?: QoS
  readonly retain?: boolean
  readonly delaySeconds?: number
}

/** Properties of a message, MQTT 5.0 section 3.3.2.3; before MQTT 5.0 they are left out. */
export interface MessageProperties {
  readonly messageExpirySeconds?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  readonly userProperties?: readonly UserProperty[]
  /** Whether the payload is said to be UTF-8. */
  readonly utf8?: boolean
}

/** Enhanced authentication. MQTT 5.0 section 4.12. */
export interface Authenticator {
  readonly method: string
  /** The first data, at each attempt and at each re-authentication. */
  start(): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** The answer to the server's data. Throwing ends the connection. */
  next(data: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** The server's last word; throwing ends the connection. */
  finish?(data: Uint8Array | undefined): void | Promise<void>
}

export interface ReconnectOptions {
  /** Bound of the first delay, doubled with each attempt; the delay is random below the bound. */
  readonly initialDelayMs?: number
  readonly maxDelayMs?: number
  readonly stableAfterMs?: number
  /** Attempts until the client gives up. */
  readonly attemptsMax?: number
  /** Whether the very first connection is tried again too. */
  readonly first?: boolean
  /**
   * Chooses the delay itself; a negative one gives up. `attempt` is how many there were since the
   * last stable connection, 0 when that was lost just now.
   */
  readonly delayMs?: (attempt: Attempt) => number
}

/** What happens to messages that cannot leave at once. */
export interface OfflineOptions {
  readonly messagesMax?: number
  readonly bytesMax?: number
  /** QoS 0 without a connection: refused (`not-connected`) or kept in the same line. */
  readonly qos0?: 'drop' | 'queue'
  /** When the line is full: `publish` waits for room, fails, or the oldest message gives way. */
  readonly whenFull?: 'wait' | 'reject' | 'drop-oldest'
}

export interface ConnectOptions {
  /** Random (128 bits) when it is missing; empty lets the server assign one. */
  readonly clientId?: string
  /** `auto` is 5, and 4 when the server does not know it. 4 is MQTT 3.1.1, 3 is MQTT 3.1. */
  readonly protocolVersion?: ProtocolLevel | 'auto'
  /** Whether the first connection begins a new session; later ones resume it when they can. */
  readonly cleanStart?: boolean
  /** How long the server keeps the session without a connection. MQTT 5.0. */
  readonly sessionExpirySeconds?: number
  /** 0 for none. */
  readonly keepAliveSeconds?: number
  /** Unacknowledged QoS 1 and 2 messages that the server may send. */
  readonly receiveMaximum?: number
  /** The largest packet that the server may send, in bytes. */
  readonly packetBytesMax?: number
  /** Topic aliases that the server may use. */
  readonly topicAliasMaximum?: number
  /** Whether this client uses topic aliases when the server allows it. */
  readonly topicAliases?: boolean
  /** QoS 1 and 2 messages in flight, unless the server allows fewer. */
  readonly inflightMax?: number
  readonly will?: WillOptions
  readonly username?: string
  readonly password?: string | Uint8Array
  /** Asked at each attempt, in place of `username` and `password`. */
  readonly credentials?: (attempt: Attempt) => Credentials | Promise<Credentials>
  /** MQTT 5.0 only: with it there is no falling back to 3.1.1. */
  readonly authenticator?: Authenticator
  readonly userProperties?: readonly UserProperty[]
  /** false: the server sends no reason strings and the like. MQTT 5.0 section 3.1.2.11.7. */
  readonly problemInformation?: boolean
  /** false: the server is not asked where answers may go. MQTT 5.0 section 3.1.2.11.6. */
  readonly responseInformation?: boolean
  readonly tls?: TlsOptions
  /** Further HTTP headers of a WebSocket's request. Node only. */
  readonly headers?: Readonly<Record<string, string>>
  readonly localAddress?: string
  readonly reconnect?: boolean | ReconnectOptions
  readonly connectTimeoutMs?: number
  readonly closeTimeoutMs?: number
  /** For what the server must answer soon: subscribe, unsubscribe, ping, re-authentication. */
  readonly operationTimeoutMs?: number
  /** How long messages of a resumed session wait for a subscription. */
  readonly unclaimedTimeoutMs?: number
  readonly offline?: OfflineOptions
  /**
   * Where the session survives the process; in memory when missing. It needs a `clientId`, and
   * `cleanStart` is then false unless you say otherwise.
   */
  readonly store?: SessionStore
  /** Sees every packet. */
  readonly onPacket?: (direction: 'sent' | 'received', packet: Packet) => void
  /** Gets a line of text for every packet, in Node. */
  readonly dump?: (line: string) => void
  readonly onEvent?: (event: ClientEvent) => void
  /** Ends connecting; afterwards it closes the client. */
  readonly signal?: AbortSignal
}

/** The options that have defaults; clients with the same ones share them. */
export type Settings = ReturnType<typeof readOptions>

const share = sharing<Settings>()

/** @throws MqttError `invalid-argument` */
export function readOptions(options: ConnectOptions): {
  readonly [K in keyof typeof Defaults]: (typeof Defaults)[K]
} & {
  readonly reconnects: boolean
  readonly reconnect: Required<Omit<ReconnectOptions, 'delayMs'>> & ReconnectOptions
  readonly offline: Required<OfflineOptions>
} {
  checkOptions('connect', options, ConnectNames)
  const own: Record<string, unknown> = {}
  for (const [name, fallback] of Object.entries(Defaults)) {
    const value = (options as Record<string, unknown>)[name] ?? fallback
    const range = Ranges[name]
    if (range !== undefined) checkRange(name, value, range[0], range[1])
    own[name] = value
  }
  const reconnect = typeof options.reconnect === 'object' ? options.reconnect : {}
  checkOptions<ReconnectOptions>('reconnect', reconnect, { ...ReconnectDefaults, delayMs: 1 })
  checkOptions<OfflineOptions>('offline', options.offline ?? {}, OfflineDefaults)
  checkWill(options.will)
  const cleanStart = options.cleanStart ?? options.store === undefined
  if (!(cleanStart || options.clientId)) {
    throw invalidArgument('a session that outlives the client needs a clientId')
  }
  if (options.protocolVersion !== undefined) checkVersion(options.protocolVersion)
  if (options.authenticator !== undefined && typeof options.protocolVersion === 'number') {
    // MQTT 5.0 section 4.12; earlier versions have nothing of the kind.
    if (options.protocolVersion < 5) throw invalidArgument('an authenticator needs MQTT 5.0')
  }
  // Not by spreading: frozen, that would have a hidden class of its own for each client.
  const settings = Object.assign(own as typeof Defaults, {
    cleanStart,
    reconnects: options.reconnect !== false,
    reconnect:
      typeof options.reconnect === 'object'
        ? { ...ReconnectDefaults, ...reconnect }
        : ReconnectDefaults,
    offline:
      options.offline === undefined ? OfflineDefaults : { ...OfflineDefaults, ...options.offline },
  })
  return share(settings)
}

/** Whether a client with these options takes what only some clients need. */
export function needsParts({ cleanStart }: Settings, given: ConnectOptions): boolean {
  const { authenticator, dump, onPacket, store } = given
  // A session that is resumed may have messages before anybody has subscribed.
  return !cleanStart || [authenticator, dump, onPacket, store].some(option => option !== undefined)
}

const Defaults = {
  protocolVersion: 'auto' as ProtocolLevel | 'auto',
  cleanStart: true as boolean,
  sessionExpirySeconds: 0 as number,
  keepAliveSeconds: 60 as number,
  receiveMaximum: Limits.receiveMaximum as number,
  packetBytesMax: Limits.packetBytes as number,
  topicAliasMaximum: 0 as number,
  topicAliases: true as boolean,
  inflightMax: Limits.inflightMax as number,
  connectTimeoutMs: 30_000 as number,
  closeTimeoutMs: 5000 as number,
  operationTimeoutMs: 30_000 as number,
  unclaimedTimeoutMs: 30_000 as number,
}

const ReconnectDefaults = {
  initialDelayMs: 1000,
  maxDelayMs: 60_000,
  stableAfterMs: 10_000,
  attemptsMax: Number.POSITIVE_INFINITY,
  first: false,
}

const OfflineDefaults = {
  messagesMax: Limits.queueMessages,
  bytesMax: Limits.queueBytes,
  qos0: 'drop' as const,
  whenFull: 'wait' as const,
}

export const MessageNames: OptionNames<MessageProperties> = {
  messageExpirySeconds: 1,
  contentType: 1,
  responseTopic: 1,
  correlationData: 1,
  userProperties: 1,
  utf8: 1,
}

const WillNames: OptionNames<WillOptions> = {
  ...MessageNames,
  topic: 1,
  payload: 1,
  qos: 1,
  retain: 1,
  delaySeconds: 1,
}

const ConnectNames: OptionNames<ConnectOptions> = {
  ...Defaults,
  clientId: 1,
  will: 1,
  username: 1,
  password: 1,
  credentials: 1,
  authenticator: 1,
  userProperties: 1,
  problemInformation: 1,
  responseInformation: 1,
  tls: 1,
  headers: 1,
  localAddress: 1,
  reconnect: 1,
  offline: 1,
  store: 1,
  onPacket: 1,
  dump: 1,
  onEvent: 1,
  signal: 1,
}

const Ranges: { readonly [name: string]: readonly [number, number] | undefined } = {
  sessionExpirySeconds: [0, 0xffff_ffff],
  keepAliveSeconds: [0, 65_535],
  receiveMaximum: [1, 65_535],
  packetBytesMax: [64, 268_435_460],
  topicAliasMaximum: [0, 65_535],
  inflightMax: [1, 65_535],
  connectTimeoutMs: [1, 0x7fff_ffff],
  closeTimeoutMs: [1, 0x7fff_ffff],
  operationTimeoutMs: [1, 0x7fff_ffff],
  unclaimedTimeoutMs: [0, 0x7fff_ffff],
}

function checkVersion(version: ProtocolLevel | 'auto'): void {
  if (version === 'auto' || version === 3 || version === 4 || version === 5) return
  throw invalidArgument(`protocolVersion: expected 3, 4, 5 or 'auto', got ${String(version)}`)
}

function checkRange(name: string, value: unknown, low: number, high: number): void {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return
  throw invalidArgument(`${name}: expected a whole number from ${low} to ${high}, got ${value}`)
}

function checkWill(will: WillOptions | undefined): void {
  if (will === undefined) return
  checkOptions('will', will, WillNames)
  if (typeof will.topic !== 'string' || !isTopicName(will.topic)) {
    throw invalidArgument("the will's topic is not a topic name")
  }
}

/** A payload as the codec takes it. @throws MqttError `invalid-argument` */
export function readPayload(payload: Payload | undefined): Uint8Array | string {
  if (payload instanceof Uint8Array) return payload
  if (typeof payload === 'string') {
    if (isWellFormed(payload)) return payload
    throw invalidArgument('a payload of text with a lone surrogate')
  }
  if (payload === undefined) return ''
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload)
  throw invalidArgument(
    `payload: expected a string, Uint8Array or ArrayBuffer, got ${typeof payload}`,
  )
}

/**
 * Of a message, 0 without one. Nothing else may reach the codec: it would fail in the midst of a
 * connection, again and again.
 * @throws MqttError `invalid-argument`
 */
export function readQoS(qos: QoS | undefined): QoS {
  if (qos === 1 || qos === 0 || qos === 2) return qos
  if (qos === undefined) return 0
  throw invalidArgument(`qos: expected 0, 1 or 2, got ${JSON.stringify(qos)}`)
}
