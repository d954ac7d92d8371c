// MQTT 3.1.1 sections 3.3, 4.3 and 4.6: PUBLISH, the three handshakes and the order of messages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import {
  assertCloses,
  connectOld,
  field,
  frame,
  OLD_LEVELS,
  only,
  texts,
} from '../../testing/bytes.ts'
import { OpenGuard, text, World } from '../../testing/harness.ts'

for (const level of OLD_LEVELS) {
  const old = { protocolLevel: level }

  test(`QoS 0 goes out with QoS 0 and DUP 0, level ${level} [MQTT-4.3.1-1 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', old)
    subscriber.subscribe('a', 2)
    const publisher = connectOld(world, 'p', old)
    publisher.publish('a', 'x')
    assert.deepEqual(publisher.take(), []) // [MQTT-3.3.4-1 v3]
    const publish = only(subscriber.take(), PacketType.PUBLISH)
    assert.equal(publish.qos, 0)
    assert.equal(publish.dup, false) // [MQTT-3.3.1-2 v3]
    subscriber.cut()
    const again = connectOld(world, 's', old)
    assert.deepEqual([...again.early, ...again.take()], [])
  })

  test(`QoS 1 goes out fresh and stays until PUBACK, level ${level} [MQTT-4.3.2-1 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', { ...old, cleanStart: false })
    subscriber.subscribe('a', 1)
    connectOld(world, 'p', old).publish('a', 'x', { qos: 1 })
    const publish = only(subscriber.take(), PacketType.PUBLISH)
    assert.deepEqual([publish.qos, publish.dup], [1, false])
    const inflight = world.broker.sessions.byClientId.get('s')?.inflight
    assert.equal(inflight?.active, 1)
    assert.deepEqual(subscriber.acknowledge(PacketType.PUBACK, publish.packetId), [])
    assert.equal(inflight?.active, 0)
  })

  test(`QoS 1 gets PUBACK, and its identifier may come again, ${level} [MQTT-4.3.2-2 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', old)
    subscriber.subscribe('a', 1)
    const publisher = connectOld(world, 'p', old)
    for (const [content, dup] of [
      ['one', false],
      ['two', true],
      ['three', false],
    ] as const) {
      publisher.publish('a', content, { qos: 1, packetId: 7, dup })
      assert.equal(only(publisher.take(), PacketType.PUBACK).packetId, 7)
    }
    assert.deepEqual(texts(subscriber.take()), ['one', 'two', 'three'])
  })

  test(`PUBACK comes when the message is safe, level ${level} [MQTT-4.3.2-2 v3]`, () => {
    const world = new World()
    connectOld(world, 's', { ...old, cleanStart: false }).subscribe('a', 1)
    const publisher = connectOld(world, 'p', old)
    world.store.slow = true
    publisher.publish('a', 'x', { qos: 1 })
    assert.deepEqual(publisher.take(), [])
    world.store.finish()
    only(publisher.take(), PacketType.PUBACK)
  })

  test(`QoS 2 goes PUBLISH, PUBREC, PUBREL, PUBCOMP to a client, ${level} [MQTT-4.3.3-1 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', { ...old, cleanStart: false })
    subscriber.subscribe('a', 2)
    connectOld(world, 'p', old).publish('a', 'x', { qos: 2 })
    const publish = only(subscriber.take(), PacketType.PUBLISH)
    assert.deepEqual([publish.qos, publish.dup], [2, false])
    const id = publish.packetId
    for (let i = 0; i < 3; i++) {
      assert.equal(
        only(subscriber.acknowledge(PacketType.PUBREC, id), PacketType.PUBREL).packetId,
        id,
      )
    }
    const inflight = world.broker.sessions.byClientId.get('s')?.inflight
    assert.equal(inflight?.active, 1)
    assert.deepEqual(subscriber.acknowledge(PacketType.PUBCOMP, id), [])
    assert.equal(inflight?.active, 0)
  })

  test(`QoS 2 from a client is delivered once, level ${level} [MQTT-4.3.3-2 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', old)
    subscriber.subscribe('a')
    const publisher = connectOld(world, 'p', old)
    for (const dup of [false, true, true]) {
      publisher.publish('a', 'once', { qos: 2, packetId: 5, dup })
      assert.equal(only(publisher.take(), PacketType.PUBREC).packetId, 5)
    }
    for (let i = 0; i < 2; i++) {
      assert.equal(
        only(publisher.acknowledge(PacketType.PUBREL, 5), PacketType.PUBCOMP).packetId,
        5,
      )
    }
    publisher.publish('a', 'new', { qos: 2, packetId: 5 })
    only(publisher.take(), PacketType.PUBREC)
    assert.deepEqual(texts(subscriber.take()), ['once', 'new'])
  })

  test(`DUP is set again on what is sent again, level ${level} [MQTT-3.3.1-1 v3]`, () => {
    const world = new World()
    const options = { ...old, cleanStart: false }
    connectOld(world, 's', options).subscribe('a', 1)
    connectOld(world, 'p', old).publish('a', 'x', { qos: 1 })
    for (let i = 0; i < 3; i++) {
      world.broker.sessions.byClientId.get('s')?.connection?.closed('the network failed')
      world.settle()
      const again = connectOld(world, 's', options)
      assert.deepEqual(
        again.early.map(packet => packet.type === PacketType.PUBLISH && packet.dup),
        [true],
      )
    }
  })

  for (const qos of [1, 2] as const) {
    test(`DUP of the publisher is not passed on, QoS ${qos}, ${level} [MQTT-3.3.1-3 v3]`, () => {
      const world = new World()
      const subscriber = connectOld(world, 's', old)
      const kept = connectOld(world, 'k', { ...old, cleanStart: false })
      const lower = connectOld(world, 'l', old)
      subscriber.subscribe('a', qos)
      kept.subscribe('a', qos)
      lower.subscribe('a', 0)
      connectOld(world, 'p', old).publish('a', 'x', { qos, dup: true })
      for (const client of [subscriber, kept, lower]) {
        assert.equal(only(client.take(), PacketType.PUBLISH).dup, false) // [MQTT-3.3.1-2 v3]
      }
    })
  }

  test(`DUP with QoS 0 closes the connection, level ${level} [MQTT-3.3.1-2 v3]`, () => {
    assertCloses(connectOld(new World(), 'c', old), frame(0x38, field('a'), 1))
  })

  test(`QoS 3 closes the connection, level ${level} [MQTT-3.3.1-4 v3]`, () => {
    assertCloses(connectOld(new World(), 'c', old), frame(0x36, field('a'), 0, 1, 1))
  })

  for (const topic of ['a/#', '#', '+', 'a/+/b', 'a+', 'a#b']) {
    test(`the topic ${topic} closes, level ${level} [MQTT-3.3.2-2 v3] [MQTT-4.7.1-1 v3]`, () => {
      const world = new World()
      const watcher = connectOld(world, 'w')
      watcher.subscribe('#')
      assertCloses(connectOld(world, 'c', old), frame(0x30, field(topic), 1))
      assert.deepEqual(watcher.take(), [])
    })
  }

  test(`an empty topic closes the connection, level ${level} [MQTT-4.7.3-1 v3]`, () => {
    assertCloses(connectOld(new World(), 'c', old), frame(0x30, field(''), 1))
  })

  test(`a topic of 65,535 bytes passes, level ${level} [MQTT-4.7.3-3 v3] [MQTT-3.3.2-1 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', old)
    subscriber.subscribe('#')
    const topic = `${'é'.repeat(32_767)}e`
    connectOld(world, 'p', old).publish(topic, 'x')
    assert.equal(subscriber.takePublishes()[0]?.topic, topic)
  })

  test(`a forwarded topic matches the filter, level ${level} [MQTT-3.3.2-3 v3]`, () => {
    const world = new World()
    const subscriber = connectOld(world, 's', old)
    subscriber.subscribe('a/+/c')
    const publisher = connectOld(world, 'p', old)
    for (const topic of ['a/b/c', 'a/b', 'a//c', 'a/b/c/d', 'b/b/c', 'A/b/c']) {
      publisher.publish(topic, topic)
    }
    const publishes = subscriber.takePublishes()
    assert.deepEqual(
      publishes.map(packet => packet.topic),
      ['a/b/c', 'a//c'],
    )
    for (const packet of publishes) assert.equal(text(packet), packet.topic)
  })
}

