// The result of a comparison of brokers as data, and the numbers that are read from it. Pure.

import { type HostFacts, metricOf, type TrialResult } from './result.ts'
import { sampleOf } from './statistics.ts'

export const BROKERS_FORMAT = 'godwit-brokers'

/** One scenario, once, on one broker. */
export interface Measurement {
  readonly scenario: string
  readonly broker: string
  readonly repeat: number
  /** Why there are no figures; null when there are. */
  readonly failure: string | null
  readonly receivedPerSecond: number | null
  /**
   * Messages delivered per CPU second of the broker: the rest of the machine disturbs it little.
   */
  readonly perCpuSecond: number | null
  readonly cpuSeconds: number | null
  readonly memoryBytes: number | null
  /** Microseconds, from the intended time of sending. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  readonly expected: number
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  readonly contractMet: boolean
  readonly brokenConnections: number
  readonly wasTesterSaturated: boolean
}

export interface ComparedBroker {
  readonly name: string
  readonly version: string
  readonly about: string
  readonly protocol: string
  readonly command: string
}

export interface BrokersResult {
  readonly format: typeof BROKERS_FORMAT
  readonly startedAt: string
  readonly commandLine: string
  readonly host: HostFacts
  /** Of the machine in the minute before: what other programs asked for. */
  readonly loadAverage: number
  readonly seconds: number
  readonly repeats: number
  readonly brokers: readonly ComparedBroker[]
  /** Brokers that were asked for and are not installed. */
  readonly missing: readonly string[]
  readonly scenarios: readonly {
    readonly name: string
    readonly about: string
    readonly isOpenLoop: boolean
  }[]
  readonly measurements: readonly Measurement[]
}

type Figure = 'receivedPerSecond' | 'perCpuSecond' | 'cpuSeconds' | 'memoryBytes' | 'p50' | 'p99'

/** The weight of a broker before and after. */
export interface Weighed {
  readonly trial: TrialResult
  readonly cpuSeconds: number | null
  readonly memoryBytes: number | null
}

export function measurementOf(
  where: { readonly scenario: string; readonly broker: string; readonly repeat: number },
  { trial, cpuSeconds, memoryBytes }: Weighed,
): Measurement {
  const { delivery, verdict, counts, rates, tester } = trial
  const { expected, received, lost, duplicated, reordered } = delivery
  return {
    ...where,
    failure: null,
    receivedPerSecond: rates.received,
    perCpuSecond: cpuSeconds === null || cpuSeconds === 0 ? null : received / cpuSeconds,
    cpuSeconds,
    memoryBytes,
    p50: metricOf(trial, 'response.p50'),
    p99: metricOf(trial, 'response.p99'),
    max: metricOf(trial, 'response.max'),
    expected,
    lost,
    duplicated,
    reordered,
    contractMet: verdict.contractMet,
    brokenConnections: counts.brokenConnections,
    wasTesterSaturated: tester.isSaturated,
  }
}

export function failureOf(
  where: { readonly scenario: string; readonly broker: string; readonly repeat: number },
  failure: string,
): Measurement {
  const none = { receivedPerSecond: null, perCpuSecond: null, cpuSeconds: null, memoryBytes: null }
  const times = { p50: null, p99: null, max: null }
  const counts = { expected: 0, lost: 0, duplicated: 0, reordered: 0, brokenConnections: 0 }
  const flags = { contractMet: false, wasTesterSaturated: false }
  return { ...where, failure, ...none, ...times, ...counts, ...flags }
}

export function measurementsOf(
  result: BrokersResult,
  scenario: string,
  broker: string,
): Measurement[] {
  return result.measurements.filter(one => one.scenario === scenario && one.broker === broker)
}

/** The mean of what was measured; null when nothing was. */
export function meanOf(measurements: readonly Measurement[], figure: Figure): number | null {
  const values = measurements.map(one => one[figure]).filter(value => value !== null)
  return values.length === 0 ? null : sampleOf(values).mean
}

/** Half of the distance between the least and the greatest, as a part of the mean. */
export function spreadOf(measurements: readonly Measurement[], figure: Figure): number {
  const values = measurements.map(one => one[figure]).filter(value => value !== null)
  if (values.length < 2) return 0
  const { mean } = sampleOf(values)
  return mean === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / mean
}

/** In a word or two whether everything arrived, as it should. */
export function deliveryText(measurements: readonly Measurement[]): string {
  const [first] = measurements
  if (first === undefined) return '-'
  const failure = measurements.find(one => one.failure !== null)?.failure
  if (failure !== null && failure !== undefined) return failure
  const sum = (figure: 'lost' | 'duplicated' | 'reordered' | 'brokenConnections'): number =>
    measurements.reduce((total, one) => total + one[figure], 0)
  const expected = measurements.reduce((total, one) => total + one.expected, 0)
  const wrong: string[] = []
  if (sum('lost') > 0) wrong.push(`lost ${sum('lost')} of ${expected}`)
  if (sum('duplicated') > 0) wrong.push(`duplicated ${sum('duplicated')}`)
  if (sum('reordered') > 0) wrong.push(`reordered ${sum('reordered')}`)
  if (sum('brokenConnections') > 0) wrong.push(`broke ${sum('brokenConnections')} connections`)
  if (wrong.length === 0 && measurements.some(one => !one.contractMet)) {
    wrong.push('not what its QoS promises')
  }
  return wrong.length === 0 ? 'all, once, in order' : wrong.join(', ')
}
