// What the lite client does in its own way, so that the shared tests say nothing about it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Packet, PacketType, type SubscribePacket } from '@godwit/packet'
import type { ClientEvent } from '../events.ts'
import { World } from '../testing/world.ts'
import { connect } from '../transports/lite.ts'
import { openLite } from './client.ts'
import type { Client, ConnectOptions, Message, Subscription } from './types.ts'

const Persistent: ConnectOptions = { clientId: 'a', sessionExpirySeconds: 100 }

function begin(world: World, options: ConnectOptions): Promise<Client> {
  const client = openLite(world, 'test://server', options)
  client.catch(() => undefined)
  return client
}

async function connected(world: World, options: ConnectOptions = {}): Promise<Client> {
  const client = begin(world, options)
  await world.settle()
  world.peer.level = options.protocolVersion === 4 ? 4 : 5
  world.peer.accept()
  await world.settle()
  world.peer.take()
  return client
}

/** Grants what was asked for. */
async function grant(world: World, qos = 2): Promise<SubscribePacket> {
  await world.settle()
  const packet = world.peer.take().find((each: Packet) => each.type === PacketType.SUBSCRIBE)
  assert.ok(packet?.type === PacketType.SUBSCRIBE)
  world.peer.suback(packet.packetId, ...packet.subscriptions.map(() => qos))
  return packet
}

async function textOf(subscription: Subscription): Promise<string> {
  const { value, done } = await subscription.next()
  assert.ok(done !== true)
  return value.text()
}

test('lite: SUBSCRIBE says what the options say', async () => {
  const world = new World()
  const client = await connected(world)
  const options = { noLocal: true, retainAsPublished: true, retainHandling: 'never' } as const
  const subscription = client.subscribe(['a', 'b/+'], { qos: 2, ...options })
  const { subscriptions } = await grant(world)
  const asked = { qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }
  assert.deepEqual(subscriptions, [
    { filter: 'a', ...asked },
    { filter: 'b/+', ...asked },
  ])
  assert.deepEqual(await subscription.ready, { qos: 2, reasonCodes: [2, 2] })
  assert.equal(subscription.filter, 'a b/+')
})

test('lite: of several filters all are granted or none is kept', async () => {
  const world = new World()
  const client = await connected(world)
  const refused = client.subscribe(['a', 'b'])
  await world.settle()
  world.peer.take()
  world.peer.suback(1, 1, 0x87)
  await assert.rejects(refused.ready, { code: 'subscribe-refused', reasonCode: 0x87 })
  await assert.rejects(refused.next(), { code: 'subscribe-refused' })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 2 a'])
})

test('lite: a message for two subscriptions is acknowledged when both have taken it', async () => {
  const world = new World()
  const client = await connected(world)
  const first = client.subscribe('a/#')
  await grant(world)
  const second = client.subscribe('a/b')
  await grant(world)
  world.peer.publish('a/b', 'x', 1, 7)
  assert.deepEqual([await textOf(first), await textOf(second)], ['x', 'x'])
  void first.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  void second.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 7'])
})

