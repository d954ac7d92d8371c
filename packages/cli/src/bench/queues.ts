// hot
// Two queues of numbers that many publishers have: what is due, and what is not acknowledged.

const FIRST_LENGTH = 8
const PACKET_ID_MAX = 65_535

/** Times, first in first out, in a ring that grows. */
export class TimeQueue {
  length = 0
  private ring: Uint32Array = new Uint32Array(0)
  private head = 0

  push(timeUs: number): void {
    if (this.length === this.ring.length) this.grow()
    this.ring[(this.head + this.length) & (this.ring.length - 1)] = timeUs
    this.length++
  }

  /** There must be one. */
  shift(): number {
    const time = this.ring[this.head]!
    this.head = (this.head + 1) & (this.ring.length - 1)
    this.length--
    return time
  }

  clear(): void {
    this.length = 0
    this.head = 0
  }

  private grow(): void {
    const grown = new Uint32Array(Math.max(FIRST_LENGTH, this.ring.length * 2))
    for (let i = 0; i < this.length; i++) {
      grown[i] = this.ring[(this.head + i) & (this.ring.length - 1)]!
    }
    this.ring = grown
    this.head = 0
  }
}

const FREE = 0
const SENT = 1
const RECORDED = 2

/** Messages under way, by packet identifier; identifiers are given in order. */
export class Inflight {
  count = 0
  private max: number
  private readonly mask: number
  private nextId = 1
  private oldestId = 1
  private readonly states: Uint8Array
  private readonly topics: Uint32Array
  private readonly sequences: Uint32Array
  private readonly intended: Uint32Array
  private readonly sent: Uint32Array

  /** @param max 1 to 65535 */
  constructor(max: number) {
    this.max = max
    let capacity = FIRST_LENGTH
    while (capacity < max * 2 && capacity < PACKET_ID_MAX + 1) capacity *= 2
    this.mask = capacity - 1
    this.states = new Uint8Array(capacity)
    this.topics = new Uint32Array(capacity)
    this.sequences = new Uint32Array(capacity)
    this.intended = new Uint32Array(capacity)
    this.sent = new Uint32Array(capacity)
  }

  /** How many more may be sent; none while the place of the next identifier is taken. */
  get room(): number {
    const free = this.max - this.count
    const span = this.count === 0 ? 0 : distance(this.oldestId, this.nextId)
    const places = this.mask - span
    return Math.max(0, free < places ? free : places)
  }

  /** The broker may allow fewer. */
  limit(max: number): void {
    if (max < this.max) this.max = Math.max(1, max)
  }

  /** There must be room. @returns the packet identifier */
  add(topic: number, sequence: number, intendedUs: number, sentUs: number): number {
    const id = this.nextId
    const at = id & this.mask
    if (this.count === 0) this.oldestId = id
    this.states[at] = SENT
    this.topics[at] = topic
    this.sequences[at] = sequence
    this.intended[at] = intendedUs
    this.sent[at] = sentUs
    this.nextId = following(id)
    this.count++
    return id
  }

  /** Whether it is under way; identifiers that share a place are told apart. */
  has(id: number): boolean {
    if (this.count === 0 || this.states[id & this.mask] === FREE) return false
    return distance(this.oldestId, id) < distance(this.oldestId, this.nextId)
  }

  isRecorded(id: number): boolean {
    return this.states[id & this.mask] === RECORDED
  }

  recorded(id: number): void {
    this.states[id & this.mask] = RECORDED
  }

  /** @returns when it was sent */
  remove(id: number): number {
    this.states[id & this.mask] = FREE
    this.count--
    while (this.count > 0 && this.states[this.oldestId & this.mask] === FREE) {
      this.oldestId = following(this.oldestId)
    }
    return this.sent[id & this.mask]!
  }

  /** What is under way, oldest first. */
  each(
    use: (
      id: number,
      topic: number,
      sequence: number,
      intendedUs: number,
      sentUs: number,
      recorded: boolean,
    ) => void,
  ): void {
    let left = this.count
    for (let id = this.oldestId; left > 0; id = following(id)) {
      const at = id & this.mask
      const state = this.states[at]!
      if (state === FREE) continue
      left--
      const recorded = state === RECORDED
      use(id, this.topics[at]!, this.sequences[at]!, this.intended[at]!, this.sent[at]!, recorded)
    }
  }
}

function distance(from: number, to: number): number {
  return (to - from + PACKET_ID_MAX) % PACKET_ID_MAX
}

function following(id: number): number {
  return id === PACKET_ID_MAX ? 1 : id + 1
}
