// What a client must not send, each with the reason code that MQTT 5.0 asks a server to end the
// connection with. The codec writes nothing of the kind, so these are bytes.

import type { ProtocolLevel } from '@godwit/packet'

export interface Offence {
  readonly name: string
  readonly bytes: Uint8Array
  readonly reasonCode: number
  /** The header alone is one: no whole packet follows. */
  readonly isHeader: boolean
  /** False: it is none when something else was refused before it. */
  readonly isSure: boolean
}

/** What an offence may have to go beyond. */
export interface Bounds {
  readonly level: ProtocolLevel
  /** As CONNECT has said; null: nothing. */
  readonly sessionExpirySeconds: number | null
  readonly usesScram: boolean
  readonly packetBytesMax: number
  readonly topicAliasMaximum: number
  readonly userPropertiesMax: number
  readonly maximumQoS: number
}

const MALFORMED = 0x81
const PROTOCOL_ERROR = 0x82
const TOPIC_FILTER_INVALID = 0x8f
const TOPIC_NAME_INVALID = 0x90
const TOPIC_ALIAS_INVALID = 0x94
const PACKET_TOO_LARGE = 0x95
const QUOTA_EXCEEDED = 0x97
const QOS_NOT_SUPPORTED = 0x9b

/** The length of properties that are not there; nothing before MQTT 5.0. */
type Empty = readonly number[]
/** A topic, or a filter, of one letter. */
const A = [0, 1, 0x61]
const ID = [0, 7]
const HEADER_BYTES = 5

/** All that a client of this kind can do wrong. */
export function offencesOf(bounds: Bounds): Offence[] {
  const none: Empty = bounds.level === 5 ? [0] : []
  const always = [...ofPublish(none), ...ofSubscribe(none), ...ofAny(none), ...ofHeaders(bounds)]
  // MQTT 3.1 calls flags that say nothing unused.
  if (bounds.level > 3) always.push(...ofFlags(none))
  if (bounds.level === 5) always.push(...ofAlias(bounds), ...ofFive(bounds))
  return always
}

function ofPublish(none: Empty): Offence[] {
  return [
    // [MQTT-3.3.1-4]
    offence('both QoS bits', MALFORMED, 0x36, [...A, ...ID, ...none]),
    // [MQTT-3.3.1-2]
    offence('DUP on QoS 0', MALFORMED, 0x38, [...A, ...none]),
    // [MQTT-2.2.1-3]
    offence('packet identifier 0', PROTOCOL_ERROR, 0x32, [...A, 0, 0, ...none]),
    // [MQTT-3.3.2-2]
    offence('a wildcard in a topic', TOPIC_NAME_INVALID, 0x30, [0, 1, 0x23, ...none]),
    // [MQTT-1.5.4-1]
    offence('a topic that is not UTF-8', MALFORMED, 0x30, [0, 1, 0xff, ...none]),
    // [MQTT-1.5.4-2]
    offence('U+0000 in a topic', MALFORMED, 0x30, [0, 1, 0, ...none]),
  ]
}

function ofSubscribe(none: Empty): Offence[] {
  return [
    // [MQTT-3.8.3-2]
    offence('SUBSCRIBE without a filter', PROTOCOL_ERROR, 0x82, [...ID, ...none]),
    // [MQTT-4.7.1-1]
    offence('a filter that is none', TOPIC_FILTER_INVALID, 0x82, [
      ...ID,
      ...none,
      ...[0, 2, 0x23, 0x61],
      0,
    ]),
    // [MQTT-3.10.3-2]
    offence('UNSUBSCRIBE without a filter', PROTOCOL_ERROR, 0xa2, [...ID, ...none]),
  ]
}

function ofAny(none: Empty): Offence[] {
  const level = none.length === 1 ? 5 : 4
  const connect = [0, 4, 0x4d, 0x51, 0x54, 0x54, level, 2, 0, 0, ...none, 0, 0]
  return [
    // [MQTT-3.1.0-2]
    offence('a second CONNECT', PROTOCOL_ERROR, 0x10, connect),
    offence('packet type 0', MALFORMED, 0, []),
    offence('SUBACK from a client', PROTOCOL_ERROR, 0x90, [...ID, ...none, 0]),
  ]
}

