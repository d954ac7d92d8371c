// The flags of `godwit serve` and what they change in the configuration.

import { networkInterfaces } from 'node:os'
import type {
  BrokerOptions,
  CertificateOptions,
  Limits,
  ListenOptions,
  MetricsOptions,
} from '@godwit/broker'
import { type AccessChoice, type AccessFields, accessOf } from './access-choice.ts'
import type { ServeConfig } from './config.ts'
import { storeOf } from './data-place.ts'
import { usage } from './failure.ts'
import { LOG_LEVELS, type LogLevel } from './log-levels.ts'
import {
  parseAddress,
  parseCount,
  parseMode,
  parsePort,
  parseSeconds,
  parseSize,
} from './values.ts'

/** The flags as they were typed. */
export interface ServeFlags {
  readonly config?: string
  readonly check?: boolean
  readonly printConfig?: boolean
  readonly addr?: string
  readonly host?: string
  readonly port?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsCa?: string
  readonly tlsCrl?: string
  readonly tlsClient?: string
  readonly tlsPort?: string
  readonly wsPort?: string
  readonly wssPort?: string
  readonly wsPath?: string
  readonly wsOrigin?: readonly string[]
  readonly unix?: string
  readonly unixMode?: string
  readonly proxyProtocol?: boolean
  readonly metricsPort?: string
  readonly metricsHost?: string
  readonly data?: string
  readonly salvage?: boolean
  readonly lowSpace?: string
  readonly passwordFile?: string
  readonly allowAnonymous?: boolean
  readonly aclFile?: string
  readonly tlsUserNames?: boolean
  readonly dump?: boolean
  readonly statsInterval?: string
  readonly nodeName?: string
  readonly logLevel?: string
  readonly json?: boolean
  readonly drain?: string
  readonly [flag: string]: string | boolean | readonly string[] | undefined
}

interface LimitFlag {
  /** As the parser knows it: camel case. */
  readonly name: string
  readonly flags: string
  readonly text: string
  readonly limit: keyof Limits
  readonly parse: (option: string, text: string) => number
}

/** One flag per limit that is often changed; the configuration file knows all of them. */
export const LIMIT_FLAGS: readonly LimitFlag[] = [
  limitFlag('max-connections', 'n', 'open connections', 'connectionsMax', parseCount),
  limitFlag('max-sessions', 'n', 'sessions, connected or not', 'sessionsMax', parseCount),
  limitFlag('max-packet-size', 'size', 'bytes of one packet', 'packetBytesMax', parseSize),
  limitFlag('max-inflight', 'n', 'unacknowledged messages to a client', 'inflightMax', parseCount),
  limitFlag(
    'max-receive',
    'n',
    'unacknowledged messages from a client',
    'receiveMaximum',
    parseCount,
  ),
  limitFlag(
    'max-queued-messages',
    'n',
    'messages that wait for one session',
    'queuedMessagesMax',
    parseCount,
  ),
  limitFlag('max-queued-bytes', 'size', 'bytes that wait for one', 'queuedBytesMax', parseSize),
  limitFlag('max-outgoing-bytes', 'size', 'unsent bytes of one', 'outgoingBytesMax', parseSize),
  limitFlag(
    'max-subscriptions',
    'n',
    'subscriptions of one session',
    'subscriptionsPerSessionMax',
    parseCount,
  ),
  limitFlag('max-retained-messages', 'n', 'retained messages', 'retainedMessagesMax', parseCount),
  limitFlag(
    'max-session-expiry',
    'time',
    'how long a session is kept',
    'sessionExpirySecondsMax',
    parseSeconds,
  ),
  limitFlag('max-keep-alive', 'time', 'longest keep alive', 'keepAliveSecondsMax', parseSeconds),
  limitFlag('max-topic-alias', 'n', 'topic aliases of a client', 'topicAliasMaximum', parseCount),
  limitFlag('max-topic-levels', 'n', 'levels of a topic', 'topicLevelsMax', parseCount),
  limitFlag('max-qos', 'qos', 'highest quality of service', 'maximumQoS', parseCount),
  limitFlag(
    'max-message-rate',
    'n',
    'messages per second of one client',
    'messagesPerSecondMax',
    parseCount,
  ),
  limitFlag(
    'max-byte-rate',
    'size',
    'bytes per second of one client',
    'bytesPerSecondMax',
    parseSize,
  ),
  limitFlag(
    'connect-timeout',
    'time',
    'from opening a connection to CONNECT',
    'connectTimeoutMs',
    parseMilliseconds,
  ),
]

/** A configuration that says where to listen. */
export type ReadyConfig = ServeConfig & { readonly listeners: readonly ListenOptions[] }

/**
 * The configuration with the flags in it. Listeners of flags come beside those of the file.
 * @throws CommandFailure
 */
