// CONNACK, the server's answer to CONNECT. MQTT 5.0 section 3.2.

import { PacketType, type ProtocolLevel } from './constants.ts'
import { invalidPacket, malformed, protocolError } from './errors.ts'
import { checkFlags, readReasonCode, writeReasonCode } from './fields.ts'
import type { ConnackPacket } from './packets.ts'
import { readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const { CONNACK } = PacketType

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readConnack(reader: Reader, first: number, level: ProtocolLevel): ConnackPacket {
  checkFlags(first, 0, level)
  // MQTT 3.1 has no session present flag and reserves the whole byte.
  const flags = level === 3 ? reader.uint8() & 0 : reader.uint8()
  if (flags > 1) malformed(`acknowledge flags ${flags}`) // [MQTT-3.2.2-1]
  const reasonCode = readReasonCode(reader, CONNACK, level)
  if (flags === 1 && reasonCode !== 0) {
    protocolError(`a session is present with reason code ${reasonCode}`) // [MQTT-3.2.2-6]
  }
  const properties = readProperties(reader, CONNACK, level)
  reader.finish()
  return { type: CONNACK, sessionPresent: flags === 1, reasonCode, properties }
}

/** MQTT 3.1 cannot say that a session is present: there it is left out. */
export function writeConnack(writer: Writer, packet: ConnackPacket, level: ProtocolLevel): void {
  const { sessionPresent, reasonCode } = packet
  // [MQTT-3.2.2-6] [MQTT-3.2.2-4 v3]
  if (sessionPresent && reasonCode !== 0) invalidPacket('no session with a refusal', reasonCode)
  writer.uint8(CONNACK << 4)
  const mark = writer.open()
  writer.uint8(sessionPresent && level > 3 ? 1 : 0)
  writeReasonCode(writer, CONNACK, reasonCode, level)
  writeProperties(writer, packet.properties, CONNACK, level)
  writer.close(mark)
}
