// What a session has asked for: which filters with which options, from when to when. Clients need
// not wait for CONNACK: what they ask for before is of the session that CONNACK tells of. MQTT 5.0
// sections 3.1.4, 3.8 and 3.10.

import {
  PacketType,
  parseSharedFilter,
  type SubscribePacket,
  type UnsubscribePacket,
} from '@godwit/packet'
import {
  type ConnectionRecord,
  type EarlyRequest,
  type Facts,
  NEVER,
  type SessionLife,
  type SubscriptionRecord,
} from '../facts.ts'

const NO_SUBSCRIPTION_EXISTED = 0x11

/** SUBSCRIBE or UNSUBSCRIBE comes. */
export function ask(
  facts: Facts,
  connection: ConnectionRecord,
  packet: SubscribePacket | UnsubscribePacket,
): void {
  const { life } = connection
  const request = { packet, at: facts.at }
  if (life !== null) {
    apply(facts, connection, life, request)
    return
  }
  connection.early.push(request)
  // Should the session go on, its subscription is replaced by now.
  const known = facts.lives.get(connection.connect.clientId)
  if (known === undefined) return
  for (const filter of filtersOf(packet)) leave(known, filter, facts.at)
}

/** CONNACK has told of which session it was. */
export function applyEarly(facts: Facts, connection: ConnectionRecord, life: SessionLife): void {
  for (const request of connection.early) apply(facts, connection, life, request)
  connection.early = []
}

/**
 * The connection has ended without CONNACK: nobody knows what became of it. What it asked for is
 * possible in each session that may be the one.
 */
export function haunt(facts: Facts, connection: ConnectionRecord, life: SessionLife): void {
  const { clientId } = connection.connect
  const requests = facts.ghostRequests.get(clientId) ?? []
  requests.push(...connection.early)
  facts.ghostRequests.set(clientId, requests)
  applyEarly(facts, connection, life)
}

/** The session may be one that such connections have left. */
export function inherit(facts: Facts, life: SessionLife): void {
  for (const { packet, at } of facts.ghostRequests.get(life.clientId) ?? []) {
    for (const filter of filtersOf(packet)) leave(life, filter, at)
    const isKnown = life.records.some(record => record.possibleFrom === at)
    if (packet.type === PacketType.UNSUBSCRIBE || isKnown) continue
    life.records.push(...recordsOf(life, packet, at))
  }
}

function apply(
  facts: Facts,
  connection: ConnectionRecord,
  life: SessionLife,
  { packet, at }: EarlyRequest,
): void {
  connection.retainedOwed.clear()
  if (packet.type === PacketType.UNSUBSCRIBE) {
    const codes = packet.filters.map(filter => unsubackCode(life, filter, at))
    connection.unsuback.set(packet.packetId, { at, filters: packet.filters, codes })
    for (const filter of packet.filters) leave(life, filter, at)
    return
  }
  const before = life.records.filter(record => record.possibleUntil > at)
  const records = recordsOf(life, packet, at)
  for (const record of records) {
    const isReplaced = before.some(
      other => other.filter === record.filter && areOptionsOther(other, record),
    )
    if (isReplaced) facts.coverage.count('a subscription is replaced by one with other options')
  }
  life.records.push(...records)
  connection.suback.set(packet.packetId, records)
}

/** 0 where there is one for sure, 0x11 where there is none. MQTT 5.0 section 3.11.3. */
function unsubackCode(life: SessionLife, filter: string, at: number): number | null {
  const known = life.records.filter(
    record => record.filter === filter && record.possibleUntil > at && record.possibleFrom < at,
  )
  if (known.length === 0) return NO_SUBSCRIPTION_EXISTED
  const isSure = known.some(record => record.certainFrom < at && record.certainUntil > at)
  return isSure ? 0 : null
}

/** The subscription there was is no longer certain. */
function leave(life: SessionLife, filter: string, at: number): void {
  for (const record of life.records) {
    if (record.filter !== filter) continue
    record.certainUntil = Math.min(record.certainUntil, at)
  }
}

function recordsOf(life: SessionLife, packet: SubscribePacket, at: number): SubscriptionRecord[] {
  return packet.subscriptions.map(request => {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = request
    const shared = parseSharedFilter(filter)
    const known = life.records.filter(
      record => record.filter === filter && record.possibleUntil > at,
    )
    const isKnown = known.some(record => record.certainFrom < at && record.certainUntil > at)
    leave(life, filter, at)
    const wantsRetained =
      shared === null && (retainHandling === 0 || (retainHandling === 1 && !isKnown))
    return {
      life,
      filter,
      topicFilter: shared?.filter ?? filter,
      group: shared === null ? null : filter,
      qos,
      noLocal,
      retainAsPublished,
      identifier: packet.properties.subscriptionIdentifiers?.[0] ?? 0,
      wantsRetained,
      mustHaveRetained: wantsRetained && (retainHandling === 0 || known.length === 0),
      granted: qos,
      possibleFrom: at,
      certainFrom: NEVER,
      certainUntil: NEVER,
      possibleUntil: NEVER,
    }
  })
}

function filtersOf(packet: SubscribePacket | UnsubscribePacket): readonly string[] {
  if (packet.type === PacketType.UNSUBSCRIBE) return packet.filters
  return packet.subscriptions.map(({ filter }) => filter)
}

function areOptionsOther(one: SubscriptionRecord, other: SubscriptionRecord): boolean {
  return (
    one.qos !== other.qos ||
    one.noLocal !== other.noLocal ||
    one.retainAsPublished !== other.retainAsPublished ||
    one.identifier !== other.identifier
  )
}
