// MQTT 3.1.1 sections 3.1.2.4, 4.1 and 4.4: what a session keeps, for how long, and what is sent
// again when it goes on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, type ProtocolLevel, type PublishPacket } from '@godwit/packet'
import { connectOld, OLD_LEVELS, only, publishesOf, texts } from '../../testing/bytes.ts'
import { type TestClient, text, World } from '../../testing/harness.ts'

function subscriberOf(world: World, level: ProtocolLevel, cleanStart = false): TestClient {
  return connectOld(world, 's', { protocolLevel: level, cleanStart })
}

function arrivedAt(client: TestClient): PublishPacket[] {
  return [...publishesOf(client.early), ...client.takePublishes()]
}

for (const level of OLD_LEVELS) {
  test(`a session without clean session goes on after the end, ${level} [MQTT-3.1.2-4 v3]`, () => {
    const world = new World()
    for (const end of ['cut', 'disconnect'] as const) {
      const client = subscriberOf(world, level)
      if (end === 'cut') client.subscribe('a', 1)
      client[end]()
    }
    const again = subscriberOf(world, level)
    connectOld(world, 'p').publish('a', 'still subscribed')
    assert.deepEqual(texts(again.take()), ['still subscribed'])
  })

  test(`QoS 1 and 2 messages wait for an absent client, level ${level} [MQTT-3.1.2-5 v3]`, () => {
    const world = new World()
    const client = subscriberOf(world, level)
    client.subscribe('a', 2)
    client.cut()
    const publisher = connectOld(world, 'p', { protocolLevel: level })
    publisher.publish('a', 'one', { qos: 1 }).publish('a', 'two', { qos: 2, packetId: 2 })
    publisher.acknowledge(PacketType.PUBREL, 2)
    publisher.publish('a', 'three', { qos: 1, packetId: 3 })
    const publishes = arrivedAt(subscriberOf(world, level))
    assert.deepEqual(
      publishes.map(packet => [text(packet), packet.qos, packet.dup]),
      [
        ['one', 1, false],
        ['two', 2, false],
        ['three', 1, false],
      ],
    )
  })

  test(`a clean session discards the one before, level ${level} [MQTT-3.1.2-6 v3]`, () => {
    const world = new World()
    const client = subscriberOf(world, level)
    client.subscribe('a', 1)
    client.cut()
    const publisher = connectOld(world, 'p')
    publisher.publish('a', 'lost', { qos: 1 })
    const clean = subscriberOf(world, level, true)
    publisher.publish('a', 'not subscribed', { qos: 1, packetId: 2 })
    assert.deepEqual(arrivedAt(clean), [])
    clean.disconnect()
    assert.equal(subscriberOf(world, level).connack?.sessionPresent, false)
  })

  test(`a clean session ends with its connection, level ${level} [MQTT-3.1.2-6 v3]`, () => {
    const world = new World()
    const client = subscriberOf(world, level, true)
    client.subscribe('a', 1)
    assert.equal(world.broker.subscriptionCount, 1)
    client.cut()
    assert.equal(world.broker.subscriptionCount, 0)
    assert.equal(world.broker.sessions.byClientId.size, 0)
    const again = subscriberOf(world, level)
    connectOld(world, 'p').publish('a', 'x', { qos: 1 })
    assert.deepEqual(arrivedAt(again), [])
  })

  test(`a clean session lasts as long as its connection, level ${level} [MQTT-4.1.0-2 v3]`, () => {
    const world = new World({ limits: { legacySessionExpirySeconds: 1 } })
    const client = subscriberOf(world, level, true)
    const kept = connectOld(world, 'kept', { protocolLevel: level, cleanStart: false })
    client.subscribe('a')
    kept.subscribe('a')
    world.advance(30 * 24 * 3600 * 1000)
    connectOld(world, 'p').publish('a', 'x')
    assert.deepEqual(texts(client.take()), ['x'])
    assert.deepEqual(texts(kept.take()), ['x'])
  })

  test(`what is in flight is sent again with its identifier, ${level} [MQTT-4.4.0-1 v3]`, () => {
    const world = new World()
    const first = subscriberOf(world, level)
    first.subscribe('a', 2)
    const publisher = connectOld(world, 'p')
    publisher.publish('a', 'one', { qos: 1 }).publish('a', 'two', { qos: 2, packetId: 2 })
    publisher.publish('a', 'three', { qos: 2, packetId: 3 })
    const sent = first.takePublishes()
    const released = sent[2]?.packetId ?? 0
    only(first.acknowledge(PacketType.PUBREC, released), PacketType.PUBREL)
    first.cut()
    const second = subscriberOf(world, level)
    const packets = [...second.early, ...second.take()]
    const again = publishesOf(packets)
    assert.deepEqual(
      again.map(packet => [text(packet), packet.packetId, packet.qos, packet.dup]),
      [
        ['one', sent[0]?.packetId, 1, true],
        ['two', sent[1]?.packetId, 2, true],
      ],
    )
    // Not the third: no PUBLISH after PUBREL [MQTT-4.3.3-1 v3].
    const pubrels = packets.flatMap(packet =>
      packet.type === PacketType.PUBREL ? [packet.packetId] : [],
    )
    assert.deepEqual(pubrels, [released])
    assert.deepEqual(second.acknowledge(PacketType.PUBCOMP, released), [])
    second.cut()
    const third = subscriberOf(world, level)
    assert.equal([...third.early, ...third.take()].length, 2)
  })

  test(`what is acknowledged is not sent again, level ${level} [MQTT-4.4.0-1 v3]`, () => {
    const world = new World()
    const first = subscriberOf(world, level)
    first.subscribe('a', 1)
    connectOld(world, 'p').publish('a', 'one', { qos: 1 })
    first.acknowledge(PacketType.PUBACK, first.takePublishes()[0]?.packetId ?? 0)
    first.cut()
    assert.deepEqual(arrivedAt(subscriberOf(world, level)), [])
  })

  test(`the server as receiver remembers QoS 2 identifiers, level ${level} [MQTT-4.1.0-1 v3]`, () => {
    const world = new World()
    const watcher = connectOld(world, 'w')
    watcher.subscribe('a')
    const first = subscriberOf(world, level)
    first.publish('a', 'once', { qos: 2, packetId: 9 })
    first.cut()
    const second = subscriberOf(world, level)
    second.publish('a', 'once', { qos: 2, packetId: 9, dup: true })
    assert.deepEqual(texts(watcher.take()), ['once'])
    assert.equal(second.take()[0]?.type, PacketType.PUBREC)
    only(second.acknowledge(PacketType.PUBREL, 9), PacketType.PUBCOMP)
  })

  test(`sessions are told apart by the client id, level ${level} [MQTT-3.1.3-2 v3]`, () => {
    const world = new World()
    for (const clientId of ['x', 'X', 'x ']) {
      const client = connectOld(world, clientId, { protocolLevel: level, cleanStart: false })
      client.subscribe(`of/${clientId}`, 1)
      client.cut()
    }
    const publisher = connectOld(world, 'p')
    publisher.publish('of/x', 'small', { qos: 1 }).publish('of/X', 'great', { qos: 1, packetId: 2 })
    for (const [clientId, expected] of [
      ['x', ['small']],
      ['X', ['great']],
      ['x ', []],
    ] as const) {
      const client = connectOld(world, clientId, { protocolLevel: level, cleanStart: false })
      assert.deepEqual(arrivedAt(client).map(text), expected)
    }
  })

  test(`an accepted message enters every matching session, level ${level} [MQTT-4.5.0-1 v3]`, () => {
    const world = new World()
    const filters = ['a/b', 'a/+', '#', '+/b', 'a/b/#', 'other', 'a/c', '+']
    const clients = filters.map((filter, i) => {
      const options = { protocolLevel: level, cleanStart: i % 2 === 0 } as const
      const client = connectOld(world, `s${i}`, options)
      client.subscribe(filter, 1)
      return client
    })
    connectOld(world, 'p').publish('a/b', 'x', { qos: 1 })
    const counts = clients.map(client => client.takePublishes().length)
    assert.deepEqual(counts, [1, 1, 1, 1, 1, 0, 0, 0])
  })
}

