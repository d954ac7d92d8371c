// Every limit of limits.ts, at the limit and one beyond it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_PROPERTIES, type Packet, PacketType, ReasonCode } from '@godwit/packet'
import { Model } from '../store/testing/model.ts'
import { only } from '../testing/bytes.ts'
import { connectPacket, type TestClient, text, World } from '../testing/harness.ts'
import { connectKept, subscribePacket, typesOf, watch, willOf } from '../testing/v5.ts'
import { ownMessage } from './keep.ts'
import type { Limits } from './limits.ts'

function limited(limits: Partial<Limits>): World {
  return new World({ limits })
}

/** The reason code of a message at QoS 1. */
function publishCode(world: World, topic: string, payload: string, retain = false): number {
  const publisher = world.connect({ clientId: 'p' })
  const answer = publisher.publish(topic, payload, { qos: 1, retain }).take()
  return only(answer, PacketType.PUBACK).reasonCode
}

test('connectionsMax: one more connection is ended', () => {
  const world = limited({ connectionsMax: 2 })
  const clients = [1, 2, 3].map(() => world.open())
  assert.deepEqual(
    clients.map(client => client.ended),
    [false, false, true],
  )
})

test('connectionsPerSecondMax: one more within the second is ended', () => {
  const world = limited({ connectionsPerSecondMax: 2 })
  const ended = (count: number): boolean[] =>
    Array.from({ length: count }, () => world.open().ended)
  assert.deepEqual(ended(4), [false, false, true, true])
  world.advance(1100)
  assert.deepEqual(ended(3), [false, false, true])
})

test('a store that is congested: who publishes what it keeps is not read until it is free', () => {
  const world = limited({})
  watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  const other = world.connect({ clientId: 'q' })
  world.store.congested = true
  publisher.publish('a', 'm', { qos: 1 })
  other.publish('a', 'm')
  assert.deepEqual([publisher.reading, other.reading], [false, true])
  world.advance(5000)
  assert.equal(publisher.reading, false)
  world.store.congested = false
  world.advance(200)
  assert.equal(publisher.reading, true)
})

test('outgoingTopicAliasMax: a client that allows more gets no more', () => {
  const world = limited({ outgoingTopicAliasMax: 1 })
  const client = world.connect({ properties: { topicAliasMaximum: 10 } })
  client.subscribe('#')
  world.connect({ clientId: 'p' }).publish('a', 'm').publish('b', 'm')
  const aliases = client.takePublishes().map(({ properties }) => properties.topicAlias)
  assert.deepEqual(aliases, [1, undefined])
})

/** Publishes with an alias. @returns the reason code of DISCONNECT, or 0 */
function named(client: TestClient, topic: string, topicAlias: number): number {
  const [packet] = client.publish(topic, 'm', { properties: { topicAlias } }).take()
  return packet?.type === PacketType.DISCONNECT ? packet.reasonCode : 0
}

test('topicAliasBytesMax: topics of aliases with more bytes need the pool, or get 0x97', () => {
  const world = limited({ topicAliasBytesMax: 10, topicAliasPoolBytesMax: 0 })
  const publisher = world.connect({ clientId: 'p' })
  assert.equal(named(publisher, 'abcdef', 1), 0)
  assert.equal(named(publisher, 'abcd', 2), 0)
  // In place of another one there is room again.
  assert.equal(named(publisher, 'a', 1), 0)
  assert.equal(named(publisher, 'abcdef', 1), 0)
  assert.equal(named(publisher, '', 1), 0)
  assert.equal(named(publisher, 'abcdefg', 1), ReasonCode.QUOTA_EXCEEDED)
})

