// The line of passwords that wait to be checked: several at once as far as there are cores for it,
// those of one user one after the other. What a check does is the caller's.

import { availableParallelism } from 'node:os'

interface Waiting {
  readonly user: string
  readonly weight: number
  start(): void
}

/** What is gained by more is little, and each may take the memory of a hash. */
const AT_ONCE_MAX = 4

/** As many as there are cores beside the one of the event loop. */
export const CHECKS_AT_ONCE: number = Math.max(1, Math.min(availableParallelism() - 1, AT_ONCE_MAX))

export class CheckLine {
  private free: number
  private readonly waiting: Waiting[] = []
  private readonly busy = new Set<string>()

  /** @param room the sum of the weights that are checked at once */
  constructor(room: number = CHECKS_AT_ONCE) {
    this.free = room
  }

  /**
   * Checks when it is its turn: nobody overtakes but those whose user is not being checked.
   * @param weight at most the room of the line
   */
  run<T>(user: string, weight: number, check: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = (): void => {
        this.free -= weight
        this.busy.add(user)
        // A check that throws is one that fails.
        const answer = Promise.resolve().then(check)
        void answer.then(resolve, reject).finally(() => {
          this.free += weight
          this.busy.delete(user)
          this.goOn()
        })
      }
      this.waiting.push({ user, weight, start })
      this.goOn()
    })
  }

  private goOn(): void {
    const { waiting } = this
    for (let at = 0; at < waiting.length; ) {
      const { user, weight, start } = waiting[at] as Waiting
      if (this.busy.has(user)) {
        at++
        continue
      }
      if (weight > this.free) return
      waiting.splice(at, 1)
      start()
    }
  }
}
