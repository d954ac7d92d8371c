// A run of `many` from the check before it to its report: connect, hold, storms, the last roll
// call.

import type { Properties } from '@godwit/packet'
import { assembleConnect, mergeErrors } from './assemble.ts'
import { askVersion, factsOf, urlOf } from './broker-facts.ts'
import { RunFailure } from './coordinator.ts'
import type { ConnectReport } from './engine-reports.ts'
import { type HealthReport, saturationOf } from './health.ts'
import { mergeEncoded, summaryOf } from './histogram.ts'
import { ManyEngine } from './many-engine.ts'
import type { ManyInterval, ManyReport } from './many-reports.ts'
import { manyLines } from './many-text.ts'
import { refusalOf } from './negotiated.ts'
import { formatBytes, formatCount, formatRate, formatUs } from './numbers.ts'
import { checkLimits, readLimits } from './preflight.ts'
import type { Progress } from './progress.ts'
import { Remote } from './remote.ts'
import { connectLine, line } from './report-text.ts'
import {
  type ConnectResult,
  type Interval,
  type Latency,
  RESULT_FORMAT,
  RESULT_VERSION,
  type RunResult,
  type TesterResult,
  type TrialResult,
} from './result.ts'
import { checkHosts, ExitCode, hostFacts, type RunOutcome } from './run.ts'
import type { ManySettings } from './settings.ts'
import { checkSlo } from './slo.ts'
import { NO_DELIVERY } from './verdict.ts'

const INTERVAL_MS = 1000
const SESSIONS_TO_MEASURE = 2000

interface ManyPart {
  ready(): Promise<void>
  connect(): Promise<ConnectReport>
  stopConnecting(): Promise<void>
  hold(): Promise<void>
  storm(share: number): Promise<void>
  awaitAnswers(): Promise<void>
  interval(): Promise<ManyInterval>
  report(): Promise<ManyReport>
  close(): Promise<void>
}

/** @throws RunFailure when the sessions do not fit or cannot connect */
export async function runMany(
  settings: ManySettings,
  hasPreflight: boolean,
  progress: Progress,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const startedAt = new Date().toISOString()
  const title = titleOf(settings)
  progress.say(title)
  if (hasPreflight && settings.sessions > 0) preflight(settings, progress)
  await checkHosts(settings.connection)
  const version = await askVersion(settings.connection)
  const parts = openParts(settings)
  try {
    const run = new ManyRun(settings, parts, progress, signal)
    const { trial, reports, connack } = await run.run()
    const result: RunResult = {
      format: RESULT_FORMAT,
      version: RESULT_VERSION,
      kind: 'many',
      title,
      startedAt,
      commandLine: settings.commandLine,
      config: configOf(settings),
      isOpenLoop: true,
      seed: settings.seed,
      host: hostFacts(),
      broker: factsOf(settings.connection, connack, version),
      trials: [trial],
      capacity: null,
      exitCode: exitCodeOf(settings, trial, reports),
    }
    return { result, lines: manyLines(trial) }
  } finally {
    progress.end()
    await Promise.allSettled(parts.map(part => part.close()))
  }
}

class ManyRun {
  private readonly settings: ManySettings
  private readonly parts: readonly ManyPart[]
  private readonly progress: Progress
  private readonly signal: AbortSignal
  private readonly intervals: Interval[] = []
  private isHolding = false
  private hasHeld = false
  private holdFromMs = 0
  private before = { published: 0, answered: 0, received: 0 }

  constructor(
    settings: ManySettings,
    parts: readonly ManyPart[],
    progress: Progress,
    signal: AbortSignal,
  ) {
    this.settings = settings
    this.parts = parts
    this.progress = progress
    this.signal = signal
  }

