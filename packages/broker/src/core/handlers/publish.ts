// hot
// PUBLISH from a client: quota, topic or alias, permission, hook; then to its receivers, and its
// acknowledgement when what it changed is durable. MQTT 5.0 sections 3.3, 4.3 and 4.9.

import {
  isReasonCode,
  PacketError,
  PacketType,
  type Properties,
  ReasonCode,
  readPacket,
} from '@godwit/packet'
import { Aliases } from '../aliases.ts'
import type { Broker } from '../broker.ts'
import type { Connection } from '../connection.ts'
import { expiryOf, ownMessage } from '../keep.ts'
import type { DropReason } from '../ledger.ts'
import type { Message } from '../message.ts'
import { DISCARD, LATER, type PublishReplacement } from '../ports.ts'
import { ReceivedIds } from '../received-ids.ts'
import type { Route } from '../router.ts'
import { NO_BATCH } from '../sender.ts'
import type { Session } from '../session.ts'
import { isOfServer } from '../sys-topics.ts'

/** PUBLISH with QoS 0 and neither DUP nor RETAIN. */
const PLAIN_PUBLISH = 0x30
const NO_SUBSCRIBER = ReasonCode.NO_MATCHING_SUBSCRIBERS

export function handlePublish(broker: Broker, connection: Connection): void {
  const { decoder } = connection
  const { view, counters, limits } = broker
  const bytes = decoder.bytes
  view.read(decoder.first, bytes, decoder.bodyStart, decoder.end, connection.protocolLevel)
  counters.publishReceived++
  counters.publishBytesReceived += decoder.end - decoder.start
  if (limits.messagesPerSecondMax > 0) broker.countRate(connection, 1, 0)
  if (broker.sender.congested) broker.pause(connection)
  let route = connection.lastRoute
  if (
    route === null ||
    route.generation !== broker.router.generation ||
    view.topicAlias !== 0 ||
    !route.is(bytes, view.topicStart, view.topicEnd)
  ) {
    route = routeOf(broker, connection)
    connection.lastRoute = route
  }
  if (decoder.first === PLAIN_PUBLISH && broker.mayPass && passes(broker, connection, route)) return
  const message = broker.forwarder.passing
  message.load(view, bytes, decoder.start, connection.protocolLevel)
  message.topic = route.topic
  message.publisher = connection.clientId
  message.expiresAtMs =
    view.messageExpiryInterval < 0
      ? 0
      : expiryOf(view.messageExpiryInterval, broker.ports.clock.wallMs())
  if (view.topicAlias !== 0) {
    message.topicFrom = route.topicBytes
    message.topicStart = 0
    message.topicEnd = route.topicBytes.length
  }
  const packetId = view.packetId
  if (view.retain || view.qos > 0 || view.userPropertyCount > 0) {
    if (view.qos === 1) counters.publishReceivedQos1++
    else if (view.qos === 2) counters.publishReceivedQos2++
    checkLimits(broker, connection)
    if (view.qos > 0 && !beginAcknowledged(broker, connection, packetId)) return
  }
  const guard = broker.ports.guard
  if (guard.checksPermissions || route.topic.charCodeAt(0) === 0x24) {
    const verdict = permission(broker, connection, route, message)
    if (verdict === LATER) return
    if (verdict !== 0) {
      refuse(broker, connection, message, packetId, verdict, 'not-authorized')
      return
    }
    // A hook may have looked at other topics, which took its place or its receivers.
    if (route.generation !== broker.router.generation) route = freshRoute(broker, route)
  }
  if (guard.inspectsMessages) inspect(broker, connection, route, message, packetId)
  else accept(broker, connection, route, message, packetId)
}

/** Tries the short way of a run of QoS 0 messages. @returns false when it has to be the long one */
function passes(broker: Broker, connection: Connection, route: Route): boolean {
  const { view } = broker
  if (view.topicAlias !== 0 || route.special || route.groups.length > 0) return false
  const { guard } = broker.ports
  if (guard.checksPermissions && !isAllowed(connection, route, guard.generation, 0)) return false
  if (view.userPropertyCount > broker.limits.userPropertiesMax) return false
  const { decoder } = connection
  const start = decoder.end
  const count = broker.forwarder.pass(route, connection, view.payloadStart - decoder.bodyStart)
  if (count === 0) return false
  const { counters } = broker
  counters.packetsReceived += count - 1
  counters.publishReceived += count - 1
  counters.publishBytesReceived += decoder.end - start
  if (broker.forwarder.passedTo === 0) counters.unmatched += count
  return true
}

