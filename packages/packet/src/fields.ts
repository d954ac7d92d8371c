// What the files of single packets share: flags, packet identifiers, reason codes, QoS.

import { PACKET_ID_MAX, PacketType, type ProtocolLevel, type QoS } from './constants.ts'
import { checkInteger, invalidPacket, malformed, protocolError } from './errors.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const Acknowledged = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] as const
const Released = [0x00, 0x92] as const

/** Which reason codes a packet may have. MQTT 5.0 section 2.4. */
const ReasonCodes: { readonly [type: number]: readonly number[] } = {
  // [MQTT-3.2.2-8]
  [PacketType.CONNACK]: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ],
  [PacketType.PUBACK]: Acknowledged, // [MQTT-3.4.2-1]
  [PacketType.PUBREC]: Acknowledged, // [MQTT-3.5.2-1]
  [PacketType.PUBREL]: Released, // [MQTT-3.6.2-1]
  [PacketType.PUBCOMP]: Released, // [MQTT-3.7.2-1]
  // [MQTT-3.9.3-2]
  [PacketType.SUBACK]: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  [PacketType.UNSUBACK]: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91], // [MQTT-3.11.3-2]
  // [MQTT-3.14.2-1], and 0x8c, which table 2-6 grants to DISCONNECT for re-authentication.
  [PacketType.DISCONNECT]: [
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94,
    0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  [PacketType.AUTH]: [0x00, 0x18, 0x19], // [MQTT-3.15.2-1]
}

/** Return codes before MQTT 5.0. MQTT 3.1.1 sections 3.2.2.3 and 3.9.3. */
const ReturnCodes: { readonly [type: number]: readonly number[] } = {
  [PacketType.CONNACK]: [0, 1, 2, 3, 4, 5],
  [PacketType.SUBACK]: [0, 1, 2, 0x80], // [MQTT-3.9.3-2 v3]
}

/** Whether `code` is listed for packets of this type. */
export function isReasonCode(type: PacketType, code: number, level: ProtocolLevel): boolean {
  const listed = (level === 5 ? ReasonCodes : ReturnCodes)[type]
  return listed?.includes(code) ?? false
}

/** Refuses flags that the packet type does not have. MQTT 3.1 calls them unused. */
export function checkFlags(first: number, flags: number, level: ProtocolLevel): void {
  if ((first & 15) !== flags && level > 3) {
    malformed(`flags ${first & 15}, expected ${flags}`) // [MQTT-2.1.3-1] [MQTT-2.2.2-2 v3]
  }
}

export function readPacketId(reader: Reader): number {
  const packetId = reader.uint16()
  if (packetId === 0) protocolError('packet identifier 0') // [MQTT-2.2.1-3] [MQTT-2.3.1-1 v3]
  return packetId
}

export function writePacketId(writer: Writer, packetId: number): void {
  checkInteger(packetId, 1, PACKET_ID_MAX, 'a packet identifier')
  writer.uint16(packetId)
}

export function readReasonCode(reader: Reader, type: PacketType, level: ProtocolLevel): number {
  const code = reader.uint8()
  if (!isReasonCode(type, code, level)) protocolError(`reason code ${code}`)
  return code
}

export function writeReasonCode(
  writer: Writer,
  type: PacketType,
  code: number,
  level: ProtocolLevel,
): void {
  if (!isReasonCode(type, code, level)) invalidPacket('a reason code of this packet type', code)
  writer.uint8(code)
}

/** Reason codes up to the end of the packet, at least one. */
export function readReasonCodes(reader: Reader, type: PacketType, level: ProtocolLevel): number[] {
  const codes: number[] = []
  do codes.push(readReasonCode(reader, type, level))
  while (reader.at < reader.end)
  return codes
}

export function writeReasonCodes(
  writer: Writer,
  type: PacketType,
  codes: readonly number[],
  level: ProtocolLevel,
): void {
  checkList(codes, 'a list of reason codes')
  for (const code of codes) writeReasonCode(writer, type, code, level)
}

export function checkQoS(qos: QoS): void {
  if (qos !== 0 && qos !== 1 && qos !== 2) invalidPacket('a QoS of 0, 1 or 2', qos)
}

/** Refuses what is no list, or an empty one. */
export function checkList(list: readonly unknown[], what: string): void {
  if (!Array.isArray(list) || list.length === 0) invalidPacket(`${what}, not empty`, list)
}
