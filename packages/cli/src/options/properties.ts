// `-D command identifier value`: the properties of MQTT 5.0 by the standard's names.

import { encodeUtf8, isTopicName, type UserProperty } from '@godwit/packet'
import { usage } from '../failure.ts'
import type { ClientChoice, CollectedProperties, PropertyCommand } from './choice.ts'
import { WRONG } from './option.ts'

type Kind = 'bit' | 'uint16' | 'uint32' | 'identifier' | 'string' | 'topic' | 'binary' | 'pair'

interface Property {
  readonly field: string
  readonly kind: Kind
  readonly commands: readonly PropertyCommand[]
}

const MESSAGE: readonly PropertyCommand[] = ['publish', 'will']

const ByIdentifier: ReadonlyMap<string, Property> = new Map([
  ['payload-format-indicator', { field: 'payloadFormatIndicator', kind: 'bit', commands: MESSAGE }],
  [
    'message-expiry-interval',
    { field: 'messageExpiryInterval', kind: 'uint32', commands: MESSAGE },
  ],
  ['content-type', { field: 'contentType', kind: 'string', commands: MESSAGE }],
  ['response-topic', { field: 'responseTopic', kind: 'topic', commands: MESSAGE }],
  ['correlation-data', { field: 'correlationData', kind: 'binary', commands: MESSAGE }],
  ['topic-alias', { field: 'topicAlias', kind: 'uint16', commands: ['publish'] }],
  [
    'subscription-identifier',
    { field: 'subscriptionIdentifiers', kind: 'identifier', commands: ['subscribe'] },
  ],
  [
    'session-expiry-interval',
    { field: 'sessionExpiryInterval', kind: 'uint32', commands: ['connect', 'disconnect'] },
  ],
  [
    'authentication-method',
    { field: 'authenticationMethod', kind: 'string', commands: ['connect'] },
  ],
  ['authentication-data', { field: 'authenticationData', kind: 'binary', commands: ['connect'] }],
  [
    'request-problem-information',
    { field: 'requestProblemInformation', kind: 'bit', commands: ['connect'] },
  ],
  [
    'request-response-information',
    { field: 'requestResponseInformation', kind: 'bit', commands: ['connect'] },
  ],
  ['receive-maximum', { field: 'receiveMaximum', kind: 'uint16', commands: ['connect'] }],
  ['topic-alias-maximum', { field: 'topicAliasMaximum', kind: 'uint16', commands: ['connect'] }],
  ['maximum-packet-size', { field: 'maximumPacketSize', kind: 'uint32', commands: ['connect'] }],
  ['will-delay-interval', { field: 'willDelayInterval', kind: 'uint32', commands: ['will'] }],
  [
    'user-property',
    {
      field: 'userProperties',
      kind: 'pair',
      commands: ['connect', 'publish', 'subscribe', 'unsubscribe', 'disconnect', 'will'],
    },
  ],
] satisfies [string, Property][])

const HIGHEST: Readonly<Partial<Record<Kind, number>>> = {
  bit: 1,
  uint16: 0xffff,
  uint32: 0xffff_ffff,
  identifier: 268_435_455,
}

/** Reads the words after `-D`. @returns how many it has taken: 3, or 4 for a user property */
export function applyProperty(choice: ClientChoice, words: readonly string[]): number {
  const [command = '', identifier = '', value, second] = words
  if (value === undefined) tooFew()
  const properties = propertiesOf(choice, command)
  const property = ByIdentifier.get(identifier)
  if (property === undefined) {
    usage(`Invalid property name ${identifier} given in --property argument.`, WRONG)
  }
  const { field, kind, commands } = property
  if (!commands.some(each => each === command.toLowerCase())) {
    usage(`${identifier} property not allowed for ${command} in --property argument.`, WRONG)
  }
  choice.level = 5
  choice.versionGiven = true
  if (kind === 'pair') {
    if (second === undefined) tooFew()
    const pairs = (properties[field] ?? []) as UserProperty[]
    properties[field] = [...pairs, [value, second]]
    return 4
  }
  if (properties[field] !== undefined) {
    usage(`Duplicate property ${identifier} for ${command} in --property argument.`, WRONG)
  }
  properties[field] = readValue(identifier, kind, value)
  return 3
}

function tooFew(): never {
  return usage('--property argument given but not enough arguments specified.', WRONG)
}

function propertiesOf(choice: ClientChoice, command: string): CollectedProperties {
  switch (command.toLowerCase()) {
    case 'connect':
    case 'publish':
    case 'subscribe':
    case 'unsubscribe':
    case 'disconnect':
    case 'will':
      return choice.properties[command.toLowerCase() as PropertyCommand]
    default:
      return usage(`Invalid command ${command} given in --property argument.`, WRONG)
  }
}

function readValue(
  identifier: string,
  kind: Kind,
  text: string,
): string | number | Uint8Array | number[] {
  const most = HIGHEST[kind]
  if (most === undefined) {
    if (kind === 'topic' && !isTopicName(text)) {
      usage(`${identifier} must be a topic without wildcards, not ${JSON.stringify(text)}`, WRONG)
    }
    return kind === 'binary' ? encodeUtf8(text) : text
  }
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  const least = kind === 'identifier' || identifier === 'receive-maximum' ? 1 : 0
  if (!(number >= least && number <= most)) {
    const range = `${least} to ${most}`
    usage(`Property value (${text}) out of range for property ${identifier}: ${range}.`, WRONG)
  }
  return kind === 'identifier' ? [number] : number
}
