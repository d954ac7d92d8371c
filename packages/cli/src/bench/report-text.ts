// The report of a run as text, one paragraph per trial. Plain: colours are the terminal's business.

import type { LatencySummary } from './histogram.ts'
import {
  formatBytes,
  formatCount,
  formatPercent,
  formatPerSecond,
  formatRate,
  formatSeconds,
  formatUs,
  table,
} from './numbers.ts'
import type {
  CapacityResult,
  CapacityStep,
  ConnectResult,
  LatencyName,
  RunResult,
  TrialResult,
} from './result.ts'
import { isTime } from './slo.ts'

const LABEL_WIDTH = 12

const LatencyTexts: Readonly<Record<LatencyName, string>> = {
  response: 'from the intended time of sending to arrival',
  service: 'from the actual time of sending to arrival',
  ack: 'from publish to its acknowledgement',
  connect: 'from connect to CONNACK',
  slip: 'how late the schedule was served',
}

/** From when to when. Retained messages are timed from the SUBSCRIBE that asks for them. */
export function latencyText({ config }: RunResult, name: LatencyName): string {
  const isRetained = Number(config['retainedMessages']) > 0
  return isRetained && name === 'response' ? 'from SUBSCRIBE to arrival' : LatencyTexts[name]
}

export function connectLine(connect: ConnectResult, latency: LatencySummary | null): string {
  const { connected, wanted, seconds, perSecond } = connect
  const [p50, p99, max] = [latency?.p50, latency?.p99, latency?.max].map(formatUs)
  const times = latency === null ? '' : `   p50 ${p50}  p99 ${p99}  max ${max}`
  const rate = `${formatRate(perSecond)}/s`
  return line('connect', `${connected}/${wanted} in ${formatSeconds(seconds)}  ${rate}${times}`)
}

/** Everything of one trial. */
export function trialLines(result: RunResult, trial: TrialResult, number: number): string[] {
  const lines: string[] = []
  if (result.trials.length > 1) lines.push(`trial ${number} of ${result.trials.length}`)
  lines.push(...originLines(trial), '', ...latencyLines(result, trial))
  if (result.isOpenLoop) lines.push('', ...rateLines(trial))
  lines.push('', ...deliveryLines(trial))
  for (const note of trial.notes) lines.push(line('note', note))
  for (const slo of trial.slos) lines.push(line('slo', sloText(slo)))
  lines.push(...testerLines(trial))
  if (trial.wasInterrupted) lines.push(line('note', interruptedText(trial)))
  return lines
}

function interruptedText({ counts }: TrialResult): string {
  return counts.sent === 0
    ? 'interrupted before anything was measured'
    : 'interrupted: the figures are up to then'
}

/** What the Go programs printed. */
function originLines(trial: TrialResult): string[] {
  const { counts, elapsedSeconds, measuredSeconds, connect, rates } = trial
  const { response } = trial.latencies
  const lines = [
    line('connect', `time to establish connections: ${formatSeconds(connect.seconds)}`),
    line('elapsed', `${formatSeconds(elapsedSeconds)}, measured ${formatSeconds(measuredSeconds)}`),
    // What arrives after the measured time is verified, and in no rate.
    line(
      'messages',
      `${formatCount(counts.received)} received, ${formatCount(counts.sent)} sent` +
        (measuredSeconds < elapsedSeconds ? ' in the measured time' : ''),
    ),
    line('rate', `${formatPerSecond(rates.received)} messages/sec`),
  ]
  if (response !== undefined) {
    const { min, max, mean, stddev } = response.summary
    const times = [min, max, mean, stddev].map(formatUs).join(' / ')
    lines.push(line('latency', `min/max/mean/stddev ${times}`))
  }
  return lines
}

