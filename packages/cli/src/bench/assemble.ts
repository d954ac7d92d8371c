// The reports of all processes as one result. Pure.

import type { ConnectReport, IntervalReport, PartReport } from './engine-reports.ts'
import { saturationOf } from './health.ts'
import { mergeEncoded, summaryOf } from './histogram.ts'
import { detailOf, HEADER_BYTES, SEQUENCE_BYTES } from './message.ts'
import type {
  ConnectResult,
  Counts,
  ErrorCount,
  Interval,
  Latency,
  LatencyName,
  TesterResult,
  TrialResult,
} from './result.ts'
import type { LoadSettings } from './settings.ts'
import { checkSlo } from './slo.ts'
import { judge, sumOf } from './verdict.ts'

export function assembleConnect(reports: readonly ConnectReport[]): ConnectResult {
  const wanted = sum(reports, report => report.wanted)
  const connected = sum(reports, report => report.connected)
  const seconds = Math.max(0, ...reports.map(report => report.seconds))
  return {
    wanted,
    connected,
    failed: wanted - connected,
    seconds,
    perSecond: seconds === 0 ? 0 : connected / seconds,
    errors: mergeErrors(reports.map(report => report.errors)),
  }
}

/** @param before the same counters at the end of the interval before */
export function assembleInterval(
  reports: readonly IntervalReport[],
  before: { sent: number; acked: number; received: number },
): Interval {
  const merged = (name: 'response' | 'service' | 'ack'): string =>
    mergeEncoded(reports.map(report => report[name]))
  const response = merged('response')
  const summary = summaryOf(response)
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)
  return {
    fromSeconds: Math.min(...reports.map(report => report.fromSeconds)),
    toSeconds: Math.max(...reports.map(report => report.toSeconds)),
    sent: sum(reports, report => report.sent) - before.sent,
    acked: sum(reports, report => report.acked) - before.acked,
    received: sum(reports, report => report.received) - before.received,
    connections: sum(reports, report => report.connections),
    p50: orNull(summary.p50),
    p99: orNull(summary.p99),
    max: orNull(summary.max),
    loopDelayMs: Math.max(...reports.map(report => report.loopDelayMs)),
    isWarmup: reports.some(report => report.isWarmup),
    encoded: { response, service: merged('service'), ack: merged('ack') },
  }
}

/** What a trial was besides the reports of its processes. */
export interface TrialFacts {
  readonly settings: LoadSettings
  readonly connect: ConnectResult
  readonly intervals: readonly Interval[]
  readonly wasInterrupted: boolean
}

export function assembleTrial(parts: readonly PartReport[], facts: TrialFacts): TrialResult {
  const { settings, connect, intervals, wasInterrupted } = facts
  const isRetained = settings.retainedMessages > 0
  const latencies = latenciesOf(parts)
  const delivery = sumOf(parts.map(part => part.delivery))
  const startUs = Math.min(...parts.map(part => part.startUs))
  const endUs = Math.max(...parts.map(part => Math.max(part.lastArrivalUs, part.end.atUs)))
  const baseUs = Math.min(...parts.map(part => part.base.atUs))
  // A schedule has a length of its own; what only ends with the last message is over with it.
  const stopUs = settings.durationMs > 0 ? Math.max(...parts.map(part => part.end.atUs)) : endUs
  const measuredSeconds = Math.max(1e-6, (stopUs - baseUs) / 1e6)
  const counts = countsOf(parts, settings)
  const trial: TrialResult = {
    connect,
    elapsedSeconds: Math.max(1e-6, (endUs - startUs) / 1e6),
    measuredSeconds,
    counts,
    rates: {
      offered: counts.offered / measuredSeconds,
      sent: counts.sent / measuredSeconds,
      acked: counts.acked / measuredSeconds,
      received: isRetained
        ? perSecond(counts.received, latencies)
        : counts.received / measuredSeconds,
    },
    latencies,
    delivery,
    verdict: judge(delivery, settings.qos, counts.unacknowledged),
    notes: notesOf(parts, settings),
    slowReceived: sum(parts, part => part.totals.slowReceived),
    tester: testerOf(parts, settings, latencies.slip),
    intervals,
    slos: [],
    wasInterrupted,
  }
  return { ...trial, slos: settings.slos.map(slo => checkSlo(slo, trial)) }
}

