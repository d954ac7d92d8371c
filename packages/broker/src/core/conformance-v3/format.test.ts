// MQTT 3.1.1 sections 1.5 and 2: strings, flags and packet identifiers as the server reads and
// writes them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'
import {
  assertCloses,
  connectFrame,
  connectOld,
  field,
  frame,
  OLD_LEVELS,
  only,
} from '../../testing/bytes.ts'
import { connectPacket, text, World } from '../../testing/harness.ts'

const IllFormed: readonly (readonly [string, readonly number[]])[] = [
  ['a lone continuation byte', [0x61, 0x80]],
  ['an overlong form', [0xc0, 0xaf]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a sequence that is cut', [0x61, 0xe2, 0x82]],
]

for (const [what, bytes] of IllFormed) {
  test(`a client id with ${what} closes the connection [MQTT-1.5.3-1 v3] [MQTT-3.1.3-4 v3]`, () => {
    assertCloses(new World().open(4), connectFrame(2, bytes))
  })

  test(`a topic with ${what} closes the connection [MQTT-1.5.3-1 v3] [MQTT-3.3.2-1 v3]`, () => {
    assertCloses(connectOld(new World(), 'c'), frame(0x30, field(bytes), 1))
  })

  test(`a filter with ${what} closes the connection [MQTT-1.5.3-1 v3] [MQTT-3.8.3-1 v3]`, () => {
    assertCloses(connectOld(new World(), 'c'), frame(0x82, 0, 1, field(bytes), 0))
  })

  test(`UNSUBSCRIBE with ${what} closes [MQTT-1.5.3-1 v3] [MQTT-3.10.3-1 v3]`, () => {
    assertCloses(connectOld(new World(), 'c'), frame(0xa2, 0, 1, field(bytes)))
  })

  test(`a will topic with ${what} closes [MQTT-1.5.3-1 v3] [MQTT-3.1.3-10 v3]`, () => {
    assertCloses(new World().open(4), connectFrame(6, 'raw', field(bytes), field('w')))
  })

  test(`a user name with ${what} closes [MQTT-1.5.3-1 v3] [MQTT-3.1.3-11 v3]`, () => {
    assertCloses(new World().open(4), connectFrame(0x82, 'raw', field(bytes)))
  })
}

test('U+0000 in any string closes the connection [MQTT-1.5.3-2 v3] [MQTT-4.7.3-2 v3]', () => {
  const world = new World()
  const nul = field([0x61, 0, 0x62])
  assertCloses(world.open(4), connectFrame(2, [0x61, 0]))
  assertCloses(world.open(4), connectFrame(0x82, 'raw', nul))
  assertCloses(world.open(4), connectFrame(6, 'raw', nul, field('w')))
  assertCloses(connectOld(world, 'a'), frame(0x30, nul, 1))
  assertCloses(connectOld(world, 'b'), frame(0x82, 0, 1, nul, 0))
  assertCloses(connectOld(world, 'c'), frame(0xa2, 0, 1, nul))
})

test('EF BB BF is a character like others and is passed on [MQTT-1.5.3-3 v3]', () => {
  const world = new World()
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('\ufeffa')
  subscriber.subscribe('a')
  const publisher = connectOld(world, 'p')
  publisher.send(frame(0x30, field([0xef, 0xbb, 0xbf, 0x61]), 0x31))
  const topics = subscriber.takePublishes().map(packet => packet.topic)
  assert.deepEqual(topics, ['\ufeffa'])
})

const WrongFlags: readonly (readonly [string, Uint8Array])[] = [
  ['SUBSCRIBE with flags 0 [MQTT-3.8.1-1 v3]', frame(0x80, 0, 1, field('a'), 0)],
  ['SUBSCRIBE with flags 3 [MQTT-3.8.1-1 v3]', frame(0x83, 0, 1, field('a'), 0)],
  ['UNSUBSCRIBE with flags 0 [MQTT-3.10.1-1 v3]', frame(0xa0, 0, 1, field('a'))],
  ['UNSUBSCRIBE with flags 6 [MQTT-3.10.1-1 v3]', frame(0xa6, 0, 1, field('a'))],
  ['PUBREL with flags 0 [MQTT-3.6.1-1 v3]', frame(0x60, 0, 1)],
  ['PUBREL with flags 10 [MQTT-3.6.1-1 v3]', frame(0x6a, 0, 1)],
  ['PUBACK with flags 2', frame(0x42, 0, 1)],
  ['PUBREC with flags 1', frame(0x51, 0, 1)],
  ['PUBCOMP with flags 8', frame(0x78, 0, 1)],
  ['PINGREQ with flags 1', frame(0xc1)],
  ['DISCONNECT with flags 1 [MQTT-3.14.1-1 v3]', frame(0xe1)],
]

for (const [what, bytes] of WrongFlags) {
  test(`${what} closes the connection [MQTT-2.2.2-1 v3] [MQTT-2.2.2-2 v3]`, () => {
    const world = new World()
    const watcher = connectOld(world, 'watcher')
    watcher.subscribe('will')
    const will = { topic: 'will', payload: new Uint8Array(1), qos: 0, retain: false } as const
    const options = { will: { ...will, properties: NO_PROPERTIES } }
    const client = connectOld(world, 'c', options)
    assertCloses(client, bytes)
    // It is a violation, no proper end: not even a DISCONNECT with wrong flags is one.
    assert.equal(watcher.takePublishes().length, 1)
  })
}

test('CONNECT with flags closes the connection [MQTT-2.2.2-2 v3]', () => {
  const bytes = encodePacket(connectPacket({ protocolLevel: 4 }), 4)
  bytes[0] = 0x11
  assertCloses(new World().open(4), bytes)
})

const NoIdentifier: readonly (readonly [string, Uint8Array])[] = [
  ['PUBLISH at QoS 1', frame(0x32, field('a'), 0, 0)],
  ['PUBLISH at QoS 2', frame(0x34, field('a'), 0, 0)],
  ['SUBSCRIBE', frame(0x82, 0, 0, field('a'), 0)],
  ['UNSUBSCRIBE', frame(0xa2, 0, 0, field('a'))],
]

for (const level of OLD_LEVELS) {
  for (const [what, bytes] of NoIdentifier) {
    test(`${what} with identifier 0 closes at level ${level} [MQTT-2.3.1-1 v3]`, () => {
      assertCloses(connectOld(new World(), 'c', { protocolLevel: level }), bytes)
    })
  }

  test(`PUBLISH at QoS 1 and 2 goes out with an identifier, level ${level} [MQTT-2.3.1-1 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', { protocolLevel: level })
    subscriber.subscribe('a', 2)
    const publisher = connectOld(world, 'p', { protocolLevel: level })
    publisher.publish('a', 'one', { qos: 1 }).publish('a', 'two', { qos: 2, packetId: 2 })
    const ids = subscriber.takePublishes().map(packet => packet.packetId)
    assert.equal(ids.length, 2)
    assert.ok(ids.every(id => id > 0))
  })

  test(`a QoS 0 PUBLISH goes out without an identifier, level ${level} [MQTT-2.3.1-5 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', { protocolLevel: level })
    subscriber.subscribe('a', 0)
    connectOld(world, 'p').publish('a', '\u0001\u0002', { qos: 1, packetId: 0x4141 })
    const [publish] = subscriber.takePublishes()
    // An identifier would show as two bytes more of payload.
    assert.equal(publish && text(publish), '\u0001\u0002')
    assert.equal(publish?.qos, 0)
  })
}

test('a QoS 0 PUBLISH has no identifier to read: its payload is whole [MQTT-2.3.1-5 v3]', () => {
  const world = new World()
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a')
  connectOld(world, 'p').send(frame(0x30, field('a'), 0, 9, 0x78))
  assert.deepEqual(subscriber.takePublishes()[0]?.payload, Uint8Array.of(0, 9, 0x78))
})

test('an identifier that is in use is not given to another message [MQTT-2.3.1-4 v3]', () => {
  const world = new World()
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a', 1)
  const publisher = connectOld(world, 'p')
  const used = new Set<number>()
  const unacknowledged = new Set<number>()
  for (let i = 1; i <= 500; i++) {
    publisher.publish('a', `${i}`, { qos: 1, packetId: i })
    const id = subscriber.takePublishes()[0]?.packetId ?? 0
    assert.ok(!unacknowledged.has(id), `${id} is in use`)
    used.add(id)
    if (i % 3 === 0) subscriber.acknowledge(PacketType.PUBACK, id)
    else unacknowledged.add(id)
  }
  assert.equal(unacknowledged.size, 334)
})

test('identifiers go round at 65535 and skip those in use [MQTT-2.3.1-4 v3]', () => {
  const world = new World()
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a', 1)
  const publisher = connectOld(world, 'p')
  let last = 0
  for (let i = 0; i < 70_000; i++) {
    publisher.send(frame(0x32, field('a'), 0, 1))
    last = subscriber.takePublishes()[0]?.packetId ?? 0
    assert.ok(last >= 1 && last <= 65_535)
    subscriber.send(frame(0x40, last >> 8, last & 255))
  }
  assert.equal(last, 70_000 - 65_535)
})

test('an identifier is free again after PUBACK and PUBCOMP [MQTT-2.3.1-4 v3]', () => {
  const world = new World({ limits: { inflightMax: 1 } })
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a', 2)
  const publisher = connectOld(world, 'p')
  publisher.publish('a', 'one', { qos: 1 }).publish('a', 'two', { qos: 2, packetId: 2 })
  const [first, ...none] = subscriber.takePublishes()
  assert.equal(none.length, 0)
  const [second] = subscriber.acknowledge(PacketType.PUBACK, first?.packetId ?? 0)
  assert.equal(second?.type === PacketType.PUBLISH && second.qos, 2)
  const id = second?.type === PacketType.PUBLISH ? second.packetId : 0
  publisher.publish('a', 'three', { qos: 1, packetId: 3 })
  assert.deepEqual(subscriber.take(), [])
  only(subscriber.acknowledge(PacketType.PUBREC, id), PacketType.PUBREL)
  only(subscriber.acknowledge(PacketType.PUBCOMP, id), PacketType.PUBLISH)
})

for (const level of OLD_LEVELS) {
  test(`PUBACK, PUBREC, PUBREL and PUBCOMP repeat the identifier, ${level} [MQTT-2.3.1-6 v3]`, () => {
    const world = new World()
    const client = connectOld(world, 'c', { protocolLevel: level })
    client.publish('a', '', { qos: 1, packetId: 0x1234 })
    assert.equal(only(client.take(), PacketType.PUBACK).packetId, 0x1234)
    client.publish('a', '', { qos: 2, packetId: 0xfffe })
    assert.equal(only(client.take(), PacketType.PUBREC).packetId, 0xfffe)
    const pubcomp = only(client.acknowledge(PacketType.PUBREL, 0xfffe), PacketType.PUBCOMP)
    assert.equal(pubcomp.packetId, 0xfffe)
    client.subscribe('b', 2)
    connectOld(world, 'p').publish('b', '', { qos: 2 })
    const id = client.takePublishes()[0]?.packetId ?? 0
    assert.equal(only(client.acknowledge(PacketType.PUBREC, id), PacketType.PUBREL).packetId, id)
  })

  test(`SUBACK and UNSUBACK repeat the identifier, level ${level} [MQTT-2.3.1-7 v3]`, () => {
    const client = connectOld(new World(), 'c', { protocolLevel: level })
    const suback = only(client.ask(frame(0x82, 0x12, 0x34, field('a'), 0)), PacketType.SUBACK)
    assert.equal(suback.packetId, 0x1234)
    const unsuback = only(client.ask(frame(0xa2, 0xff, 0xff, field('a'))), PacketType.UNSUBACK)
    assert.equal(unsuback.packetId, 0xffff)
  })
}

test('a remaining length of five bytes closes the connection [MQTT-4.8.0-1 v3]', () => {
  const bytes = Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)
  assertCloses(connectOld(new World(), 'c'), bytes)
})

test('packets of every size of the remaining length are read and written', () => {
  const world = new World({ limits: { packetBytesMax: 3_000_000 } })
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a')
  const publisher = connectOld(world, 'p')
  for (const size of [0, 124, 125, 16_380, 16_381, 2_097_148, 2_097_149]) {
    publisher.publish('a', 'x'.repeat(size))
    assert.equal(subscriber.takePublishes()[0]?.payload.length, size)
  }
})
