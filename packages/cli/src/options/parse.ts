// Reads the words of pub, sub and rr as Mosquitto's clients do: each option is a word of its own,
// the next word is its value whatever it looks like, later ones win, and an options file comes
// first. Beyond that: `--name=value`, words without an option, and the Go programs' flags.

import { usage } from '../failure.ts'
import { nearest } from '../nearest.ts'
import { ClientChoice, type ClientCommand } from './choice.ts'
import { ConnectionOptions } from './connection-options.ts'
import { checkTogether, MessageOptions } from './message-options.ts'
import { addTopic, type Option, type OptionGroup, setSource, topicFilter, WRONG } from './option.ts'
import { findOptionsFile, readOptionsFile } from './options-file.ts'
import { applyProperty } from './properties.ts'
import { applyAddress, applyServer } from './url.ts'

/** What reading needs of the world. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly pid: number
}

export type Parsed = ClientChoice | 'help' | 'version'

const URL_WORD = /^(?:(?:mqtt|ws)s?:\/\/|unix:\/)/i

/** The options that a command has, in the groups of its help. */
export function optionGroups(command: ClientCommand): OptionGroup[] {
  return [...MessageOptions, ...ConnectionOptions]
    .map(({ title, options }) => {
      return { title, options: options.filter(({ commands }) => commands.includes(command)) }
    })
    .filter(({ options }) => options.length > 0)
}

/** @throws CommandFailure with Mosquitto's exit code 1 */
export function parseClientWords(
  command: ClientCommand,
  words: readonly string[],
  { environment, pid }: Surroundings,
): Parsed {
  const choice = new ClientChoice(command)
  const file = findOptionsFile(command, words, environment)
  for (const line of file === null ? [] : readOptionsFile(file)) {
    const asked = readWords(choice, line)
    if (asked !== null) return asked
  }
  const asked = readWords(choice, words)
  if (asked !== null) return asked
  takeWords(choice)
  chooseVersion(choice)
  check(choice)
  if (choice.idPrefix !== null) choice.id = `${choice.idPrefix}${pid}`
  return choice
}

function readWords(choice: ClientChoice, words: readonly string[]): 'help' | 'version' | null {
  const known = namesOf(choice.command)
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ''
    if (word === '--help') return 'help'
    if (word === '--version') return 'version'
    if (word === '-D' || word === '--property') {
      i += applyProperty(choice, words.slice(i + 1))
    } else if (word === '-o') {
      i++
    } else if (word === '--') {
      choice.words.push(...words.slice(i + 1))
      return null
    } else if (!word.startsWith('-') || word === '-') {
      choice.words.push(word)
    } else {
      i += readOption(choice, known, word, words[i + 1])
    }
  }
  return null
}

/** @returns how many words its value has taken */
function readOption(
  choice: ClientChoice,
  known: ReadonlyMap<string, Option>,
  word: string,
  next: string | undefined,
): number {
  const equals = /^(--?[a-z][a-z-]+)=(.*)$/s.exec(word)
  const name = equals?.[1] ?? word
  const option = known.get(name)
  if (option === undefined) return usage(unknown(choice.command, word), WRONG)
  if (option.value === null) {
    // Go's way to say no; that is also what it is without the flag.
    if (equals !== null && equals[2] === 'false') return 0
    if (equals !== null && equals[2] !== 'true') usage(`${name} takes no value`, WRONG)
    option.apply(choice, '', name)
    return 0
  }
  const value = equals?.[2] ?? next
  if (value === undefined) {
    return usage(`${name} argument given but no ${option.value.slice(1, -1)} specified.`, WRONG)
  }
  option.apply(choice, value, name)
  return equals === null ? 1 : 0
}

function namesOf(command: ClientCommand): Map<string, Option> {
  const names = new Map<string, Option>()
  for (const { options } of optionGroups(command)) {
    for (const option of options) for (const name of option.names) names.set(name, option)
  }
  return names
}

function unknown(command: ClientCommand, word: string): string {
  const others = (['pub', 'sub', 'rr', 'check'] as const).filter(
    other => other !== command && namesOf(other).has(word),
  )
  const meant = others.length > 0 ? null : nearest(word, [...namesOf(command).keys()])
  const hint = others.length === 0 ? '' : ` (it is one of godwit ${others.join(' and ')})`
  return `Unknown option '${word}'${hint}${meant === null ? '.' : `: was ${meant} meant?`}`
}

