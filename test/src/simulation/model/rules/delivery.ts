// Who gets a message, how often, with which QoS: at least once, exactly once, at most once; nothing
// that was not published, nothing without a subscription, nothing after its time, nothing of one's
// own with No Local. MQTT 5.0 sections 3.3.4, 3.8.3.1, 3.8.4 and 4.3.

import { type PublishPacket, type QoS, topicMatches } from '@godwit/packet'
import { dressText } from '../../dress.ts'
import {
  type ConnectionRecord,
  type Facts,
  NEVER,
  type Publication,
  type SessionLife,
  type SubscriptionRecord,
} from '../facts.ts'
import { broken } from '../failure.ts'
import { certainRecords, describe, isOwn, possibleRecords, SLACK_MS } from '../questions.ts'

/** More than a guard thinks. */
const THINKING_MS = 10_000
/** A session that lasts until its client can be back. */
const LASTING_SECONDS = 2

/** A PUBLISH goes to a client. @returns the subscriptions that may be why */
export function writePublish(
  facts: Facts,
  connection: ConnectionRecord,
  life: SessionLife,
  packet: PublishPacket,
  publication: Publication,
): SubscriptionRecord[] {
  const what = `${life.clientId} gets ${describe(publication)}`
  const { forbidden, isWill } = publication
  if (forbidden !== '' && !isWill) broken('permission', `${what}, ${forbidden}`)
  if (publication.topic !== packet.topic) broken('topic', `${what} with topic ${packet.topic}`)
  const matching = possibleRecords(facts, life, publication)
  if (matching.length === 0) broken('subscription', `${what} and has no subscription for it`)
  // A replay has the options that its subscription has when it leaves: newer ones, maybe.
  const asking = packet.retain ? life.records.filter(matches(publication)) : matching
  const reasons = asking.filter(record => !isOwn(record, publication))
  if (reasons.length === 0) broken('no-local', `${what}, which is its own`)
  checkQoS(what, packet, publication, asking)
  checkFlags(what, packet, publication, packet.retain ? matching : reasons)
  checkMerged(facts, what, connection, packet, publication)
  checkProperties(facts, what, connection, packet, publication)
  checkExpiry(facts, what, packet, publication)
  if (packet.qos < 2) checkCount(connection, life, packet, publication, matching)
  connection.owed.delete(publication.key)
  return matching
}

/** An application message that the client's user has got. */
export function take(
  facts: Facts,
  life: SessionLife,
  packet: PublishPacket,
  publication: Publication,
): void {
  if (packet.qos !== 2) return
  const count = (life.taken.get(publication.key) ?? 0) + 1
  life.taken.set(publication.key, count)
  const most = allowance(possibleRecords(facts, life, publication), publication)
  if (count > most) {
    const text = `${life.clientId} took ${describe(publication)} ${count} times, at most ${most}`
    broken('exactly-once', text)
  }
}

/** The broker has said that it has the message: from now on it owes it to these sessions. */
export function acknowledge(facts: Facts, publication: Publication): void {
  if (publication.acknowledgedAt !== NEVER) return
  if (publication.forbidden !== '' && !publication.isWill) return
  if (!publication.isEmpty && publication.qos > 0) {
    for (const life of facts.lives.values()) {
      if (life.isOver || life.done.has(publication.key)) continue
      const records = certainRecords(facts, life, publication).filter(
        record =>
          record.group === null && !isWithheld(facts, record, publication) && record.granted > 0,
      )
      if (records.length === 0) continue
      life.owed.set(publication.key, publication)
      if (life.expirySecondsMin >= LASTING_SECONDS) facts.promised()
    }
    oweGroups(facts, publication)
  }
  publication.acknowledgedAt = facts.at
  publication.acknowledgedMs = facts.nowMs
}

/** A message of QoS 0 has come: who is connected and subscribed gets it in this turn. */
export function oweAtOnce(facts: Facts, publication: Publication): void {
  // One that is to be retained and cannot be is refused as a whole.
  if (publication.retain && facts.retainedMayBeLost) return
  for (const life of facts.lives.values()) {
    const connection = life.connection
    if (connection === null || connection.isClosed || connection.openAt >= facts.at) continue
    const records = certainRecords(facts, life, publication).filter(
      record => record.group === null && !isOwn(record, publication),
    )
    if (records.length > 0) connection.owed.set(publication.key, publication)
  }
}

