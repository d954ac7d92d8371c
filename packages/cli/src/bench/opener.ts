// Opens many connections: at most so many per second, at most so many at once. Pure but for the
// timer that it is given.

export interface OpenerOptions {
  /** 0: no limit. */
  readonly perSecond: number
  readonly concurrency: number
  /** No more are begun from when it is aborted on. */
  readonly stopping?: { readonly aborted: boolean }
}

/** How an opener waits. */
export interface Timer {
  nowUs(): number
  after(ms: number, act: () => void): void
}

/** Calls `open(i)` for i from 0 to count - 1; each call ends with its `done`. */
export function openAll(
  count: number,
  options: OpenerOptions,
  timer: Timer,
  open: (index: number, done: () => void) => void,
): Promise<void> {
  if (count === 0) return Promise.resolve()
  const startUs = timer.nowUs()
  return new Promise(resolve => {
    let begun = 0
    let under = 0
    let ended = 0
    let isWaiting = false
    let isFilling = false
    const allowed = (): number => {
      if (options.perSecond === 0) return count
      return 1 + Math.floor(((timer.nowUs() - startUs) / 1e6) * options.perSecond)
    }
    const isStopping = (): boolean => options.stopping?.aborted === true
    const done = (): void => {
      under--
      ended++
      if (ended === count || (isStopping() && under === 0)) resolve()
      else fill()
    }
    // One that ends at once must not begin the next from within: the stack would grow with them.
    const fill = (): void => {
      if (isFilling) return
      if (isStopping()) {
        if (under === 0) resolve()
        return
      }
      isFilling = true
      while (begun < count && under < options.concurrency && begun < allowed()) {
        under++
        open(begun++, done)
      }
      isFilling = false
      if (begun < count && under < options.concurrency && !isWaiting) {
        isWaiting = true
        timer.after(Math.max(1, 1000 / options.perSecond), () => {
          isWaiting = false
          fill()
        })
      }
    }
    fill()
  })
}
