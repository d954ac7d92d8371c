// The options of a broker: read once, checked once, with every default in one place.

import { hostname } from 'node:os'
import { DEFAULT_LIMITS, type Limits } from './core/limits.ts'
import type { Store, StoredPage } from './core/ports.ts'
import type { ScramOptions } from './guard/scram-users.ts'
import type { Hooks } from './hooks.ts'
import { nearestName, sameWords } from './nearest-name.ts'
import type { DiskStoreOptions } from './store/disk.ts'
import { SEGMENT_BYTES_MIN } from './store/segments.ts'
import { shareOf } from './store/space.ts'
import { conflictOf } from './store/store-limits.ts'
import type { StoreReport } from './store-report.ts'

/** What a store tells the broker. */
export interface StoreOwner {
  durable(batch: number): void
  /** The answer to `store.fetch`. */
  fetched(page: StoredPage): void
  failed(cause: Error): void
}

/** A store that was opened, ready for the core. */
export interface OpenedStore {
  readonly store: Store
  /** Resolves when all that was committed is kept. */
  close(): Promise<void>
  /** What the metrics tell of it. */
  report?(): StoreReport
}

/** Opens a store, after which the broker owns it. */
export type StoreFactory = (owner: StoreOwner) => OpenedStore | Promise<OpenedStore>

/** Takes what the broker has to say; a logger of pino is one. */
export interface Log {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

export interface BrokerOptions {
  /**
   * `'none'`: nothing outlives the process. With a directory what was acknowledged is on disk and
   * is there again after a crash. Default: `'none'`.
   */
  readonly store?: 'none' | DiskStoreOptions | StoreFactory
  readonly hooks?: Hooks
  /** Users that authenticate by SCRAM-SHA-256, a method of MQTT 5.0. */
  readonly scram?: ScramOptions
  /** How long a hook may take to answer. Default: 5000. */
  readonly hookTimeoutMs?: number
  /** How often the $SYS topics are published; 0: never. Default: 10. */
  readonly statsIntervalSeconds?: number
  /** One line per packet in and out: to standard error, or to a function. Default: false. */
  readonly dump?: boolean | ((line: string) => void)
  readonly log?: Log
  /** Name of this node; default: the name of the machine. */
  readonly nodeName?: string
  /** What clients that ask for Response Information get before their client id; null: nothing. */
  readonly responseTopicPrefix?: string | null
  /** What the client ids begin with that the broker gives to clients without one. Default: ''. */
  readonly assignedClientIdPrefix?: string
  /** Whether clients may come without a client id. Default: true; else they get 0x85. */
  readonly allowEmptyClientId?: boolean
  readonly limits?: Partial<Limits>
}

/** The options with all defaults. */
export type ResolvedOptions = Omit<Required<BrokerOptions>, 'scram' | 'limits' | 'dump'> & {
  readonly scram: ScramOptions | null
  readonly dump: ((line: string) => void) | null
  readonly limits: Limits
}

/** An option that is not what it must be. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
  readonly code = 'invalid-option'
  /** Which one, e.g. `limits.packetBytesMax`. */
  readonly option: string

  constructor(option: string, text: string) {
    super(`${option}: ${text}`)
    this.option = option
  }
}

const UINT32_MAX = 0xffff_ffff
const UINT16_MAX = 0xffff
const PACKET_BYTES_MAX = 268_435_460
const TIMER_MS_MAX = 0x7fff_ffff
const SCRAM_ITERATIONS_MIN = 4096
const SCRAM_ITERATIONS_MAX = 10_000_000
const COUNT_MAX = Number.MAX_SAFE_INTEGER
const ID_PREFIX_MAX = 64
const SEGMENT_MAX = 2 ** 30

/** Of each limit that is a number, the smallest and the largest value. */
const LimitRanges: Readonly<
  Record<Exclude<keyof Limits, 'fullQueue' | 'retainAvailable'>, readonly [number, number]>
