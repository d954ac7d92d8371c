// Properties of MQTT 5.0: one table says which there are, of what kind, and who may carry them.
// Levels before 5 have none: reading gives NO_PROPERTIES, writing leaves them out.

import { PacketType, type ProtocolLevel, REMAINING_LENGTH_MAX } from './constants.ts'
import {
  checkInteger,
  checkObject,
  invalidPacket,
  malformed,
  protocolError,
  refuse,
} from './errors.ts'
import { NO_PROPERTIES, type Properties, type UserProperty } from './packets.ts'
import type { Reader } from './reader.ts'
import { isTopicName } from './topic.ts'
import { utf8ByteLength } from './utf8.ts'
import { variableIntegerByteLength, type Writer } from './writer.ts'

/** Who carries properties: a packet type, or the will within a CONNECT. */
export type PropertyOwner = PacketType | typeof WILL

/** The will's properties are a set of their own. MQTT 5.0 section 3.1.3.2. */
export const WILL = 0

// What a property's value is: the numbers first, each with a row in `Numbers`.
const BIT = 0
const UINT16 = 1
const UINT16_NOT_0 = 2
const UINT32 = 3
const UINT32_NOT_0 = 4
const IDENTIFIERS = 5
const STRING = 6
const TOPIC = 7
const BINARY = 8
const PAIRS = 9

/** Lowest and highest value of the kinds of numbers. */
const Numbers: readonly (readonly [low: number, high: number])[] = [
  [0, 1],
  [0, 0xffff],
  [1, 0xffff],
  [0, 0xffff_ffff],
  [1, 0xffff_ffff],
  [1, REMAINING_LENGTH_MAX],
]

// Who may carry a property: one bit for each owner, at the place of its number.
const IN_WILL = 1 << 0
const IN_CONNECT = 1 << 1
const IN_CONNACK = 1 << 2
const IN_PUBLISH = 1 << 3
const IN_SUBSCRIBE = 1 << 8
const IN_UNSUBSCRIBE = 1 << 10
const IN_DISCONNECT = 1 << 14
const IN_AUTH = 1 << 15
const IN_MESSAGE: number = IN_PUBLISH | IN_WILL
const IN_BOTH_CONNECTS: number = IN_CONNECT | IN_CONNACK
const IN_AUTHENTICATION: number = IN_BOTH_CONNECTS | IN_AUTH
const IN_ALL = 0xffff
const IN_ANSWERS: number =
  IN_ALL & ~(IN_WILL | IN_CONNECT | IN_PUBLISH | IN_SUBSCRIBE | IN_UNSUBSCRIBE)

type Rule = readonly [id: number, name: keyof Properties, kind: number, owners: number]

/** MQTT 5.0 table 2-4. The numbers are those of `PropertyId`, whose names no bundle needs. */
const Rules: readonly Rule[] = [
  [0x01, 'payloadFormatIndicator', BIT, IN_MESSAGE],
  [0x02, 'messageExpiryInterval', UINT32, IN_MESSAGE],
  [0x03, 'contentType', STRING, IN_MESSAGE],
  [0x08, 'responseTopic', TOPIC, IN_MESSAGE],
  [0x09, 'correlationData', BINARY, IN_MESSAGE],
  [0x0b, 'subscriptionIdentifiers', IDENTIFIERS, IN_PUBLISH | IN_SUBSCRIBE],
  [0x11, 'sessionExpiryInterval', UINT32, IN_BOTH_CONNECTS | IN_DISCONNECT],
  [0x12, 'assignedClientIdentifier', STRING, IN_CONNACK],
  [0x13, 'serverKeepAlive', UINT16, IN_CONNACK],
  [0x15, 'authenticationMethod', STRING, IN_AUTHENTICATION],
  [0x16, 'authenticationData', BINARY, IN_AUTHENTICATION],
  [0x17, 'requestProblemInformation', BIT, IN_CONNECT],
  [0x18, 'willDelayInterval', UINT32, IN_WILL],
  [0x19, 'requestResponseInformation', BIT, IN_CONNECT],
  [0x1a, 'responseInformation', STRING, IN_CONNACK],
  [0x1c, 'serverReference', STRING, IN_CONNACK | IN_DISCONNECT],
  [0x1f, 'reasonString', STRING, IN_ANSWERS],
  [0x21, 'receiveMaximum', UINT16_NOT_0, IN_BOTH_CONNECTS],
  [0x22, 'topicAliasMaximum', UINT16, IN_BOTH_CONNECTS],
  [0x23, 'topicAlias', UINT16_NOT_0, IN_PUBLISH],
  [0x24, 'maximumQoS', BIT, IN_CONNACK],
  [0x25, 'retainAvailable', BIT, IN_CONNACK],
  [0x26, 'userProperties', PAIRS, IN_ALL],
  [0x27, 'maximumPacketSize', UINT32_NOT_0, IN_BOTH_CONNECTS],
  [0x28, 'wildcardSubscriptionAvailable', BIT, IN_CONNACK],
  [0x29, 'subscriptionIdentifierAvailable', BIT, IN_CONNACK],
  [0x2a, 'sharedSubscriptionAvailable', BIT, IN_CONNACK],
]