/** The message may be published: hands it on and acknowledges it. */
function accept(
  broker: Broker,
  connection: Connection,
  route: Route,
  message: Message,
  packetId: number,
): void {
  const { forwarder } = broker
  const qos = message.qos
  forwarder.begin(message)
  if (qos > 0 && !admits(broker, route, message)) {
    const why = broker.ports.store.full ? 'storage-full' : 'queue-full'
    refuse(broker, connection, message, packetId, ReasonCode.QUOTA_EXCEEDED, why)
    return
  }
  if (message.retain && !broker.retainer.retain(route.topic, message)) {
    const why = broker.ports.store.full ? 'storage-full' : 'retained-full'
    refuse(broker, connection, message, packetId, ReasonCode.QUOTA_EXCEEDED, why)
    return
  }
  const count = forwarder.toRoute(route, connection.session)
  if (count === 0) broker.counters.unmatched++
  const { trace, peers, store } = broker.ports
  if (trace.messages) {
    trace.published(message.publisher, route.topic, message.payload, qos, message.retain)
  }
  if (peers.present) peers.forward(route.topic, forwarder.keep())
  if (qos === 0) return
  const reasonCode = count === 0 ? NO_SUBSCRIBER : 0
  const batch = forwarder.stored ? store.openBatch : NO_BATCH
  if (qos === 1) {
    // [MQTT-4.3.2-4]
    broker.sender.acknowledge(connection, PacketType.PUBACK, packetId, reasonCode, batch)
    return
  }
  acknowledgeReceived(broker, connection, packetId, reasonCode, batch)
}

/** PUBREC: from now on a repetition is not delivered again [MQTT-4.3.3-8] [MQTT-4.3.3-10]. */
function acknowledgeReceived(
  broker: Broker,
  connection: Connection,
  packetId: number,
  reasonCode: number,
  batch: number,
): void {
  const session = connection.session
  let until = batch
  if (session !== null) {
    session.received ??= new ReceivedIds()
    session.received.add(packetId)
    if (session.storedId !== 0) {
      broker.ports.store.putReceived(session.storedId, packetId)
      until = broker.ports.store.openBatch
    }
  }
  broker.sender.acknowledge(connection, PacketType.PUBREC, packetId, reasonCode, until)
}

/** Nobody gets the message; the publisher is told where its protocol can say so. */
function refuse(
  broker: Broker,
  connection: Connection,
  message: Message,
  packetId: number,
  reasonCode: number,
  why: DropReason,
): void {
  broker.lose(why, message.publisher, message.topic, message.byteLength)
  if (message.qos === 0) return
  if (!connection.level5 && why !== 'not-authorized') {
    // MQTT 3.1.1 has no reason codes: without an acknowledgement the client keeps the message.
    broker.close(connection, reasonCode, `a message was refused: ${why}`)
    return
  }
  const type = message.qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
  // Before MQTT 5.0 a message that is not authorized is acknowledged and goes nowhere
  // [MQTT-3.3.5-2 v3]. The QoS 2 identifier is free again after a PUBREC of 0x80 [MQTT-4.3.3-9].
  if (type === PacketType.PUBREC && !connection.level5) {
    acknowledgeReceived(broker, connection, packetId, 0, NO_BATCH)
    return
  }
  // What a guard says may be none of this packet's [MQTT-3.4.2-1] [MQTT-3.5.2-1].
  const code = isReasonCode(type, reasonCode, 5)
    ? reasonCode
    : ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
  broker.sender.acknowledge(connection, type, packetId, code, NO_BATCH)
}

/** @returns false when the message came before: it is acknowledged again and not delivered */
function beginAcknowledged(broker: Broker, connection: Connection, packetId: number): boolean {
  const session = connection.session
  const received = session === null ? null : session.received
  if (session !== null && received?.has(packetId)) {
    if (broker.view.qos !== 2) return isFree(broker, connection, session, packetId)
    connection.carried?.delete(packetId)
    const store = broker.ports.store
    const batch = session.storedId !== 0 && store.dirty ? store.openBatch : NO_BATCH
    broker.sender.acknowledge(connection, PacketType.PUBREC, packetId, 0, batch)
    return false
  }
  // The window begins anew with each connection: what came on an earlier one is not in it.
  const carriedCount = connection.carried === null ? 0 : connection.carried.size
  const receivedCount = received === null ? 0 : received.size - carriedCount
  const unacknowledged = connection.heldPublishes + receivedCount
  if (unacknowledged >= broker.limits.receiveMaximum && connection.level5) {
    const limit = broker.limits.receiveMaximum
    const text = `more than ${limit} messages at QoS 1 and 2 are not acknowledged`
    throw new PacketError('protocol-error', ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, text)
  }
  return true
}

