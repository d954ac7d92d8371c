// MQTT 5.0 section 3.3 on every way that a message takes through the core: to sessions that are
// kept and to those that are not, live and retained, and PUBLISH packets that no client may send.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Packet, PacketType, ReasonCode } from '@godwit/packet'
import { field, frame, only } from '../../testing/bytes.ts'
import { type TestClient, text, World } from '../../testing/harness.ts'
import { assertDisconnects, connectKept, typesOf, watch } from '../../testing/v5.ts'

const { PUBACK, PUBCOMP, PUBLISH, PUBREC } = PacketType

/** A client whose session is kept, or ends with its connection: they are served in two ways. */
function clientOf(world: World, isKept: boolean, properties = {}): TestClient {
  return isKept ? connectKept(world, 'c', properties) : world.connect({ clientId: 'c', properties })
}

for (const [what, bytes, code] of [
  ['QoS 3 is malformed [MQTT-3.3.1-4]', frame(0x36, field('a'), [0, 1], 0), 0x81],
  ['DUP with QoS 0 is malformed [MQTT-3.3.1-2]', frame(0x38, field('a'), 0), 0x81],
  ['no topic and no alias is a protocol error [MQTT-4.7.3-1]', frame(0x30, field(''), 0), 0x82],
  ['the topic alias 0 is invalid [MQTT-3.3.2-8]', frame(0x30, field('a'), [3, 0x23, 0, 0]), 0x94],
  [
    'a topic alias over the maximum is invalid [MQTT-3.3.2-9]',
    frame(0x30, field('a'), [3, 0x23, 0xff, 0xff]),
    0x94,
  ],
  [
    'a subscription identifier is a protocol error [MQTT-3.3.4-6]',
    frame(0x30, field('a'), [2, 0x0b, 1]),
    0x82,
  ],
  [
    'a response topic with "#" is a protocol error [MQTT-3.3.2-14]',
    frame(0x30, field('a'), [6, 0x08, ...field('r/#')]),
    0x82,
  ],
  [
    'a response topic with "+" is a protocol error [MQTT-3.3.2-14]',
    frame(0x30, field('a'), [4, 0x08, ...field('+')]),
    0x82,
  ],
  [
    'packet identifier 0 is a protocol error [MQTT-2.2.1-3]',
    frame(0x32, field('a'), [0, 0], 0),
    0x82,
  ],
  ['a topic "+" is invalid [MQTT-3.3.2-2] [MQTT-4.7.0-1]', frame(0x30, field('a/+'), 0), 0x90],
  ['a topic "#" is invalid [MQTT-3.3.2-2] [MQTT-4.7.0-1]', frame(0x30, field('#'), 0), 0x90],
] as const) {
  test(`PUBLISH: ${what}`, () => {
    const world = new World()
    const watcher = watch(world, '#')
    assertDisconnects(world.connect(), bytes, code)
    assert.deepEqual(watcher.take(), [])
  })
}

test('what is wrong with one PUBLISH is found in the same bytes again', () => {
  const world = new World()
  const good = frame(0x30, field('a'), [5, 0x08, ...field('ab')])
  for (let i = 0; i < 3; i++) world.connect({ clientId: `${i}` }).send(good)
  const wrong = frame(0x30, field('a'), [5, 0x08, ...field('a+')])
  for (let i = 0; i < 2; i++) assertDisconnects(world.connect(), wrong, ReasonCode.PROTOCOL_ERROR)
})

