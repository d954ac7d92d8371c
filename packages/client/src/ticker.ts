// One timer for all clients of a process: it runs when the first of them is due. A client in a
// process of ten thousand costs a place in an array, not a timer.

import type { Platform } from './transport.ts'

/** Who is to be woken. */
export interface Ticking {
  /** Monotonic milliseconds; infinite for never. */
  readonly dueMs: number
  tick(nowMs: number): void
}

/** Wakes closer together than this would only find the same clients again. */
const GAP_MS = 10
const NEVER = Number.POSITIVE_INFINITY

export class Ticker {
  private readonly platform: Platform
  private readonly members = new Set<Ticking>()
  private timer: unknown = null
  private timerMs = NEVER

  constructor(platform: Platform) {
    this.platform = platform
  }

  add(member: Ticking): void {
    this.members.add(member)
    this.plan(member.dueMs)
  }

  remove(member: Ticking): void {
    this.members.delete(member)
    if (this.members.size === 0) this.stop()
  }

  /** A member is due at this time; only an earlier one than before must be told. */
  plan(dueMs: number): void {
    if (dueMs >= this.timerMs) return
    this.stop()
    this.timerMs = dueMs
    const delayMs = Math.max(0, Math.ceil(dueMs - this.platform.nowMs()))
    this.timer = this.platform.after(Math.min(delayMs, 0x7fff_ffff), this.run)
  }

  private readonly run = (): void => {
    this.timer = null
    this.timerMs = NEVER
    const nowMs = this.platform.nowMs()
    let earliest = NEVER
    for (const member of this.members) {
      if (member.dueMs <= nowMs) member.tick(nowMs)
      // It may have left just now.
      if (member.dueMs < earliest && this.members.has(member)) earliest = member.dueMs
    }
    if (earliest < NEVER) this.plan(Math.max(earliest, nowMs + GAP_MS))
  }

  private stop(): void {
    if (this.timer !== null) this.platform.cancel(this.timer)
    this.timer = null
    this.timerMs = NEVER
  }
}

const tickers = new WeakMap<Platform, Ticker>()

/** The ticker of a platform. */
export function tickerOf(platform: Platform): Ticker {
  let ticker = tickers.get(platform)
  if (ticker === undefined) {
    ticker = new Ticker(platform)
    tickers.set(platform, ticker)
  }
  return ticker
}
