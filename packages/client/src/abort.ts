// What an AbortSignal does to an operation that waits for an answer.

import { MqttError } from './errors.ts'

/** What can be given up. */
export interface AbortOptions {
  /** Gives up waiting; what the server was asked goes on. */
  readonly signal?: AbortSignal
}

/** The error of an aborted operation, with the signal's reason as its cause. */
export function aborted(signal: AbortSignal | undefined): MqttError {
  return new MqttError('aborted', 'the operation was aborted', { cause: signal?.reason })
}

/** The outcome of an operation, or `aborted` when the signal fires before. */
export function orAborted<T>(begin: () => Promise<T>, { signal }: AbortOptions): Promise<T> {
  if (signal === undefined) return begin()
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort)
    const left = (): void => signal.removeEventListener('abort', onAbort)
    begin().then(resolve, reject).finally(left)
  })
}
