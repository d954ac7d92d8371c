// Two results side by side: what changed, with what confidence, and whether it matters. Pure.

import { usage } from '../failure.ts'
import { formatBytes, formatChange, formatPercent, formatRate, formatUs, table } from './numbers.ts'
import { metricOf, type RunResult } from './result.ts'
import { checkMetric, holds, isTime } from './slo.ts'
import { compareSamples, type Difference, type Sample } from './statistics.ts'

export interface ComparedMetric extends Difference {
  readonly name: string
}

export interface Comparison {
  readonly before: RunResult
  readonly after: RunResult
  readonly metrics: readonly ComparedMetric[]
  /** Settings that are not the same, so that the comparison may be of apples and pears. */
  readonly differences: readonly string[]
  readonly threshold: number
}

/** A change that is an error: `response.p99 > +10%`. */
export interface ChangeLimit {
  readonly text: string
  readonly metric: string
  readonly comparison: '<' | '>'
  readonly change: number
}

const HIGHER_IS_BETTER = /\.(?:received|sent|acked|offered|expected|connected|perSecond|compared)$/
const METRICS = [
  ...['rate.received', 'rate.sent'],
  ...['response.p50', 'response.p90', 'response.p99', 'response.p99.9', 'response.max'],
  ...['service.p50', 'service.p99', 'ack.p50', 'ack.p99', 'connect.p99'],
  ...['connections.perSecond', 'delivery.lost', 'delivery.duplicated', 'delivery.reordered'],
  'delivery.damaged',
]
/** Settings that may differ between runs of the same thing. */
const Harmless = new Set(['kind', 'seed', 'trials', 'commandLine', 'connection', 'slos'])

/**
 * @param threshold a change smaller than this fraction does not matter
 * @param limits what they are about is compared, too
 */
export function compareResults(
  before: RunResult,
  after: RunResult,
  threshold: number,
  limits: readonly ChangeLimit[] = [],
): Comparison {
  const limited = new Set(limits.map(({ metric }) => metric))
  const metrics = [...new Set([...METRICS, ...limited])].flatMap(name => {
    const [left, right] = [before, after].map(result => valuesOf(result, name))
    if (left === undefined || right === undefined) return []
    if (left.length === 0 || right.length === 0) return []
    const isUsual = name.startsWith('delivery.') && !limited.has(name)
    if (isUsual && [...left, ...right].every(value => value === 0)) return []
    return [{ name, ...compareSamples(left, right, HIGHER_IS_BETTER.test(name), threshold) }]
  })
  return { before, after, metrics, differences: differencesOf(before, after), threshold }
}

function valuesOf({ trials }: RunResult, name: string): number[] {
  return trials.map(trial => metricOf(trial, name)).filter(value => value !== null)
}

function differencesOf(before: RunResult, after: RunResult): string[] {
  const found: string[] = []
  if (before.kind !== after.kind) found.push(`bench ${before.kind} and bench ${after.kind}`)
  const names = new Set([...Object.keys(before.config), ...Object.keys(after.config)])
  for (const name of names) {
    if (Harmless.has(name)) continue
    const [left, right] = [before.config[name], after.config[name]].map(one => JSON.stringify(one))
    if (left !== right) found.push(`${name}: ${left} and ${right}`)
  }
  const [left, right] = [before.host, after.host].map(host => `${host.cpus} x ${host.cpuModel}`)
  if (left !== right) found.push(`machines: ${left} and ${right}`)
  return found
}

/** @throws CommandFailure that says what a limit looks like */
export function parseChangeLimit(option: string, text: string): ChangeLimit {
  const match = /^\s*([\w.]+)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%\s*$/.exec(text)
  if (match === null) {
    usage(`${option} takes a change such as 'response.p99 > +10%', not ${JSON.stringify(text)}`)
  }
  const [, metric = '', comparison = '', change = ''] = match
  checkMetric(option, metric)
  const isLess = comparison === '<'
  return { text: text.trim(), metric, comparison: isLess ? '<' : '>', change: Number(change) / 100 }
}

/**
 * The limits that are exceeded: only when even the near end of the interval of confidence is beyond
 * the limit, so that noise fails nobody. A limit that cannot be judged is not kept.
 */
export function exceeded(comparison: Comparison, limits: readonly ChangeLimit[]): string[] {
  return limits.flatMap(({ text, metric, comparison: sign, change }) => {
    const found = comparison.metrics.find(({ name }) => name === metric)
    if (found === undefined) return [`${text}: cannot be judged: not measured in both`]
    if (found.interval === null) return [`${text}: cannot be judged: ${ONE_TRIAL}`]
    const [low, high] = found.interval
    const near = sign === '>' ? low : high
    return holds(near, sign, change) ? [`${text}: ${formatChange(found.change)}`] : []
  })
}

const ONE_TRIAL = 'one trial on a side says nothing about chance, run both with --trials 5'
const Words = { better: 'better', worse: 'WORSE', same: 'no change', unsure: 'unsure' } as const

export function comparisonRows(comparison: Comparison): string[][] {
  return comparison.metrics.map(metric => {
    const show = (value: number): string => formatMetric(metric.name, value)
    // One trial has no spread, and none is not a spread of zero.
    const spread = ({ count, mean, stddev }: Sample): string =>
      count < 2 ? show(mean) : `${show(mean)} ± ${show(stddev)}`
    const { before, after, change, interval, significance } = metric
    return [
      metric.name,
      spread(before),
      spread(after),
      formatChange(change),
      intervalText(interval),
      interval === null ? 'one trial' : Words[significance],
    ]
  })
}

function intervalText(interval: Difference['interval']): string {
  if (interval === null || !interval.every(Number.isFinite)) return '-'
  return interval.map(formatChange).join(' to ')
}

export function comparisonLines(comparison: Comparison): string[] {
  const { before, after, differences, threshold } = comparison
  const trials = Math.min(before.trials.length, after.trials.length)
  const head = ['metric', 'before', 'after', 'change', '95 % confidence', 'verdict']
  const lines = [
    `before      ${before.title}  (${trialsText(before)})`,
    `after       ${after.title}  (${trialsText(after)})`,
    ...differences.map(text => `not same    ${text}`),
    '',
    ...table([head, ...comparisonRows(comparison)]),
    '',
  ]
  if (trials < 2) {
    lines.push('With one trial on a side nobody knows what is chance: run with --trials 5.')
  } else {
    const worse = comparison.metrics.filter(({ significance }) => significance === 'worse')
    const better = comparison.metrics.filter(({ significance }) => significance === 'better')
    lines.push(
      `${better.length} better, ${worse.length} worse beyond chance; changes below ` +
        `${(threshold * 100).toFixed(0)} % do not matter.`,
    )
  }
  return lines
}

function trialsText({ trials }: RunResult): string {
  return trials.length === 1 ? '1 trial' : `${trials.length} trials`
}

function formatMetric(name: string, value: number): string {
  if (isTime(name)) return formatUs(value)
  if (/^rate\.|\.perSecond$/.test(name)) return `${formatRate(value)}/s`
  if (/\.(?:busy|gcShare)$/.test(name)) return formatPercent(value)
  if (name.endsWith('Bytes')) return formatBytes(value)
  return value.toFixed(Number.isInteger(value) || name.startsWith('delivery.') ? 0 : 2)
}
