// The report of `many` as text, from its result alone: `bench report` prints it again.

import { formatCount, formatRate, formatSeconds, formatUs } from './numbers.ts'
import { connectLine, line, sloText, testerLines } from './report-text.ts'
import type { TrialResult } from './result.ts'

export function manyLines(trial: TrialResult): string[] {
  const { counts, connect, delivery, verdict, latencies, measuredSeconds, sessions } = trial
  const ack = latencies.ack?.summary
  const times = [ack?.p50, ack?.p99, ack?.max].map(formatUs)
  const published = `${formatCount(counts.sent)} published, ${formatRate(trial.rates.sent)}/s`
  const received = counts.received === 0 ? '' : `, ${formatCount(counts.received)} received`
  const missed =
    counts.missed === 0
      ? ''
      : `, ${formatCount(counts.missed)} NOT sent: the session was down or had no answer yet`
  const held = `${formatCount(delivery.received)} sessions for ${formatSeconds(measuredSeconds)}`
  const connections = [
    `broken ${counts.brokenConnections}  given up ${sessions?.dead ?? 0}`,
    `reconnected ${counts.reconnects}  failed to reconnect ${sessions?.failedReconnects ?? 0}`,
  ]
  return [
    connectLine(connect, latencies.connect?.summary ?? null),
    line('holding', held),
    line('messages', `${published}${received}${missed}`),
    line('answers', `${answersText(trial)}   p50 ${times[0]}  p99 ${times[1]}  max ${times[2]}`),
    line('sessions', `${connections.join('  ')}   ${verdict.text}`),
    ...trial.notes.map(note => line('note', note)),
    ...(trial.wasInterrupted && connect.failed > 0
      ? [line('note', 'interrupted while sessions were being opened')]
      : []),
    ...trial.slos.map(slo => line('slo', sloText(slo))),
    ...testerLines(trial),
  ]
}

/** How many of the messages and pings were answered, and what became of the others. */
export function answersText({ counts, sessions }: TrialResult): string {
  const { acked, refused, unacknowledged } = counts
  const asked = sessions?.asked ?? acked
  const cutOff = sessions?.cutOff ?? 0
  const out = unacknowledged - cutOff
  const parts = [
    ...(refused === 0 ? [] : [`${formatCount(refused)} refused`]),
    ...(cutOff === 0 ? [] : [`${formatCount(cutOff)} cut off with their connection`]),
    ...(out > 0 ? [`${formatCount(out)} still out`] : []),
  ]
  return [`${formatCount(acked)} of ${formatCount(asked)}`, ...parts].join(', ')
}