test('lite: a listener keeps what it gets, and its return is the acknowledgement', async () => {
  const world = new World()
  const client = await connected(world)
  const kept: Message[] = []
  client.subscribe('a', { listener: message => kept.push(message) })
  await grant(world)
  world.peer.publish('a', 'one', 1, 1)
  world.peer.publish('a', 'two', 2, 2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBREC 2'])
  assert.deepEqual(
    kept.map(message => message.text()),
    ['one', 'two'],
  )
})

for (const protocolVersion of [5, 4] as const) {
  test(`lite: QoS 2 is taken once until PUBREL, level ${protocolVersion}`, async () => {
    const world = new World()
    const client = await connected(world, { protocolVersion })
    const subscription = client.subscribe('a', { qos: 2 })
    await grant(world)
    const { peer } = world
    peer.publish('a', 'one', 2, 9)
    assert.equal(await textOf(subscription), 'one')
    peer.publish('a', 'again', 2, 9, { dup: true })
    const next = textOf(subscription)
    await world.settle()
    assert.deepEqual(peer.takeShort(), ['PUBREC 9'])
    peer.publish('a', 'again', 2, 9, { dup: true })
    peer.pubrel(9)
    await world.settle()
    assert.deepEqual(peer.takeShort(), ['PUBREC 9', 'PUBCOMP 9'])
    peer.publish('a', 'two', 2, 9)
    assert.equal(await next, 'two')
  })
}

test('lite: messages of a resumed session wait until somebody subscribes', async () => {
  const world = new World()
  const begun = begin(world, { ...Persistent, cleanStart: false })
  await world.settle()
  world.peer.accept({ sessionPresent: true })
  world.peer.publish('a/1', 'one', 1, 1)
  world.peer.publish('b', 'two', 2, 2)
  world.peer.take()
  const client = await begun
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  const subscription = client.subscribe('a/+')
  assert.equal(await textOf(subscription), 'one')
  void subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 a/+', 'PUBACK 1'])
  await world.advance(30_000)
  assert.ok(world.peer.takeShort().includes('PUBREC 2'))
})

test('lite: an identifier is not used while it is in use [MQTT-2.2.1-3]', async () => {
  const world = new World()
  const client = await connected(world)
  client.publish('slow', 'x', { qos: 1 }).catch(() => undefined)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 slow x'])
  const seen = new Set<number>()
  for (let round = 0; round < 700; round++) {
    for (let i = 0; i < 100; i++) void client.publish('a', '', { qos: 1 })
    await world.settle()
    for (const packet of world.peer.take()) {
      assert.ok(packet.type === PacketType.PUBLISH)
      seen.add(packet.packetId)
      world.peer.puback(packet.packetId)
    }
  }
  assert.deepEqual([seen.has(0), seen.has(1), seen.size], [false, false, 65_534])
})

test('lite: a server that reads no acknowledgements is left [MQTT-4.13.1-1]', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const client = await connected(world, { onEvent: event => events.push(event) })
  world.peer.bufferedBytes = 1e6
  await client.publish('a', 'x')
  await world.settle()
  for (let i = 0; i < 270_000 && !world.peer.ended; i++) world.peer.publish('a', '', 1, 1)
  const lost = events.find(({ type }) => type === 'disconnected')
  assert.ok(lost?.type === 'disconnected')
  assert.deepEqual([lost.error.code, lost.error.reasonCode], ['protocol-error', 0x97])
})

test('lite: the oldest messages of QoS 0 give way, by number and by bytes', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const client = await connected(world, { onEvent: event => events.push(event) })
  const subscription = client.subscribe('a', { buffer: { messagesMax: 3, bytesMax: 6 } })
  await grant(world)
  world.peer.publish('a', 'kept', 1, 1)
  for (const text of ['1', '2', '3', '4', '55555']) world.peer.publish('a', text)
  assert.equal(subscription.buffered, 3)
  assert.equal(subscription.dropped, 3)
  const overflows = events.filter(({ type }) => type === 'overflow')
  assert.deepEqual(overflows, [
    { type: 'overflow', filter: 'a', dropped: 1 },
    { type: 'overflow', filter: 'a', dropped: 2 },
  ])
  assert.equal(await textOf(subscription), 'kept')
  assert.equal(await textOf(subscription), '4')
  assert.equal(await textOf(subscription), '55555')
})

test('lite: an identifier of 23 letters and digits is made up [MQTT-3.1.3-5]', async () => {
  const world = new World()
  const one = await connected(world)
  const two = await connected(world)
  assert.match(one.clientId, /^[0-9a-z]{23}$/)
  assert.notEqual(one.clientId, two.clientId)
  assert.equal(one.negotiated.clientId, one.clientId)
})

test('lite: what a waiting reader gets at once takes no room in the buffer', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const client = await connected(world, { onEvent: event => events.push(event) })
  const subscription = client.subscribe('a', { buffer: { messagesMax: 3 } })
  await grant(world)
  for (let i = 0; i < 2000; i++) {
    const text = textOf(subscription)
    world.peer.publish('a', 'at once')
    assert.equal(await text, 'at once')
  }
  for (let i = 0; i < 10; i++) world.peer.publish('a', `${i}`)
  assert.deepEqual([subscription.buffered, subscription.dropped], [3, 7])
  world.peer.publish('a', 'kept', 1, 1)
  assert.equal(subscription.buffered, 4)
  assert.equal(client.state, 'connected')
})

