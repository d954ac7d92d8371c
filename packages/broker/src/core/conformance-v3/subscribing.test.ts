// MQTT 3.1.1 sections 3.3.1.3, 3.8 to 3.12 and 4.7: subscriptions, retained messages, topics.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_PROPERTIES, PacketType, ReasonCode } from '@godwit/packet'
import {
  assertCloses,
  connectOld,
  field,
  frame,
  OLD_LEVELS,
  only,
  texts,
} from '../../testing/bytes.ts'
import { OpenGuard, World } from '../../testing/harness.ts'

function subscribeFrame(packetId: number, ...filters: readonly [string, number][]): Uint8Array {
  return frame(0x82, [0, packetId], ...filters.flatMap(([filter, qos]) => [field(filter), qos]))
}

function unsubscribe(packetId: number, ...filters: readonly string[]) {
  return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES } as const
}

test('SUBACK answers SUBSCRIBE, a code per filter [MQTT-3.8.4-1 v3] [MQTT-3.8.4-2 v3] \
[MQTT-3.8.4-4 v3] [MQTT-3.8.4-5 v3] [MQTT-3.9.3-1 v3] [MQTT-3.8.3-2 v3]', () => {
  const client = connectOld(new World(), 'c')
  const suback = only(client.ask(subscribeFrame(9, ['a/+', 2], ['b/#', 0])), PacketType.SUBACK)
  assert.equal(suback.packetId, 9)
  assert.deepEqual(suback.reasonCodes, [2, 0])
})

test('the same filter again replaces, and sends retained messages again [MQTT-3.8.4-3 v3]', () => {
  const world = new World()
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'kept', { retain: true })
  const client = connectOld(world, 'c')
  assert.deepEqual(texts(client.subscribe('a', 2)), ['kept'])
  assert.deepEqual(texts(client.subscribe('a', 0)), ['kept'])
  publisher.publish('a', 'm', { qos: 1 })
  const publish = only(client.take(), PacketType.PUBLISH)
  assert.equal(publish.qos, 0)
})

test('delivery is at the lower of published and granted QoS [MQTT-3.8.4-6 v3]', () => {
  for (const published of [0, 1, 2] as const) {
    for (const granted of [0, 1, 2] as const) {
      const world = new World()
      const client = connectOld(world, 'c')
      client.subscribe('a', granted)
      connectOld(world, 'p').publish('a', 'm', { qos: published })
      assert.equal(only(client.take(), PacketType.PUBLISH).qos, Math.min(published, granted))
    }
  }
})

test('overlapping subscriptions give the highest QoS [MQTT-3.3.5-1 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  client.subscribe('a/b', 0)
  client.subscribe('a/#', 2)
  connectOld(world, 'p').publish('a/b', 'm', { qos: 2 })
  assert.equal(only(client.take(), PacketType.PUBLISH).qos, 2)
})

test('RETAIN 1 is kept for later subscribers and replaces what was [MQTT-3.3.1-5 v3] \
[MQTT-3.3.1-6 v3] [MQTT-3.3.1-7 v3] [MQTT-3.3.1-8 v3]', () => {
  const world = new World()
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'one', { retain: true, qos: 1 })
  publisher.publish('a', 'two', { retain: true })
  const [, publish] = connectOld(world, 'c').subscribe('a', 1)
  assert.ok(publish?.type === PacketType.PUBLISH)
  assert.deepEqual(texts([publish]), ['two'])
  assert.equal(publish.retain, true)
})

test('what comes by a subscription that exists has RETAIN 0 [MQTT-3.3.1-9 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  client.subscribe('a')
  connectOld(world, 'p').publish('a', 'm', { retain: true })
  assert.equal(only(client.take(), PacketType.PUBLISH).retain, false)
})

test('an empty retained message removes and is not kept \
[MQTT-3.3.1-10 v3] [MQTT-3.3.1-11 v3]', () => {
  const world = new World()
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'one', { retain: true }).publish('a', '', { retain: true })
  assert.deepEqual(texts(connectOld(world, 'c').subscribe('a')), [])
  assert.equal(world.broker.retainer.messages.count, 0)
})

test('RETAIN 0 leaves what is retained [MQTT-3.3.1-12 v3]', () => {
  const world = new World()
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'kept', { retain: true }).publish('a', 'passing').publish('a', '')
  assert.deepEqual(texts(connectOld(world, 'c').subscribe('a')), ['kept'])
})

test('UNSUBACK answers UNSUBSCRIBE, known filter or not [MQTT-3.10.4-1 v3] \
[MQTT-3.10.4-4 v3] [MQTT-3.10.4-5 v3] [MQTT-3.10.4-6 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  client.send(subscribeFrame(1, ['a', 0], ['b', 0], ['b/+', 0]))
  client.take()
  const unsuback = only(client.ask(unsubscribe(5, 'a', 'b/c', 'x')), PacketType.UNSUBACK)
  assert.equal(unsuback.packetId, 5)
  connectOld(world, 'p').publish('a', 'no').publish('b', 'yes').publish('b/c', 'yes')
  assert.deepEqual(texts(client.take()), ['yes', 'yes'])
})

test('UNSUBSCRIBE compares filters character by character, and takes several \
[MQTT-3.10.4-1 v3] [MQTT-3.10.4-6 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  client.ask(subscribeFrame(1, ['a', 0], ['B', 0], ['+/c', 0]))
  client.ask(unsubscribe(5, 'A', 'b', 'a/', '#'))
  const publisher = connectOld(world, 'p')
  publisher.publish('a', '1').publish('B', '2').publish('x/c', '3')
  assert.deepEqual(texts(client.take()), ['1', '2', '3'])
  client.ask(unsubscribe(6, 'a', '+/c'))
  publisher.publish('a', '4').publish('B', '5').publish('x/c', '6')
  assert.deepEqual(texts(client.take()), ['5'])
})

