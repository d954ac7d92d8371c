// The lines of an export: one JSON object each, with names that people can read and nothing lost.
// export.ts writes them, import.ts takes them back.

import {
  encodePacket,
  PacketType,
  type Properties,
  type PublishPacket,
  readPacket,
} from '@godwit/packet'
import type { StoredMessage } from '../core/ports.ts'
import type { Row } from './sqlite.ts'

/** 2: wills may have the user name of their client. */
export const EXPORT_VERSION = 2

/** What `state` of a delivery is called, by its number in InflightState. */
export const STATE_NAMES = ['waiting', 'qos1-sent', 'qos2-sent', 'released'] as const

/** Ends the name of a property whose value is bytes in base64. */
export const BYTES_SUFFIX = 'Base64'

export type Line = Record<string, unknown>

/** @param row of the table of messages */
export function messageOf(row: Row): StoredMessage {
  const frame = row['frame']
  return {
    id: Number(row['id']),
    frame: frame instanceof Uint8Array ? frame : new Uint8Array(0),
    protocolLevel: row['level'] === 5 ? 5 : 4,
    expiresAtMs: Number(row['expires_at']),
    publisher: String(row['publisher']),
  }
}

/** A stored message in words; the frame itself where words would not give the same bytes. */
export function messageLine(message: StoredMessage): Line {
  const { id, protocolLevel, expiresAtMs, publisher, frame } = message
  const begin = { type: 'message', id, protocolLevel, expiresAtMs, publisher }
  const words = wordsOf(frame, protocolLevel)
  return words === null
    ? { ...begin, frameBase64: Buffer.from(frame).toString('base64') }
    : { ...begin, ...words }
}

/** @throws PacketError for what no PUBLISH can have */
export function frameOf(
  message: Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain' | 'properties'>,
  level: 4 | 5,
): Uint8Array {
  const packetId = message.qos === 0 ? 0 : 1
  return encodePacket({ type: PacketType.PUBLISH, dup: false, packetId, ...message }, level)
}

/** @throws PacketError when it is no PUBLISH */
export function publishOf(frame: Uint8Array, level: 4 | 5): PublishPacket | null {
  let bodyStart = 2
  while ((frame[bodyStart - 1] ?? 0) > 127) bodyStart++
  const packet = readPacket(frame[0] ?? 0, frame, bodyStart, frame.length, level, 'server')
  return packet.type === PacketType.PUBLISH ? packet : null
}

function wordsOf(frame: Uint8Array, level: 4 | 5): Line | null {
  const packet = publishOf(frame, level)
  if (packet === null) return null
  const { topic, payload, qos, retain, properties } = packet
  const again = frameOf({ topic, payload, qos, retain, properties }, level)
  if (!Buffer.from(again).equals(frame)) return null
  return { topic, qos, retain, ...payloadWords(payload), ...propertiesWords(properties) }
}

function payloadWords(payload: Uint8Array): Line {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { payload: text }
    : { payloadBase64: bytes.toString('base64') }
}

function propertiesWords(properties: Properties): Line {
  // They are written in the order in which they are here: it must stay.
  const words = Object.entries(properties).map(([name, value]) =>
    value instanceof Uint8Array
      ? [`${name}${BYTES_SUFFIX}`, Buffer.from(value).toString('base64')]
      : [name, value],
  )
  return words.length === 0 ? {} : { properties: Object.fromEntries(words) }
}

/** What a subscription's options say, see StoredSubscription. */
export function optionWords(options: number): Line {
  return {
    qos: options & 3,
    noLocal: (options & 4) !== 0,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: options >> 4,
  }
}

/** What the flags of a delivery say, see StoredDelivery. */
export function flagWords(flags: number): Line {
  return { qos: flags & 3, retain: (flags & 4) !== 0 }
}