test('lite: what came when too much was unread is delivered when it comes again', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const onEvent = (event: ClientEvent): void => void events.push(event)
  const client = await connected(world, {
    protocolVersion: 4,
    cleanStart: false,
    clientId: 'a',
    onEvent,
  })
  const subscription = client.subscribe('a', { buffer: { messagesMax: 1 } })
  await grant(world)
  const max = 1 + 4 * 256
  for (let i = 1; i <= max + 1; i++) world.peer.publish('a', `${i}`, 1, i)
  assert.ok(events.some(({ type }) => type === 'disconnected'))
  for (let i = 1; i <= max; i++) assert.equal(await textOf(subscription), `${i}`)
  await world.advance(60_000)
  world.peer.level = 4
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  world.peer.take()
  for (let i = 1; i <= max + 1; i++) world.peer.publish('a', `${i}`, 1, i, { dup: true })
  assert.equal(await textOf(subscription), `${max + 1}`)
  void subscription.next()
  await world.settle()
  assert.equal(world.peer.takeShort().at(-1), `PUBACK ${max + 1}`)
})

test('lite: who goes on asking waits no longer for a server that never answers', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const client = await connected(world, {
    onEvent: event => events.push(event),
    keepAliveSeconds: 0,
  })
  for (let i = 0; i < 4; i++) {
    client.subscribe('a')
    await world.advance(20_000)
  }
  const lost = events.find(({ type }) => type === 'disconnected')
  assert.ok(lost?.type === 'disconnected')
  assert.equal(lost.error.code, 'timeout')
})

test('lite: PUBRELs without an answer do not use up the identifiers [MQTT-2.2.1-3]', async () => {
  const world = new World()
  const client = await connected(world, Persistent)
  const sent = new Set<number>()
  for (let round = 0; round < 62; round++) {
    for (let i = 0; i < 1024; i++) client.publish('a', '', { qos: 2 }).catch(() => undefined)
    await world.settle()
    for (const packet of world.peer.take()) {
      if (packet.type !== PacketType.PUBLISH) continue
      sent.add(packet.packetId)
      world.peer.pubrec(packet.packetId)
    }
    await world.reconnected({ sessionPresent: true })
  }
  assert.equal(sent.size, 60_000)
  world.peer.pubcomp(1)
  await world.settle()
  assert.ok(world.peer.take().some(({ type }) => type === PacketType.PUBLISH))
  await client.close()
})

test('lite: a time that is longer than a timer can be does not end at once', async context => {
  const delaysMs: number[] = []
  context.mock.method(globalThis, 'setTimeout', (_task: () => void, delayMs: number) => {
    delaysMs.push(delayMs)
  })
  const world = new World()
  const dial = world.dial(new URL('test://server'))
  const signal = AbortSignal.abort()
  await assert.rejects(connect({ dial }, { signal, connectTimeoutMs: 1e12 }), { code: 'aborted' })
  const controller = new AbortController()
  const opening = connect({ dial }, { signal: controller.signal, connectTimeoutMs: 1e12 })
  controller.abort()
  await assert.rejects(opening, { code: 'aborted' })
  assert.deepEqual(delaysMs, [0x7fff_ffff])
})

test('lite: of a resumed session all messages that nobody wanted are counted', async () => {
  const world = new World()
  const events: ClientEvent[] = []
  const onEvent = (event: ClientEvent): void => void events.push(event)
  const begun = begin(world, { ...Persistent, cleanStart: false, receiveMaximum: 300, onEvent })
  await world.settle()
  world.peer.accept({ sessionPresent: true })
  for (let i = 1; i <= 257; i++) world.peer.publish('a', '', 1, i)
  world.peer.publish('a', '')
  await begun
  await world.advance(30_000)
  assert.deepEqual(events.at(-1), { type: 'unclaimed', dropped: 258 })
})
