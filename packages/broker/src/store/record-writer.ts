// hot
// Records of the store as bytes, written straight into the open batch. No record is ever an object.
// A record is an operation code and its fields; numbers take 1 to 8 bytes, texts 2 and their UTF-8.
// What was written lies in chunks: one that had to grow would stand still while it is copied.

import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoredWill,
} from '../core/ports.ts'

import { StoreError } from './errors.ts'

/** What can be done to the state: the Store without its reading and committing. */
export type RecordSink = Omit<
  Store,
  | 'openBatch'
  | 'dirty'
  | 'full'
  | 'low'
  | 'freeBytes'
  | 'congested'
  | 'commit'
  | 'load'
  | 'pages'
  | 'fetch'
>

/**
 * Operation codes on disk. A code never changes its meaning: a record with other fields gets a new
 * code, and `FORMAT_VERSION` of the log grows. 7 and 8 were removals and states one by one, before
 * the first release.
 */
export const Op = {
  PUT_SESSION: 1,
  REMOVE_SESSION: 2,
  PUT_SUBSCRIPTION: 3,
  REMOVE_SUBSCRIPTION: 4,
  PUT_MESSAGE: 5,
  PUT_DELIVERY: 6,
  PUT_RECEIVED: 9,
  REMOVE_RECEIVED: 10,
  PUT_RETAINED: 11,
  REMOVE_RETAINED: 12,
  PUT_WILL: 13,
  REMOVE_WILL: 14,
  PUT_GROUP: 15,
  REMOVE_GROUP: 16,
  PUT_GROUP_DELIVERY: 17,
  REMOVE_GROUP_DELIVERY: 18,
  /** So many from this sequence on. */
  REMOVE_DELIVERIES: 19,
  /** So many from this packet identifier and this sequence on, all in one state. */
  PUT_INFLIGHTS: 20,
  /** Of the message that was put last in the same batch. */
  PUT_DELIVERY_OF_LAST: 21,
  /** With its user. Since version 2 of the log. */
  PUT_WILL_OF_USER: 22,
} as const

function unexpected(): never {
  throw new StoreError('corrupt', 'a record came where it makes no sense')
}

/** Takes nothing: for those that take some records only. */
export const UNEXPECTED: RecordSink = {
  putSession: unexpected,
  removeSession: unexpected,
  putSubscription: unexpected,
  removeSubscription: unexpected,
  putMessage: unexpected,
  putDelivery: unexpected,
  removeDelivery: unexpected,
  putInflight: unexpected,
  putReceived: unexpected,
  removeReceived: unexpected,
  putRetained: unexpected,
  removeRetained: unexpected,
  putWill: unexpected,
  removeWill: unexpected,
  putGroup: unexpected,
  removeGroup: unexpected,
  putGroupDelivery: unexpected,
  removeGroupDelivery: unexpected,
}

const TEXT_BYTES_MAX = 65_535
const NUMBER_BYTES_MAX = 8
/** A text up to this is written by a loop when it is ASCII: client ids, mostly. */
const SHORT_TEXT = 24
/** Bytes up to which a loop is faster than `set`, which needs a view. */
const SHORT_DATA = 24
const FIRST_CHUNK_BYTES = 64 * 1024
/** The others, with room for any text. */
const CHUNK_BYTES = 512 * 1024
/** So many are kept for the next batch: new memory costs more than what is written into it. */
const SPARE_CHUNKS_MAX = 4
/** What the count of a run can say, in two bytes. */
const RUN_COUNT_MAX = 65_535
const RUN_COUNT_BYTES = 2

export class RecordWriter implements RecordSink {
  /** How many records. */
  count = 0
  /** Bytes at the start that are somebody else's: the header of the frame. */
  readonly headerBytes: number
  /** The chunk that is written, and where the next byte goes. */
  private bytes: Buffer
  private at: number
  /** Chunks before it, as far as they were written, and their bytes. */
  private chunks: Buffer[] = []
  private chunkBytes = 0
  private spares: Buffer[] = []
  /** The message that was put last, and the bytes of its frame; 0: there is none. */
  private lastMessageId = 0
  private lastMessageBytes = 0
  /** The run that the last record is: its end, and what would go on with it. -1: it is none. */
  private runEnd = -1
  private runOp = 0
  private runCount = 0
  private runOwner = 0
  private runSequence = 0
  private runPacketId = 0
  private runState = 0

  constructor(headerBytes: number) {
    this.headerBytes = headerBytes
    this.bytes = Buffer.allocUnsafeSlow(FIRST_CHUNK_BYTES)
    this.at = headerBytes
  }

  /** With the header. */
  get length(): number {
    return this.chunkBytes + this.at
  }

  /** All of it, one piece after the other; they are written over after `reset` or `handOver`. */
  pieces(): Buffer[] {
    return [...this.chunks, this.bytes.subarray(0, this.at)]
  }

