// hot
// PUBLISH, the packet that carries a message. MQTT 5.0 section 3.3.

import { PacketType, type ProtocolLevel, type QoS } from './constants.ts'
import { checkObject, invalidPacket, malformed, protocolError } from './errors.ts'
import { checkQoS, readPacketId, writePacketId } from './fields.ts'
import type { PublishPacket } from './packets.ts'
import {
  checkTopicNameToWrite,
  propertiesByteLength,
  readProperties,
  writeProperties,
} from './properties.ts'
import type { Reader } from './reader.ts'
import { checkTopicName } from './topic.ts'
import { utf8ByteLength } from './utf8.ts'
import { checkBytes, variableIntegerByteLength, type Writer } from './writer.ts'

const { PUBLISH } = PacketType

const RETAIN = 0x01
const DUP = 0x08

/**
 * The payload and binary properties are views on the input.
 * @throws PacketError `topic-name-invalid`, `topic-alias-invalid`, `malformed-packet`,
 * `protocol-error`
 */
export function readPublish(reader: Reader, first: number, level: ProtocolLevel): PublishPacket {
  const qos = (first >> 1) & 3
  const dup = (first & DUP) !== 0
  if (qos === 3) malformed('QoS 3') // [MQTT-3.3.1-4]
  if (dup && qos === 0) malformed('DUP with QoS 0') // [MQTT-3.3.1-2]
  const topic = reader.string() // [MQTT-3.3.2-1]
  const packetId = qos === 0 ? 0 : readPacketId(reader) // [MQTT-2.2.1-2]
  const properties = readProperties(reader, PUBLISH, level)
  if (topic !== '') checkTopicName(topic)
  // [MQTT-4.7.3-1]
  else if (properties.topicAlias === undefined) protocolError('no topic and no topic alias')
  return {
    type: PUBLISH,
    topic,
    payload: reader.rest(),
    qos: qos as QoS,
    retain: (first & RETAIN) !== 0,
    dup,
    packetId,
    properties,
  }
}

/** @throws PacketError `invalid-packet` */
export function writePublish(writer: Writer, packet: PublishPacket, level: ProtocolLevel): void {
  checkPublish(packet, level)
  const { topic, payload, qos, retain, dup, properties } = packet
  writer.uint8((PUBLISH << 4) | (dup ? DUP : 0) | (qos << 1) | (retain ? RETAIN : 0))
  writer.variableInteger(bodyByteLength(packet, level))
  writer.string(topic, 'a topic')
  if (qos > 0) writePacketId(writer, packet.packetId)
  writeProperties(writer, properties, PUBLISH, level)
  writer.raw(payload, 'a payload')
}

function checkPublish(packet: PublishPacket, level: ProtocolLevel): void {
  const { topic, qos, properties } = packet
  checkQoS(qos)
  checkBytes(packet.payload, 'a payload')
  checkObject(properties, 'an object of properties')
  if (packet.dup && qos === 0) invalidPacket('DUP only with QoS 1 or 2', qos) // [MQTT-3.3.1-2]
  if (level < 5 || topic !== '' || properties.topicAlias === undefined) {
    checkTopicNameToWrite(topic, 'a topic') // [MQTT-3.3.2-2]
  }
}

/**
 * How many bytes `writePublish` will write.
 * @throws PacketError `invalid-packet`
 */
export function publishByteLength(packet: PublishPacket, level: ProtocolLevel): number {
  checkPublish(packet, level)
  const length = bodyByteLength(packet, level)
  return 1 + variableIntegerByteLength(length) + length
}

function bodyByteLength(packet: PublishPacket, level: ProtocolLevel): number {
  const header = 2 + utf8ByteLength(packet.topic) + (packet.qos > 0 ? 2 : 0)
  return header + propertiesByteLength(packet.properties, level) + packet.payload.length
}