function ofFlags(none: Empty): Offence[] {
  return [
    // [MQTT-3.8.1-1]
    offence('SUBSCRIBE with flags 0', MALFORMED, 0x80, [...ID, ...none, ...A, 0]),
    // [MQTT-2.1.3-1]
    offence('PINGREQ with flags', MALFORMED, 0xc1, []),
    // [MQTT-3.6.1-1]
    offence('PUBREL with flags 0', MALFORMED, 0x60, ID),
  ]
}

function ofHeaders({ packetBytesMax }: Bounds): Offence[] {
  const length = packetBytesMax
  const digits = [length & 127, (length >> 7) & 127, (length >> 14) & 127, length >> 21]
  while (digits.at(-1) === 0) digits.pop()
  const size = digits.map((digit, at) => (at < digits.length - 1 ? digit | 128 : digit))
  const whole = { isHeader: true, isSure: true }
  return [
    {
      name: 'a packet that is too large',
      bytes: Uint8Array.from([0x30, ...size]),
      reasonCode: PACKET_TOO_LARGE, // [MQTT-3.2.2-15]
      ...whole,
    },
    {
      name: 'a length of five bytes',
      bytes: new Uint8Array(HEADER_BYTES).fill(0x80).fill(0x30, 0, 1),
      reasonCode: MALFORMED, // [MQTT-1.5.5-1]
      ...whole,
    },
  ]
}

function ofAlias({ topicAliasMaximum }: Bounds): Offence[] {
  const beyond = topicAliasMaximum + 1
  const alias = (number: number): number[] => [3, 0x23, number >> 8, number & 255]
  return [
    // [MQTT-3.3.2-8]
    offence('alias 0', TOPIC_ALIAS_INVALID, 0x30, [...A, ...alias(0)]),
    // [MQTT-3.3.2-9]
    offence('an alias too great', TOPIC_ALIAS_INVALID, 0x30, [...A, ...alias(beyond)]),
    offence('an alias twice', PROTOCOL_ERROR, 0x30, [...A, 6, 0x23, 0, 1, 0x23, 0, 1]),
    // [MQTT-4.7.3-1]
    offence('neither topic nor alias', PROTOCOL_ERROR, 0x30, [0, 0, 0]),
  ]
}

function ofFive(bounds: Bounds): Offence[] {
  const { sessionExpirySeconds, usesScram, userPropertiesMax, maximumQoS } = bounds
  const pair = [0x26, 0, 0, 0, 0]
  const pairs = Array.from({ length: userPropertiesMax + 1 }, () => pair).flat()
  const shared = [...'$share/g/a'].map(letter => letter.charCodeAt(0))
  return [
    // [MQTT-3.3.4-6]
    offence('a subscription identifier', PROTOCOL_ERROR, 0x30, [...A, 2, 0x0b, 1]),
    offence('too many user properties', QUOTA_EXCEEDED, 0x30, [...A, ...lengthOf(pairs), ...pairs]),
    // [MQTT-3.8.3-4]
    offence('No Local on a shared filter', PROTOCOL_ERROR, 0x82, [
      ...ID,
      0,
      ...[0, shared.length, ...shared],
      4,
    ]),
    // [MQTT-3.8.3-5]
    offence('reserved bits of options', MALFORMED, 0x82, [...ID, 0, ...A, 0xc0]),
    offence('AUTH without a method', PROTOCOL_ERROR, 0xf0, []),
    ...(usesScram
      ? []
      : [offence('AUTH where CONNECT had none', PROTOCOL_ERROR, 0xf0, [0x19, 4, 0x15, ...A])]),
    ...(sessionExpirySeconds === null
      ? [
          // Section 3.14.2.2.2.
          offence('an expiry that comes late', PROTOCOL_ERROR, 0xe0, [0, 5, 0x11, 0, 0, 0, 9]),
        ]
      : []),
    ...(maximumQoS < 2
      ? // [MQTT-3.2.2-11]
        [offence('a QoS too great', QOS_NOT_SUPPORTED, 0x34, [...A, ...ID, 0])]
      : []),
  ]
}

function offence(
  name: string,
  reasonCode: number,
  first: number,
  body: readonly number[],
): Offence {
  const bytes = Uint8Array.from([first, ...lengthOf(body), ...body])
  return { name, bytes, reasonCode, isHeader: false, isSure: true }
}

function lengthOf({ length }: readonly number[]): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, length >> 7]
}