class Forbidding extends OpenGuard {
  override checksPermissions = true
  override mayPublish(): number {
    return ReasonCode.NOT_AUTHORIZED
  }
}

for (const qos of [0, 1, 2] as const) {
  test(`an unauthorized PUBLISH of QoS ${qos} is answered as usual [MQTT-3.3.5-2 v3]`, () => {
    const world = new World({ guard: new Forbidding() })
    const watcher = connectOld(world, 'w')
    watcher.subscribe('#', 2)
    const publisher = connectOld(world, 'p')
    publisher.publish('a', 'x', { qos, retain: true })
    const answers = publisher.take()
    if (qos === 0) assert.deepEqual(answers, [])
    if (qos === 1) only(answers, PacketType.PUBACK)
    if (qos === 2) {
      only(answers, PacketType.PUBREC)
      only(publisher.acknowledge(PacketType.PUBREL, 1), PacketType.PUBCOMP)
    }
    assert.equal(publisher.ended, false)
    assert.deepEqual(watcher.take(), [])
    assert.equal(world.broker.retainer.messages.count, 0)
  })
}

test('nobody publishes into $SYS, and the answer is as usual [MQTT-3.3.5-2 v3]', () => {
  const world = new World()
  const watcher = connectOld(world, 'w')
  watcher.subscribe('$SYS/#')
  const publisher = connectOld(world, 'p')
  publisher.publish('$SYS/broker/x', 'x', { qos: 1, retain: true })
  only(publisher.take(), PacketType.PUBACK)
  assert.deepEqual(watcher.take(), [])
})

