// SUBSCRIBE and UNSUBSCRIBE. MQTT 5.0 sections 3.8 to 3.11 and 4.8.

import {
  encodePacket,
  isReasonCode,
  NO_PROPERTIES,
  PacketType,
  parseSharedFilter,
  ReasonCode,
  SUBACK_FAILURE,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubscribePacket,
  utf8ByteLength,
} from '@godwit/packet'
import type { Broker } from '../broker.ts'
import type { Connection } from '../connection.ts'
import { LATER } from '../ports.ts'
import { NO_BATCH } from '../sender.ts'
import type { Session } from '../session.ts'
import { hasWildcard, Subscription } from '../subscriptions.ts'

const RETAIN_ALWAYS = 0
const RETAIN_NEVER = 2

export function handleSubscribe(
  broker: Broker,
  connection: Connection,
  packet: SubscribePacket,
): void {
  subscribeFrom(broker, connection, packet, 0, [])
}

/** Takes the filters one after the other; a guard that takes its time is waited for at each. */
function subscribeFrom(
  broker: Broker,
  connection: Connection,
  packet: SubscribePacket,
  from: number,
  reasonCodes: number[],
): void {
  const session = connection.session
  if (session === null) return
  for (let i = from; i < packet.subscriptions.length; i++) {
    const request = packet.subscriptions[i] as SubscriptionRequest
    const { guard } = broker.ports
    if (!guard.checksSubscriptions) {
      reasonCodes.push(subscribeOne(broker, session, packet, request, 0))
      continue
    }
    const ticket = broker.newTicket()
    const { identity } = connection
    const verdict = guard.maySubscribe(identity, request.filter, request.qos, ticket)
    if (verdict === LATER) {
      subscribeLater(broker, connection, packet, i, reasonCodes, ticket)
      return
    }
    reasonCodes.push(subscribeOne(broker, session, packet, request, verdict))
  }
  sendSuback(broker, connection, session, packet.packetId, reasonCodes)
}

/** A function of its own, so that who is answered at once needs no place for a closure's values. */
function subscribeLater(
  broker: Broker,
  connection: Connection,
  packet: SubscribePacket,
  at: number,
  reasonCodes: number[],
  ticket: number,
): void {
  const { session } = connection
  broker.waitFor(connection, ticket, final => {
    if (session === null || connection.session !== session) return
    const code = typeof final === 'number' ? final : ReasonCode.NOT_AUTHORIZED
    const request = packet.subscriptions[at] as SubscriptionRequest
    reasonCodes.push(subscribeOne(broker, session, packet, request, code))
    subscribeFrom(broker, connection, packet, at + 1, reasonCodes)
  })
}

/** @returns the reason code of this filter [MQTT-3.8.4-7] */
function subscribeOne(
  broker: Broker,
  session: Session,
  packet: SubscribePacket,
  request: SubscriptionRequest,
  verdict: number,
): number {
  if (verdict !== 0) {
    // What a guard says may be none of SUBACK [MQTT-3.9.3-2].
    const isKnown = isReasonCode(PacketType.SUBACK, verdict, 5)
    return isKnown ? verdict : ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
  }
  const { limits } = broker
  const known = session.subscription(request.filter)
  if (known === null && !hasRoomFor(broker, session, request.filter)) {
    return ReasonCode.QUOTA_EXCEEDED
  }
  if (hasTooManyLevels(request.filter, limits.topicLevelsMax)) {
    return ReasonCode.TOPIC_FILTER_INVALID
  }
  const qos = Math.min(request.qos, limits.maximumQoS) // [MQTT-3.2.2-10]
  const options =
    qos |
    (request.noLocal ? 4 : 0) |
    (request.retainAsPublished ? 8 : 0) |
    (request.retainHandling << 4)
  const identifier = packet.properties.subscriptionIdentifiers?.[0] ?? 0
  const { filter } = request
  const subscription =
    known === null
      ? addSubscription(broker, session, filter, options, identifier)
      : changeSubscription(broker, known, options, identifier)
  if (session.storedId !== 0) {
    const sessionId = session.storedId
    broker.ports.store.putSubscription({ sessionId, filter, options, identifier })
  }
  // [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]; a group gets none
  const { retainHandling } = request
  const wanted =
    retainHandling === RETAIN_ALWAYS || (known === null && retainHandling < RETAIN_NEVER)
  if (wanted && subscription.group === null) broker.retainer.serveLater(session, subscription)
  broker.ports.trace.subscribed(session.clientId, request.filter, qos as 0 | 1 | 2)
  return qos
}

