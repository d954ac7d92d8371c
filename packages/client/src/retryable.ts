// Whether what failed is worth another try. Apart from the error class, so that pages which do not
// ask do not load it.

import { MqttError, type MqttErrorCode } from './errors.ts'
import { isWorthRetrying } from './link.ts'

/** What passes by itself: the connection, a limit that was reached, a server that is busy. */
const Passing: ReadonlySet<MqttErrorCode> = new Set([
  'connect-failed',
  'connect-timeout',
  'connection-lost',
  'keep-alive-timeout',
  'not-connected',
  'queue-full',
  'buffer-full',
  'no-responders',
  'timeout',
])

/** The server refused for a reason of its own; its code says whether the reason lasts. */
const Refused: ReadonlySet<MqttErrorCode> = new Set([
  'connection-refused',
  'server-disconnected',
  'publish-refused',
  'subscribe-refused',
  'unsubscribe-refused',
])

/** Reasons that last, besides those for which no connection is tried again. */
const Lasting: ReadonlySet<number> = new Set([
  0x8f, // topic filter invalid
  0x9e, // shared subscriptions not supported
  0xa1, // subscription identifiers not supported
  0xa2, // wildcard subscriptions not supported
])

/**
 * Whether the same call may succeed later although nothing is changed: a connection that was lost,
 * a server that is busy. Not for wrong credentials, a topic that is not allowed, an argument that
 * is wrong, a signal that has fired or a client that was closed.
 *
 *     if (isRetryable(error)) queue.putBack(job)
 *     else throw error
 */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof MqttError)) return false
  const { code, reasonCode } = error
  if (!Refused.has(code)) return Passing.has(code)
  return !Lasting.has(reasonCode) && isWorthRetrying(reasonCode, { credentials: false, url: false })
}
