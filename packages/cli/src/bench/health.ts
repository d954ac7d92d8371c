// What the tester knows of itself: how busy it was, how late its event loop and its schedule were,
// and whether figures taken then are those of the broker or its own.

import {
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks'

const DELAY_RESOLUTION_MS = 5
export const BUSY_MAX = 0.9
const BUSY_OWN = 0.5
export const LOOP_DELAY_P99_MAX_MS = 20
export const SLIP_P99_MAX_US = 5_000

/** Of one process, for the measured time. */
export interface HealthReport {
  readonly busy: number
  readonly cpuSeconds: number
  readonly loopDelayP99Ms: number
  readonly gcShare: number
  readonly memoryBytes: number
}

/** Watches its own process from `start` on. */
export class Health {
  private readonly delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  /** The same since somebody last asked. */
  private readonly recentDelay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  private observer: PerformanceObserver | null = null
  private gcMs = 0
  private cpu = process.cpuUsage()
  private startMs = performance.now()
  /** Time that the process spent polling for work that was not there. */
  private polledMs = 0

  start(): void {
    this.delay.enable()
    this.recentDelay.enable()
    this.observer ??= new PerformanceObserver(list => {
      for (const entry of list.getEntries()) this.gcMs += entry.duration
    })
    this.observer.observe({ entryTypes: ['gc'] })
    this.begin()
  }

  /** The warm-up is over. */
  begin(): void {
    this.delay.reset()
    this.gcMs = 0
    this.polledMs = 0
    this.cpu = process.cpuUsage()
    this.startMs = performance.now()
  }

  polled(ms: number): void {
    this.polledMs += ms
  }

  /** The delay of the event loop since the last call (p99), milliseconds. */
  takeLoopDelayMs(): number {
    const delayMs = p99Of(this.recentDelay)
    this.recentDelay.reset()
    return delayMs
  }

  report(): HealthReport {
    const wallMs = Math.max(1, performance.now() - this.startMs)
    const { user, system } = process.cpuUsage(this.cpu)
    const cpuMs = (user + system) / 1e3
    return {
      busy: busyShare(cpuMs, this.polledMs, wallMs),
      cpuSeconds: cpuMs / 1e3,
      loopDelayP99Ms: p99Of(this.delay),
      gcShare: this.gcMs / wallMs,
      memoryBytes: process.memoryUsage.rss(),
    }
  }

  stop(): void {
    this.delay.disable()
    this.recentDelay.disable()
    this.observer?.disconnect()
    this.observer = null
  }
}

function p99Of(delay: IntervalHistogram): number {
  return delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS)
}

/**
 * The part of the time that was work. Polling is measured by the clock, and who polls most of the
 * time and gets only a part of a processor polls on that part of it.
 */
export function busyShare(cpuMs: number, polledMs: number, wallMs: number): number {
  const polledShare = Math.min(1, polledMs / wallMs)
  const work = cpuMs - polledMs
  const leastWork = polledShare > 0.5 ? cpuMs * (1 - polledShare) : 0
  return Math.min(1, Math.max(0, work, leastWork) / wallMs)
}

/** Why the tester may have been what limited the run; none when it was not. */
export function saturationOf(reports: readonly HealthReport[], slipP99Us: number | null): string[] {
  const reasons: string[] = []
  const busy = Math.max(0, ...reports.map(report => report.busy))
  const delayMs = Math.max(0, ...reports.map(report => report.loopDelayP99Ms))
  if (busy > BUSY_MAX) reasons.push(`a process was busy ${(busy * 100).toFixed(0)} % of the time`)
  if (delayMs > LOOP_DELAY_P99_MAX_MS) {
    reasons.push(`the event loop was ${delayMs.toFixed(0)} ms late (p99)`)
  }
  if (slipP99Us !== null && slipP99Us > SLIP_P99_MAX_US) {
    reasons.push(`messages left ${(slipP99Us / 1e3).toFixed(1)} ms after their time (p99)`)
  }
  // It was not its own work that kept it from being in time.
  if (reasons.length > 0 && busy < BUSY_OWN) {
    reasons.push(`while it was busy ${(busy * 100).toFixed(0)} %: others took the processor`)
  }
  return reasons
}