  async run(): Promise<{ trial: TrialResult; reports: ManyReport[]; connack: Properties }> {
    const { settings, parts, progress } = this
    progress.begin(settings.sessions, 'sessions')
    const sampler = setInterval(() => void this.sample(false).catch(() => undefined), INTERVAL_MS)
    try {
      const connects = await this.connect()
      const connect = assembleConnect(connects)
      progress.end()
      progress.say(connectLine(connect, summaryOf(mergeEncoded(connects.map(one => one.encoded)))))
      if (settings.sessions > 0 && connect.failed > 0 && !this.signal.aborted) {
        const [error] = connect.errors
        throw new RunFailure(
          `${connect.failed} of ${connect.wanted} sessions failed: ${error?.text ?? 'unknown'}`,
        )
      }
      const { qos, subscribe } = settings
      const filters = subscribe === '' ? [] : [subscribe]
      const refusal = refusalOf(connects[0]?.connack ?? {}, {
        qos,
        filters,
        retains: false,
        packetBytesMax: 0,
      })
      if (refusal !== null && !this.signal.aborted) throw new RunFailure(refusal)
      await this.hold()
      const heldSeconds = this.heldSeconds
      this.isHolding = false
      await Promise.all(parts.map(part => part.awaitAnswers()))
      clearInterval(sampler)
      await this.sample(true)
      const reports = await Promise.all(parts.map(part => part.report()))
      const trial = this.trialOf(connect, reports, heldSeconds)
      return { trial, reports, connack: connects[0]?.connack ?? {} }
    } finally {
      clearInterval(sampler)
    }
  }