for (const isKept of [true, false]) {
  const whose = isKept ? 'a kept session' : 'a session that ends with its connection'

  test(`never more than Receive Maximum is under way to ${whose} \
[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]`, () => {
    for (const qos of [1, 2] as const) {
      const world = new World()
      const client = clientOf(world, isKept, { receiveMaximum: 2 })
      client.subscribe('t', 2)
      const publisher = world.connect({ clientId: 'p' })
      for (let i = 1; i <= 5; i++) publisher.publish('t', `m${i}`, { qos, packetId: i })
      const [first, second, ...more] = client.takePublishes()
      assert.deepEqual(
        [first, second].map(packet => packet && text(packet)),
        ['m1', 'm2'],
      )
      assert.deepEqual(more, [])
      const packetId = first?.packetId ?? 0
      if (qos === 2) assert.deepEqual(typesOf(client.acknowledge(PUBREC, packetId)), [6])
      assert.deepEqual(typesOf(client.acknowledge(qos === 1 ? PUBACK : PUBCOMP, packetId)), [3])
    }
  })

  test(`a message beyond Maximum Packet Size does not go to ${whose}, the next does \
[MQTT-3.1.2-24] [MQTT-3.1.2-25]`, () => {
    for (const qos of [0, 1, 2] as const) {
      for (const [length, isSent] of [
        [73, true],
        [74, false],
      ] as const) {
        const world = new World()
        // QoS 0 goes out in two bytes less: the frame is made just as large by its topic.
        const topic = qos === 0 ? 'abc' : 'a'
        const client = clientOf(world, isKept, { maximumPacketSize: 81 })
        client.subscribe(topic, 2)
        const publisher = world.connect({ clientId: 'p' })
        publisher.publish(topic, 'x'.repeat(length), { qos })
        publisher.publish(topic, 'next', { qos, packetId: qos === 0 ? 0 : 2 })
        const lengths = client.takePublishes().map(({ payload }) => payload.length)
        assert.deepEqual(lengths, isSent ? [length, 4] : [4])
        assert.equal(world.broker.ledger.totalOf('packet-too-large'), isSent ? 0 : 1)
      }
    }
  })

  test(`the first copy to ${whose} has no DUP, whatever the publisher says \
[MQTT-3.3.1-3] [MQTT-4.3.2-2] [MQTT-4.3.3-2]`, () => {
    for (const qos of [1, 2] as const) {
      const world = new World()
      const client = clientOf(world, isKept)
      client.subscribe('t', 2)
      world.connect({ clientId: 'p' }).publish('t', 'm', { qos, dup: true })
      const publish = only(client.take(), PacketType.PUBLISH)
      assert.deepEqual([publish.qos, publish.dup], [qos, false])
    }
  })
}

test('QoS 1 and 2 with DUP go out at QoS 0 without DUP \
[MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-3.3.1-2 v3] [MQTT-4.3.1-1 v3]', () => {
  for (const protocolLevel of [4, 5] as const) {
    for (const qos of [1, 2] as const) {
      const world = new World()
      const client = world.connect({ clientId: 'c', protocolLevel })
      client.subscribe('t', 0)
      world.connect({ clientId: 'p' }).publish('t', 'm', { qos, dup: true })
      const publish = only(client.take(), PacketType.PUBLISH)
      assert.deepEqual([publish.qos, publish.dup, publish.packetId], [0, false, 0])
    }
  }
})

test("a publisher's alias is its own: no subscriber sees it [MQTT-3.1.2-27]", () => {
  for (const qos of [0, 1] as const) {
    const world = new World()
    const plain = watch(world, 't', 'plain')
    const aliasing = world.connect({ clientId: 'a', properties: { topicAliasMaximum: 3 } })
    aliasing.subscribe('t', 1)
    const kept = connectKept(world, 'kept')
    kept.subscribe('t', 1)
    kept.cut()
    const publisher = world.connect({ clientId: 'p' })
    const packetId = qos
    publisher.publish('t', 'one', { qos, packetId, properties: { topicAlias: 9 } })
    publisher.publish('', 'two', { qos, packetId: qos * 2, properties: { topicAlias: 9 } })
    for (const publish of plain.takePublishes()) {
      assert.equal(publish.topic, 't')
      assert.deepEqual(publish.properties, {})
    }
    const aliases = aliasing.takePublishes().map(({ properties }) => properties.topicAlias)
    assert.deepEqual(aliases, [1, 1])
    const again = connectKept(world, 'kept')
    for (const packet of [...again.early, ...again.take()]) {
      assert.ok(packet.type === PacketType.PUBLISH && packet.topic === 't')
      assert.deepEqual(packet.properties, {})
    }
  }
})

test('overlapping subscriptions give the highest QoS, in whatever order \
[MQTT-3.3.4-2] [MQTT-3.3.5-1 v3]', () => {
  const filters = ['a/b', 'a/+', '#']
  for (let first = 0; first < 6; first++) {
    for (const step of [1, 2]) {
      const world = new World()
      const protocolLevel = first < 3 ? 4 : 5
      const client = world.connect({ clientId: 'c', protocolLevel })
      for (let i = 0; i < 3; i++) {
        const qos = ((first + i * step) % 3) as 0 | 1 | 2
        client.subscribe(filters[i] ?? '', qos)
      }
      world.connect({ clientId: 'p' }).publish('a/b', 'm', { qos: 2 })
      assert.equal(only(client.take(), PacketType.PUBLISH).qos, 2)
    }
  }
})

