// DISCONNECT. MQTT 5.0 section 3.14.

import { PacketType, type ProtocolLevel } from './constants.ts'
import { checkFlags, readReasonCode, writeReasonCode } from './fields.ts'
import { type DisconnectPacket, NO_PROPERTIES } from './packets.ts'
import { hasNoProperties, readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const { DISCONNECT } = PacketType

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readDisconnect(
  reader: Reader,
  first: number,
  level: ProtocolLevel,
): DisconnectPacket {
  checkFlags(first, 0, level) // [MQTT-3.14.1-1]
  let reasonCode = 0
  let properties = NO_PROPERTIES
  if (level === 5 && reader.at < reader.end) {
    reasonCode = readReasonCode(reader, DISCONNECT, level)
    if (reader.at < reader.end) properties = readProperties(reader, DISCONNECT, level)
  }
  reader.finish()
  return { type: DISCONNECT, reasonCode, properties }
}

/** In the shortest form. Before MQTT 5.0 there is no reason code: it is left out. */
export function writeDisconnect(
  writer: Writer,
  packet: DisconnectPacket,
  level: ProtocolLevel,
): void {
  const { reasonCode, properties } = packet
  writer.uint8(DISCONNECT << 4)
  const mark = writer.open()
  if (level === 5) {
    const plain = hasNoProperties(properties)
    if (reasonCode !== 0 || !plain) writeReasonCode(writer, DISCONNECT, reasonCode, level)
    if (!plain) writeProperties(writer, properties, DISCONNECT, level)
  }
  writer.close(mark)
}
