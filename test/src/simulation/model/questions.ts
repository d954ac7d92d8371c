// Questions to the facts that several rules ask: who receives a message, may a session still exist.

import { topicMatches } from '@godwit/packet'
import type { Facts, Publication, SessionLife, SubscriptionRecord } from './facts.ts'

/** A tick, a stale clock within a turn, and what rounding may add. */
export const SLACK_MS = 450

const FOREVER_SECONDS = 0xffff_ffff

/** The records of a session that may have handed this message to it. */
export function possibleRecords(
  facts: Facts,
  life: SessionLife,
  publication: Publication,
): SubscriptionRecord[] {
  const until = Math.min(Math.max(publication.acknowledgedAt, publication.lastAt), facts.at)
  return life.records.filter(
    record =>
      // What is retained, or waits in a group, reaches those that ask for it later.
      (record.possibleFrom <= until ||
        record.group !== null ||
        (publication.retain && record.wantsRetained)) &&
      record.possibleUntil >= publication.firstAt &&
      topicMatches(record.topicFilter, publication.topic),
  )
}

/** Those that hand it out for sure, from its arrival to this moment, and to no other session. */
export function certainRecords(
  facts: Facts,
  life: SessionLife,
  publication: Publication,
): SubscriptionRecord[] {
  return life.records.filter(
    record =>
      record.certainFrom < publication.firstAt &&
      record.certainUntil > facts.at &&
      topicMatches(record.topicFilter, publication.topic),
  )
}

/** A publisher's own message, which a subscription with No Local does not hand out. */
export function isOwn(record: SubscriptionRecord, publication: Publication): boolean {
  return record.noLocal && record.life.clientId === publication.publisher
}

/** The session is there for a CONNECT at this time, nobody can say otherwise. */
export function mustExist(facts: Facts, life: SessionLife, atMs: number = facts.nowMs): boolean {
  if (!life.isCertain || life.isOver) return false
  if (life.connection !== null) return life.expirySecondsMin > 0
  if (life.expirySecondsMin === FOREVER_SECONDS) return true
  if (life.leftMsMin < facts.lastJumpMs && facts.crashes > 0) return false
  return life.leftMsMin + life.expirySecondsMin * 1000 - SLACK_MS > atMs
}

/**
 * The session has expired, nobody can say otherwise.
 * @param lookedMs when the broker had last looked at the clock
 */
export function mustBeOver(facts: Facts, life: SessionLife, lookedMs: number): boolean {
  if (life.isOver) return true
  if (life.connection !== null || life.expirySecondsMax === FOREVER_SECONDS) return false
  if (life.leftMsMin < facts.lastJumpMs && facts.crashes > 0) return false
  return life.leftMsMax + life.expirySecondsMax * 1000 + SLACK_MS < lookedMs
}

/** What is known of a session is no longer sure: it may be another one of the same client. */
export function makeUnsure(facts: Facts, life: SessionLife): void {
  life.isCertain = false
  life.unsureAt = facts.at
  life.owed.clear()
  life.underWay.clear()
  life.taken.clear()
  life.written.clear()
  life.newest.clear()
  for (const record of life.records) {
    record.certainUntil = Math.min(record.certainUntil, facts.at)
  }
}

export function describe(publication: Publication): string {
  const { key, topic, qos, retain, isWill, arrivals } = publication
  const flags = `${retain ? ', retained' : ''}${isWill ? ', a will' : ''}`
  return `${key} (topic ${topic}, QoS ${qos}${flags}, came ${arrivals} times)`
}
