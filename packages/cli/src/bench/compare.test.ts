// Comparing two results, each made of trials with known figures.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { compareResults, comparisonLines, exceeded, parseChangeLimit } from './compare.ts'
import { Latencies, summaryOf } from './histogram.ts'
import type { RunResult, TrialResult } from './result.ts'
import { NO_DELIVERY } from './verdict.ts'

function trialOf(rate: number, p99Us: number, lost = 0): TrialResult {
  const latencies = new Latencies()
  for (let i = 0; i < 100; i++) latencies.record(p99Us)
  const encoded = latencies.encoded()
  const trial: Partial<TrialResult> = {
    latencies: { response: { summary: summaryOf(encoded), encoded } },
    rates: { offered: rate, sent: rate, acked: 0, received: rate },
    delivery: { ...NO_DELIVERY, lost },
  }
  return trial as TrialResult
}

function resultOf(trials: readonly TrialResult[], config: Record<string, unknown> = {}): RunResult {
  const host = { cpus: 2, cpuModel: 'x', memoryBytes: 1, system: '', node: '', godwit: '' }
  const partial: Partial<RunResult> = { kind: 'load', title: 'bench load', config, host, trials }
  return partial as RunResult
}

const slow = resultOf([trialOf(1000, 5000), trialOf(1010, 5050), trialOf(990, 4950)])
const fast = resultOf([trialOf(2000, 2000), trialOf(2020, 2050), trialOf(1980, 1950)])

test('a higher rate and a shorter time are better, and the other way round worse', () => {
  const verdicts = (before: RunResult, after: RunResult) =>
    new Map(
      compareResults(before, after, 0.05).metrics.map(({ name, significance }) => [
        name,
        significance,
      ]),
    )
  assert.equal(verdicts(slow, fast).get('rate.received'), 'better')
  assert.equal(verdicts(slow, fast).get('response.p99'), 'better')
  assert.equal(verdicts(fast, slow).get('rate.received'), 'worse')
  assert.equal(verdicts(fast, slow).get('response.p99'), 'worse')
  assert.equal(verdicts(slow, slow).get('rate.received'), 'same')
})

test('what was not measured on both sides is not compared, and zeros are not shown', () => {
  const names = compareResults(slow, fast, 0.05).metrics.map(({ name }) => name)
  assert.ok(!names.includes('ack.p99'))
  assert.ok(!names.includes('delivery.lost'))
  const losing = resultOf([trialOf(1000, 5000, 3), trialOf(1000, 5000, 4)])
  const lost = compareResults(slow, losing, 0.05).metrics.find(
    ({ name }) => name === 'delivery.lost',
  )
  assert.equal(lost?.after.mean, 3.5)
})

test('one trial is called one trial', () => {
  const one = resultOf([trialOf(1000, 5000)])
  const lines = comparisonLines(compareResults(one, fast, 0.05)).join('\n')
  assert.match(lines, /one trial/)
  assert.match(lines, /bench load {2}\(1 trial\)/)
  assert.match(lines, /response\.p99 +5\.00 ms +2\.00 ms ± /, 'one trial has no spread')
  assert.match(lines, /--trials 5/)
})

test('settings that differ are named, seeds are not', () => {
  const a = resultOf(slow.trials, { qos: 0, seed: 1 })
  const b = resultOf(slow.trials, { qos: 1, seed: 2 })
  assert.deepEqual(compareResults(a, b, 0.05).differences, ['qos: 0 and 1'])
})

test('a limit fails when even the near end of the interval is beyond it', () => {
  const limit = parseChangeLimit('--fail-on', 'response.p99 > +10%')
  assert.equal(exceeded(compareResults(fast, slow, 0.05), [limit]).length, 1)
  assert.equal(exceeded(compareResults(slow, fast, 0.05), [limit]).length, 0)
  const noisy = resultOf([trialOf(1000, 5000), trialOf(1000, 9000), trialOf(1000, 3000)])
  assert.equal(exceeded(compareResults(slow, noisy, 0.05), [limit]).length, 0)
  const fall = parseChangeLimit('--fail-on', 'rate.received < -5%')
  assert.equal(exceeded(compareResults(fast, slow, 0.05), [fall]).length, 1)
  const absent = parseChangeLimit('--fail-on', 'ack.p99 > 0%')
  assert.match(exceeded(compareResults(fast, slow, 0.05), [absent])[0] ?? '', /not measured/)
})

for (const wrong of ['response.p99', 'response.p99 > 10ms', 'x.y > 10%', 'response.p99 == 10%']) {
  test(`${wrong} is no limit for a change`, () => {
    assert.throws(() => parseChangeLimit('--fail-on', wrong), CommandFailure)
  })
}
