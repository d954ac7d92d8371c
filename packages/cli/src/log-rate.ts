// How often the log says the same: in a storm of refused clients or failing hooks a line each would
// fill the disk and take the time that the clients need. Lines of one text are written up to a
// number, the rest of the window is counted.

const LINES_MAX = 20
const WINDOW_MS = 10_000

interface Seen {
  lines: number
}

export class LogRate {
  /** By text: texts are constants of the program, so there are few. */
  private readonly seen = new Map<string, Seen>()
  private readonly tell: (text: string) => void
  private readonly later: (ms: number, act: () => void) => void

  constructor(
    tell: (text: string) => void,
    later = (ms: number, act: () => void): void => void setTimeout(act, ms).unref(),
  ) {
    this.tell = tell
    this.later = later
  }

  /** Whether a line of this text is written now. */
  allows(text: string): boolean {
    if (this.seen.size === 0) this.later(WINDOW_MS, () => this.endWindow())
    const seen = this.seen.get(text)
    if (seen === undefined) {
      this.seen.set(text, { lines: 1 })
      return true
    }
    seen.lines++
    return seen.lines <= LINES_MAX
  }

  private endWindow(): void {
    const seen = [...this.seen]
    this.seen.clear()
    for (const [text, { lines }] of seen) {
      const more = lines - LINES_MAX
      if (more <= 0) continue
      this.tell(`"${text}": ${more} more of these within ${WINDOW_MS / 1000} s were left out`)
    }
  }
}
