// The flags that pub and sub share, with Mosquitto's letters, and the connection they ask for.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import {
  encodeUtf8,
  isTopicName,
  NO_PROPERTIES,
  type ProtocolLevel,
  type QoS,
  SESSION_NEVER_EXPIRES,
  type Will,
} from '@godwit/packet'
import type { ConnectOptions } from './connection.ts'
import { usage } from './failure.ts'
import { parseAddress, parseCount, parsePort } from './values.ts'

/** The flags as they were typed. */
export interface ClientFlags {
  readonly url?: string
  readonly host?: string
  readonly port?: string
  readonly unix?: string
  readonly bind?: string
  readonly id?: string
  readonly idPrefix?: string
  readonly user?: string
  readonly pass?: string
  readonly protocolVersion?: string
  readonly keepalive?: string
  readonly qos?: string
  readonly cleanSession?: boolean
  readonly sessionExpiry?: string
  readonly maxInflight?: string
  readonly willTopic?: string
  readonly willPayload?: string
  readonly willQos?: string
  readonly willRetain?: boolean
  readonly cafile?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure?: boolean
  readonly tls?: boolean
  readonly dump?: boolean
  readonly quiet?: boolean
  readonly timeout?: string
}

/** What pub and sub make of their flags. */
export interface ClientChoice {
  readonly connect: ConnectOptions
  /** Of the URL's path, or null. */
  readonly topic: string | null
  readonly qos: QoS
  /** 0: none. */
  readonly timeoutSeconds: number
}

/** Mosquitto's exit code for wrong options. */
const WRONG = 1
const DEFAULT_PORT = 1883
const DEFAULT_TLS_PORT = 8883
const DEFAULT_KEEP_ALIVE_SECONDS = 60
const UINT16_MAX = 65_535

const Levels: Readonly<Record<string, ProtocolLevel>> = {
  '5': 5,
  mqttv5: 5,
  '311': 4,
  '4': 4,
  mqttv311: 4,
  '31': 3,
  '3': 3,
  mqttv31: 3,
}

/** @throws CommandFailure with Mosquitto's exit code */
export function readClientFlags(flags: ClientFlags, command: 'pub' | 'sub'): ClientChoice {
  const url = flags.url === undefined ? null : readUrl(flags.url)
  const level = Levels[flags.protocolVersion ?? 'mqttv311']
  if (level === undefined) {
    usage(`-V takes mqttv5, mqttv311 or mqttv31, not ${flags.protocolVersion}`, WRONG)
  }
  const cleanStart = flags.cleanSession !== false
  if (!cleanStart && flags.id === undefined && flags.idPrefix === undefined) {
    usage('-c keeps a session: say whose with -i', WRONG)
  }
  const address = parseAddress('-h', url?.host ?? flags.host ?? 'localhost')
  const tls = tlsOf(flags, url?.secure ?? false)
  const defaultPort = tls === null ? DEFAULT_PORT : DEFAULT_TLS_PORT
  const port = flags.port === undefined ? null : parsePort('-p', flags.port)
  const password = url?.password ?? flags.pass ?? null
  const username = url?.username ?? flags.user ?? null
  if (username === null && password !== null && level < 5) {
    usage('-P needs -u before MQTT 5.0', WRONG)
  }
  return {
    connect: {
      host: address.host || 'localhost',
      port: port ?? url?.port ?? address.port ?? defaultPort,
      path: flags.unix ?? null,
      localAddress: flags.bind ?? null,
      tls,
      level,
      clientId: clientIdOf(flags, command),
      cleanStart,
      sessionExpirySeconds: expiryOf(flags.sessionExpiry, cleanStart),
      keepAliveSeconds: numberOf('-k', flags.keepalive, DEFAULT_KEEP_ALIVE_SECONDS, UINT16_MAX),
      username,
      password: password === null ? null : encodeUtf8(password),
      will: willOf(flags),
      inflightMax: Math.max(1, numberOf('-M', flags.maxInflight, 20, UINT16_MAX)),
      dump: flags.dump === true ? line => void process.stderr.write(`${line}\n`) : null,
    },
    topic: url?.topic ?? null,
    qos: qosOf('-q', flags.qos),
    timeoutSeconds: numberOf('-W', flags.timeout, 0, Number.MAX_SAFE_INTEGER),
  }
}