/**
 * An identifier of QoS 2 comes with QoS 1: the client has lost the state that the server has. MQTT
 * 5.0 can tell it so. An older client would come back with the same message for ever; what counts
 * is that it takes the identifier to be free [MQTT-2.3.1-2 v3].
 */
function isFree(
  broker: Broker,
  connection: Connection,
  session: Session,
  packetId: number,
): boolean {
  if (connection.level5) {
    const code = ReasonCode.PACKET_IDENTIFIER_IN_USE
    broker.sender.acknowledge(connection, PacketType.PUBACK, packetId, code, NO_BATCH)
    return false
  }
  forgetReceived(broker, connection, session, packetId)
  return true
}

/** @returns false when the identifier was not known */
export function forgetReceived(
  broker: Broker,
  connection: Connection,
  session: Session,
  packetId: number,
): boolean {
  connection.carried?.delete(packetId)
  if (session.received?.delete(packetId) !== true) return false
  if (session.storedId !== 0) broker.ports.store.removeReceived(session.storedId, packetId)
  return true
}

function checkLimits(broker: Broker, connection: Connection): void {
  const { view, limits } = broker
  if (broker.ports.store.congested) broker.pause(connection)
  if (view.retain && !limits.retainAvailable) {
    const text = 'RETAIN is set, retained messages are not supported'
    throw new PacketError('protocol-error', ReasonCode.RETAIN_NOT_SUPPORTED, text)
  }
  if (view.qos > limits.maximumQoS) {
    const text = `QoS ${view.qos} came, the maximum is ${limits.maximumQoS}`
    throw new PacketError('protocol-error', ReasonCode.QOS_NOT_SUPPORTED, text)
  }
  if (view.userPropertyCount > limits.userPropertiesMax && connection.level5) {
    const most = limits.userPropertiesMax
    const text = `${view.userPropertyCount} user properties, the limit is ${most}`
    throw new PacketError('protocol-error', ReasonCode.QUOTA_EXCEEDED, text)
  }
}

/** By topic or alias. */
function routeOf(broker: Broker, connection: Connection): Route {
  const { view, router } = broker
  const alias = view.topicAlias
  if (alias === 0) {
    const { bytes } = connection.decoder
    const last = connection.lastRoute
    if (last === null) return router.find(bytes, view.topicStart, view.topicEnd)
    return router.findAfter(last, bytes, view.topicStart, view.topicEnd)
  }
  const { topicAliasMaximum, topicAliasBytesMax } = broker.limits
  connection.aliases ??= new Aliases(topicAliasMaximum, topicAliasBytesMax, broker.aliasPool)
  if (view.topicStart === view.topicEnd) {
    const known = connection.aliases.get(alias)
    if (known.generation !== router.generation) {
      return router.find(known.topicBytes, 0, known.topicBytes.length)
    }
    return known
  }
  const route = router.find(connection.decoder.bytes, view.topicStart, view.topicEnd)
  connection.aliases.set(alias, route)
  return route
}

/** The guard's word on this topic, remembered for the connection's last one. */
function permission(
  broker: Broker,
  connection: Connection,
  route: Route,
  message: Message,
): number {
  if (isOfServer(route.topic)) return ReasonCode.NOT_AUTHORIZED
  const { guard } = broker.ports
  if (!guard.checksPermissions) return 0
  const { topic, qos, retain } = message
  const flags = (qos << 1) | (retain ? 1 : 0)
  if (isAllowed(connection, route, guard.generation, flags)) return 0
  const ticket = broker.newTicket()
  const verdict = guard.mayPublish(connection.identity, topic, qos, retain, ticket)
  if (verdict === LATER) {
    decideLater(broker, connection, route, message, ticket)
    return LATER
  }
  if (verdict === 0) {
    connection.allowedRoute = route
    connection.allowedGeneration = guard.generation
    connection.allowedFlags = flags
  }
  return verdict
}

/** Whether it was the last that the guard has allowed. */
function isAllowed(
  connection: Connection,
  route: Route,
  generation: number,
  flags: number,
): boolean {
  return (
    connection.allowedRoute === route &&
    connection.allowedGeneration === generation &&
    connection.allowedFlags === flags
  )
}

