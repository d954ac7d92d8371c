// Places where a test ends the process as a power failure would: GODWIT_CRASH=after_write, or
// after_write:20 for the twentieth time it gets there. Without the variable nothing happens.

export type CrashPoint =
  | 'after_write'
  | 'after_fsync'
  | 'mid_checkpoint'
  | 'after_segment_rename'
  | 'before_ack'

/** @returns what to call at each place, from the words of the variable */
export function crashPoints(words: string | undefined): (point: CrashPoint) => void {
  if (words === undefined || words === '') return ignore
  const [wanted, count] = words.split(':')
  let left = count === undefined ? 1 : Number(count)
  return point => {
    if (point !== wanted) return
    left--
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  }
}

function ignore(): void {
  // Production: there is nothing to do at any of these places.
}