interface UrlParts {
  readonly host: string
  readonly port: number | null
  readonly secure: boolean
  readonly username: string | null
  readonly password: string | null
  readonly topic: string | null
}

function readUrl(text: string): UrlParts {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    usage(`-L takes mqtt(s)://[user[:password]@]host[:port]/topic, not ${text}`, WRONG)
  }
  const { protocol, hostname, port, username, password, pathname } = url
  if (protocol !== 'mqtt:' && protocol !== 'mqtts:') usage('-L takes mqtt:// or mqtts://', WRONG)
  const orNull = (part: string): string | null => (part === '' ? null : decodeURIComponent(part))
  return {
    host: hostname,
    port: port === '' ? null : Number(port),
    secure: protocol === 'mqtts:',
    username: orNull(username),
    password: orNull(password),
    topic: orNull(pathname.slice(1)),
  }
}

function clientIdOf(flags: ClientFlags, command: string): string {
  if (flags.id !== undefined) return flags.id
  if (flags.idPrefix !== undefined) return `${flags.idPrefix}${process.pid}`
  return `godwit-${command}-${randomBytes(4).toString('hex')}`
}

function expiryOf(text: string | undefined, cleanStart: boolean): number {
  if (text === undefined) return cleanStart ? 0 : SESSION_NEVER_EXPIRES
  if (text === '-1' || text === '∞') return SESSION_NEVER_EXPIRES
  return numberOf('-x', text, 0, SESSION_NEVER_EXPIRES)
}

function willOf(flags: ClientFlags): Will | null {
  const { willTopic, willPayload, willQos, willRetain } = flags
  if (willTopic === undefined) {
    if (willPayload === undefined && willQos === undefined && willRetain !== true) return null
    return usage('--will-payload, --will-qos and --will-retain need --will-topic', WRONG)
  }
  if (!isTopicName(willTopic)) usage(`--will-topic: ${willTopic} is no topic`, WRONG)
  return {
    topic: willTopic,
    payload: encodeUtf8(willPayload ?? ''),
    qos: qosOf('--will-qos', willQos),
    retain: willRetain === true,
    properties: NO_PROPERTIES,
  }
}

function tlsOf(flags: ClientFlags, secure: boolean): ConnectionOptions | null {
  const { cafile, cert, key, insecure } = flags
  if (!secure && flags.tls !== true && cafile === undefined && cert === undefined) return null
  if ((cert === undefined) !== (key === undefined)) usage('--cert and --key go together', WRONG)
  return {
    ...(cafile === undefined ? {} : { ca: readFile('--cafile', cafile) }),
    ...(cert === undefined ? {} : { cert: readFile('--cert', cert) }),
    ...(key === undefined ? {} : { key: readFile('--key', key) }),
    // As in Mosquitto: the certificate must be signed, but may be another host's.
    ...(insecure === true ? { checkServerIdentity: () => undefined } : {}),
  }
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    return usage(`${option}: ${(error as Error).message}`, WRONG)
  }
}

function qosOf(option: string, text: string | undefined): QoS {
  const qos = numberOf(option, text, 0, 2)
  return qos === 0 || qos === 1 ? qos : 2
}

/** A number from 0 to `most`. @throws CommandFailure with Mosquitto's exit code */
export function numberOf(
  option: string,
  text: string | undefined,
  without: number,
  most: number,
): number {
  if (text === undefined) return without
  const number = /^\d+$/.test(text) ? parseCount(option, text) : -1
  if (number < 0 || number > most) {
    usage(`${option} takes a whole number up to ${most}, not ${JSON.stringify(text)}`, WRONG)
  }
  return number
}
