// The main ways through the core, from CONNECT to delivery.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { text, World } from '../testing/harness.ts'

test('a QoS 0 message reaches a subscriber', () => {
  const world = new World()
  const subscriber = world.connect({ clientId: 's' })
  const [suback] = subscriber.subscribe('a/+')
  assert.equal(suback?.type, PacketType.SUBACK)
  world.connect({ clientId: 'p' }).publish('a/b', 'hello')
  const [publish] = subscriber.takePublishes()
  assert.equal(publish?.topic, 'a/b')
  assert.equal(publish && text(publish), 'hello')
})

for (const level of [3, 4, 5] as const) {
  for (const expiry of [0, 100]) {
    test(`QoS 1 and 2 go all the way at level ${level}, expiry ${expiry}`, () => {
      const world = new World()
      const subscriber = world.connect({
        clientId: 's',
        protocolLevel: level,
        cleanStart: expiry === 0,
        properties: level === 5 ? { sessionExpiryInterval: expiry } : {},
      })
      subscriber.subscribe('t', 2)
      const publisher = world.connect({ clientId: 'p', protocolLevel: level })
      publisher.publish('t', 'one', { qos: 1, packetId: 9 })
      assert.deepEqual(
        publisher.take().map(packet => packet.type),
        [PacketType.PUBACK],
      )
      const [first] = subscriber.takePublishes()
      assert.equal(first?.qos, 1)
      assert.deepEqual(subscriber.acknowledge(PacketType.PUBACK, first?.packetId ?? 0), [])
      publisher.publish('t', 'two', { qos: 2, packetId: 10 })
      assert.equal(publisher.take()[0]?.type, PacketType.PUBREC)
      assert.equal(publisher.acknowledge(PacketType.PUBREL, 10)[0]?.type, PacketType.PUBCOMP)
      const [second] = subscriber.takePublishes()
      assert.equal(second?.qos, 2)
      const id = second?.packetId ?? 0
      assert.equal(subscriber.acknowledge(PacketType.PUBREC, id)[0]?.type, PacketType.PUBREL)
      assert.deepEqual(subscriber.acknowledge(PacketType.PUBCOMP, id), [])
    })
  }
}

test('what is in flight comes again with DUP when the session is resumed [MQTT-4.4.0-1]', () => {
  const world = new World()
  const options = { clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 100 } }
  const subscriber = world.connect(options)
  subscriber.subscribe('t', 1)
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('t', 'one', { qos: 1 })
  const [first] = subscriber.takePublishes()
  assert.equal(first?.dup, false)
  subscriber.cut()
  publisher.publish('t', 'two', { qos: 1, packetId: 2 })
  const again = world.connect(options)
  assert.equal(again.connack?.sessionPresent, true)
  const publishes = [...again.early, ...again.take()].filter(p => p.type === PacketType.PUBLISH)
  assert.deepEqual(
    publishes.map(packet => [text(packet), packet.dup]),
    [
      ['one', true],
      ['two', false],
    ],
  )
})
