// MQTT 5.0 sections 1.5 and 2: data types, flags and packet identifiers as the server reads and
// writes them. A peer that breaks them is told why by DISCONNECT or CONNACK, and let go.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { assertCloses, field, frame, only, publishesOf } from '../../testing/bytes.ts'
import { connectPacket, text, World } from '../../testing/harness.ts'
import {
  assertConnack,
  assertDisconnects,
  connectFrame5,
  connectKept,
  subscribePacket,
  unsubscribePacket,
  watch,
  willOf,
} from '../../testing/v5.ts'

const MALFORMED = ReasonCode.MALFORMED_PACKET

const IllFormed: readonly (readonly [string, readonly number[]])[] = [
  ['a lone continuation byte', [0x61, 0x80]],
  ['an overlong form', [0xc0, 0xaf]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a sequence that is cut', [0x61, 0xe2, 0x82]],
]

for (const [what, bytes] of IllFormed) {
  test(`a client id with ${what} is malformed [MQTT-1.5.4-1]`, () => {
    assertConnack(new World().open(), connectFrame5(2, [], bytes), MALFORMED)
  })

  test(`a will topic with ${what} is malformed [MQTT-1.5.4-1]`, () => {
    const sent = connectFrame5(6, [], 'c', 0, field(bytes), field('w'))
    assertConnack(new World().open(), sent, MALFORMED)
  })

  test(`a user name with ${what} is malformed [MQTT-1.5.4-1]`, () => {
    assertConnack(new World().open(), connectFrame5(0x82, [], 'c', field(bytes)), MALFORMED)
  })

  test(`a topic name with ${what} is malformed [MQTT-1.5.4-1] [MQTT-3.3.2-1]`, () => {
    assertDisconnects(new World().connect(), frame(0x30, field(bytes), 0, 1), MALFORMED)
  })

  test(`a topic filter with ${what} is malformed [MQTT-1.5.4-1] [MQTT-4.7.3-3]`, () => {
    const world = new World()
    const subscribe = frame(0x82, [0, 1], 0, field(bytes), 0)
    assertDisconnects(world.connect(), subscribe, MALFORMED)
    const unsubscribe = frame(0xa2, [0, 1], 0, field(bytes))
    assertDisconnects(world.connect(), unsubscribe, MALFORMED)
  })

  test(`a user property with ${what} is malformed [MQTT-1.5.7-1]`, () => {
    const world = new World()
    for (const pair of [
      [0x26, field(bytes), field('v')],
      [0x26, field('n'), field(bytes)],
    ]) {
      const properties = pair.flat()
      const publish = frame(0x30, field('a'), properties.length, properties)
      assertDisconnects(world.connect(), publish, MALFORMED)
      assertConnack(world.open(), connectFrame5(2, properties), MALFORMED)
    }
  })

  test(`a response topic with ${what} is malformed [MQTT-3.3.2-13]`, () => {
    const properties = [0x08, ...field(bytes)]
    const publish = frame(0x30, field('a'), properties.length, properties)
    assertDisconnects(new World().connect(), publish, MALFORMED)
  })

  test(`a content type with ${what} is malformed [MQTT-3.3.2-19]`, () => {
    const properties = [0x03, ...field(bytes)]
    const publish = frame(0x30, field('a'), properties.length, properties)
    assertDisconnects(new World().connect(), publish, MALFORMED)
  })
}

test('U+0000 in any string is malformed [MQTT-1.5.4-2] [MQTT-4.7.3-2]', () => {
  const world = new World()
  const nul = field([0x61, 0, 0x62])
  assertConnack(world.open(), connectFrame5(2, [], [0x61, 0]), MALFORMED)
  assertConnack(world.open(), connectFrame5(0x82, [], 'c', nul), MALFORMED)
  assertConnack(world.open(), connectFrame5(6, [], 'c', 0, nul, field('w')), MALFORMED)
  assertDisconnects(world.connect(), frame(0x30, nul, 0, 1), MALFORMED)
  assertDisconnects(world.connect(), frame(0x82, [0, 1], 0, nul, 0), MALFORMED)
  assertDisconnects(world.connect(), frame(0xa2, [0, 1], 0, nul), MALFORMED)
  const pair = [0x26, ...nul, ...field('v')]
  assertDisconnects(world.connect(), frame(0x30, field('a'), pair.length, pair), MALFORMED)
})

test('EF BB BF is a character like others and is passed on [MQTT-1.5.4-3]', () => {
  const world = new World()
  const subscriber = world.connect({ clientId: 's' })
  subscriber.subscribe('\ufeffa', 0, {}, 1)
  subscriber.subscribe('a')
  world.connect({ clientId: 'p' }).send(frame(0x30, field([0xef, 0xbb, 0xbf, 0x61]), 0, 0x31))
  assert.deepEqual(
    subscriber.takePublishes().map(packet => packet.topic),
    ['\ufeffa'],
  )
})

test('a remaining length that is longer than need be is malformed [MQTT-1.5.5-1]', () => {
  const publish = Uint8Array.from([0x30, 0x84, 0, 0, 1, 0x61, 0])
  assertDisconnects(new World().connect(), publish, MALFORMED)
  const five = Uint8Array.from([0x30, 0x84, 0x80, 0x80, 0x80, 0])
  assertDisconnects(new World().connect(), five, MALFORMED)
})

test('a property length that is longer than need be is malformed [MQTT-1.5.5-1]', () => {
  const world = new World()
  assertDisconnects(world.connect(), frame(0x30, field('a'), 0x80, 0), MALFORMED)
  assertDisconnects(world.connect(), frame(0x82, [0, 1], 0x80, 0, field('a'), 0), MALFORMED)
})

test('a subscription identifier that is longer than need be is malformed [MQTT-1.5.5-1]', () => {
  const properties = [0x0b, 0x81, 0]
  const sent = frame(0x82, [0, 1], properties.length, properties, field('a'), 0)
  assertDisconnects(new World().connect(), sent, MALFORMED)
})

test('every length goes out in the shortest form [MQTT-1.5.5-1]', () => {
  for (const size of [1, 120, 127, 128, 16_380, 16_384]) {
    const world = new World()
    const subscriber = world.connect({ clientId: 's', protocolLevel: 4 })
    subscriber.subscribe('a')
    // The decoder of the test refuses anything longer.
    world.connect({ clientId: 'p' }).publish('a', 'x'.repeat(size))
    assert.equal(subscriber.takePublishes()[0]?.payload.length, size)
  }
})

const WrongFlags: readonly (readonly [string, Uint8Array])[] = [
  ['SUBSCRIBE with flags 0 [MQTT-3.8.1-1]', frame(0x80, [0, 1], 0, field('a'), 0)],
  ['SUBSCRIBE with flags 3 [MQTT-3.8.1-1]', frame(0x83, [0, 1], 0, field('a'), 0)],
  ['UNSUBSCRIBE with flags 0 [MQTT-3.10.1-1]', frame(0xa0, [0, 1], 0, field('a'))],
  ['UNSUBSCRIBE with flags 6 [MQTT-3.10.1-1]', frame(0xa6, [0, 1], 0, field('a'))],
  ['PUBREL with flags 0 [MQTT-3.6.1-1]', frame(0x60, 0, 1)],
  ['PUBREL with flags 10 [MQTT-3.6.1-1]', frame(0x6a, 0, 1)],
  ['PUBREL with flags 0 and a reason [MQTT-3.6.1-1]', frame(0x60, 0, 1, 0, 0)],
  ['PUBACK with flags 2', frame(0x42, 0, 1)],
  ['PUBREC with flags 1', frame(0x51, 0, 1)],
  ['PUBCOMP with flags 8', frame(0x78, 0, 1)],
  ['PINGREQ with flags 1', frame(0xc1)],
  ['DISCONNECT with flags 1 [MQTT-3.14.1-1]', frame(0xe1)],
  ['DISCONNECT with a reason and flags 2 [MQTT-3.14.1-1]', frame(0xe2, 0)],
  ['AUTH with flags 1 [MQTT-3.15.1-1]', frame(0xf1)],
]

for (const [what, bytes] of WrongFlags) {
  test(`${what} is malformed and ends the connection [MQTT-2.1.3-1]`, () => {
    const world = new World()
    const watcher = watch(world, 'will')
    const client = world.connect({ will: willOf('will', 'gone') })
    assertDisconnects(client, bytes, MALFORMED)
    // It is a violation, no proper end: not even a DISCONNECT with wrong flags is one.
    assert.equal(watcher.takePublishes().length, 1)
  })
}

test('CONNECT with flags in its first byte is malformed [MQTT-2.1.3-1]', () => {
  const bytes = encodePacket(connectPacket(), 5)
  bytes[0] = 0x11
  assertConnack(new World().open(), bytes, MALFORMED)
})

test('a QoS 0 PUBLISH goes out without packet identifier [MQTT-2.2.1-2]', () => {
  const world = new World()
  const subscriber = watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'x', { qos: 1, packetId: 0x4141 })
  publisher.publish('a', 'x', { qos: 2, packetId: 0x4141 })
  for (const packet of subscriber.takePublishes()) assert.equal(text(packet), 'x')
  // What follows the topic of a QoS 0 PUBLISH are its properties, not an identifier.
  publisher.send(frame(0x30, field('a'), 0, 0x41, 0x42))
  assert.equal(text(only(subscriber.take(), PacketType.PUBLISH)), 'AB')
})

