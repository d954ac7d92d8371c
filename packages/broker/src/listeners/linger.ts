// Connections that were told to end: a peer that neither reads nor closes must not keep them.
// One timer for all of them, and none when there are none.

/** What can be cut off. */
export interface Lingering {
  destroy(): void
}

/** How long a peer may take for the last bytes and for its own end of the connection. */
export const LINGER_MS = 5000

export class Linger {
  private readonly lingerMs: number
  /** When each is due. All wait equally long, so the first that came is the first that is due. */
  private readonly entries = new Map<Lingering, number>()
  private timer: NodeJS.Timeout | null = null

  constructor(lingerMs: number = LINGER_MS) {
    this.lingerMs = lingerMs
  }

  get count(): number {
    return this.entries.size
  }

  /** Destroys it when the time is over, unless it has ended by then. */
  add(what: Lingering): void {
    if (this.entries.has(what)) return
    this.entries.set(what, performance.now() + this.lingerMs)
    if (this.timer === null) this.arm(this.lingerMs)
  }

  /** It has ended by itself: it is held no longer. */
  delete(what: Lingering): void {
    this.entries.delete(what)
  }

  /** Cuts off all that are left. */
  destroyAll(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const all = [...this.entries.keys()]
    this.entries.clear()
    for (const what of all) what.destroy()
  }

  private arm(delayMs: number): void {
    this.timer = setTimeout(() => this.sweep(), delayMs)
    this.timer.unref()
  }

  private sweep(): void {
    this.timer = null
    const nowMs = performance.now()
    for (const [what, dueMs] of this.entries) {
      if (dueMs > nowMs) {
        this.arm(Math.max(1, dueMs - nowMs))
        return
      }
      this.entries.delete(what)
      what.destroy()
    }
  }
}
