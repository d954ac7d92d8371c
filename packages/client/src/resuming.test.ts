// What becomes of subscriptions and of messages under way when a connection is lost, and when a
// session of an earlier process is taken up.
import assert from 'node:assert/strict'
import { PacketType, type SubscribePacket } from '@godwit/packet'
import type { Subscription } from './subscription.ts'
import { test } from './testing/kind.ts'
import { collect, Persistent, subscribed, take } from './testing/subscribed.ts'
import { World } from './testing/world.ts'

test('a lost session is subscribed anew, a kept one is not', async () => {
  const { world, client } = await subscribed('a', {}, Persistent)
  await world.reconnected({ sessionPresent: true })
  assert.deepEqual(world.peer.takeShort(), [])
  await world.reconnected({ sessionPresent: false })
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 2 a'])
  assert.equal(client.stats.subscriptions, 1)
})

test('a subscription that was asked for and not granted is asked for again', async () => {
  const world = new World()
  const client = await world.connected(Persistent)
  const subscription = client.subscribe('a')
  await world.settle()
  await world.reconnected({ sessionPresent: true })
  const [packet] = world.peer.take()
  assert.equal(packet?.type, PacketType.SUBSCRIBE)
  world.peer.suback((packet as SubscribePacket).packetId, 1)
  assert.equal((await subscription.ready).qos, 1)
})

test('subscriptions made without a connection are asked for when there is one', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.lose()
  await world.settle()
  client.subscribe('a')
  client.subscribe('b')
  const left = client.subscribe('c')
  await left.unsubscribe()
  await world.reconnected()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 a b'])
})

test('an unsubscribe that the connection swallowed is asked for again', async () => {
  const { world, subscription } = await subscribed('a', {}, Persistent)
  const left = subscription.unsubscribe()
  await world.settle()
  await world.reconnected({ sessionPresent: true })
  const [packet] = world.peer.takeShort()
  assert.match(packet ?? '', /^UNSUBSCRIBE \d a$/)
  world.peer.unsuback(Number(packet?.split(' ')[1]), 0x11)
  await world.settle()
  await left
})

test('a loop that is left without a connection ends at once', async () => {
  const { world, subscription } = await subscribed('a', {}, Persistent)
  world.peer.publish('a', 'x')
  const loop = (async () => {
    for await (const message of subscription) {
      world.peer.lose()
      await world.settle()
      throw new Error(`${message.text()} cannot be handled`)
    }
  })()
  await assert.rejects(loop, /x cannot be handled/)
  await world.advance(2000)
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  assert.deepEqual(world.peer.takeShort().slice(1), ['UNSUBSCRIBE 2 a'])
})

test('unsubscribe() without a connection waits for the next, or until its signal', async () => {
  const { world, client, subscription } = await subscribed('a', {}, Persistent)
  const other = client.subscribe('b')
  await world.settle()
  world.peer.suback(2, 1)
  world.peer.lose()
  const controller = new AbortController()
  let isLeft = false
  const left = subscription.unsubscribe().then(() => {
    isLeft = true
  })
  const given = assert.rejects(other.unsubscribe({ signal: controller.signal }), {
    code: 'aborted',
  })
  controller.abort()
  await given
  assert.deepEqual(await other.next(), { value: undefined, done: true })
  await world.advance(1000)
  world.peer.take()
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 3 a b'])
  assert.equal(isLeft, false)
  world.peer.unsuback(3, 0, 0)
  await left
})

test('the end of `await using` of a subscription does not wait for a connection', async () => {
  const { world, client, subscription } = await subscribed('a', {}, Persistent)
  const responder = client.respond('b', () => '')
  await world.settle()
  world.peer.lose()
  await world.settle()
  const use = async (): Promise<void> => {
    await using _first = subscription
    await using _second = responder
    throw new Error('something else')
  }
  await assert.rejects(use(), /something else/)
  await responder.done
})

test('a loop that is left does not wait for another connection', async () => {
  const { world, subscription } = await subscribed('a', {}, Persistent)
  const left = subscription.return()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 2 a'])
  world.peer.lose()
  assert.deepEqual(await left, { value: undefined, done: true })
})