test('messages in flight have identifiers of their own, none of them 0 [MQTT-2.2.1-4]', () => {
  const world = new World({ limits: { inflightMax: 65_535, queuedMessagesMax: 100_000 } })
  const subscriber = world.connect({ clientId: 's' })
  subscriber.subscribe('a', 2)
  const publisher = world.connect({ clientId: 'p' })
  const seen = new Set<number>()
  for (let i = 0; i < 300; i++) {
    publisher.publish('a', 'x', { qos: i % 2 === 0 ? 1 : 2, packetId: 1 })
    publisher.acknowledge(PacketType.PUBREL, 1)
    for (const packet of subscriber.takePublishes()) {
      assert.ok(packet.packetId > 0)
      assert.equal(seen.has(packet.packetId), false)
      seen.add(packet.packetId)
    }
  }
  assert.equal(seen.size, 300)
})

test('identifiers start again behind 65535, those in use left out [MQTT-2.2.1-4]', () => {
  const world = new World()
  const subscriber = connectKept(world, 's')
  subscriber.subscribe('a', 1)
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a', 'held', { qos: 1 })
  const held = subscriber.takePublishes()[0]?.packetId ?? 0
  const send = frame(0x32, field('a'), [0, 2], 0, 0x78)
  const acknowledgeAll = (): number[] => {
    const ids = publishesOf(subscriber.take()).map(packet => packet.packetId)
    for (const id of ids) subscriber.send(frame(0x40, id >> 8, id & 255))
    return ids
  }
  let sent = 0
  for (let i = 0; i < 65_540; i++) {
    publisher.send(send)
    const ids = acknowledgeAll()
    sent += ids.length
    assert.equal(ids.includes(held) || ids.includes(0), false)
  }
  // All others were used once: the oldest one is next, and what would need it waits.
  assert.equal(sent, 65_534)
  subscriber.send(frame(0x40, held >> 8, held & 255))
  assert.deepEqual(acknowledgeAll(), [held, held + 1, held + 2, held + 3, held + 4, held + 5])
})