  /** A copy of all of it. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.length)
    let at = 0
    for (const piece of this.pieces()) {
      all.set(piece, at)
      at += piece.length
    }
    return all
  }

  reset(): void {
    for (const { buffer, byteOffset } of this.chunks) {
      if (this.spares.length === SPARE_CHUNKS_MAX) break
      const chunk = Buffer.from(buffer, byteOffset)
      if (chunk.length === CHUNK_BYTES) this.spares.push(chunk)
    }
    this.clear()
  }

  /** Gives what was written to `other`, and takes its empty chunks instead. */
  handOver(other: RecordWriter): void {
    other.reset()
    const { bytes, at, chunks, chunkBytes, count, spares } = this
    this.bytes = other.bytes
    this.spares = other.spares
    this.clear()
    other.bytes = bytes
    other.at = at
    other.chunks = chunks
    other.chunkBytes = chunkBytes
    other.count = count
    other.spares = spares
  }

  putSession(session: StoredSession): void {
    this.begin(Op.PUT_SESSION)
    this.number(session.id)
    this.number(session.protocolLevel)
    this.number(session.sessionExpirySeconds)
    this.number(session.disconnectedAtMs)
    this.text(session.clientId)
  }

  removeSession(sessionId: number): void {
    this.begin(Op.REMOVE_SESSION)
    this.number(sessionId)
  }

  putSubscription(subscription: StoredSubscription): void {
    this.begin(Op.PUT_SUBSCRIPTION)
    this.number(subscription.sessionId)
    this.number(subscription.options)
    this.number(subscription.identifier)
    this.text(subscription.filter)
  }

  removeSubscription(sessionId: number, filter: string): void {
    this.begin(Op.REMOVE_SUBSCRIPTION)
    this.number(sessionId)
    this.text(filter)
  }

  putMessage(message: StoredMessage): void {
    this.begin(Op.PUT_MESSAGE)
    this.number(message.id)
    this.number(message.protocolLevel)
    this.number(message.expiresAtMs)
    this.text(message.publisher)
    const { bytes, start, end } = message
    if (bytes === undefined || start === undefined || end === undefined) {
      const { frame } = message
      this.data(frame, 0, frame.length)
      this.lastMessageBytes = frame.length
    } else {
      this.data(bytes, start, end)
      this.lastMessageBytes = end - start
    }
    this.lastMessageId = message.id
  }

  putDelivery(delivery: StoredDelivery): void {
    const { messageId, byteLength } = delivery
    if (messageId !== this.lastMessageId || byteLength !== this.lastMessageBytes) {
      this.begin(Op.PUT_DELIVERY)
      this.delivery(delivery)
      return
    }
    this.begin(Op.PUT_DELIVERY_OF_LAST)
    this.number(delivery.ownerId)
    this.number(delivery.sequence)
    this.number(delivery.flags)
    this.identifiers(delivery.identifiers)
  }

