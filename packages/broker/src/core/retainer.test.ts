// Retained messages on their way to new subscriptions: in their order, once, and bounded.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType } from '@godwit/packet'
import { publishesOf, texts } from '../testing/bytes.ts'
import { World } from '../testing/harness.ts'
import { subscribePacket, typesOf, unsubscribePacket } from '../testing/v5.ts'
import { RetainedWalk } from './retained.ts'

function retaining(count: number): World {
  const world = new World({ limits: { outgoingBytesMax: 4096 } })
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < count; i++) publisher.publish(`r/${i}`, `m${i}`, { retain: true })
  publisher.cut()
  return world
}

test('who subscribes again and again and does not read adds no work and no memory', () => {
  const world = retaining(2000)
  const client = world.connect({ clientId: 'c' })
  client.flowing = false
  for (let i = 0; i < 500; i++) client.send(subscribePacket(1, ['r/#', 'r/+']))
  assert.equal(client.connection.session?.retainedJobs?.size, 2)
})

test('subscribing again begins anew, behind what was asked for before', () => {
  const world = retaining(3)
  const client = world.connect({ clientId: 'c' })
  // All in one turn: nothing is sent before the last packet has come.
  client.connection.bytes(encoded('r/0', 'r/1'))
  client.connection.bytes(encoded('r/0'))
  assert.deepEqual(texts(client.take()), ['m1', 'm0'])
})

test('a filter that is twice in one SUBSCRIBE is served as by two [MQTT-3.8.4-5]', () => {
  for (const [first, second, expected] of [
    [{ qos: 1 }, { qos: 0 }, [1, 0]],
    [{ qos: 0 }, { qos: 2 }, [0, 1]],
    [{ qos: 1 }, { qos: 1, noLocal: true }, [1]],
  ] as const) {
    const world = new World()
    const client = world.connect({ clientId: 'c' })
    client.publish('r', 'own', { qos: 1, retain: true }).take()
    const requests = [
      { filter: 'r', ...first },
      { filter: 'r', ...second },
    ]
    client.send(subscribePacket(1, requests))
    const [suback, ...rest] = client.take()
    assert.ok(suback?.type === PacketType.SUBACK)
    assert.deepEqual(suback.reasonCodes, [first.qos, second.qos])
    const received = publishesOf(rest).map(({ qos }) => qos)
    assert.deepEqual(received, expected)
    assert.equal(client.connection.session?.retainedJobs, null)
  }
})

test('each QoS of a filter waits once, and the last one asked for comes last', () => {
  const world = retaining(1)
  const client = world.connect({ clientId: 'c' })
  const all = ([0, 1, 0, 2, 1] as const).map(qos => ({ filter: 'r/0', qos }))
  client.send(subscribePacket(1, all))
  client.publish('r/0', 'live', { qos: 1 })
  const got = client.take()
  assert.deepEqual(texts(got), ['m0', 'm0', 'm0', 'live'])
})

test('a subscription that goes gets no more, the others do', () => {
  const world = retaining(3)
  const client = world.connect({ clientId: 'c' })
  client.connection.bytes(encoded('r/0', 'r/1', 'r/2'))
  client.connection.bytes(encodePacket(unsubscribePacket(2, ['r/1']), 5))
  assert.deepEqual(texts(client.take()), ['m0', 'm2'])
  assert.equal(client.connection.session?.retainedJobs, null)
})

test('a slow receiver gets all of them, as it reads', () => {
  const world = retaining(2000)
  const client = world.connect({ clientId: 'c' })
  client.flowing = false
  client.send(subscribePacket(1, ['r/#']))
  const got: string[] = []
  for (let round = 0; round < 1000 && got.length < 2000; round++) {
    client.flow()
    got.push(...texts(client.take()))
    client.flowing = false
  }
  assert.equal(new Set(got).size, 2000)
  assert.equal(got.length, 2000)
  assert.equal(world.broker.ledger.total, 0)
})

function encoded(...filters: string[]): Uint8Array {
  return encodePacket(subscribePacket(1, filters), 5)
}

test('who removes what another has just removed is told when that is durable', () => {
  const world = new World()
  const [first, second] = [world.connect({ clientId: 'a' }), world.connect({ clientId: 'b' })]
  first.publish('t', 'm', { retain: true })
  world.store.slow = true
  first.publish('t', '', { qos: 1, retain: true })
  assert.deepEqual(first.take(), [])
  assert.deepEqual(second.publish('t', '', { qos: 1, retain: true }).take(), [])
  world.store.finish()
  world.settle()
  assert.deepEqual([...typesOf(first.take()), ...typesOf(second.take())], [4, 4])
  assert.deepEqual(typesOf(second.publish('t', '', { qos: 1, retain: true }).take()), [4])
})

test('retained messages that have expired are gone within seconds, whoever subscribes', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'p' })
  const properties = { messageExpiryInterval: 1 }
  for (let i = 0; i < 3000; i++) {
    publisher.publish(`r/${i}/deep/er`, 'm', { retain: true, properties })
  }
  publisher.publish('$app/state', 'm', { retain: true, properties })
  publisher.publish('stays', 'm', { retain: true })
  world.advance(900)
  assert.equal(world.broker.retainer.messages.count, 3002)
  world.advance(2500)
  assert.equal(world.broker.retainer.messages.count, 1)
  assert.equal(world.broker.retainer.messages.expiring, 0)
})

test('many subscriptions that match nothing hold up no turn', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 1500; i++) publisher.publish(`a${i}`, 'm', { retain: true })
  const { next } = RetainedWalk.prototype
  let looks = 0
  RetainedWalk.prototype.next = function (steps) {
    looks++
    return next.call(this, steps)
  }
  try {
    const client = world.connect({ clientId: 'c' })
    const filters = Array.from({ length: 200 }, (_, i) => `+/${i}`)
    client.connection.bytes(encodePacket(subscribePacket(1, filters), 5))
    world.broker.endTurn()
    // Each of them goes through all 1500.
    assert.ok(looks > 0 && looks < 10, `${looks} looks in one turn`)
    world.settle()
    assert.ok(looks >= 200)
    assert.equal(client.connection.session?.retainedJobs ?? null, null)
  } finally {
    RetainedWalk.prototype.next = next
  }
})
