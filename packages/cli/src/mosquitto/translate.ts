// A mosquitto.conf as the fields of a godwit.yaml, with Mosquitto's defaults where they matter.

import { join } from 'node:path'
import { DEFAULT_LIMITS } from '@godwit/broker'
import type { LogLevel } from '../log-levels.ts'
import {
  hasDefaultListener,
  isLocalOnly,
  type ListenerFields,
  listenersOf,
  localListeners,
  type Machine,
  type PlacedListener,
} from './listeners.ts'
import type { Section, Settings } from './settings.ts'
import { type Place, showPlace } from './statements.ts'

/** The fields, and where those stand that may be wrong for the broker. */
export interface Translated {
  readonly fields: Readonly<Record<string, unknown>>
  /** Where it listens when neither the file nor the flags say it. */
  readonly localListeners: readonly ListenerFields[]
  readonly places: ReadonlyMap<string, Place>
}

const NEVER_SECONDS = 0xffff_ffff
const NO_COUNT = Number.MAX_SAFE_INTEGER
const UINT16_MAX = 65_535
/** What MQTT allows. */
const PACKET_BYTES_MAX = 268_435_460
const DEFAULT_ID_PREFIX = 'auto-'
/** Root does not stay root. */
const DEFAULT_USER = 'mosquitto'
const DEFAULT_DATA = 'godwit'

export async function translate(settings: Settings, machine: Machine): Promise<Translated> {
  const { general, access, perListener, problems, notes } = settings
  const places = new Map<string, Place>()
  const listeners = await listenersOf(settings, machine)
  const isLocal = isLocalOnly(settings)
  const { limits, limitPlaces } = limitsOf(settings)
  for (const [name, place] of limitPlaces) places.set(`limits.${name}`, place)
  placeListeners(listeners, places)
  tellOfRetained(settings)
  const sessions = clientIdsOf(settings)
  // A listener of the flags has nothing of its own.
  const elsewhere = isLocal ? {} : { allowAnonymous: false }
  if (general.boolean('persistence') !== true && !isTold(general)) {
    const place = general.place('persistence_location') ?? general.place('persistence_file')
    if (place !== null) notes.push({ place, text: 'it is for nothing without persistence true' })
  }
  const fields = {
    ...(listeners.length === 0 ? {} : { listeners: listeners.map(one => one.fields) }),
    data: dataOf(general),
    ...(perListener ? elsewhere : accessOf(access, isLocal)),
    ...sessions,
    ...textField('clientIdPrefix', general.text('clientid_prefixes')),
    ...countField('payloadBytesMax', general.number('message_size_limit')),
    ...valueField('statsIntervalSeconds', general.number('sys_interval')),
    ...textField('pidFile', general.text('pid_file')),
    user: general.text('user') ?? DEFAULT_USER,
    log: logOf(general, notes),
    limits,
  }
  if (problems.length > 0) return { fields: {}, localListeners: [], places }
  return { fields, localListeners: isLocal ? localListeners(machine, {}) : [], places }
}

/** For errors that are found later, at the files of a certificate for example. */
function placeListeners(listeners: readonly PlacedListener[], places: Map<string, Place>): void {
  for (const [index, { place }] of listeners.entries()) {
    if (place !== null) places.set(`listeners.${index}`, place)
  }
}

function isTold(general: Section): boolean {
  return general.boolean('persistence') === null && general.boolean('retained_persistence') === true
}

/** In memory, as Mosquitto, unless there is persistence; never in Mosquitto's own file. */
function dataOf(general: Section): string {
  const isKept = general.boolean('persistence') ?? general.boolean('retained_persistence') ?? false
  if (!isKept) return 'none'
  const file = general.text('persistence_file')
  const name = file === null ? DEFAULT_DATA : `${file}.${DEFAULT_DATA}`
  return join(general.text('persistence_location') ?? '.', name)
}

/** On this machine alone a user name is asked for where there are passwords. */
function accessOf(access: Section, isLocal: boolean): ListenerFields {
  const allowAnonymous = access.boolean('allow_anonymous')
  return {
    ...(isLocal && allowAnonymous === null ? {} : { allowAnonymous: allowAnonymous ?? false }),
    ...textField('passwordFile', access.text('password_file')),
    ...textField('aclFile', access.text('acl_file')),
  }
}

/** Who may write is asked when a message comes, and not again when it is handed out. */
function tellOfRetained({ general, access, listeners, defaultListener, notes }: Settings): void {
  if (general.boolean('check_retain_source') === false) return
  const sections = [access, defaultListener.options, ...listeners.map(one => one.options)]
  const acl = sections.map(one => one.place('acl_file')).find(place => place !== null)
  const place = general.place('check_retain_source') ?? acl ?? null
  if (place === null) return
  const text =
    'check_retain_source true is not there: a retained message goes to whoever may read it, ' +
    'also when its publisher may no longer write it'
  notes.push({ place, text })
}