const RulesById: readonly (Rule | undefined)[] = Rules.reduce<Rule[]>((byId, rule) => {
  byId[rule[0]] = rule
  return byId
}, [])

const RulesByName: ReadonlyMap<string, Rule> = new Map(Rules.map(rule => [rule[1], rule]))

/** Properties while they are being read: of each rule's name a value of its kind. */
type Values = { -readonly [name in keyof Properties]?: unknown }

/**
 * Reads a property length and the properties.
 * @throws PacketError `malformed-packet`, `protocol-error`, `topic-alias-invalid`
 */
export function readProperties(
  reader: Reader,
  owner: PropertyOwner,
  level: ProtocolLevel,
): Properties {
  if (level !== 5) return NO_PROPERTIES
  const length = reader.variableInteger()
  if (length === 0) return NO_PROPERTIES
  const packetEnd = reader.end
  const end = reader.take(length) + length
  reader.at = end - length
  // No property may reach into what follows.
  reader.end = end
  const values: Values = {}
  while (reader.at < end) {
    const rule = RulesById[reader.variableInteger()]
    if (rule === undefined) malformed('an unknown property')
    readProperty(reader, rule, owner, values)
  }
  reader.end = packetEnd
  if (lacksMethod(values)) protocolError('authentication data without an authentication method')
  return values as Properties
}

function readProperty(reader: Reader, rule: Rule, owner: PropertyOwner, values: Values): void {
  const [, name, kind, carriers] = rule
  if (((carriers >> owner) & 1) === 0) malformed(`${name} in a packet that has none`)
  const before = values[name]
  if (kind === PAIRS) {
    const pair: UserProperty = [reader.string(), reader.string()] // [MQTT-1.5.7-1]
    if (before === undefined) values[name] = [pair]
    else (before as UserProperty[]).push(pair) // [MQTT-3.3.2-18] [MQTT-3.1.3-10]
    return
  }
  if (before === undefined) {
    const value = readValue(reader, name, kind)
    values[name] = kind === IDENTIFIERS ? [value] : value
  } else if (kind === IDENTIFIERS && owner === PacketType.PUBLISH) {
    ;(before as unknown[]).push(readValue(reader, name, kind))
  } else {
    protocolError(`${name} is there twice`)
  }
}

function readValue(reader: Reader, name: string, kind: number): string | Uint8Array | number {
  if (kind === BINARY) return reader.binary()
  if (kind >= STRING) {
    const text = reader.string()
    // [MQTT-3.3.2-14]
    if (kind === TOPIC && !isTopicName(text)) protocolError(`${name} is not a topic name`)
    return text
  }
  const value =
    kind === BIT
      ? reader.uint8()
      : kind === IDENTIFIERS
        ? reader.variableInteger()
        : kind < UINT32
          ? reader.uint16()
          : reader.uint32()
  const [low, high] = Numbers[kind] as readonly [number, number]
  if (value >= low && value <= high) return value
  // [MQTT-3.3.2-8]
  if (name === 'topicAlias') refuse('topic-alias-invalid', 0x94, `${name} is ${value}`)
  return protocolError(`${name} is ${value}`)
}

/**
 * Writes the property length and the properties; fields that are undefined are left out.
 * @throws PacketError `invalid-packet`
 */