test('PUBACK, PUBREC, PUBREL and PUBCOMP repeat the identifier [MQTT-2.2.1-5]', () => {
  const world = new World()
  const client = world.connect()
  client.subscribe('a', 2)
  client.publish('b', 'x', { qos: 1, packetId: 0xfffe })
  assert.equal(only(client.take(), PacketType.PUBACK).packetId, 0xfffe)
  client.publish('b', 'x', { qos: 2, packetId: 0x102 })
  assert.equal(only(client.take(), PacketType.PUBREC).packetId, 0x102)
  const pubcomp = only(client.acknowledge(PacketType.PUBREL, 0x102), PacketType.PUBCOMP)
  assert.equal(pubcomp.packetId, 0x102)
  world.connect({ clientId: 'p' }).publish('a', 'x', { qos: 2, packetId: 900 })
  const { packetId } = only(client.take(), PacketType.PUBLISH)
  assert.notEqual(packetId, 900)
  const pubrel = only(client.acknowledge(PacketType.PUBREC, packetId), PacketType.PUBREL)
  assert.equal(pubrel.packetId, packetId)
})

test('SUBACK and UNSUBACK repeat the identifier of the request [MQTT-2.2.1-6]', () => {
  const client = new World().connect()
  for (const packetId of [1, 255, 256, 65_535]) {
    const suback = only(client.ask(subscribePacket(packetId, ['a'])), PacketType.SUBACK)
    assert.equal(suback.packetId, packetId)
    const unsuback = only(client.ask(unsubscribePacket(packetId, ['a'])), PacketType.UNSUBACK)
    assert.equal(unsuback.packetId, packetId)
  }
})

