// hot
// An application message as the PUBLISH frame it came in, with the places of its parts.
// The same class serves the message that is just passing (its bytes are the chunk) and one that is
// kept (its bytes are its own, without alias and expiry). Nothing is decoded that nobody asks for.

import { PropertyId, type PublishView } from '@godwit/packet'
import type { StoredMessage } from './ports.ts'

const EMPTY = new Uint8Array(0)

/** Up to so many bytes a loop copies faster than `set`: 2 ns a byte against 50 ns for the view. */
export const SHORT_BYTES = 24

/** Wall time in milliseconds that means: does not expire. */
export const NEVER_EXPIRES = 0

export class Message implements StoredMessage {
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  protocolLevel: 4 | 5 = 4
  qos: 0 | 1 | 2 = 0
  retain = false
  packetIdAt = 0
  /** Where the topic's bytes lie: the frame, or elsewhere when an alias stood for it. */
  topicFrom: Uint8Array = EMPTY
  topicStart = 0
  topicEnd = 0
  propertiesStart = 0
  propertiesEnd = 0
  payloadStart = 0
  topic = ''
  publisher = ''
  expiresAtMs: number = NEVER_EXPIRES
  /** True: the bytes may go out as they are: no alias, no DUP, no expiry that has run. */
  plain = true
  /** 0 until the store has it. */
  id = 0
  /** How many queues and in-flight windows hold it, for the count of bytes. */
  holders = 0

  /** The frame, for the store. */
  get frame(): Uint8Array {
    return this.start === 0 && this.end === this.bytes.length
      ? this.bytes
      : this.bytes.subarray(this.start, this.end)
  }

  get payload(): Uint8Array {
    return this.bytes.subarray(this.payloadStart, this.end)
  }

  get byteLength(): number {
    return this.end - this.start
  }

  /** Takes over where the parts are; `topic` and `publisher` are the caller's to set. */
  load(view: PublishView, bytes: Uint8Array, start: number, level: number): void {
    // A young object stored into an old one is dear, and the chunk is the same for many messages.
    if (this.bytes !== bytes) this.bytes = bytes
    if (this.topicFrom !== bytes) this.topicFrom = bytes
    this.start = start
    this.end = view.end
    this.protocolLevel = level === 5 ? 5 : 4
    this.qos = view.qos as 0 | 1 | 2
    this.retain = view.retain
    this.packetIdAt = view.packetIdAt
    this.topicStart = view.topicStart
    this.topicEnd = view.topicEnd
    this.propertiesStart = view.propertiesStart
    this.propertiesEnd = view.propertiesEnd
    this.payloadStart = view.payloadStart
    this.plain = view.topicAlias === 0 && !view.dup
    this.id = 0
    this.holders = 0
  }

  /** Lets go of the chunk. */
  release(): void {
    this.bytes = EMPTY
    this.topicFrom = EMPTY
  }

  expired(wallMs: number): boolean {
    return this.expiresAtMs !== NEVER_EXPIRES && this.expiresAtMs <= wallMs
  }
}

/** How a message is written for one receiver. */
export interface PublishForm {
  readonly level5: boolean
  readonly qos: number
  readonly retain: boolean
  readonly dup: boolean
  readonly packetId: number
  /** Seconds that are left, or -1. Section 3.3.2.3.3. */
  readonly expirySeconds: number
  readonly identifiers: readonly number[] | null
  /** 0: none. */
  readonly alias: number
  /** True: the receiver knows the alias, the topic is left out. */
  readonly aliasKnown: boolean
}

/** Bytes that the frame of `message` needs at the most in any form without identifiers. */
export function frameBytesMax(message: Message, identifierCount: number): number {
  return (
    message.end - message.start + 32 + identifierCount * 5 + (message.topicEnd - message.topicStart)
  )
}

/** Where `writePublish` put the packet identifier of the last frame; 0 when it has none. */
export let writtenPacketIdAt = 0

/**
 * Writes the PUBLISH in the given form at `out[at]`; there must be room for `frameBytesMax`.
 * Everything else passes on unaltered [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16]
 * [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20].
 * @returns the offset after its last byte
 */