export function writeProperties(
  writer: Writer,
  properties: Properties,
  owner: PropertyOwner,
  level: ProtocolLevel,
): void {
  if (level !== 5) return
  if (properties === NO_PROPERTIES) {
    writer.uint8(0) // [MQTT-2.2.2-1]
    return
  }
  const mark = writer.open()
  for (const key of namesOf(properties)) {
    const rule = RulesByName.get(key)
    if (rule === undefined) invalidPacket('a known property', key)
    const [id, name, kind, carriers] = rule
    const value: unknown = properties[name]
    if (value === undefined) continue
    if (((carriers >> owner) & 1) === 0) invalidPacket('a property of this packet', name)
    if (kind === PAIRS || kind === IDENTIFIERS) {
      if (!Array.isArray(value)) invalidPacket(`${name} that are an array`, value)
      if (kind === IDENTIFIERS && owner === PacketType.SUBSCRIBE && value.length > 1) {
        invalidPacket('one subscription identifier', value.length)
      }
      for (const each of value) writeValue(writer, id, name, kind, each)
    } else {
      writeValue(writer, id, name, kind, value)
    }
  }
  writer.close(mark)
  if (lacksMethod(properties)) invalidPacket('an authentication method', undefined)
}

function writeValue(writer: Writer, id: number, name: string, kind: number, value: unknown): void {
  writer.uint8(id)
  if (kind === BINARY) {
    writer.binary(value as Uint8Array, name)
  } else if (kind === PAIRS) {
    checkPair(value)
    writer.string(value[0], 'a user property name')
    writer.string(value[1], 'a user property value')
  } else if (kind >= STRING) {
    writer.string(value as string, name)
    if (kind === TOPIC) checkTopicNameToWrite(value as string, name)
  } else {
    writeNumber(writer, name, kind, value as number)
  }
}

function writeNumber(writer: Writer, name: string, kind: number, value: number): void {
  const [low, high] = Numbers[kind] as readonly [number, number]
  checkInteger(value, low, high, name)
  if (kind === BIT) writer.uint8(value)
  else if (kind === IDENTIFIERS) writer.variableInteger(value)
  else if (kind < UINT32) writer.uint16(value)
  else writer.uint32(value)
}

function checkPair(value: unknown): asserts value is UserProperty {
  if (!Array.isArray(value) || typeof value[0] !== 'string' || typeof value[1] !== 'string') {
    invalidPacket('a pair of name and value', value)
  }
}

/** @throws PacketError `invalid-packet` */
export function checkTopicNameToWrite(topic: string, what: string): void {
  if (typeof topic !== 'string' || !isTopicName(topic)) {
    invalidPacket(`${what} without wildcards and not empty`, topic)
  }
}

/** How many bytes `writeProperties` will write for valid properties, their length included. */
export function propertiesByteLength(properties: Properties, level: ProtocolLevel): number {
  if (level !== 5) return 0
  if (properties === NO_PROPERTIES) return 1
  let length = 0
  for (const key of namesOf(properties)) {
    const rule = RulesByName.get(key)
    if (rule === undefined) invalidPacket('a known property', key)
    const value: unknown = properties[rule[1]]
    if (value === undefined) continue
    if (Array.isArray(value)) {
      for (const each of value) length += valueByteLength(rule[2], each)
    } else {
      length += valueByteLength(rule[2], value)
    }
  }
  return variableIntegerByteLength(length) + length
}

/** With the identifier's byte. */
function valueByteLength(kind: number, value: unknown): number {
  if (kind === BIT) return 2
  if (kind === IDENTIFIERS) return 1 + variableIntegerByteLength(value as number)
  if (kind < UINT32) return 3
  if (kind < STRING) return 5
  if (kind === BINARY) return 3 + (value as Uint8Array).length
  if (kind < BINARY) return 3 + utf8ByteLength(value as string)
  checkPair(value)
  const [name, text] = value
  return 5 + utf8ByteLength(name) + utf8ByteLength(text)
}

/** Authentication data needs a method. MQTT 5.0 section 3.1.2.11.10. */
function lacksMethod(values: Values): boolean {
  return values.authenticationData !== undefined && values.authenticationMethod === undefined
}

/** Whether there is nothing to write. */
export function hasNoProperties(properties: Properties): boolean {
  return properties === NO_PROPERTIES || namesOf(properties).length === 0
}

function namesOf(properties: Properties): string[] {
  checkObject(properties, 'an object of properties')
  return Object.keys(properties)
}
