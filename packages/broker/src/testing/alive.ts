// Waits for what hangs on timers that let a process end.

const LONG_MS = 1000

export async function alive<T>(promise: Promise<T>): Promise<T> {
  const keep = setInterval(() => undefined, LONG_MS)
  try {
    return await promise
  } finally {
    clearInterval(keep)
  }
}
