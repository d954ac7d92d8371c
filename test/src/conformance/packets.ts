// Well-formed packets with the defaults that cases share.

import {
  type AckPacket,
  type ConnectPacket,
  type DisconnectPacket,
  NO_PROPERTIES,
  PacketType,
  type Properties,
  type PublishPacket,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubscribePacket,
  type Will,
} from '@godwit/packet'
import { utf8 } from './bytes.ts'

export type Request = string | Partial<SubscriptionRequest>

export function publish(
  topic: string,
  payload: string,
  options: Partial<PublishPacket> = {},
): PublishPacket {
  return {
    type: PacketType.PUBLISH,
    topic,
    payload: utf8(payload),
    qos: 0,
    retain: false,
    dup: false,
    packetId: (options.qos ?? 0) > 0 ? 1 : 0,
    properties: NO_PROPERTIES,
    ...options,
  }
}

export function subscribe(
  packetId: number,
  requests: readonly Request[],
  properties: Properties = NO_PROPERTIES,
): SubscribePacket {
  const subscriptions = requests.map(request => ({
    filter: '',
    qos: 0 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
    ...(typeof request === 'string' ? { filter: request } : request),
  }))
  return { type: PacketType.SUBSCRIBE, packetId, subscriptions, properties }
}

export function unsubscribe(packetId: number, filters: readonly string[]): UnsubscribePacket {
  return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES }
}

export function ack(type: AckPacket['type'], packetId: number, reasonCode = 0): AckPacket {
  return { type, packetId, reasonCode, properties: NO_PROPERTIES }
}

export function disconnect(
  reasonCode = 0,
  properties: Properties = NO_PROPERTIES,
): DisconnectPacket {
  return { type: PacketType.DISCONNECT, reasonCode, properties }
}

export function willOf(topic: string, payload: string, options: Partial<Will> = {}): Will {
  return {
    topic,
    payload: utf8(payload),
    qos: 0,
    retain: false,
    properties: NO_PROPERTIES,
    ...options,
  }
}

export type ConnectOptions = Partial<Omit<ConnectPacket, 'type'>>
