// Real time, for tests of a broker whose clock they cannot turn: one beyond a network.
import { setTimeout as wait } from 'node:timers/promises'

/** Resolves after at least `ms` milliseconds. */
export async function elapse(ms: number): Promise<void> {
  const untilMs = performance.now() + ms
  for (let left = ms; left > 0; left = untilMs - performance.now()) await wait(left)
}

/** Calls `then` after `ms` unless the returned function is called before. */
export function limit(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms)
  return () => clearTimeout(timer)
}
