// hot
// The PUBLISH packets of one publisher, made once with the codec and then only stamped: packet id,
// number, times. What varies (topic, size) is a choice among frames that were made before.

import {
  encodePacket,
  encodeUtf8,
  NO_PROPERTIES,
  PacketType,
  type ProtocolLevel,
  type QoS,
} from '@godwit/packet'
import { HEADER_BYTES, SEQUENCE_BYTES, stampMessage, stampStream } from './message.ts'
import { filler, type PayloadPlan, VARIABLE_BYTES_MAX } from './payload-check.ts'
import type { Random } from './random.ts'
import { expandPayload } from './templates.ts'

export interface FramePlan {
  readonly level: ProtocolLevel
  readonly qos: QoS
  readonly retain: boolean
  readonly topics: readonly string[]
  /** The number of the stream of the first topic. */
  readonly streamFrom: number
  /** Topics in turn, or at random. */
  readonly inTurn: boolean
  readonly payload: PayloadPlan
  /** Leave the header out: messages can only be counted. */
  readonly plain: boolean
  readonly run: number
  readonly client: number
}

interface Frame {
  readonly bytes: Uint8Array
  readonly packetIdAt: number
  readonly payloadAt: number
  readonly payloadBytes: number
}

const FRAMES_KEPT_MAX = 4096
const SIZES_MAX = 16

/** Bytes for the socket, with room for several frames. */
export class Batch {
  readonly bytes: Buffer
  length = 0
  /** The frame that the buffer was filled with, over and over, up to here. */
  frame: Frame | null = null
  filled = 0
  /** Hands the batch back; one closure for its whole life. */
  readonly release: () => void

  constructor(capacityBytes: number, release: (batch: Batch) => void) {
    this.bytes = Buffer.allocUnsafe(capacityBytes)
    this.release = () => release(this)
  }
}

export class FrameSource {
  /** By topic: how many messages were made. */
  readonly sequences: Uint32Array
  /** The largest packet; variables in a payload may make others a little larger. */
  readonly packetBytesMax: number
  /** Room that a batch must have for one more message. */
  readonly roomBytes: number
  private readonly plan: FramePlan
  private readonly random: Random
  private readonly frames = new Map<number, Frame>()
  private readonly sizes: readonly number[]
  private readonly only: Frame | null
  /** Whether each message has a payload of its own. */
  private readonly isDynamic: boolean
  private turn = 0

  constructor(plan: FramePlan, random: Random) {
    this.plan = plan
    this.random = random
    this.sequences = new Uint32Array(plan.topics.length)
    this.sizes = sizesOf(plan.payload, random)
    this.isDynamic =
      plan.payload.kind === 'template' && /\{(?:seq|time|random:\d+)\}/.test(plan.payload.text)
    const isUniform = plan.topics.length === 1 && this.sizes.length === 1 && !this.isDynamic
    this.only = isUniform ? this.make(0, 0, 0) : null
    this.packetBytesMax = this.largestFrame()
    this.roomBytes = this.packetBytesMax + roomForVariables(plan.payload)
  }

  get topics(): readonly string[] {
    return this.plan.topics
  }

  /** Which topic comes next. */
  nextTopic(): number {
    const count = this.sequences.length
    if (count === 1) return 0
    if (!this.plan.inTurn) return this.random.below(count)
    const topic = this.turn
    this.turn = topic + 1 === count ? 0 : topic + 1
    return topic
  }

