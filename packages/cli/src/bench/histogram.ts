// hot
// Latencies in microseconds: HdrHistogram for what is kept and merged, and before it a plain table
// of counters for what is quick, since a recorded value costs one addition then.

// By their files: all of the library together starts the formatting of numbers in each language.
import {
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
} from 'hdr-histogram-js/dist/encoding.js'
import { build } from 'hdr-histogram-js/dist/HistogramBuilder.js'

type Histogram = ReturnType<typeof build>

/** Shorter ones are counted one by one. */
const DIRECT_US = 1 << 16
/** An hour. */
const HIGHEST_US = 3_600_000_000
const DIGITS = 3

/** What people read of a histogram. All times are microseconds; NaN when nothing was recorded. */
export interface LatencySummary {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly stddev: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly 'p99.9': number
  readonly 'p99.99': number
  readonly max: number
}

export class Latencies {
  private readonly direct = new Uint32Array(DIRECT_US)
  private readonly interval: Histogram = newHistogram()
  private readonly whole: Histogram = newHistogram()
  private touched = false

  /** @param us at least 0; fractions are cut off */
  record(us: number): void {
    this.touched = true
    const whole = us | 0
    if (whole >= 0 && whole < DIRECT_US) this.direct[whole]!++
    else this.interval.recordValue(Math.min(HIGHEST_US, Math.max(0, Math.floor(us))))
  }

  /** What was recorded since the last call, as it can be merged; '' when nothing was. */
  takeInterval(): string {
    if (!this.touched) return ''
    this.fold()
    const encoded = encodeIntoCompressedBase64(this.interval)
    this.whole.add(this.interval)
    this.interval.reset()
    this.touched = false
    return encoded
  }

  /** All that was recorded, as it can be merged. */
  encoded(): string {
    this.takeInterval()
    return encodeIntoCompressedBase64(this.whole)
  }

  /** Forgets everything: the warm-up is over. */
  reset(): void {
    this.direct.fill(0)
    this.interval.reset()
    this.whole.reset()
    this.touched = false
  }

  private fold(): void {
    const { direct, interval } = this
    for (let us = 0; us < DIRECT_US; us++) {
      const count = direct[us]!
      if (count === 0) continue
      interval.recordValueWithCount(us, count)
      direct[us] = 0
    }
  }
}

/** The sum of encoded histograms; empty ones and '' add nothing. */
export function mergeEncoded(parts: readonly string[]): string {
  const filled = parts.filter(part => part !== '')
  if (filled.length === 1) return filled[0]!
  const sum = newHistogram()
  for (const part of filled) sum.add(decodeFromCompressedBase64(part))
  return encodeIntoCompressedBase64(sum)
}

export function summaryOf(encoded: string): LatencySummary {
  const histogram = encoded === '' ? newHistogram() : decodeFromCompressedBase64(encoded)
  const count = histogram.totalCount
  const at = (percentile: number): number =>
    count === 0 ? Number.NaN : histogram.getValueAtPercentile(percentile)
  return {
    count,
    min: count === 0 ? Number.NaN : at(0),
    mean: count === 0 ? Number.NaN : histogram.mean,
    stddev: count === 0 ? Number.NaN : histogram.stdDeviation,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    'p99.9': at(99.9),
    'p99.99': at(99.99),
    max: count === 0 ? Number.NaN : histogram.maxValue,
  }
}

/** Points of the distribution for a chart: [percentile, microseconds], denser towards the end. */
export function spectrumOf(encoded: string): [number, number][] {
  if (encoded === '') return []
  const histogram = decodeFromCompressedBase64(encoded)
  if (histogram.totalCount === 0) return []
  const points: [number, number][] = []
  let rest = 1
  while (rest > 1 / histogram.totalCount) {
    const percentile = 100 * (1 - rest)
    points.push([percentile, histogram.getValueAtPercentile(percentile)])
    rest *= 0.85
  }
  points.push([100 * (1 - 0.5 / histogram.totalCount), histogram.maxValue])
  return points
}

/** One histogram per second, as a file that the tools of HdrHistogram read. */
export async function histogramLog(
  comment: string,
  startMs: number,
  intervals: readonly { tag: string; fromMs: number; toMs: number; encoded: string }[],
): Promise<string> {
  const { default: library } = await import('hdr-histogram-js/dist/HistogramLogWriter.js')
  const HistogramLogWriter = library.default
  const lines: string[] = []
  const writer = new HistogramLogWriter(text => lines.push(text))
  writer.outputLogFormatVersion()
  writer.outputComment(comment)
  writer.outputStartTime(startMs)
  writer.baseTime = startMs
  writer.outputLegend()
  for (const { tag, fromMs, toMs, encoded } of intervals) {
    if (encoded === '') continue
    const histogram = decodeFromCompressedBase64(encoded)
    histogram.tag = tag
    const from = (fromMs - startMs) / 1e3
    writer.outputIntervalHistogram(histogram, from, (toMs - startMs) / 1e3)
  }
  return lines.join('')
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2 ** 20,
    numberOfSignificantValueDigits: DIGITS,
  })
}
