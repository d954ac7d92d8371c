// Whether there is another attempt after an error. When, is up to link.ts.

import type { MqttError } from './errors.ts'
import { isWorthRetrying } from './link.ts'
import type { ConnectOptions, Settings } from './options.ts'

/** What is known of the attempts so far. */
export interface AttemptHistory {
  /** Since the last stable connection. */
  readonly attempts: number
  readonly everConnected: boolean
  /** Whether the URL is asked for anew. */
  readonly renewsUrl: boolean
}

export function mayRetry(
  error: MqttError,
  settings: Settings,
  given: ConnectOptions,
  history: AttemptHistory,
): boolean {
  const { reconnect, reconnects } = settings
  if (!reconnects || !(history.everConnected || reconnect.first)) return false
  if (history.attempts >= reconnect.attemptsMax) return false
  switch (error.code) {
    case 'authentication-failed':
    case 'invalid-argument':
      return false
    case 'connection-refused':
    case 'server-disconnected': {
      const renewed = { credentials: given.credentials !== undefined, url: history.renewsUrl }
      return isWorthRetrying(error.reasonCode, renewed)
    }
    default:
      return true
  }
}
