// CONNECT: who the client is, whether it may come in, which session it gets, and CONNACK.
// MQTT 5.0 sections 3.1, 3.2 and 4.12.

import {
  type ConnackPacket,
  type ConnectPacket,
  isReasonCode,
  NO_PROPERTIES,
  type PacketError,
  PacketType,
  ReasonCode,
  ReturnCode,
  utf8ByteLength,
} from '@godwit/packet'
import type { Broker } from '../broker.ts'
import { withSessionPresent } from '../connacks.ts'
import { type Connection, ConnectionState, WATCH_AFTER_MS } from '../connection.ts'
import { explained } from '../explained.ts'
import { ownMessage } from '../keep.ts'
import { type AuthenticationVerdict, LATER } from '../ports.ts'
import { NO_BATCH } from '../sender.ts'
import type { Session } from '../session.ts'
import { isOfServer } from '../sys-topics.ts'
import type { PendingWill } from '../wills.ts'
import { sendAuth } from './auth-packet.ts'

const ASSIGNED_ID_LENGTH = 22
const KEEP_ALIVE_FACTOR = 1.5
const UNLIMITED_BYTES = 0xffff_ffff
/** A client that may be silent for longer is looked after by the system as well. */
const LONG_SILENCE_MS = 600_000
const WELCOME: AuthenticationVerdict = { reasonCode: 0 }

export function handleConnect(broker: Broker, connection: Connection, packet: ConnectPacket): void {
  connection.protocolLevel = packet.protocolLevel
  connection.level5 = packet.protocolLevel === 5
  connection.state = ConnectionState.AUTHENTICATING
  const { decoder } = connection
  connection.connectBytes = decoder.end - decoder.start + decoder.unreadBytes
  connection.arrival = broker.newTicket()
  connection.problemInformation = packet.properties.requestProblemInformation !== 0
  connection.sendBytesMax = packet.properties.maximumPacketSize ?? UNLIMITED_BYTES
  const clientId = packet.clientId === '' ? freeClientId(broker) : packet.clientId
  connection.identify(clientId, packet.username)
  const refusal = checkConnect(broker, packet)
  if (refusal !== null) {
    refuseConnect(broker, connection, refusal.reasonCode, refusal.text)
    return
  }
  authenticate(broker, connection, packet)
  // The compiler does not see that this may have changed it.
  const state: number = connection.state
  if (state === ConnectionState.AUTHENTICATING) broker.takeovers.asked(connection)
}

function authenticate(broker: Broker, connection: Connection, packet: ConnectPacket): void {
  const { clientId } = connection
  const { guard } = broker.ports
  if (!guard.authenticates) {
    settleConnect(broker, connection, packet, WELCOME)
    return
  }
  const ticket = broker.newTicket()
  connection.ticket = ticket
  connection.authenticationMethod = packet.properties.authenticationMethod ?? null
  const { protocolLevel, cleanStart, username, password, will, properties } = packet
  const verdict = guard.authenticate({
    ticket,
    origin: connection.wire.origin,
    clientId,
    protocolLevel,
    cleanStart,
    username,
    password,
    will,
    properties,
  })
  if (verdict === null) {
    broker.waitFor(connection, ticket, final => {
      settleConnect(broker, connection, packet, final as AuthenticationVerdict)
    })
  } else settleConnect(broker, connection, packet, verdict)
}

/** An id that nobody has [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]. */
function freeClientId(broker: Broker): string {
  let clientId: string
  const prefix = broker.options.assignedClientIdPrefix
  do clientId = prefix + broker.ports.random.text(ASSIGNED_ID_LENGTH)
  while (broker.sessions.byClientId.has(clientId) || broker.sleep.sleepers.find(clientId) >= 0)
  return clientId
}

