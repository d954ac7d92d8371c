// Properties of MQTT 5.0: one table says which there are, of what kind, and who may carry them.
// Levels before 5 have none: reading gives NO_PROPERTIES, writing leaves them out.

import { PacketType, PropertyId, type ProtocolLevel, ReasonCode } from './constants.ts'
import { invalidPacket, malformed, PacketError, protocolError } from './errors.ts'
import { NO_PROPERTIES, type Properties, type UserProperty } from './packets.ts'
import type { Reader } from './reader.ts'
import { isTopicName } from './topic.ts'
import { utf8ByteLength } from './utf8.ts'
import { variableIntegerByteLength, type Writer } from './writer.ts'

/** Who carries properties: a packet type, or the will within a CONNECT. */
export type PropertyOwner = PacketType | typeof WILL

/** The will's properties are a set of their own. MQTT 5.0 section 3.1.3.2. */
export const WILL = 0

/** What a property's value is; the numbers come first, each with a row in `Numbers`. */
const Kind = {
  BIT: 0,
  UINT16: 1,
  UINT16_NOT_0: 2,
  UINT32: 3,
  UINT32_NOT_0: 4,
  IDENTIFIERS: 5,
  STRING: 6,
  TOPIC: 7,
  BINARY: 8,
  PAIRS: 9,
} as const

type Kind = (typeof Kind)[keyof typeof Kind]

/** Lowest and highest value of the kinds of numbers. */
const Numbers: readonly (readonly [low: number, high: number])[] = [
  [0, 1],
  [0, 0xffff],
  [1, 0xffff],
  [0, 0xffff_ffff],
  [1, 0xffff_ffff],
  [1, 268_435_455],
]

type Rule = readonly [id: number, name: keyof Properties, kind: Kind, owners: number]

const { CONNECT, CONNACK, PUBLISH, SUBSCRIBE, DISCONNECT, AUTH } = PacketType

/** A set of owners as bits. */
const owners = (...types: readonly PropertyOwner[]): number =>
  types.reduce<number>((bits, type) => bits | (1 << type), 0)

const MESSAGE = owners(PUBLISH, WILL)
const CONNECTING = owners(CONNECT, CONNACK)
const AUTHENTICATING = owners(CONNECT, CONNACK, AUTH)
const FROM_SERVER = owners(CONNACK)
/** All but PINGREQ and PINGRESP, which have no properties at all. */
const ALL = 0xffff
const WITH_REASON: number = ALL & ~owners(WILL, CONNECT, PUBLISH, SUBSCRIBE, PacketType.UNSUBSCRIBE)