  /** Ctrl-C ends it with the sessions that there are. */
  private async connect(): Promise<ConnectReport[]> {
    const { signal, parts } = this
    const stop = (): void => {
      for (const part of parts) void part.stopConnecting().catch(() => undefined)
    }
    await Promise.all(parts.map(part => part.ready()))
    const all = Promise.all(parts.map(part => part.connect()))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    try {
      return await all
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  private async hold(): Promise<void> {
    const { settings, parts, signal } = this
    this.progress.begin(settings.holdMs / 1e3, 'seconds')
    this.isHolding = true
    this.hasHeld = true
    this.holdFromMs = performance.now()
    await Promise.all(parts.map(part => part.hold()))
    let storm: Promise<unknown> = Promise.resolve()
    let isStorming = false
    const storms =
      settings.storm === null
        ? null
        : setInterval(() => {
            if (isStorming || settings.storm === null) return
            isStorming = true
            const { share } = settings.storm
            storm = Promise.allSettled(parts.map(part => part.storm(share))).then(() => {
              isStorming = false
            })
          }, settings.storm.everyUs / 1e3)
    await new Promise<void>(resolve => {
      const timer = settings.holdMs === 0 ? null : setTimeout(resolve, settings.holdMs)
      const abort = (): void => {
        if (timer !== null) clearTimeout(timer)
        resolve()
      }
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    })
    if (storms !== null) clearInterval(storms)
    await storm
  }

  private get heldSeconds(): number {
    return (performance.now() - this.holdFromMs) / 1e3
  }

  private async sample(isLast: boolean): Promise<void> {
    const reports = await Promise.all(this.parts.map(part => part.interval()))
    const sum = (pick: (report: ManyInterval) => number): number =>
      reports.reduce((total, report) => total + pick(report), 0)
    const ack = mergeEncoded(reports.map(report => report.ack))
    const { p50, p99, max, count } = summaryOf(ack)
    const now = {
      published: sum(report => report.published),
      answered: sum(report => report.answered),
      received: sum(report => report.received),
    }
    const interval: Interval = {
      fromSeconds: Math.min(...reports.map(report => report.fromSeconds)),
      toSeconds: Math.max(...reports.map(report => report.toSeconds)),
      sent: now.published - this.before.published,
      acked: now.answered - this.before.answered,
      received: now.received - this.before.received,
      connections: sum(report => report.up),
      p50: count === 0 ? null : p50,
      p99: count === 0 ? null : p99,
      max: count === 0 ? null : max,
      loopDelayMs: Math.max(...reports.map(report => report.loopDelayMs)),
      isWarmup: false,
      encoded: { ack },
    }
    this.before = now
    this.intervals.push(interval)
    if (isLast) return
    const seconds = Math.max(1e-3, interval.toSeconds - interval.fromSeconds)
    const facts = [
      `${formatCount(interval.connections)} up`,
      `${formatRate(interval.sent / seconds)}/s published`,
      `ack p99 ${formatUs(interval.p99)}`,
      `rss ${formatBytes(sum(report => report.memoryBytes))}`,
      `loop delay ${interval.loopDelayMs.toFixed(1)} ms`,
    ]
    if (this.hasHeld && !this.isHolding) facts.push(`waiting for ${sum(one => one.open)} answers`)
    this.progress.update(this.hasHeld ? this.heldSeconds : interval.connections, facts.join('   '))
  }

  private trialOf(
    connect: ConnectResult,
    reports: readonly ManyReport[],
    heldSeconds: number,
  ): TrialResult {
    const sum = (pick: (report: ManyReport) => number): number =>
      reports.reduce((total, report) => total + pick(report), 0)
    const published = sum(report => report.published)
    const missed = sum(report => report.missed)
    const answered = sum(report => report.answered)
    const refused = sum(report => report.refused)
    const asked = sum(report => report.asked)
    const alive = sum(report => report.alive)
    const sessions = sum(report => report.sessions)
    const lost = sessions - alive
    const latencies: { ack?: Latency; connect?: Latency } = {}
    for (const name of ['ack', 'connect'] as const) {
      const encoded = mergeEncoded(reports.map(report => report[name]))
      const summary = summaryOf(encoded)
      if (summary.count > 0) latencies[name] = { summary, encoded }
    }
    const trial: TrialResult = {
      connect,
      elapsedSeconds: this.heldSeconds,
      measuredSeconds: heldSeconds,
      counts: {
        offered: published + missed,
        sent: published,
        acked: answered,
        received: sum(report => report.received),
        unverified: 0,
        compared: 0,
        refused,
        missed,
        unacknowledged: asked - answered - refused,
        brokenConnections: sum(report => report.broken),
        reconnects: sum(report => report.reconnects),
      },
      rates: {
        offered: (published + missed) / heldSeconds,
        sent: published / heldSeconds,
        acked: answered / heldSeconds,
        received: sum(report => report.received) / heldSeconds,
      },
      latencies,
      delivery: { ...NO_DELIVERY, expected: sessions, received: alive, lost },
      sessions: {
        asked,
        cutOff: sum(report => report.cutOff),
        dead: sum(report => report.dead),
        failedReconnects: sum(report => report.failedReconnects),
      },
      verdict: { contractMet: lost === 0, perfect: lost === 0, text: aliveText(sessions, lost) },
      notes: notesOf(reports),
      slowReceived: 0,
      tester: testerOf(reports.map(report => report.health)),
      intervals: this.intervals,
      slos: [],
      wasInterrupted: this.signal.aborted,
    }
    return { ...trial, slos: this.settings.slos.map(slo => checkSlo(slo, trial)) }
  }
}

function testerOf(health: readonly HealthReport[]): TesterResult {
  const reasons = saturationOf(health, null)
  return {
    processes: health.length,
    busy: Math.max(...health.map(one => one.busy)),
    cpuSeconds: health.reduce((total, one) => total + one.cpuSeconds, 0),
    loopDelayP99Ms: Math.max(...health.map(one => one.loopDelayP99Ms)),
    gcShare: Math.max(...health.map(one => one.gcShare)),
    slipP99Us: null,
    memoryBytes: health.reduce((total, one) => total + one.memoryBytes, 0),
    isSaturated: reasons.length > 0,
    reasons,
  }
}

function aliveText(sessions: number, lost: number): string {
  if (sessions === 0) return 'no session was opened'
  return lost === 0 ? 'every session is alive' : `${lost} sessions are NOT alive`
}

function openParts(settings: ManySettings): ManyPart[] {
  if (settings.processes === 1) {
    const engine = new ManyEngine(settings, 0)
    return [
      {
        ready: async () => undefined,
        connect: () => engine.connect(),
        stopConnecting: async () => engine.stopConnecting(),
        hold: async () => engine.hold(),
        storm: share => engine.storm(share),
        awaitAnswers: () => engine.awaitAnswers(),
        interval: async () => engine.interval(),
        report: () => engine.report(),
        close: () => engine.close(),
      },
    ]
  }
  return Array.from({ length: settings.processes }, (_, worker) => {
    const remote = new Remote({ settings, worker, run: 0 })
    return {
      ready: () => remote.ready,
      connect: () => remote.call('connect') as Promise<ConnectReport>,
      stopConnecting: () => remote.call('stopConnecting') as Promise<void>,
      hold: () => remote.call('hold') as Promise<void>,
      storm: (share: number) => remote.call('storm', share) as Promise<void>,
      awaitAnswers: () => remote.call('awaitAnswers') as Promise<void>,
      interval: () => remote.call('interval') as Promise<ManyInterval>,
      report: () => remote.call('report') as Promise<ManyReport>,
      close: () => remote.call('close').then(() => remote.leave()),
    }
  })
}

/** @throws RunFailure with advice when the sessions do not fit */
function preflight(settings: ManySettings, progress: Progress): void {
  const { sessions, processes, connection } = settings
  const checks = checkLimits(readLimits(), {
    sessions,
    processes,
    sourceAddresses: connection.sourceAddresses.length,
    targets: connection.targets.length,
  })
  for (const { name, text, isEnough, hint } of checks) {
    progress.say(line('pre-flight', `${name.padEnd(10)} ${text}   ${isEnough ? 'ok' : 'TOO FEW'}`))
    if (hint !== '') progress.say(line('', hint))
  }
  const wrong = checks.filter(check => !check.isEnough)
  if (wrong.length === 0) return
  const advice = wrong.map(({ name, advice: what }) => `${name}: ${what}`).join('; ')
  throw new RunFailure(`${sessions} sessions do not fit here (--no-preflight tries it): ${advice}`)
}

function exitCodeOf(
  settings: ManySettings,
  trial: TrialResult,
  reports: readonly ManyReport[],
): number {
  // Without a number the sessions are opened until one fails: that is no error.
  const isBroken = trial.counts.brokenConnections > 0 || reports.some(report => report.dead > 0)
  const isMissing = settings.sessions > 0 && !trial.verdict.contractMet
  if (isBroken || isMissing) return ExitCode.BROKEN
  if (trial.slos.some(slo => !slo.met)) return ExitCode.SLO_MISSED
  if (settings.strict && trial.tester.isSaturated) return ExitCode.SATURATED
  // Without a time to hold, Ctrl-C is how it is meant to end once all sessions are there.
  const isEarly = settings.holdMs > 0 || trial.connect.failed > 0
  return trial.wasInterrupted && isEarly ? ExitCode.INTERRUPTED : ExitCode.OK
}

function notesOf(reports: readonly ManyReport[]): string[] {
  const notes = mergeErrors(reports.map(report => report.errors)).map(({ text, count }) =>
    count === 1 ? text : `${text} (${count} times)`,
  )
  const sessions = reports.reduce((sum, report) => sum + report.sessions, 0)
  const bytes = reports.reduce((sum, report) => sum + report.bytesPerSession * report.sessions, 0)
  // Of a few sessions the memory is that of the program.
  if (sessions < SESSIONS_TO_MEASURE) return notes
  return [`${formatBytes(bytes / sessions)} of memory per session in the tester`, ...notes]
}

function titleOf(settings: ManySettings): string {
  const { connection, sessions, paceMs, paceJitter, qos, seed } = settings
  const parts = [
    connection.targets.map(urlOf).join(' '),
    `QoS ${qos}`,
    sessions === 0 ? 'as many sessions as possible' : `${formatCount(sessions)} sessions`,
    paceMs === 0
      ? 'silent'
      : `one message each ${paceMs / 1e3} s +-${(paceJitter * 100).toFixed(0)} %`,
    `seed ${seed}`,
  ]
  return line('bench many', parts.join('  '))
}

function configOf(settings: ManySettings): Record<string, unknown> {
  const { connection, output: _output, slos, ...rest } = settings
  const { username: _username, password: _password, tls, targets, ...reachable } = connection
  return {
    ...rest,
    slos: slos.map(slo => slo.text),
    connection: { ...reachable, targets: targets.map(urlOf), tls: tls !== null },
  }
}
