// Whether there is another attempt after an error, and when.

import { listenerError, type MqttError } from './errors.ts'
import { isWorthRetrying, type Link } from './link.ts'
import type { ConnectOptions, Settings } from './options.ts'
import type { Platform } from './transport.ts'

/** Of the client that has lost its connection. */
interface Loser {
  readonly platform: Platform
  readonly settings: Settings
  readonly given: ConnectOptions
  readonly link: Link
  /** Null when there was no connection yet. */
  readonly agreed: object | null
  /** Whether the URL is asked for anew. */
  readonly canRenewUrl: boolean
}

/** Begins to wait. @returns for how many milliseconds, or why there is no further attempt */
export function waitToRetry(error: MqttError, loser: Loser): number | MqttError {
  const { platform, settings, link } = loser
  const { delayMs } = settings.reconnect
  const nowMs = platform.nowMs()
  link.lost(nowMs)
  if (!mayRetry(error, loser)) return error
  if (delayMs === undefined) return link.waiting(nowMs, platform.random())
  try {
    const chosenMs = delayMs({ attempt: link.attempt, lastError: error })
    return chosenMs >= 0 ? link.waitFor(nowMs, chosenMs) : error
  } catch (cause) {
    return listenerError(cause)
  }
}

function mayRetry(error: MqttError, loser: Loser): boolean {
  const { agreed, settings, given, link, canRenewUrl } = loser
  const { reconnect, reconnects } = settings
  if (!reconnects || (agreed === null && !reconnect.first)) return false
  if (link.attempt >= reconnect.attemptsMax) return false
  switch (error.code) {
    case 'authentication-failed':
    case 'invalid-argument':
      return false
    case 'connection-refused':
    case 'server-disconnected': {
      const renewed = { credentials: given.credentials !== undefined, url: canRenewUrl }
      return isWorthRetrying(error.reasonCode, renewed)
    }
    default:
      return true
  }
}