/** MQTT 5.0 table 2-4. */
const Rules: readonly Rule[] = [
  [PropertyId.PAYLOAD_FORMAT_INDICATOR, 'payloadFormatIndicator', Kind.BIT, MESSAGE],
  [PropertyId.MESSAGE_EXPIRY_INTERVAL, 'messageExpiryInterval', Kind.UINT32, MESSAGE],
  [PropertyId.CONTENT_TYPE, 'contentType', Kind.STRING, MESSAGE],
  [PropertyId.RESPONSE_TOPIC, 'responseTopic', Kind.TOPIC, MESSAGE],
  [PropertyId.CORRELATION_DATA, 'correlationData', Kind.BINARY, MESSAGE],
  [
    PropertyId.SUBSCRIPTION_IDENTIFIER,
    'subscriptionIdentifiers',
    Kind.IDENTIFIERS,
    owners(PUBLISH, SUBSCRIBE),
  ],
  [
    PropertyId.SESSION_EXPIRY_INTERVAL,
    'sessionExpiryInterval',
    Kind.UINT32,
    owners(CONNECT, CONNACK, DISCONNECT),
  ],
  [PropertyId.ASSIGNED_CLIENT_IDENTIFIER, 'assignedClientIdentifier', Kind.STRING, FROM_SERVER],
  [PropertyId.SERVER_KEEP_ALIVE, 'serverKeepAlive', Kind.UINT16, FROM_SERVER],
  [PropertyId.AUTHENTICATION_METHOD, 'authenticationMethod', Kind.STRING, AUTHENTICATING],
  [PropertyId.AUTHENTICATION_DATA, 'authenticationData', Kind.BINARY, AUTHENTICATING],
  [PropertyId.REQUEST_PROBLEM_INFORMATION, 'requestProblemInformation', Kind.BIT, owners(CONNECT)],
  [PropertyId.WILL_DELAY_INTERVAL, 'willDelayInterval', Kind.UINT32, owners(WILL)],
  [
    PropertyId.REQUEST_RESPONSE_INFORMATION,
    'requestResponseInformation',
    Kind.BIT,
    owners(CONNECT),
  ],
  [PropertyId.RESPONSE_INFORMATION, 'responseInformation', Kind.STRING, FROM_SERVER],
  [PropertyId.SERVER_REFERENCE, 'serverReference', Kind.STRING, owners(CONNACK, DISCONNECT)],
  [PropertyId.REASON_STRING, 'reasonString', Kind.STRING, WITH_REASON],
  [PropertyId.RECEIVE_MAXIMUM, 'receiveMaximum', Kind.UINT16_NOT_0, CONNECTING],
  [PropertyId.TOPIC_ALIAS_MAXIMUM, 'topicAliasMaximum', Kind.UINT16, CONNECTING],
  [PropertyId.TOPIC_ALIAS, 'topicAlias', Kind.UINT16_NOT_0, owners(PUBLISH)],
  [PropertyId.MAXIMUM_QOS, 'maximumQoS', Kind.BIT, FROM_SERVER],
  [PropertyId.RETAIN_AVAILABLE, 'retainAvailable', Kind.BIT, FROM_SERVER],
  [PropertyId.USER_PROPERTY, 'userProperties', Kind.PAIRS, ALL],
  [PropertyId.MAXIMUM_PACKET_SIZE, 'maximumPacketSize', Kind.UINT32_NOT_0, CONNECTING],
  [
    PropertyId.WILDCARD_SUBSCRIPTION_AVAILABLE,
    'wildcardSubscriptionAvailable',
    Kind.BIT,
    FROM_SERVER,
  ],
  [
    PropertyId.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    'subscriptionIdentifierAvailable',
    Kind.BIT,
    FROM_SERVER,
  ],
  [PropertyId.SHARED_SUBSCRIPTION_AVAILABLE, 'sharedSubscriptionAvailable', Kind.BIT, FROM_SERVER],
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
  if (kind === Kind.PAIRS) {
    const pair: UserProperty = [reader.string(), reader.string()] // [MQTT-1.5.7-1]
    if (before === undefined) values[name] = [pair]
    else (before as UserProperty[]).push(pair) // [MQTT-3.3.2-18] [MQTT-3.1.3-10]
    return
  }
  if (before === undefined) {
    const value = readValue(reader, name, kind)
    values[name] = kind === Kind.IDENTIFIERS ? [value] : value
  } else if (kind === Kind.IDENTIFIERS && owner === PUBLISH) {
    ;(before as unknown[]).push(readValue(reader, name, kind))
  } else {
    protocolError(`${name} is there twice`)
  }
}