test('topicAliasPoolBytesMax: what one client has beyond its own no other one can have', () => {
  const world = limited({ topicAliasBytesMax: 10, topicAliasPoolBytesMax: 15 })
  const { aliasPool } = world.broker
  const [first, second, third] = ['a', 'b', 'c'].map(clientId => world.connect({ clientId }))
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  assert.equal(named(first, 'f'.repeat(20), 1), 0)
  assert.equal(named(second, 's'.repeat(15), 1), 0)
  assert.equal(aliasPool.byteCount, 15)
  // Its own it has in any case.
  assert.equal(named(third, 't'.repeat(10), 1), 0)
  assert.equal(named(third, 't', 2), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(aliasPool.byteCount, 15)
  // A shorter topic gives back, and so does the end of a connection.
  assert.equal(named(first, 'f'.repeat(12), 1), 0)
  assert.equal(aliasPool.byteCount, 7)
  second.cut()
  assert.equal(aliasPool.byteCount, 2)
  first.disconnect()
  assert.equal(aliasPool.byteCount, 0)
})

test('topicAliasPoolBytesMax: all aliases may stand for the longest topics', () => {
  const world = limited({})
  const watcher = watch(world, '#')
  const publisher = world.connect({ clientId: 'p' })
  const topicAliases = Array.from({ length: 32 }, (_, i) => i + 1)
  for (const alias of topicAliases) {
    assert.equal(named(publisher, `${alias}`.padEnd(65_535, 'x'), alias), 0)
  }
  assert.equal(world.broker.aliasPool.byteCount, 32 * 65_535 - 65_536)
  watcher.take()
  for (const alias of topicAliases) assert.equal(named(publisher, '', alias), 0)
  const lengths = watcher
    .takePublishes()
    .map(({ topic }) => [topic.length, Number.parseInt(topic, 10)])
  assert.deepEqual(
    lengths,
    topicAliases.map(alias => [65_535, alias]),
  )
  publisher.cut()
  assert.equal(world.broker.aliasPool.byteCount, 0)
})

test('topicAliasPoolBytesMax: who was ended has given back what it had', () => {
  const world = limited({ topicAliasBytesMax: 10, topicAliasPoolBytesMax: 5 })
  for (let i = 0; i < 3; i++) {
    const publisher = world.connect({ clientId: 'p' })
    assert.equal(named(publisher, 'x'.repeat(15), 1), 0)
    assert.equal(named(publisher, 'x', 2), ReasonCode.QUOTA_EXCEEDED)
    assert.equal(world.broker.aliasPool.byteCount, 0)
  }
})

test('topicAliasBytesMax: a topic longer than its share gets no alias', () => {
  const world = limited({ topicAliasBytesMax: 10, outgoingTopicAliasMax: 2 })
  const client = world.connect({ properties: { topicAliasMaximum: 10 } })
  client.subscribe('#')
  const publisher = world.connect({ clientId: 'p' })
  for (const topic of ['abcdef', 'abcde', 'abcdef', 'abcde']) publisher.publish(topic, 'm')
  const seen = client.takePublishes().map(({ topic, properties }) => [topic, properties.topicAlias])
  assert.deepEqual(seen, [
    ['abcdef', undefined],
    ['abcde', 1],
    ['abcdef', undefined],
    ['', 1],
  ])
})

test('a message that is too large with a new alias goes out without', () => {
  const sizeOf = (sendBytesMax: number): number => {
    const world = new World()
    const properties = { topicAliasMaximum: 10, maximumPacketSize: sendBytesMax }
    const client = world.connect({ properties })
    client.subscribe('a')
    world.connect({ clientId: 'p' }).publish('a', 'x'.repeat(100))
    const [packet] = client.takePublishes()
    assert.equal(packet?.properties.topicAlias, sendBytesMax < 1000 ? undefined : 1)
    return world.broker.counters.publishBytesSent
  }
  const size = sizeOf(1000)
  assert.equal(sizeOf(size - 3), size - 3)
})

test('topicLevelsMax and topicBytesMax: a topic beyond them is refused', () => {
  for (const [limits, good, bad] of [
    [{ topicLevelsMax: 3 }, 'a/b/c', 'a/b/c/d'],
    [{ topicBytesMax: 5 }, 'a/b/c', 'a/b/cd'],
  ] as const) {
    const world = limited(limits)
    assert.equal(publishCode(world, good, 'm'), ReasonCode.NO_MATCHING_SUBSCRIBERS)
    const publisher = world.connect({ clientId: 'q' })
    const disconnect = only(publisher.publish(bad, 'm').take(), PacketType.DISCONNECT)
    assert.equal(disconnect.reasonCode, ReasonCode.TOPIC_NAME_INVALID)
  }
})

test('topics of the broker itself and of wills from before have no limits', () => {
  const core = { statsIntervalSeconds: 10 }
  for (const limits of [{ topicLevelsMax: 1 }, { topicBytesMax: 1 }]) {
    const world = new World({ limits, core })
    const watcher = world.connect({ clientId: 'w' })
    watcher.subscribe('#')
    const client = connectKept(world, 's')
    const message = ownMessage(
      { topic: 'will/deep', payload: new Uint8Array(1), qos: 0, retain: false, properties: {} },
      's',
      0,
    )
    const session = world.broker.sessions.byClientId.get('s')
    assert.ok(session)
    session.will = { message, delaySeconds: 0, expirySeconds: -1, identity: null, timer: null }
    client.cut()
    assert.equal(watcher.takePublishes().length, 1)
  }
})

test('subscriptionsPerSessionMax and subscriptionsMax: one more filter gets 0x97', () => {
  for (const limits of [{ subscriptionsPerSessionMax: 2 }, { subscriptionsMax: 2 }]) {
    const client = limited(limits).connect()
    const suback = only(client.ask(subscribePacket(1, ['a', 'b', 'c'])), PacketType.SUBACK)
    assert.deepEqual(suback.reasonCodes, [0, 0, ReasonCode.QUOTA_EXCEEDED])
    assert.deepEqual(only(client.subscribe('a', 1), PacketType.SUBACK).reasonCodes, [1])
  }
})

test('usernameBytesMax: a longer user name is refused with 0x86, before MQTT 5.0 with 4', () => {
  for (const [protocolLevel, code] of [
    [5, ReasonCode.BAD_USER_NAME_OR_PASSWORD],
    [4, 4],
  ] as const) {
    const world = limited({ usernameBytesMax: 6 })
    world.connect({ protocolLevel, username: '€€' })
    const packet = connectPacket({ protocolLevel, username: 'a€€' })
    const connack = only(world.open(protocolLevel).ask(packet), PacketType.CONNACK)
    assert.equal(connack.reasonCode, code)
  }
})

test('userPropertiesMax: a message with one more ends the connection', () => {
  const world = limited({ userPropertiesMax: 9 })
  const watcher = watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  const pair = ['name', 'value'] as const
  publisher.publish('a', 'm', { properties: { userProperties: Array(9).fill(pair) } })
  assert.equal(watcher.takePublishes().length, 1)
  publisher.publish('a', 'm', { properties: { userProperties: Array(10).fill(pair) } })
  assert.deepEqual(typesOf(publisher.take()), [PacketType.DISCONNECT])
  assert.deepEqual(watcher.take(), [])
})

test('userPropertiesMax holds for QoS 0 however low it is', () => {
  const world = limited({ userPropertiesMax: 1 })
  const watcher = watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  const pair = ['name', 'value'] as const
  publisher.publish('a', 'm', { properties: { userProperties: [pair] } })
  assert.equal(watcher.takePublishes().length, 1)
  publisher.publish('a', 'm', { properties: { userProperties: [pair, pair] } })
  assert.deepEqual(typesOf(publisher.take()), [PacketType.DISCONNECT])
  assert.deepEqual(watcher.take(), [])
})

test('userPropertiesMax holds for every packet that may have some', () => {
  const pair = ['name', 'value'] as const
  const packetsWith = (count: number): Packet[] => {
    const properties = { userProperties: Array(count).fill(pair) }
    const ack = { packetId: 1, reasonCode: 0, properties } as const
    return [
      subscribePacket(1, ['a'], properties),
      { type: PacketType.UNSUBSCRIBE, packetId: 1, filters: ['a'], properties },
      { type: PacketType.PUBREL, ...ack },
      { type: PacketType.DISCONNECT, reasonCode: 4, properties },
    ]
  }
  for (const packet of packetsWith(3)) {
    const client = limited({ userPropertiesMax: 3 }).connect()
    const answer = client.ask(packet)[0]
    assert.notEqual(answer?.type, PacketType.DISCONNECT, `type ${packet.type}`)
  }
  for (const packet of packetsWith(4)) {
    const client = limited({ userPropertiesMax: 3 }).connect()
    const disconnect = only(client.ask(packet), PacketType.DISCONNECT)
    assert.equal(disconnect.reasonCode, ReasonCode.QUOTA_EXCEEDED)
  }
})

test('a message larger than queuedBytesMax is lost itself and takes no other along', () => {
  const world = limited({ queuedBytesMax: 1000, fullQueue: 'drop-oldest' })
  const offline = connectKept(world, 's')
  offline.subscribe('a', 1)
  offline.cut()
  for (const payload of ['one', 'x'.repeat(1001), 'two']) publishCode(world, 'a', payload)
  const again = connectKept(world, 's')
  const packets = [...again.early, ...again.take()]
  const texts = packets.map(packet => packet.type === PacketType.PUBLISH && text(packet))
  assert.deepEqual(texts, ['one', 'two'])
  assert.equal(world.broker.ledger.totalOf('queue-full'), 1)
})

test('queuedMessagesMax with fullQueue drop-oldest: the newest are kept', () => {
  const world = limited({ queuedMessagesMax: 2, fullQueue: 'drop-oldest' })
  const offline = connectKept(world, 's')
  offline.subscribe('a', 1)
  offline.cut()
  for (const payload of ['one', 'two', 'three']) assert.equal(publishCode(world, 'a', payload), 0)
  const again = connectKept(world, 's')
  const packets = [...again.early, ...again.take()]
  const texts = packets.map(packet => packet.type === PacketType.PUBLISH && text(packet))
  assert.deepEqual(texts, ['two', 'three'])
  assert.equal(world.broker.ledger.totalOf('queue-full'), 1)
})

test('queuedBytesMax with fullQueue refuse: the publisher is told 0x97', () => {
  const world = limited({ queuedBytesMax: 1000, fullQueue: 'refuse' })
  const offline = connectKept(world, 's')
  offline.subscribe('a', 1)
  offline.cut()
  assert.equal(publishCode(world, 'a', 'x'.repeat(900)), 0)
  assert.equal(publishCode(world, 'a', 'x'.repeat(900)), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(publishCode(world, 'b', 'x'), ReasonCode.NO_MATCHING_SUBSCRIBERS)
})

test('totalQueuedBytesMax: above it nothing more is queued', () => {
  const world = limited({ totalQueuedBytesMax: 2000, packetBytesMax: 1500 })
  // What waits on disk takes no memory.
  world.store.pages = false
  for (const clientId of ['s', 't']) {
    const offline = connectKept(world, clientId)
    offline.subscribe(clientId, 1)
    offline.cut()
  }
  assert.equal(publishCode(world, 's', 'x'.repeat(1200)), 0)
  assert.equal(publishCode(world, 't', 'x'.repeat(1200)), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(publishCode(world, 't', 'x'.repeat(100)), 0)
})

test('outgoingBytesMax: QoS 0 beyond it is dropped and counted, others are served', () => {
  const world = limited({ outgoingBytesMax: 2000 })
  const slow = watch(world, 'a', 'slow')
  const quick = watch(world, 'a', 'quick')
  slow.flowing = false
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 10; i++) publisher.publish('a', 'x'.repeat(500))
  assert.equal(quick.takePublishes().length, 10)
  slow.flow()
  const got = slow.takePublishes().length
  assert.ok(got >= 3 && got < 10)
  assert.equal(world.broker.ledger.totalOf('outgoing-full'), 10 - got)
})

/** PINGREQ, 64 KiB of them. */
const PINGS = Uint8Array.from({ length: 65_536 }, (_, i) => (i % 2 === 0 ? 0xc0 : 0))

test('a client that asks and does not read the answers is not read, within one turn', () => {
  const world = limited({ outgoingBytesMax: 1024 })
  const client = world.connect({ clientId: 'c' })
  client.flowing = false
  for (let i = 0; i < 4; i++) client.connection.bytes(PINGS)
  assert.equal(client.reading, true)
  client.connection.bytes(PINGS)
  assert.equal(client.reading, false)
  client.flow()
  world.advance(200)
  assert.equal(client.reading, true)
})

test('a client that asks while its answers wait for the store is not read beyond a number', () => {
  const world = limited({})
  watch(world, 'a')
  const client = connectKept(world, 'c')
  client.subscribe('a', 1)
  world.store.slow = true
  client.publish('a', 'm', { qos: 1 })
  for (let i = 0; i < 2; i++) client.send(PINGS)
  assert.equal(client.reading, true)
  client.send(PINGS)
  assert.equal(client.reading, false)
  world.store.finish()
  world.advance(200)
  assert.equal(client.reading, true)
})

test('totalOutgoingBytesMax: above it each connection may hold little', () => {
  const world = limited({ totalOutgoingBytesMax: 100_000, outgoingBytesMax: 10_000_000 })
  const slow = [1, 2].map(i => watch(world, 'a', `slow${i}`))
  for (const client of slow) client.flowing = false
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 50; i++) publisher.publish('a', 'x'.repeat(10_000))
  assert.ok(world.broker.ledger.totalOf('outgoing-full') > 0)
  assert.ok(world.broker.sender.totalPendingBytes < 400_000)
})

test('totalOutgoingBytesMax: above it publishers are read slowly, and go on', () => {
  const world = limited({ totalOutgoingBytesMax: 100_000, outgoingBytesMax: 1_000_000 })
  const slow = watch(world, '#', 'slow')
  slow.flowing = false
  const publisher = world.connect({ clientId: 'p' })
  const payload = 'x'.repeat(40_000)
  for (let i = 0; i < 3; i++) publisher.publish('t', payload)
  assert.equal(publisher.reading, true)
  publisher.publish('t', payload)
  assert.equal(publisher.reading, false)
  world.advance(100)
  assert.equal(publisher.reading, true, 'a subscriber that never reads stops nobody')
  slow.flow()
  publisher.publish('t', 'm').publish('t', 'm')
  assert.equal(publisher.reading, true)
})

test('retainedMessagesMax and retainedBytesMax: one more gets 0x97', () => {
  for (const limits of [{ retainedMessagesMax: 1 }, { retainedBytesMax: 150 }]) {
    const world = limited(limits)
    const payload = 'x'.repeat(100)
    assert.notEqual(publishCode(world, 'a', payload, true), ReasonCode.QUOTA_EXCEEDED)
    assert.equal(publishCode(world, 'b', payload, true), ReasonCode.QUOTA_EXCEEDED)
    assert.notEqual(publishCode(world, 'a', payload, true), ReasonCode.QUOTA_EXCEEDED)
    assert.equal(world.broker.ledger.totalOf('retained-full'), 1)
  }
})

test('sessionExpirySecondsMax: a longer one is cut, and CONNACK says so', () => {
  const world = limited({ sessionExpirySecondsMax: 100 })
  const cut = connectKept(world, 'a', { sessionExpiryInterval: 101 })
  assert.equal(cut.connack?.properties.sessionExpiryInterval, 100)
  const whole = connectKept(world, 'b', { sessionExpiryInterval: 100 })
  assert.equal(whole.connack?.properties.sessionExpiryInterval, undefined)
})

test('legacySessionExpirySeconds: an older client without clean session is kept so long', () => {
  const world = limited({ legacySessionExpirySeconds: 10 })
  const options = { clientId: 'c', protocolLevel: 4, cleanStart: false } as const
  world.connect(options).cut()
  world.advance(9000)
  const again = world.connect(options)
  assert.equal(again.connack?.sessionPresent, true)
  again.cut()
  world.advance(11_000)
  assert.equal(world.connect(options).connack?.sessionPresent, false)
})

test('willDelaySecondsMax: a longer delay is cut', () => {
  const world = limited({ willDelaySecondsMax: 5 })
  const watcher = watch(world, 'will')
  const will = { ...willOf('will', 'gone'), properties: { willDelayInterval: 1000 } }
  connectKept(world, 'c', {}, { will }).cut()
  world.advance(4000)
  assert.deepEqual(watcher.take(), [])
  world.advance(2000)
  assert.equal(watcher.takePublishes().length, 1)
})

test('messagesPerSecondMax and bytesPerSecondMax: the client is read more slowly', () => {
  for (const limits of [{ messagesPerSecondMax: 2 }, { bytesPerSecondMax: 60 }]) {
    const world = limited(limits)
    world.advance(2000)
    const publisher = world.connect({ clientId: 'p' })
    world.advance(2000)
    publisher.publish('a', 'x'.repeat(20)).publish('a', 'x'.repeat(20))
    assert.equal(publisher.reading, true)
    publisher.publish('a', 'x'.repeat(20))
    assert.equal(publisher.reading, false)
    world.advance(1200)
    assert.equal(publisher.reading, true)
  }
})

test('messagesPerSecondMax: what one read brought beyond it counts to the seconds after', () => {
  const world = limited({ messagesPerSecondMax: 2 })
  world.advance(2000)
  const publisher = world.connect({ clientId: 'p' })
  world.advance(2000)
  for (let i = 0; i < 8; i++) publisher.publish('a', 'x')
  for (let second = 1; second <= 2; second++) {
    world.advance(1100)
    assert.equal(publisher.reading, false, `after ${second} s`)
  }
  world.advance(1100)
  assert.equal(publisher.reading, true)
})

test('retainedMessagesMax and retainedBytesMax leave out the topics of the broker itself', () => {
  for (const limits of [{ retainedMessagesMax: 1 }, { retainedBytesMax: 100 }]) {
    const world = new World({ limits, core: { statsIntervalSeconds: 10 } })
    assert.equal(publishCode(world, 'a', 'x'.repeat(60), true), 0x10)
    assert.equal(publishCode(world, 'b', 'x'.repeat(60), true), ReasonCode.QUOTA_EXCEEDED)
    world.advance(21_000)
    assert.equal(publishCode(world, 'a', 'y'.repeat(60), true), 0x10)
  }
})

test('subscriptionLevelsMax: filters with wildcards beyond it are refused, others are not', () => {
  const world = limited({ subscriptionLevelsMax: 5 })
  const client = world.connect({ clientId: 'c' })
  const code = (filter: string): number | undefined =>
    only(client.subscribe(filter), PacketType.SUBACK).reasonCodes[0]
  assert.equal(code('a/b/+'), 0)
  assert.equal(code('a/b/c/#'), 0)
  assert.equal(code('a/b/c/d/#'), ReasonCode.QUOTA_EXCEEDED)
  // What is there already takes nothing more.
  assert.equal(code('a/b/#'), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(code('a/b/c/#'), 0)
  assert.equal(code('$share/g/a/b/+'), 0)
  assert.equal(code('x/y/z/a/b/c'), 0)
  client.ask({
    type: PacketType.UNSUBSCRIBE,
    packetId: 9,
    filters: ['a/b/c/#'],
    properties: NO_PROPERTIES,
  })
  assert.equal(code('a/b/#'), 0)
  assert.equal(code('a/c/#'), ReasonCode.QUOTA_EXCEEDED)
})

test('retainedLevelsMax: topics that need more levels are refused', () => {
  const world = limited({ retainedLevelsMax: 4 })
  const none = ReasonCode.NO_MATCHING_SUBSCRIBERS
  assert.equal(publishCode(world, 'a/b/c', 'm', true), none)
  assert.equal(publishCode(world, 'a/b/d', 'm', true), none)
  assert.equal(publishCode(world, 'a/b/e', 'm', true), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(publishCode(world, 'a/b', 'm', true), none)
  assert.equal(publishCode(world, 'a/b/c', '', true), none)
  assert.equal(publishCode(world, 'x/y', 'm', true), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(publishCode(world, 'a/b/e', 'm', true), none)
  assert.equal(world.broker.ledger.totalOf('retained-full'), 2)
})

test('routeReceiversMax: one more topic is remembered in place of others, in sleep as well', () => {
  const world = new World({ kept: new Model(), limits: { routeReceiversMax: 4 } })
  for (const clientId of ['s', 't']) {
    const client = connectKept(world, clientId)
    for (const filter of ['#', 'a', 'b', 'c']) client.subscribe(filter, 1)
    client.cut()
  }
  const publisher = world.connect({ clientId: 'p' })
  const topics = ['a', 'b', 'c', 'a', 'b', 'c']
  for (const topic of topics) {
    publisher.publish(topic, topic, { qos: 1 })
    assert.equal(world.broker.router.weight, 4)
  }
  for (const clientId of ['s', 't']) {
    const client = connectKept(world, clientId)
    const packets = [...client.early, ...client.take()]
    const texts = packets.map(packet => packet.type === PacketType.PUBLISH && text(packet))
    assert.deepEqual(texts, topics)
  }
})

test('ledgerEntriesMax: further losses are counted as others', () => {
  const world = limited({ ledgerEntriesMax: 2 })
  for (const topic of ['a', 'b', 'c', 'd']) world.broker.lose('expired', 'c', topic, 10)
  const topics = world.broker.ledger.entries().map(({ topic, count }) => [topic, count])
  assert.deepEqual(topics, [
    ['a', 1],
    ['b', 1],
    ['(others)', 2],
  ])
})
