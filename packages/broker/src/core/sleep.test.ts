// Sessions without a connection, in a store that answers late: nothing is lost on the way into
// memory, nothing comes twice, and time goes on for them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, type PublishPacket, type Will } from '@godwit/packet'
import { Model } from '../store/testing/model.ts'
import { texts } from '../testing/bytes.ts'
import { connectPacket, type TestClient, World, type WorldOptions } from '../testing/harness.ts'
import { heapBytes } from '../testing/heap-bytes.ts'
import { utf8, watch } from '../testing/v5.ts'

const KEPT = { sessionExpiryInterval: 1000 }

function pagingWorld(options: WorldOptions = {}): World {
  return new World({ kept: new Model(), ...options })
}

function connectKept(world: World, clientId: string, more: object = {}): TestClient {
  return world.connect({ clientId, cleanStart: false, properties: KEPT, ...more })
}

function publishMany(world: World, topic: string, from: number, to: number, qos: 1 | 2 = 1): void {
  const publisher = world.connect({ clientId: 'publisher' })
  for (let i = from; i <= to; i++) {
    publisher.publish(topic, String(i), { qos, packetId: 1 + (i % 60_000) })
    if (qos === 2) publisher.acknowledge(PacketType.PUBREL, 1 + (i % 60_000))
  }
  publisher.disconnect()
}

/** Acknowledges at QoS 1 whatever comes, until nothing comes any more. */
function takeAll(client: TestClient): string[] {
  const all: string[] = []
  let packets = client.early.splice(0)
  for (;;) {
    const publishes = packets.filter(({ type }) => type === PacketType.PUBLISH) as PublishPacket[]
    if (publishes.length === 0) return all
    all.push(...texts(publishes))
    packets = []
    for (const { packetId } of publishes) {
      packets.push(...client.acknowledge(PacketType.PUBACK, packetId))
    }
  }
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
}

function willOf(topic: string, delaySeconds: number): Will {
  const properties = { willDelayInterval: delaySeconds }
  return { topic, payload: utf8('gone'), qos: 1, retain: false, properties }
}

test('a session without a connection is not in memory, and comes back with all it had', () => {
  const world = pagingWorld()
  const first = connectKept(world, 's')
  for (const filter of ['a', 'b/+', '$share/g/c']) first.subscribe(filter, 1, {}, 9)
  first.cut()
  assert.equal(world.broker.sessions.byClientId.size, 0)
  assert.equal(world.broker.sessions.count, 1)
  for (const topic of ['a', 'b/x', 'c', 'd']) publishMany(world, topic, 1, 1)
  const again = connectKept(world, 's')
  assert.equal(again.connack?.sessionPresent, true)
  const got = again.early.filter(({ type }) => type === PacketType.PUBLISH) as PublishPacket[]
  assert.deepEqual(got.map(({ topic }) => topic).toSorted(), ['a', 'b/x', 'c'])
  for (const packet of got) assert.deepEqual(packet.properties.subscriptionIdentifiers, [9])
  takeAll(again)
  assert.equal(world.broker.sessions.count, 1)
  assert.equal(world.broker.queues.totalBytes, 0)
  for (const topic of ['a', 'b/x', 'c']) {
    publishMany(world, topic, 2, 2)
    assert.deepEqual(takeAllOf(again), ['2'], topic)
  }
})

function takeAllOf(client: TestClient): string[] {
  client.early.push(...client.take())
  return takeAll(client)
}

test('nothing is told to a client before the store has given its session', () => {
  const world = pagingWorld()
  connectKept(world, 's').cut()
  world.store.late = true
  const client = world.open(5)
  client.send(connectPacket({ clientId: 's', cleanStart: false, properties: KEPT }))
  assert.deepEqual(client.take(), [])
  assert.equal(client.reading, false)
  world.store.answer()
  const [connack] = client.take()
  assert.ok(connack?.type === PacketType.CONNACK && connack.sessionPresent)
  assert.equal(client.reading, true)
})

