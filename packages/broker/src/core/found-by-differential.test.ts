// What scripts played at several brokers (test/src/differential) have found, each as the shortest
// way to the fault.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Packet, PacketType, type Properties } from '@godwit/packet'
import { connectPacket, type TestClient, text, World } from '../testing/harness.ts'

test("the will of a connection that is taken over comes to its own session's new one", () => {
  for (const qos of [1, 2] as const) {
    const world = new World()
    const options = { clientId: 'c', cleanStart: false, properties: { sessionExpiryInterval: 60 } }
    const will = { topic: 't', payload: new Uint8Array([65]), qos, retain: false, properties: {} }
    const client = world.connect({ ...options, will })
    client.subscribe('t', qos)
    const { early } = world.connect(options)
    const got = early.flatMap(packet => (packet.type === PacketType.PUBLISH ? [packet] : []))
    assert.deepEqual(got.map(text), ['A'], `QoS ${qos}`)
  }
})

test('QoS 0 comes to a client that has subscribed and not got its CONNACK yet, behind both', () => {
  for (const filter of ['t', '$share/g/t']) {
    const world = new World()
    world.store.slow = true
    const client = unanswered(world)
    client.subscribe(filter)
    client.publish('t', 'own')
    world
      .open()
      .send(connectPacket({ clientId: 'other' }))
      .publish('t', "other's")
    assert.deepEqual(client.take(), [], filter)
    world.store.finish()
    const [connack, suback, ...messages] = client.take()
    assert.equal(connack?.type, PacketType.CONNACK, filter)
    assert.equal(suback?.type, PacketType.SUBACK, filter)
    assert.deepEqual(texts(messages), ['own', "other's"], filter)
    for (const reason of ['offline', 'no-member-online'] as const) {
      assert.equal(world.broker.ledger.totalOf(reason), 0, filter)
    }
  }
})

test('QoS 0 does not overtake what waits behind a SUBACK [MQTT-4.6.0-6]', () => {
  const world = new World()
  world.store.slow = true
  const client = unanswered(world, { topicAliasMaximum: 1 })
  const connected = world.store.openBatch - 1
  client.subscribe('t')
  client.publish('t', 'first')
  world.store.durable(connected)
  assert.equal(client.take()[0]?.type, PacketType.CONNACK)
  client.publish('t', 'second')
  assert.deepEqual(client.take(), [])
  world.store.finish()
  client.publish('t', 'third')
  assert.deepEqual(texts(client.take()), ['first', 'second', 'third'])
})

test('what waits for a CONNACK is bounded, and what finds no room is in the ledger', () => {
  const world = new World({ limits: { outgoingBytesMax: 1024 } })
  world.store.slow = true
  const client = unanswered(world)
  client.subscribe('t')
  for (const name of ['a', 'b', 'c']) client.publish('t', name.repeat(500))
  assert.equal(world.broker.ledger.totalOf('outgoing-full'), 1)
  world.store.finish()
  assert.deepEqual(
    texts(client.take()).map(one => one[0]),
    ['a', 'b'],
  )
})

test('a message too large for a client that waits for its CONNACK is dropped [MQTT-3.1.2-24]', () => {
  const world = new World()
  world.store.slow = true
  const client = unanswered(world, { maximumPacketSize: 100 })
  client.subscribe('t')
  client.publish('t', 'x'.repeat(100))
  client.publish('t', 'fits')
  world.store.finish()
  assert.deepEqual(texts(client.take()), ['fits'])
  assert.equal(world.broker.ledger.totalOf('packet-too-large'), 1)
})

/** A client of a kept session that waits for no answer: its CONNACK waits for the store. */
function unanswered(world: World, more: Properties = {}): TestClient {
  const properties = { sessionExpiryInterval: 60, ...more }
  return world.open().send(connectPacket({ clientId: 'c', cleanStart: false, properties }))
}

function texts(packets: readonly Packet[]): string[] {
  return packets.flatMap(packet => (packet.type === PacketType.PUBLISH ? [text(packet)] : []))
}
