// Makes messages that outlive the turn: copies of those that pass, those that the broker itself
// publishes, and those that the store gives back. Their frames have no alias, DUP or expiry.

import {
  decodeUtf8,
  encodePacket,
  PacketError,
  PacketType,
  type Properties,
  PublishView,
  type QoS,
  ReasonCode,
} from '@godwit/packet'
import { frameBytesMax, Message, NEVER_EXPIRES, type PublishForm, writePublish } from './message.ts'
import { copyOfBytes, plainly } from './plain.ts'
import type { StoredMessage } from './ports.ts'

/** How a frame is written; one is reused for many, its fields set before each. */
export class Form implements PublishForm {
  level5 = false
  qos = 0
  retain = false
  dup = false
  packetId = 0
  expirySeconds = -1
  identifiers: readonly number[] | null = null
  alias = 0
  aliasKnown = false
}

/**
 * Small messages that are kept share blocks: a buffer of its own costs 0.3 us to make and 150 bytes
 * to have, more than the message. A block is small, so that one message that stays long does not
 * keep much more than itself alive. (`QoS 1, persistent` of the yardstick: 3 us a message in all.)
 */
const BLOCK_BYTES = 2048
const SMALL_BYTES = 512
let block = new Uint8Array(BLOCK_BYTES)
let blockAt = 0

const view = new PublishView()

/** A copy with bytes of its own. */
export function keptCopy(message: Message): Message {
  if (message.plain && message.expiresAtMs === NEVER_EXPIRES) return exactCopy(message)
  const form = new Form()
  form.level5 = message.protocolLevel === 5
  form.qos = message.qos
  form.retain = message.retain
  form.packetId = 1
  const room = new Uint8Array(frameBytesMax(message, 0))
  const end = writePublish(message, form, room, 0)
  const frame = end * 2 > room.length ? room.subarray(0, end) : room.slice(0, end)
  const kept = fromFrame(frame, message.protocolLevel, message.topic)
  kept.publisher = message.publisher
  kept.expiresAtMs = message.expiresAtMs
  return kept
}

/**
 * The frame needs no change but in its packet identifier: its parts lie as they lay. Writing and
 * reading it anew costs 0.7 us more a message (`QoS 1, persistent` of the yardstick: 4 us in all).
 */
function exactCopy(message: Message): Message {
  const from = message.start
  const length = message.end - from
  const kept = new Message()
  if (length > SMALL_BYTES || message.retain)
    kept.bytes = copyOfBytes(message.bytes, from, message.end)
  else shareBlock(message.bytes, from, length, kept)
  const moved = kept.start - from
  kept.topicFrom = kept.bytes
  kept.end = message.end + moved
  kept.protocolLevel = message.protocolLevel
  kept.qos = message.qos
  kept.retain = message.retain
  if (message.qos > 0) {
    const packetIdAt = message.packetIdAt + moved
    kept.packetIdAt = packetIdAt
    kept.bytes[packetIdAt] = 0
    kept.bytes[packetIdAt + 1] = 1
  }
  kept.topicStart = message.topicStart + moved
  kept.topicEnd = message.topicEnd + moved
  kept.propertiesStart = message.propertiesStart + moved
  kept.propertiesEnd = message.propertiesEnd + moved
  kept.payloadStart = message.payloadStart + moved
  kept.topic = message.topic
  kept.publisher = message.publisher
  return kept
}

/** Copies the frame into a block. What is retained stays long and never comes here. */
function shareBlock(from: Uint8Array, start: number, length: number, kept: Message): void {
  if (blockAt + length > BLOCK_BYTES) {
    block = new Uint8Array(BLOCK_BYTES)
    blockAt = 0
  }
  const at = blockAt
  block.set(plainly(from).subarray(start, start + length), at)
  blockAt = at + length
  kept.bytes = block
  kept.start = at
}

/** What the broker itself publishes, or an embedder: the same checks as for a client's. */
export interface OwnMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

/**
 * @param wallMs from when the message expiry interval counts
 * @throws PacketError for an invalid topic or property
 */
export function ownMessage(own: OwnMessage, publisher: string, wallMs: number): Message {
  const { messageExpiryInterval, topicAlias: _alias, ...properties } = own.properties
  if (messageExpiryInterval !== undefined) checkExpiry(messageExpiryInterval)
  const packetId = own.qos === 0 ? 0 : 1
  const { topic, payload, qos, retain } = own
  const type = PacketType.PUBLISH
  const packet = { type, topic, payload, qos, retain, dup: false, packetId, properties }
  const kept = fromFrame(encodePacket(packet, 5), 5, topic)
  kept.publisher = publisher
  kept.expiresAtMs = expiryOf(messageExpiryInterval ?? -1, wallMs)
  return kept
}

function checkExpiry(seconds: unknown): void {
  if (typeof seconds === 'number' && seconds >= 0 && seconds >>> 0 === seconds) return
  const text = `expected a message expiry interval of 0 to 4294967295, got ${String(seconds)}`
  throw new PacketError('invalid-packet', ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, text)
}

/** Gives back what was stored. */
export function storedMessage(stored: StoredMessage): Message {
  const kept = fromFrame(stored.frame, stored.protocolLevel, null)
  kept.id = stored.id
  kept.publisher = stored.publisher
  kept.expiresAtMs = stored.expiresAtMs
  return kept
}

/** @param seconds the message expiry interval, or -1 */
export function expiryOf(seconds: number, wallMs: number): number {
  return seconds < 0 ? NEVER_EXPIRES : wallMs + seconds * 1000
}

function fromFrame(frame: Uint8Array, level: 4 | 5, topic: string | null): Message {
  let bodyStart = 2
  while ((frame[bodyStart - 1] ?? 0) > 127) bodyStart++
  view.read(frame[0] ?? 0, frame, bodyStart, frame.length, level)
  const kept = new Message()
  kept.load(view, frame, 0, level)
  kept.topic = topic ?? decodeUtf8(frame, view.topicStart, view.topicEnd)
  return kept
}