test('messages that come while the session is on its way follow those before, once', () => {
  for (const before of [0, 5, 255, 256, 257, 900]) {
    const world = pagingWorld()
    const first = connectKept(world, 's')
    first.subscribe('t', 1)
    first.cut()
    publishMany(world, 't', 1, before)
    world.store.late = true
    const client = world.open(5)
    client.send(connectPacket({ clientId: 's', cleanStart: false, properties: KEPT }))
    publishMany(world, 't', before + 1, before + 20)
    world.store.late = false
    client.early.push(...client.take())
    assert.deepEqual(takeAll(client), numbers(1, before + 20), `${before} before`)
  }
})

test('a long queue comes page by page, in order, and most of it is not in memory', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100_000 } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  publishMany(world, 't', 1, 4000)
  assert.equal(world.broker.queues.totalBytes, 0)
  const client = connectKept(world, 's')
  const session = world.broker.sessions.byClientId.get('s')
  assert.equal(session?.queuedMessages, 4000)
  assert.ok(world.broker.queues.totalBytes < session.queuedBytes)
  assert.deepEqual(takeAllOf(client), numbers(1, 4000))
  assert.equal(session.tail, null)
  assert.equal(session.queuedMessages, 0)
  assert.equal(session.queuedBytes, 0)
  assert.equal(world.broker.queues.totalBytes, 0)
  assert.equal(world.store.kept.queues.size, 0)
})

test('a slow receiver has the end of its queue in the store, and gets it when it reads', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100_000 } })
  const properties = { ...KEPT, receiveMaximum: 3 }
  const client = connectKept(world, 's', { properties })
  client.subscribe('t', 1)
  publishMany(world, 't', 1, 3000)
  const session = world.broker.sessions.byClientId.get('s')
  assert.ok((session?.queue?.length ?? 0) <= 1024)
  assert.equal(session?.queuedMessages, 3000)
  assert.deepEqual(takeAllOf(client), numbers(1, 3000))
  publishMany(world, 't', 3001, 3001)
  assert.deepEqual(takeAllOf(client), ['3001'])
})

test('messages that come between two pages keep their place, however late the page is', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100_000 } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  publishMany(world, 't', 1, 1000)
  const client = connectKept(world, 's', { properties: { ...KEPT, receiveMaximum: 10 } })
  world.store.late = true
  const got: string[] = []
  let next = 1001
  for (let round = 0; round < 400; round++) {
    got.push(...takeAllOf(client))
    if (next <= 2500) publishMany(world, 't', next, next + 12)
    if (next <= 2500) next += 13
    if (round % 3 === 0) world.store.answer()
  }
  world.store.late = false
  got.push(...takeAllOf(client))
  assert.deepEqual(got, numbers(1, next - 1))
})

test('QoS 2 goes on under its packet identifier, exactly once', () => {
  const world = pagingWorld()
  const first = connectKept(world, 's')
  first.subscribe('t', 2)
  publishMany(world, 't', 1, 3, 2)
  const sent = first.takePublishes()
  const [one, two] = sent.map(({ packetId }) => packetId)
  first.acknowledge(PacketType.PUBREC, one ?? 0)
  first.cut()
  const again = connectKept(world, 's')
  const packets = again.early.splice(0)
  assert.deepEqual(
    packets.map(packet => [packet.type, 'packetId' in packet ? packet.packetId : 0]),
    [
      [PacketType.PUBREL, one],
      [PacketType.PUBLISH, two],
      [PacketType.PUBLISH, sent[2]?.packetId],
    ],
  )
  assert.ok(packets.slice(1).every(packet => packet.type === PacketType.PUBLISH && packet.dup))
})

