// Where Mosquitto would listen, as options of listeners here: addresses, TLS, WebSockets, and who
// may come in there.

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { DEFAULT_PLACES, type ListenerSection, type Settings } from './settings.ts'
import { type Place, showPlace } from './statements.ts'
import type { Value } from './values.ts'

/** What of the machine matters. */
export interface Machine {
  /** All addresses of a name. @throws Error when there is none */
  lookup(host: string): Promise<readonly string[]>
  /** Addresses by the name of their interface. */
  interfaces(): Readonly<Record<string, readonly string[]>>
}

/** One listener as a godwit.yaml has it. */
export interface ListenerFields {
  readonly [field: string]: unknown
}

export interface PlacedListener {
  readonly fields: ListenerFields
  /** Null: nothing in the file asks for it. */
  readonly place: Place | null
}

/** A listener of the file with all that its options say, but for its address. */
interface Rest {
  readonly port: number
  readonly fields: ListenerFields
}

export const THIS_MACHINE: Machine = {
  lookup: async host => (await lookup(host, { all: true })).map(({ address }) => address),
  interfaces: () =>
    Object.fromEntries(
      Object.entries(networkInterfaces()).map(([name, found = []]) => [
        name,
        found.map(({ address }) => address),
      ]),
    ),
}

/** Any of these makes Mosquitto listen on port 1883 beside its listeners. */
const DEFAULT_MAKERS: readonly string[] = [
  ...DEFAULT_PLACES,
  'bind_interface',
  'socket_domain',
  'protocol',
  'max_connections',
  'max_qos',
  'maximum_qos',
  'cafile',
  'capath',
  'certfile',
  'keyfile',
  'crlfile',
  'ciphers',
  'ciphers_tls1.3',
  'require_certificate',
  'use_identity_as_username',
  'use_subject_as_username',
]
/** Those that hold for all listeners here. */
const TOPIC_ALIASES: readonly string[] = ['max_topic_alias', 'max_topic_alias_broker']
const TLS_OPTIONS: readonly string[] = [
  'certfile',
  'keyfile',
  'cafile',
  'capath',
  'crlfile',
  'ciphers',
  'ciphers_tls1.3',
  'tls_version',
  'require_certificate',
  'use_identity_as_username',
  'use_subject_as_username',
]
/** Values that say what is so anyhow: for these alone it neither listens nor is there TLS. */
const Usual: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['protocol', 'mqtt'],
  ['max_connections', -1],
  ['max_qos', 2],
  ['maximum_qos', 2],
  ['require_certificate', false],
  ['use_identity_as_username', false],
  ['use_subject_as_username', false],
])
/** Node takes one list for both: where only one is given, the other is as it would be. */
const CIPHERS_1_3 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'
const CIPHERS_1_2 = 'HIGH:!aNULL:!MD5:!RC4:!PSK:!SRP:!CAMELLIA'
const PORT_OF_LOCAL = 1883

/** Without any of `listener`, `port` and `bind_address` only this machine is listened to. */
export function isLocalOnly({ listeners, defaultListener }: Settings): boolean {
  return listeners.length === 0 && defaultListener.options.first(DEFAULT_PLACES) === null
}

/** @returns what the file says of listeners; none when it says nothing */
export async function listenersOf(
  settings: Settings,
  machine: Machine,
): Promise<readonly PlacedListener[]> {
  const { listeners, defaultListener, notes } = settings
  const maker = defaultListener.options.first(DEFAULT_MAKERS, Usual)
  const found: PlacedListener[] = []
  for (const section of listeners) {
    found.push(...(await expanded(section, settings, machine)))
  }
  checkTwice(found, settings)
  if (maker === null) {
    tellOfStrays(settings)
    return found
  }
  if (isLocalOnly(settings)) {
    const text = `${maker.name} stands before any listener: it holds for ${localText(machine)}`
    notes.push({ place: maker.place, text })
    const { fields } = restOf(defaultListener, settings)
    return localListeners(machine, fields).map(local => ({ fields: local, place: maker.place }))
  }
  if (listeners.length > 0 && !DEFAULT_PLACES.includes(maker.name)) {
    const text = `${maker.name} stands before any listener: port 1883 is listened on as well`
    notes.push({ place: maker.place, text })
  }
  found.push(...(await expanded(defaultListener, settings, machine)))
  checkTwice(found, settings)
  return found
}

/** Whether Mosquitto has its default listener open, alone or beside others. */
export function hasDefaultListener({ defaultListener, listeners }: Settings): boolean {
  return listeners.length === 0 || defaultListener.options.first(DEFAULT_MAKERS, Usual) !== null
}

