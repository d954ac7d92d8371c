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

/** What of these limits is exceeded, or cannot be judged. */
function failures(before: RunResult, after: RunResult, ...texts: string[]): string[] {
  const limits = texts.map(text => parseChangeLimit('--fail-on', text))
  return exceeded(compareResults(before, after, 0.05, limits), limits)
}

test('a limit fails when even the near end of the interval is beyond it', () => {
  assert.equal(failures(fast, slow, 'response.p99 > +10%').length, 1)
  assert.equal(failures(slow, fast, 'response.p99 > +10%').length, 0)
  const noisy = resultOf([trialOf(1000, 5000), trialOf(1000, 9000), trialOf(1000, 3000)])
  assert.equal(failures(slow, noisy, 'response.p99 > +10%').length, 0)
  assert.equal(failures(fast, slow, 'rate.received < -5%').length, 1)
})

test('a limit for what was not measured on both sides, or once on a side, cannot be judged', () => {
  assert.deepEqual(failures(fast, slow, 'ack.p99 > 0%'), [
    'ack.p99 > 0%: cannot be judged: not measured in both',
  ])
  const one = resultOf([trialOf(1000, 5000)])
  const why = 'one trial on a side says nothing about chance, run both with --trials 5'
  const text = 'response.p99 > +10%'
  for (const [before, after] of [
    [one, one],
    [one, fast],
    [slow, one],
  ] as const) {
    assert.deepEqual(failures(before, after, text), [`${text}: cannot be judged: ${why}`])
  }
})

test('a limit may be for any figure, also for one that the table leaves out', () => {
  assert.deepEqual(failures(slow, slow, 'delivery.lost > +0%'), [], 'none were lost in both')
  const losing = resultOf([trialOf(1000, 5000, 3), trialOf(1000, 5000, 3)])
  assert.deepEqual(failures(slow, losing, 'delivery.lost > +0%'), ['delivery.lost > +0%: from 0'])
  assert.equal(failures(fast, slow, 'response.p90 > +10%', 'rate.offered < -5%').length, 2)
  const limits = [parseChangeLimit('--fail-on', 'response.p99.99 > +10%')]
  const lines = comparisonLines(compareResults(slow, fast, 0.05, limits)).join('\n')
  assert.match(lines, /response\.p99\.99 +5\.00 ms .* better/)
})

test('a figure is shown in its unit', () => {
  const texts = ['count.refused', 'tester.busy', 'tester.memoryBytes', 'response.count']
  const limits = texts.map(text => parseChangeLimit('--fail-on', `${text} > 1%`))
  const measured = { counts: { refused: 7 }, tester: { busy: 0.25, memoryBytes: 2048 } }
  const trial = { ...trialOf(1, 1), ...measured } as unknown as TrialResult
  const result = resultOf([trial, trial])
  const lines = comparisonLines(compareResults(result, result, 0.05, limits)).join('\n')
  assert.match(lines, /count\.refused +7 ± 0 /)
  assert.match(lines, /tester\.busy +25(?:\.0)? % ± /)
  assert.match(lines, /tester\.memoryBytes +2\.00 KiB ± /)
  assert.match(lines, /response\.count +100 ± 0 /)
})

test('a change from nothing has no interval in percent', () => {
  const losing = resultOf([trialOf(1000, 5000, 3), trialOf(1000, 5000, 9)])
  const lines = comparisonLines(compareResults(slow, losing, 0.05)).join('\n')
  assert.match(lines, /delivery\.lost +0 ± 0 +6 ± 4 +from 0 +- +unsure/)
})

for (const wrong of ['response.p99', 'response.p99 > 10ms', 'x.y > 10%', 'response.p99 == 10%']) {
  test(`${wrong} is no limit for a change`, () => {
    assert.throws(() => parseChangeLimit('--fail-on', wrong), CommandFailure)
  })
}
