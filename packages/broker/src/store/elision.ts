// hot
// Applies a part of the log to the overlay, and leaves out what came and went within it: a message
// for a client that keeps up is put, sent and removed in the same part, and costs a few comparisons
// here. The first look finds what is removed, the second applies the rest.

import { StoreError } from './errors.ts'
import type { Overlay } from './overlay.ts'
import { readRecords } from './record-reader.ts'
import { Op } from './record-writer.ts'

/** Records of one frame at `[start, end)`. */
export interface Records {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Of each operation how many numbers it has, and texts after them; see record-writer.ts. */
const Layout: readonly (readonly [numbers: number, texts: number])[] = [
  [0, 0],
  [4, 1],
  [1, 0],
  [3, 1],
  [1, 1],
  [3, 1], // then data
  [5, 0], // then a count of numbers
  [2, 0],
  [4, 0],
  [2, 0],
  [2, 0],
  [1, 1],
  [0, 1],
  [5, 0],
  [1, 0],
  [1, 2],
  [1, 0],
  [5, 0], // then a count of numbers
  [2, 0],
]

const FIRST_ROOM = 1024
/** In `marks`: removed later; put and removed, so it never was. */
const REMOVED = 1
const ELIDED = 2

export class Elision {
  private owners = new Float64Array(FIRST_ROOM)
  private sequences = new Float64Array(FIRST_ROOM)
  /** 0: free. */
  private marks = new Uint8Array(FIRST_ROOM)
  private size = 0
  /** Where the messages of the part are, by ascending id. */
  private messageIds: number[] = []
  private messageParts: Records[] = []
  private messageStarts: number[] = []
  /** Where the reading is, and the numbers of the record that was read last. */
  private at = 0
  private bytes: Uint8Array = new Uint8Array(0)
  private end = 0
  private readonly numbers = new Float64Array(6)

  /** All frames that have come since the last call. @throws StoreError `corrupt` */
  apply(parts: readonly Records[], overlay: Overlay): void {
    this.clear()
    for (const part of parts) this.findRemovals(part)
    for (const part of parts) this.applyPart(part, overlay)
    overlay.endBatch()
    this.messageIds = []
    this.messageParts = []
    this.messageStarts = []
  }

  private findRemovals(part: Records): void {
    this.open(part)
    while (this.at < this.end) {
      const op = this.bytes[this.at++] as number
      this.moveOver(op)
      if (op === Op.REMOVE_DELIVERY) this.mark(this.numbers[0] as number, this.numbers[1] as number)
    }
  }

  private applyPart(part: Records, overlay: Overlay): void {
    this.open(part)
    while (this.at < this.end) {
      const start = this.at
      const op = this.bytes[this.at++] as number
      this.moveOver(op)
      if (this.isElided(op, part, start)) continue
      const next = this.at
      this.needMessage(op, overlay)
      readRecords(part.bytes, start, next, overlay)
      this.open(part)
      this.at = next
    }
  }

  /** What has to be done with nothing but the numbers of the record. */
  private isElided(op: number, part: Records, start: number): boolean {
    const { numbers, marks } = this
    const owner = numbers[0] as number
    switch (op) {
      case Op.PUT_MESSAGE:
        this.messageIds.push(owner)
        this.messageParts.push(part)
        this.messageStarts.push(start)
        return true
      case Op.PUT_DELIVERY: {
        const place = this.find(owner, numbers[1] as number)
        if (marks[place] === 0) return false
        marks[place] = ELIDED
        return true
      }
      case Op.REMOVE_DELIVERY:
        return marks[this.find(owner, numbers[1] as number)] === ELIDED
      case Op.PUT_INFLIGHT:
        // What is removed later needs no state.
        return marks[this.find(owner, numbers[2] as number)] !== 0
      default:
        return false
    }
  }

  /** Puts the message that the record refers to, if it came in this part and was not needed yet. */
  private needMessage(op: number, overlay: Overlay): void {
    const { numbers } = this
    let id: number
    if (op === Op.PUT_DELIVERY || op === Op.PUT_GROUP_DELIVERY) id = numbers[3] as number
    else if (op === Op.PUT_RETAINED) id = numbers[0] as number
    else if (op === Op.PUT_WILL) id = numbers[1] as number
    else return
    if (overlay.messages.has(id)) return
    const index = this.messageIndex(id)
    if (index < 0) return
    const { bytes, end } = this.messageParts[index] as Records
    const start = this.messageStarts[index] as number
    this.bytes = bytes
    this.end = end
    this.at = start + 1
    this.moveOver(Op.PUT_MESSAGE)
    readRecords(bytes, start, this.at, overlay)
  }

  private messageIndex(id: number): number {
    let low = 0
    let high = this.messageIds.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.messageIds[middle] as number
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
    const layout = Layout[op]
    if (layout === undefined || op === 0) broken(`operation ${op} is unknown to this version`)
    const [count, texts] = layout
    for (let i = 0; i < count; i++) this.numbers[i] = this.number()
    for (let i = 0; i < texts; i++) this.moveOverText()
    if (op === Op.PUT_MESSAGE) {
      const byteLength = this.number()
      this.at += byteLength
    } else if (op === Op.PUT_DELIVERY || op === Op.PUT_GROUP_DELIVERY) {
      for (let left = this.number(); left > 0; left--) this.number()
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

  private clear(): void {
    this.marks.fill(0)
    this.size = 0
  }

  private mark(owner: number, sequence: number): void {
    if ((this.size + 1) * 2 > this.marks.length) this.grow()
    const place = this.find(owner, sequence)
    if (this.marks[place] !== 0) return
    this.owners[place] = owner
    this.sequences[place] = sequence
    this.marks[place] = REMOVED
    this.size++
  }

  /** @returns the place of this delivery, or the free one where it would be */
  private find(owner: number, sequence: number): number {
    const { owners, sequences, marks } = this
    const mask = marks.length - 1
    let hash = Math.imul(owner | 0, 0x9e3779b1) ^ Math.imul(sequence | 0, 0x85ebca6b)
    hash ^= hash >>> 15
    let place = hash & mask
    while (marks[place] !== 0 && (owners[place] !== owner || sequences[place] !== sequence)) {
      place = (place + 1) & mask
    }
    return place
  }

  private grow(): void {
    const { owners, sequences, marks } = this
    const room = marks.length * 2
    this.owners = new Float64Array(room)
    this.sequences = new Float64Array(room)
    this.marks = new Uint8Array(room)
    for (let i = 0; i < marks.length; i++) {
      if (marks[i] === 0) continue
      const place = this.find(owners[i] as number, sequences[i] as number)
      this.owners[place] = owners[i] as number
      this.sequences[place] = sequences[i] as number
      this.marks[place] = marks[i] as number
    }
  }
}

function broken(what: string): never {
  throw new StoreError('corrupt', what)
}