/** The turn is over: what it had to write and has not is missing, unless the ledger has it. */
export function endTurn(facts: Facts): void {
  for (const life of facts.lives.values()) {
    const connection = life.connection
    if (connection === null) continue
    if (!connection.isClosed && isHeldBack(connection)) continue
    if (!connection.isClosed) {
      for (const publication of connection.owed.values()) facts.miss(life.clientId, publication)
    }
    connection.owed.clear()
  }
}

/**
 * It does not overtake what waits behind a CONNACK or a SUBACK, and that waits for the disk; nor do
 * those after it, until all that was to be answered has its answer.
 */
function isHeldBack(connection: ConnectionRecord): boolean {
  const { suback, unsuback, puback, pubrec, pubcomp, pubrel } = connection
  const acks = puback.length + pubrec.length + pubcomp.length + pubrel.size
  if (suback.size > 0) connection.isHeldBack = true
  else if (unsuback.size + acks === 0) connection.isHeldBack = false
  return connection.isHeldBack
}

/** The process starts: what is owed may have expired meanwhile. */
export function restart(facts: Facts): void {
  for (const life of facts.lives.values()) {
    for (const { lastMs, expirySeconds } of life.owed.values()) {
      const endsMs = lastMs + expirySeconds * 1000
      if (expirySeconds < 0 || endsMs < facts.lastCrashMs || endsMs > facts.nowMs) continue
      facts.coverage.count('a message expires while the process is away')
    }
  }
}

function oweGroups(facts: Facts, publication: Publication): void {
  const groups = new Set<string>()
  for (const life of facts.lives.values()) {
    for (const record of certainRecords(facts, life, publication)) {
      if (record.group !== null && record.granted > 0) groups.add(record.group)
    }
  }
  for (const group of groups) {
    facts.groupsOwed.push({ group, publication })
    facts.coverage.count('a group owes a message')
  }
}

function isWithheld(facts: Facts, record: SubscriptionRecord, publication: Publication): boolean {
  const isSo = isOwn(record, publication)
  if (isSo) facts.coverage.count('an own message is withheld')
  return isSo
}

function matches(publication: Publication): (record: SubscriptionRecord) => boolean {
  return record => topicMatches(record.topicFilter, publication.topic)
}

/** How often a session may get a message at all. */
function allowance(records: readonly SubscriptionRecord[], publication: Publication): number {
  const groups = new Set(records.map(record => record.group))
  const replays = publication.retain ? records.filter(record => record.wantsRetained).length : 0
  // A publisher that repeats at QoS 1 makes two messages of one.
  const times = publication.qos === 2 && !publication.mayRepeat ? 1 : publication.arrivals
  return groups.size * times + replays
}

function checkCount(
  connection: ConnectionRecord,
  life: SessionLife,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): void {
  const name = `${packet.qos} ${publication.key}`
  const count = (connection.counts.get(name) ?? 0) + 1
  connection.counts.set(name, count)
  const most = allowance(records, publication)
  if (count > most) {
    const rule = packet.qos === 0 ? 'at-most-once' : 'repeated'
    const what = `${life.clientId} got ${describe(publication)} at QoS ${packet.qos}`
    broken(rule, `${what} ${count} times on one connection, at most ${most}`)
  }
}

function checkQoS(
  what: string,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): void {
  const allowed = new Set<QoS>(
    records.map(record => Math.min(record.granted, publication.qos) as QoS),
  )
  if (!allowed.has(packet.qos)) {
    broken('qos', `${what} at QoS ${packet.qos}, granted ${[...allowed].join(' or ')}`)
  }
  const identifiers = packet.properties.subscriptionIdentifiers ?? []
  for (const identifier of identifiers) {
    if (records.some(record => record.identifier === identifier)) continue
    broken('identifier', `${what} with subscription identifier ${identifier}, which it has not`)
  }
}

/**
 * A message that comes live by several subscriptions comes once, at the highest QoS of them all
 * [MQTT-3.3.4-2], with all their identifiers [MQTT-3.3.4-4].
 */