/** What the server itself has against a CONNECT. */
function checkConnect(
  broker: Broker,
  packet: ConnectPacket,
): { reasonCode: number; text: string } | null {
  const { limits } = broker
  if (broker.refusing !== 0) {
    return { reasonCode: broker.refusing, text: 'the server takes no connections now' }
  }
  if (packet.clientId === '' && !broker.options.allowEmptyClientId) {
    const text = 'the client id is empty, clients have to have one'
    return { reasonCode: ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, text } // [MQTT-3.1.3-8]
  }
  // A UTF-16 unit takes at most three bytes, so most ids need no counting.
  const isLong = packet.clientId.length * 3 > limits.clientIdBytesMax
  const idBytes = isLong ? utf8ByteLength(packet.clientId) : 0
  if (idBytes > limits.clientIdBytesMax) {
    const text = `the client id has ${idBytes} bytes, the limit is ${limits.clientIdBytesMax}`
    return { reasonCode: ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, text } // [MQTT-3.1.3-8]
  }
  const nameBytes = packet.username === null ? 0 : utf8ByteLength(packet.username)
  if (nameBytes > limits.usernameBytesMax) {
    const text = `the user name has ${nameBytes} bytes, the limit is ${limits.usernameBytesMax}`
    return { reasonCode: ReasonCode.BAD_USER_NAME_OR_PASSWORD, text }
  }
  const method = packet.properties.authenticationMethod
  if (method !== undefined && !broker.ports.guard.authenticationMethods.includes(method)) {
    const text = `unknown authentication method ${method}`
    return { reasonCode: ReasonCode.BAD_AUTHENTICATION_METHOD, text } // [MQTT-4.12.0-1]
  }
  const { will } = packet
  if (will !== null && will.qos > limits.maximumQoS) {
    const text = `the will has QoS ${will.qos}, the maximum is ${limits.maximumQoS}`
    return { reasonCode: ReasonCode.QOS_NOT_SUPPORTED, text } // [MQTT-3.2.2-12]
  }
  if (will?.retain && !limits.retainAvailable) {
    const text = 'the will is retained, retained messages are not supported'
    return { reasonCode: ReasonCode.RETAIN_NOT_SUPPORTED, text } // [MQTT-3.2.2-13]
  }
  if (will !== null && isOfServer(will.topic)) {
    return { reasonCode: ReasonCode.NOT_AUTHORIZED, text: 'the will is for a topic of the server' }
  }
  const pairs =
    (packet.properties.userProperties?.length ?? 0) + (will?.properties.userProperties?.length ?? 0)
  if (pairs > limits.userPropertiesMax) {
    const text = `${pairs} user properties, the limit is ${limits.userPropertiesMax}`
    return { reasonCode: ReasonCode.QUOTA_EXCEEDED, text }
  }
  return null
}

/** The guard has decided: let in, refuse, or go on with AUTH. */
export function settleConnect(
  broker: Broker,
  connection: Connection,
  packet: ConnectPacket,
  verdict: AuthenticationVerdict,
): void {
  if (connection.state !== ConnectionState.AUTHENTICATING) return
  if (verdict.reasonCode >= 0x80) {
    broker.counters.authenticationFailures++
    const { reasonCode, reasonString, serverReference } = verdict
    const text = reasonString ?? 'the guard refused the client'
    refuseConnect(broker, connection, reasonCode, text, serverReference ?? null)
    return
  }
  if (verdict.reasonCode === ReasonCode.CONTINUE_AUTHENTICATION) {
    waitOnceMore(broker, connection)
    connection.resumeConnect = packet
    sendAuth(broker, connection, ReasonCode.CONTINUE_AUTHENTICATION, verdict) // [MQTT-4.12.0-2]
    return
  }
  connection.resumeConnect = null
  if (verdict.username !== undefined) {
    connection.identify(connection.clientId, verdict.username)
  }
  judgeWill(broker, connection, packet, verdict)
}

/** A will is a message: who may not publish it may not leave it behind either. */
function judgeWill(
  broker: Broker,
  connection: Connection,
  packet: ConnectPacket,
  verdict: AuthenticationVerdict,
): void {
  const { will } = packet
  const { guard } = broker.ports
  if (will === null || !guard.checksPermissions) {
    accept(broker, connection, packet, verdict)
    return
  }
  const ticket = broker.newTicket()
  const settle = (final: unknown): void => {
    if (connection.state !== ConnectionState.AUTHENTICATING) return
    if (final === 0) {
      accept(broker, connection, packet, verdict)
      return
    }
    const code = typeof final === 'number' ? final : ReasonCode.NOT_AUTHORIZED
    refuseConnect(broker, connection, code, `the will for ${will.topic} is not allowed`)
  }
  const { identity } = connection
  const code = guard.mayPublish(identity, will.topic, will.qos, will.retain, ticket)
  if (code !== LATER) {
    settle(code)
    return
  }
  waitOnceMore(broker, connection)
  broker.waitFor(connection, ticket, settle)
}

/** Another step of letting it in begins: it has its time anew. */
function waitOnceMore(broker: Broker, connection: Connection): void {
  broker.wheel.set(connection.timer, broker.nowMs + broker.limits.connectTimeoutMs)
}