/** Replaces the options of the one there is [MQTT-3.8.4-3]. */
function changeSubscription(
  broker: Broker,
  known: Subscription,
  options: number,
  identifier: number,
): Subscription {
  known.options = options
  known.identifier = identifier
  broker.router.forget(parseSharedFilter(known.filter)?.filter ?? known.filter)
  return known
}

/** Makes a subscription to what the session has none to. */
function addSubscription(
  broker: Broker,
  session: Session,
  filter: string,
  options: number,
  identifier: number,
): Subscription {
  const subscription = new Subscription(session, filter)
  subscription.options = options
  subscription.identifier = identifier
  const shared = parseSharedFilter(filter) // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
  session.addSubscription(subscription)
  broker.subscriptionCount++
  broker.filterBytes += utf8ByteLength(filter)
  if (shared !== null) {
    broker.groups.join(broker.groups.groupOf(shared.shareName, shared.filter), subscription)
  } else {
    broker.router.index.add(filter, subscription)
    broker.router.forget(filter)
  }
  return subscription
}

function sendSuback(
  broker: Broker,
  connection: Connection,
  session: Session,
  packetId: number,
  reasonCodes: number[],
): void {
  const codes = connection.level5
    ? reasonCodes
    : reasonCodes.map(code => (code >= 0x80 ? SUBACK_FAILURE : code))
  const type = PacketType.SUBACK
  // [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1]
  const packet = { type, packetId, reasonCodes: codes, properties: NO_PROPERTIES }
  const bytes = encodePacket(packet, connection.protocolLevel)
  broker.answer(connection, bytes, batchOf(broker, session))
}

export function handleUnsubscribe(
  broker: Broker,
  connection: Connection,
  packet: UnsubscribePacket,
): void {
  const session = connection.session
  if (session === null) return
  const reasonCodes: number[] = []
  for (const filter of packet.filters) {
    const known = session.subscription(filter) // [MQTT-3.10.4-1]
    reasonCodes.push(known === null ? ReasonCode.NO_SUBSCRIPTION_EXISTED : ReasonCode.SUCCESS)
    if (known === null) continue
    broker.sessions.unsubscribe(session, known) // [MQTT-3.10.4-2]
    if (session.storedId !== 0) broker.ports.store.removeSubscription(session.storedId, filter)
    broker.ports.trace.unsubscribed(session.clientId, filter)
  }
  const type = PacketType.UNSUBACK
  const { packetId } = packet
  // [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1]
  const answer = { type, packetId, reasonCodes, properties: NO_PROPERTIES }
  const bytes = encodePacket(answer, connection.protocolLevel)
  broker.answer(connection, bytes, batchOf(broker, session))
}

function batchOf(broker: Broker, session: Session): number {
  const { store } = broker.ports
  return session.storedId !== 0 && store.dirty ? store.openBatch : NO_BATCH
}

/** Whether the session may have a subscription with one more filter. */
function hasRoomFor(broker: Broker, session: Session, filter: string): boolean {
  const { limits } = broker
  if (session.subscriptionCount >= limits.subscriptionsPerSessionMax) return false
  if (broker.subscriptionCount >= limits.subscriptionsMax) return false
  if (session.persistent && broker.ports.store.full) return false
  const byteLength = utf8ByteLength(filter)
  if (session.filterBytes + byteLength > limits.filterBytesPerSessionMax) return false
  if (broker.filterBytes + byteLength > limits.filterBytesMax) return false
  return hasRoomForLevels(broker, filter)
}

/** The levels of one filter are only counted where they may be too many. */
function hasRoomForLevels(broker: Broker, whole: string): boolean {
  const { limits, router } = broker
  const left = limits.subscriptionLevelsMax - router.index.levels
  if (left >= limits.topicLevelsMax || !hasWildcard(whole)) return true
  const filter = parseSharedFilter(whole)?.filter ?? whole
  return router.index.newLevels(filter) <= left
}

function hasTooManyLevels(filter: string, levelsMax: number): boolean {
  // A level takes a character but for empty ones at the ends.
  if (filter.length < levelsMax) return false
  let levels = 1
  for (let i = 0; i < filter.length; i++) if (filter.charCodeAt(i) === 0x2f) levels++
  return levels > levelsMax
}
