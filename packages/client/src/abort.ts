// How an operation that waits is given up: by an AbortSignal, or because its time is over.

import { ignore } from './deferred.ts'
import { MqttError } from './errors.ts'
import type { Platform } from './transport.ts'

/** What can be given up. */
export interface AbortOptions {
  /** Gives up waiting; what the server was asked goes on. */
  readonly signal?: AbortSignal
}

/** The error of an aborted operation, with the signal's reason as its cause. */
export function aborted(signal: AbortSignal | undefined): MqttError {
  return new MqttError('aborted', 'the operation was aborted', { cause: signal?.reason })
}

let shareSignal: (signal: AbortSignal) => void = ignore

/** Has each signal told that many may listen to it, where the platform would warn. */
export function shareSignalsWith(share: typeof shareSignal): void {
  shareSignal = share
}

/** Calls `call` when the signal fires, at once when it has fired. @returns lets go of the signal */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  if (signal === undefined) return ignore
  shareSignal(signal)
  if (signal.aborted) call()
  else signal.addEventListener('abort', call, { once: true })
  return () => signal.removeEventListener('abort', call)
}

/**
 * Calls `giveUp` when the signal fires or the time is over, at once for a signal that has fired.
 * @param what has not happened in time
 * @returns lets go of both
 */
export function limited(
  platform: Platform,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  what: string,
  giveUp: (error: MqttError) => void,
): () => void {
  const letGo = onAbort(signal, () => giveUp(aborted(signal)))
  if (timeoutMs === undefined || signal?.aborted === true) return letGo
  const timer = platform.after(timeoutMs, () => {
    giveUp(new MqttError('timeout', `${what} within ${timeoutMs} ms`))
  })
  return () => {
    letGo()
    platform.cancel(timer)
  }
}

/** The outcome of an operation, or `aborted` when the signal fires before. */
export function orAborted<T>(begin: () => Promise<T>, { signal }: AbortOptions): Promise<T> {
  if (signal === undefined) return begin()
  return new Promise((resolve, reject) => {
    const letGo = onAbort(signal, () => reject(aborted(signal)))
    if (!signal.aborted) begin().then(resolve, reject).finally(letGo)
  })
}