/** JSON and recordings have the properties of MQTT 5.0, which the default of Mosquitto has not. */
function chooseVersion(choice: ClientChoice): void {
  const { command, source, json, record, versionGiven } = choice
  const brings = source.kind === 'json' || source.kind === 'replay'
  const keeps = command === 'sub' && (json || record !== null)
  if (versionGiven || !(brings || keeps)) return
  choice.level = 5
  choice.fallsBack = true
}

/** Gives words without an option their meaning: a URL, a topic, a message. */
function takeWords(choice: ClientChoice): void {
  const words = [...choice.words]
  if (choice.command === 'check') {
    const [server, more] = words
    if (server !== undefined) applyServer(choice, server)
    if (more !== undefined) usage(`'${more}' is one word too many`, WRONG)
    return
  }
  const url = words[0]
  if (url !== undefined && URL_WORD.test(url)) {
    words.shift()
    takeUrl(choice, url)
  } else if (url !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    usage(`a URL is mqtt, mqtts, ws or wss://, not ${url}; -t takes any topic`, WRONG)
  }
  if (choice.command === 'sub') {
    for (const word of words) choice.topics.push(topicFilter('subscription', word))
    return
  }
  const [topic] = choice.topics.length === 0 ? words.splice(0, 1) : []
  if (topic !== undefined) addTopic(choice, topic)
  const [message] = choice.source.kind === 'none' ? words.splice(0, 1) : []
  if (message !== undefined) setSource(choice, { kind: 'text', text: message })
  if (words.length > 0) usage(`'${words[0]}' is one word too many`, WRONG)
}

/** As a word a URL may be without a topic, which is elsewhere then. */
function takeUrl(choice: ClientChoice, url: string): void {
  const topic = applyAddress(choice, url)
  if (topic === '') return
  if (choice.command !== 'sub' && choice.topics.length > 0) {
    usage(`the path of a URL is a topic: '${topic}' in it, and -t '${choice.topics[0]}'`, WRONG)
  }
  addTopic(choice, topic)
}

function check(choice: ClientChoice): void {
  const { command, level, cleanSession, idPrefix, id } = choice
  if (choice.willTopic === null && choice.willPayload !== null) {
    usage('Will payload given, but no will topic given.', WRONG)
  }
  if (choice.willTopic === null && choice.willRetain) {
    usage('Will retain given, but no will topic given.', WRONG)
  }
  checkTls(choice)
  if (level === 5) {
    if (!cleanSession && choice.sessionExpirySeconds < 0) choice.sessionExpirySeconds = 0xffff_ffff
    if (choice.sessionExpirySeconds === 0xffff_ffff && (idPrefix !== null || id === null)) {
      usage(
        'You must provide a client id if you are using an infinite session expiry interval.',
        WRONG,
      )
    }
  } else if (!cleanSession && (idPrefix !== null || id === null)) {
    usage('You must provide a client id if you are using the -c option.', WRONG)
  }
  const hasPassword = choice.password !== null || choice.passwordPlace !== null
  if (hasPassword && choice.username === null && level < 5) {
    usage('-P needs -u before MQTT 5.0', WRONG)
  }
  if (command === 'sub' && choice.topics.length === 0 && choice.unsubscribes.length === 0) {
    usage('You must specify a topic to subscribe to (-t) or unsubscribe from (-U).', WRONG)
  }
  checkTogether(choice)
}

function checkTls(choice: ClientChoice): void {
  if ((choice.cert === null) !== (choice.key === null)) {
    usage('Both certfile and keyfile must be provided if one of them is set.', WRONG)
  }
  if (choice.keyform !== null && choice.key === null) {
    usage('If keyform is set, keyfile must be also specified.', WRONG)
  }
  if (choice.psk !== null && (choice.cafile !== null || choice.capath !== null)) {
    usage('Only one of --psk or --cafile/--capath may be used at once.', WRONG)
  }
  if (choice.psk !== null && choice.pskIdentity === null) {
    usage('--psk-identity required if --psk used.', WRONG)
  }
}
