// A trial of `ping` or `load` from the first connection to the last figure. What goes wrong before
// publishing is a RunFailure; what goes wrong later is in the result.

import type { Properties } from '@godwit/packet'
import { assembleConnect, assembleInterval, assembleTrial } from './assemble.ts'
import { nowUs } from './clock.ts'
import type { ConnectReport, SentTable } from './engine-reports.ts'
import { mergeEncoded, summaryOf } from './histogram.ts'
import { type Demands, refusalOf } from './negotiated.ts'
import { openParts, type Part } from './parts.ts'
import { planOf } from './plan.ts'
import type { ConnectResult, Interval, TrialResult } from './result.ts'
import type { LoadSettings } from './settings.ts'
import { holds } from './slo.ts'

const INTERVAL_MS = 1000
const DRAIN_POLL_MS = 20
/** What a look counts at most: while this process stands still nothing can arrive. */
const DRAIN_LOOK_MS_MAX = 2 * DRAIN_POLL_MS
/** Other processes need a moment to set their timers. */
const START_DELAY_US = 100_000
const ABORT_AFTER_SECONDS = 3

/** Why a run never began. */
export class RunFailure extends Error {
  override readonly name = 'RunFailure'
}

/** What a display hears. */
export interface TrialWatcher {
  connecting(settings: LoadSettings): void
  connected(connect: ConnectResult, connack: Properties): void
  interval(interval: Interval, total: Totals): void
  draining(missing: number): void
  /** All has arrived, or nothing more does; the connections are still there. */
  settled(): void
}

export interface Totals {
  readonly sent: number
  readonly received: number
}

/** @throws RunFailure when not all connections or subscriptions could be made */
export async function runTrial(
  settings: LoadSettings,
  watcher: TrialWatcher,
  signal: AbortSignal,
): Promise<TrialResult> {
  const parts = openParts(settings, 1 + Math.floor(Math.random() * 65_535))
  try {
    return await new Trial(settings, parts, watcher, signal).run()
  } finally {
    await Promise.allSettled(parts.map(part => part.close()))
  }
}

class Trial {
  private readonly settings: LoadSettings
  private readonly parts: readonly Part[]
  private readonly watcher: TrialWatcher
  private readonly signal: AbortSignal
  private readonly intervals: Interval[] = []
  private totals = { sent: 0, acked: 0, received: 0 }
  private soFar = ''
  private isAborted = false
  private hasBegun = false

  constructor(
    settings: LoadSettings,
    parts: readonly Part[],
    watcher: TrialWatcher,
    signal: AbortSignal,
  ) {
    this.settings = settings
    this.parts = parts
    this.watcher = watcher
    this.signal = signal
  }

  async run(): Promise<TrialResult> {
    const { settings, parts, signal } = this
    this.watcher.connecting(settings)
    const connect = await this.connect()
    const isRetained = settings.retainedMessages > 0
    if (!isRetained) await this.subscribe()
    await this.publish()
    if (isRetained && !signal.aborted) {
      await this.settled(await this.sent(), progress => progress.open === 0)
      await this.subscribe()
    }
    const sent = await this.sent()
    await this.settled(sent, ({ expected, received, open }) => open === 0 && received >= expected)
    this.watcher.settled()
    if (this.hasBegun) await this.sample()
    // What was sent after publishing ended, from the backlog, is expected too.
    const finally_ = await this.sent()
    const reports = await Promise.all(parts.map(part => part.report(finally_)))
    const wasInterrupted = signal.aborted
    return assembleTrial(reports, { settings, connect, intervals: this.intervals, wasInterrupted })
  }

  private async connect(): Promise<ConnectResult> {
    await Promise.all(this.parts.map(part => part.ready()))
    const reports = await this.opening(part => part.connect())
    const connect = assembleConnect(reports)
    if (connect.failed > 0 && !this.signal.aborted) {
      const [error] = connect.errors
      const reason = error === undefined ? '' : `: ${error.text}`
      throw new RunFailure(`${connect.failed} of ${connect.wanted} connections failed${reason}`)
    }
    const connack = connackOf(reports)
    this.watcher.connected(connect, connack)
    const refusal = refusalOf(connack, this.demands(reports))
    if (refusal !== null && !this.signal.aborted) throw new RunFailure(refusal)
    return connect
  }

  private demands(reports: readonly ConnectReport[]): Demands {
    const { settings } = this
    return {
      qos: settings.qos,
      retains: settings.retain || settings.retainedMessages > 0,
      filters: planOf(settings).clients.flatMap(({ filters }) => filters),
      packetBytesMax: Math.max(...reports.map(report => report.packetBytesMax)),
    }
  }

