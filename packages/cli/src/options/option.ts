// One option of pub, sub and rr, as the tables list them, and how its value is read.

import { isTopicFilter, isTopicName, type QoS } from '@godwit/packet'
import { usage } from '../failure.ts'
import type { ClientChoice, ClientCommand, Source } from './choice.ts'

/** Mosquitto's exit code for wrong options. */
export const WRONG = 1

export interface Option {
  /** All its spellings, the first is the one that errors and help name. */
  readonly names: readonly string[]
  readonly commands: readonly ClientCommand[]
  /** What stands behind it, e.g. `<topic>`; null when nothing does. */
  readonly value: string | null
  readonly text: string
  readonly apply: (choice: ClientChoice, value: string, name: string) => void
}

export interface OptionGroup {
  readonly title: string
  readonly options: readonly Option[]
}

/** Whatever connects. */
export const ALL: readonly ClientCommand[] = ['pub', 'sub', 'rr', 'check']
export const CLIENTS: readonly ClientCommand[] = ['pub', 'sub', 'rr']
export const PUB: readonly ClientCommand[] = ['pub']
export const SUB: readonly ClientCommand[] = ['sub']
export const RR: readonly ClientCommand[] = ['rr']
export const PUB_RR: readonly ClientCommand[] = ['pub', 'rr']
export const SUB_RR: readonly ClientCommand[] = ['sub', 'rr']
export const SUB_CHECK: readonly ClientCommand[] = ['sub', 'check']
export const SUB_RR_CHECK: readonly ClientCommand[] = ['sub', 'rr', 'check']

export function option(
  commands: readonly ClientCommand[],
  names: string,
  value: string | null,
  text: string,
  apply: Option['apply'],
): Option {
  return { names: names.split(' '), commands, value, text, apply }
}

/** A whole number as C's atoi reads it: what does not begin with one is 0. */
export function leadingInteger(text: string): number {
  const match = /^\s*([+-]?\d+)/.exec(text)
  return match === null ? 0 : Number(match[1])
}

/** A number as C's atof reads it. */
export function leadingNumber(text: string): number {
  const number = Number.parseFloat(text)
  return Number.isNaN(number) ? 0 : number
}

export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = leadingInteger(text)
  if (number < least || number > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`
    usage(`${name} takes a whole number, ${range}, not ${JSON.stringify(text)}`, WRONG)
  }
  return number
}

export function qosOf(name: string, text: string): QoS {
  const qos = wholeNumber(name, text, 0, 2)
  return qos === 0 || qos === 1 ? qos : 2
}

export function topicName(what: string, text: string): string {
  if (!isTopicName(text)) {
    usage(`Invalid ${what} topic '${text}', does it contain '+' or '#'?`, WRONG)
  }
  return text
}

export function topicFilter(what: string, text: string): string {
  if (!isTopicFilter(text)) {
    usage(`Invalid ${what} topic '${text}', are all '+' and '#' wildcards correct?`, WRONG)
  }
  return text
}

/** A topic of -t or of a URL: a filter for sub, a name for the others. */
export function addTopic(choice: ClientChoice, text: string): void {
  if (choice.command === 'sub') choice.topics.push(topicFilter('subscription', text))
  else choice.topics = [topicName('publish', text)]
}

/** Only one of -m, -f, -s, -l, -n, --json, --replay. */
export function setSource(choice: ClientChoice, source: Source): void {
  if (choice.source.kind !== 'none') usage('Only one type of message can be sent at once.', WRONG)
  choice.source = source
}
