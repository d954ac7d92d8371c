// A client that has subscribed, for tests of what comes then.

import assert from 'node:assert/strict'
import { PacketType, type SubscribePacket } from '@godwit/packet'
import type { Client } from '../client.ts'
import type { ClientEvent } from '../events.ts'
import type { Message } from '../message.ts'
import type { ConnectOptions } from '../options.ts'
import type { Subscription } from '../subscription.ts'
import type { SubscribeOptions } from '../subscriptions.ts'
import { World } from './world.ts'

export const Persistent: ConnectOptions = { clientId: 'a', sessionExpirySeconds: 100 }

export interface Subscribed {
  readonly world: World
  readonly client: Client
  readonly subscription: Subscription
}

export async function subscribed(
  filter: string,
  options: SubscribeOptions = {},
  connect: ConnectOptions = {},
): Promise<Subscribed> {
  const world = new World()
  const client = await world.connected(connect)
  const subscription: Subscription = client.subscribe<string>(filter, options)
  await world.settle()
  const [packet] = world.peer.take()
  assert.equal(packet?.type, PacketType.SUBSCRIBE)
  world.peer.suback((packet as SubscribePacket).packetId, options.qos ?? 1)
  return { world, client, subscription }
}

export async function take(subscription: Subscription): Promise<Message> {
  const { value, done } = await subscription.next()
  assert.ok(done !== true)
  return value
}

export function collect(client: Client): ClientEvent[] {
  const seen: ClientEvent[] = []
  void (async () => {
    for await (const event of client.events()) seen.push(event)
  })()
  return seen
}