test('a QoS 2 message of a publisher that came before is not delivered again', () => {
  const world = pagingWorld()
  const watcher = watch(world, 't')
  const first = connectKept(world, 's')
  first.publish('t', 'm', { qos: 2, packetId: 7 })
  first.cut()
  const again = connectKept(world, 's')
  again.publish('t', 'm', { qos: 2, packetId: 7, dup: true })
  assert.deepEqual(texts(watcher.takePublishes()), ['m'])
  assert.equal(again.acknowledge(PacketType.PUBREL, 7)[0]?.type, PacketType.PUBREC)
})

test('of two connections that wait for one session the later one gets it', () => {
  const world = pagingWorld()
  connectKept(world, 's').cut()
  world.store.late = true
  const packet = connectPacket({ clientId: 's', cleanStart: false, properties: KEPT })
  const [one, two] = [world.open(5).send(packet), world.open(5).send(packet)]
  assert.equal(one.ended, true)
  world.store.late = false
  assert.deepEqual(one.take(), [])
  const [connack] = two.take()
  assert.ok(connack?.type === PacketType.CONNACK && connack.sessionPresent)
})

test('who comes in time and waits for the store has come in time [MQTT-3.1.3-9]', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  const brief = { sessionExpiryInterval: 5 }
  world.connect({ clientId: 's', properties: brief, will: willOf('will', 2) }).cut()
  world.advance(1000)
  world.store.late = true
  const packet = { clientId: 's', cleanStart: false, properties: brief }
  const again = world.open(5).send(connectPacket(packet))
  world.advance(20_000)
  world.store.late = false
  const [connack] = again.take()
  assert.ok(connack?.type === PacketType.CONNACK && connack.sessionPresent)
  assert.deepEqual(watcher.take(), [])
})

test('who comes too late and waits for the store finds no session, and its will is out', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  const brief = { sessionExpiryInterval: 2 }
  world.connect({ clientId: 's', properties: brief, will: willOf('will', 1) }).cut()
  world.store.late = true
  world.advance(3000)
  const packet = { clientId: 's', cleanStart: false, properties: brief }
  const again = world.open(5).send(connectPacket(packet))
  world.store.late = false
  const [connack] = again.take()
  assert.ok(connack?.type === PacketType.CONNACK && !connack.sessionPresent)
  assert.deepEqual(texts(watcher.takePublishes()), ['gone'])
})

test('a connection that gave way while it waited leaves no will', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  connectKept(world, 's').cut()
  world.store.late = true
  const kept = { clientId: 's', cleanStart: false, properties: KEPT }
  const one = world.open(5).send(connectPacket({ ...kept, will: willOf('will', 0) }))
  const two = world.open(5).send(connectPacket(kept))
  world.store.late = false
  assert.equal(one.ended, true)
  two.cut()
  world.advance(2_000_000)
  assert.deepEqual(watcher.take(), [])
})

test('a clean start that gave way while it waited has ended the session, its will goes out', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  const first = connectKept(world, 's', { will: willOf('will', 500) })
  first.subscribe('t', 1)
  first.cut()
  world.store.late = true
  const kept = { clientId: 's', properties: KEPT }
  world.open(5).send(connectPacket({ ...kept, cleanStart: true }))
  const two = world.open(5).send(connectPacket({ ...kept, cleanStart: false }))
  assert.deepEqual(watcher.take(), [])
  world.store.late = false
  const [connack] = two.take()
  assert.ok(connack?.type === PacketType.CONNACK && !connack.sessionPresent)
  assert.deepEqual(texts(watcher.takePublishes()), ['gone'])
  publishMany(world, 't', 1, 1)
  assert.deepEqual(two.take(), [])
})

test('a client that goes while its session is on its way loses nothing', () => {
  const world = pagingWorld()
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  publishMany(world, 't', 1, 3)
  world.store.late = true
  const gone = world.open(5)
  gone.send(connectPacket({ clientId: 's', cleanStart: false, properties: KEPT }))
  gone.cut()
  publishMany(world, 't', 4, 4)
  world.store.late = false
  world.settle()
  publishMany(world, 't', 5, 5)
  assert.deepEqual(takeAll(connectKept(world, 's')), numbers(1, 5))
})

