// What pub, sub and rr have been told: one object with all fields and their defaults, which the
// options of the tables change one after the other.

import type { ProtocolLevel, QoS, UserProperty } from '@godwit/packet'

export type ClientCommand = 'pub' | 'sub' | 'rr' | 'check'

/** Where the messages of pub and rr come from. */
export type Source =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdin' }
  | { readonly kind: 'lines' }
  | { readonly kind: 'json' }
  | { readonly kind: 'replay'; readonly path: string }
  | { readonly kind: 'empty' }

/** Where a password that is not on the command line is. */
export type PasswordPlace =
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'prompt' }

/** Properties as `-D` collects them; the names are those of @godwit/packet. */
export type CollectedProperties = Record<
  string,
  string | number | Uint8Array | number[] | UserProperty[]
>

export type PropertyCommand =
  | 'connect'
  | 'publish'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'will'

export interface SocksProxy {
  readonly host: string
  readonly port: number
  readonly username: string | null
  readonly password: string | null
}

/** -1 is not set. */
export const NOT_SET = -1
export const RANDOM_FILTER_ALL = 10_000
/** Unacknowledged messages, Mosquitto's. */
export const INFLIGHT_DEFAULT = 20

/** Mutable while options are read; whoever gets it afterwards only reads. */
export class ClientChoice {
  readonly command: ClientCommand

  host: string | null = null
  port: number | null = null
  unix: string | null = null
  webSocket = false
  webSocketPath = '/mqtt'
  srv = false
  bindAddress: string | null = null
  proxy: SocksProxy | null = null
  /** Whether the URL asks for TLS. */
  secureUrl = false

  id: string | null = null
  idPrefix: string | null = null
  username: string | null = null
  password: string | null = null
  passwordPlace: PasswordPlace | null = null
  level: ProtocolLevel = 4
  /** Somebody has said which version. */
  versionGiven = false
  /** Without MQTT 5.0 the broker may have 3.1.1. */
  fallsBack = false
  keepAliveSeconds = 60
  cleanSession = true
  sessionExpirySeconds: number = NOT_SET
  inflightMax: number = INFLIGHT_DEFAULT

  tls = false
  noTls = false
  tlsUseOsCerts = false
  insecure = false
  cafile: string | null = null
  capath: string | null = null
  cert: string | null = null
  key: string | null = null
  keyform: string | null = null
  ciphers: string | null = null
  tlsAlpn: string | null = null
  tlsVersion: string | null = null
  tlsKeylog: string | null = null
  psk: string | null = null
  pskIdentity: string | null = null

  willTopic: string | null = null
  willPayload: string | null = null
  willQos: QoS = 0
  willRetain = false

  readonly properties: Readonly<Record<PropertyCommand, CollectedProperties>> = {
    connect: {},
    publish: {},
    subscribe: {},
    unsubscribe: {},
    disconnect: {},
    will: {},
  }

  dump = false
  quiet = false
  topics: string[] = []
  qos: QoS = 0
  /** Words without an option: a topic and a message for pub, topics for sub. */
  words: string[] = []

  source: Source = { kind: 'none' }
  retain = false
  repeatCount = 1
  repeatDelaySeconds = 0
  replaySpeed = 1
  /** pub: stay connected. */
  wait = false

  filterOuts: string[] = []
  unsubscribes: string[] = []
  count = 0
  timeoutSeconds = 0
  exitAfterSubscribe = false
  noRetained = false
  retainedOnly = false
  removeRetained = false
  retainAsPublished = false
  retainHandling: 0 | 1 | 2 = 0
  /** Of 10 000 messages so many are printed. */
  randomFilter: number = RANDOM_FILTER_ALL

  format: string | null = null
  verbose = false
  newline = true
  pretty = false
  json = false
  goFormat = false
  watch = false
  messageRate = false
  record: string | null = null

  responseTopic: string | null = null
  latency = false

  constructor(command: ClientCommand) {
    this.command = command
    if (command === 'rr' || command === 'check') this.level = 5
  }
}