  /** A client that acknowledges in order makes one record for many. */
  removeDelivery(sessionId: number, sequence: number): void {
    if (this.goesOn(Op.REMOVE_DELIVERIES, sessionId, sequence)) return
    this.begin(Op.REMOVE_DELIVERIES)
    this.number(sessionId)
    this.number(sequence)
    this.beginRun(Op.REMOVE_DELIVERIES, sessionId, sequence)
  }

  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    if (packetId === this.runPacketId && state === this.runState) {
      if (this.goesOn(Op.PUT_INFLIGHTS, sessionId, sequence)) {
        this.runPacketId = packetId + 1
        return
      }
    }
    this.begin(Op.PUT_INFLIGHTS)
    this.number(sessionId)
    this.number(packetId)
    this.number(sequence)
    this.number(state)
    this.beginRun(Op.PUT_INFLIGHTS, sessionId, sequence)
    this.runPacketId = packetId + 1
    this.runState = state
  }

  putReceived(sessionId: number, packetId: number): void {
    this.begin(Op.PUT_RECEIVED)
    this.number(sessionId)
    this.number(packetId)
  }

  removeReceived(sessionId: number, packetId: number): void {
    this.begin(Op.REMOVE_RECEIVED)
    this.number(sessionId)
    this.number(packetId)
  }

  putRetained(topic: string, messageId: number): void {
    this.begin(Op.PUT_RETAINED)
    this.number(messageId)
    this.text(topic)
  }

  removeRetained(topic: string): void {
    this.begin(Op.REMOVE_RETAINED)
    this.text(topic)
  }

  /** The message itself is not in it: it was put before. */
  putWill(will: StoredWill): void {
    this.begin(will.user === null ? Op.PUT_WILL : Op.PUT_WILL_OF_USER)
    this.number(will.sessionId)
    this.number(will.message.id)
    this.number(will.delaySeconds)
    this.number(will.expirySeconds + 1)
    this.number(will.fireAtMs)
    if (will.user === null) return
    this.number(will.user.username === null ? 0 : 1)
    this.text(will.user.username ?? '')
  }

  removeWill(sessionId: number): void {
    this.begin(Op.REMOVE_WILL)
    this.number(sessionId)
  }

  putGroup(groupId: number, shareName: string, filter: string): void {
    this.begin(Op.PUT_GROUP)
    this.number(groupId)
    this.text(shareName)
    this.text(filter)
  }

  removeGroup(groupId: number): void {
    this.begin(Op.REMOVE_GROUP)
    this.number(groupId)
  }

  putGroupDelivery(delivery: StoredDelivery): void {
    this.begin(Op.PUT_GROUP_DELIVERY)
    this.delivery(delivery)
  }

  removeGroupDelivery(groupId: number, sequence: number): void {
    this.begin(Op.REMOVE_GROUP_DELIVERY)
    this.number(groupId)
    this.number(sequence)
  }

  private delivery(delivery: StoredDelivery): void {
    this.number(delivery.ownerId)
    this.number(delivery.sequence)
    this.number(delivery.byteLength)
    this.number(delivery.messageId)
    this.number(delivery.flags)
    this.identifiers(delivery.identifiers)
  }

  private identifiers(identifiers: readonly number[] | null): void {
    const count = identifiers === null ? 0 : identifiers.length
    this.number(count)
    if (identifiers === null) return
    for (let i = 0; i < count; i++) this.number(identifiers[i] as number)
  }

  private clear(): void {
    this.at = this.headerBytes
    this.chunks = []
    this.chunkBytes = 0
    this.count = 0
    this.lastMessageId = 0
    this.runEnd = -1
  }

  private begin(op: number): void {
    this.count++
    this.claim(1)
    this.bytes[this.at++] = op
  }

  /** The fields of a run's first record have been written. */
  private beginRun(op: number, ownerId: number, sequence: number): void {
    this.claim(RUN_COUNT_BYTES)
    this.bytes[this.at++] = 1
    this.bytes[this.at++] = 0
    this.runEnd = this.at
    this.runOp = op
    this.runCount = 1
    this.runOwner = ownerId
    this.runSequence = sequence + 1
  }

  /** Takes one more into the run that was written last, if it is the next of it. */
  private goesOn(op: number, ownerId: number, sequence: number): boolean {
    if (this.runEnd !== this.at || this.runOp !== op || this.runOwner !== ownerId) return false
    if (this.runSequence !== sequence || this.runCount === RUN_COUNT_MAX) return false
    this.runSequence = sequence + 1
    const count = ++this.runCount
    this.bytes[this.at - 2] = count
    this.bytes[this.at - 1] = count >> 8
    return true
  }

  /** 7 bits per byte, the lowest first; up to 2^53 - 1. */
  private number(value: number): void {
    if (this.at + NUMBER_BYTES_MAX > this.bytes.length) this.claim(NUMBER_BYTES_MAX)
    const bytes = this.bytes
    let at = this.at
    let rest = value
    while (rest > 0x7fff_ffff) {
      bytes[at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[at++] = rest
    this.at = at
  }

  private text(value: string): void {
    // Three bytes per UTF-16 unit are enough for any text; one that is too long is not written.
    this.claim(2 + Math.min(value.length, TEXT_BYTES_MAX) * 3)
    const start = this.at + 2
    let byteLength = value.length <= SHORT_TEXT ? this.shortText(value, start) : -1
    if (byteLength < 0) {
      const isTooLong = value.length > TEXT_BYTES_MAX
      byteLength = isTooLong ? value.length : this.bytes.write(value, start, 'utf8')
    }
    if (byteLength > TEXT_BYTES_MAX) {
      throw new RangeError(`a text of ${byteLength} bytes, at most ${TEXT_BYTES_MAX} can be stored`)
    }
    this.bytes[this.at] = byteLength >> 8
    this.bytes[this.at + 1] = byteLength
    this.at = start + byteLength
  }

  /** Without a call into Node for what is short and ASCII. @returns -1 when it is not */
  private shortText(value: string, start: number): number {
    const bytes = this.bytes
    const length = value.length
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit > 127) return -1
      bytes[start + i] = unit
    }
    return length
  }

  private data(from: Uint8Array, start: number, end: number): void {
    const byteLength = end - start
    this.number(byteLength)
    if (this.at + byteLength > this.bytes.length) {
      this.longData(from, start, end)
      return
    }
    const bytes = this.bytes
    const at = this.at
    if (byteLength > SHORT_DATA) bytes.set(from.subarray(start, end), at)
    else for (let i = 0; i < byteLength; i++) bytes[at + i] = from[start + i] as number
    this.at = at + byteLength
  }

  /** What does not fit into the chunk goes on in the next ones. */
  private longData(from: Uint8Array, start: number, end: number): void {
    for (let done = start; done < end; ) {
      if (this.at === this.bytes.length) this.nextChunk()
      const upTo = Math.min(end, done + this.bytes.length - this.at)
      this.bytes.set(from.subarray(done, upTo), this.at)
      this.at += upTo - done
      done = upTo
    }
  }

  /** Room for so many bytes in one piece. */
  private claim(byteCount: number): void {
    if (this.at + byteCount > this.bytes.length) this.nextChunk()
  }

  private nextChunk(): void {
    this.chunks.push(this.bytes.subarray(0, this.at))
    this.chunkBytes += this.at
    this.bytes = this.spares.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.at = 0
    // Its count lies in the chunk before.
    this.runEnd = -1
  }
}
