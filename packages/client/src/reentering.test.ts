// What an application does from within what the client calls: listeners and `onEvent` that close,
// subscribe and unsubscribe in the midst of what is being delivered.
import assert from 'node:assert/strict'
import type { Client } from './client.ts'
import type { ClientEvent } from './events.ts'
import { isFull, test } from './testing/kind.ts'
import { Persistent, subscribed } from './testing/subscribed.ts'
import { World } from './testing/world.ts'

/** A session of an earlier process, with messages that nobody has subscribed to yet. */
async function resumed(...topics: string[]): Promise<{ world: World; client: Client }> {
  const world = new World()
  const begun = world.begin({ ...Persistent, cleanStart: false })
  await world.settle()
  world.peer.accept({ sessionPresent: true })
  topics.forEach((topic, index) => {
    world.peer.publish(topic, topic, 1, index + 1)
  })
  const client = await begun
  await world.settle()
  world.peer.take()
  return { world, client }
}

test('who closes when the session is lost is not told of a connection', async () => {
  const events: string[] = []
  let client: Client | null = null
  const onEvent = ({ type }: ClientEvent): void => {
    events.push(type)
    if (type === 'session-lost') void client?.close()
  }
  const { world, client: made } = await subscribed('a', {}, { ...Persistent, onEvent })
  client = made
  await world.reconnected({ sessionPresent: false })
  assert.deepEqual(events, ['connected', 'disconnected', 'reconnecting', 'session-lost', 'closed'])
  assert.equal(made.state, 'closed')
})

test('a signal that fires while `connected` is told gives up connecting', async () => {
  const world = new World()
  const onEvent = ({ type }: ClientEvent): void => {
    if (type === 'connected') world.abort()
  }
  const begun = world.begin({ signal: world.signal, onEvent })
  await world.settle()
  world.peer.accept()
  await world.settle()
  if (isFull()) await assert.rejects(begun, { code: 'aborted' })
  else assert.equal((await begun).state, 'closed')
})

test('a listener that subscribes while it gets what was held: each comes once', async () => {
  const { world, client } = await resumed('a/1', 'b', 'a/2', 'c')
  const seen: string[] = []
  client.subscribe('a/#', {
    listener: ({ topic }) => {
      seen.push(topic)
      if (topic !== 'a/1') return
      client.subscribe(['#'], { listener: message => seen.push(`rest ${message.topic}`) })
    },
  })
  assert.deepEqual(seen, ['a/1', 'rest b', 'rest c', 'a/2'])
  await world.settle()
  const acks = world.peer.takeShort().filter(packet => packet.startsWith('PUBACK'))
  assert.deepEqual(acks, ['PUBACK 1', 'PUBACK 2', 'PUBACK 3', 'PUBACK 4'])
})

test('a subscription that is ended within a message holds up no acknowledgement', async () => {
  for (const qos of [1, 2] as const) {
    const ends: (() => void)[] = []
    const listener = (): void => ends.forEach(end => void end())
    const { world, client } = await subscribed('a', { qos, listener }, Persistent)
    const other = client.subscribe<string>('a', { qos })
    await world.settle()
    world.peer.take()
    ends.push(() => void other.unsubscribe().catch(() => undefined))
    world.peer.publish('a', 'one', qos, 7)
    world.peer.publish('a', 'two', qos, 8)
    await world.settle()
    const acks = world.peer.takeShort().filter(packet => /^PUB/.test(packet))
    assert.deepEqual(acks, qos === 1 ? ['PUBACK 7', 'PUBACK 8'] : ['PUBREC 7', 'PUBREC 8'])
    assert.equal(other.buffered, 0)
  }
})

test('a listener that has ended gets nothing further of what was held', async () => {
  const { world, client } = await resumed('a', 'a', 'a')
  let seen = 0
  const onLost = (): void => {
    seen++
    void client.close()
  }
  client.subscribe('a', { listener: onLost })
  await client.closed
  assert.equal(seen, 1)
  assert.ok(world.peer.ended)
})

test('an UNSUBSCRIBE that is too large is told, and not asked for again [MQTT-3.2.2-15]', async () => {
  const world = new World()
  const limits = { properties: { maximumPacketSize: 30 } }
  const client = await world.connected(Persistent, limits)
  await assert.rejects(Promise.all([client.unsubscribe('a'.repeat(40)), world.settle()]), {
    code: 'packet-too-large',
  })
  await world.reconnected({ ...limits, sessionPresent: true })
  assert.deepEqual(world.peer.takeShort(), [])
})

test('filters that were left fit into packets that the server takes [MQTT-3.2.2-15]', async () => {
  const world = new World()
  const limits = { properties: { maximumPacketSize: 30 } }
  const client = await world.connected(Persistent, limits)
  const all = ['first', 'second', 'third', 'fourth'].map(filter => client.subscribe(filter))
  await world.settle()
  for (const packet of world.peer.take()) {
    if ('subscriptions' in packet) {
      world.peer.suback(packet.packetId, ...packet.subscriptions.map(() => 1))
    }
  }
  world.peer.lose()
  for (const subscription of all) void subscription.unsubscribe()
  await world.advance(1000)
  world.peer.take()
  world.peer.accept({ ...limits, sessionPresent: true })
  await world.settle()
  const left = world.peer.takeShort().flatMap(packet => packet.split(' ').slice(2))
  assert.deepEqual(left, ['first', 'second', 'third', 'fourth'])
})

test('an application that publishes whatever it is told is told of it once', async () => {
  const world = new World()
  const events: string[] = []
  let client: Client | null = null
  const onEvent = ({ type }: ClientEvent): void => {
    events.push(type)
    void client?.publish('log', type)
  }
  client = await world.connected({ reconnect: false, onEvent })
  world.peer.lose()
  await client.closed
  const told = ['connected', 'disconnected', 'error', 'closed', 'error']
  assert.deepEqual(events, told)
})