function accept(
  broker: Broker,
  connection: Connection,
  packet: ConnectPacket,
  verdict: AuthenticationVerdict,
): void {
  const clientId = connection.clientId
  const will = willOf(broker, connection, packet)
  if (packet.clientId !== '' && isFlapping(broker, connection, clientId)) return
  const expirySeconds = expirySecondsOf(broker, packet)
  const grows = expirySeconds > 0 && broker.ports.store.full
  if (grows && !isContinued(broker, packet, clientId)) {
    const text = 'the disk is full: no session can be kept'
    refuseConnect(broker, connection, ReasonCode.QUOTA_EXCEEDED, text)
    return
  }
  negotiate(broker, connection, packet)
  const connack = broker.connacks.bytesFor(connection, packet, expirySeconds, verdict)
  const { length } = connack
  if (length > connection.sendBytesMax) {
    const text = `CONNACK has ${length} bytes, the client takes ${connection.sendBytesMax}`
    refuseConnect(broker, connection, ReasonCode.PACKET_TOO_LARGE, text) // [MQTT-3.1.2-24]
    return
  }
  // The last that may be refused: what follows may wait, and end the client's old connection.
  if (will !== null && !broker.wills.reserve(connection, will)) {
    const sizes = `${will.message.byteLength} bytes of ${broker.limits.willBytesMax} for all wills`
    const text = `the will does not fit: ${sizes}, which have ${broker.wills.byteCount}`
    refuseConnect(broker, connection, ReasonCode.QUOTA_EXCEEDED, text)
    return
  }
  enter(broker, connection, packet, { will, expirySeconds, connack, isStored: false })
}

/**
 * Waits for what comes first: that an earlier connection's packets are handled, that the session is
 * awake. After each wait all may be otherwise.
 */
function enter(broker: Broker, connection: Connection, packet: ConnectPacket, terms: Terms): void {
  if (connection.state !== ConnectionState.AUTHENTICATING) return
  const { sessions, sleep, takeovers } = broker
  const { clientId } = connection
  const other = sessions.byClientId.get(clientId)?.connection ?? null
  if (other !== null && takeovers.holdsUp(other, connection, packet.cleanStart)) {
    broker.waitFor(connection, broker.newTicket(), () => {
      watchSilence(broker, connection)
      enter(broker, connection, packet, terms)
    })
    return
  }
  const slot = sleep.sleepers.find(clientId)
  if (slot >= 0) terms.isStored = true
  if (slot < 0 || !sleep.holdsUp(connection, slot, packet.cleanStart)) {
    admit(broker, connection, packet, terms)
    return
  }
  broker.waitFor(connection, broker.newTicket(), () => enter(broker, connection, packet, terms))
}

/** A session that ends with its connection ends now if there is one: it is taken over. */
function isContinued(broker: Broker, packet: ConnectPacket, clientId: string): boolean {
  if (packet.cleanStart) return false
  const known = broker.sessions.byClientId.get(clientId) ?? null
  return known === null ? broker.sleep.continues(clientId) : known.persistent
}

interface Terms {
  readonly will: PendingWill | null
  readonly expirySeconds: number
  /** As if no session were present; whether there is one is known later. */
  readonly connack: Uint8Array
  /** CONNACK tells of a session that was in the store: that must be true after a crash as well. */
  isStored: boolean
}

/** The session of the client is awake, or there is none: the connection takes it. */
function admit(broker: Broker, connection: Connection, packet: ConnectPacket, terms: Terms): void {
  const { will, expirySeconds } = terms
  const { sessions, counters, ports } = broker
  const clientId = connection.clientId
  broker.takeovers.admitted(connection)
  const sessionPresent = isContinued(broker, packet, clientId) // [MQTT-3.2.2-2]
  const connack = sessionPresent ? withSessionPresent(terms.connack, connection) : terms.connack
  let session = sessions.byClientId.get(clientId) ?? null
  if (session !== null && session.connection !== null) {
    takeOver(broker, session, session.connection)
    // One that was not kept has ended with its connection.
    if (session.ended) session = null
  }
  let isStored = terms.isStored
  if (session !== null && packet.cleanStart) {
    // CONNACK tells that it is gone: that must be true after a crash as well.
    isStored = session.storedId !== 0
    sessions.end(session) // [MQTT-3.1.2-4]
    session = null
  }
  if (session === null && !hasRoomForSession(broker)) {
    refuseConnect(broker, connection, ReasonCode.QUOTA_EXCEEDED, 'too many sessions')
    return
  }
  if (session === null)
    session = sessions.create(clientId) // [MQTT-3.1.2-6] [MQTT-3.2.2-3]
  else sessions.attach(session) // [MQTT-3.1.2-5]
  connection.state = ConnectionState.OPEN
  connection.connectBytes = 0
  connection.sessionPresent = sessionPresent
  connection.session = session
  session.connection = connection
  if (session.received !== null && session.received.size > 0) {
    connection.carried = session.received.copy()
  }
  session.protocolLevel = packet.protocolLevel
  sessions.setExpiry(session, expirySeconds)
  sessions.setWill(session, will)
  broker.wills.handOver(connection)
  counters.clientsConnected++
  counters.clientsMaximum = Math.max(counters.clientsMaximum, counters.clientsConnected)
  if (session.storedId !== 0) isStored = true
  // An earlier connection may have ended the session, and gone before that was durable.
  const removed = sessionPresent ? NO_BATCH : sessions.removedIn
  const batch = isStored && ports.store.dirty ? ports.store.openBatch : removed
  // When its batch is durable everything else may follow.
  broker.sender.packet(connection, connack, batch)
  if (batch <= broker.sender.durableBatch) broker.becomeReady(connection)
  if (ports.trace.clients) ports.trace.connected(broker.viewOf(connection))
}

