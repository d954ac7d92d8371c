// hot
// When messages are due. Pure: a schedule is asked for the next time and moved on; it never looks
// at a clock, and is never put off by what is late.

import type { Random } from './random.ts'

export type Arrivals =
  | { readonly kind: 'constant'; readonly perSecond: number }
  | { readonly kind: 'poisson'; readonly perSecond: number }
  | { readonly kind: 'burst'; readonly size: number; readonly everyUs: number }

/** The intended times of sending, in microseconds. */
export class Schedule {
  /** When the next message is due. */
  nextUs: number
  private readonly arrivals: Arrivals
  private readonly random: Random
  private readonly startUs: number
  private count = 0

  constructor(arrivals: Arrivals, startUs: number, random: Random) {
    this.arrivals = arrivals
    this.random = random
    this.startUs = startUs
    this.nextUs = startUs
    if (arrivals.kind === 'poisson') this.advance()
  }

  /** Goes on to the message after the next. */
  advance(): void {
    const arrivals = this.arrivals
    this.count++
    switch (arrivals.kind) {
      case 'constant':
        // From the start, not from the last: rounding does not add up.
        this.nextUs = this.startUs + (this.count * 1e6) / arrivals.perSecond
        break
      case 'poisson':
        this.nextUs += this.random.exponential(1e6 / arrivals.perSecond)
        break
      default:
        this.nextUs = this.startUs + Math.floor(this.count / arrivals.size) * arrivals.everyUs
    }
  }
}

/** Messages per second in the long run. */
export function rateOf(arrivals: Arrivals): number {
  return arrivals.kind === 'burst' ? (arrivals.size * 1e6) / arrivals.everyUs : arrivals.perSecond
}

/** The part of one of several processes that together keep the arrivals. */
export function shareOf(arrivals: Arrivals, part: number, whole: number): Arrivals {
  if (arrivals.kind !== 'burst') {
    return { kind: arrivals.kind, perSecond: (arrivals.perSecond * part) / whole }
  }
  return { ...arrivals, size: Math.round((arrivals.size * part) / whole) }
}

/**
 * A wheel of many sessions that each act now and then: one number per session, no timer.
 * Each acts `paceUs` after it last did, give or take the jitter (a fraction of the pace).
 */
export class PaceWheel {
  private readonly slotUs: number
  private readonly heads: Int32Array
  private readonly links: Int32Array
  private readonly paceUs: number
  private readonly jitter: number
  private readonly random: Random
  private readonly startUs: number
  private turned = 0

  constructor(sessions: number, paceUs: number, jitter: number, startUs: number, random: Random) {
    this.paceUs = paceUs
    this.jitter = jitter
    this.random = random
    this.startUs = startUs
    const slots = 4096
    this.slotUs = Math.max(1, Math.ceil((paceUs * (1 + jitter)) / (slots - 2)))
    this.heads = new Int32Array(slots).fill(-1)
    this.links = new Int32Array(sessions).fill(-1)
  }

  /** The first time of a session: spread over one pace, so that they do not come all at once. */
  begin(session: number, nowUs: number): void {
    this.put(session, nowUs + this.random.unit() * this.paceUs)
  }

  /** The next time of a session that has just acted. */
  again(session: number, nowUs: number): void {
    const spread = 1 + (this.random.unit() * 2 - 1) * this.jitter
    this.put(session, nowUs + this.paceUs * spread)
  }

  /** Calls `act` for each session that is due; it is in no slot then. */
  due(nowUs: number, act: (session: number) => void): void {
    const until = Math.floor((nowUs - this.startUs) / this.slotUs)
    while (this.turned < until) {
      const slot = this.turned % this.heads.length
      let session = this.heads[slot]!
      this.heads[slot] = -1
      this.turned++
      while (session !== -1) {
        const next = this.links[session]!
        act(session)
        session = next
      }
    }
  }

  private put(session: number, timeUs: number): void {
    const wanted = Math.floor((timeUs - this.startUs) / this.slotUs)
    const last = this.turned + this.heads.length - 1
    const turn = Math.min(last, Math.max(this.turned + 1, wanted))
    const slot = turn % this.heads.length
    this.links[session] = this.heads[slot]!
    this.heads[slot] = session
  }
}