function checkMerged(
  facts: Facts,
  what: string,
  { connect, life }: ConnectionRecord,
  packet: PublishPacket,
  publication: Publication,
): void {
  if (packet.retain || life === null) return
  const isShared = (record: SubscriptionRecord): boolean => record.group !== null
  if (life.records.filter(matches(publication)).some(isShared)) return
  const records = certainRecords(facts, life, publication).filter(
    record => !isOwn(record, publication),
  )
  const granted = Math.max(0, ...records.map(record => record.granted))
  const least = Math.min(granted, publication.qos)
  if (packet.qos < least) broken('qos', `${what} at QoS ${packet.qos}, it is owed at ${least}`)
  if (connect.protocolLevel !== 5) return
  const given = packet.properties.subscriptionIdentifiers ?? []
  const asked = new Set(records.map(({ identifier }) => identifier).filter(each => each !== 0))
  for (const identifier of asked) {
    if (!given.includes(identifier))
      broken('identifier', `${what} without identifier ${identifier}`)
  }
  if (asked.size > 1) facts.coverage.count('a message has several subscription identifiers')
}

/** They go with it as they came; a client before MQTT 5.0 never hears of them. */
function checkProperties(
  facts: Facts,
  what: string,
  { connect }: ConnectionRecord,
  packet: PublishPacket,
  publication: Publication,
): void {
  const { dress } = publication
  if (connect.protocolLevel !== 5) return
  const given = dressText(packet.properties)
  if (given !== dress) broken('properties', `${what} with ${given}, it had ${dress}`)
  if (dress !== '') facts.coverage.count('a message keeps its properties')
  const hasExpiry = packet.properties.messageExpiryInterval !== undefined
  const mustHave = publication.expirySeconds >= 0
  if (hasExpiry !== mustHave) {
    broken('expiry', `${what} ${hasExpiry ? 'with' : 'without'} an expiry interval`)
  }
}

function checkFlags(
  what: string,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): void {
  if (packet.qos === 0 && packet.dup) broken('dup', `${what} with DUP at QoS 0`)
  if (!packet.retain) {
    // [MQTT-3.3.1-13]
    const isKept = publication.retain && records.every(record => record.retainAsPublished)
    if (isKept) broken('retain', `${what} without RETAIN, it was published with it`)
    return
  }
  if (!publication.retain) broken('retain', `${what} with RETAIN, it was published without`)
  if (records.some(record => record.retainAsPublished || record.wantsRetained)) return
  broken('retain', `${what} with RETAIN, which nothing asked for`)
}

/** What is left is what it had without the time that it has waited [MQTT-3.3.2-6]. */
function checkTimeLeft(
  facts: Facts,
  what: string,
  packet: PublishPacket,
  publication: Publication,
): void {
  const left = packet.properties.messageExpiryInterval
  if (left === undefined || facts.nowMs - facts.stalledUntilMs < SLACK_MS) return
  const { expirySeconds, firstMs, lastMs } = publication
  const waitedMsMin = facts.nowMs - lastMs - SLACK_MS
  const waitedMsMax = facts.nowMs - firstMs + SLACK_MS + facts.thinkingMs
  const most = Math.ceil(expirySeconds - waitedMsMin / 1000)
  const least = Math.floor(expirySeconds - waitedMsMax / 1000)
  if (left <= most && left >= least) return
  broken('expiry', `${what} with ${left} seconds to live, of which ${least} to ${most} are left`)
}

/** Expired messages are not begun with; one that was sent before may be sent again. */
function checkExpiry(
  facts: Facts,
  what: string,
  packet: PublishPacket,
  publication: Publication,
): void {
  const { expirySeconds } = publication
  const left = packet.properties.messageExpiryInterval
  // What is kept of an expiry is a time of the wall, when it came and not when a guard let it in.
  if (facts.lastJumpMs > publication.firstMs - THINKING_MS) return
  if (left !== undefined && (expirySeconds < 0 || left > expirySeconds)) {
    broken('expiry', `${what} with ${left} seconds to live, it had ${expirySeconds}`)
  }
  if (expirySeconds < 0 || packet.dup || publication.isWill) return
  checkTimeLeft(facts, what, packet, publication)
  const lateMs = facts.nowMs - (publication.lastMs + expirySeconds * 1000)
  // It stood between what was written in a turn and the end of the turn.
  if (facts.nowMs - facts.stalledUntilMs < SLACK_MS) return
  if (lateMs > SLACK_MS) broken('expiry', `${what} ${lateMs} ms after it expired`)
}