export function applyFlags(config: ServeConfig, flags: ServeFlags): ReadyConfig {
  checkCompanions(flags)
  const own = listenersOf(flags)
  const listeners = [...(config.listeners ?? []), ...own]
  if (listeners.length === 0 && config.listeners !== null) {
    usage('there is nothing to listen on: listeners is empty in the file, and no flag gives one')
  }
  const proxied = flags.proxyProtocol === true
  // Without a listener of the flags it would be for nothing, and whoever comes would be believed.
  if (proxied && own.length === 0 && listeners.length > 0) {
    usage('--proxy-protocol is for listeners of flags; in the file it is proxyProtocol: true')
  }
  const level = flags.logLevel ?? config.log.level
  if (!isLogLevel(level)) {
    usage(`--log-level takes one of ${LOG_LEVELS.join(', ')}, not ${JSON.stringify(level)}`)
  }
  return {
    ...config,
    listeners: listeners.length === 0 ? localListeners(config, flags) : listeners,
    broker: brokerOf(config.broker, flags),
    log: { ...config.log, level, format: flags.json === true ? 'json' : config.log.format },
    drainSeconds:
      flags.drain === undefined ? config.drainSeconds : parseSeconds('--drain', flags.drain),
    access: accessWith(config.access, flags),
    ownAccess: new Map(
      [...config.ownAccess].map(([name, own]) => [name, { ...own, ...typed(flags) }]),
    ),
    metrics: metricsOf(config.metrics, flags),
  }
}

function localListeners(
  { localListeners: local }: ServeConfig,
  flags: ServeFlags,
): ListenOptions[] {
  return local.map(one => ({ ...one, ...sharedOf(flags, undefined) }))
}

/** What the flags say of who may come in. */
function typed({ passwordFile, allowAnonymous, aclFile, tlsUserNames }: ServeFlags): AccessFields {
  return {
    ...(passwordFile === undefined ? {} : { passwordFile }),
    ...(allowAnonymous === undefined ? {} : { allowAnonymous }),
    ...(aclFile === undefined ? {} : { aclFile }),
    ...(tlsUserNames === undefined ? {} : { certificateUserNames: tlsUserNames }),
  }
}

function accessWith(given: AccessChoice, flags: ServeFlags): AccessChoice {
  const access = accessOf(typed(flags), given)
  if (
    flags.allowAnonymous === true &&
    access.passwordFile === null &&
    given.allowAnonymous === null
  ) {
    usage('--allow-anonymous needs --password-file')
  }
  return access
}

function metricsOf(
  given: MetricsOptions | null,
  { metricsPort, metricsHost }: ServeFlags,
): MetricsOptions | null {
  if (metricsPort === undefined && metricsHost === undefined) return given
  if (metricsPort === undefined && given === null) usage('--metrics-host needs --metrics-port')
  return {
    ...given,
    ...(metricsPort === undefined ? {} : { port: parsePort('--metrics-port', metricsPort) }),
    ...(metricsHost === undefined ? {} : { host: metricsHost }),
  }
}

/** A flag that would change nothing is a mistake: others have to be there. */
function checkCompanions(flags: ServeFlags): void {
  const { tlsCert, tlsKey, tlsCrl, tlsClient, unix, unixMode, wsPort, wssPort } = flags
  const isPlain = tlsCert === undefined && tlsKey === undefined
  if (isPlain && tlsClient !== undefined) usage('--tls-client needs --tls-cert and --tls-key')
  if (isPlain && tlsCrl !== undefined) usage('--tls-crl needs --tls-cert and --tls-key')
  if (unix === undefined && unixMode !== undefined) usage('--unix-mode needs --unix')
  if (wsPort !== undefined || wssPort !== undefined) return
  if (flags.wsPath !== undefined) usage('--ws-path needs --ws-port or --wss-port')
  if (flags.wsOrigin !== undefined) usage('--ws-origin needs --ws-port or --wss-port')
}

function brokerOf(broker: BrokerOptions, flags: ServeFlags): BrokerOptions {
  const limits: Record<string, number> = {}
  for (const { name, limit, parse, flags: [word = ''] = [] } of LIMIT_FLAGS.map(splitFlag)) {
    const text = flags[name]
    if (typeof text === 'string') limits[limit] = parse(word, text)
  }
  const { statsInterval, nodeName, dump } = flags
  return {
    ...broker,
    store: storeWith(broker.store, flags),
    ...(statsInterval === undefined
      ? {}
      : { statsIntervalSeconds: parseSeconds('--stats-interval', statsInterval) }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(dump === undefined ? {} : { dump }),
    limits: { ...broker.limits, ...limits },
  }
}

function storeWith(
  given: BrokerOptions['store'],
  flags: ServeFlags,
): NonNullable<BrokerOptions['store']> {
  if (flags.data === '') usage('--data takes a directory or none, not ""')
  const store = flags.data === undefined ? (given ?? 'none') : storeOf(flags.data)
  const { salvage, lowSpace } = flags
  if (salvage !== true && lowSpace === undefined) return store
  const flag = salvage === true ? '--salvage' : '--low-space'
  if (typeof store !== 'object') usage(`${flag} needs a directory of data`)
  return {
    ...store,
    ...(salvage === true ? { salvage } : {}),
    ...(lowSpace === undefined ? {} : { lowSpace: spaceOf(lowSpace) }),
  }
}

function spaceOf(text: string): number | `${number}%` {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]
  if (percent === undefined) return parseSize('--low-space', text)
  if (Number(percent) > 100) usage(`--low-space takes a size or up to 100%, not ${text}`)
  return `${Number(percent)}%`
}