/** Options of listeners that belong to none. */
function tellOfStrays({ defaultListener, listeners, problems, notes }: Settings): void {
  for (const name of defaultListener.options.names()) {
    const place = defaultListener.options.first([name], Usual)?.place ?? null
    if (place === null) continue
    if (!TOPIC_ALIASES.includes(name)) {
      problems.push({ place, text: `${name}: expected after the listener that it is for` })
    } else if (listeners.length > 0) {
      notes.push({ place, text: `${name} stands before any listener: it is for none` })
    }
  }
}

function checkTwice(found: readonly PlacedListener[], { problems }: Settings): void {
  const places = new Map<string, Place | null>()
  for (const { fields, place } of found) {
    const name = String(fields['name'])
    const before = places.get(name)
    if (before !== undefined && before !== null && place !== null && before !== place) {
      problems.push({ place, text: `${name} is listened on already, see ${showPlace(before)}` })
    }
    places.set(name, place)
  }
}

/** What Mosquitto calls local only mode. */
export function localListeners(machine: Machine, rest: ListenerFields): readonly ListenerFields[] {
  const hosts = hasIpv6(machine) ? ['127.0.0.1', '::1'] : ['127.0.0.1']
  return hosts.map(host => named({ ...rest, host, port: PORT_OF_LOCAL }))
}

function localText(machine: Machine): string {
  return hasIpv6(machine) ? '127.0.0.1:1883 and [::1]:1883' : '127.0.0.1:1883'
}

function hasIpv6(machine: Machine): boolean {
  return Object.values(machine.interfaces())
    .flat()
    .some(address => isIP(address) === 6)
}

/** One for each address that it listens on. */
async function expanded(
  section: ListenerSection,
  settings: Settings,
  machine: Machine,
): Promise<PlacedListener[]> {
  const { port, fields } = restOf(section, settings)
  const place = section.place ?? section.options.first(DEFAULT_MAKERS, Usual)?.place ?? null
  if (section.place !== null && port === 0) {
    return [{ place, fields: unixOf(section, fields, settings) }]
  }
  const hosts = await hostsOf(section, settings, machine)
  return hosts.map(host => ({ place, fields: named({ ...host, port, ...fields }) }))
}

function unixOf(section: ListenerSection, fields: ListenerFields, settings: Settings) {
  const { tls, ws, proxyProtocol, ...others } = fields
  if (section.place !== null && [tls, ws, proxyProtocol].some(one => one !== undefined)) {
    const text = 'a Unix socket has neither TLS nor WebSockets nor a PROXY header'
    settings.problems.push({ place: section.place, text })
  }
  return { name: section.where ?? '', unix: section.where ?? '', ...others }
}

/** The name that logs show, and by which who may do what is found. */
function named(fields: ListenerFields): ListenerFields {
  const { host, port } = fields
  const shown = isIP(String(host)) === 6 ? `[${String(host)}]` : String(host)
  return { name: `${shown}:${String(port)}`, ...fields }
}

async function hostsOf(
  { options, where, place }: ListenerSection,
  { problems }: Settings,
  machine: Machine,
): Promise<readonly { readonly host: string; readonly ipv6Only?: true }[]> {
  const domain = options.text('socket_domain')
  const version = domain === 'ipv4' ? 4 : domain === 'ipv6' ? 6 : 0
  const device = options.text('bind_interface')
  const host = where ?? options.text('bind_address')
  const at = options.place('bind_interface') ?? place ?? options.place('bind_address')
  if (device === null && host === null) {
    if (version === 6) return [{ host: '::', ipv6Only: true }]
    return [{ host: version === 0 && hasIpv6(machine) ? '::' : '0.0.0.0' }]
  }
  const [found, problem] =
    device === null ? await addressesOf(host ?? '', machine) : deviceOf(device, machine)
  const fitting = found.filter(address => version === 0 || isIP(address) === version)
  if (at !== null && (problem !== '' || fitting.length === 0)) {
    const text = problem === '' ? `expected an address of ${domain}, got none` : problem
    problems.push({ place: at, text })
  }
  return fitting.map(address => ({ host: address }))
}

async function addressesOf(host: string, machine: Machine): Promise<[readonly string[], string]> {
  if (isIP(host) !== 0) return [[host], '']
  try {
    return [[...new Set(await machine.lookup(host))], '']
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    return [[], `there is no host ${host} (${code})`]
  }
}

/** The first address of each family, as in Mosquitto; none that needs its interface said. */
function deviceOf(device: string, machine: Machine): [readonly string[], string] {
  const all = machine.interfaces()
  const addresses = (all[device] ?? []).filter(address => !/^fe[89ab]/i.test(address))
  const found = [4, 6].flatMap(version => {
    const first = addresses.find(address => isIP(address) === version)
    return first === undefined ? [] : [first]
  })
  if (found.length > 0) return [found, '']
  const names = Object.keys(all).join(', ')
  return [[], `bind_interface: expected an interface with an address (${names}), got ${device}`]
}

