// Goals: how they are written, and when they are met.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { Latencies, summaryOf } from './histogram.ts'
import type { TrialResult } from './result.ts'
import { checkSlo, parseSlo } from './slo.ts'
import { NO_DELIVERY } from './verdict.ts'

function trial(): TrialResult {
  const latencies = new Latencies()
  for (let us = 1; us <= 1000; us++) latencies.record(us)
  const encoded = latencies.encoded()
  const partial: Partial<TrialResult> = {
    latencies: { response: { summary: summaryOf(encoded), encoded } },
    delivery: { ...NO_DELIVERY, expected: 10, received: 8, lost: 2 },
    rates: { offered: 1000, sent: 1000, acked: 0, received: 900 },
  }
  return partial as TrialResult
}

function isMet(text: string): boolean {
  return checkSlo(parseSlo('--slo', text), trial()).met
}

test('times have units, and p99 is compared in microseconds', () => {
  assert.equal(parseSlo('--slo', 'response.p99 < 20ms').limit, 20_000)
  assert.equal(parseSlo('--slo', 'response.p99.9<=1.5s').limit, 1_500_000)
  assert.equal(parseSlo('--slo', 'ack.max < 900us').limit, 900)
  assert.equal(isMet('response.p99 < 1ms'), true)
  assert.equal(isMet('response.p99 < 900us'), false)
  assert.equal(isMet('response.p99 <= 990us'), true)
})

test('counts and rates have factors', () => {
  assert.equal(parseSlo('--slo', 'rate.received > 50k/s').limit, 50_000)
  assert.equal(parseSlo('--slo', 'tester.busy < 80%').limit, 0.8)
  assert.equal(isMet('delivery.lost == 0'), false)
  assert.equal(isMet('delivery.lost != 0'), true)
  assert.equal(isMet('rate.received >= 900'), true)
  assert.equal(isMet('rate.received > 900'), false)
})

test('what was not measured is missed and not met', () => {
  const result = checkSlo(parseSlo('--slo', 'service.p99 < 20ms'), trial())
  assert.deepEqual(result, { text: 'service.p99 < 20ms', value: null, met: false })
})

for (const wrong of [
  'response.p99 < _ms',
  'response.p99 < 20ms/s',
  'delivery.lost == 0/s',
  'response.p99',
  'response.p99 < ',
  'response.p98 < 20ms',
  'latency.p99 < 20ms',
  'response.p99 < 20',
  'response.p99 < 20k',
  'delivery.lost < 20ms',
  'delivery.lost =< 2',
  'response.p99 < 1.2.3ms',
  '',
]) {
  test(`${JSON.stringify(wrong)} is no goal`, () => {
    assert.throws(
      () => parseSlo('--slo', wrong),
      (error: unknown) => error instanceof CommandFailure && error.exitCode === 2,
    )
  })
}
