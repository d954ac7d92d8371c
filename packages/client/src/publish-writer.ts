// hot
// Writes PUBLISH packets and acknowledgements straight into the output of a connection, without an
// object per packet. Topics are checked and encoded once and then remembered.

import {
  encodeUtf8,
  encodeUtf8Into,
  isTopicName,
  PacketType,
  type Properties,
  propertiesByteLength,
  utf8ByteLength,
  variableIntegerByteLength,
  type Writer,
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
  properties: Properties | null,
): number {
  const length = bodyLength(
    level,
    topicBytes.length,
    payloadByteLength(payload),
    qos,
    properties,
    0,
  )
  return 1 + variableIntegerByteLength(length) + length
}

/**
 * Appends a PUBLISH.
 * @param flags DUP, QoS and RETAIN as they are in the first byte
 * @param topicBytes empty when `alias` stands for it
 * @param alias 0 for none
 */
export function writePublishFast(
  writer: Writer,
  level: number,
  flags: number,
  topicBytes: Uint8Array,
  packetId: number,
  payload: Uint8Array | string,
  properties: Properties | null,
  alias: number,
): void {
  const qos = (flags >> 1) & 3
  const topicLength = topicBytes.length
  const payloadLength = payloadByteLength(payload)
  const body = bodyLength(level, topicLength, payloadLength, qos, properties, alias)
  if (properties !== null && level === 5) {
    writeWithProperties(writer, flags, topicBytes, packetId, payload, properties, alias, body)
    return
  }
  let at = claim(writer, 1 + variableIntegerByteLength(body) + body)
  const bytes = writer.bytes
  bytes[at++] = PUBLISH_FIRST | flags
  at = putLength(bytes, at, body)
  at = putTopic(bytes, at, topicBytes)
  if (qos > 0) {
    bytes[at++] = packetId >> 8
    bytes[at++] = packetId
  }
  if (level === 5) {
    if (alias === 0) {
      bytes[at++] = 0 // [MQTT-2.2.2-1]
    } else {
      bytes[at++] = ALIAS_BYTES
      bytes[at++] = ALIAS_ID
      bytes[at++] = alias >> 8
      bytes[at++] = alias
    }
  }
  putPayload(bytes, at, payload)
}

function writeWithProperties(
  writer: Writer,
  flags: number,
  topicBytes: Uint8Array,
  packetId: number,
  payload: Uint8Array | string,
  properties: Properties,
  alias: number,
  body: number,
): void {
  writer.uint8(PUBLISH_FIRST | flags)
  writer.variableInteger(body)
  let at = claim(writer, 2 + topicBytes.length)
  putTopic(writer.bytes, at, topicBytes)
  if (((flags >> 1) & 3) > 0) writer.uint16(packetId)
  const all = alias === 0 ? properties : { ...properties, topicAlias: alias }
  writeProperties(writer, all, PacketType.PUBLISH, 5)
  at = claim(writer, payloadByteLength(payload))
  putPayload(writer.bytes, at, payload)
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
  properties: Properties | null,
  alias: number,
): number {
  const fixed = 2 + topicLength + (qos > 0 ? 2 : 0) + payloadLength
  if (level !== 5) return fixed
  if (properties === null) return fixed + 1 + (alias === 0 ? 0 : ALIAS_BYTES)
  const all = alias === 0 ? properties : { ...properties, topicAlias: alias }
  return fixed + propertiesByteLength(all, 5)
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