/** Names a client that comes again and again. @returns true when it was refused for that */
function isFlapping(broker: Broker, connection: Connection, clientId: string): boolean {
  const { flapping, nowMs, ports } = broker
  const seconds = flapping.banSecondsLeft(clientId, nowMs)
  if (seconds > 0) {
    const text = `the client connected too often: it may come again in ${seconds} s`
    refuseConnect(broker, connection, ReasonCode.CONNECTION_RATE_EXCEEDED, text)
    return true
  }
  const found = flapping.connected(clientId, connection.wire, nowMs)
  if (found !== null) ports.trace.flapping(found)
  return false
}

/** A second connection of the same client ends the first [MQTT-3.1.4-3] [MQTT-3.1.4-2 v3]. */
function takeOver(broker: Broker, session: Session, other: Connection): void {
  session.takenOver = true
  broker.counters.takeovers++
  const from = other.wire.origin.remoteAddress
  broker.close(other, ReasonCode.SESSION_TAKEN_OVER, `taken over; this one came from ${from}`)
}

/** Of two connections of one client the one whose CONNECT came first makes way, always. */
export function giveWay(broker: Broker, first: Connection, second: Connection): void {
  broker.counters.takeovers++
  broker.endConnection(first)
  const text = `taken over; the other one came from ${second.wire.origin.remoteAddress}`
  const { clientId, username } = first
  broker.ports.trace.refused(first.wire.origin, clientId, username, 0, text)
}

function hasRoomForSession(broker: Broker): boolean {
  return broker.sessions.count < broker.limits.sessionsMax
}

function expirySecondsOf(broker: Broker, packet: ConnectPacket): number {
  const { limits } = broker
  const legacySeconds = packet.cleanStart ? 0 : limits.legacySessionExpirySeconds
  const asked = packet.properties.sessionExpiryInterval ?? 0
  const seconds = packet.protocolLevel === 5 ? asked : legacySeconds
  return Math.min(seconds, limits.sessionExpirySecondsMax)
}

function willOf(broker: Broker, connection: Connection, packet: ConnectPacket): PendingWill | null {
  const { will } = packet
  if (will === null) return null
  const { willDelayInterval, messageExpiryInterval, ...properties } = will.properties
  const { topic, payload, qos, retain } = will
  const publisher = connection.clientId
  broker.router.findTopic(topic)
  const message = ownMessage({ topic, payload, qos, retain, properties }, publisher, 0)
  const delaySeconds = Math.min(willDelayInterval ?? 0, broker.limits.willDelaySecondsMax)
  const expirySeconds = messageExpiryInterval ?? -1
  const { identity } = connection
  return { message, delaySeconds, expirySeconds, identity, timer: null }
}

function negotiate(broker: Broker, connection: Connection, packet: ConnectPacket): void {
  const { limits } = broker
  const { receiveMaximum, topicAliasMaximum } = packet.properties
  connection.sendMaximum = Math.min(receiveMaximum ?? 65_535, limits.inflightMax)
  connection.sendAliasMax = Math.min(topicAliasMaximum ?? 0, limits.outgoingTopicAliasMax)
  connection.plain = connection.sendAliasMax === 0
  connection.decoder.packetBytesMax = limits.packetBytesMax
  const wanted = packet.keepAliveSeconds
  const most = limits.keepAliveSecondsMax
  // Before MQTT 5.0 the server cannot tell the client another value.
  const cut = most > 0 && connection.level5 && (wanted === 0 || wanted > most)
  connection.keepAliveSeconds = cut ? most : wanted
  connection.keepAliveMs = connection.keepAliveSeconds * KEEP_ALIVE_FACTOR * 1000
  const { keepAliveMs } = connection
  connection.unwatched = keepAliveMs === 0 || keepAliveMs > LONG_SILENCE_MS
  watchSilence(broker, connection)
}