function splitFlag(flag: LimitFlag): Omit<LimitFlag, 'flags'> & { flags: string[] } {
  return { ...flag, flags: flag.flags.split(' ') }
}

/**
 * Plain MQTT is listened for where a port or an address is given, or nothing else is: whoever asks
 * for TLS alone does not want to be reached without it.
 */
function listenersOf(flags: ServeFlags): ListenOptions[] {
  const { addr, host, port, tlsPort, wsPort, wssPort, unix } = flags
  const listeners: ListenOptions[] = []
  const certificates = certificatesOf(flags)
  const address = addr === undefined ? null : parseAddress('--addr', addr)
  const shared = sharedOf(flags, address?.host === '' ? everyAddress() : (address?.host ?? host))
  if (certificates === null && (tlsPort !== undefined || wssPort !== undefined)) {
    usage('--tls-port and --wss-port need --tls-cert and --tls-key')
  }
  if (port !== undefined || (address !== null && certificates === null)) {
    const number = port === undefined ? address?.port : parsePort('--port', port)
    listeners.push({ ...shared, ...(number === undefined ? {} : { port: number }) })
  }
  if (certificates !== null && (wssPort === undefined || tlsPort !== undefined || address)) {
    const number = tlsPort === undefined ? address?.port : parsePort('--tls-port', tlsPort)
    const where = number === undefined ? {} : { port: number }
    listeners.push({ ...shared, ...where, tls: certificates })
  }
  const choice = webSocketOf(flags)
  if (wsPort !== undefined) {
    listeners.push({ ...shared, port: parsePort('--ws-port', wsPort), ws: choice })
  }
  if (wssPort !== undefined && certificates !== null) {
    const number = parsePort('--wss-port', wssPort)
    listeners.push({ ...shared, port: number, ws: choice, tls: certificates })
  }
  if (unix !== undefined) listeners.push({ unix: unixOf(unix, flags.unixMode) })
  if (listeners.length === 0 && host !== undefined) listeners.push(shared)
  return listeners
}

/** What `:1885` means, as other servers have it; the broker itself takes no empty address. */
function everyAddress(): string {
  const all = Object.values(networkInterfaces()).flat()
  return all.some(one => one?.family === 'IPv6') ? '::' : '0.0.0.0'
}

function sharedOf(flags: ServeFlags, host: string | undefined): ListenOptions {
  return {
    ...(host === undefined ? {} : { host }),
    ...(flags.proxyProtocol === true ? { proxyProtocol: true } : {}),
  }
}

function unixOf(path: string, mode: string | undefined): { path: string; mode?: number } {
  return mode === undefined ? { path } : { path, mode: parseMode('--unix-mode', mode) }
}

function webSocketOf(flags: ServeFlags): { path?: string; origins?: readonly string[] } {
  const { wsPath, wsOrigin } = flags
  return {
    ...(wsPath === undefined ? {} : { path: wsPath }),
    ...(wsOrigin === undefined ? {} : { origins: wsOrigin }),
  }
}

function certificatesOf(flags: ServeFlags): CertificateOptions | null {
  const { tlsCert, tlsKey, tlsCa, tlsCrl, tlsClient } = flags
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsCa !== undefined) usage('--tls-ca needs --tls-cert and --tls-key')
    return null
  }
  if (tlsCert === undefined || tlsKey === undefined) usage('--tls-cert and --tls-key go together')
  return {
    certFile: tlsCert,
    keyFile: tlsKey,
    ...(tlsCa === undefined ? {} : { caFile: tlsCa }),
    ...(tlsCrl === undefined ? {} : { crlFile: tlsCrl }),
    ...(tlsClient === undefined ? {} : { clientCertificate: clientCertificateOf(tlsClient) }),
  }
}

function clientCertificateOf(text: string): 'none' | 'optional' | 'required' {
  if (text === 'none' || text === 'optional' || text === 'required') return text
  return usage(`--tls-client takes none, optional or required, not ${JSON.stringify(text)}`)
}

function isLogLevel(text: string): text is LogLevel {
  return LOG_LEVELS.some(level => level === text)
}

function parseMilliseconds(option: string, text: string): number {
  return Math.round(parseSeconds(option, text) * 1000)
}

function limitFlag(
  word: string,
  unit: string,
  text: string,
  limit: keyof Limits,
  parse: (option: string, text: string) => number,
): LimitFlag {
  const name = word.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return { name, flags: `--${word} <${unit}>`, text, limit, parse }
}
