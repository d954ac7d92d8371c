// hot
// Applies a part of the log to the overlay, and leaves out what came and went within it: a message
// for a client that keeps up is put, sent and removed in the same part, and costs a few comparisons
// here. The first look finds what is removed, the second applies the rest.

import { StoreError } from './errors.ts'
import { asBuffer } from './log-format.ts'
import type { Overlay } from './overlay.ts'
import { Cursor, readRecord } from './record-reader.ts'
import { Op } from './record-writer.ts'
import { type Removals, RemovalsByOwner } from './removals.ts'

/** Records of one frame at `[start, end)`. */
export interface Records {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Of each operation how many numbers it has, and texts after them; see record-writer.ts. */
const NumberCounts = Uint8Array.of(
  0,
  4,
  1,
  3,
  1,
  3,
  5,
  0,
  0,
  2,
  2,
  1,
  0,
  5,
  1,
  1,
  1,
  5,
  2,
  2,
  4,
  3,
  6,
)
const TextCounts = Uint8Array.of(
  0,
  1,
  0,
  1,
  1,
  1,
  0,
  0,
  0,
  0,
  0,
  1,
  1,
  0,
  0,
  2,
  0,
  0,
  0,
  0,
  0,
  0,
  1,
)

const FIRST_ROOM = 1024
const NOTHING = new Uint8Array(0)

export class Elision {
  private readonly removals = new RemovalsByOwner()
  /** Where the messages of the part are, by ascending id. */
  private messageIds = new Float64Array(FIRST_ROOM)
  private messageParts = new Int32Array(FIRST_ROOM)
  private messageStarts = new Int32Array(FIRST_ROOM)
  private messageCount = 0
  private parts: readonly Records[] = []
  private readonly cursor = new Cursor(NOTHING, 0, 0)
  /** Where the reading is, and the numbers of the record that was read last. */
  private at = 0
  private bytes: Uint8Array = NOTHING
  private end = 0
  private readonly numbers = new Float64Array(6)
  /** Of a run how many records it stands for, of a message the bytes of its frame. */
  private count = 0

  /** All frames that have come since the last call. @throws StoreError `corrupt` */
  apply(parts: readonly Records[], overlay: Overlay): void {
    this.parts = parts
    this.messageCount = 0
    for (const part of parts) this.findRemovals(part)
    this.removals.settle()
    for (let i = 0; i < parts.length; i++) this.applyPart(i, overlay)
    overlay.endBatch()
    this.removals.clear()
    this.parts = []
    this.bytes = NOTHING
    this.cursor.bytes = asBuffer(NOTHING)
  }

  private findRemovals(part: Records): void {
    this.open(part)
    while (this.at < this.end) {
      const op = this.bytes[this.at++] as number
      this.moveOver(op)
      if (op !== Op.REMOVE_DELIVERIES) continue
      this.removals.add(this.numbers[0] as number, this.numbers[1] as number, this.count)
    }
  }

  private applyPart(index: number, overlay: Overlay): void {
    const { cursor, numbers } = this
    const part = this.parts[index] as Records
    this.open(part)
    cursor.bytes = asBuffer(part.bytes)
    cursor.end = part.end
    let lastId = 0
    let lastBytes = 0
    while (this.at < this.end) {
      const start = this.at
      const op = this.bytes[this.at++] as number
      this.moveOver(op)
      const next = this.at
      switch (op) {
        case Op.PUT_MESSAGE:
          lastId = numbers[0] as number
          lastBytes = this.count
          this.noteMessage(lastId, index, start)
          continue
        case Op.REMOVE_DELIVERIES:
          this.applyRemovals(overlay)
          continue
        case Op.PUT_INFLIGHTS:
          this.applyInflights(overlay)
          continue
        case Op.PUT_DELIVERY_OF_LAST:
          if (this.isRemoved()) continue
          this.needMessage(lastId, overlay)
          break
        case Op.PUT_DELIVERY:
          if (this.isRemoved()) continue
          this.needMessage(numbers[3] as number, overlay)
          break
        case Op.PUT_GROUP_DELIVERY:
          this.needMessage(numbers[3] as number, overlay)
          break
        case Op.PUT_RETAINED:
          this.needMessage(numbers[0] as number, overlay)
          break
        case Op.PUT_WILL:
        case Op.PUT_WILL_OF_USER:
          this.needMessage(numbers[1] as number, overlay)
          break
        default:
      }
      cursor.at = start
      cursor.lastMessageId = lastId
      cursor.lastMessageBytes = lastBytes
      readRecord(cursor, overlay)
      this.at = next
    }
  }

