// What time it is, as finely as the machine tells, in the form that the formats take.

export interface Moment {
  /** To the millisecond. */
  readonly date: Date
  /** Within the second. */
  readonly nanoseconds: number
}

/** The monotonic clock is finer, but does not follow when the wall clock is set. */
const DRIFT_MS_MAX = 5

export function momentNow(): Moment {
  const wall = Date.now()
  const fine = performance.timeOrigin + performance.now()
  return momentAt(Math.abs(fine - wall) > DRIFT_MS_MAX ? wall : fine)
}

/** @param ms since 1970, with fractions */
export function momentAt(ms: number): Moment {
  const seconds = Math.floor(ms / 1000)
  return { date: new Date(Math.floor(ms)), nanoseconds: Math.floor((ms - seconds * 1000) * 1e6) }
}
