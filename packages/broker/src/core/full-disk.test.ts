// A store that is full: what would have to be kept is refused in the words of each protocol level,
// never promised and dropped; what is kept already, and what need not be kept, goes on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode, ReturnCode } from '@godwit/packet'
import { only } from '../testing/bytes.ts'
import { connectPacket, World } from '../testing/harness.ts'
import { connectKept } from '../testing/v5.ts'

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
