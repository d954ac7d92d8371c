// MQTT 5.0 sections 4.3, 4.4, 4.6 and 4.9: the flows of QoS 0, 1 and 2 in both directions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, type PublishPacket, ReasonCode } from '@godwit/packet'
import { only } from '../../testing/bytes.ts'
import { type TestClient, text, World } from '../../testing/harness.ts'
import { connectKept, typesOf } from '../../testing/v5.ts'

interface Pair {
  readonly world: World
  readonly subscriber: TestClient
  readonly publisher: TestClient
}

/** What a receiver answers to a message of each QoS. */
const Handshakes = [[], [PacketType.PUBACK], [PacketType.PUBREC, PacketType.PUBCOMP]] as const

/** A subscriber to `t` with a session that is kept, and a publisher. */
function pair(qos: 0 | 1 | 2, properties = {}): Pair {
  const world = new World()
  const subscriber = connectKept(world, 's', properties)
  subscriber.subscribe('t', qos)
  return { world, subscriber, publisher: connectKept(world, 'p') }
}

function onlyPublish(client: TestClient): PublishPacket {
  const [publish, ...others] = client.takePublishes()
  assert.equal(others.length, 0)
  assert.ok(publish)
  return publish
}

/** The session again on a new connection, with all that came after CONNACK. */
function resume(world: World, clientId: string, properties = {}): [TestClient, PublishPacket[]] {
  const client = connectKept(world, clientId, properties)
  const packets = [...client.early, ...client.take()]
  return [client, packets.filter(packet => packet.type === PacketType.PUBLISH)]
}

test('QoS 0 goes out with QoS 0 and DUP 0 [MQTT-4.3.1-1]', () => {
  const { publisher, subscriber } = pair(2)
  publisher.publish('t', 'm')
  const { qos, dup, packetId } = onlyPublish(subscriber)
  assert.deepEqual({ qos, dup, packetId }, { qos: 0, dup: false, packetId: 0 })
})

for (const qos of [1, 2] as const) {
  test(`each QoS ${qos} message has an identifier of its own, and DUP 0 at first \
[MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-2.2.1-4]`, () => {
    const { publisher, subscriber } = pair(qos)
    for (let i = 1; i <= 3; i++) publisher.publish('t', `m${i}`, { qos, packetId: i })
    const publishes = subscriber.takePublishes()
    assert.equal(new Set(publishes.map(publish => publish.packetId)).size, 3)
    assert.ok(publishes.every(publish => publish.packetId > 0 && !publish.dup))
    assert.ok(publishes.every(publish => publish.qos === qos))
  })

  test(`QoS ${qos} is unacknowledged until it is acknowledged \
[MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-3.3.1-1]`, () => {
    const { world, publisher, subscriber } = pair(qos)
    publisher.publish('t', 'm', { qos })
    const { packetId } = onlyPublish(subscriber)
    subscriber.cut()
    const [again, [repeated]] = resume(world, 's')
    assert.equal(repeated?.packetId, packetId)
    assert.equal(repeated?.dup, true)
    if (qos === 1) again.acknowledge(PacketType.PUBACK, packetId)
    else {
      again.acknowledge(PacketType.PUBREC, packetId)
      again.acknowledge(PacketType.PUBCOMP, packetId)
    }
    again.cut()
    assert.deepEqual(resume(world, 's')[1], [])
  })
}

test('DUP of the publisher says nothing about the copy [MQTT-3.3.1-3]', () => {
  const { publisher, subscriber } = pair(1)
  publisher.publish('t', 'm', { qos: 1, dup: true })
  assert.equal(onlyPublish(subscriber).dup, false)
})

test('PUBACK leaves when the message is durable [MQTT-4.3.2-4] [MQTT-3.3.4-1]', () => {
  const { world, publisher, subscriber } = pair(1)
  world.store.slow = true
  publisher.publish('t', 'm', { qos: 1, packetId: 9 })
  assert.deepEqual(publisher.take(), [])
  assert.deepEqual(subscriber.take(), [])
  world.store.finish()
  assert.equal(only(publisher.take(), PacketType.PUBACK).packetId, 9)
  assert.equal(text(onlyPublish(subscriber)), 'm')
})

test('after PUBACK the same identifier is a new message, whatever DUP says [MQTT-4.3.2-5]', () => {
  const { publisher, subscriber } = pair(1)
  publisher.publish('t', 'one', { qos: 1, packetId: 5 })
  publisher.publish('t', 'two', { qos: 1, packetId: 5, dup: true })
  assert.deepEqual(subscriber.takePublishes().map(text), ['one', 'two'])
  assert.deepEqual(typesOf(publisher.take()), [PacketType.PUBACK, PacketType.PUBACK])
})

