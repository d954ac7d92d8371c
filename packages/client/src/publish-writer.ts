// hot
// Writes PUBLISH packets and acknowledgements straight into the output of a connection, without an
// object per packet. Topics are checked and encoded once and then remembered.

import {
  encodeUtf8,
  encodeUtf8Into,
  isTopicName,
  PacketType,
  type Properties,
  utf8ByteLength,
  variableIntegerByteLength,
  Writer,
  writeProperties,
} from '@godwit/packet'
import { invalidArgument } from './errors.ts'
import { Limits } from './limits.ts'

const PUBLISH_FIRST = PacketType.PUBLISH << 4
const ALIAS_BYTES = 3
const ALIAS_ID = 0x23
/** Below this a loop is faster than a call of `set`. bench/src/client-speed.ts */
const LOOP_BYTES = 24
const NO_BYTES = new Uint8Array(0)
const scratch = new Writer()

const LONE_SURROGATE = /\p{Surrogate}/u
const nativeIsWellFormed = (String.prototype as { isWellFormed?: () => boolean }).isWellFormed

const encodedTopics = new Map<string, Uint8Array>()
let lastTopic = ''
let lastEncoded: Uint8Array = NO_BYTES

/**
 * The bytes of a topic name, without their length.
 * @throws MqttError `invalid-argument`
 */
export function encodeTopic(topic: string): Uint8Array {
  if (topic === lastTopic) return lastEncoded
  let encoded = encodedTopics.get(topic)
  if (encoded === undefined) {
    if (typeof topic !== 'string' || !isTopicName(topic) || !isWellFormed(topic)) {
      // [MQTT-3.3.2-2] [MQTT-4.7.1-1 v3] [MQTT-4.7.3-1]
      throw invalidArgument(`not a topic name: ${JSON.stringify(String(topic).slice(0, 40))}`)
    }
    encoded = encodeUtf8(topic)
    if (encoded.length <= Limits.encodedTopicBytes) {
      if (encodedTopics.size >= Limits.encodedTopics) encodedTopics.clear()
      encodedTopics.set(topic, encoded)
    }
  }
  lastTopic = topic
  lastEncoded = encoded
  return encoded
}

/** Whether a text can be written as UTF-8. Found out first: half a packet cannot be taken back. */
export function isWellFormed(text: string): boolean {
  return nativeIsWellFormed === undefined
    ? !LONE_SURROGATE.test(text)
    : nativeIsWellFormed.call(text)
}

export function payloadByteLength(payload: Uint8Array | string): number {
  return typeof payload === 'string' ? utf8ByteLength(payload) : payload.length
}

/** How many bytes `writePublishFast` writes. */
export function publishSize(
  level: number,
  topicBytes: Uint8Array,
  payload: Uint8Array | string,
  qos: number,
  properties: Uint8Array | null,
  alias: number,
): number {
  const payloadLength = payloadByteLength(payload)
  const length = bodyLength(level, topicBytes.length, payloadLength, qos, properties, alias)
  return 1 + variableIntegerByteLength(length) + length
}

/**
 * Appends a PUBLISH.
 * @param flags DUP, QoS and RETAIN as they are in the first byte
 * @param topicBytes empty when `alias` stands for it
 * @param properties as `encodeProperties` gives them; left out before MQTT 5.0
 * @param alias 0 for none
 * @returns where its body begins
 */
export function writePublishFast(
  writer: Writer,
  level: number,
  flags: number,
  topicBytes: Uint8Array,
  packetId: number,
  payload: Uint8Array | string,
  properties: Uint8Array | null,
  alias: number,
): number {
  const qos = (flags >> 1) & 3
  const payloadLength = payloadByteLength(payload)
  const body = bodyLength(level, topicBytes.length, payloadLength, qos, properties, alias)
  let at = claim(writer, 1 + variableIntegerByteLength(body) + body)
  const bytes = writer.bytes
  bytes[at++] = PUBLISH_FIRST | flags
  at = putLength(bytes, at, body)
  const bodyStart = at
  at = putTopic(bytes, at, topicBytes)
  if (qos > 0) {
    bytes[at++] = packetId >> 8
    bytes[at++] = packetId
  }
  if (level === 5) at = putProperties(bytes, at, properties, alias)
  putPayload(bytes, at, payload)
  return bodyStart
}