  /** Whether the delivery that was read is removed later: then it never was. */
  private isRemoved(): boolean {
    const sequence = this.numbers[1] as number
    const removals = this.removals.of(this.numbers[0] as number)
    if (removals === null) return false
    if (sequence < removals.firstPut) removals.firstPut = sequence
    return removals.has(sequence)
  }

  /** Those that were not put in this part. Sequences grow: the others begin with the first put. */
  private applyRemovals(overlay: Overlay): void {
    const owner = this.numbers[0] as number
    const first = this.numbers[1] as number
    const { firstPut } = this.removals.of(owner) as Removals
    for (let i = 0; i < this.count && first + i < firstPut; i++) {
      overlay.removeDelivery(owner, first + i)
    }
  }

  /** What is removed later needs no state. */
  private applyInflights(overlay: Overlay): void {
    const { numbers, count } = this
    const owner = numbers[0] as number
    const packetId = numbers[1] as number
    const sequence = numbers[2] as number
    const state = numbers[3] as number
    const removals = this.removals.of(owner)
    if (removals?.hasAll(sequence, count) === true) return
    for (let i = 0; i < count; i++) {
      if (removals?.has(sequence + i) === true) continue
      overlay.putInflight(owner, packetId + i, sequence + i, state)
    }
  }

  private noteMessage(id: number, part: number, start: number): void {
    if (this.messageCount === this.messageIds.length) this.grow()
    const at = this.messageCount++
    this.messageIds[at] = id
    this.messageParts[at] = part
    this.messageStarts[at] = start
  }

  /** Puts a message that is referred to, if it came in this part and was not needed yet. */
  private needMessage(id: number, overlay: Overlay): void {
    if (overlay.messages.has(id)) return
    const index = this.messageIndex(id)
    if (index < 0) return
    const part = this.parts[this.messageParts[index] as number] as Records
    const cursor = new Cursor(part.bytes, this.messageStarts[index] as number, part.end)
    readRecord(cursor, overlay)
  }

  private messageIndex(id: number): number {
    const ids = this.messageIds
    let low = 0
    let high = this.messageCount - 1
    // The last one, nearly always.
    if (high >= 0 && ids[high] === id) return high
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = ids[middle] as number
      if (found === id) return middle
      if (found < id) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  private open(part: Records): void {
    this.bytes = part.bytes
    this.at = part.start
    this.end = part.end
  }

  /** Moves behind the record whose operation was read. */
  private moveOver(op: number): void {
    const { numbers } = this
    const numberCount = NumberCounts[op] ?? 0
    const textCount = TextCounts[op] ?? 0
    if (numberCount + textCount === 0) broken(`operation ${op} is unknown to this version`)
    for (let i = 0; i < numberCount; i++) numbers[i] = this.number()
    for (let i = 0; i < textCount; i++) this.moveOverText()
    switch (op) {
      case Op.PUT_MESSAGE:
        this.count = this.number()
        this.at += this.count
        break
      case Op.PUT_DELIVERY:
      case Op.PUT_DELIVERY_OF_LAST:
      case Op.PUT_GROUP_DELIVERY:
        for (let left = this.number(); left > 0 && this.at <= this.end; left--) this.number()
        break
      case Op.REMOVE_DELIVERIES:
      case Op.PUT_INFLIGHTS:
        this.count = (this.bytes[this.at] as number) | ((this.bytes[this.at + 1] as number) << 8)
        this.at += 2
        break
      default:
    }
    if (this.at > this.end) broken('a record goes beyond the end of its frame')
  }

  private moveOverText(): void {
    const { bytes, at } = this
    this.at = at + 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
  }

  private number(): number {
    const { bytes } = this
    let byte = bytes[this.at++] as number
    if (byte < 128) return byte
    let value = byte & 127
    let scale = 128
    do {
      if (this.at > this.end) broken('a number goes beyond the end of its frame')
      byte = bytes[this.at++] as number
      value += (byte & 127) * scale
      scale *= 128
    } while (byte >= 128)
    return value
  }

  private grow(): void {
    const room = this.messageIds.length * 2
    const { messageIds, messageParts, messageStarts } = this
    this.messageIds = new Float64Array(room)
    this.messageParts = new Int32Array(room)
    this.messageStarts = new Int32Array(room)
    this.messageIds.set(messageIds)
    this.messageParts.set(messageParts)
    this.messageStarts.set(messageStarts)
  }
}

function broken(what: string): never {
  throw new StoreError('corrupt', what)
}
