// $SYS: which topics there are, what they say, and who gets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import { only, publishesOf } from '../testing/bytes.ts'
import { connectPacket, type TestClient, text, World } from '../testing/harness.ts'
import { connectKept, watch, willOf } from '../testing/v5.ts'

const ORIGIN = [
  'clients/active',
  'clients/maximum',
  'messages/received',
  'messages/sent',
  'messages/per-sec',
]

const MOSQUITTO = [
  'version',
  'uptime',
  'clients/total',
  'clients/connected',
  'clients/disconnected',
  'clients/expired',
  'subscriptions/count',
  'shared_subscriptions/count',
  'retained messages/count',
  'store/messages/bytes',
  'store/messages/count',
  'messages/stored',
  'messages/inflight',
  'heap/current',
  'heap/maximum',
  'bytes/received',
  'bytes/sent',
  'publish/messages/received',
  'publish/messages/sent',
  'publish/messages/dropped',
  'publish/bytes/received',
  'publish/bytes/sent',
  ...[1, 5, 15].flatMap(minutes =>
    [
      'messages/received',
      'messages/sent',
      'publish/received',
      'publish/sent',
      'publish/dropped',
      'bytes/received',
      'bytes/sent',
      'sockets',
      'connections',
    ].map(name => `load/${name}/${minutes}min`),
  ),
]

function reporting(): World {
  return new World({
    core: { version: '1.2.3', statsIntervalSeconds: 10, heapBytes: () => 1000 },
  })
}

/** What is retained under $SYS/broker now. */
function report(world: World): Map<string, string> {
  const reader = world.connect({ clientId: 'reader' })
  const packets = publishesOf(reader.subscribe('$SYS/broker/#'))
  for (let more = reader.takePublishes(); more.length > 0; more = reader.takePublishes()) {
    packets.push(...more)
  }
  reader.cut()
  return new Map(packets.map(packet => [packet.topic.replace('$SYS/broker/', ''), text(packet)]))
}

function number(all: Map<string, string>, name: string): number {
  const value = Number(all.get(name))
  assert.ok(Number.isFinite(value), `${name} is ${all.get(name)}`)
  return value
}

test("the origin's five topics and Mosquitto's are there from the beginning", () => {
  const all = report(reporting())
  for (const name of [...ORIGIN, ...MOSQUITTO]) assert.ok(all.has(name), name)
  assert.match(all.get('version') ?? '', /1\.2\.3/)
  assert.equal(all.get('uptime'), '0 seconds')
})

test('they say how much room the disk of the store has', () => {
  const world = reporting()
  assert.equal(report(world).has('godwit/store/free'), false, 'nobody knows it yet')
  world.store.low = true
  world.store.freeBytes = 12_345
  world.advance(10_000)
  const low = report(world)
  assert.equal(number(low, 'godwit/store/low'), 1)
  assert.equal(number(low, 'godwit/store/full'), 0)
  assert.equal(number(low, 'godwit/store/free'), 12_345)
  world.store.low = false
  world.advance(10_000)
  assert.equal(number(report(world), 'godwit/store/low'), 0)
})

test('they say how many messages are kept and under way, sleeping sessions included', () => {
  const world = reporting()
  world.store.pages = true
  world.advance(20_000)
  const before = report(world)
  const away = connectKept(world, 'away')
  away.subscribe('t', 1)
  away.cut()
  const slow = connectKept(world, 'slow', { receiveMaximum: 1 })
  slow.subscribe('t', 1)
  slow.subscribe('$share/g/u', 1)
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of ['1', '2', '3']) publisher.publish('t', payload, { qos: 1 })
  publisher.publish('u', 'm', { qos: 1 })
  publisher.publish('kept', 'm', { retain: true })
  world.advance(10_000)
  const all = report(world)
  const grown = (name: string): number => number(all, name) - number(before, name)
  // Three for each of two sessions, one in the group, one retained.
  assert.equal(grown('store/messages/count'), 3 + 3 + 1 + 1)
  assert.equal(all.get('messages/stored'), all.get('store/messages/count'))
  assert.equal(number(all, 'messages/inflight'), 1)
})

test('they say how much memory is in use, and was at most', () => {
  let heapBytes = 1000
  const core = { statsIntervalSeconds: 10, heapBytes: () => heapBytes }
  const world = new World({ core })
  for (const [now, most] of [
    [3000, 3000],
    [2000, 3000],
  ] as const) {
    heapBytes = now
    world.advance(10_000)
    const all = report(world)
    assert.deepEqual([number(all, 'heap/current'), number(all, 'heap/maximum')], [now, most])
  }
})

test('where there are many sessions and groups they are counted in parts, and told later', () => {
  const world = reporting()
  const members = [connectKept(world, 'a'), connectKept(world, 'b')]
  for (let i = 0; i < 12_000; i++) members[i % 2]?.subscribe(`$share/g/${i}`, 1)
  for (const member of members) member.cut()
  world.advance(20_100)
  const before = number(report(world), 'store/messages/count')
  world.connect({ clientId: 'p' }).publish('11999', 'm', { qos: 1 })
  world.advance(9900)
  assert.equal(number(report(world), 'store/messages/count'), before)
  world.advance(100)
  assert.equal(number(report(world), 'store/messages/count'), before + 1)
})

