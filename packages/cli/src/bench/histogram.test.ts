// Latencies: what is recorded comes back, merged, as a log that others read.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { histogramLog, Latencies, mergeEncoded, spectrumOf, summaryOf } from './histogram.ts'

function encodedOf(values: readonly number[]): string {
  const latencies = new Latencies()
  for (const value of values) latencies.record(value)
  return latencies.encoded()
}

const thousand = Array.from({ length: 1000 }, (_, i) => i + 1)

test('percentiles, extremes and the mean are those of the values', () => {
  const summary = summaryOf(encodedOf(thousand))
  assert.equal(summary.count, 1000)
  assert.deepEqual([summary.min, summary.p50, summary.p99, summary.max], [1, 500, 990, 1000])
  assert.ok(Math.abs(summary.mean - 500.5) < 1)
  assert.ok(Math.abs(summary.stddev - 288.7) < 1)
})

test('long latencies keep three digits, and beyond an hour they are an hour', () => {
  const { max, min } = summaryOf(encodedOf([70_000, 2_000_000, 5e9]))
  assert.ok(Math.abs(min - 70_000) / 70_000 < 0.001)
  assert.ok(Math.abs(max - 3.6e9) / 3.6e9 < 0.001)
})

test('fractions are cut off, and a latency below 0 is 0', () => {
  const { min, max } = summaryOf(encodedOf([1.9, -3]))
  assert.deepEqual({ min, max }, { min: 0, max: 1 })
})

test('nothing recorded is NaN and not 0', () => {
  const summary = summaryOf('')
  assert.equal(summary.count, 0)
  assert.ok(Number.isNaN(summary.p99))
  assert.deepEqual(spectrumOf(''), [])
})

test('intervals add up to the whole, and an empty one is empty', () => {
  const latencies = new Latencies()
  latencies.record(10)
  const first = latencies.takeInterval()
  assert.equal(latencies.takeInterval(), '')
  latencies.record(100_000)
  const second = latencies.takeInterval()
  assert.equal(summaryOf(first).count, 1)
  assert.equal(summaryOf(latencies.encoded()).count, 2)
  assert.deepEqual(summaryOf(mergeEncoded([first, '', second])), summaryOf(latencies.encoded()))
})

test('what was recorded during the warm-up is forgotten', () => {
  const latencies = new Latencies()
  latencies.record(5)
  latencies.reset()
  latencies.record(7)
  const { count, min } = summaryOf(latencies.encoded())
  assert.deepEqual({ count, min }, { count: 1, min: 7 })
})

test('processes merge to the histogram of all their values', () => {
  const odd = encodedOf(thousand.filter(value => value % 2 === 1))
  const even = encodedOf(thousand.filter(value => value % 2 === 0))
  assert.deepEqual(summaryOf(mergeEncoded([odd, even])), summaryOf(encodedOf(thousand)))
})

test('the spectrum rises from the least to the greatest', () => {
  const points = spectrumOf(encodedOf(thousand))
  assert.ok(points.length > 20)
  for (let i = 1; i < points.length; i++) {
    assert.ok((points[i]?.[0] ?? 0) >= (points[i - 1]?.[0] ?? 0))
    assert.ok((points[i]?.[1] ?? 0) >= (points[i - 1]?.[1] ?? 0))
  }
  assert.equal(points.at(-1)?.[1], 1000)
})

test('the log has its version, its start and one line for each interval with values', async () => {
  const encoded = encodedOf(thousand)
  const log = await histogramLog('a run', 10_000, [
    { tag: 'response', fromMs: 10_000, toMs: 11_000, encoded },
    { tag: 'ack', fromMs: 10_000, toMs: 11_000, encoded: '' },
    { tag: 'response', fromMs: 11_000, toMs: 12_500, encoded },
  ])
  assert.match(log, /^#\[Histogram log format version 1\.3\]\n#a run\n#\[StartTime: 10\.000 /)
  const lines = log.split('\n').filter(line => line.startsWith('Tag='))
  assert.deepEqual(
    lines.map(line =>
      line
        .split(',')
        .slice(0, 3)
        .map(part => part.trim()),
    ),
    [
      ['Tag=response', '0.000', '1.000'],
      ['Tag=response', '1.000', '1.500'],
    ],
  )
  assert.equal(summaryOf(lines[1]?.split(',')[4] ?? '').count, 1000)
})