export function writePublish(
  message: Message,
  form: PublishForm,
  out: Uint8Array,
  at: number,
): number {
  const from = message.bytes
  const topicLength = form.aliasKnown ? 0 : message.topicEnd - message.topicStart
  const propertiesLength = form.level5 ? propertiesLengthOf(message, form) : 0
  const remaining = remainingLengthOf(message, form, propertiesLength)
  out[at++] = 0x30 | (form.dup ? 8 : 0) | (form.qos << 1) | (form.retain ? 1 : 0) // [MQTT-4.3.1-1]
  at = writeInteger(remaining, out, at)
  out[at++] = topicLength >> 8
  out[at++] = topicLength & 255
  at = copyTopic(message, topicLength, out, at)
  writtenPacketIdAt = 0
  if (form.qos > 0) {
    writtenPacketIdAt = at
    out[at++] = form.packetId >> 8
    out[at++] = form.packetId & 255
  }
  if (form.level5) {
    at = writeInteger(propertiesLength, out, at)
    at = writeProperties(message, form, out, at)
  }
  return copyBytes(from, message.payloadStart, message.end, out, at)
}

/** Bytes that the PUBLISH has in the given form. */
export function publishBytes(message: Message, form: PublishForm): number {
  const propertiesLength = form.level5 ? propertiesLengthOf(message, form) : 0
  const remaining = remainingLengthOf(message, form, propertiesLength)
  return 1 + integerLength(remaining) + remaining
}

function remainingLengthOf(message: Message, form: PublishForm, propertiesLength: number): number {
  const topicLength = form.aliasKnown ? 0 : message.topicEnd - message.topicStart
  const length = 2 + topicLength + (form.qos > 0 ? 2 : 0) + message.end - message.payloadStart
  return form.level5 ? length + integerLength(propertiesLength) + propertiesLength : length
}

function copyTopic(message: Message, length: number, out: Uint8Array, at: number): number {
  return copyBytes(message.topicFrom, message.topicStart, message.topicStart + length, out, at)
}

function propertiesLengthOf(message: Message, form: PublishForm): number {
  let length = passedOn(message, null, 0)
  if (form.expirySeconds >= 0) length += 5
  if (form.alias > 0) length += 3
  const identifiers = form.identifiers
  if (identifiers !== null) {
    for (let i = 0; i < identifiers.length; i++) length += 1 + integerLength(identifiers[i] ?? 0)
  }
  return length
}

function writeProperties(message: Message, form: PublishForm, out: Uint8Array, at: number): number {
  if (form.expirySeconds >= 0) {
    out[at++] = PropertyId.MESSAGE_EXPIRY_INTERVAL
    out[at++] = form.expirySeconds >>> 24
    out[at++] = (form.expirySeconds >>> 16) & 255
    out[at++] = (form.expirySeconds >>> 8) & 255
    out[at++] = form.expirySeconds & 255
  }
  if (form.alias > 0) {
    out[at++] = PropertyId.TOPIC_ALIAS
    out[at++] = form.alias >> 8
    out[at++] = form.alias & 255
  }
  const identifiers = form.identifiers
  if (identifiers !== null) {
    for (let i = 0; i < identifiers.length; i++) {
      out[at++] = PropertyId.SUBSCRIPTION_IDENTIFIER
      at = writeInteger(identifiers[i] ?? 0, out, at)
    }
  }
  return at + passedOn(message, out, at)
}

/**
 * Copies the properties that pass through the broker: all but alias and expiry. They were validated
 * when the message came. With `out` null it only counts.
 * @returns how many bytes they are
 */
function passedOn(message: Message, out: Uint8Array | null, at: number): number {
  const from = message.bytes
  const end = message.propertiesEnd
  let next = message.propertiesStart
  let length = 0
  while (next < end) {
    const stop = propertyEnd(from, next)
    const id = from[next]
    if (id !== PropertyId.TOPIC_ALIAS && id !== PropertyId.MESSAGE_EXPIRY_INTERVAL) {
      if (out !== null) copyBytes(from, next, stop, out, at + length)
      length += stop - next
    }
    next = stop
  }
  return length
}

function propertyEnd(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case PropertyId.PAYLOAD_FORMAT_INDICATOR:
      return at + 2
    case PropertyId.MESSAGE_EXPIRY_INTERVAL:
      return at + 5
    case PropertyId.TOPIC_ALIAS:
      return at + 3
    case PropertyId.USER_PROPERTY:
      return fieldEnd(bytes, fieldEnd(bytes, at + 1))
    default:
      return fieldEnd(bytes, at + 1)
  }
}

function fieldEnd(bytes: Uint8Array, at: number): number {
  return at + 2 + (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0))
}

export function integerLength(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
}

function writeInteger(value: number, out: Uint8Array, at: number): number {
  let rest = value
  while (rest >= 128) {
    out[at++] = (rest & 127) | 128
    rest >>>= 7
  }
  out[at++] = rest
  return at
}

function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  const length = end - start
  if (length > SHORT_BYTES) {
    out.set(from.subarray(start, end), at)
    return at + length
  }
  for (let i = start; i < end; i++) out[at++] = from[i] as number
  return at
}
