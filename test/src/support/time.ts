// The one place where tests of the whole system may wait for time to pass.

/** Resolves after so many milliseconds. */
export function delay(delayMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, delayMs))
}

/**
 * Looks again and again until something is so.
 * @returns false when it was not within the time
 */
export async function until(isSo: () => boolean, limitMs: number, pollMs = 5): Promise<boolean> {
  const endMs = performance.now() + limitMs
  while (!isSo()) {
    if (performance.now() > endMs) return false
    await delay(pollMs)
  }
  return true
}

/** Calls back after so many milliseconds. @returns what cancels it */
export function after(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => clearTimeout(timer)
}
