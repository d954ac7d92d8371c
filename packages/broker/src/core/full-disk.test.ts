// A store that is full: what would have to be kept is refused in the words of each protocol level,
// never promised and dropped; what is kept already, and what need not be kept, goes on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Packet, PacketType, ReasonCode, ReturnCode } from '@godwit/packet'
import { only, texts } from '../testing/bytes.ts'
import { connectPacket, World } from '../testing/harness.ts'
import { connectKept, disconnectPacket, unsubscribePacket } from '../testing/v5.ts'

function fullWorld(): World {
  const world = new World()
  connectKept(world, 'known').cut()
  world.store.full = true
  return world
}

const KEPT = { cleanStart: false, properties: { sessionExpiryInterval: 60 } } as const

test('a new session that has to be kept is refused with 0x97', () => {
  const client = fullWorld().open()
  const packets = client.ask(connectPacket({ clientId: 'new', ...KEPT }))
  assert.equal(only(packets, PacketType.CONNACK).reasonCode, ReasonCode.QUOTA_EXCEEDED)
  assert.equal(client.ended, true)
})

test('before MQTT 5.0 it is refused with return code 3', () => {
  const world = fullWorld()
  const client = world.open(4)
  const connect = connectPacket({ protocolLevel: 4, clientId: 'new', cleanStart: false })
  const connack = only(client.ask(connect), PacketType.CONNACK)
  assert.equal(connack.reasonCode, ReturnCode.SERVER_UNAVAILABLE)
  assert.equal(client.ended, true)
  assert.equal(world.broker.sessions.byClientId.has('new'), false)
})

test('a session that begins anew is refused before the old one is given up', () => {
  const world = fullWorld()
  const client = world.open()
  const packets = client.ask(connectPacket({ clientId: 'known', ...KEPT, cleanStart: true }))
  assert.equal(only(packets, PacketType.CONNACK).reasonCode, ReasonCode.QUOTA_EXCEEDED)
  assert.equal(connectKept(world, 'known').connack?.sessionPresent, true)
})

test('a session that is kept goes on, one that ends with its connection begins', () => {
  const world = fullWorld()
  assert.equal(connectKept(world, 'known').connack?.sessionPresent, true)
  assert.equal(world.connect({ clientId: 'passing' }).connack?.sessionPresent, false)
})

test('a subscription that has to be kept is refused with 0x97, before MQTT 5.0 with 0x80', () => {
  const world = fullWorld()
  const codeOf = (packets: readonly Packet[]) => only(packets, PacketType.SUBACK).reasonCodes
  const kept = connectKept(world, 'known')
  assert.deepEqual(codeOf(kept.subscribe('t', 1)), [ReasonCode.QUOTA_EXCEEDED])
  assert.equal(world.broker.subscriptionCount, 0)
  const passing = world.connect({ clientId: 'passing' })
  assert.deepEqual(
    codeOf(passing.subscribe('t', 1)),
    [1],
    'one that ends with its connection is not',
  )
  kept.cut()
  const old = world.open(4)
  old.ask(connectPacket({ protocolLevel: 4, clientId: 'known', cleanStart: false }))
  assert.deepEqual(codeOf(old.subscribe('t', 1)), [0x80])
})

test('a message for a kept session is refused and counted, one for others goes through', () => {
  const world = new World()
  connectKept(world, 'known').subscribe('kept', 2)
  const passing = world.connect({ clientId: 'passing' })
  passing.subscribe('free', 1)
  world.store.full = true
  const publisher = world.connect({ clientId: 'p' })
  const codeOf = (topic: string, qos: 1 | 2, packetId: number) => {
    const answer = publisher.publish(topic, 'x', { qos, packetId }).take()
    return only(answer, qos === 1 ? PacketType.PUBACK : PacketType.PUBREC).reasonCode
  }
  assert.equal(codeOf('kept', 1, 1), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(codeOf('kept', 2, 2), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(codeOf('free', 1, 3), 0)
  assert.deepEqual(texts(passing.take()), ['x'])
  assert.equal(world.broker.ledger.totalOf('storage-full'), 2)
  assert.equal(world.broker.ledger.total, 2)
  const old = world.open(4)
  old.ask(connectPacket({ protocolLevel: 4, clientId: 'old' }))
  assert.deepEqual(old.publish('kept', 'x', { qos: 1, packetId: 1 }).take(), [])
  assert.equal(old.ended, true, 'without an acknowledgement its client keeps the message')
})

test('nothing new is retained; what is retained can be removed', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'p' })
  const codeOf = (payload: string, packetId: number) => {
    const options = { qos: 1, retain: true, packetId } as const
    return only(publisher.publish('r', payload, options).take(), PacketType.PUBACK).reasonCode
  }
  assert.equal(codeOf('one', 1), ReasonCode.NO_MATCHING_SUBSCRIBERS)
  world.store.full = true
  assert.equal(codeOf('two', 2), ReasonCode.QUOTA_EXCEEDED)
  assert.equal(world.broker.ledger.totalOf('storage-full'), 1)
  assert.deepEqual(texts(world.connect({ clientId: 's' }).subscribe('r')), ['one'])
  assert.equal(codeOf('', 3), 0)
  assert.equal(world.broker.retainer.messages.count, 0)
})

test('what shrinks goes on: acknowledgements, UNSUBSCRIBE, the end of a session', () => {
  const world = new World()
  const client = connectKept(world, 'known')
  client.subscribe('t', 1)
  world.connect({ clientId: 'p' }).publish('t', 'x', { qos: 1, packetId: 1 })
  const { packetId } = only(client.take(), PacketType.PUBLISH)
  world.store.full = true
  client.acknowledge(PacketType.PUBACK, packetId)
  assert.equal(world.broker.queues.totalBytes, 0)
  const unsuback = only(client.ask(unsubscribePacket(5, ['t'])), PacketType.UNSUBACK)
  assert.deepEqual(unsuback.reasonCodes, [0])
  client.send(disconnectPacket(0, { sessionExpiryInterval: 0 }))
  assert.equal(world.broker.sessions.byClientId.has('known'), false)
})
