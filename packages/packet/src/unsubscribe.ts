// UNSUBSCRIBE and UNSUBACK. MQTT 5.0 sections 3.10 and 3.11.

import { PacketType, type ProtocolLevel } from './constants.ts'
import { protocolError } from './errors.ts'
import {
  checkFlags,
  checkList,
  readPacketId,
  readReasonCodes,
  writePacketId,
  writeReasonCodes,
} from './fields.ts'
import type { UnsubackPacket, UnsubscribePacket } from './packets.ts'
import { readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import { writeFilter } from './subscribe.ts'
import { checkTopicFilter } from './topic.ts'
import type { Writer } from './writer.ts'

const { UNSUBSCRIBE, UNSUBACK } = PacketType

const FLAGS = 2

/** @throws PacketError `topic-filter-invalid`, `malformed-packet`, `protocol-error` */
export function readUnsubscribe(
  reader: Reader,
  first: number,
  level: ProtocolLevel,
): UnsubscribePacket {
  checkFlags(first, FLAGS, level) // [MQTT-3.10.1-1]
  const packetId = readPacketId(reader)
  const properties = readProperties(reader, UNSUBSCRIBE, level)
  if (reader.at === reader.end) protocolError('an UNSUBSCRIBE without a filter') // [MQTT-3.10.3-2]
  const filters: string[] = []
  while (reader.at < reader.end) {
    const filter = reader.string() // [MQTT-3.10.3-1]
    checkTopicFilter(filter)
    filters.push(filter)
  }
  return { type: UNSUBSCRIBE, packetId, filters, properties }
}

export function writeUnsubscribe(
  writer: Writer,
  packet: UnsubscribePacket,
  level: ProtocolLevel,
): void {
  checkList(packet.filters, 'a list of filters')
  writer.uint8((UNSUBSCRIBE << 4) | FLAGS)
  const mark = writer.open()
  writePacketId(writer, packet.packetId)
  writeProperties(writer, packet.properties, UNSUBSCRIBE, level)
  for (const filter of packet.filters) writeFilter(writer, filter)
  writer.close(mark)
}

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readUnsuback(reader: Reader, first: number, level: ProtocolLevel): UnsubackPacket {
  checkFlags(first, 0, level)
  const packetId = readPacketId(reader)
  const properties = readProperties(reader, UNSUBACK, level)
  const reasonCodes = level === 5 ? readReasonCodes(reader, UNSUBACK, level) : []
  reader.finish()
  return { type: UNSUBACK, packetId, reasonCodes, properties }
}

/** Before MQTT 5.0 there are no reason codes: they are left out. */
export function writeUnsuback(writer: Writer, packet: UnsubackPacket, level: ProtocolLevel): void {
  writer.uint8(UNSUBACK << 4)
  const mark = writer.open()
  writePacketId(writer, packet.packetId)
  writeProperties(writer, packet.properties, UNSUBACK, level)
  if (level === 5) writeReasonCodes(writer, UNSUBACK, packet.reasonCodes, level)
  writer.close(mark)
}