/** Retained messages: as many as came in the time until the last. */
function perSecond(received: number, latencies: TrialResult['latencies']): number {
  const lastUs = latencies.response?.summary.max ?? 0
  return lastUs === 0 ? 0 : (received * 1e6) / lastUs
}

function latenciesOf(parts: readonly PartReport[]): Partial<Record<LatencyName, Latency>> {
  const latencies: Partial<Record<LatencyName, Latency>> = {}
  for (const name of ['response', 'service', 'ack', 'connect', 'slip'] as const) {
    const encoded = mergeEncoded(parts.map(part => part.encoded[name]))
    const summary = summaryOf(encoded)
    if (summary.count > 0) latencies[name] = { summary, encoded }
  }
  return latencies
}

function countsOf(parts: readonly PartReport[], settings: LoadSettings): Counts {
  const isTimed = settings.durationMs > 0
  const within = (name: 'sent' | 'acked' | 'received'): number =>
    sum(parts, part => {
      // Of a run that was over in its warm-up the time measured is none, and what came then, too.
      const isOver = isTimed || !part.hasMeasured
      return (isOver ? part.end[name] : part.totals[name]) - part.base[name]
    })
  const scheduled = sum(parts, part => part.end.scheduled - part.base.scheduled)
  const sent = within('sent')
  return {
    offered: settings.arrivals === null ? sent : scheduled,
    sent,
    acked: within('acked'),
    received: within('received'),
    unverified: sum(parts, part => part.totals.unverified),
    compared: sum(parts, part => part.totals.compared),
    refused: sum(parts, part => part.totals.refused),
    missed: sum(parts, part => part.totals.missed),
    unacknowledged: sum(parts, part => part.totals.unacknowledged),
    brokenConnections: sum(parts, part => part.totals.broken),
    reconnects: sum(parts, part => part.totals.reconnects),
  }
}

function testerOf(
  parts: readonly PartReport[],
  settings: LoadSettings,
  slip: Latency | undefined,
): TesterResult {
  const reports = parts.map(part => part.health)
  const slipP99Us = settings.arrivals === null ? null : (slip?.summary.p99 ?? null)
  const reasons = saturationOf(reports, slipP99Us)
  const worst = (pick: (report: (typeof reports)[number]) => number): number =>
    Math.max(0, ...reports.map(pick))
  return {
    processes: reports.length,
    busy: worst(report => report.busy),
    cpuSeconds: sum(reports, report => report.cpuSeconds),
    loopDelayP99Ms: worst(report => report.loopDelayP99Ms),
    gcShare: worst(report => report.gcShare),
    slipP99Us,
    memoryBytes: sum(reports, report => report.memoryBytes),
    isSaturated: reasons.length > 0,
    reasons,
  }
}

function notesOf(parts: readonly PartReport[], settings: LoadSettings): string[] {
  const notes: string[] = []
  if (!parts.some(part => part.hasMeasured)) {
    notes.push('the run was over before the warm-up: nothing was measured')
  }
  const { payload, plain } = settings
  const bytes = payload.kind === 'size' ? payload.bytesMin : HEADER_BYTES
  const detail = plain ? 'count' : detailOf(bytes)
  if (detail === 'sequence') {
    notes.push(`payloads below ${HEADER_BYTES} bytes have no times: no latency was measured`)
  } else if (detail === 'count') {
    const why = bytes < SEQUENCE_BYTES ? `payloads below ${SEQUENCE_BYTES} bytes` : '--plain'
    notes.push(`${why}: messages were only counted, not told apart`)
  }
  const forgotten = sum(parts, part => part.forgottenGaps)
  if (forgotten > 0) notes.push(`${forgotten} gaps were forgotten: late may count as duplicated`)
  for (const { text, count } of mergeErrors(parts.map(part => part.errors))) {
    notes.push(count === 1 ? text : `${text} (${count} times)`)
  }
  return notes
}

export function mergeErrors(
  lists: readonly (readonly (readonly [text: string, count: number])[])[],
): ErrorCount[] {
  const counts = new Map<string, number>()
  for (const [text, count] of lists.flat()) counts.set(text, (counts.get(text) ?? 0) + count)
  return [...counts].map(([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
}

function sum<T>(items: readonly T[], pick: (item: T) => number): number {
  return items.reduce((total, item) => total + pick(item), 0)
}