test('they say how many are connected, subscribed, retained and lost', () => {
  const world = reporting()
  const [first] = [1, 2, 3].map(i => connectKept(world, `c${i}`))
  const client = first as TestClient
  client.subscribe('t', 1)
  client.subscribe('$share/g/u', 1)
  connectKept(world, 'away').cut()
  client.publish('kept', 'm', { retain: true })
  world.broker.lose('queue-full', 'c1', 't', 10)
  world.broker.lose('offline', 'c1', 't', 10)
  world.advance(10_000)
  const all = report(world)
  assert.equal(number(all, 'clients/active'), 3)
  assert.equal(number(all, 'clients/connected'), 3)
  assert.equal(number(all, 'clients/disconnected'), 1)
  assert.equal(number(all, 'clients/total'), 4)
  assert.equal(number(all, 'clients/maximum'), 4)
  assert.equal(number(all, 'subscriptions/count'), 2)
  assert.equal(number(all, 'shared_subscriptions/count'), 1)
  assert.ok(number(all, 'retained messages/count') >= 1)
  assert.equal(number(all, 'publish/messages/dropped'), 1)
  assert.equal(number(all, 'godwit/dropped/queue-full'), 1)
  assert.equal(number(all, 'godwit/dropped/offline'), 1)
  assert.equal(all.get('uptime'), '10 seconds')
})

test('rates are those of the interval, loads decay', () => {
  const world = reporting()
  const client = world.connect({ clientId: 'c' })
  world.advance(10_000)
  for (let i = 0; i < 100; i++) client.publish('t', 'm')
  world.advance(10_000)
  const busy = report(world)
  assert.equal(number(busy, 'messages/per-sec'), 10)
  const load = number(busy, 'load/publish/received/1min')
  assert.ok(load > 50 && load < 600, String(load))
  world.advance(20_000)
  const quiet = report(world)
  assert.ok(number(quiet, 'messages/per-sec') < 2)
  assert.ok(number(quiet, 'load/publish/received/1min') < load)
  assert.ok(number(quiet, 'load/publish/received/15min') > 0)
})

test('only what has changed is published again', () => {
  const world = reporting()
  const watcher = world.connect({ clientId: 'watcher' })
  assert.equal(publishesOf(watcher.subscribe('$SYS/broker/version')).length, 1)
  world.advance(60_000)
  assert.deepEqual(watcher.takePublishes(), [])
})

test('# does not get them [MQTT-4.7.2-1]', () => {
  const world = reporting()
  const watcher = watch(world, '#')
  world.advance(30_000)
  assert.deepEqual(watcher.takePublishes(), [])
})

test('no client may publish there, nor leave a will for it', () => {
  const world = reporting()
  const client = world.connect({ clientId: 'c' })
  const answer = client.publish('$SYS/broker/version', 'mine', { qos: 1 }).take()
  assert.equal(only(answer, PacketType.PUBACK).reasonCode, ReasonCode.NOT_AUTHORIZED)
  assert.match(report(world).get('version') ?? '', /1\.2\.3/)
})

test('clients cannot use $SYS and $share to exchange messages, and the ledger has them', () => {
  const world = new World()
  const watcher = watch(world, '$SYS/#')
  only(watcher.subscribe('$share/g/$share/#'), PacketType.SUBACK)
  const topics = ['$SYS', '$SYS/own', '$share', '$share/g/t']
  const client = world.connect({ clientId: 'c' })
  for (const topic of topics) {
    const answer = client.publish(topic, 'x', { qos: 1, retain: true }).take()
    assert.equal(only(answer, PacketType.PUBACK).reasonCode, ReasonCode.NOT_AUTHORIZED, topic)
    const will = willOf(topic, 'gone')
    const connack = only(world.open().ask(connectPacket({ will })), PacketType.CONNACK)
    assert.equal(connack.reasonCode, ReasonCode.NOT_AUTHORIZED, topic)
  }
  client.publish('$SYS', 'x')
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.broker.retainer.messages.count, 0)
  assert.equal(world.broker.ledger.totalOf('not-authorized'), topics.length + 1)
})

test('topics that only begin like those of the server are free', () => {
  for (const topic of ['$SYSTEM', '$SYS2/x', '$shared/t', '$x', 'a/$SYS']) {
    const world = new World()
    const watcher = watch(world, topic)
    world.connect({ clientId: 'c' }).publish(topic, 'x')
    assert.deepEqual(watcher.takePublishes().map(text), ['x'], topic)
  }
})

test('an interval of 0 leaves them out', () => {
  const world = new World({ core: { statsIntervalSeconds: 0 } })
  world.advance(60_000)
  assert.equal(report(world).size, 0)
})