function latencyLines(result: RunResult, trial: TrialResult): string[] {
  const { isOpenLoop } = result
  const head = ['latency', 'count', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max']
  const names = (['response', 'service', 'ack', 'connect'] as const).filter(
    // In a closed loop every message is sent when it is meant to be.
    name => trial.latencies[name] !== undefined && (isOpenLoop || name !== 'service'),
  )
  if (names.length === 0) return []
  const rows = names.map(name => {
    const summary = trial.latencies[name]?.summary
    const times = (['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'] as const).map(key =>
      formatUs(summary?.[key]),
    )
    return [`  ${name}`, formatCount(summary?.count ?? 0), ...times]
  })
  const texts = ['', ...names.map(name => latencyText(result, name))]
  const lines = table([head, ...rows]).map((row, i) => `${row}   ${texts[i] ?? ''}`.trimEnd())
  if (!isOpenLoop && !(Number(result.config['retainedMessages']) > 0)) {
    lines.push('  (closed loop: a slow broker slows the tester down, and its latency stays low)')
  }
  return lines
}

function rateLines(trial: TrialResult): string[] {
  const { rates, counts } = trial
  const missed = counts.offered === 0 ? 0 : counts.missed / counts.offered
  return table([
    ['rate', 'offered', 'sent', 'acked', 'received', 'never sent'],
    [
      '  per second',
      formatPerSecond(rates.offered),
      formatPerSecond(rates.sent),
      counts.acked === 0 ? '-' : formatPerSecond(rates.acked),
      formatPerSecond(rates.received),
      `${formatCount(counts.missed)} (${formatPercent(missed)})`,
    ],
  ])
}

/** What arrived, and what the QoS makes of it. */
export function deliveryLines(trial: TrialResult): string[] {
  const { delivery, verdict, counts } = trial
  const { expected, received, lost, duplicated, reordered, foreign, damaged, otherQoS } = delivery
  const numbers = [
    `expected ${formatCount(expected)}`,
    `lost ${formatCount(lost)}`,
    `duplicated ${formatCount(duplicated)}`,
    `reordered ${formatCount(reordered)}`,
    ...(foreign > 0 ? [`foreign ${formatCount(foreign)}`] : []),
    ...(damaged > 0 ? [`damaged ${formatCount(damaged)}`] : []),
    ...(otherQoS > 0 ? [`at another QoS ${formatCount(otherQoS)}`] : []),
  ]
  const lines = [line('delivery', `${numbers.join('  ')}   ${verdict.text}`)]
  if (counts.compared > 0) {
    const of = `${formatCount(counts.compared)} of ${formatCount(received + duplicated)} payloads`
    const how =
      damaged === 0 ? 'all as they were sent' : `${formatCount(damaged)} are not what was sent`
    lines.push(line('', `${of} compared byte for byte: ${how}`))
  }
  if (counts.unverified > 0) {
    const of = `${formatCount(counts.unverified)} messages`
    lines.push(line('', `${of} without a header of this run: counted, not verified`))
  }
  if (counts.brokenConnections > 0 || counts.reconnects > 0) {
    const { brokenConnections, reconnects } = counts
    lines.push(line('connections', `broken ${brokenConnections}  reconnected ${reconnects}`))
  }
  if (trial.slowReceived > 0) {
    const count = formatCount(trial.slowReceived)
    lines.push(line('slow', `${count} messages went to the slow subscribers, which are not judged`))
  }
  return lines
}

export function testerLines(trial: TrialResult): string[] {
  const { tester } = trial
  const { processes, busy, loopDelayP99Ms, gcShare, slipP99Us, memoryBytes } = tester
  const facts = [
    `${processes} ${processes === 1 ? 'process' : 'processes'}`,
    `busy ${(busy * 100).toFixed(0)} %`,
    `loop delay p99 ${loopDelayP99Ms.toFixed(1)} ms`,
    `gc ${(gcShare * 100).toFixed(1)} %`,
    `schedule slip p99 ${formatUs(slipP99Us)}`,
    formatBytes(memoryBytes),
  ]
  const verdict = tester.isSaturated
    ? `the tester was SATURATED: ${tester.reasons.join(', ')}`
    : 'the tester was not the bottleneck'
  return [line('tester', facts.join('  ')), line('', verdict)]
}

export function sloText({ text, value, met }: TrialResult['slos'][number]): string {
  return `${text}   ${goalValue(text, value)}   ${met ? 'PASS' : 'FAIL'}`
}

/** What was measured, in the unit of the goal. */
export function goalValue(goal: string, value: number | null): string {
  const [metric = ''] = goal.split(/\s*[<>=!]/)
  return value === null ? 'not measured' : isTime(metric) ? formatUs(value) : plain(value)
}

function plain(value: number): string {
  return Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(4)))
}

export function capacityLines(capacity: CapacityResult): string[] {
  const rows = capacity.steps.map(({ rate, achieved, value, passed }) => [
    `  ${formatRate(rate)}/s`,
    `${formatRate(achieved)}/s`,
    value === null ? '-' : goalValue(capacity.slo, value),
    passed ? 'PASS' : 'FAIL',
  ])
  const [head = '', ...lines] = table([['rate', 'received', capacity.slo, ''], ...rows])
  return [
    head,
    ...lines.map((row, i) => `${row}   ${capacity.steps[i]?.why ?? ''}`.trimEnd()),
    capacity.found === 0
      ? line('capacity', `no rate was found within ${capacity.slo}`)
      : line('capacity', capacityText(capacity)),
    line('', capacity.limit),
  ]
}

/** What came of one rate, while the search goes on. */
export function stepLine({ rate, achieved, passed, why }: CapacityStep): string {
  const verdict = passed ? 'PASS' : `FAIL   ${why}`
  return line('rate', `${formatRate(rate)}/s   received ${formatRate(achieved)}/s   ${verdict}`)
}

export function capacityText({ found, slo, isLowerBound }: CapacityResult): string {
  const least = isLowerBound ? 'at least ' : ''
  return `${least}${formatRate(found)}/s messages within ${slo}`
}

/** A label and what belongs to it. */
export function line(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`.trimEnd()
}