function watchSilence(broker: Broker, connection: Connection): void {
  const { keepAliveMs } = connection
  broker.wheel.set(
    connection.timer,
    broker.nowMs + (connection.unwatched ? WATCH_AFTER_MS : keepAliveMs),
  )
}

/** CONNACK with a failure, then the end [MQTT-3.1.4-2] [MQTT-3.2.2-6] [MQTT-3.2.2-7]. */
export function refuseConnect(
  broker: Broker,
  connection: Connection,
  reasonCode: number,
  text: string,
  serverReference: string | null = null,
): void {
  const { clientId, username } = connection
  broker.counters.refused(reasonCode)
  broker.ports.trace.refused(connection.wire.origin, clientId, username, reasonCode, text)
  // A client that has not said CONNECT is told nothing.
  if (connection.state === ConnectionState.AUTHENTICATING) {
    const level = connection.protocolLevel
    const code = level === 5 ? connackCodeOf(reasonCode) : returnCodeOf(reasonCode)
    const type = PacketType.CONNACK
    const bare: ConnackPacket = {
      type,
      sessionPresent: false,
      reasonCode: code,
      properties: NO_PROPERTIES,
    }
    // [MQTT-3.2.2-19]
    const bytes = explained(bare, connection, text, serverReference)
    if (code !== 0 && bytes !== null) broker.sender.writePacket(connection, bytes)
  }
  broker.endConnection(connection)
}

/** Bytes that are no CONNECT: an answer only where the protocol level could be read. */
export function refuseUnreadable(broker: Broker, connection: Connection, error: PacketError): void {
  const { first, bytes, bodyStart, end } = connection.decoder
  const nameLength = bytes[bodyStart + 1] ?? 0
  const level = (bytes[bodyStart + 2 + nameLength] ?? 0) & 0x7f
  const isConnect = first >> 4 === PacketType.CONNECT && bodyStart + 3 + nameLength <= end
  if (isConnect) {
    connection.level5 = level >= 5
    connection.protocolLevel = connection.level5 ? 5 : 4
    connection.sendBytesMax = UNLIMITED_BYTES
    connection.state = ConnectionState.AUTHENTICATING
  }
  refuseConnect(broker, connection, error.reasonCode, error.message)
}

/** What CONNACK may say; the other codes are for DISCONNECT only [MQTT-3.2.2-8]. */
function connackCodeOf(reasonCode: number): number {
  if (isReasonCode(PacketType.CONNACK, reasonCode, 5)) return reasonCode
  return reasonCode === ReasonCode.SERVER_SHUTTING_DOWN
    ? ReasonCode.SERVER_UNAVAILABLE
    : ReasonCode.UNSPECIFIED_ERROR
}

/** MQTT 3.1.1 section 3.2.2.3; 0: there is no such code, the connection is closed without. */
function returnCodeOf(reasonCode: number): number {
  switch (reasonCode) {
    case ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
      return ReturnCode.UNACCEPTABLE_PROTOCOL_VERSION // [MQTT-3.1.2-2 v3]
    case ReasonCode.CLIENT_IDENTIFIER_NOT_VALID:
      return ReturnCode.IDENTIFIER_REJECTED // [MQTT-3.1.3-9 v3]
    case ReasonCode.BAD_USER_NAME_OR_PASSWORD:
      return ReturnCode.BAD_USER_NAME_OR_PASSWORD
    case ReasonCode.NOT_AUTHORIZED:
    case ReasonCode.BANNED:
    case ReasonCode.BAD_AUTHENTICATION_METHOD:
      return ReturnCode.NOT_AUTHORIZED
    case ReasonCode.SERVER_UNAVAILABLE:
    case ReasonCode.SERVER_BUSY:
    case ReasonCode.SERVER_SHUTTING_DOWN:
    case ReasonCode.QUOTA_EXCEEDED:
    case ReasonCode.USE_ANOTHER_SERVER:
    case ReasonCode.SERVER_MOVED:
    case ReasonCode.CONNECTION_RATE_EXCEEDED:
      return ReturnCode.SERVER_UNAVAILABLE
    default:
      return 0
  }
}
