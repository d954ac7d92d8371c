// Whether two sets of trials differ.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareSamples, sampleOf, studentT95 } from './statistics.ts'

test('mean and deviation are those of a sample', () => {
  const { count, mean, stddev } = sampleOf([2, 4, 4, 4, 5, 5, 7, 9])
  assert.deepEqual({ count, mean }, { count: 8, mean: 5 })
  assert.ok(Math.abs(stddev - 2.138) < 0.001)
})

test('the quantiles of Student are those of the tables', () => {
  assert.equal(studentT95(1), 12.706)
  assert.equal(studentT95(10.9), 2.228)
  assert.ok(Math.abs(studentT95(60) - 2.0) < 0.005)
  assert.ok(Math.abs(studentT95(1e9) - 1.96) < 0.001)
})

test('one trial on a side is no evidence, however large the change', () => {
  const { change, interval, significance } = compareSamples([100], [200, 210], true, 0.05)
  assert.equal(change, 1.05)
  assert.equal(interval, null)
  assert.equal(significance, 'unsure')
})

test('a change far beyond the spread is called, by what is better', () => {
  const before = [100, 101, 99, 100]
  const after = [120, 121, 119, 120]
  const rate = compareSamples(before, after, true, 0.05)
  assert.equal(rate.significance, 'better')
  assert.ok(rate.interval !== null && rate.interval[0] > 0.17 && rate.interval[1] < 0.23)
  assert.equal(compareSamples(before, after, false, 0.05).significance, 'worse')
  assert.equal(compareSamples(after, before, true, 0.05).significance, 'worse')
})

test('a change within the spread is unsure', () => {
  assert.equal(compareSamples([100, 150, 80], [110, 160, 70], true, 0.05).significance, 'unsure')
})

test('changes that cannot be larger than the threshold are the same', () => {
  const before = [1000, 1001, 1000, 999]
  const after = [1002, 1003, 1002, 1001]
  assert.equal(compareSamples(before, after, true, 0.05).significance, 'same')
  assert.equal(compareSamples(before, after, true, 0.0001).significance, 'better')
})

test("the interval is Welch's: a known example", () => {
  // Two samples with unequal variances; difference 2.0, standard error 0.8563, 6.16 degrees.
  const a = [17.2, 18.9, 19.3, 20.1, 20.5]
  const b = [20.4, 21.1, 21.0, 21.6, 21.9]
  const { before, after, interval } = compareSamples(a, b, true, 0)
  const half = (((interval?.[1] ?? 0) - (interval?.[0] ?? 0)) / 2) * before.mean
  const se = Math.sqrt(before.stddev ** 2 / 5 + after.stddev ** 2 / 5)
  const df = se ** 4 / (before.stddev ** 4 / 100 + after.stddev ** 4 / 100)
  assert.ok(df > 5 && df < 6, `${df}`)
  assert.ok(Math.abs(half - 2.571 * se) < 1e-9)
})

test('from nothing to something is a change without a size', () => {
  assert.equal(compareSamples([0, 0], [0, 0], false, 0.05).significance, 'same')
  const { change, significance } = compareSamples([0, 0], [5, 5], false, 0.05)
  assert.equal(change, Number.POSITIVE_INFINITY)
  assert.equal(significance, 'worse')
})