test('PUBREC below 0x80 is answered by PUBREL with its identifier [MQTT-4.3.3-4]', () => {
  const { publisher, subscriber } = pair(2)
  publisher.publish('t', 'm', { qos: 2 })
  const { packetId } = onlyPublish(subscriber)
  const pubrel = only(subscriber.acknowledge(PacketType.PUBREC, packetId), PacketType.PUBREL)
  assert.equal(pubrel.packetId, packetId)
})

test('after PUBREL only PUBREL is sent again, until PUBCOMP [MQTT-4.3.3-5] [MQTT-4.3.3-6]', () => {
  const { world, publisher, subscriber } = pair(2)
  publisher.publish('t', 'm', { qos: 2 })
  const { packetId } = onlyPublish(subscriber)
  subscriber.acknowledge(PacketType.PUBREC, packetId)
  subscriber.cut()
  const again = connectKept(world, 's')
  const pubrel = only([...again.early, ...again.take()], PacketType.PUBREL)
  assert.equal(pubrel.packetId, packetId)
  again.acknowledge(PacketType.PUBCOMP, packetId)
  again.cut()
  const last = connectKept(world, 's')
  assert.deepEqual([...last.early, ...last.take()], [])
})

test('a QoS 2 message that was sent does not expire [MQTT-4.3.3-7]', () => {
  const { world, publisher, subscriber } = pair(2)
  publisher.publish('t', 'm', { qos: 2, properties: { messageExpiryInterval: 1 } })
  const { packetId } = onlyPublish(subscriber)
  subscriber.cut()
  world.advance(5000)
  const [, [again]] = resume(world, 's')
  assert.equal(again?.packetId, packetId)
})

test('a QoS 2 message is taken once, however often it comes [MQTT-4.3.3-8] [MQTT-4.3.3-10]', () => {
  const { world, publisher, subscriber } = pair(2)
  publisher.publish('t', 'm', { qos: 2, packetId: 4 })
  publisher.publish('t', 'm', { qos: 2, packetId: 4, dup: true })
  publisher.cut()
  const again = connectKept(world, 'p')
  again.publish('t', 'm', { qos: 2, packetId: 4, dup: true })
  assert.equal(only(again.take(), PacketType.PUBREC).packetId, 4)
  assert.equal(subscriber.takePublishes().length, 1)
})

test('a PUBREC of 0x80 and above frees the identifier [MQTT-4.3.3-9]', () => {
  const { world, publisher, subscriber } = pair(2)
  world.store.full = true
  publisher.publish('t', 'one', { qos: 2, packetId: 4 })
  assert.equal(only(publisher.take(), PacketType.PUBREC).reasonCode, ReasonCode.QUOTA_EXCEEDED)
  world.store.full = false
  publisher.publish('t', 'two', { qos: 2, packetId: 4 })
  assert.equal(only(publisher.take(), PacketType.PUBREC).reasonCode, 0)
  assert.equal(text(onlyPublish(subscriber)), 'two')
})

test('PUBREL is answered by PUBCOMP, then the identifier is free \
[MQTT-4.3.3-11] [MQTT-4.3.3-12]', () => {
  const { publisher, subscriber } = pair(2)
  for (const payload of ['one', 'two']) {
    publisher.publish('t', payload, { qos: 2, packetId: 8 })
    only(publisher.take(), PacketType.PUBREC)
    const pubcomp = only(publisher.acknowledge(PacketType.PUBREL, 8), PacketType.PUBCOMP)
    assert.deepEqual([pubcomp.packetId, pubcomp.reasonCode], [8, 0])
  }
  assert.deepEqual(subscriber.takePublishes().map(text), ['one', 'two'])
})