test('a connection that takes over a session that is awake waits for nothing', () => {
  const world = pagingWorld()
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  publishMany(world, 't', 1, 2)
  world.store.late = true
  const second = connectKept(world, 's')
  assert.equal(second.connack?.sessionPresent, true)
  assert.deepEqual(takeAll(second), ['1', '2'])
  assert.equal(world.broker.sessions.count, 1)
})

test('a sleeping session ends in time, with its subscriptions and its queue', () => {
  const world = pagingWorld()
  const first = connectKept(world, 's', { properties: { sessionExpiryInterval: 60 } })
  for (const filter of ['t', 'u/+', '$share/g/v']) first.subscribe(filter, 1)
  first.cut()
  publishMany(world, 't', 1, 3)
  world.advance(59_000)
  assert.equal(world.broker.sessions.count, 1)
  world.advance(3000)
  assert.equal(world.broker.sessions.count, 0)
  assert.equal(world.broker.subscriptionCount, 0)
  assert.equal(world.broker.groups.count, 0)
  assert.equal(world.broker.ledger.totalOf('session-ended'), 3)
  assert.equal(world.store.kept.sessions.size, 0)
  const puts = world.store.records.length
  publishMany(world, 't', 4, 4)
  assert.equal(
    world.store.records.slice(puts).some(([name]) => name === 'putDelivery'),
    false,
  )
  assert.equal(connectKept(world, 's').connack?.sessionPresent, false)
})

test('a session whose time is over is not continued, even before it was looked for', () => {
  const world = pagingWorld()
  connectKept(world, 's', { properties: { sessionExpiryInterval: 60 } }).cut()
  world.monotonicMs += 62_000
  assert.equal(connectKept(world, 's').connack?.sessionPresent, false)
})

test('one that never expires stays', () => {
  const world = pagingWorld()
  connectKept(world, 's', { properties: { sessionExpiryInterval: 0xffff_ffff } }).cut()
  world.advance(10 * 365 * 86_400_000)
  assert.equal(connectKept(world, 's').connack?.sessionPresent, true)
})

test('a delayed will of a sleeping session goes out once, at its time', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  connectKept(world, 's', { will: willOf('will', 30) }).cut()
  world.advance(29_000)
  assert.deepEqual(watcher.take(), [])
  world.advance(3000)
  assert.deepEqual(texts(watcher.takePublishes()), ['gone'])
  assert.equal(world.store.kept.wills.size, 0)
  world.advance(100_000)
  assert.deepEqual(watcher.take(), [])
  assert.equal(connectKept(world, 's').connack?.sessionPresent, true)
})

test('a client that returns before the delay is over stops its will', () => {
  const world = pagingWorld()
  const watcher = watch(world, 'will')
  connectKept(world, 's', { will: willOf('will', 30) }).cut()
  world.advance(10_000)
  connectKept(world, 's')
  world.advance(100_000)
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.store.kept.wills.size, 0)
})

test('the end of a sleeping session publishes its will at once', () => {
  for (const how of ['expiry', 'clean start']) {
    const world = pagingWorld()
    const watcher = watch(world, 'will')
    const properties = { sessionExpiryInterval: 20 }
    connectKept(world, 's', { will: willOf('will', 500), properties }).cut()
    if (how === 'expiry') world.advance(23_000)
    else assert.equal(world.connect({ clientId: 's' }).connack?.sessionPresent, false)
    assert.deepEqual(texts(watcher.takePublishes()), ['gone'], how)
  }
})

test('a full queue of a sleeping session drops its oldest, named in the ledger', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100 } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  publishMany(world, 't', 1, 450)
  const client = connectKept(world, 's')
  assert.deepEqual(takeAllOf(client), numbers(351, 450))
  const [entry] = world.broker.ledger.entries()
  assert.deepEqual([entry?.reason, entry?.clientId, entry?.topic], ['queue-full', 's', 't'])
  assert.equal(entry?.count, 350)
})

