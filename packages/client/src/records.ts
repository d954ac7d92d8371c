// Records of outgoing messages: stage and order, then the message as a PUBLISH of MQTT 5.0.

import {
  Decoder,
  hasNoProperties,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PacketType,
  type PublishPacket,
  readServerPacket,
  Writer,
} from '@godwit/packet'
import { Outgoing, Stage } from './outgoing.ts'
import { encodeProperties, encodeTopic, writePublishFast } from './publish-writer.ts'

const HEADER_BYTES = 9
const VERSION = 1

/** The record of a message that waits or was sent. */
export function encodeRecord(message: Outgoing): Uint8Array {
  const { qos, retain, payload, properties } = message
  const writer = new Writer(HEADER_BYTES + message.bytes + 32)
  writeHeader(writer, message.stage, message.sequence)
  const flags = (qos << 1) | (retain ? 1 : 0)
  // A packet identifier of 0 would not be read; the key has the real one.
  writePublishFast(writer, 5, flags, encodeTopic(message.topic), 1, payload, properties, 0)
  return writer.finish()
}

/** The record of a message whose PUBREL was sent: nothing but its place in the order. */
export function encodeReleased(sequence: number): Uint8Array {
  const writer = new Writer(HEADER_BYTES)
  writeHeader(writer, Stage.RELEASED, sequence)
  return writer.finish()
}

/** @throws Error when the bytes are no record */
export function decodeRecord(bytes: Uint8Array): Outgoing {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER_BYTES || view.getUint8(0) !== VERSION) {
    throw new Error('a record of the session store cannot be read')
  }
  const packet = bytes.length === HEADER_BYTES ? EMPTY_PUBLISH : decodePublish(bytes)
  const { topic, payload, qos, retain } = packet
  const properties = hasNoProperties(packet.properties) ? null : encodeProperties(packet.properties)
  const message = new Outgoing(topic, payload, qos, retain, properties, bytes.length, null)
  message.stage = view.getUint8(1)
  message.sequence = view.getUint16(3) * 0x1_0000_0000 + view.getUint32(5)
  return message
}

const EMPTY_PUBLISH: PublishPacket = {
  type: PacketType.PUBLISH,
  topic: '',
  payload: new Uint8Array(0),
  qos: 2,
  retain: false,
  dup: false,
  packetId: 1,
  properties: NO_PROPERTIES,
}

function decodePublish(bytes: Uint8Array): PublishPacket {
  const decoder = new Decoder(PACKET_BYTES_MAX)
  decoder.push(bytes.subarray(HEADER_BYTES))
  if (!decoder.next()) throw new Error('a record of the session store ends too early')
  const { first, bytes: frame, bodyStart, end } = decoder
  return readServerPacket(first, frame, bodyStart, end, 5) as PublishPacket
}

function writeHeader(writer: Writer, stage: number, sequence: number): void {
  writer.uint8(VERSION)
  writer.uint8(stage)
  // Seven bytes; a number is exact up to 53 bits.
  writer.uint8(0)
  writer.uint16(Math.floor(sequence / 0x1_0000_0000))
  writer.uint32(sequence >>> 0)
}
