// Short ways to say what tests of MQTT 5.0 say again and again.

import assert from 'node:assert/strict'
import {
  type ConnackPacket,
  type ConnectPacket,
  type DisconnectPacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type PublishPacket,
  type SubscriptionRequest,
  type Will,
} from '@godwit/packet'
import { field, frame, only } from './bytes.ts'
import type { TestClient, World } from './harness.ts'

type Part = number | readonly number[]

/** A client whose session is kept for an hour, and resumed if there is one. */
export function connectKept(
  world: World,
  clientId: string,
  properties: Properties = {},
  options: Partial<ConnectPacket> = {},
): TestClient {
  const all = { sessionExpiryInterval: 3600, ...properties }
  return world.connect({ clientId, cleanStart: false, properties: all, ...options })
}

/** A client that receives whatever is published to the filter, at QoS 0. */
export function watch(world: World, filter: string, clientId = 'watcher'): TestClient {
  const watcher = world.connect({ clientId })
  only(watcher.subscribe(filter), PacketType.SUBACK)
  return watcher
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
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

/** CONNECT by hand; `properties` without their length, what follows the client id is free. */
export function connectFrame5(
  flags: number,
  properties: readonly number[] = [],
  clientId: string | readonly number[] = 'raw',
  ...rest: readonly Part[]
): Uint8Array {
  const head = [field('MQTT'), 5, flags, [0, 0], properties.length, properties]
  return frame(0x10, ...head, field(clientId), ...rest)
}

/** The server answers with DISCONNECT of this reason, and nothing else, and ends the connection. */
export function assertDisconnects(
  client: TestClient,
  sent: Packet | Uint8Array,
  reasonCode: number,
): DisconnectPacket {
  const disconnect = only(client.ask(sent), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, reasonCode)
  assert.equal(client.ended, true)
  return disconnect
}

/** The server answers with CONNACK of this reason, and nothing else, and ends the connection. */
export function assertConnack(
  client: TestClient,
  sent: Packet | Uint8Array,
  reasonCode: number,
): ConnackPacket {
  const connack = only(client.ask(sent), PacketType.CONNACK)
  assert.equal(connack.reasonCode, reasonCode)
  assert.equal(connack.sessionPresent, false)
  assert.equal(client.ended, true)
  return connack
}

export function typesOf(packets: readonly Packet[]): number[] {
  return packets.map(packet => packet.type)
}

export function subscribePacket(
  packetId: number,
  filters: readonly (string | Partial<SubscriptionRequest>)[],
  properties: Properties = NO_PROPERTIES,
): Packet {
  const subscriptions = filters.map(filter => ({
    filter: '',
    qos: 0 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
    ...(typeof filter === 'string' ? { filter } : filter),
  }))
  return { type: PacketType.SUBSCRIBE, packetId, subscriptions, properties }
}

export function unsubscribePacket(packetId: number, filters: readonly string[]): Packet {
  return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES }
}

export function disconnectPacket(
  reasonCode: number,
  properties: Properties = NO_PROPERTIES,
): Packet {
  return { type: PacketType.DISCONNECT, reasonCode, properties }
}

export function publishPacket(
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
    packetId: 0,
    properties: NO_PROPERTIES,
    ...options,
  }
}
