// Packets as plain objects. Shapes only, no behaviour.
// All fields are always there; `null` means that the packet has no such field.

import type { PacketType, ProtocolLevel, QoS } from './constants.ts'

/** A name and a value; the order of pairs and repeated names are kept. */
export type UserProperty = readonly [name: string, value: string]

/** Every property of MQTT 5.0 section 2.2.2; which ones a packet may have is in `properties.ts`. */
export interface Properties {
  readonly payloadFormatIndicator?: number
  readonly messageExpiryInterval?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  /** In PUBLISH from a server there may be several, in SUBSCRIBE one. */
  readonly subscriptionIdentifiers?: readonly number[]
  readonly sessionExpiryInterval?: number
  readonly assignedClientIdentifier?: string
  readonly serverKeepAlive?: number
  readonly authenticationMethod?: string
  readonly authenticationData?: Uint8Array
  readonly requestProblemInformation?: number
  readonly willDelayInterval?: number
  readonly requestResponseInformation?: number
  readonly responseInformation?: string
  readonly serverReference?: string
  readonly reasonString?: string
  readonly receiveMaximum?: number
  readonly topicAliasMaximum?: number
  readonly topicAlias?: number
  readonly maximumQoS?: number
  readonly retainAvailable?: number
  readonly userProperties?: readonly UserProperty[]
  readonly maximumPacketSize?: number
  readonly wildcardSubscriptionAvailable?: number
  readonly subscriptionIdentifierAvailable?: number
  readonly sharedSubscriptionAvailable?: number
}

/** The properties of a packet that has none; also those of every packet before MQTT 5.0. */
export const NO_PROPERTIES: Properties = Object.freeze({})

export interface Will {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

export interface ConnectPacket {
  readonly type: typeof PacketType.CONNECT
  readonly protocolLevel: ProtocolLevel
  /** Clean Start in MQTT 5.0, Clean Session before. */
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  readonly clientId: string
  readonly will: Will | null
  readonly username: string | null
  readonly password: Uint8Array | null
  /** A bridge (mosquitto's level 0x83 or 0x84): the high bit of the protocol level was set. */
  readonly bridge: boolean
  readonly properties: Properties
}

export interface ConnackPacket {
  readonly type: typeof PacketType.CONNACK
  readonly sessionPresent: boolean
  /** A reason code in MQTT 5.0, a return code before. */
  readonly reasonCode: number
  readonly properties: Properties
}

export interface PublishPacket {
  readonly type: typeof PacketType.PUBLISH
  /** Empty when a topic alias stands for it. */
  readonly topic: string
  /** A view on the input when decoded: copy it if it must outlive the chunk. */
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly dup: boolean
  /** 0 when QoS is 0. */
  readonly packetId: number
  readonly properties: Properties
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export interface AckPacket {
  readonly type:
    | typeof PacketType.PUBACK
    | typeof PacketType.PUBREC
    | typeof PacketType.PUBREL
    | typeof PacketType.PUBCOMP
  readonly packetId: number
  readonly reasonCode: number
  readonly properties: Properties
}

export interface SubscriptionRequest {
  readonly filter: string
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0 send retained, 1 send them if the subscription is new, 2 send none. */
  readonly retainHandling: 0 | 1 | 2
}

export interface SubscribePacket {
  readonly type: typeof PacketType.SUBSCRIBE
  readonly packetId: number
  readonly subscriptions: readonly SubscriptionRequest[]
  readonly properties: Properties
}

export interface SubackPacket {
  readonly type: typeof PacketType.SUBACK
  readonly packetId: number
  readonly reasonCodes: readonly number[]
  readonly properties: Properties
}

export interface UnsubscribePacket {
  readonly type: typeof PacketType.UNSUBSCRIBE
  readonly packetId: number
  readonly filters: readonly string[]
  readonly properties: Properties
}

export interface UnsubackPacket {
  readonly type: typeof PacketType.UNSUBACK
  readonly packetId: number
  /** Empty before MQTT 5.0. */
  readonly reasonCodes: readonly number[]
  readonly properties: Properties
}

export interface PingPacket {
  readonly type: typeof PacketType.PINGREQ | typeof PacketType.PINGRESP
}

export interface DisconnectPacket {
  readonly type: typeof PacketType.DISCONNECT
  readonly reasonCode: number
  readonly properties: Properties
}

export interface AuthPacket {
  readonly type: typeof PacketType.AUTH
  readonly reasonCode: number
  readonly properties: Properties
}

/** Any control packet, told apart by `type`. */
export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingPacket
  | DisconnectPacket
  | AuthPacket

type EitherSidesPacket = PublishPacket | AckPacket | PingPacket | DisconnectPacket | AuthPacket

/** What a client sends. */
export type ClientPacket = ConnectPacket | SubscribePacket | UnsubscribePacket | EitherSidesPacket

/** What a server sends. */
export type ServerPacket = ConnackPacket | SubackPacket | UnsubackPacket | EitherSidesPacket
