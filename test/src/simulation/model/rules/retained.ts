// The retained message of a topic is the last one, and a new subscription gets it; nobody gets one
// that was replaced before it asked, nor one after a newer one. MQTT 5.0 section 3.3.1.3.

import { type PublishPacket, topicMatches } from '@godwit/packet'
import {
  type ConnectionRecord,
  type Facts,
  NEVER,
  type Publication,
  type SessionLife,
  type SubscriptionRecord,
} from '../facts.ts'
import { broken } from '../failure.ts'
import { describe, isOwn } from '../questions.ts'

/** A message with RETAIN has come: what was owed of its topic may be replaced. */
export function arrive(facts: Facts, publication: Publication): void {
  for (const connection of facts.connections.values()) {
    if (publication.isEmpty && isOnItsWay(connection, publication.topic)) {
      facts.coverage.count('a retained message is cleared on its way to a new subscription')
    }
    connection.retainedOwed.delete(publication.topic)
  }
}

/** A new subscription has to get what is retained of the topic, or has asked for it. */
function isOnItsWay({ isClosed, retainedOwed, suback }: ConnectionRecord, topic: string): boolean {
  if (isClosed) return false
  if (retainedOwed.has(topic)) return true
  return [...suback.values()]
    .flat()
    .some(record => record.wantsRetained && topicMatches(record.topicFilter, topic))
}

/** SUBACK goes out. */
export function oweRetained(
  facts: Facts,
  connection: ConnectionRecord,
  record: SubscriptionRecord,
): void {
  for (const [topic, list] of facts.retained) {
    if (!topicMatches(record.topicFilter, topic)) continue
    const last = definite(list)
    if (last === null || last.isEmpty || last.acknowledgedAt >= record.possibleFrom) continue
    if (isOwn(record, last)) continue
    if (last.expirySeconds >= 0 || facts.retainedMayBeLost) continue
    // It may come before SUBACK, which waits for the disk.
    if ((connection.replayed.get(last.key) ?? -1) >= record.possibleFrom) continue
    connection.retainedOwed.set(topic, last)
  }
}

export function writeRetained(
  facts: Facts,
  connection: ConnectionRecord,
  life: SessionLife,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): void {
  if (!publication.retain) return
  if (packet.retain) {
    connection.retainedOwed.delete(publication.topic)
    connection.replayed.set(publication.key, facts.at)
    if (!records.some(record => record.retainAsPublished)) {
      facts.coverage.count('a retained message goes to a new subscription')
    }
  }
  // One that is sent again says nothing new.
  if (packet.qos > 0 && life.written.has(publication.key)) return
  const stream = `${publication.topic} ${packet.qos}`
  const newest = connection.newest.get(stream)
  const isReplay = packet.retain && !records.some(record => record.retainAsPublished)
  if (isReplay) {
    const what = `${life.clientId} gets ${describe(publication)} as retained`
    if (newest !== undefined && newest.firstAt > publication.lastAt) {
      broken('retained', `${what} after the newer ${describe(newest)}`)
    }
    const asked = askedAt(facts, packet, publication, records)
    const newer = replacement(facts, publication, asked)
    if (newer !== null) broken('retained', `${what}, it was replaced by ${describe(newer)}`)
  }
  // Nobody sees when a will is published.
  if (publication.isWill) return
  if (newest === undefined || newest.firstAt < publication.firstAt) {
    connection.newest.set(stream, publication)
  }
}

/** All is quiet. @returns what was not sent, for the ledger to explain */
export function unsent(facts: Facts, connection: ConnectionRecord): Publication[] {
  return [...connection.retainedOwed.values()].filter(publication => {
    const list = facts.retained.get(publication.topic) ?? []
    return definite(list) === publication
  })
}

/** The message that is retained for sure, null when that cannot be said. */
function definite(list: readonly Publication[]): Publication | null {
  const last = list.at(-1) ?? null
  if (last === null || last.acknowledgedAt === NEVER || last.isRefused) return null
  // One that came before and may be sent again is not over.
  const open = list.some(
    other =>
      other !== last &&
      other.forbidden === '' &&
      (other.lastAt > last.firstAt || (other.qos > 0 && other.acknowledgedAt === NEVER)),
  )
  return open ? null : last
}

/**
 * At QoS 1 and 2 it may have waited in the queue since the first that asked for it, at QoS 0 behind
 * a SUBACK since the first that this one answers.
 */
function askedAt(
  facts: Facts,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): number {
  const { firstAt } = publication
  // A guard may think about a filter: when it was let in nobody sees before its SUBACK.
  const isLate = (record: SubscriptionRecord): boolean =>
    facts.subscribesLate && record.certainFrom > firstAt
  const asking = records.filter(
    record => record.wantsRetained && (record.possibleFrom > firstAt || isLate(record)),
  )
  const moment = (record: SubscriptionRecord): number => Math.max(record.possibleFrom, firstAt)
  if (packet.qos > 0) return Math.min(...asking.map(moment))
  const fresh = asking.filter(record => record.certainFrom > facts.turnAt)
  return fresh.length > 0 ? Math.min(...fresh.map(moment)) : Math.max(...asking.map(moment))
}

function replacement(facts: Facts, publication: Publication, asked: number): Publication | null {
  const list = facts.retained.get(publication.topic) ?? []
  const newer = list.find(
    other =>
      other.firstAt > publication.lastAt &&
      other.acknowledgedAt < asked &&
      !other.isRefused &&
      !(facts.retainedMayBeLost && (other.qos === 0 || other.isWill)) &&
      !publication.mayRepeat,
  )
  return newer ?? null
}
