// From options as they were typed to the settings of a run. All that can be wrong is found here.

import { closeSync, existsSync, openSync, readFileSync, unlinkSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { ConnectionOptions } from 'node:tls'
import { encodeUtf8, isTopicFilter, type ProtocolLevel, type QoS } from '@godwit/packet'
import { USAGE, usage } from '../failure.ts'
import { readAuthority, readIdentity } from '../network/tls-settings.ts'
import { decode } from '../options/url.ts'
import { parseAddress, parsePort } from '../values.ts'
import { parseSourceAddresses } from './dialer.ts'
import { type FlagValues, isSet, type ParsedFlags, text, texts } from './flags.ts'
import { HEADER_BYTES, SEQUENCE_BYTES } from './message.ts'
import type { Arrivals } from './pacing.ts'
import type { PayloadPlan } from './payload-check.ts'
import {
  parseBurst,
  parseBytes,
  parseMs,
  parseNumber,
  parsePayloadSize,
  parseRate,
  parseShare,
  parseStorm,
} from './quantities.ts'
import type {
  ConnectionSettings,
  LoadSettings,
  ManySettings,
  OutputSettings,
  RunSettings,
  Shape,
  Storm,
} from './settings.ts'
import { parseSlo } from './slo.ts'
import { checkPayloadTemplate, checkTopicTemplate } from './templates.ts'
import type { Target } from './transport.ts'

const MANY = Number.MAX_SAFE_INTEGER
const UINT16_MAX = 65_535
const CLIENTS_MAX = 1_000_000
const DEFAULT_INFLIGHT = 100
const DEFAULT_WINDOW = 1000
const SEED_MAX = 0xffffffff

const Levels: Readonly<Record<string, ProtocolLevel>> = {
  '5': 5,
  mqttv5: 5,
  '4': 4,
  '311': 4,
  mqttv311: 4,
  '3': 3,
  '31': 3,
  mqttv31: 3,
}

const Schemes: Readonly<Record<string, { kind: Target['kind']; port: number }>> = {
  'mqtt:': { kind: 'tcp', port: 1883 },
  'tcp:': { kind: 'tcp', port: 1883 },
  'mqtts:': { kind: 'tls', port: 8883 },
  'ws:': { kind: 'ws', port: 80 },
  'wss:': { kind: 'wss', port: 443 },
}

/** @throws CommandFailure with exit code 2 */
export function pingSettings({ values, words }: ParsedFlags, commandLine: string): LoadSettings {
  noWords(words)
  const pairs = numberOf(values, 'pairs', 100, 1, CLIENTS_MAX)
  const topic = text(values, 'topic') ?? 'pingtest/{client}'
  checkTopicTemplate('--topic', topic)
  if (topic.includes('{random'))
    usage('--topic: a pair of ping has one topic, {random} is for load')
  if (!topic.includes('{client}') && pairs > 1)
    usage('--topic needs {client}: each pair has its own')
  const subscribers = numberOf(values, 'wsubs', 20, 0, CLIENTS_MAX)
  const paced = pacedSettings(values, commandLine, 1000, pairs)
  if (paced.payload.kind === 'size' && paced.payload.bytesMin < HEADER_BYTES) {
    usage(`--size: the payload of a ping holds its times, so it has at least ${HEADER_BYTES} bytes`)
  }
  return {
    ...paced,
    kind: 'ping',
    shape: 'one-to-one',
    ...shared(paced, Math.max(pairs, subscribers)),
    publishers: pairs,
    subscribers,
    topic,
    retain: false,
    window: 1,
    storm: null,
    keepsSession: false,
    slowSubscribers: 0,
    slowBytesPerSecond: 0,
    retainedMessages: 0,
  }
}

/** @throws CommandFailure with exit code 2 */
export function loadSettings({ values, words }: ParsedFlags, commandLine: string): LoadSettings {
  noWords(words)
  const shape = shapeOf(values)
  const conns = numberOf(values, 'conns', 100, 2, CLIENTS_MAX)
  if (conns % 2 === 1) usage(`--conns takes an even number, half of them publish: not ${conns}`)
  const half = conns / 2
  const publishers = numberOf(values, 'publishers', shape === 'fan-out' ? 1 : half, 1, CLIENTS_MAX)
  const one = shape === 'one-to-one' ? publishers : shape === 'fan-in' ? 1 : half
  const subscribers = numberOf(values, 'subscribers', one, 0, CLIENTS_MAX)
  const retainedMessages = numberOf(values, 'retained', 0, 0, CLIENTS_MAX * 10)
  const isPaired = shape === 'one-to-one' && retainedMessages === 0
  if (isPaired && subscribers !== publishers && subscribers !== 0) {
    usage(`--fan one-to-one has as many subscribers as publishers, not ${subscribers}`)
  }
  const topic = text(values, 'topic') ?? 'loadtest/{client}'
  checkTopicTemplate('--topic', topic)
  const slowSubscribers = numberOf(values, 'slow', 0, 0, subscribers)
  const common = pacedSettings(values, commandLine, 100, publishers)
  const storm = stormOf(values)
  if (
    retainedMessages > 0 &&
    (common.arrivals !== null || common.durationMs > 0 || text(values, 'messages') !== undefined)
  ) {
    usage('--retained says how many messages there are: no --rate, --messages or --duration')
  }
  const perPublisher = Math.ceil(retainedMessages / publishers)
  return {
    ...common,
    ...shared(common, Math.max(publishers, subscribers)),
    kind: 'load',
    shape,
    publishers,
    subscribers,
    topic,
    retain: isSet(values, 'retain'),
    messages: retainedMessages > 0 ? perPublisher : common.messages,
    window: numberOf(values, 'window', DEFAULT_WINDOW, 1, 1_000_000),
    storm,
    // What a storm cuts is to find its session again.
    keepsSession: storm !== null || isSet(values, 'keep-session'),
    slowSubscribers,
    slowBytesPerSecond: Math.max(1, parseBytes('--slow-rate', text(values, 'slow-rate') ?? '4k')),
    retainedMessages,
  }
}

/** @throws CommandFailure with exit code 2 */
export function manySettings({ values, words }: ParsedFlags, commandLine: string): ManySettings {
  if (words.length > 2) usage(`bench many takes a topic and a message, not ${words.length} words`)
  const topic = text(values, 'topic') ?? words[0] ?? 'many/{client}'
  checkTopicTemplate('--topic', topic)
  if (topic.includes('{random')) usage('--topic: a session of many has one topic')
  const subscribe = text(values, 'subscribe') ?? ''
  if (subscribe !== '' && !isTopicFilter(subscribe.replaceAll('{client}', '0'))) {
    usage(`--subscribe: ${JSON.stringify(subscribe)} is no topic filter`)
  }
  const wait = text(values, 'wait')
  const sessions = numberOf(values, 'conns', 10, 0, 10_000_000)
  const run = runSettings(values, commandLine)
  const waitMs = wait === undefined ? 10 : parseNumber('--wait', wait, 0, 1e6)
  const connectRate = text(values, 'connect-rate')
  const connectsPerSecond =
    connectRate === undefined && waitMs > 0 ? 1000 / waitMs : run.connection.connectsPerSecond
  return {
    ...run,
    connection: { ...run.connection, connectsPerSecond },
    ...shared(run, sessions === 0 ? run.processes : sessions),
    kind: 'many',
    sessions,
    paceMs: parseMs('--pace', text(values, 'pace') ?? '60'),
    paceJitter: parseShare('--pace-jitter', text(values, 'pace-jitter') ?? '25%'),
    topic,
    subscribe,
    message: words[1] ?? 'hello from session {client}',
    qos: qosOf(values),
    holdMs: parseMs('--hold', text(values, 'hold') ?? '0'),
    storm: stormOf(values),
  }
}

type Paced = Omit<
  LoadSettings,
  | 'kind'
  | 'shape'
  | 'publishers'
  | 'subscribers'
  | 'topic'
  | 'retain'
  | 'window'
  | 'storm'
  | 'keepsSession'
  | 'slowSubscribers'
  | 'slowBytesPerSecond'
  | 'retainedMessages'
>

/** Processes that have nothing to do would only take memory and time. */
function shared({ processes }: RunSettings, clients: number): { processes: number } {
  return { processes: Math.min(processes, clients) }
}

/** What ping and load have in common. */
function pacedSettings(
  values: FlagValues,
  commandLine: string,
  defaultMessages: number,
  publishers: number,
): Paced {
  const arrivals = arrivalsOf(values, publishers)
  const duration = text(values, 'duration')
  const messages = text(values, 'messages')
  // An open loop lasts a time, a closed one a number of messages, unless it is said otherwise.
  const isTimed = duration !== undefined || (arrivals !== null && messages === undefined)
  const run = runSettings(values, commandLine)
  const payload = payloadOf(values)
  // A header for some of the messages would make the others lost.
  const isTooSmall = payload.kind === 'size' && payload.bytesMin < SEQUENCE_BYTES
  return {
    ...run,
    qos: qosOf(values),
    payload,
    plain: isSet(values, 'plain') || isTooSmall,
    arrivals,
    inflightMax: numberOf(values, 'max-inflight', DEFAULT_INFLIGHT, 1, UINT16_MAX),
    messages:
      messages === undefined
        ? isTimed
          ? 0
          : defaultMessages
        : parseNumber('--messages', messages, 1, SEED_MAX),
    durationMs: isTimed ? durationOf(duration ?? '10s') : 0,
    warmupMs: parseMs('--warmup', text(values, 'warmup') ?? '0'),
    drainMs: Math.max(1, parseMs('--drain', text(values, 'drain') ?? '5s')),
    timeoutMs: Math.max(1, parseMs('--timeout', text(values, 'timeout') ?? '5s')),
    spin: !isSet(values, 'no-spin') && availableParallelism() > run.processes,
  }
}

function durationOf(text: string): number {
  const ms = parseMs('--duration', text)
  if (ms === 0) usage(`--duration takes a time above 0 such as 30s, not ${JSON.stringify(text)}`)
  return Math.max(1, ms)
}

function arrivalsOf(values: FlagValues, publishers: number): Arrivals | null {
  const rate = text(values, 'rate')
  const perClient = text(values, 'rate-per-client')
  const burst = text(values, 'burst')
  const kind = text(values, 'arrival') ?? 'constant'
  if (kind !== 'constant' && kind !== 'poisson') {
    usage(`--arrival takes constant or poisson, not ${JSON.stringify(kind)}`)
  }
  if ([rate, perClient, burst].filter(one => one !== undefined).length > 1) {
    usage('of --rate, --rate-per-client and --burst only one can be')
  }
  if (burst !== undefined) return { kind: 'burst', ...parseBurst('--burst', burst) }
  if (rate !== undefined) return { kind, perSecond: parseRate('--rate', rate) }
  if (perClient === undefined) {
    if (text(values, 'arrival') !== undefined) usage('--arrival needs --rate')
    return null
  }
  return { kind, perSecond: parseRate('--rate-per-client', perClient) * publishers }
}

function payloadOf(values: FlagValues): PayloadPlan {
  const size = text(values, 'size')
  const template = text(values, 'payload')
  const file = text(values, 'payload-file')
  if ([size, template, file].filter(one => one !== undefined).length > 1) {
    usage('of --size, --payload and --payload-file only one can be')
  }
  if (template !== undefined) {
    checkPayloadTemplate('--payload', template)
    return { kind: 'template', text: template }
  }
  if (file !== undefined) return { kind: 'bytes', bytes: readFile('--payload-file', file) }
  return parsePayloadSize('--size', size ?? '64')
}

function runSettings(values: FlagValues, commandLine: string): RunSettings {
  const processes = text(values, 'processes') ?? '1'
  const seed = text(values, 'seed')
  const slos = texts(values, 'slo').map(goal => parseSlo('--slo', goal))
  const abortOnSlo = isSet(values, 'abort-on-slo')
  if (abortOnSlo && !slos.some(({ metric }) => metric.startsWith('response.'))) {
    usage("--abort-on-slo needs a goal for the response, e.g. --slo 'response.p99 < 20ms'")
  }
  return {
    connection: connectionSettings(values),
    processes:
      processes === 'auto'
        ? Math.max(1, availableParallelism() - 1)
        : parseNumber('--processes', processes, 1, 256),
    seed: seed === undefined ? Date.now() % SEED_MAX : parseNumber('--seed', seed, 0, SEED_MAX),
    slos,
    abortOnSlo,
    strict: isSet(values, 'strict'),
    allowLoss: isSet(values, 'allow-loss'),
    trials: numberOf(values, 'trials', 1, 1, 1000),
    output: outputSettings(values),
    commandLine,
  }
}

/** @throws CommandFailure with exit code 2 */
export function outputSettings(values: FlagValues): OutputSettings {
  const files = {
    json: outputFile(values, 'output'),
    csv: outputFile(values, 'csv'),
    hdr: outputFile(values, 'hdr'),
    html: outputFile(values, 'html'),
  }
  const paths = Object.values(files).filter(path => path !== null && !path.startsWith('/dev/'))
  const twice = paths.find((path, i) => paths.indexOf(path) < i)
  if (twice !== undefined) usage(`two reports would be written to ${twice}`)
  return {
    ...files,
    printJson: isSet(values, 'json'),
    quiet: isSet(values, 'quiet'),
  }
}

/** Where a report goes is known to be writable before there is one. */
function outputFile(values: FlagValues, name: string): string | null {
  const path = text(values, name)
  if (path === undefined) return null
  if (path === '-') {
    const instead = name === 'output' ? '--json prints the result' : '/dev/stdout is one'
    usage(`--${name} takes a file, not standard output: ${instead}`)
  }
  try {
    const isThere = existsSync(path)
    // Asking for the right to write is not enough: some folders take no files, whoever asks.
    closeSync(openSync(path, 'a'))
    if (!isThere) unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      usage(`--${name}: ${path} is a directory`)
    usage(`--${name}: ${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
  }
  return path
}

function connectionSettings(values: FlagValues): ConnectionSettings {
  const tls = tlsOf(values)
  const { targets, username, password } = targetsOf(values, tls !== null)
  const isSecure = targets.some(({ kind }) => kind === 'tls' || kind === 'wss')
  const version = text(values, 'protocol-version') ?? '5'
  const level = Levels[version]
  if (level === undefined) usage(`--protocol-version takes 5, 311 or 31, not ${version}`)
  const user = text(values, 'user') ?? username
  const pass = text(values, 'pass') ?? password
  if (pass !== null && user === null && level < 5) usage('--pass needs --user before MQTT 5.0')
  const connectRate = text(values, 'connect-rate')
  const sources = text(values, 'source-address')
  return {
    targets,
    level,
    username: user,
    password: pass === null ? null : encodeUtf8(pass),
    keepAliveSeconds: numberOf(values, 'keepalive', 60, 0, UINT16_MAX),
    tls: tls ?? (isSecure ? {} : null),
    cafile: text(values, 'cafile') ?? null,
    clientIdPrefix: text(values, 'id') ?? 'godwit-bench-',
    startNumber: numberOf(values, 'start-number', 0, 0, MANY),
    sourceAddresses: sources === undefined ? [] : parseSourceAddresses('--source-address', sources),
    connectsPerSecond: connectRate === undefined ? 0 : parseRate('--connect-rate', connectRate),
    connectConcurrency: numberOf(values, 'connect-concurrency', 100, 1, 100_000),
    connectTimeoutMs: Math.max(
      1,
      parseMs('--connect-timeout', text(values, 'connect-timeout') ?? '30s'),
    ),
    dump: isSet(values, 'dump'),
  }
}

interface Targets {
  readonly targets: readonly Target[]
  readonly username: string | null
  readonly password: string | null
}

function targetsOf(values: FlagValues, isSecure: boolean): Targets {
  const url = text(values, 'url')
  const port = text(values, 'port')
  const list = text(values, 'target')
  if (url !== undefined) return targetOfUrl(url, isSecure)
  const kind = isSecure ? 'tls' : 'tcp'
  const defaultPort = port === undefined ? (isSecure ? 8883 : 1883) : parsePort('--port', port)
  const names = list?.split(',') ?? [text(values, 'host') ?? 'localhost']
  const targets = names.map(name => {
    const { host, port: own } = parseAddress(
      list === undefined ? '--host' : '--target',
      name.trim(),
    )
    return { kind, host: host || 'localhost', port: own ?? defaultPort, path: '' } as const
  })
  return { targets, username: null, password: null }
}

/** @param wantsTls whether other options do */
function targetOfUrl(url: string, wantsTls: boolean): Targets {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const scheme = parsed === null ? undefined : Schemes[parsed.protocol]
  if (parsed === null || scheme === undefined) {
    usage(`--url takes mqtt, mqtts, ws or wss ://host[:port], not ${JSON.stringify(url)}`)
  }
  const { protocol, hostname, port, pathname, search, username, password } = parsed
  const orNull = (part: string): string | null => (part === '' ? null : decode(part))
  const isWeb = scheme.kind === 'ws' || scheme.kind === 'wss'
  if (wantsTls && (scheme.kind === 'tcp' || scheme.kind === 'ws')) {
    const use = isWeb ? 'wss:' : 'mqtts:'
    usage(`--url: ${protocol} has no TLS, which other options ask for: use ${use}`)
  }
  const target: Target = {
    kind: scheme.kind,
    // An IPv6 address stands in brackets in a URL and without them in a connect.
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? scheme.port : Number(port),
    path: isWeb ? `${pathname === '/' ? '/mqtt' : pathname}${search}` : '',
  }
  return { targets: [target], username: orNull(username), password: orNull(password) }
}

function tlsOf(values: FlagValues): ConnectionOptions | null {
  const cafile = text(values, 'cafile')
  const cert = text(values, 'cert')
  const key = text(values, 'key')
  const insecure = isSet(values, 'insecure')
  if ((cert === undefined) !== (key === undefined)) usage('--cert and --key go together')
  if (!isSet(values, 'tls') && cafile === undefined && cert === undefined && !insecure) return null
  return {
    ...(cafile === undefined ? {} : { ca: readAuthority(cafile, USAGE) }),
    ...(cert === undefined || key === undefined ? {} : readIdentity(cert, key, USAGE)),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  }
}

function shapeOf(values: FlagValues): Shape {
  const shape = text(values, 'fan') ?? 'one-to-one'
  if (shape === 'one-to-one' || shape === 'fan-out' || shape === 'fan-in' || shape === 'shared') {
    return shape
  }
  return usage(`--fan takes one-to-one, fan-out, fan-in or shared, not ${JSON.stringify(shape)}`)
}

function stormOf(values: FlagValues): Storm | null {
  const storm = text(values, 'storm')
  return storm === undefined ? null : parseStorm('--storm', storm)
}

function qosOf(values: FlagValues): QoS {
  const qos = numberOf(values, 'qos', 0, 0, 2)
  return qos === 0 || qos === 1 ? qos : 2
}

function numberOf(
  values: FlagValues,
  name: string,
  without: number,
  least: number,
  most: number,
): number {
  const given = text(values, name)
  return given === undefined ? without : parseNumber(`--${name}`, given, least, most)
}

function noWords(words: readonly string[]): void {
  if (words.length > 0) usage(`no option takes ${JSON.stringify(words[0])}`)
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    return usage(`${option}: ${(error as Error).message}`)
  }
}