function restOf(section: ListenerSection, settings: Settings): Rest {
  const { options } = section
  const most = options.number('max_connections') ?? -1
  const proxy = options.number('enable_proxy_protocol')
  const tls = tlsOf(section, settings)
  const ws = webSocketOf(section, settings)
  return {
    port: options.number('port') ?? section.port,
    fields: {
      ...(tls === null ? {} : { tls }),
      ...(ws === null ? {} : { ws }),
      ...(proxy === null ? {} : { proxyProtocol: true }),
      ...(most > 0 ? { connectionsMax: most } : {}),
      ...accessOf(section, settings),
    },
  }
}

function webSocketOf({ options }: ListenerSection, { problems }: Settings): object | null {
  const protocol = options.text('protocol')
  const place = options.place('protocol')
  if (protocol === 'http_api' && place !== null) {
    const text = 'protocol http_api is not there: --metrics-port has metrics and health over HTTP'
    problems.push({ place, text })
  }
  if (protocol !== 'websockets') return null
  const origins = options.all('websockets_origin').map(({ value }) => value)
  return { path: '*', ...(origins.length === 0 ? {} : { origins }) }
}

function tlsOf({ options }: ListenerSection, { problems }: Settings): object | null {
  const one = options.first(TLS_OPTIONS, Usual)
  if (one === null) return null
  const [certFile, keyFile] = [options.text('certfile'), options.text('keyfile')]
  if (certFile === null || keyFile === null) {
    const missing = certFile === null && keyFile === null ? 'certfile and keyfile' : 'the other'
    // Mosquitto would listen without TLS.
    const text = `${one.name}: TLS needs certfile and keyfile, ${missing} is not there`
    problems.push({ place: one.place, text })
    return null
  }
  const caFile = options.text('cafile')
  const caDirectory = options.text('capath')
  const isRequired = options.boolean('require_certificate') === true
  const required = options.place('require_certificate')
  if (isRequired && required !== null && caFile === null && caDirectory === null) {
    const text = 'require_certificate: expected a cafile or capath that they are checked against'
    problems.push({ place: required, text })
    return null
  }
  const crlFile = isRequired ? options.text('crlfile') : null
  const ciphers = ciphersOf(options.text('ciphers'), options.text('ciphers_tls1.3'))
  return {
    certFile,
    keyFile,
    ...(caFile === null ? {} : { caFile }),
    ...(caDirectory === null ? {} : { caDirectory }),
    ...(crlFile === null ? {} : { crlFile }),
    ...(caFile === null && caDirectory === null
      ? {}
      : { clientCertificate: isRequired ? 'required' : 'none' }),
    ...(options.text('tls_version') === 'tlsv1.3' ? { minVersion: 'TLSv1.3' } : {}),
    ...(ciphers === null ? {} : { ciphers }),
  }
}

function ciphersOf(upTo12: string | null, of13: string | null): string | null {
  if (upTo12 === null && of13 === null) return null
  return `${of13 ?? CIPHERS_1_3}:${upTo12 ?? CIPHERS_1_2}`
}

/** Who may come in at this listener, where that is otherwise than for all. */
function accessOf(section: ListenerSection, settings: Settings): ListenerFields {
  const { perListener, problems } = settings
  const { options } = section
  const names = namesOf(section, problems)
  const own = options.boolean('listener_allow_anonymous')
  if (!perListener || isLocalOnly(settings)) {
    const allowed = own === null ? {} : { allowAnonymous: own }
    return names === null ? allowed : { ...allowed, ...names, passwordFile: 'none' }
  }
  const [passwordFile, aclFile] = [options.text('password_file'), options.text('acl_file')]
  return {
    allowAnonymous: own ?? options.boolean('allow_anonymous') ?? false,
    ...(aclFile === null ? {} : { aclFile }),
    ...(passwordFile === null || names !== null ? {} : { passwordFile }),
    ...names,
  }
}

/** User names of certificates, which stand for the password. */
function namesOf(
  { options }: ListenerSection,
  problems: Settings['problems'],
): { readonly certificateUserNames: true | 'subject' } | null {
  const name = ['use_identity_as_username', 'use_subject_as_username'].find(one => {
    return options.boolean(one) === true
  })
  const place = name === undefined ? null : options.place(name)
  if (name === undefined || place === null) return null
  if (options.boolean('require_certificate') !== true) {
    problems.push({ place, text: `${name}: expected require_certificate true at its listener` })
  }
  return { certificateUserNames: name === 'use_identity_as_username' ? true : 'subject' }
}
