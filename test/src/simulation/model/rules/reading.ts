// What a client sends is read on after a while, and all that has come is handled, also when its
// network connection is gone meanwhile: nothing waits for ever behind a publisher's rest.

import { type ConnectionRecord, type Facts, NEVER } from '../facts.ts'
import { broken } from '../failure.ts'
import type { Reading } from './keep-alive.ts'

/** A store that is slow, a takeover that waits. */
const UNREAD_MS_MAX = 11_000
/** The causes that only the network knows. */
const NETWORK_ENDS: ReadonlySet<string> = new Set([
  'the client closed it',
  'the network failed',
  'the network was silent',
])

/**
 * Time has passed.
 * @param isSlow bytes wait for the client: it is not read for that
 */
export function passTime(
  facts: Facts,
  connection: ConnectionRecord,
  reading: Reading,
  isSlow: boolean,
): void {
  if (connection.isClosed || connection.openAt === NEVER || !reading.isPaused || isSlow) return
  if (!facts.readsSoon || facts.isFull) return
  const { pausedMs } = reading
  const sinceMs = Math.max(pausedMs, connection.openMs, facts.stalledUntilMs, facts.roomMs)
  if (facts.nowMs - sinceMs <= UNREAD_MS_MAX) return
  broken('reading', `${connection.connect.clientId} is not read for ${facts.nowMs - sinceMs} ms`)
}

/** Its session is without it. @param hasMore packets have come that nobody has handled */
export function checkHandled(connection: ConnectionRecord, text: string, hasMore: boolean): void {
  if (!hasMore || !NETWORK_ENDS.has(text)) return
  broken('reading', `what ${connection.connect.clientId} had sent before its end is not handled`)
}