for (const [what, bytes] of [
  ['an UNSUBSCRIBE without a filter [MQTT-3.10.3-2 v3]', frame(0xa2, [0, 1])],
  ['a SUBSCRIBE without a filter [MQTT-3.8.3-3 v3]', frame(0x82, [0, 1])],
  ['a SUBSCRIBE to an empty filter [MQTT-4.7.3-1 v3]', frame(0x82, [0, 1], field(''), 0)],
  ['an UNSUBSCRIBE from an empty filter [MQTT-4.7.3-1 v3]', frame(0xa2, [0, 1], field(''))],
  ['a PUBLISH to an empty topic [MQTT-4.7.3-1 v3]', frame(0x30, field(''))],
] as const) {
  test(`${what} closes the connection`, () => {
    for (const protocolLevel of OLD_LEVELS) {
      assertCloses(connectOld(new World(), 'c', { protocolLevel }), bytes)
    }
  })
}

test('the packets of the server have the flags of the standard [MQTT-2.2.2-1 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  const firsts: number[] = []
  const write = client.write.bind(client)
  client.write = pieces => {
    firsts.push(pieces[0]?.[0] ?? 0)
    write(pieces)
  }
  client.subscribe('a', 2)
  client.publish('b', 'm', { qos: 1 })
  client.publish('b', 'm', { qos: 2, packetId: 2 })
  client.acknowledge(PacketType.PUBREL, 2)
  connectOld(world, 'p').publish('a', 'm', { qos: 2 })
  client.acknowledge(PacketType.PUBREC, 1)
  client.ask(unsubscribe(5, 'a'))
  client.ask(frame(0xc0))
  assert.deepEqual(firsts, [0x90, 0x40, 0x50, 0x70, 0x34, 0x62, 0xb0, 0xd0])
})

test('a refused filter gets 0x80 in SUBACK, whatever the reason [MQTT-3.9.3-2 v3]', () => {
  class Strict extends OpenGuard {
    override maySubscribe(...[, filter]: Parameters<OpenGuard['maySubscribe']>): number {
      return filter === 'no' ? ReasonCode.NOT_AUTHORIZED : 0
    }
  }
  const client = connectOld(new World({ guard: new Strict() }), 'c')
  const suback = only(client.ask(subscribeFrame(1, ['a', 2], ['no', 1])), PacketType.SUBACK)
  assert.deepEqual(suback.reasonCodes, [2, 0x80])
})

test('after UNSUBSCRIBE nothing new comes, what has begun is finished \
[MQTT-3.10.4-2 v3] [MQTT-3.10.4-3 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c', { cleanStart: false })
  client.subscribe('a', 2)
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'one', { qos: 2 })
  const { packetId } = only(client.take(), PacketType.PUBLISH)
  only(client.ask(unsubscribe(5, 'a')), PacketType.UNSUBACK)
  publisher.publish('a', 'two', { qos: 2, packetId: 2 })
  only(client.acknowledge(PacketType.PUBREC, packetId), PacketType.PUBREL)
  assert.deepEqual(client.acknowledge(PacketType.PUBCOMP, packetId), [])
})

test('PINGREQ is answered by PINGRESP [MQTT-3.12.4-1 v3]', () => {
  only(connectOld(new World(), 'c').ask({ type: PacketType.PINGREQ }), PacketType.PINGRESP)
})

test('"#" and "+" fill whole levels, "#" the last [MQTT-4.7.1-2 v3] [MQTT-4.7.1-3 v3]', () => {
  for (const filter of ['a/#/b', 'a#', '#/', 'a+', '+a/b', 'a/+b']) {
    assertCloses(connectOld(new World(), 'c'), subscribeFrame(1, [filter, 0]))
  }
  const client = connectOld(new World(), 'c')
  const filters = [['#', 0] as const, ['+', 0] as const, ['a/+/#', 0] as const, ['/+', 0] as const]
  const frameOf = subscribeFrame(
    1,
    ...filters.map(([filter, qos]): [string, number] => [filter, qos]),
  )
  assert.deepEqual(only(client.ask(frameOf), PacketType.SUBACK).reasonCodes, [0, 0, 0, 0])
})

test('a wildcard at the start does not match a topic that begins with "$" \
[MQTT-4.7.2-1 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  for (const filter of ['#', '+/b']) client.subscribe(filter)
  const other = connectOld(world, 'd')
  other.subscribe('$a/#')
  connectOld(world, 'p').publish('$a/b', 'm')
  assert.deepEqual(client.take(), [])
  assert.deepEqual(texts(other.take()), ['m'])
})

test('topics are compared byte by byte [MQTT-4.7.3-4 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c')
  client.subscribe('Café')
  const publisher = connectOld(world, 'p')
  for (const topic of ['Cafe\u0301', 'café', 'Café/', '/Café', 'Café']) {
    publisher.publish(topic, topic)
  }
  assert.deepEqual(texts(client.take()), ['Café'])
})

test('a server supports clients and transports as the standard says \
[MQTT-7.0.0-2 v3] [MQTT-7.1.1-1 v3]', () => {
  // The whole way of every QoS over an ordered byte stream, and a transient error that only ends
  // the connection it came on.
  const world = new World()
  const client = connectOld(world, 'c')
  client.subscribe('a', 2)
  assertCloses(connectOld(world, 'bad'), frame(0xff))
  const publisher = connectOld(world, 'p')
  for (const qos of [0, 1, 2] as const) {
    publisher.publish('a', `m${qos}`, { qos, packetId: qos })
  }
  assert.deepEqual(texts(client.take()), ['m0', 'm1', 'm2'])
})
