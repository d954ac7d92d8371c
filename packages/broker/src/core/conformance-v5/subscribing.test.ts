// MQTT 5.0 sections 3.3.1, 3.8 to 3.12 and 4.8: subscriptions, what they receive, retained messages
// and shared groups.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import { only } from '../../testing/bytes.ts'
import { text, World } from '../../testing/harness.ts'
import {
  connectKept,
  subscribePacket,
  typesOf,
  unsubscribePacket,
  watch,
} from '../../testing/v5.ts'

test('SUBACK answers SUBSCRIBE, a code per filter in order \
[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1]', () => {
  const client = new World().connect()
  const filters = [{ filter: 'a', qos: 2 as const }, 'b/#', { filter: 'c/+', qos: 1 as const }]
  const suback = only(client.ask(subscribePacket(77, filters)), PacketType.SUBACK)
  assert.equal(suback.packetId, 77)
  assert.deepEqual(suback.reasonCodes, [2, 0, 1])
})

test('the same filter again replaces the subscription [MQTT-3.8.4-3]', () => {
  const world = new World()
  const client = world.connect()
  client.subscribe('a', 2, {}, 5)
  client.subscribe('a', 0, {}, 6)
  world.connect({ clientId: 'p' }).publish('a', 'm', { qos: 1 })
  const publish = only(client.take(), PacketType.PUBLISH)
  assert.equal(publish.qos, 0)
  assert.deepEqual(publish.properties.subscriptionIdentifiers, [6])
  assert.equal(world.broker.subscriptionCount, 1)
})

test('replacing with Retain Handling 0 sends retained messages again [MQTT-3.8.4-4]', () => {
  const world = new World()
  world.connect({ clientId: 'p' }).publish('a', 'kept', { retain: true })
  const client = world.connect()
  assert.deepEqual(typesOf(client.subscribe('a')), [PacketType.SUBACK, PacketType.PUBLISH])
  assert.deepEqual(typesOf(client.subscribe('a')), [PacketType.SUBACK, PacketType.PUBLISH])
})

test('Retain Handling 1 sends them for a new subscription only, 2 never \
[MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]', () => {
  const world = new World()
  world.connect({ clientId: 'p' }).publish('a', 'kept', { retain: true })
  const client = world.connect()
  const { SUBACK, PUBLISH } = PacketType
  assert.deepEqual(typesOf(client.subscribe('a', 0, { retainHandling: 2 })), [SUBACK])
  assert.deepEqual(typesOf(client.subscribe('a', 0, { retainHandling: 1 })), [SUBACK])
  client.ask(unsubscribePacket(1, ['a']))
  assert.deepEqual(typesOf(client.subscribe('a', 0, { retainHandling: 1 })), [SUBACK, PUBLISH])
  assert.deepEqual(typesOf(client.subscribe('a', 0, { retainHandling: 0 })), [SUBACK, PUBLISH])
})

test('RETAIN 1 replaces what is retained, RETAIN 0 leaves it [MQTT-3.3.1-5] [MQTT-3.3.1-8]', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'old', { retain: true }).publish('a', 'kept', { retain: true })
  publisher.publish('a', 'passing').publish('a', '')
  const [, retained] = world.connect().subscribe('a')
  assert.equal(retained?.type === PacketType.PUBLISH && text(retained), 'kept')
  assert.equal(retained?.type === PacketType.PUBLISH && retained.retain, true)
})

test('an empty retained message removes and is not kept [MQTT-3.3.1-6] [MQTT-3.3.1-7]', () => {
  const world = new World()
  const watcher = watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'kept', { retain: true }).publish('a', '', { retain: true })
  assert.deepEqual(watcher.takePublishes().map(text), ['kept', ''])
  assert.deepEqual(typesOf(world.connect().subscribe('a')), [PacketType.SUBACK])
  assert.equal(world.broker.retainer.messages.count, 0)
})

test('Retain As Published keeps RETAIN, otherwise it is 0 [MQTT-3.3.1-12] [MQTT-3.3.1-13]', () => {
  const world = new World()
  const plain = watch(world, 'a', 'plain')
  const keeping = world.connect({ clientId: 'keeping' })
  keeping.subscribe('a', 0, { retainAsPublished: true })
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'one', { retain: true }).publish('a', 'two')
  assert.deepEqual(
    plain.takePublishes().map(publish => publish.retain),
    [false, false],
  )
  assert.deepEqual(
    keeping.takePublishes().map(publish => publish.retain),
    [true, false],
  )
})

test('delivery is at the lower of published and granted QoS [MQTT-3.8.4-8]', () => {
  for (const published of [0, 1, 2] as const) {
    for (const granted of [0, 1, 2] as const) {
      const world = new World()
      const subscriber = world.connect()
      subscriber.subscribe('a', granted)
      const publisher = world.connect({ clientId: 'p' })
      publisher.publish('a', 'm', { qos: published })
      const publish = only(subscriber.take(), PacketType.PUBLISH)
      assert.equal(publish.qos, Math.min(published, granted))
    }
  }
})

test('overlapping subscriptions: one copy, highest QoS, all identifiers \
[MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]', () => {
  const world = new World()
  const client = world.connect()
  client.subscribe('a/b', 0, {}, 3)
  client.subscribe('a/+', 2, {}, 4)
  client.subscribe('#', 1)
  world.connect({ clientId: 'p' }).publish('a/b', 'm', { qos: 2 })
  const publish = only(client.take(), PacketType.PUBLISH)
  assert.equal(publish.qos, 2)
  assert.deepEqual([...(publish.properties.subscriptionIdentifiers ?? [])].sort(), [3, 4])
})

