// hot
// PUBACK, PUBREC, PUBREL, PUBCOMP: the four answers on the way of a message.
// MQTT 5.0 sections 3.4 to 3.7.

import { PacketType, type ProtocolLevel } from './constants.ts'
import {
  checkFlags,
  readPacketId,
  readReasonCode,
  writePacketId,
  writeReasonCode,
} from './fields.ts'
import { type AckPacket, NO_PROPERTIES } from './packets.ts'
import { hasNoProperties, readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const PUBREL_FLAGS = 2

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readAck(reader: Reader, first: number, level: ProtocolLevel): AckPacket {
  const type = (first >> 4) as AckPacket['type']
  checkFlags(first, flagsOf(type), level) // [MQTT-3.6.1-1]
  const packetId = readPacketId(reader)
  let reasonCode = 0
  let properties = NO_PROPERTIES
  if (level === 5 && reader.at < reader.end) {
    reasonCode = readReasonCode(reader, type, level)
    if (reader.at < reader.end) properties = readProperties(reader, type, level)
  }
  reader.finish()
  return { type, packetId, reasonCode, properties }
}

/** In the shortest form. Before MQTT 5.0 there is no reason code: it is left out. */
export function writeAck(writer: Writer, packet: AckPacket, level: ProtocolLevel): void {
  const { type, packetId, reasonCode, properties } = packet
  writer.uint8((type << 4) | flagsOf(type))
  const mark = writer.open()
  writePacketId(writer, packetId)
  if (level === 5) {
    const plain = hasNoProperties(properties)
    if (reasonCode !== 0 || !plain) writeReasonCode(writer, type, reasonCode, level)
    if (!plain) writeProperties(writer, properties, type, level)
  }
  writer.close(mark)
}

function flagsOf(type: number): number {
  return type === PacketType.PUBREL ? PUBREL_FLAGS : 0
}