/** What clients without an id get is the same at every listener here. */
function clientIdsOf(settings: Settings): ListenerFields {
  const { access, perListener } = settings
  const sections = perListener ? usedSections(settings) : [access]
  const allowed = same(settings, sections, 'allow_zero_length_clientid', one =>
    one.boolean('allow_zero_length_clientid'),
  )
  const all = usedSections(settings)
  const own = same(settings, all, 'listener_auto_id_prefix', one => {
    return one.text('listener_auto_id_prefix')
  })
  const prefix = same(settings, sections, 'auto_id_prefix', one => one.text('auto_id_prefix'))
  return {
    assignedClientIdPrefix: own ?? prefix ?? DEFAULT_ID_PREFIX,
    ...(allowed === false ? { allowEmptyClientId: false } : {}),
  }
}

/** Those of the listeners that are open. */
function usedSections(settings: Settings): readonly Section[] {
  const { listeners, defaultListener } = settings
  const others = listeners.map(one => one.options)
  return hasDefaultListener(settings) ? [...others, defaultListener.options] : others
}

/** A value that may not differ from listener to listener. */
function same<T>(
  { problems }: Settings,
  sections: readonly Section[],
  name: string,
  read: (section: Section) => T | null,
): T | null {
  const values = sections.map(read)
  const [first = null] = values
  const other = values.findIndex(value => value !== first)
  if (other < 0) return first
  const at = sections.findIndex(section => section.place(name) !== null)
  const place = sections[other]?.place(name) ?? sections[at]?.place(name) ?? null
  if (place !== null) {
    const text = `${name}: expected the same at every listener; it cannot differ here`
    problems.push({ place, text })
  }
  return null
}

interface LimitsFound {
  readonly limits: Readonly<Record<string, unknown>>
  readonly limitPlaces: ReadonlyMap<string, Place>
}

function limitsOf(settings: Settings): LimitsFound {
  const { general, notes } = settings
  const limits: Record<string, unknown> = {
    packetBytesMax: Math.min(
      general.number('max_packet_size') ?? PACKET_BYTES_MAX,
      PACKET_BYTES_MAX,
    ),
    queuedBytesMax: DEFAULT_LIMITS.totalQueuedBytesMax,
    legacySessionExpirySeconds: NEVER_SECONDS,
  }
  const limitPlaces = new Map<string, Place>()
  const set = (name: string, option: string, value: (given: number) => number): void => {
    const given = general.number(option)
    const place = general.place(option)
    if (given === null || place === null) return
    limits[name] = value(given)
    limitPlaces.set(name, place)
  }
  const orNone = (given: number): number => (given <= 0 ? NO_COUNT : given)
  const inflight = (given: number): number => (given === 0 ? UINT16_MAX : given)
  set('packetBytesMax', 'max_packet_size', size => Math.min(size, PACKET_BYTES_MAX))
  set('connectPacketBytesMax', 'max_packet_size', size => {
    return Math.min(size, DEFAULT_LIMITS.connectPacketBytesMax)
  })
  set('connectPacketBytesMax', 'packet_max_connect', size => size)
  set('inflightMax', 'max_inflight_messages', inflight)
  set('receiveMaximum', 'max_inflight_messages', inflight)
  // Here those under way count too.
  const underWay = inflight(general.number('max_inflight_messages') ?? 20)
  set('queuedMessagesMax', 'max_queued_messages', most => {
    return most <= 0 ? NO_COUNT : most + underWay
  })
  set('queuedBytesMax', 'max_queued_bytes', orNone)
  set('sessionExpirySecondsMax', 'persistent_client_expiration', seconds => seconds)
  set('legacySessionExpirySeconds', 'persistent_client_expiration', seconds => seconds)
  set('keepAliveSecondsMax', 'max_keepalive', seconds => seconds)
  set('connectionsMax', 'global_max_connections', orNone)
  set('sessionsMax', 'global_max_clients', orNone)
  if (general.boolean('retain_available') === false) limits['retainAvailable'] = false
  setMemory(general, limits, notes)
  const sections = usedSections(settings)
  const qos = same(settings, sections, 'max_qos', one => {
    return one.number('max_qos') ?? one.number('maximum_qos')
  })
  if (qos !== null) limits['maximumQoS'] = qos
  setMost('topicAliasMaximum', 'max_topic_alias', sections, limits)
  setMost('outgoingTopicAliasMax', 'max_topic_alias_broker', sections, limits)
  return { limits, limitPlaces }
}

