// A publisher whose messages are dear takes a share of each turn, and loses nothing by it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { texts } from '../testing/bytes.ts'
import { bush, DEEP, messagesOf } from '../testing/dear.ts'
import { connectPacket, type TestClient, World } from '../testing/harness.ts'
import { typesOf, watch, willOf } from '../testing/v5.ts'

function chunkOf(topics: readonly string[], qos: 0 | 1): Uint8Array {
  return Buffer.concat([messagesOf(topics, qos), Uint8Array.of(0xc0, 0)])
}

test('a chunk of messages that are dear to match is handled over several turns, in order', () => {
  const world = new World()
  bush(world.connect({ clientId: 'bush' }))
  const watcher = watch(world, `${DEEP}#`)
  const publisher = world.connect({ clientId: 'p' })
  const topics = Array.from({ length: 60 }, (_, i) => `${DEEP}y${i}`)
  const before = world.broker.counters.publishReceived
  publisher.connection.bytes(chunkOf(topics, 1))
  const handled = world.broker.counters.publishReceived - before
  assert.ok(handled > 0 && handled < 20, `${handled} messages in one piece`)
  assert.equal(publisher.reading, false)
  // What comes meanwhile waits behind it.
  publisher.connection.bytes(chunkOf(['last'], 0))
  world.broker.endTurn()
  assert.ok(world.broker.counters.publishReceived - before < 40)
  const answers = typesOf(publisher.take())
  assert.deepEqual(answers, [
    ...topics.map(() => PacketType.PUBACK),
    PacketType.PINGRESP,
    PacketType.PINGRESP,
  ])
  assert.deepEqual(
    texts(watcher.take()),
    topics.map((_, i) => `${i}`),
  )
  assert.equal(publisher.reading, true)
})

test('a chunk of messages for many receivers is handled over several turns', () => {
  const world = new World()
  const receivers = Array.from({ length: 300 }, (_, i) => watch(world, '+', `r${i}`))
  const publisher = world.connect({ clientId: 'p' })
  const topics = Array.from({ length: 2000 }, (_, i) => `${i % 2}`)
  const before = world.broker.counters.publishReceived
  publisher.connection.bytes(chunkOf(topics, 0))
  const handled = world.broker.counters.publishReceived - before
  assert.ok(handled > 600 && handled < 800, `${handled} messages in one piece`)
  world.settle()
  for (const receiver of receivers) assert.equal(receiver.takePublishes().length, topics.length)
})

test('a chunk for a large group that takes no message so large is handled over turns', () => {
  const world = new World()
  for (let i = 0; i < 1000; i++) {
    const properties = { maximumPacketSize: 30 }
    world.connect({ clientId: `m${i}`, properties }).subscribe('$share/g/+', 0)
  }
  const publisher = world.connect({ clientId: 'p' })
  const topics = Array.from({ length: 2500 }, () => 'forty bytes of topic'.padEnd(40, '.'))
  const before = world.broker.counters.publishReceived
  publisher.connection.bytes(chunkOf(topics, 0))
  const handled = world.broker.counters.publishReceived - before
  assert.ok(handled > 600 && handled < 1000, `${handled} messages in one piece`)
  world.settle()
  assert.equal(world.broker.counters.publishReceived - before, topics.length)
})

test('publishers that rest take turns, and one that goes meanwhile leaves nothing', () => {
  const world = new World()
  bush(world.connect({ clientId: 'bush' }))
  const publishers = ['p', 'q', 'r'].map(clientId => world.connect({ clientId }))
  for (const [at, { connection }] of publishers.entries()) {
    connection.bytes(
      chunkOf(
        Array.from({ length: 60 }, (_, i) => `${DEEP}${at}${i}`),
        0,
      ),
    )
  }
  assert.equal(world.broker.workload.waits, true)
  publishers[1]?.cut()
  world.settle()
  assert.equal(world.broker.workload.waits, false)
  for (const at of [0, 2]) {
    assert.deepEqual(typesOf(publishers[at]?.take() ?? []), [PacketType.PINGRESP])
  }
})

/** 60 messages and what ends them, of a publisher with a will. */
function leaving(world: World, last: Uint8Array): TestClient {
  bush(world.connect({ clientId: 'bush' }))
  const publisher = world.connect(connectPacket({ clientId: 'p', will: willOf('w', 'gone') }))
  const topics = Array.from({ length: 60 }, (_, i) => `${DEEP}y${i}`)
  publisher.connection.bytes(Buffer.concat([chunkOf(topics, 0), last]))
  assert.equal(world.broker.workload.waits, true)
  return publisher
}

test('of a publisher that has gone all that came is handled, DISCONNECT too [MQTT-3.14.4-3]', () => {
  for (const [last, ended] of [
    [Uint8Array.of(0xe0, 0), []],
    [Uint8Array.of(), ['gone']],
  ] as const) {
    const world = new World()
    const watcher = watch(world, '#')
    const { connectionsNow } = world.broker.counters
    leaving(world, last).cut()
    const numbers = Array.from({ length: 60 }, (_, i) => `${i}`)
    assert.deepEqual(texts(watcher.take()), [...numbers, ...ended])
    assert.equal(world.broker.counters.connectionsNow, connectionsNow + 1)
    assert.equal(world.broker.counters.clientsConnected, 2)
  }
})

test('a publisher that has gone and is taken over before its turn leaves nothing', () => {
  const world = new World()
  const { connection } = leaving(world, Uint8Array.of())
  connection.closed('the network failed')
  assert.equal(world.broker.counters.connectionsNow, 2)
  world.connect({ clientId: 'p' })
  assert.equal(world.broker.counters.connectionsNow, 2)
  assert.equal(world.broker.workload.waits, false)
})

test('a publisher that rested is not late for what could not be read [MQTT-3.1.2-22]', () => {
  const world = new World()
  bush(world.connect({ clientId: 'bush' }))
  const publisher = world.connect({ clientId: 'p', keepAliveSeconds: 1 })
  const topics = Array.from({ length: 60 }, (_, i) => `${DEEP}y${i}`)
  publisher.connection.bytes(chunkOf(topics, 0))
  for (let i = 0; i < 14; i++) {
    world.monotonicMs += 100
    world.broker.tick()
  }
  assert.equal(publisher.reading, false)
  // It is due between two ticks, and read again before the second.
  world.settle()
  assert.equal(publisher.reading, true)
  world.monotonicMs += 199
  world.broker.tick()
  world.settle()
  assert.equal(publisher.ended, false)
  world.advance(2000)
  assert.equal(publisher.ended, true)
})

test('groups count as receivers', () => {
  const world = new World()
  const member = world.connect({ clientId: 'm' })
  for (let i = 0; i < 300; i++) member.subscribe(`$share/g${i}/+`)
  const publisher = world.connect({ clientId: 'p' })
  const topics = Array.from({ length: 2000 }, (_, i) => `${i % 2}`)
  const before = world.broker.counters.publishReceived
  publisher.connection.bytes(chunkOf(topics, 0))
  const handled = world.broker.counters.publishReceived - before
  assert.ok(handled > 600 && handled < 800, `${handled} messages in one piece`)
})
