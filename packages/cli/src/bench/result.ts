// The result of a run as it is written to a file, compared and rendered. Times are microseconds
// where a name says so and in latencies, else seconds.

import type { LatencySummary } from './histogram.ts'
import type { Delivery, Verdict } from './verdict.ts'

export const RESULT_FORMAT = 'godwit-bench'
export const RESULT_VERSION = 1

/** `response` is from the intended time of sending, `service` from the actual one. */
export type LatencyName = 'response' | 'service' | 'ack' | 'connect' | 'slip'

export interface Latency {
  readonly summary: LatencySummary
  /** HdrHistogram V2, compressed, base64. */
  readonly encoded: string
}

/** About a second of a run, all processes together. */
export interface Interval {
  /** From the beginning of publishing. */
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly sent: number
  readonly acked: number
  readonly received: number
  readonly connections: number
  /** null: nothing was recorded. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  readonly loopDelayMs: number
  readonly isWarmup: boolean
  /** By name of a latency. */
  readonly encoded: Readonly<Partial<Record<LatencyName, string>>>
}

export interface ErrorCount {
  readonly text: string
  readonly count: number
}

export interface ConnectResult {
  readonly wanted: number
  readonly connected: number
  readonly failed: number
  readonly seconds: number
  readonly perSecond: number
  readonly errors: readonly ErrorCount[]
}

export interface TesterResult {
  readonly processes: number
  /** Of the busiest process, 0 to 1: CPU time, polling left out. */
  readonly busy: number
  /** CPU seconds of all processes. */
  readonly cpuSeconds: number
  readonly loopDelayP99Ms: number
  /** Part of the time that garbage collection took, in the worst process. */
  readonly gcShare: number
  /** How late messages were taken from the schedule; null in a closed loop. */
  readonly slipP99Us: number | null
  readonly memoryBytes: number
  readonly isSaturated: boolean
  readonly reasons: readonly string[]
}

export interface SloResult {
  readonly text: string
  /** null: nothing was measured, which is a failure. */
  readonly value: number | null
  readonly met: boolean
}

export interface Counts {
  /** What the schedule or the number of messages asked for, in the measured time. */
  readonly offered: number
  readonly sent: number
  readonly acked: number
  readonly received: number
  /** Arrived without a header of this run: counted, not verified. */
  readonly unverified: number
  /** Payloads that were compared with what was sent, byte for byte. */
  readonly compared: number
  /** Publishes that the broker refused. */
  readonly refused: number
  /** Due and never sent. */
  readonly missed: number
  /** Sent at QoS 1 or 2, and not acknowledged when the trial was over. */
  readonly unacknowledged: number
  readonly brokenConnections: number
  readonly reconnects: number
}

/** Of `many`: what became of sessions and of what they asked. */
export interface SessionCounts {
  /** Messages and pings that ask for an answer. */
  readonly asked: number
  /** Of these, those whose connection was gone before the answer. */
  readonly cutOff: number
  /** Sessions that gave no answer in time and were given up. */
  readonly dead: number
  readonly failedReconnects: number
}

export interface TrialResult {
  readonly connect: ConnectResult
  /** From the first message to the last arrival. */
  readonly elapsedSeconds: number
  /** Without warm-up: what rates are of. */
  readonly measuredSeconds: number
  readonly counts: Counts
  readonly rates: {
    readonly offered: number
    readonly sent: number
    readonly acked: number
    readonly received: number
  }
  readonly latencies: Readonly<Partial<Record<LatencyName, Latency>>>
  readonly delivery: Delivery
  readonly sessions?: SessionCounts
  readonly verdict: Verdict
  /** What could not be told, in words. */
  readonly notes: readonly string[]
  readonly slowReceived: number
  readonly tester: TesterResult
  readonly intervals: readonly Interval[]
  readonly slos: readonly SloResult[]
  readonly wasInterrupted: boolean
}

export interface HostFacts {
  readonly cpus: number
  readonly cpuModel: string
  readonly memoryBytes: number
  readonly system: string
  readonly node: string
  readonly godwit: string
}

export interface BrokerFacts {
  readonly target: string
  /** From $SYS/broker/version, where there is one. */
  readonly version: string | null
  /** What CONNACK said. */
  readonly limits: Readonly<Record<string, number | string>>
}

export interface RunResult {
  readonly format: typeof RESULT_FORMAT
  readonly version: typeof RESULT_VERSION
  readonly kind: 'ping' | 'load' | 'many'
  /** One line: what was run. */
  readonly title: string
  readonly startedAt: string
  readonly commandLine: string
  readonly config: Readonly<Record<string, unknown>>
  readonly isOpenLoop: boolean
  readonly seed: number
  readonly host: HostFacts
  readonly broker: BrokerFacts
  readonly trials: readonly TrialResult[]
  readonly capacity: CapacityResult | null
  readonly exitCode: number
}

export interface CapacityResult {
  readonly slo: string
  readonly steps: readonly CapacityStep[]
  /** Messages per second; 0 when even the first step failed. */
  readonly found: number
  /** Why not more. */
  readonly limit: string
  /** What ended the search was not the broker: it may carry more. */
  readonly isLowerBound: boolean
  /** It was ended before the limit was found: there may be more. */
  readonly wasInterrupted: boolean
}

export interface CapacityStep {
  readonly rate: number
  readonly achieved: number
  readonly value: number | null
  readonly passed: boolean
  readonly why: string
}

/** A number of a trial by its name in an SLO or a comparison, or null when it was not measured. */
export function metricOf(trial: TrialResult, name: string): number | null {
  const [head = '', ...rest] = name.split('.')
  const tail = rest.join('.')
  if (head in LATENCY_NAMES) {
    const latency = trial.latencies[head as LatencyName]
    const value = latency?.summary[tail as keyof LatencySummary]
    return value === undefined || Number.isNaN(value) ? null : value
  }
  const groups: Readonly<Record<string, object>> = {
    delivery: trial.delivery,
    rate: trial.rates,
    connect: trial.connect,
    count: trial.counts,
    tester: trial.tester,
  }
  const group = groups[head === 'connections' ? 'connect' : head]
  const value: unknown = group === undefined ? undefined : Reflect.get(group, tail)
  return typeof value === 'number' ? value : null
}

const LATENCY_NAMES: Readonly<Record<LatencyName, true>> = {
  response: true,
  service: true,
  ack: true,
  connect: true,
  slip: true,
}
