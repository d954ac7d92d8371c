// A will is published once or not at all: not before its connection has ended and its delay has
// passed, not when the client said goodbye or came back in time. MQTT 5.0 section 3.1.2.5.

import type {
  ConnectionEnd,
  ConnectionRecord,
  Facts,
  Publication,
  SessionLife,
  WillRecord,
} from '../facts.ts'
import { NEVER } from '../facts.ts'
import { broken } from '../failure.ts'
import { describe, SLACK_MS } from '../questions.ts'
import { acknowledge, oweAtOnce } from './delivery.ts'

/** An end that a store could not keep yet is forgotten by a crash. */
const UNSURE_AFTER_CRASH_MS = 15_000
const LATE_MS = 1500
/** A guard may think so long about a will that is due. */
const THINKING_MS = 4000

export interface StoreProgress {
  readonly newestBatch: number
  readonly durableBatch: number
}

/** The connection of a will has ended. */
export function detach(
  facts: Facts,
  connection: ConnectionRecord,
  life: SessionLife | null,
  end: ConnectionEnd,
): void {
  const will = connection.will
  if (will === null) return
  if (end === 'goodbye') {
    forbid(facts, will, 'its client said goodbye')
    return
  }
  will.end = end
  const expiry = life?.expirySecondsMin ?? 0
  const delayMs = Math.min(will.delaySeconds, expiry) * 1000
  // A connection that takes over with a clean start ends the session at once.
  const next = facts.connecting.get(connection.connect.clientId) ?? []
  const isEnding = next.some(other => other.connect.cleanStart && !other.isStranger)
  will.publication.firstAt = facts.at
  will.publication.firstMs = facts.nowMs
  will.publication.lastAt = NEVER
  will.publication.earliestMs = facts.nowMs + (isEnding ? 0 : delayMs)
  will.dueMs = life === null ? NEVER : facts.nowMs + delayMs
  if (life === null) return
  life.will = will
  // Without a delay it goes out in the turn in which the connection ends [MQTT-3.1.2-8].
  const isAtOnce = delayMs === 0 && !facts.willsLate && end !== 'crash'
  if (isAtOnce && will.publication.qos === 0) oweAtOnce(facts, will.publication)
}

/** Its connection has ended before it had its CONNACK: the will may go out, or was never kept. */
export function vanish(facts: Facts, connection: ConnectionRecord, end: ConnectionEnd): void {
  const { will } = connection
  if (will === null) return
  if (end === 'goodbye') {
    forbid(facts, will, 'its client said goodbye')
    return
  }
  will.end = end
  will.publication.firstAt = facts.at
  will.publication.firstMs = facts.nowMs
  will.publication.earliestMs = facts.nowMs
  will.publication.lastAt = NEVER
}

/**
 * The client is back: a will that waited is given up, one that was due goes out. "If a new
 * Network Connection to this Session is made before the Will Delay Interval has passed, the Server
 * MUST NOT send the Will Message" [MQTT-3.1.3-9]. Without a delay there is no such time: the will
 * is due when its connection ends, also if the CONNECT that ends it came long before, and waited.
 */
export function resume(facts: Facts, life: SessionLife, connection: ConnectionRecord): void {
  const will = life.will
  life.will = null
  if (will === null || will.publication.acknowledgedAt !== NEVER) return
  const { firstMs, earliestMs } = will.publication
  if (earliestMs === firstMs) return
  // That the delay is over the broker sees when it looks at the clock.
  if (connection.tickMs >= earliestMs + SLACK_MS) return
  will.dueMs = NEVER
  if (connection.connectMs < earliestMs - SLACK_MS) {
    will.publication.forbidden = 'its client came back in time'
    facts.coverage.count('a will is given up, since its client came back')
    if (will.end === 'takeover') {
      facts.coverage.count('a will with a delay is given up at a takeover')
    }
  }
}

/** The session has ended: its will waits no longer. */
export function end(facts: Facts, life: SessionLife): void {
  const will = life.will
  if (will === null) return
  const { publication } = will
  publication.earliestMs = Math.min(publication.earliestMs, facts.nowMs)
  if (will.dueMs !== NEVER) will.dueMs = Math.min(will.dueMs, facts.nowMs)
}

/** A CONNECT may end the session: its will need not wait longer. */
export function mayEnd(facts: Facts, life: SessionLife): void {
  const publication = life.will?.publication
  if (publication !== undefined) {
    publication.earliestMs = Math.min(publication.earliestMs, facts.nowMs)
  }
}

/** The process has died; it will be there again. */
export function crash(facts: Facts): void {
  for (const will of facts.wills) {
    if (will.publication.acknowledgedAt !== NEVER) continue
    will.dueMs = NEVER
    will.batch = 0
    if (facts.nowMs - will.forbiddenMs < UNSURE_AFTER_CRASH_MS) {
      will.publication.forbidden = ''
      will.publication.firstAt = Math.min(will.publication.firstAt, facts.at)
    }
  }
}

/** The process starts; wills of sessions that were kept wait again. */
export function restart(facts: Facts): void {
  for (const life of facts.lives.values()) {
    const will = life.will
    if (will === null || will.publication.forbidden !== '' || !life.isCertain) continue
    if (will.publication.acknowledgedAt !== NEVER || life.expirySecondsMin === 0) continue
    if (facts.lastJumpMs > will.publication.firstMs) continue
    will.dueMs = facts.nowMs + Math.min(will.delaySeconds, life.expirySecondsMax) * 1000
  }
}

/**
 * Wills that must have been published by now count as published, when that is durable: the disk may
 * be slow, and a crash then makes them wait again.
 */
export function passTime(facts: Facts, store: StoreProgress): void {
  const lateMs = facts.willsLate ? THINKING_MS : LATE_MS
  for (const will of facts.wills) {
    const { publication } = will
    if (facts.nowMs < will.dueMs + lateMs || publication.forbidden !== '') continue
    if (will.batch === 0) will.batch = store.newestBatch
    if (store.durableBatch < will.batch) continue
    will.dueMs = NEVER
    publication.lastAt = facts.at
    publication.lastMs = facts.nowMs
    acknowledge(facts, publication)
  }
}

/** A will goes to a subscriber. */
export function write(facts: Facts, life: SessionLife, publication: Publication): void {
  if (!publication.isWill) return
  const what = `${life.clientId} gets ${describe(publication)}`
  if (publication.firstAt > facts.at) broken('will', `${what}, its connection has not ended`)
  if (publication.forbidden !== '') broken('will', `${what}, ${publication.forbidden}`)
  facts.coverage.count('a will is delivered')
  const ended = facts.wills.find(will => will.publication === publication)?.end
  if (ended === 'takeover') facts.coverage.count('a will is delivered at a takeover')
  if (ended === 'goodbye with will') facts.coverage.count('a will is delivered after a goodbye')
  if (publication.earliestMs > publication.firstMs) {
    facts.coverage.count('a will is delivered after its delay')
  }
  const earlyMs = publication.earliestMs - facts.nowMs
  if (earlyMs > SLACK_MS && facts.lastJumpMs < publication.firstMs) {
    broken('will', `${what} ${earlyMs} ms too early`)
  }
}

function forbid(facts: Facts, will: WillRecord, why: string): void {
  will.publication.forbidden = why
  facts.coverage.count('a will is given up, since its client said goodbye')
  will.publication.earliestMs = facts.nowMs
  will.forbiddenMs = facts.nowMs
}
