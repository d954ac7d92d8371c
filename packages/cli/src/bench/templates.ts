// Topics and payloads with variables: {client}, {random:N}, and in payloads {seq} and {time}.
// A variable that nobody knows is an error where the option is read, not a strange topic.

import { usage } from '../failure.ts'
import type { Random } from './random.ts'

const VARIABLE = /\{([^{}]*)\}/g
const RANDOM_TOPICS_MAX = 100_000

export interface PayloadValues {
  readonly client: number
  readonly sequence: number
  readonly random: Random
}

/** @throws CommandFailure when a variable is unknown */
export function checkTopicTemplate(option: string, template: string): void {
  for (const [, name = ''] of template.matchAll(VARIABLE)) {
    if (name !== 'client' && !/^random:[1-9]\d*$/.test(name)) {
      usage(`${option} knows {client} and {random:N}, not {${name}}`)
    }
  }
  if (/[+#\0]/.test(template) || template === '') {
    usage(`${option} is where messages are published: ${JSON.stringify(template)} is no topic`)
  }
  const count = randomCount(template)
  if (count > RANDOM_TOPICS_MAX) {
    usage(`${option} has ${count} topics, at most ${RANDOM_TOPICS_MAX} are possible`)
  }
}

/** Each topic of a client, the random ones one after the other. */
export function topicsOf(template: string, client: number): string[] {
  const forClient = template.replaceAll('{client}', String(client))
  let topics = [forClient]
  for (;;) {
    const match = /\{random:(\d+)\}/.exec(topics[0] ?? '')
    if (match === null) return topics
    const count = Number(match[1])
    topics = topics.flatMap(topic =>
      Array.from({ length: count }, (_, i) => topic.replace(match[0], String(i))),
    )
  }
}

/** How many topics each client has. */
export function randomCount(template: string): number {
  let count = 1
  for (const [, n] of template.matchAll(/\{random:(\d+)\}/g)) count *= Number(n)
  return count
}

/** The filter for what a client publishes, or, without a client, for what all publish. */
export function filterOf(template: string, client: number | null): string {
  const named = client === null ? template : template.replaceAll('{client}', String(client))
  return named
    .split('/')
    .map(level => (level.includes('{') ? '+' : level))
    .join('/')
}

/** @throws CommandFailure when a variable is unknown */
export function checkPayloadTemplate(option: string, template: string): void {
  // A payload is often JSON: only words in braces are variables.
  for (const [, name = ''] of template.matchAll(/\{([a-z]+(?::[^{}]*)?)\}/g)) {
    // More digits than a number has would be written with an exponent.
    if (/^random:[1-9]\d{15}/.test(name)) usage(`${option}: {${name}} has more than 15 digits`)
    if (!/^(?:client|seq|time|random:[1-9]\d*)$/.test(name)) {
      usage(`${option} knows {client}, {seq}, {time} and {random:N}, not {${name}}`)
    }
  }
}

const PAYLOAD_VARIABLE = /\{(?:client|seq|time|random:\d+)\}/g

/** Of a payload as it is sent: its bytes beside the variables, and how many of these it has. */
export function variablesIn(template: string): { literalBytes: number; variables: number } {
  return {
    literalBytes: Buffer.byteLength(template.replace(PAYLOAD_VARIABLE, '')),
    variables: template.match(PAYLOAD_VARIABLE)?.length ?? 0,
  }
}

/** What a payload must look like, byte by byte (latin1): patterns of what is between its {seq}. */
export function payloadPieces(template: string): readonly string[] {
  return template.split('{seq}').map(pieceOf)
}

function pieceOf(template: string): string {
  const bytewise = (text: string): string =>
    Buffer.from(text)
      .toString('latin1')
      .replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
  let pattern = ''
  let from = 0
  for (const match of template.matchAll(PAYLOAD_VARIABLE)) {
    pattern += bytewise(template.slice(from, match.index))
    pattern += '\\d+'
    from = match.index + match[0].length
  }
  return pattern + bytewise(template.slice(from))
}

/** @param sequence what each {seq} is; null for any number */
export function payloadPattern(pieces: readonly string[], sequence: number | null): RegExp {
  return new RegExp(`^${pieces.join(sequence === null ? '\\d+' : String(sequence))}$`)
}

export function expandPayload(template: string, values: PayloadValues): string {
  return template.replace(/\{([a-z]+)(?::(\d+))?\}/g, (whole, name: string, n: string) => {
    switch (name) {
      case 'client':
        return String(values.client)
      case 'seq':
        return String(values.sequence)
      case 'time':
        return String(Date.now())
      case 'random':
        return String(values.random.below(Number(n)))
      default:
        return whole
    }
  })
}