> = {
  connectionsMax: [1, COUNT_MAX],
  connectionsPerSecondMax: [0, COUNT_MAX],
  sessionsMax: [1, COUNT_MAX],
  connectTimeoutMs: [1, TIMER_MS_MAX],
  packetBytesMax: [32, PACKET_BYTES_MAX],
  connectPacketBytesMax: [32, PACKET_BYTES_MAX],
  receiveMaximum: [1, UINT16_MAX],
  inflightMax: [1, UINT16_MAX],
  topicAliasMaximum: [0, UINT16_MAX],
  outgoingTopicAliasMax: [0, UINT16_MAX],
  topicAliasBytesMax: [1, COUNT_MAX],
  topicAliasPoolBytesMax: [0, COUNT_MAX],
  topicLevelsMax: [1, 65_536],
  topicBytesMax: [1, UINT16_MAX],
  clientIdBytesMax: [23, UINT16_MAX],
  usernameBytesMax: [1, UINT16_MAX],
  subscriptionsPerSessionMax: [1, COUNT_MAX],
  subscriptionsMax: [1, COUNT_MAX],
  subscriptionLevelsMax: [1, COUNT_MAX],
  filterBytesPerSessionMax: [1, COUNT_MAX],
  filterBytesMax: [1, COUNT_MAX],
  userPropertiesMax: [0, COUNT_MAX],
  queuedMessagesMax: [1, COUNT_MAX],
  queuedBytesMax: [1, COUNT_MAX],
  totalQueuedBytesMax: [1, COUNT_MAX],
  outgoingBytesMax: [1024, COUNT_MAX],
  totalOutgoingBytesMax: [1024, COUNT_MAX],
  totalIncomingBytesMax: [1024, COUNT_MAX],
  retainedMessagesMax: [0, COUNT_MAX],
  retainedBytesMax: [0, COUNT_MAX],
  retainedLevelsMax: [1, COUNT_MAX],
  sessionExpirySecondsMax: [0, UINT32_MAX],
  legacySessionExpirySeconds: [0, UINT32_MAX],
  keepAliveSecondsMax: [0, UINT16_MAX],
  willDelaySecondsMax: [0, UINT32_MAX],
  willBytesMax: [0, COUNT_MAX],
  messagesPerSecondMax: [0, COUNT_MAX],
  bytesPerSecondMax: [0, COUNT_MAX],
  flappingConnectsMax: [0, COUNT_MAX],
  flappingWindowSeconds: [1, UINT32_MAX],
  flappingBanSeconds: [0, UINT32_MAX],
  flappingClientsMax: [1, COUNT_MAX],
  ledgerEntriesMax: [1, COUNT_MAX],
  routesMax: [1, 2 ** 24],
  routeReceiversMax: [1, COUNT_MAX],
  maximumQoS: [0, 2],
}

const OPTION_NAMES: readonly (keyof BrokerOptions)[] = [
  'store',
  'hooks',
  'scram',
  'hookTimeoutMs',
  'statsIntervalSeconds',
  'dump',
  'log',
  'nodeName',
  'responseTopicPrefix',
  'assignedClientIdPrefix',
  'allowEmptyClientId',
  'limits',
]

const HOOK_NAMES: readonly (keyof Hooks)[] = [
  'authenticate',
  'authorizePublish',
  'authorizeSubscribe',
  'authorizeReceive',
  'publish',
  'subscribe',
]

const STORE_NAMES: readonly (keyof DiskStoreOptions)[] = [
  'directory',
  'salvage',
  'segmentBytes',
  'checkpointBytes',
  'checkpointMs',
  'lowSpace',
]

const SILENT: Log = { info: ignore, warn: ignore, error: ignore }

/**
 * Checks what a caller gave and adds the defaults.
 * @throws OptionError
 */