test('a message held over a reconnect comes once and is acknowledged once', async () => {
  for (const qos of [1, 2] as const) {
    const { world, subscription } = await subscribed('a', { qos }, Persistent)
    world.peer.publish('a', 'x', qos, 7)
    assert.equal((await take(subscription)).text(), 'x')
    await world.reconnected({ sessionPresent: true })
    world.peer.publish('a', 'x', qos, 7, { dup: true })
    let second = false
    void subscription.next().then(() => {
      second = true
    })
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [qos === 1 ? 'PUBACK 7' : 'PUBREC 7'])
    assert.equal(second, false)
  }
})

test('QoS 1 that comes as new under an old identifier is a new message', async () => {
  const { world, subscription } = await subscribed('a', {}, Persistent)
  world.peer.publish('a', 'old', 1, 7)
  await take(subscription)
  await world.reconnected({ sessionPresent: true })
  world.peer.publish('a', 'new', 1, 7)
  assert.equal((await take(subscription)).text(), 'new')
  void subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 7'])
})

test('QoS 2 under way is remembered over a reconnect [MQTT-4.1.0-1] [MQTT-3.1.2-23]', async () => {
  const { world, subscription } = await subscribed('a', { qos: 2 }, Persistent)
  world.peer.publish('a', 'x', 2, 7)
  await take(subscription)
  const next = subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREC 7'])
  await world.reconnected({ sessionPresent: true })
  world.peer.publish('a', 'x', 2, 7, { dup: true })
  world.peer.pubrel(7)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREC 7', 'PUBCOMP 7'])
  world.peer.publish('a', 'next', 2, 7)
  assert.equal((await next).value?.text(), 'next')
})

test('after a lost session identifiers begin anew [MQTT-3.2.2-5] [MQTT-3.1.2-6 v3]', async () => {
  const { world, subscription } = await subscribed('a', { qos: 2 }, Persistent)
  world.peer.publish('a', 'x', 2, 7)
  await take(subscription)
  const next = subscription.next()
  await world.settle()
  await world.reconnected({ sessionPresent: false })
  world.peer.publish('a', 'y', 2, 7)
  assert.equal((await next).value?.text(), 'y')
})

test('aliases up to our maximum are taken [MQTT-3.3.2-10] [MQTT-3.3.2-7]', async () => {
  const { world, subscription } = await subscribed('#', {}, { ...Persistent, topicAliasMaximum: 2 })
  const send = (topic: string, topicAlias: number): void => {
    world.peer.publish(topic, 'x', 0, 0, { properties: { topicAlias } })
  }
  for (const [topic, alias] of [
    ['a', 1],
    ['b', 2],
    ['', 1],
    ['c', 1],
    ['', 1],
    ['', 2],
  ] as const) {
    send(topic, alias)
  }
  const topics: string[] = []
  while (subscription.buffered > 0) topics.push((await take(subscription)).topic)
  assert.deepEqual(topics, ['a', 'b', 'a', 'c', 'c', 'b'])
  await world.reconnected({ sessionPresent: true })
  send('', 1)
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x82'])
})

test('messages of a resumed session wait until somebody subscribes', async () => {
  const world = new World()
  const begun = world.begin({ ...Persistent, cleanStart: false })
  await world.settle()
  world.peer.accept({ sessionPresent: true })
  world.peer.publish('a/1', 'one', 1, 1)
  world.peer.publish('b', 'two', 2, 2)
  world.peer.publish('a/2', 'three', 1, 3)
  world.peer.take()
  const client = await begun
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  const subscription = client.subscribe('a/+n')
  assert.equal((await take(subscription as unknown as Subscription)).text(), 'one')
  const { value } = await subscription.next()
  assert.deepEqual([value?.text(), value?.params.n], ['three', '2'])
  const rest = client.unclaimed()
  assert.equal((await take(rest)).text(), 'two')
  void rest.next()
  void subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBREC 2', 'PUBACK 3', 'SUBSCRIBE 1 a/+'])
})

test('messages that nobody claims in time are acknowledged, and told', async () => {
  const world = new World()
  const begun = world.begin({ ...Persistent, cleanStart: false, unclaimedTimeoutMs: 5000 })
  await world.settle()
  world.peer.accept({ sessionPresent: true })
  world.peer.publish('a', 'one', 1, 1)
  world.peer.take()
  const client = await begun
  const events = collect(client)
  await world.advance(4999)
  assert.deepEqual(world.peer.takeShort(), [])
  await world.advance(1)
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
  assert.deepEqual(events, [{ type: 'unclaimed', dropped: 1 }])
})