  private async subscribe(): Promise<void> {
    if (this.signal.aborted) return
    const failures = (await this.opening(part => part.subscribe())).flat()
    if (failures.length > 0 && !this.signal.aborted) {
      throw new RunFailure(`${failures.length} subscriptions failed: ${failures[0]}`)
    }
  }

  private async publish(): Promise<void> {
    const { parts, settings, signal } = this
    if (signal.aborted) return
    this.hasBegun = true
    const startUs = nowUs() + (parts.length > 1 ? START_DELAY_US : 0)
    const sampler = setInterval(() => void this.sample().catch(() => undefined), INTERVAL_MS)
    const stop = (): void => {
      for (const part of parts) void part.stop()
    }
    this.stop = stop
    signal.addEventListener('abort', stop)
    const storms = settings.storm === null ? null : this.storms(settings.storm)
    try {
      await Promise.all(parts.map(part => part.publish(startUs)))
    } finally {
      clearInterval(sampler)
      if (storms !== null) await storms.end()
      signal.removeEventListener('abort', stop)
    }
  }
  private stop: () => void = () => undefined

  private storms(storm: { share: number; everyUs: number }): { end(): Promise<void> } {
    let last: Promise<unknown> = Promise.resolve()
    let under = false
    const timer = setInterval(() => {
      // A storm that has not passed is not joined by the next.
      if (under) return
      under = true
      last = Promise.allSettled(this.parts.map(part => part.storm(storm.share))).then(() => {
        under = false
      })
    }, storm.everyUs / 1e3)
    return {
      end: async () => {
        clearInterval(timer)
        await last
      },
    }
  }

  /** Waits until all has arrived, or nothing more does. */
  private async settled(
    sent: SentTable,
    isDone: (progress: { expected: number; received: number; open: number }) => boolean,
  ): Promise<void> {
    const { drainMs } = this.settings
    let table = sent
    let before = ''
    let lastMs = performance.now()
    let silentMs = 0
    while (silentMs < drainMs) {
      const parts = await Promise.all(this.parts.map(part => part.progress(table)))
      const progress = {
        expected: parts.reduce((sum, part) => sum + part.expected, 0),
        received: parts.reduce((sum, part) => sum + part.received, 0),
        open: parts.reduce((sum, part) => sum + part.open, 0),
      }
      if (isDone(progress)) return
      this.watcher.draining(Math.max(0, progress.expected - progress.received))
      const state = JSON.stringify(progress)
      const nowMs = performance.now()
      silentMs = state === before ? silentMs + Math.min(nowMs - lastMs, DRAIN_LOOK_MS_MAX) : 0
      lastMs = nowMs
      before = state
      await new Promise(resolve => setTimeout(resolve, DRAIN_POLL_MS))
      table = await this.sent()
    }
  }

  private async sent(): Promise<SentTable> {
    const tables = await Promise.all(this.parts.map(part => part.sentTable()))
    const [first, ...others] = tables
    const sum = Uint32Array.from(first ?? [])
    for (const table of others) {
      for (let i = 0; i < table.length; i++) sum[i] = (sum[i] ?? 0) + (table[i] ?? 0)
    }
    return sum
  }

  private async sample(): Promise<void> {
    const reports = await Promise.all(this.parts.map(part => part.interval()))
    const interval = assembleInterval(reports, this.totals)
    if (interval.toSeconds <= interval.fromSeconds) return
    this.totals = {
      sent: this.totals.sent + interval.sent,
      acked: this.totals.acked + interval.acked,
      received: this.totals.received + interval.received,
    }
    this.intervals.push(interval)
    this.watcher.interval(interval, this.totals)
    if (this.settings.abortOnSlo) this.abortWhenMissed(interval)
  }

  /** A goal for a latency that is missed so far ends the trial early. */
  private abortWhenMissed(interval: Interval): void {
    this.soFar = mergeEncoded([this.soFar, interval.encoded.response ?? ''])
    if (this.isAborted || interval.toSeconds < ABORT_AFTER_SECONDS) return
    const summary: Readonly<Record<string, number>> = { ...summaryOf(this.soFar) }
    this.isAborted = this.settings.slos.some(slo => {
      const name = /^response\.(.*)$/.exec(slo.metric)?.[1] ?? ''
      const value = summary[name]
      return value !== undefined && !Number.isNaN(value) && !holds(value, slo.comparison, slo.limit)
    })
    if (this.isAborted) this.stop()
  }

  /** Ctrl-C ends it with what there is. */
  private async opening<T>(act: (part: Part) => Promise<T>): Promise<T[]> {
    const { signal, parts } = this
    const stop = (): void => {
      for (const part of parts) void part.stopOpening().catch(() => undefined)
    }
    const all = Promise.all(parts.map(act))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    try {
      return await all
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
}

function connackOf(reports: readonly ConnectReport[]): Properties {
  return reports[0]?.connack ?? {}
}