test('retained messages outlive the session of their publisher [MQTT-3.1.2-7 v3]', () => {
  const world = new World()
  for (const cleanStart of [true, false]) {
    const publisher = connectOld(world, 'p', { cleanStart })
    publisher.publish(`kept/${cleanStart}`, 'x', { qos: 1, retain: true })
    publisher.disconnect()
  }
  connectOld(world, 'p', { cleanStart: true }).disconnect()
  const client = connectOld(world, 's')
  assert.equal(publishesOf(client.subscribe('kept/+')).length, 2)
})

test('the session of an absent client ends after the configured time [MQTT-4.1.0-1 v3]', () => {
  const world = new World({ limits: { legacySessionExpirySeconds: 60 } })
  subscriberOf(world, 4).cut()
  world.advance(59_000)
  const client = subscriberOf(world, 4)
  assert.equal(client.connack?.sessionPresent, true)
  client.cut()
  world.advance(61_000)
  assert.equal(subscriberOf(world, 4).connack?.sessionPresent, false)
})

test('a full disk does not take the session of a client that comes again [MQTT-3.1.2-4 v3]', () => {
  const world = new World()
  const first = subscriberOf(world, 4)
  first.subscribe('a', 1)
  first.cut()
  connectOld(world, 'p').publish('a', 'waits', { qos: 1 })
  world.store.full = true
  subscriberOf(world, 4).cut()
  world.store.full = false
  const again = subscriberOf(world, 4)
  assert.equal(again.connack?.sessionPresent, true)
  assert.deepEqual(arrivedAt(again).map(text), ['waits'])
})

test('a session taken over by MQTT 5.0 keeps its messages [MQTT-4.1.0-1 v3]', () => {
  const world = new World()
  const first = subscriberOf(world, 3)
  first.subscribe('a', 2)
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'one', { qos: 1 })
  first.cut()
  const second = world.connect({ clientId: 's', cleanStart: false })
  assert.equal(second.connack?.sessionPresent, true)
  assert.deepEqual(arrivedAt(second).map(text), ['one'])
})
