// AUTH, a step of enhanced authentication. MQTT 5.0 section 3.15; no earlier version has it.

import { PacketType, type ProtocolLevel } from './constants.ts'
import { invalidPacket, malformed, protocolError } from './errors.ts'
import { checkFlags, readReasonCode, writeReasonCode } from './fields.ts'
import { type AuthPacket, NO_PROPERTIES } from './packets.ts'
import { hasNoProperties, readProperties, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const { AUTH } = PacketType

/** @throws PacketError `malformed-packet`, `protocol-error` */
export function readAuth(reader: Reader, first: number, level: ProtocolLevel): AuthPacket {
  if (level !== 5) malformed('an AUTH before MQTT 5.0')
  checkFlags(first, 0, level) // [MQTT-3.15.1-1]
  // Only "success without properties" may be left out.
  if (reader.at === reader.end) return { type: AUTH, reasonCode: 0, properties: NO_PROPERTIES }
  const reasonCode = readReasonCode(reader, AUTH, level)
  const properties = readProperties(reader, AUTH, level)
  reader.finish()
  if (properties.authenticationMethod === undefined) {
    protocolError('an AUTH without an authentication method')
  }
  return { type: AUTH, reasonCode, properties }
}

export function writeAuth(writer: Writer, packet: AuthPacket, level: ProtocolLevel): void {
  if (level !== 5) invalidPacket('MQTT 5.0 for an AUTH', level)
  const { reasonCode, properties } = packet
  writer.uint8(AUTH << 4)
  const mark = writer.open()
  if (!hasNoProperties(properties) || reasonCode !== 0) {
    if (properties.authenticationMethod === undefined) {
      invalidPacket('an authentication method', undefined)
    }
    writeReasonCode(writer, AUTH, reasonCode, level)
    writeProperties(writer, properties, AUTH, level)
  }
  writer.close(mark)
}
