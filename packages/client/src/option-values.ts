// What options may be, beyond their names: in Node, where most programs are JavaScript. A page has
// TypeScript for it; the numbers of `connect` are checked in options.ts, and what is written into a
// packet by the codec.

import { invalidArgument } from './errors.ts'

/** What is expected, and whether a value is that. */
type Rule = readonly [string, (value: unknown) => boolean]
type Rules = Readonly<Record<string, Rule | undefined>>

const Bool: Rule = ['true or false', value => typeof value === 'boolean']
const Text: Rule = ['a string', value => typeof value === 'string']
const Call: Rule = ['a function', value => typeof value === 'function']
const Some: Rule = ['an object', isObject]
const Size: Rule = ['a number from 0', value => typeof value === 'number' && value >= 0]
const Signal: Rule = ['an AbortSignal', value => has(value, 'addEventListener')]
const Kept: Rule = ['a store like fileStore(path)', value => has(value, 'open')]
const Again: Rule = ['true, false or an object', value => Bool[1](value) || isObject(value)]

/** By what is called, or the option that holds them. */
const All: Readonly<Record<string, Rules | undefined>> = {
  connect: {
    cleanStart: Bool,
    topicAliases: Bool,
    problemInformation: Bool,
    responseInformation: Bool,
    will: Some,
    tls: Some,
    headers: Some,
    offline: Some,
    authenticator: Some,
    localAddress: Text,
    credentials: Call,
    onPacket: Call,
    onEvent: Call,
    dump: Call,
    reconnect: Again,
    store: Kept,
    signal: Signal,
  },
  reconnect: {
    initialDelayMs: Size,
    maxDelayMs: Size,
    stableAfterMs: Size,
    attemptsMax: Size,
    first: Bool,
    delayMs: Call,
  },
  offline: {
    messagesMax: Size,
    bytesMax: Size,
    qos0: oneOf('drop', 'queue'),
    whenFull: oneOf('wait', 'reject', 'drop-oldest'),
  },
  will: { retain: Bool },
  tls: { verify: Bool, serverName: Text, passphrase: Text },
  subscribe: {
    ack: oneOf('processed', 'received', 'manual'),
    retainHandling: oneOf('always', 'new', 'never'),
    noLocal: Bool,
    retainAsPublished: Bool,
    partial: Bool,
    share: Text,
    buffer: Some,
    listener: Call,
    signal: Signal,
  },
  buffer: {
    messagesMax: Size,
    bytesMax: Size,
    whenFull: oneOf('drop-oldest', 'drop-newest', 'latest-per-topic', 'pause', 'error'),
  },
}

/** @throws MqttError `invalid-argument`; what is undefined counts as missing */
export function checkValues(where: string, options: object): void {
  if (options === null) throw invalidArgument(`${where}: expected options, got null`)
  for (const [name, value] of Object.entries(options)) {
    const rule = All[where]?.[name]
    if (rule === undefined || value === undefined || rule[1](value)) continue
    throw invalidArgument(`${where}: ${name}: expected ${rule[0]}, got ${shown(value)}`)
  }
}

function oneOf(...texts: readonly string[]): Rule {
  const quoted = texts.map(text => `'${text}'`)
  const expected = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
  return [expected, value => texts.some(text => text === value)]
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function has(value: unknown, method: string): boolean {
  return isObject(value) && typeof (value as Record<string, unknown>)[method] === 'function'
}

/** Not all of it: it may be anything. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 20))
  if (typeof value === 'function') return 'a function'
  return isObject(value) ? 'an object' : String(value)
}