test('of the oldest messages of full queues no long topics are kept', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100 } })
  const sessions = Array.from({ length: 20 }, (_, i) => `s${i}`)
  for (const clientId of sessions) {
    const client = connectKept(world, clientId)
    client.subscribe('#', 1)
    client.cut()
  }
  world.store.late = true
  const publisher = world.connect({ clientId: 'p' })
  const topic = 't'.repeat(8000)
  for (let i = 0; i < 101; i++) publisher.publish(topic, 'm', { qos: 1 })
  const before = heapBytes()
  world.store.late = false
  world.settle()
  const each = (heapBytes() - before) / sessions.length
  const [entry] = world.broker.ledger.entries()
  assert.equal(entry?.count, 1)
  assert.equal(world.broker.ledger.totalOf('queue-full'), sessions.length)
  assert.ok(each < 500_000, `${each} bytes for each`)
})

test('a message larger than the whole queue of a sleeping session drops nothing but itself', () => {
  const world = pagingWorld({ limits: { queuedBytesMax: 1000 } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of ['one', 'x'.repeat(1001), 'two'])
    publisher.publish('t', payload, { qos: 1 })
  world.settle()
  assert.deepEqual(takeAll(connectKept(world, 's')), ['one', 'two'])
  assert.equal(world.broker.ledger.totalOf('queue-full'), 1)
})

test('while the oldest are looked for a bounded number more comes in, the rest is lost', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 100 } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  world.store.late = true
  publishMany(world, 't', 1, 300)
  assert.equal(world.store.kept.queues.size, 164)
  world.store.late = false
  world.settle()
  assert.equal(world.store.kept.queues.size, 100)
  assert.equal(world.broker.ledger.totalOf('queue-full'), 200)
})

test('a full queue that refuses says so, and its client gets what was accepted', () => {
  const world = pagingWorld({ limits: { queuedMessagesMax: 3, fullQueue: 'refuse' } })
  const first = connectKept(world, 's')
  first.subscribe('t', 1)
  first.cut()
  const publisher = world.connect({ clientId: 'p' })
  const codes = [1, 2, 3, 4].map(packetId => {
    const [ack] = publisher.publish('t', String(packetId), { qos: 1, packetId }).take()
    return ack !== undefined && 'reasonCode' in ack ? ack.reasonCode : -1
  })
  assert.deepEqual(codes, [0, 0, 0, 0x97])
  assert.deepEqual(takeAll(connectKept(world, 's')), ['1', '2', '3'])
})

test('what a broker has left is there for the next one', () => {
  const kept = new Model()
  const world = new World({ kept })
  const first = connectKept(world, 's')
  for (const filter of ['t', 'u/#', '$share/g/v']) first.subscribe(filter, 1, {}, 3)
  first.cut()
  for (const topic of ['t', 'u/x', 'v']) publishMany(world, topic, 1, 2)
  const next = new World({ kept })
  assert.equal(next.broker.sessions.count, 1)
  assert.equal(next.broker.subscriptionCount, 3)
  for (const topic of ['t', 'u/x', 'v']) publishMany(next, topic, 3, 3)
  const client = connectKept(next, 's')
  assert.deepEqual(takeAll(client).toSorted(), ['1', '1', '1', '2', '2', '2', '3', '3', '3'])
  assert.equal(kept.queues.size + kept.groupQueues.size, 0)
})

test('CONNACK without a session waits until the end of a sleeping one is durable', () => {
  const world = pagingWorld()
  connectKept(world, 's').cut()
  world.store.slow = true
  world
    .open()
    .send(connectPacket({ clientId: 's' }))
    .cut()
  const second = world.open()
  assert.deepEqual(second.ask(connectPacket({ clientId: 's' })), [])
  world.store.finish()
  world.settle()
  assert.equal(second.take()[0]?.type, PacketType.CONNACK)
})
