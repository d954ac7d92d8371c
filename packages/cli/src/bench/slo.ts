// Goals such as `response.p99 < 20ms`: reading them, and telling whether a trial met them.

import { usage } from '../failure.ts'
import type { SloResult, TrialResult } from './result.ts'
import { metricOf } from './result.ts'

export type Comparison = '<' | '<=' | '>' | '>=' | '==' | '!='

export interface Slo {
  /** As it was written. */
  readonly text: string
  readonly metric: string
  readonly comparison: Comparison
  /** Microseconds, messages per second, a count or a fraction. */
  readonly limit: number
}

const STATISTICS = 'count|min|mean|stddev|max|p50|p90|p99|p99\\.9|p99\\.99'
const METRICS = [
  `(?:response|service|ack|connect|slip)\\.(?:${STATISTICS})`,
  'delivery\\.(?:expected|received|lost|duplicated|reordered|foreign|damaged|otherQoS)',
  'rate\\.(?:offered|sent|acked|received)',
  'connections\\.(?:wanted|connected|failed|seconds|perSecond)',
  'count\\.(?:offered|sent|acked|received|unverified|refused|missed|unacknowledged)',
  'count\\.(?:compared|brokenConnections|reconnects)',
  'tester\\.(?:busy|cpuSeconds|loopDelayP99Ms|gcShare|memoryBytes)',
]
const METRIC = new RegExp(`^(?:${METRICS.join('|')})$`)
const LATENCY = /^(?:response|service|ack|connect|slip)\.(?!count)/

const GOAL = /^\s*([\w.]+)\s*(<=|>=|==|!=|<|>)\s*(\d[\d._]*)\s*([a-zµ%]*)(\/s)?\s*$/i

const TIME_UNITS: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1e3, s: 1e6, m: 60e6 }
const COUNT_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, '%': 0.01 }

/** @throws CommandFailure that says what a goal looks like */
export function parseSlo(option: string, text: string): Slo {
  const match = GOAL.exec(text)
  if (match === null) {
    usage(`${option} takes a goal such as 'response.p99 < 20ms', not ${JSON.stringify(text)}`)
  }
  const [, metric = '', comparison = '', number = '', unit = '', per] = match
  checkMetric(option, metric)
  if (per !== undefined && !/^rate\.|\.perSecond$/.test(metric)) {
    usage(`${option}: ${metric} is not so many per second`)
  }
  const units = LATENCY.test(metric) ? TIME_UNITS : COUNT_UNITS
  const factor = units[unit]
  if (factor === undefined) {
    const known = Object.keys(units).filter(name => name !== '')
    usage(`${option}: ${metric} is in ${known.join(', ')}, not in ${JSON.stringify(unit)}`)
  }
  const value = Number(number.replaceAll('_', ''))
  if (Number.isNaN(value)) usage(`${option}: ${number} is no number`)
  return { text: text.trim(), metric, comparison: comparison as Comparison, limit: value * factor }
}

/** @throws CommandFailure when no such number is measured */
export function checkMetric(option: string, metric: string): void {
  if (METRIC.test(metric)) return
  usage(
    `${option} knows no ${metric}: try response.p99, service.p50, ack.max, connect.p99, ` +
      'delivery.lost, rate.received, count.refused or tester.busy',
  )
}

/** What was not measured is not met. */
export function checkSlo(slo: Slo, trial: TrialResult): SloResult {
  const value = metricOf(trial, slo.metric)
  return { text: slo.text, value, met: value !== null && holds(value, slo.comparison, slo.limit) }
}

/** Whether a metric is a time in microseconds. */
export function isTime(metric: string): boolean {
  return LATENCY.test(metric)
}

export function holds(value: number, comparison: Comparison, limit: number): boolean {
  switch (comparison) {
    case '<':
      return value < limit
    case '<=':
      return value <= limit
    case '>':
      return value > limit
    case '>=':
      return value >= limit
    case '==':
      return value === limit
    default:
      return value !== limit
  }
}
