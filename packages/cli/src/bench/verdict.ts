// hot
// Whether every message arrived, once and in order. A stream is what one publisher sends to one
// topic: MQTT promises an order within it only. It knows nothing of connections and times.

/** Numbers of a run, for one receiver or the sum of many. */
export interface Delivery {
  /** How many should have arrived. */
  readonly expected: number
  /** How many arrived for the first time. */
  readonly received: number
  readonly lost: number
  /** Arrivals of what had arrived before. */
  readonly duplicated: number
  /** First arrivals behind a later message of the same stream. */
  readonly reordered: number
  /** Arrivals that nobody of this run has sent here. */
  readonly foreign: number
  /** Arrivals with a payload or a topic that is not what was sent, of those that were compared. */
  readonly damaged: number
  /** Arrivals at another QoS than that of message and subscription. */
  readonly otherQoS: number
}

export const NO_DELIVERY: Delivery = Object.freeze({
  expected: 0,
  received: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  foreign: 0,
  damaged: 0,
  otherQoS: 0,
})

export interface Verdict {
  /** Whether what this QoS promises was kept. MQTT 5.0 section 4.3. */
  readonly contractMet: boolean
  /** Whether all arrived once and in order, promised or not. */
  readonly perfect: boolean
  readonly text: string
}

/** Late messages are told from duplicates by ranges of missing numbers; so many are remembered. */
const GAPS_MAX = 1_000_000

/** What came of a message. */
export const Arrival = { FIRST: 0, LATE: 1, DUPLICATE: 2, FOREIGN: 3 } as const
export type Arrival = (typeof Arrival)[keyof typeof Arrival]

/** One receiver's view of the streams [from, from + count). */
export class StreamChecks {
  duplicated = 0
  reordered = 0
  foreign = 0
  damaged = 0
  otherQoS = 0
  received = 0
  /** Gaps that did not fit: from then on a late message may be taken for a duplicate. */
  forgottenGaps = 0
  private readonly from: number
  /** By stream: the number that should come next. */
  private readonly next: Uint32Array
  /** By stream: ranges [begin, end) that have not come though later ones have, in order. */
  private readonly gaps = new Map<number, number[]>()
  private gapCount = 0

  constructor(from: number, count: number) {
    this.from = from
    this.next = new Uint32Array(count)
  }

  /** Takes note of an arrival. */
  arrived(stream: number, sequence: number): Arrival {
    const index = stream - this.from
    if (index < 0 || index >= this.next.length) {
      this.foreign++
      return Arrival.FOREIGN
    }
    const next = this.next[index]!
    if (sequence === next) {
      this.next[index] = next + 1
      this.received++
      return Arrival.FIRST
    }
    return this.outOfTurn(index, sequence, next)
  }

  /** The payload of an arrival is not what was sent. */
  noteDamaged(): void {
    this.damaged++
  }

  /** An arrival has another QoS than was asked for and granted. */
  noteOtherQoS(): void {
    this.otherQoS++
  }

  /** @param sentByStream how many were sent, by the number of the stream in the whole run */
  delivery(sentByStream: Uint32Array): Delivery {
    let expected = 0
    for (let i = 0; i < this.next.length; i++) expected += sentByStream[this.from + i] ?? 0
    const { received, duplicated, reordered, foreign, damaged, otherQoS } = this
    return {
      expected,
      received,
      lost: Math.max(0, expected - received),
      duplicated,
      reordered,
      foreign,
      damaged,
      otherQoS,
    }
  }

  private outOfTurn(index: number, sequence: number, next: number): Arrival {
    if (sequence > next) {
      this.addGap(index, next, sequence)
      this.next[index] = sequence + 1
      this.received++
      return Arrival.FIRST
    }
    if (this.takeFromGap(index, sequence)) {
      this.received++
      this.reordered++
      return Arrival.LATE
    }
    this.duplicated++
    return Arrival.DUPLICATE
  }

  private addGap(index: number, begin: number, end: number): void {
    if (this.gapCount >= GAPS_MAX) {
      this.forgottenGaps++
      return
    }
    const ranges = this.gaps.get(index)
    if (ranges === undefined) this.gaps.set(index, [begin, end])
    else ranges.push(begin, end)
    this.gapCount++
  }

  private takeFromGap(index: number, sequence: number): boolean {
    const ranges = this.gaps.get(index)
    if (ranges === undefined) return false
    let low = 0
    let high = ranges.length / 2 - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const begin = ranges[2 * middle]!
      const end = ranges[2 * middle + 1]!
      if (sequence < begin) high = middle - 1
      else if (sequence >= end) low = middle + 1
      else {
        this.shrink(ranges, middle, begin, end, sequence)
        return true
      }
    }
    return false
  }

  private shrink(ranges: number[], at: number, begin: number, end: number, hole: number): void {
    if (begin + 1 === end) {
      ranges.splice(2 * at, 2)
      this.gapCount--
    } else if (hole === begin) ranges[2 * at] = hole + 1
    else if (hole === end - 1) ranges[2 * at + 1] = hole
    else {
      ranges.splice(2 * at, 2, begin, hole, hole + 1, end)
      this.gapCount++
    }
  }
}

/** The sum of what several receivers saw. */
export function sumOf(deliveries: readonly Delivery[]): Delivery {
  const sum = { ...NO_DELIVERY }
  for (const one of deliveries) {
    sum.expected += one.expected
    sum.received += one.received
    sum.lost += one.lost
    sum.duplicated += one.duplicated
    sum.reordered += one.reordered
    sum.foreign += one.foreign
    sum.damaged += one.damaged
    sum.otherQoS += one.otherQoS
  }
  return sum
}

/**
 * Judges a run by its QoS: 0 is at most once, 1 at least once, 2 exactly once, each in order.
 * At QoS 1 and 2 every message is acknowledged as well.
 * Among the members of a shared subscription there is no order to keep.
 */
export function judge(delivery: Delivery, qos: 0 | 1 | 2, unacknowledged = 0): Verdict {
  const { lost, duplicated, reordered, foreign, damaged, otherQoS } = delivery
  const wrong: string[] = []
  if (unacknowledged > 0) wrong.push(`unacknowledged ${unacknowledged}`)
  if (lost > 0 && qos > 0) wrong.push(`lost ${lost}`)
  if (duplicated > 0 && qos !== 1) wrong.push(`duplicated ${duplicated}`)
  if (reordered > 0) wrong.push(`reordered ${reordered}`)
  if (foreign > 0) wrong.push(`foreign ${foreign}`)
  if (damaged > 0) wrong.push(`damaged ${damaged}`)
  if (otherQoS > 0) wrong.push(`at another QoS ${otherQoS}`)
  const contractMet = wrong.length === 0
  const perfect = contractMet && lost === 0 && duplicated === 0
  const allowed = lost > 0 ? `, but ${lost} lost` : duplicated > 0 ? `, ${duplicated} twice` : ''
  const met = `QoS ${qos} contract: met${allowed}`
  return {
    contractMet,
    perfect,
    text: contractMet ? met : `QoS ${qos} contract: BROKEN (${wrong.join(', ')})`,
  }
}