function decideLater(
  broker: Broker,
  connection: Connection,
  route: Route,
  message: Message,
  ticket: number,
): void {
  broker.forwarder.begin(message)
  const kept = broker.forwarder.keep()
  const packetId = broker.view.packetId
  broker.waitFor(connection, ticket, verdict => {
    if (connection.session === null) return
    if (verdict !== 0) {
      const reasonCode = typeof verdict === 'number' ? verdict : ReasonCode.NOT_AUTHORIZED
      refuse(broker, connection, kept, packetId, reasonCode, 'not-authorized')
    } else if (broker.ports.guard.inspectsMessages) {
      inspect(broker, connection, freshRoute(broker, route), kept, packetId)
    } else accept(broker, connection, freshRoute(broker, route), kept, packetId)
  })
}

function freshRoute(broker: Broker, route: Route): Route {
  return broker.router.find(route.topicBytes, 0, route.topicBytes.length)
}

/** The publish hook sees the message as it came, and may change, discard or refuse it. */
function inspect(
  broker: Broker,
  connection: Connection,
  route: Route,
  message: Message,
  packetId: number,
): void {
  const { identity } = connection
  broker.forwarder.begin(message)
  const kept = broker.forwarder.keep()
  const ticket = broker.newTicket()
  const { topic, payload, qos, retain } = kept
  const properties = propertiesOf(kept)
  const request = { ticket, identity, topic, payload, qos, retain, properties }
  const verdict = broker.ports.guard.inspect(request)
  const settle = (final: unknown): void => {
    if (connection.session === null) return
    settleInspected(broker, connection, freshRoute(broker, route), kept, packetId, final)
  }
  if (verdict === LATER) broker.waitFor(connection, ticket, settle)
  else settle(verdict)
}

function settleInspected(
  broker: Broker,
  connection: Connection,
  route: Route,
  kept: Message,
  packetId: number,
  verdict: unknown,
): void {
  if (verdict === 0) {
    accept(broker, connection, route, kept, packetId)
    return
  }
  if (typeof verdict === 'number') {
    if (verdict !== DISCARD) {
      refuse(broker, connection, kept, packetId, verdict, 'not-authorized')
      return
    }
    broker.lose('discarded-by-hook', kept.publisher, kept.topic, kept.byteLength)
    if (kept.qos === 1)
      broker.sender.acknowledge(connection, PacketType.PUBACK, packetId, 0, NO_BATCH)
    if (kept.qos === 2) acknowledgeReceived(broker, connection, packetId, 0, NO_BATCH)
    return
  }
  // The handshake is that of the QoS that came, whatever the hook made of the message.
  const replacement = { ...(verdict as PublishReplacement), qos: kept.qos }
  const changed = replaced(broker, kept, replacement)
  if (changed !== null) accept(broker, connection, changed.route, changed.message, packetId)
  else {
    const code = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
    refuse(broker, connection, kept, packetId, code, 'not-authorized')
  }
}

/** @returns null when the hook, and not its client, is at fault */
function replaced(
  broker: Broker,
  kept: Message,
  replacement: PublishReplacement,
): { route: Route; message: Message } | null {
  try {
    const wallMs = broker.ports.clock.wallMs()
    const message = ownMessage(replacement, kept.publisher, wallMs)
    return { route: broker.router.findTopic(replacement.topic), message }
  } catch (error) {
    if (!(error instanceof PacketError)) throw error
    broker.ports.guard.unusable(error)
    return null
  }
}

function propertiesOf(kept: Message): Properties {
  const frame = kept.frame
  let bodyStart = 2
  while ((frame[bodyStart - 1] ?? 0) > 127) bodyStart++
  const level = kept.protocolLevel
  const packet = readPacket(frame[0] ?? 0, frame, bodyStart, frame.length, level, 'client')
  return 'properties' in packet ? packet.properties : {}
}

/** Whether every queue that the message would enter has room, where the policy is to refuse. */
export function admits(broker: Broker, route: Route, message: Message): boolean {
  const queues = broker.queues
  const store = broker.ports.store
  if (broker.limits.fullQueue === 'drop-oldest' && !store.full && !queues.nearlyFull) return true
  for (const group of route.groups) {
    if (!broker.groups.admits(group, message.byteLength)) return false
  }
  const receivers = route.receivers
  for (let i = 0; i < receivers.length; i++) {
    const receiver = receivers[i]
    if (receiver === undefined || receiver.qos === 0 || !receiver.session.persistent) continue
    const { byteLength } = message
    const room =
      receiver.slot < 0
        ? queues.admits(receiver.session, byteLength)
        : broker.sleep.admits(receiver.slot, byteLength)
    if (!room) return false
  }
  return true
}