/** Of listeners that differ the greatest holds for all. */
function setMost(
  name: string,
  option: string,
  sections: readonly Section[],
  limits: Record<string, unknown>,
): void {
  const given = sections.map(one => one.number(option)).filter(value => value !== null)
  if (given.length > 0) limits[name] = Math.max(...given)
}

/** Mosquitto counts its whole heap. */
function setMemory(
  general: Section,
  limits: Record<string, unknown>,
  notes: Settings['notes'],
): void {
  const most = general.number('memory_limit')
  const place = general.place('memory_limit')
  if (most === null || most === 0 || place === null) return
  const names = ['totalQueuedBytesMax', 'totalOutgoingBytesMax', 'retainedBytesMax'] as const
  for (const name of names) limits[name] = Math.max(1024, Math.min(most, DEFAULT_LIMITS[name]))
  limits['queuedBytesMax'] = limits['totalQueuedBytesMax']
  const text = `memory_limit bounds each of ${names.join(', ')}, and not the memory of the process`
  notes.push({ place, text })
}

/** From the most talkative type to the level; what is not there comes with `debug`. */
const LevelOf: ReadonlyMap<string, LogLevel> = new Map([
  ['error', 'error'],
  ['warning', 'warn'],
  ['notice', 'info'],
  ['information', 'info'],
  ['subscribe', 'debug'],
  ['unsubscribe', 'debug'],
  ['debug', 'debug'],
  ['internal', 'debug'],
  ['all', 'debug'],
])
const FROM_FEW_TO_MANY: readonly LogLevel[] = ['silent', 'error', 'warn', 'info', 'debug']

function logOf(general: Section, notes: Settings['notes']): ListenerFields {
  return {
    level: levelOf(general),
    format: 'pretty',
    to: destinationsOf(general, notes),
    connections: general.boolean('connection_messages') ?? true,
  }
}

function levelOf(general: Section): LogLevel {
  const types = general.all('log_type')
  if (types.length === 0) return 'info'
  let most = 0
  for (const { value } of types) {
    // It takes back what stands before it, as in Mosquitto.
    if (value === 'none') most = 0
    const level = LevelOf.get(String(value)) ?? 'silent'
    most = Math.max(most, FROM_FEW_TO_MANY.indexOf(level))
  }
  return FROM_FEW_TO_MANY[most] ?? 'info'
}

function destinationsOf(general: Section, notes: Settings['notes']): string | string[] {
  const given = general.all('log_dest')
  const found: string[] = []
  for (const { value, place } of given) {
    const [word = '', ...more] = String(value).split(' ')
    const path = more.join(' ').trim()
    if (word === 'none') found.length = 0
    else if (word === 'stdout' || word === 'stderr') found.push(word)
    else if (word === 'file') found.push(path)
    else {
      const text = `log_dest ${word} is not there: the log goes to standard error instead`
      notes.push({ place, text })
      found.push('stderr')
    }
  }
  if (given.length === 0) return 'stderr'
  const all = [...new Set(found)]
  if (all.length === 0) return 'none'
  return all.length === 1 ? (all[0] ?? 'none') : all
}

/** What of `log_dest` is wrong. */
export function checkDestinations({ general, problems }: Settings): void {
  const files = general.all('log_dest').filter(({ value }) => /^file( |$)/.test(String(value)))
  for (const { value, place } of general.all('log_dest')) {
    const [word = '', path = ''] = String(value).split(' ')
    if (word === 'topic') {
      const text = 'log_dest topic is not there: the log is published nowhere; take stderr or file'
      problems.push({ place, text })
    } else if (!['stdout', 'stderr', 'file', 'none', 'syslog', 'dlt', 'android'].includes(word)) {
      const words = 'stdout, stderr, file, none, syslog, dlt'
      problems.push({ place, text: `log_dest: expected one of ${words}, got ${word}` })
    } else if (word === 'file' && path === '') {
      problems.push({ place, text: 'log_dest file: expected a path, got nothing' })
    }
  }
  const [first, second] = files
  if (first !== undefined && second !== undefined) {
    const text = `log_dest file: it stands at ${showPlace(first.place)} already`
    problems.push({ place: second.place, text })
  }
}

function textField(name: string, value: string | null): ListenerFields {
  return value === null ? {} : { [name]: value }
}

function valueField(name: string, value: number | null): ListenerFields {
  return value === null ? {} : { [name]: value }
}

/** 0 is no limit. */
function countField(name: string, value: number | null): ListenerFields {
  return value === null || value === 0 ? {} : { [name]: value }
}
