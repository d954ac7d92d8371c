// Whether two sets of trials differ: means, Welch's interval of confidence for their difference.
// Pure.

export interface Sample {
  readonly count: number
  readonly mean: number
  /** Of the values, with n - 1; 0 for a single one. */
  readonly stddev: number
}

export type Significance = 'better' | 'worse' | 'same' | 'unsure'

export interface Difference {
  readonly before: Sample
  readonly after: Sample
  /** (after - before) / before; 0 when both are 0. */
  readonly change: number
  /** Where the change lies with 95 % confidence; null with fewer than two trials on a side. */
  readonly interval: readonly [number, number] | null
  /** `unsure`: the interval includes no change and also changes that would matter. */
  readonly significance: Significance
}

/** Two-sided 95 % quantiles of Student's t by degrees of freedom. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048,
  2.045, 2.042,
]
const T_95_NORMAL = 1.96

export function sampleOf(values: readonly number[]): Sample {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  if (count < 2) return { count, mean, stddev: 0 }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { count, mean, stddev: Math.sqrt(squares / (count - 1)) }
}

/**
 * Two-sided 95 % quantile of Student's t; between whole degrees the smaller one's, which is
 * wider.
 */
export function studentT95(degrees: number): number {
  const whole = Math.max(1, Math.floor(degrees))
  const known = T_95[whole - 1]
  // Towards the normal distribution as 1/degrees, from the last of the table.
  return known ?? T_95_NORMAL + (2.042 - T_95_NORMAL) * (30 / whole)
}

/**
 * @param higherIsBetter how to call an increase
 * @param threshold a change smaller than this fraction does not matter
 */
export function compareSamples(
  beforeValues: readonly number[],
  afterValues: readonly number[],
  higherIsBetter: boolean,
  threshold: number,
): Difference {
  const before = sampleOf(beforeValues)
  const after = sampleOf(afterValues)
  const relative = (difference: number): number => {
    if (difference === 0) return 0
    return before.mean === 0
      ? Math.sign(difference) * Number.POSITIVE_INFINITY
      : difference / Math.abs(before.mean)
  }
  const change = relative(after.mean - before.mean)
  if (before.count < 2 || after.count < 2) {
    return { before, after, change, interval: null, significance: 'unsure' }
  }
  const half = halfWidth(before, after)
  const low = relative(after.mean - before.mean - half)
  const high = relative(after.mean - before.mean + half)
  const significance = significanceOf(low, high, higherIsBetter, threshold)
  return { before, after, change, interval: [low, high], significance }
}

/** Welch: the two sides need neither the same spread nor the same number of trials. */
function halfWidth(before: Sample, after: Sample): number {
  const a = before.stddev ** 2 / before.count
  const b = after.stddev ** 2 / after.count
  if (a + b === 0) return 0
  const degrees = (a + b) ** 2 / (a ** 2 / (before.count - 1) + b ** 2 / (after.count - 1))
  return studentT95(degrees) * Math.sqrt(a + b)
}

function significanceOf(
  low: number,
  high: number,
  higherIsBetter: boolean,
  threshold: number,
): Significance {
  // The interval lies within changes that do not matter.
  if (low > -threshold && high < threshold) return 'same'
  if (low > 0) return higherIsBetter ? 'better' : 'worse'
  if (high < 0) return higherIsBetter ? 'worse' : 'better'
  return 'unsure'
}