test('a wildcard at the start matches no topic with "$", live or retained \
[MQTT-4.7.2-1] [MQTT-4.7.2-1 v3]', () => {
  const world = new World()
  world.connect({ clientId: 'p' }).publish('$a/b', 'retained', { retain: true })
  const client = world.connect({ clientId: 'c' })
  for (const filter of ['#', '+/b', '+/#', '+/+']) {
    assert.deepEqual(typesOf(client.subscribe(filter)), [PacketType.SUBACK])
  }
  world.connect({ clientId: 'q' }).publish('$a/b', 'live')
  assert.deepEqual(client.take(), [])
  const named = world.connect({ clientId: 'd' })
  for (const filter of ['$a/#', '$a/+', '$a/b']) {
    assert.deepEqual(typesOf(named.subscribe(filter)), [PacketType.SUBACK, PacketType.PUBLISH])
  }
})

test('topics and filters are compared as they are written, with wildcards too \
[MQTT-4.7.3-4] [MQTT-4.7.3-4 v3]', () => {
  const levels = ['\u00e9', 'e\u0301', '\u2126', '\u03a9', 'A', 'a', 'a ', '']
  for (const level of levels) {
    const world = new World()
    const publisher = world.connect({ clientId: 'p' })
    for (const other of levels) publisher.publish(`t/${other}`, 'm', { retain: true })
    const client = world.connect()
    const retained = client.subscribe(`+/${level}`).filter(({ type }) => type === PUBLISH)
    for (const other of levels) publisher.publish(`t/${other}`, 'm')
    const topics = [...retained, ...client.take()].map(packet => 'topic' in packet && packet.topic)
    assert.deepEqual(topics, [`t/${level}`, `t/${level}`])
  }
})

test("a retained message of one's own does not come back with No Local [MQTT-3.8.3-3]", () => {
  const world = new World()
  const client = connectKept(world, 'c')
  client.publish('own', 'm', { retain: true })
  world.connect({ clientId: 'p' }).publish('other', 'm', { retain: true })
  const topics = (packets: readonly Packet[]): unknown[] =>
    packets.flatMap(packet => ('topic' in packet ? [packet.topic] : []))
  assert.deepEqual(topics(client.subscribe('#', 0, { noLocal: true })), ['other'])
  // It is the client id that counts, not the connection.
  const again = connectKept(world, 'c')
  assert.deepEqual(topics(again.subscribe('#', 0, { noLocal: true })), ['other'])
  assert.deepEqual(topics(again.subscribe('+', 0)).sort(), ['other', 'own'])
})

test('QoS 2 identifiers of an earlier connection take no room in the Receive Maximum \
[MQTT-4.9.0-1]', () => {
  const world = new World({ limits: { receiveMaximum: 2 } })
  const first = connectKept(world, 'p')
  for (const packetId of [1, 2]) first.publish('t', 'm', { qos: 2, packetId })
  assert.deepEqual(typesOf(first.take()), [PUBREC, PUBREC])
  first.cut()
  const again = connectKept(world, 'p')
  for (const packetId of [3, 4]) again.publish('t', 'm', { qos: 2, packetId })
  assert.deepEqual(typesOf(again.take()), [PUBREC, PUBREC])
  // One that is sent again is in the window of this connection.
  assertDisconnects(again, publishFrame(5), ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
  const third = connectKept(world, 'p')
  third.publish('t', 'm', { qos: 2, packetId: 1, dup: true })
  third.publish('t', 'm', { qos: 2, packetId: 5 })
  assert.deepEqual(typesOf(third.take()), [PUBREC, PUBREC])
  third.acknowledge(PacketType.PUBREL, 2)
  assertDisconnects(third, publishFrame(6), ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
})

function publishFrame(packetId: number): Uint8Array {
  return frame(0x34, field('t'), [0, packetId], 0)
}

test('QoS 1 under an identifier that waits for PUBREL is told that it is in use', () => {
  const world = new World()
  const watcher = watch(world, 't')
  const client = world.connect()
  client.publish('t', 'one', { qos: 2, packetId: 7 })
  client.take()
  client.publish('t', 'two', { qos: 1, packetId: 7 })
  const puback = only(client.take(), PacketType.PUBACK)
  assert.equal(puback.reasonCode, ReasonCode.PACKET_IDENTIFIER_IN_USE)
  assert.deepEqual(watcher.takePublishes().map(text), ['one'])
  assert.equal(only(client.acknowledge(PacketType.PUBREL, 7), PUBCOMP).reasonCode, 0)
})

test('a store that fails is the reason of no protocol error [MQTT-3.14.2-1]', () => {
  const world = new World()
  const client = world.connect()
  world.broker.storeFailed('no disk')
  const disconnect = only(client.take(), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, ReasonCode.UNSPECIFIED_ERROR)
})
