// Packets to bytes. What a client writes is a set of its own, so that the bundle of a client holds
// nothing that only a server needs.

import { writeAck } from './ack.ts'
import { writeAuth } from './auth.ts'
import { writeConnack } from './connack.ts'
import { writeConnect } from './connect.ts'
import { PacketType, type ProtocolLevel } from './constants.ts'
import { writeDisconnect } from './disconnect.ts'
import { checkObject, invalidPacket } from './errors.ts'
import type { ClientPacket, Packet, ServerPacket } from './packets.ts'
import { writePing } from './ping.ts'
import { publishByteLength, writePublish } from './publish.ts'
import { writeSuback, writeSubscribe } from './subscribe.ts'
import { writeUnsuback, writeUnsubscribe } from './unsubscribe.ts'
import { Writer } from './writer.ts'

/** What the shared buffer may grow to for good. */
const SCRATCH_BYTES_MAX = 65_536

let scratch: Writer | null = null

type Write<P> = (writer: Writer, packet: P, level: ProtocolLevel) => void

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
  return encodeWith(writeAny, packet, level)
}

/** `encodePacket` for what a client sends; smaller in a bundle. */
export function encodeClientPacket(packet: ClientPacket, level: ProtocolLevel): Uint8Array {
  return encodeWith(writeFromClient, packet, level)
}

/**
 * How many bytes `encodePacket` gives; of a PUBLISH without encoding it.
 * @throws PacketError `invalid-packet`
 */
export function packetByteLength(packet: Packet, level: ProtocolLevel): number {
  return packet.type === PacketType.PUBLISH
    ? publishByteLength(packet, level)
    : writeToScratch(writeAny, packet, level).length
}

function encodeWith<P extends Packet>(
  write: Write<P>,
  packet: P,
  level: ProtocolLevel,
): Uint8Array {
  checkObject(packet, 'a packet')
  if (packet.type !== PacketType.PUBLISH) return writeToScratch(write, packet, level).finish()
  // A payload can be large: it is copied once, into a buffer of the right size.
  const writer = new Writer(publishByteLength(packet, level))
  writePublish(writer, packet, level)
  return writer.bytes
}

function writeToScratch<P>(write: Write<P>, packet: P, level: ProtocolLevel): Writer {
  if (scratch === null || scratch.bytes.length > SCRATCH_BYTES_MAX) scratch = new Writer()
  scratch.reset()
  write(scratch, packet, level)
  return scratch
}

function writeAny(writer: Writer, packet: Packet, level: ProtocolLevel): void {
  switch (packet.type) {
    case PacketType.CONNACK:
    case PacketType.SUBACK:
    case PacketType.UNSUBACK:
      writeFromServer(writer, packet, level)
      break
    default:
      writeFromClient(writer, packet, level)
  }
}

function writeFromServer(
  writer: Writer,
  packet: Exclude<ServerPacket, ClientPacket>,
  level: ProtocolLevel,
): void {
  switch (packet.type) {
    case PacketType.CONNACK:
      writeConnack(writer, packet, level)
      break
    case PacketType.SUBACK:
      writeSuback(writer, packet, level)
      break
    default:
      writeUnsuback(writer, packet, level)
  }
}

function writeFromClient(writer: Writer, packet: ClientPacket, level: ProtocolLevel): void {
  switch (packet.type) {
    case PacketType.CONNECT:
      writeConnect(writer, packet)
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
    case PacketType.UNSUBSCRIBE:
      writeUnsubscribe(writer, packet, level)
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
      invalidPacket('a packet type', (packet as { readonly type: unknown }).type)
  }
}