test('the server answers a PUBLISH as its QoS says [MQTT-3.3.4-1 v3]', () => {
  const client = connectOld(new World(), 'c')
  assert.deepEqual(client.publish('a', 'x').take(), [])
  only(client.publish('a', 'x', { qos: 1 }).take(), PacketType.PUBACK)
  only(client.publish('a', 'x', { qos: 2, packetId: 2 }).take(), PacketType.PUBREC)
})

for (const qos of [0, 1, 2] as const) {
  test(`messages arrive in the order they came, QoS ${qos} [MQTT-4.6.0-5 v3]`, () => {
    const world = new World({ limits: { inflightMax: 10 } })
    const clean = connectOld(world, 'clean')
    const kept = connectOld(world, 'kept', { cleanStart: false })
    clean.subscribe('t/#', qos)
    kept.subscribe('t/+', qos)
    const publisher = connectOld(world, 'p')
    const sent: string[] = []
    for (let i = 1; i <= 50; i++) {
      // Two topics: each is in order, and the two together as well [MQTT-4.6.0-6 v3].
      publisher.publish(`t/${i % 2}`, `${i}`, { qos, packetId: qos === 0 ? 0 : i })
      if (qos === 2) publisher.acknowledge(PacketType.PUBREL, i)
      sent.push(`${i}`)
    }
    for (const client of [clean, kept]) {
      const got: string[] = []
      for (let packets = client.takePublishes(); packets.length > 0; ) {
        got.push(...packets.map(text))
        const next: typeof packets = []
        for (const { packetId } of packets) {
          if (qos === 1) client.acknowledge(PacketType.PUBACK, packetId).forEach(take)
          if (qos === 2) {
            client.acknowledge(PacketType.PUBREC, packetId)
            client.acknowledge(PacketType.PUBCOMP, packetId).forEach(take)
          }
        }
        packets = next
        function take(packet: { type: number }): void {
          if (packet.type === PacketType.PUBLISH) next.push(packet as (typeof next)[number])
        }
      }
      assert.deepEqual(got, sent)
    }
  })
}

test('messages that waited and new ones keep their order [MQTT-4.6.0-6 v3] [MQTT-4.6.0-1 v3]', () => {
  const world = new World()
  const options = { cleanStart: false }
  const first = connectOld(world, 's', options)
  first.subscribe('a', 1)
  const publisher = connectOld(world, 'p')
  let packetId = 0
  const publish = (content: string): void => {
    publisher.publish('a', content, { qos: 1, packetId: ++packetId })
  }
  publish('1')
  publish('2')
  first.take()
  first.cut()
  publish('3')
  const second = connectOld(world, 's', options)
  publish('4')
  assert.deepEqual(texts([...second.early, ...second.take()]), ['1', '2', '3', '4'])
})

test('PUBRELs go out in the order of the PUBRECs [MQTT-4.6.0-4 v3]', () => {
  const world = new World()
  const subscriber = connectOld(world, 's')
  subscriber.subscribe('a', 2)
  const publisher = connectOld(world, 'p')
  for (let i = 1; i <= 3; i++) publisher.publish('a', `${i}`, { qos: 2, packetId: i })
  const ids = subscriber.takePublishes().map(packet => packet.packetId)
  const pubrecs = ids.flatMap(id => [0x50, 2, id >> 8, id & 255])
  const released = subscriber.ask(Uint8Array.from(pubrecs))
  assert.deepEqual(
    released.map(packet => packet.type === PacketType.PUBREL && packet.packetId),
    ids,
  )
})

test('PUBACKs and PUBRECs go out in the order of the PUBLISHes [MQTT-4.6.0-2 v3]', () => {
  const client = connectOld(new World(), 'c')
  const sent = [9, 3, 7].flatMap(id => [...frame(0x32, field('a'), 0, id)])
  sent.push(...[8, 2, 6].flatMap(id => [...frame(0x34, field('a'), 0, id)])) // [MQTT-4.6.0-3 v3]
  const answers = client.ask(Uint8Array.from(sent))
  assert.deepEqual(
    answers.map(packet => 'packetId' in packet && packet.packetId),
    [9, 3, 7, 8, 2, 6],
  )
})

test('QoS 1 under an identifier that waits for PUBREL is a new message [MQTT-2.3.1-2 v3]', () => {
  // The client has lost its state: it would come back with the same message again and again.
  const world = new World()
  const watcher = connectOld(world, 'w')
  watcher.subscribe('t')
  const client = connectOld(world, 'c', { cleanStart: false })
  client.publish('t', 'old', { qos: 2, packetId: 1 })
  client.cut()
  const again = connectOld(world, 'c', { cleanStart: false })
  again.publish('t', 'new', { qos: 1, packetId: 1 })
  assert.equal(only(again.take(), PacketType.PUBACK).packetId, 1)
  again.publish('t', 'newer', { qos: 2, packetId: 1 })
  assert.equal(only(again.take(), PacketType.PUBREC).packetId, 1)
  assert.deepEqual(texts(watcher.take()), ['old', 'new', 'newer'])
})