export function resolveOptions(options: BrokerOptions = {}): ResolvedOptions {
  checkObject('options', options)
  checkNames('options', options, OPTION_NAMES)
  const hooks = options.hooks ?? {}
  checkObject('hooks', hooks)
  checkNames('hooks', hooks, HOOK_NAMES)
  for (const name of HOOK_NAMES) {
    if (hooks[name] !== undefined) check(`hooks.${name}`, hooks[name], 'function')
  }
  const store = options.store ?? 'none'
  checkStore(store)
  const nodeName = options.nodeName ?? hostname()
  check('nodeName', nodeName, 'string')
  const responseTopicPrefix = options.responseTopicPrefix ?? null
  if (responseTopicPrefix !== null) checkTopicPrefix(responseTopicPrefix)
  const { assignedClientIdPrefix = '', allowEmptyClientId = true } = options
  checkIdPrefix(assignedClientIdPrefix)
  check('allowEmptyClientId', allowEmptyClientId, 'boolean')
  return Object.freeze({
    store,
    hooks,
    scram: resolveScram(options.scram),
    hookTimeoutMs: within('hookTimeoutMs', options.hookTimeoutMs ?? 5000, 1, TIMER_MS_MAX),
    statsIntervalSeconds: within(
      'statsIntervalSeconds',
      options.statsIntervalSeconds ?? 10,
      0,
      UINT32_MAX,
    ),
    dump: resolveDump(options.dump ?? false),
    log: checkedLog(options.log ?? SILENT),
    nodeName,
    responseTopicPrefix,
    assignedClientIdPrefix,
    allowEmptyClientId,
    limits: resolveLimits(options.limits ?? {}),
  })
}

/**
 * Checks options without making a broker.
 * @throws OptionError
 */
export function checkOptions(options: BrokerOptions): void {
  resolveOptions(options)
}

/**
 * The limits with those of a caller in place of the defaults.
 * @throws OptionError
 */
function resolveLimits(given: Partial<Limits>): Limits {
  checkObject('limits', given)
  checkNames('limits', given, Object.keys(DEFAULT_LIMITS))
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const limits: Limits = Object.freeze({ ...DEFAULT_LIMITS, ...set })
  for (const [name, range] of Object.entries(LimitRanges)) {
    within(`limits.${name}`, limits[name as keyof typeof LimitRanges], range[0], range[1])
  }
  if (limits.fullQueue !== 'drop-oldest' && limits.fullQueue !== 'refuse') {
    const text = `expected 'drop-oldest' or 'refuse', got ${show(limits.fullQueue)}`
    throw new OptionError('limits.fullQueue', text)
  }
  check('limits.retainAvailable', limits.retainAvailable, 'boolean')
  if ((limits.routesMax & (limits.routesMax - 1)) !== 0) {
    throw new OptionError('limits.routesMax', `expected a power of two, got ${limits.routesMax}`)
  }
  return limits
}

/**
 * A number that has to be whole and within a range.
 * @throws OptionError
 */
export function within(option: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) {
    return value
  }
  const most = high === COUNT_MAX ? 'at least' : 'from'
  const range = high === COUNT_MAX ? `${low}` : `${low} to ${high}`
  throw new OptionError(option, `expected a whole number ${most} ${range}, got ${show(value)}`)
}

/** @throws OptionError for a name that is not among those known, with the one that was meant */
export function checkNames(option: string, value: object, known: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue
    const meant = (option === 'options' ? placeOf(name) : null) ?? nearestName(name, known)
    const hint = meant === null ? '' : `; was ${meant} meant?`
    const full = option === 'options' ? name : `${option}.${name}`
    throw new OptionError(full, `there is no such option${hint}`)
  }
}

/** Where an option is that stands too far up. */
function placeOf(name: string): string | null {
  if (HOOK_NAMES.some(hook => hook === name)) return `hooks.${name}`
  const limit = sameWords(name, Object.keys(DEFAULT_LIMITS))
  return limit === null ? null : `limits.${limit}`
}