test('no properties go out as a property length of 0 [MQTT-2.2.2-1]', () => {
  const world = new World()
  const subscriber = world.connect({ clientId: 's' })
  // A level 4 publisher gives none: the byte has to be put in.
  const suback = subscriber.subscribe('a')
  assert.deepEqual(only(suback, PacketType.SUBACK).properties, {})
  world.connect({ clientId: 'p', protocolLevel: 4 }).publish('a', '\u0000x')
  const publish = only(subscriber.take(), PacketType.PUBLISH)
  assert.deepEqual(publish.properties, {})
  assert.equal(text(publish), '\u0000x')
})

test('a PUBLISH, SUBSCRIBE or UNSUBSCRIBE without property length is malformed [MQTT-2.2.2-1]', () => {
  const world = new World()
  assertDisconnects(world.connect(), frame(0x30, field('a')), MALFORMED)
  assertDisconnects(world.connect(), frame(0x82, [0, 1]), MALFORMED)
  assertDisconnects(world.connect(), frame(0xa2, [0, 1]), MALFORMED)
})

const NoIdentifier: readonly (readonly [string, Uint8Array])[] = [
  ['PUBLISH at QoS 1', frame(0x32, field('a'), [0, 0], 0)],
  ['PUBLISH at QoS 2', frame(0x34, field('a'), [0, 0], 0)],
  ['SUBSCRIBE', frame(0x82, [0, 0], 0, field('a'), 0)],
  ['UNSUBSCRIBE', frame(0xa2, [0, 0], 0, field('a'))],
  ['PUBACK', frame(0x40, 0, 0)],
  ['PUBREL with a reason', frame(0x62, 0, 0, 0x92)],
]

for (const [what, bytes] of NoIdentifier) {
  test(`${what} with identifier 0 is a protocol error [MQTT-2.2.1-3]`, () => {
    assertDisconnects(new World().connect(), bytes, ReasonCode.PROTOCOL_ERROR)
  })
}

test('packets of types that only a server sends end the connection [MQTT-4.13.1-1]', () => {
  const world = new World()
  for (const bytes of [frame(0x20, 0, 0, 0), frame(0x90, 0, 1, 0, 0), frame(0xd0)]) {
    assertDisconnects(world.connect(), bytes, ReasonCode.PROTOCOL_ERROR)
  }
  assertDisconnects(world.connect(), frame(0x00), MALFORMED)
})

test('a packet over the maximum is refused by its header [MQTT-4.13.1-1]', () => {
  const world = new World({ limits: { packetBytesMax: 100 } })
  const fits = frame(0x30, field('a'), 0, new Array(94).fill(0x61))
  assert.equal(fits.length, 100)
  const client = world.connect()
  assert.equal(client.connack?.properties.maximumPacketSize, 100)
  assert.deepEqual(client.ask(fits), [])
  assert.equal(client.ended, false)
  const header = Uint8Array.from([0x30, 99])
  assertDisconnects(client, header, ReasonCode.PACKET_TOO_LARGE)
})

test('a CONNECT over its maximum ends the connection [MQTT-4.13.1-1]', () => {
  const world = new World({ limits: { connectPacketBytesMax: 30 } })
  assertCloses(world.open(), connectFrame5(2, [], 'x'.repeat(16)))
  const good = connectFrame5(2, [], 'x'.repeat(15))
  assert.equal(only(world.open().ask(good), PacketType.CONNACK).reasonCode, 0)
})

test('frames may be cut anywhere and come together [MQTT-4.2-1]', () => {
  const world = new World()
  const subscriber = watch(world, 'a')
  const stream = [
    ...connectFrame5(2, [], 'p'),
    ...frame(0x30, field('a'), 0, 1),
    ...frame(0x30, field('a'), 0, 2),
    ...frame(0x32, field('a'), [0, 1], 0, 3),
    ...frame(0xc0),
  ]
  for (let size = 1; size < stream.length; size++) {
    const client = world.open()
    for (let at = 0; at < stream.length; at += size) {
      client.send(Uint8Array.from(stream.slice(at, at + size)))
    }
    assert.deepEqual(
      client.take().map(packet => packet.type),
      [PacketType.CONNACK, PacketType.PUBACK, PacketType.PINGRESP],
    )
    const payloads = subscriber.takePublishes().map(packet => packet.payload[0])
    assert.deepEqual(payloads, [1, 2, 3])
  }
})
