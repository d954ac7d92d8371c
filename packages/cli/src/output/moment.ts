// What time it is, as finely as the machine tells, in the form that the formats take.

export interface Moment {
  /** To the millisecond. */
  readonly date: Date
  /** Within the second. */
  readonly nanoseconds: number
}

/** The monotonic clock is finer, but does not follow when the wall clock is set. */
const DRIFT_MS_MAX = 5

let lastMs = 0

export function momentNow(): Moment {
  const wall = Date.now()
  const fine = performance.timeOrigin + performance.now()
  const ms = Math.abs(fine - wall) > DRIFT_MS_MAX ? wall : fine
  // Which of the two it is may change from call to call, where others have the processor in
  // between: then it stands still. It goes back only when the wall clock was set.
  if (ms > lastMs || lastMs - ms > 2 * DRIFT_MS_MAX) lastMs = ms
  return momentAt(lastMs)
}

/** @param ms since 1970, with fractions */
export function momentAt(ms: number): Moment {
  const seconds = Math.floor(ms / 1000)
  return { date: new Date(Math.floor(ms)), nanoseconds: Math.floor((ms - seconds * 1000) * 1e6) }
}