/** @throws OptionError when it is not of that type */
export function check(
  option: string,
  value: unknown,
  type: 'string' | 'boolean' | 'function',
): void {
  const actual: string = typeof value
  if (actual === type) return
  throw new OptionError(option, `expected a ${type}, got ${show(value)}`)
}

function checkStore(store: unknown): void {
  if (store === 'none' || typeof store === 'function') return
  if (typeof store !== 'object' || store === null || Array.isArray(store)) {
    const text = `expected 'none', { directory } or a function, got ${show(store)}`
    throw new OptionError('store', text)
  }
  checkNames('store', store, STORE_NAMES)
  const { directory, salvage, segmentBytes, checkpointBytes, checkpointMs, lowSpace } =
    store as Partial<DiskStoreOptions>
  check('store.directory', directory, 'string')
  if (directory === '') throw new OptionError('store.directory', 'expected a path, got ""')
  if (salvage !== undefined) check('store.salvage', salvage, 'boolean')
  if (segmentBytes !== undefined)
    within('store.segmentBytes', segmentBytes, SEGMENT_BYTES_MIN, SEGMENT_MAX)
  if (checkpointBytes !== undefined) within('store.checkpointBytes', checkpointBytes, 1, COUNT_MAX)
  if (checkpointMs !== undefined) within('store.checkpointMs', checkpointMs, 1, TIMER_MS_MAX)
  if (lowSpace !== undefined) checkSpace(lowSpace)
  const conflict = conflictOf(store)
  if (conflict !== null) throw new OptionError(`store.${conflict.option}`, conflict.text)
}

function checkSpace(threshold: unknown): void {
  const isBytes = typeof threshold === 'number' && threshold >= 0 && threshold < COUNT_MAX
  if (isBytes || (typeof threshold === 'string' && shareOf(threshold) !== null)) return
  const text = `expected a number of bytes, or a share from '0%' to '100%', got ${show(threshold)}`
  throw new OptionError('store.lowSpace', text)
}

/** @throws OptionError when it is not an object */
export function checkObject(option: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw new OptionError(option, `expected an object, got ${show(value)}`)
}

function checkTopicPrefix(prefix: unknown): void {
  if (typeof prefix === 'string' && prefix !== '' && !/[#+\0]/.test(prefix)) return
  const text = `expected a topic without wildcards, got ${show(prefix)}`
  throw new OptionError('responseTopicPrefix', text)
}

function checkIdPrefix(prefix: unknown): void {
  const isText = typeof prefix === 'string' && prefix.length <= ID_PREFIX_MAX
  // With a wildcard in its id a client gets nothing by patterns of an ACL file.
  if (isText && /^[^\0+#\p{Surrogate}]*$/u.test(prefix)) return
  const most = `at most ${ID_PREFIX_MAX} characters and no wildcards`
  const text = `expected a text of ${most}, got ${show(prefix)}`
  throw new OptionError('assignedClientIdPrefix', text)
}

function resolveScram(scram: ScramOptions | undefined): ScramOptions | null {
  if (scram === undefined) return null
  checkObject('scram', scram)
  checkNames('scram', scram, ['users', 'iterations'])
  if (typeof scram.users !== 'function') checkObject('scram.users', scram.users)
  if (scram.iterations !== undefined) {
    within('scram.iterations', scram.iterations, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX)
  }
  return scram
}

function checkedLog(log: Log): Log {
  checkObject('log', log)
  for (const name of ['info', 'warn', 'error'] as const) {
    check(`log.${name}`, log[name], 'function')
  }
  return log
}

function resolveDump(dump: boolean | ((line: string) => void)): ((line: string) => void) | null {
  if (typeof dump === 'function') return dump
  check('dump', dump, 'boolean')
  return dump ? line => void process.stderr.write(`${line}\n`) : null
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'a list' : 'an object'
  return String(value)
}

function ignore(): void {
  // Nobody wants to know.
}
