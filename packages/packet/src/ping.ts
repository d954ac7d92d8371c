// PINGREQ and PINGRESP, which say nothing but that they came. MQTT 5.0 sections 3.12 and 3.13.

import type { ProtocolLevel } from './constants.ts'
import { checkFlags } from './fields.ts'
import type { PingPacket } from './packets.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** @throws PacketError `malformed-packet` */
export function readPing(reader: Reader, first: number, level: ProtocolLevel): PingPacket {
  checkFlags(first, 0, level)
  reader.finish()
  return { type: (first >> 4) as PingPacket['type'] }
}

export function writePing(writer: Writer, packet: PingPacket): void {
  writer.uint8(packet.type << 4)
  writer.uint8(0)
}