test('PUBREL for an identifier that is not known gets 0x92', () => {
  const { publisher } = pair(2)
  const pubcomp = only(publisher.acknowledge(PacketType.PUBREL, 77), PacketType.PUBCOMP)
  assert.equal(pubcomp.reasonCode, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
})

test('the handshake goes to its end although the message has expired [MQTT-4.3.3-13]', () => {
  const { world, publisher } = pair(2)
  const properties = { messageExpiryInterval: 1 }
  publisher.publish('t', 'm', { qos: 2, packetId: 3, properties })
  world.advance(5000)
  only(publisher.take(), PacketType.PUBREC)
  only(publisher.acknowledge(PacketType.PUBREL, 3), PacketType.PUBCOMP)
})

for (const [qos, type] of [
  [1, PacketType.PUBACK],
  [2, PacketType.PUBREC],
] as const) {
  test(`a failure in answer to QoS ${qos} ends the message [MQTT-4.4.0-2]`, () => {
    const { world, publisher, subscriber } = pair(qos)
    publisher.publish('t', 'm', { qos })
    const { packetId } = onlyPublish(subscriber)
    assert.deepEqual(subscriber.acknowledge(type, packetId, ReasonCode.QUOTA_EXCEEDED), [])
    subscriber.cut()
    assert.deepEqual(resume(world, 's')[1], [])
    assert.equal(world.broker.ledger.totalOf('refused-by-client'), 1)
  })
}

test('a message reaches every session with a matching subscription [MQTT-4.5.0-1]', () => {
  const world = new World()
  const filters = ['a/b', 'a/+', '#', 'a/b/#']
  const offline = connectKept(world, 'offline')
  offline.subscribe('+/b', 1)
  offline.cut()
  const clients = filters.map((filter, i) => {
    const client = world.connect({ clientId: `c${i}` })
    client.subscribe(filter, 1)
    return client
  })
  world.connect({ clientId: 'p' }).publish('a/b', 'm', { qos: 1 })
  for (const client of clients) assert.equal(onlyPublish(client).topic, 'a/b')
  assert.deepEqual(resume(world, 'offline')[1].map(text), ['m'])
})

test('messages of one publisher and topic keep their order [MQTT-4.6.0-5] [MQTT-4.6.0-6]', () => {
  for (const qos of [0, 1, 2] as const) {
    const { publisher, subscriber } = pair(qos, { receiveMaximum: 3 })
    const sent = Array.from({ length: 10 }, (_, i) => `m${i}`)
    for (const [i, payload] of sent.entries()) {
      publisher.publish('t', payload, { qos, packetId: qos === 0 ? 0 : i + 1 })
    }
    const waiting = subscriber.takePublishes()
    const received: string[] = []
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      received.push(text(next))
      for (const type of Handshakes[qos]) {
        const answers = subscriber.acknowledge(type, next.packetId)
        waiting.push(...answers.filter(packet => packet.type === PacketType.PUBLISH))
      }
    }
    assert.deepEqual(received, sent)
  }
})

test('never more than Receive Maximum is unacknowledged \
[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]', () => {
  for (const qos of [1, 2] as const) {
    const { publisher, subscriber } = pair(qos, { receiveMaximum: 2 })
    for (let i = 1; i <= 5; i++) publisher.publish('t', `m${i}`, { qos, packetId: i })
    const first = subscriber.takePublishes()
    assert.deepEqual(first.map(text), ['m1', 'm2'])
    const done = qos === 1 ? PacketType.PUBACK : PacketType.PUBCOMP
    if (qos === 2) subscriber.acknowledge(PacketType.PUBREC, first[0]?.packetId ?? 0)
    const next = subscriber.acknowledge(done, first[0]?.packetId ?? 0)
    assert.deepEqual(typesOf(next), [PacketType.PUBLISH])
  }
})

test('a full window holds back PUBLISH and nothing else [MQTT-3.3.4-10] [MQTT-4.9.0-3]', () => {
  const { publisher, subscriber } = pair(1, { receiveMaximum: 1 })
  for (let i = 1; i <= 2; i++) publisher.publish('t', `m${i}`, { qos: 1, packetId: i })
  subscriber.takePublishes()
  assert.deepEqual(typesOf(subscriber.ask({ type: PacketType.PINGREQ })), [PacketType.PINGRESP])
  assert.deepEqual(typesOf(subscriber.subscribe('other')), [PacketType.SUBACK])
  publisher.publish('other', 'QoS 0 needs no window')
  assert.equal(onlyPublish(subscriber).topic, 'other')
})

test('a smaller Receive Maximum holds for what is sent again [MQTT-3.3.4-9]', () => {
  const { world, publisher, subscriber } = pair(1)
  for (let i = 1; i <= 4; i++) publisher.publish('t', `m${i}`, { qos: 1, packetId: i })
  assert.equal(subscriber.takePublishes().length, 4)
  subscriber.cut()
  const [again, first] = resume(world, 's', { receiveMaximum: 1 })
  assert.deepEqual(first.map(text), ['m1'])
  const next = again.acknowledge(PacketType.PUBACK, first[0]?.packetId ?? 0)
  assert.deepEqual(typesOf(next), [PacketType.PUBLISH])
})