  /** Appends one message. The batch must have `roomBytes`. */
  append(
    batch: Batch,
    topic: number,
    sequence: number,
    packetId: number,
    dup: boolean,
    intendedUs: number,
    sentUs: number,
  ): void {
    const frame = this.only ?? this.frameOf(topic, sequence)
    const at = batch.length
    const bytes = batch.bytes
    if (batch.frame !== frame || batch.filled < at + frame.bytes.length) {
      bytes.set(frame.bytes, at)
      if (at === 0) batch.frame = frame
      else if (batch.frame !== frame) batch.frame = null
      batch.filled = at + frame.bytes.length
    } else if (packetId !== 0) {
      bytes[at] = frame.bytes[0]!
    }
    if (dup) bytes[at]! |= 8
    if (packetId !== 0) {
      bytes[at + frame.packetIdAt] = packetId >> 8
      bytes[at + frame.packetIdAt + 1] = packetId
    }
    const size = frame.payloadBytes
    if (!this.plan.plain && size >= SEQUENCE_BYTES) {
      const header = at + frame.payloadAt
      stampMessage(bytes, header, sequence, intendedUs, sentUs, size >= HEADER_BYTES)
    }
    batch.length = at + frame.bytes.length
  }

  private largestFrame(): number {
    const { topics } = this.plan
    let longest = 0
    for (let i = 1; i < topics.length; i++) {
      if (topics[i]!.length > topics[longest]!.length) longest = i
    }
    return this.make(longest, this.sizes.indexOf(Math.max(...this.sizes)), 0).bytes.length
  }

  private frameOf(topic: number, sequence: number): Frame {
    if (this.isDynamic) return this.make(topic, 0, sequence)
    const size = this.sizes.length === 1 ? 0 : this.random.below(this.sizes.length)
    const key = topic * SIZES_MAX + size
    const known = this.frames.get(key)
    if (known !== undefined) return known
    if (this.frames.size >= FRAMES_KEPT_MAX) this.frames.clear()
    const frame = this.make(topic, size, sequence)
    this.frames.set(key, frame)
    return frame
  }

  private make(topicIndex: number, size: number, sequence: number): Frame {
    const { plan } = this
    const payload = this.payloadOf(size, sequence)
    const stamped = !plan.plain && payload.length >= SEQUENCE_BYTES
    if (stamped) stampStream(payload, 0, plan.run, plan.streamFrom + topicIndex)
    const topic = plan.topics[topicIndex] ?? ''
    const packet = { type: PacketType.PUBLISH, topic, payload, qos: plan.qos, retain: plan.retain }
    const rest = { dup: false, packetId: plan.qos > 0 ? 1 : 0, properties: NO_PROPERTIES }
    const bytes = encodePacket({ ...packet, ...rest }, plan.level)
    const payloadAt = bytes.length - payload.length
    const packetIdAt = payloadAt - (plan.level === 5 ? 1 : 0) - 2
    return { bytes, packetIdAt, payloadAt, payloadBytes: payload.length }
  }

  private payloadOf(size: number, sequence: number): Uint8Array {
    const { payload, plain } = this.plan
    if (payload.kind === 'size') return filler(this.sizes[size] ?? payload.bytesMin)
    const body =
      payload.kind === 'bytes'
        ? payload.bytes
        : encodeUtf8(
            expandPayload(payload.text, {
              client: this.plan.client,
              sequence,
              random: this.random,
            }),
          )
    if (plain) return body.slice()
    const whole = new Uint8Array(HEADER_BYTES + body.length)
    whole.set(body, HEADER_BYTES)
    return whole
  }
}

/** They have other lengths in other messages; at most 5 bytes of length change with them. */
function roomForVariables(payload: PayloadPlan): number {
  const variables = payload.kind === 'template' ? payload.text.split('{').length - 1 : 0
  return variables * VARIABLE_BYTES_MAX + 5
}

/** A range of sizes is stood for by a few, drawn once. */
function sizesOf(payload: PayloadPlan, random: Random): readonly number[] {
  if (payload.kind !== 'size' || payload.bytesMin === payload.bytesMax) {
    return [payload.kind === 'size' ? payload.bytesMin : 0]
  }
  const span = payload.bytesMax - payload.bytesMin + 1
  const drawn = Array.from({ length: SIZES_MAX - 2 }, () => payload.bytesMin + random.below(span))
  return [payload.bytesMin, payload.bytesMax, ...drawn]
}