test('No Local: not to the client that published it [MQTT-3.8.3-3]', () => {
  const world = new World()
  const client = world.connect()
  client.subscribe('a', 0, { noLocal: true })
  client.publish('a', 'mine')
  assert.deepEqual(client.take(), [])
  world.connect({ clientId: 'p' }).publish('a', 'theirs')
  assert.deepEqual(client.takePublishes().map(text), ['theirs'])
})

test('what is forwarded matches the filter [MQTT-3.3.2-3]', () => {
  const world = new World()
  const client = watch(world, 'a/+/c')
  const publisher = world.connect({ clientId: 'p' })
  for (const topic of ['a/b/c', 'a/b', 'a/b/c/d', 'a//c', 'A/b/c', '$SYS/a']) {
    publisher.publish(topic, 'm')
  }
  assert.deepEqual(
    client.takePublishes().map(publish => publish.topic),
    ['a/b/c', 'a//c'],
  )
})

test('UNSUBACK answers UNSUBSCRIBE, a code per filter in order \
[MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1]', () => {
  const client = new World().connect()
  client.ask(subscribePacket(1, ['a/+', 'b']))
  const filters = ['a/b', 'a/+', 'c', 'b']
  const unsuback = only(client.ask(unsubscribePacket(9, filters)), PacketType.UNSUBACK)
  assert.equal(unsuback.packetId, 9)
  assert.deepEqual(unsuback.reasonCodes, [0x11, 0, 0x11, 0])
})

test('after UNSUBACK nothing new comes, what has begun is finished \
[MQTT-3.10.4-2] [MQTT-3.10.4-3]', () => {
  const world = new World()
  const client = connectKept(world, 's')
  client.subscribe('a', 2)
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'one', { qos: 2 })
  const { packetId } = only(client.take(), PacketType.PUBLISH)
  client.ask(unsubscribePacket(3, ['a']))
  publisher.publish('a', 'two', { qos: 2, packetId: 2 })
  assert.deepEqual(client.takePublishes(), [])
  only(client.acknowledge(PacketType.PUBREC, packetId), PacketType.PUBREL)
  assert.deepEqual(client.acknowledge(PacketType.PUBCOMP, packetId), [])
})

test('PINGREQ is answered by PINGRESP [MQTT-3.12.4-1]', () => {
  only(new World().connect().ask({ type: PacketType.PINGREQ }), PacketType.PINGRESP)
})

test('a shared message goes to one member, at the QoS granted to it [MQTT-4.8.2-3]', () => {
  const world = new World()
  const one = world.connect({ clientId: 'one' })
  const two = world.connect({ clientId: 'two' })
  one.subscribe('$share/g/a', 2)
  two.subscribe('$share/g/a', 0)
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 1; i <= 4; i++) publisher.publish('a', `m${i}`, { qos: 1, packetId: i })
  const first = one.takePublishes()
  const second = two.takePublishes()
  assert.equal(first.length + second.length, 4)
  assert.ok(first.length > 0 && first.every(publish => publish.qos === 1))
  assert.ok(second.length > 0 && second.every(publish => publish.qos === 0))
})

test('a shared QoS 2 message that was begun stays with its client \
[MQTT-4.8.2-4] [MQTT-4.8.2-5]', () => {
  const world = new World()
  const one = connectKept(world, 'one')
  one.subscribe('$share/g/a', 2)
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'm', { qos: 2 })
  const { packetId } = only(one.take(), PacketType.PUBLISH)
  const two = world.connect({ clientId: 'two' })
  two.subscribe('$share/g/a', 2)
  one.cut()
  assert.deepEqual(two.take(), [])
  const again = connectKept(world, 'one')
  const repeated = only([...again.early, ...again.take()], PacketType.PUBLISH)
  assert.equal(repeated.packetId, packetId)
  again.cut()
  world.advance(4_000_000)
  assert.deepEqual(two.take(), [])
  assert.equal(world.broker.sessions.byClientId.has('one'), false)
})

test('a shared QoS 1 message that was not acknowledged goes to another member', () => {
  const world = new World()
  const one = connectKept(world, 'one')
  one.subscribe('$share/g/a', 1)
  world.connect({ clientId: 'p' }).publish('a', 'm', { qos: 1 })
  only(one.take(), PacketType.PUBLISH)
  const two = world.connect({ clientId: 'two' })
  two.subscribe('$share/g/a', 1)
  one.cut()
  assert.equal(text(only(two.take(), PacketType.PUBLISH)), 'm')
})

test('a failure from a member ends the message for the group [MQTT-4.8.2-6]', () => {
  for (const [qos, type] of [
    [1, PacketType.PUBACK],
    [2, PacketType.PUBREC],
  ] as const) {
    const world = new World()
    const members = ['one', 'two'].map(clientId => {
      const member = world.connect({ clientId })
      member.subscribe('$share/g/a', qos)
      return member
    })
    world.connect({ clientId: 'p' }).publish('a', 'm', { qos })
    const got = members.map(member => member.takePublishes())
    const at = got.findIndex(publishes => publishes.length === 1)
    const packetId = got[at]?.[0]?.packetId ?? 0
    members[at]?.acknowledge(type, packetId, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
    members[at]?.cut()
    for (const member of members) assert.deepEqual(member.takePublishes(), [])
  }
})
