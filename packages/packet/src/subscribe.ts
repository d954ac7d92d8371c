// SUBSCRIBE and SUBACK. MQTT 5.0 sections 3.8 and 3.9.

import { PacketType, type ProtocolLevel, type QoS } from './constants.ts'
import { checkObject, invalidPacket, malformed, protocolError } from './errors.ts'
import {
  checkFlags,
  checkList,
  checkQoS,
  readPacketId,
  readReasonCodes,
  writePacketId,
  writeReasonCodes,
} from './fields.ts'
import type { SubackPacket, SubscribePacket, SubscriptionRequest } from './packets.ts'
import { readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import { checkTopicFilter, isTopicFilter, parseSharedFilter } from './topic.ts'
import type { Writer } from './writer.ts'

const { SUBSCRIBE, SUBACK } = PacketType

const FLAGS = 2
const QOS = 0x03
const NO_LOCAL = 0x04
const RETAIN_AS_PUBLISHED = 0x08
const RETAIN_HANDLING_SHIFT = 4

/** @throws PacketError `topic-filter-invalid`, `malformed-packet`, `protocol-error` */
export function readSubscribe(
  reader: Reader,
  first: number,
  level: ProtocolLevel,
): SubscribePacket {
  checkFlags(first, FLAGS, level) // [MQTT-3.8.1-1]
  const packetId = readPacketId(reader)
  const properties = readProperties(reader, SUBSCRIBE, level)
  if (reader.at === reader.end) protocolError('a SUBSCRIBE without a filter') // [MQTT-3.8.3-2]
  const subscriptions: SubscriptionRequest[] = []
  while (reader.at < reader.end) subscriptions.push(readSubscription(reader, level))
  return { type: SUBSCRIBE, packetId, subscriptions, properties }
}

function readSubscription(reader: Reader, level: ProtocolLevel): SubscriptionRequest {
  const filter = reader.string() // [MQTT-3.8.3-1]
  checkTopicFilter(filter)
  const options = reader.uint8()
  // [MQTT-3.8.3-5] [MQTT-3.8.3-4 v3]
  if ((options & (level === 5 ? 0xc0 : 0xfc)) !== 0) malformed(`subscription options ${options}`)
  const qos = options & QOS
  const retainHandling = options >> RETAIN_HANDLING_SHIFT
  const noLocal = (options & NO_LOCAL) !== 0
  if (qos === 3) protocolError('a subscription with QoS 3')
  if (retainHandling === 3) protocolError('retain handling 3')
  // [MQTT-3.8.3-4]
  if (noLocal && parseSharedFilter(filter) !== null) protocolError('no local on a shared filter')
  return {
    filter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & RETAIN_AS_PUBLISHED) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  }
}

/** Before MQTT 5.0 the QoS is the only option: the others are left out. */
export function writeSubscribe(
  writer: Writer,
  packet: SubscribePacket,
  level: ProtocolLevel,
): void {
  checkList(packet.subscriptions, 'a list of subscriptions')
  writer.uint8((SUBSCRIBE << 4) | FLAGS)
  const mark = writer.open()
  writePacketId(writer, packet.packetId)
  writeProperties(writer, packet.properties, SUBSCRIBE, level)
  for (const subscription of packet.subscriptions) {
    checkObject(subscription, 'a subscription')
    writeFilter(writer, subscription.filter)
    writer.uint8(optionsOf(subscription, level))
  }
  writer.close(mark)
}

function optionsOf(subscription: SubscriptionRequest, level: ProtocolLevel): number {
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription
  checkQoS(qos)
  if (level < 5) return qos
  if (retainHandling !== 0 && retainHandling !== 1 && retainHandling !== 2) {
    invalidPacket('a retain handling of 0, 1 or 2', retainHandling)
  }
  if (noLocal && parseSharedFilter(filter) !== null) {
    invalidPacket('no local only on filters that are not shared', filter)
  }
  return (
    qos |
    (noLocal ? NO_LOCAL : 0) |
    (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) |
    (retainHandling << RETAIN_HANDLING_SHIFT)
  )
}

export function writeFilter(writer: Writer, filter: string): void {
  writer.string(filter, 'a topic filter')
  if (!isTopicFilter(filter)) invalidPacket('a topic filter', filter)
}

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readSuback(reader: Reader, first: number, level: ProtocolLevel): SubackPacket {
  checkFlags(first, 0, level)
  const packetId = readPacketId(reader)
  const properties = readProperties(reader, SUBACK, level)
  return { type: SUBACK, packetId, reasonCodes: readReasonCodes(reader, SUBACK, level), properties }
}

export function writeSuback(writer: Writer, packet: SubackPacket, level: ProtocolLevel): void {
  writer.uint8(SUBACK << 4)
  const mark = writer.open()
  writePacketId(writer, packet.packetId)
  writeProperties(writer, packet.properties, SUBACK, level)
  writeReasonCodes(writer, SUBACK, packet.reasonCodes, level)
  writer.close(mark)
}
