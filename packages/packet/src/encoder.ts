// Packets of any type to bytes.

import { writeAck } from './ack.ts'
import { writeAuth } from './auth.ts'
import { writeConnack } from './connack.ts'
import { writeConnect } from './connect.ts'
import { PacketType, type ProtocolLevel } from './constants.ts'
import { writeDisconnect } from './disconnect.ts'
import { invalidPacket } from './errors.ts'
import type { Packet } from './packets.ts'
import { writePing } from './ping.ts'
import { publishByteLength, writePublish } from './publish.ts'
import { writeSuback, writeSubscribe } from './subscribe.ts'
import { writeUnsuback, writeUnsubscribe } from './unsubscribe.ts'
import { Writer } from './writer.ts'

/** What the shared buffer may grow to for good. */
const SCRATCH_BYTES_MAX = 65_536

let scratch: Writer | null = null

/**
 * Appends a packet. A CONNECT is written in its own protocol level, whatever `level` says.
 * Fields that the level does not have (properties, reason codes, options) are left out.
 * @throws PacketError `invalid-packet`, and nothing was written
 */
export function writePacket(writer: Writer, packet: Packet, level: ProtocolLevel): void {
  const start = writer.length
  try {
    writeAny(writer, packet, level)
  } catch (error) {
    writer.length = start
    throw error
  }
}

/**
 * A packet as bytes of its own.
 * @throws PacketError `invalid-packet`
 */
export function encodePacket(packet: Packet, level: ProtocolLevel): Uint8Array {
  if (packet.type !== PacketType.PUBLISH) return encodeToScratch(packet, level).finish()
  // A payload can be large: it is copied once, into a buffer of the right size.
  const writer = new Writer(packetByteLength(packet, level))
  writePublish(writer, packet, level)
  return writer.bytes
}

/**
 * How many bytes `encodePacket` gives; of a PUBLISH without encoding it.
 * @throws PacketError `invalid-packet`
 */
export function packetByteLength(packet: Packet, level: ProtocolLevel): number {
  return packet.type === PacketType.PUBLISH
    ? publishByteLength(packet, level)
    : encodeToScratch(packet, level).length
}

function encodeToScratch(packet: Packet, level: ProtocolLevel): Writer {
  if (scratch === null || scratch.bytes.length > SCRATCH_BYTES_MAX) scratch = new Writer()
  scratch.reset()
  writeAny(scratch, packet, level)
  return scratch
}

function writeAny(writer: Writer, packet: Packet, level: ProtocolLevel): void {
  switch (packet.type) {
    case PacketType.CONNECT:
      writeConnect(writer, packet)
      break
    case PacketType.CONNACK:
      writeConnack(writer, packet, level)
      break
    case PacketType.PUBLISH:
      writePublish(writer, packet, level)
      break
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBREL:
    case PacketType.PUBCOMP:
      writeAck(writer, packet, level)
      break
    case PacketType.SUBSCRIBE:
      writeSubscribe(writer, packet, level)
      break
    case PacketType.SUBACK:
      writeSuback(writer, packet, level)
      break
    case PacketType.UNSUBSCRIBE:
      writeUnsubscribe(writer, packet, level)
      break
    case PacketType.UNSUBACK:
      writeUnsuback(writer, packet, level)
      break
    case PacketType.PINGREQ:
    case PacketType.PINGRESP:
      writePing(writer, packet)
      break
    case PacketType.DISCONNECT:
      writeDisconnect(writer, packet, level)
      break
    case PacketType.AUTH:
      writeAuth(writer, packet, level)
      break
    default:
      invalidPacket('a packet type from 1 to 15', (packet as { type: unknown }).type)
  }
}