function readValue(reader: Reader, name: string, kind: Kind): string | Uint8Array | number {
  if (kind === Kind.BINARY) return reader.binary()
  if (kind >= Kind.STRING) {
    const text = reader.string()
    // [MQTT-3.3.2-14]
    if (kind === Kind.TOPIC && !isTopicName(text)) protocolError(`${name} is not a topic name`)
    return text
  }
  const value =
    kind === Kind.BIT
      ? reader.uint8()
      : kind === Kind.IDENTIFIERS
        ? reader.variableInteger()
        : kind < Kind.UINT32
          ? reader.uint16()
          : reader.uint32()
  if (isInRange(kind, value)) return value
  // [MQTT-3.3.2-8]
  if (name === 'topicAlias') {
    throw new PacketError('topic-alias-invalid', ReasonCode.TOPIC_ALIAS_INVALID, 'topic alias 0')
  }
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
    writer.uint8(0, 'a property length') // [MQTT-2.2.2-1]
    return
  }
  const mark = writer.open()
  for (const key of Object.keys(properties)) {
    const rule = RulesByName.get(key)
    if (rule === undefined) invalidPacket('a known property', key)
    const [id, name, kind, carriers] = rule
    const value: unknown = properties[name]
    if (value === undefined) continue
    if (((carriers >> owner) & 1) === 0) invalidPacket('a property of this packet', name)
    if (kind === Kind.PAIRS || kind === Kind.IDENTIFIERS) {
      if (!Array.isArray(value)) invalidPacket(`${name} that are an array`, value)
      if (kind === Kind.IDENTIFIERS && owner === SUBSCRIBE && value.length > 1) {
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

function writeValue(writer: Writer, id: number, name: string, kind: Kind, value: unknown): void {
  writer.uint8(id, 'id')
  if (kind === Kind.BINARY) {
    writer.binary(value as Uint8Array, name)
  } else if (kind === Kind.PAIRS) {
    const pair = value as UserProperty
    if (!Array.isArray(pair)) invalidPacket('a pair of name and value', pair)
    writer.string(pair[0], 'a user property name')
    writer.string(pair[1], 'a user property value')
  } else if (kind >= Kind.STRING) {
    writer.string(value as string, name)
    if (kind === Kind.TOPIC) checkTopicNameToWrite(value as string, name)
  } else {
    writeNumber(writer, name, kind, value as number)
  }
}

function writeNumber(writer: Writer, name: string, kind: Kind, value: number): void {
  if (!isInRange(kind, value)) {
    const [low, high] = Numbers[kind] ?? []
    invalidPacket(`${name} from ${low} to ${high}`, value)
  }
  if (kind === Kind.BIT) writer.uint8(value, name)
  else if (kind === Kind.IDENTIFIERS) writer.variableInteger(value, name)
  else if (kind < Kind.UINT32) writer.uint16(value, name)
  else writer.uint32(value, name)
}

/** @throws PacketError `invalid-packet` */
export function checkTopicNameToWrite(topic: string, what: string): void {
  if (!isTopicName(topic)) invalidPacket(`${what} without wildcards and not empty`, topic)
}

/** How many bytes `writeProperties` will write for valid properties, their length included. */
export function propertiesByteLength(properties: Properties, level: ProtocolLevel): number {
  if (level !== 5) return 0
  if (properties === NO_PROPERTIES) return 1
  let length = 0
  for (const key of Object.keys(properties)) {
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
function valueByteLength(kind: Kind, value: unknown): number {
  if (kind === Kind.BIT) return 2
  if (kind === Kind.IDENTIFIERS) return 1 + variableIntegerByteLength(value as number)
  if (kind < Kind.UINT32) return 3
  if (kind < Kind.STRING) return 5
  if (kind === Kind.BINARY) return 3 + (value as Uint8Array).length
  if (kind < Kind.BINARY) return 3 + utf8ByteLength(value as string)
  const [name, text] = value as UserProperty
  return 5 + utf8ByteLength(name) + utf8ByteLength(text)
}

function isInRange(kind: Kind, value: number): boolean {
  const range = Numbers[kind]
  return range !== undefined && value >= range[0] && value <= range[1]
}

/** Authentication data needs a method. MQTT 5.0 section 3.1.2.11.10. */
function lacksMethod(values: Values): boolean {
  return values.authenticationData !== undefined && values.authenticationMethod === undefined
}

/** Whether there is nothing to write. */
export function isEmpty(properties: Properties): boolean {
  return properties === NO_PROPERTIES || Object.keys(properties).length === 0
}
