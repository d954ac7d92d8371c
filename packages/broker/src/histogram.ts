// Counts values by size, for the metrics: a comparison or a few per value, no memory. It knows
// nothing of how that is written down.

/** Values by size, as they have been counted so far. */
export interface HistogramReading {
  /** Upper bounds, each included, growing. */
  readonly bounds: readonly number[]
  /** Values up to each bound and above the one before; the last of all are above every bound. */
  readonly counts: ArrayLike<number>
  readonly count: number
  readonly sum: number
}

export class Histogram implements HistogramReading {
  readonly bounds: readonly number[]
  readonly counts: Float64Array
  count = 0
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const { bounds, counts } = this
    let at = 0
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++
    counts[at] = (counts[at] ?? 0) + 1
    this.count++
    this.sum += value
  }
}
