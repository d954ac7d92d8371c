// Connections that were told to end: a peer that neither reads nor closes must not keep them.
// One timer for all of them, and none when there are none.

/** What can be cut off. */
export interface Lingering {
  destroy(): void
}

interface Entry {
  readonly what: Lingering
  readonly dueMs: number
}

/** How long a peer may take for the last bytes and for its own end of the connection. */
export const LINGER_MS = 5000

export class Linger {
  private readonly lingerMs: number
  private entries: Entry[] = []
  private timer: NodeJS.Timeout | null = null

  constructor(lingerMs: number = LINGER_MS) {
    this.lingerMs = lingerMs
  }

  /** Destroys it when the time is over; destroying what has ended does nothing. */
  add(what: Lingering): void {
    this.entries.push({ what, dueMs: performance.now() + this.lingerMs })
    if (this.timer === null) this.arm(this.lingerMs)
  }

  /** Cuts off all that are left. */
  destroyAll(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const entries = this.entries
    this.entries = []
    for (const { what } of entries) what.destroy()
  }

  private arm(delayMs: number): void {
    this.timer = setTimeout(() => this.sweep(), delayMs)
    this.timer.unref()
  }

  private sweep(): void {
    this.timer = null
    const nowMs = performance.now()
    // All wait equally long, so they are due in the order in which they came.
    const firstLater = this.entries.findIndex(entry => entry.dueMs > nowMs)
    const due = firstLater === -1 ? this.entries : this.entries.slice(0, firstLater)
    this.entries = firstLater === -1 ? [] : this.entries.slice(firstLater)
    for (const { what } of due) what.destroy()
    const next = this.entries[0]
    if (next !== undefined) this.arm(Math.max(1, next.dueMs - nowMs))
  }
}
