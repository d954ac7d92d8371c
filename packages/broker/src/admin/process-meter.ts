// What Node says of the process, and how late the event loop is. prom-client's own metrics of the
// process are not taken: they walk all handles and file descriptors, which are the connections.

import { Histogram } from '../histogram.ts'
import type { ProcessReadings } from './readings.ts'

const INTERVAL_MS = 20
const DELAY_SECONDS = [0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const MICROSECONDS = 1_000_000

export class ProcessMeter {
  private readonly delays = new Histogram(DELAY_SECONDS)
  private readonly timer: NodeJS.Timeout
  private lastMs: number = performance.now()

  constructor() {
    this.timer = setInterval(() => this.ring(), INTERVAL_MS)
    this.timer.unref()
  }

  read(): ProcessReadings {
    const { user, system } = process.cpuUsage()
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
    return {
      startedAtSeconds: performance.timeOrigin / 1000,
      userSeconds: user / MICROSECONDS,
      systemSeconds: system / MICROSECONDS,
      residentBytes: rss,
      heapTotalBytes: heapTotal,
      heapUsedBytes: heapUsed,
      externalBytes: external,
      eventLoopBusySeconds: performance.eventLoopUtilization().active / 1000,
      eventLoopDelaySeconds: this.delays,
    }
  }

  end(): void {
    clearInterval(this.timer)
  }

  /** Later than it was to come: something else held the event loop meanwhile. */
  private ring(): void {
    const nowMs = performance.now()
    this.delays.observe(Math.max(0, nowMs - this.lastMs - INTERVAL_MS) / 1000)
    this.lastMs = nowMs
  }
}