/**
 * The properties of a message as bytes, without their length.
 * @throws PacketError `invalid-packet`
 */
export function encodeProperties(properties: Properties): Uint8Array {
  scratch.reset()
  writeProperties(scratch, properties, PacketType.PUBLISH, 5)
  const { bytes, length } = scratch
  let start = 0
  while ((bytes[start++] as number) >= 0x80);
  return bytes.slice(start, length)
}

/** Appends PUBACK, PUBREC, PUBREL or PUBCOMP. A reason code of 0 is left out. */
export function writeAckFast(
  writer: Writer,
  level: number,
  type: number,
  packetId: number,
  reasonCode: number,
): void {
  const long = reasonCode !== 0 && level === 5
  const at = claim(writer, long ? 5 : 4)
  const bytes = writer.bytes
  // [MQTT-3.6.1-1]
  bytes[at] = (type << 4) | (type === PacketType.PUBREL ? 2 : 0)
  bytes[at + 1] = long ? 3 : 2
  bytes[at + 2] = packetId >> 8
  bytes[at + 3] = packetId
  if (long) bytes[at + 4] = reasonCode
}

function bodyLength(
  level: number,
  topicLength: number,
  payloadLength: number,
  qos: number,
  properties: Uint8Array | null,
  alias: number,
): number {
  const fixed = 2 + topicLength + (qos > 0 ? 2 : 0) + payloadLength
  if (level !== 5) return fixed
  const length = propertiesLength(properties, alias)
  return fixed + variableIntegerByteLength(length) + length
}

function propertiesLength(properties: Uint8Array | null, alias: number): number {
  return (properties === null ? 0 : properties.length) + (alias === 0 ? 0 : ALIAS_BYTES)
}

/** Makes room at the end and counts it as written. @returns where it begins */
function claim(writer: Writer, length: number): number {
  const at = writer.length
  const end = at + length
  if (end > writer.bytes.length) {
    const grown = new Uint8Array(Math.max(end, writer.bytes.length * 2))
    grown.set(writer.bytes)
    writer.bytes = grown
  }
  writer.length = end
  return at
}

function putLength(bytes: Uint8Array, start: number, length: number): number {
  let at = start
  let rest = length
  while (rest >= 0x80) {
    bytes[at++] = 0x80 | rest
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}

function putTopic(bytes: Uint8Array, start: number, topicBytes: Uint8Array): number {
  const length = topicBytes.length
  bytes[start] = length >> 8
  bytes[start + 1] = length
  copyInto(bytes, start + 2, topicBytes)
  return start + 2 + length
}

function putProperties(
  bytes: Uint8Array,
  start: number,
  properties: Uint8Array | null,
  alias: number,
): number {
  let at = putLength(bytes, start, propertiesLength(properties, alias)) // [MQTT-2.2.2-1]
  if (properties !== null) {
    copyInto(bytes, at, properties)
    at += properties.length
  }
  if (alias !== 0) {
    bytes[at++] = ALIAS_ID
    bytes[at++] = alias >> 8
    bytes[at++] = alias
  }
  return at
}

function putPayload(bytes: Uint8Array, at: number, payload: Uint8Array | string): void {
  if (typeof payload === 'string') encodeUtf8Into(payload, bytes, at)
  else copyInto(bytes, at, payload)
}

function copyInto(bytes: Uint8Array, start: number, from: Uint8Array): void {
  const length = from.length
  if (length > LOOP_BYTES) {
    bytes.set(from, start)
    return
  }
  for (let i = 0; i < length; i++) bytes[start + i] = from[i] as number
}
