// What is said in CONNECT, and what is agreed by CONNACK. Data to data, no state.

import {
  type ConnackPacket,
  type ConnectPacket,
  encodeUtf8,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PACKET_ID_MAX,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type QoS,
  type Will,
} from '@godwit/packet'
import type { Prepared } from './attempt.ts'
import { hasSpoken5 } from './fallback.ts'
import { Limits } from './limits.ts'
import { readMessageProperties } from './message-properties.ts'
import { type ConnectOptions, readPayload, type Settings } from './options.ts'
import { sharing } from './same.ts'
import type { SendLimits } from './session.ts'

const RECEIVE_MAXIMUM_DEFAULT = 65_535

const shareProperties = sharing<Properties>()
const shareAgreed = sharing<Agreed>()
const shareLimits = sharing<SendLimits>()

/** What holds for one connection, after the server has had its say. MQTT 5.0 section 3.2.2.3. */
export interface Negotiated {
  readonly protocolVersion: ProtocolLevel
  readonly clientId: string
  readonly sessionPresent: boolean
  readonly keepAliveSeconds: number
  readonly sessionExpirySeconds: number
  /** Unacknowledged QoS 1 and 2 messages that this client may send. */
  readonly receiveMaximum: number
  readonly maximumQoS: QoS
  readonly retainAvailable: boolean
  readonly packetBytesMax: number
  readonly topicAliasMaximum: number
  readonly wildcardSubscriptions: boolean
  readonly sharedSubscriptions: boolean
  readonly subscriptionIdentifiers: boolean
  /** Where to ask for answers, empty when the server does not say. */
  readonly responseInformation: string
  readonly serverReference: string
  /** The server's CONNACK properties as they came. */
  readonly properties: Properties
}

/** The same without what is each client's own. */
export type Agreed = Omit<Negotiated, 'clientId'>

/** Whose CONNECT it is. */
export interface Connecting {
  readonly settings: Settings
  readonly given: ConnectOptions
  readonly level: ProtocolLevel
  readonly clientId: string
  readonly cleanStart: boolean
}

export function connectPacket(client: Connecting, prepared: Prepared): ConnectPacket {
  const { settings, given, level, clientId, cleanStart } = client
  const { username, password } = prepared.credentials
  return {
    type: PacketType.CONNECT,
    protocolLevel: level,
    cleanStart,
    keepAliveSeconds: settings.keepAliveSeconds,
    clientId,
    will: willOf(given),
    username: username ?? null,
    password: typeof password === 'string' ? encodeUtf8(password) : (password ?? null),
    bridge: false,
    properties: level === 5 ? connectProperties(client, prepared) : NO_PROPERTIES,
  }
}

function connectProperties(client: Connecting, { authenticationData }: Prepared): Properties {
  const { sessionExpirySeconds, topicAliasMaximum, receiveMaximum, packetBytesMax } =
    client.settings
  const { authenticator, userProperties, problemInformation, responseInformation } = client.given
  return {
    receiveMaximum,
    maximumPacketSize: packetBytesMax,
    ...(responseInformation !== false && { requestResponseInformation: 1 }),
    ...(problemInformation === false && { requestProblemInformation: 0 }),
    ...(sessionExpirySeconds > 0 && { sessionExpiryInterval: sessionExpirySeconds }),
    ...(topicAliasMaximum > 0 && { topicAliasMaximum }),
    ...(userProperties && { userProperties }),
    ...(authenticator && { authenticationMethod: authenticator.method }),
    ...(authenticationData && { authenticationData }),
  }
}

function willOf({ will }: ConnectOptions): Will | null {
  if (will === undefined) return null
  const payload = readPayload(will.payload)
  const own = readMessageProperties(will) ?? NO_PROPERTIES
  const { delaySeconds } = will
  return {
    topic: will.topic,
    payload: typeof payload === 'string' ? encodeUtf8(payload) : payload,
    qos: will.qos ?? 0,
    retain: will.retain ?? false,
    properties: delaySeconds === undefined ? own : { ...own, willDelayInterval: delaySeconds },
  }
}

/** What holds after this CONNACK. What the server leaves out has the standard's default. */
export function negotiate(
  settings: Settings,
  level: ProtocolLevel,
  connack: ConnackPacket,
): Agreed {
  const properties = shareProperties(connack.properties)
  return shareAgreed({
    protocolVersion: level,
    sessionPresent: connack.sessionPresent,
    keepAliveSeconds: properties.serverKeepAlive ?? settings.keepAliveSeconds, // [MQTT-3.1.2-21]
    sessionExpirySeconds: properties.sessionExpiryInterval ?? settings.sessionExpirySeconds,
    receiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM_DEFAULT,
    maximumQoS: (properties.maximumQoS ?? 2) as QoS,
    retainAvailable: properties.retainAvailable !== 0,
    packetBytesMax: properties.maximumPacketSize ?? PACKET_BYTES_MAX,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0, // [MQTT-3.2.2-18]
    wildcardSubscriptions: properties.wildcardSubscriptionAvailable !== 0,
    sharedSubscriptions: level === 5 && properties.sharedSubscriptionAvailable !== 0,
    subscriptionIdentifiers: level === 5 && properties.subscriptionIdentifierAvailable !== 0,
    responseInformation: properties.responseInformation ?? '',
    serverReference: properties.serverReference ?? '',
    properties,
  })
}

/** The same as the session wants it. */
export function sendLimits(settings: Settings, negotiated: Agreed, canPause: boolean): SendLimits {
  const unannounced = canPause ? PACKET_ID_MAX : Limits.unannouncedMessages
  return shareLimits({
    level: negotiated.protocolVersion,
    receiveMaximum: Math.min(settings.inflightMax, negotiated.receiveMaximum), // [MQTT-4.9.0-1]
    packetBytesMax: negotiated.packetBytesMax,
    incomingMax: negotiated.protocolVersion === 5 ? settings.receiveMaximum : unannounced,
    maximumQoS: negotiated.maximumQoS,
    retainAvailable: negotiated.retainAvailable,
    topicAliasMaximum: settings.topicAliases ? negotiated.topicAliasMaximum : 0,
    wildcards: negotiated.wildcardSubscriptions,
    // Before MQTT 5.0 some servers know them all the same.
    shared: negotiated.sharedSubscriptions || negotiated.protocolVersion < 5,
    identifiers: negotiated.subscriptionIdentifiers,
  })
}

/**
 * Whether the server should have a session: it has promised to keep it, or was asked for one of
 * before. @param before what the connection before has agreed on
 */
export function expectsSession(
  level: ProtocolLevel,
  before: Agreed | null,
  cleanStart: boolean,
): boolean {
  return level === 5 && hasSpoken5(before) ? before.sessionExpirySeconds > 0 : !cleanStart
}
