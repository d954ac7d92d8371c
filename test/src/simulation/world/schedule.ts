// All that will happen, in the order of simulated time; what is due at one time happens in the
// order in which it was asked for. Nothing here waits: time is what the next event says.

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class Schedule {
  /** Monotonic milliseconds since the begin of the simulation. */
  nowMs = 0
  /** How many events have happened. */
  count = 0
  /** Promises may have been settled: who waits for them comes before the next event. */
  hasPromises = false
  readonly #heap: Event[] = []
  #order = 0
  #failure: { readonly cause: unknown } | null = null

  /** Something has failed where nobody can catch it: the run ends with it. */
  fail(cause: unknown): void {
    this.#failure ??= { cause }
  }

  after(delayMs: number, run: () => void): void {
    const heap = this.#heap
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run }
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, event)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  /** Lets the next event happen. @returns false when there is none up to `untilMs` */
  step(untilMs: number): boolean {
    const first = this.#heap[0]
    if (first === undefined || first.atMs > untilMs) return false
    this.#removeFirst()
    this.nowMs = first.atMs
    this.count++
    first.run()
    return true
  }

  /** Lets time pass. @throws what `fail` was given */
  async runUntil(untilMs: number): Promise<void> {
    do {
      if (this.hasPromises) {
        this.hasPromises = false
        await settled()
      }
      if (this.#failure !== null) throw this.#failure.cause
    } while (this.step(untilMs))
    this.nowMs = untilMs
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const a = heap[left]
      if (a === undefined) break
      const b = heap[left + 1]
      const child = b !== undefined && isBefore(b, a) ? left + 1 : left
      const smaller = child === left ? a : (b ?? a)
      if (isBefore(last, smaller)) break
      heap[at] = smaller
      at = child
    }
    heap[at] = last
  }
}

/** After it all promises that could be settled are. */
function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
