// Clients that come again and again are named, and refused where that is asked for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import { only } from '../testing/bytes.ts'
import { connectPacket, World } from '../testing/harness.ts'
import { Flapping, type FlappingClient } from './flapping.ts'
import { DEFAULT_LIMITS } from './limits.ts'

function named(world: World): FlappingClient[] {
  return world.trace.events
    .filter(([name]) => name === 'flapping')
    .map(([, client]) => client as FlappingClient)
}

test('two clients with one id that take over from each other are named, once', () => {
  const world = new World({ limits: { flappingConnectsMax: 4 } })
  for (let i = 0; i < 4; i++) world.connect({ clientId: 'twin' })
  assert.deepEqual(named(world), [])
  for (let i = 0; i < 4; i++) world.connect({ clientId: 'twin' })
  assert.deepEqual(
    named(world).map(client => client.clientId),
    ['twin'],
  )
})

test('a client that connects now and then is not named', () => {
  const world = new World({ limits: { flappingConnectsMax: 2, flappingWindowSeconds: 10 } })
  for (let i = 0; i < 10; i++) {
    world.connect({ clientId: 'c' }).cut()
    world.advance(6000)
  }
  assert.deepEqual(named(world), [])
})

test('a ban refuses it with 0x9F for its time, and nobody else', () => {
  const limits = { flappingConnectsMax: 1, flappingBanSeconds: 30 }
  const world = new World({ limits })
  for (let i = 0; i < 2; i++) world.connect({ clientId: 'c' })
  const connack = only(world.open().ask(connectPacket({ clientId: 'c' })), PacketType.CONNACK)
  assert.equal(connack.reasonCode, ReasonCode.CONNECTION_RATE_EXCEEDED)
  world.connect({ clientId: 'other' })
  world.advance(31_000)
  world.connect({ clientId: 'c' })
})

test('a ban lasts for its seconds, to the millisecond', () => {
  const limits = { ...DEFAULT_LIMITS, flappingConnectsMax: 1, flappingBanSeconds: 30 }
  const flapping = new Flapping(limits)
  flapping.connected('c', from('here'), 1000)
  assert.equal(flapping.banSecondsLeft('c', 1000), 0)
  assert.notEqual(flapping.connected('c', from('here'), 1000), null)
  assert.equal(flapping.banSecondsLeft('c', 1000), 30)
  assert.equal(flapping.banSecondsLeft('c', 30_999), 1)
  assert.equal(flapping.banSecondsLeft('c', 31_000), 0)
})

test('without a limit nobody is named', () => {
  const world = new World({ limits: { flappingConnectsMax: 0, flappingBanSeconds: 30 } })
  for (let i = 0; i < 100; i++) world.connect({ clientId: 'c' })
  assert.deepEqual(named(world), [])
})

test('clients whose ids the broker gives are not counted as one', () => {
  const world = new World({ limits: { flappingConnectsMax: 2 } })
  for (let i = 0; i < 10; i++) world.connect({ clientId: '' })
  assert.deepEqual(named(world), [])
})

function from(remoteAddress: string): { origin: { remoteAddress: string } } {
  return { origin: { remoteAddress } }
}

test('it tells from where the client came, and from where else', () => {
  const flapping = new Flapping({ ...DEFAULT_LIMITS, flappingConnectsMax: 10 })
  for (let i = 0; i < 10; i++) {
    assert.equal(flapping.connected('c', from('192.0.2.1'), i), null)
  }
  const found = flapping.connected('c', from('192.0.2.2'), 10)
  assert.deepEqual([found?.address, found?.otherAddress], ['192.0.2.2', '192.0.2.1'])
})

test('nobody asks where a client comes from that comes a few times', () => {
  const flapping = new Flapping(DEFAULT_LIMITS)
  const wire = {
    get origin(): never {
      return assert.fail('asked')
    },
  }
  for (let i = 0; i < 100; i++) assert.equal(flapping.connected(`c${i % 20}`, wire, 0), null)
})

test('the window begins with the first time', () => {
  const limits = { ...DEFAULT_LIMITS, flappingConnectsMax: 2, flappingWindowSeconds: 10 }
  const flapping = new Flapping(limits)
  for (const nowMs of [0, 9000, 10_000, 18_999]) {
    assert.equal(flapping.connected('c', from('a'), nowMs), null, `at ${nowMs}`)
  }
  assert.equal(flapping.connected('c', from('a'), 19_000)?.connects, 3)
})

for (const flappingConnectsMax of [1, 2, 7, 8, 9, 15, 100]) {
  test(`flappingConnectsMax ${flappingConnectsMax}: one more is too often, once`, () => {
    const flapping = new Flapping({ ...DEFAULT_LIMITS, flappingConnectsMax })
    for (let i = 0; i < flappingConnectsMax; i++) {
      assert.equal(flapping.connected('c', from('a'), i), null)
    }
    assert.equal(flapping.connected('c', from('a'), 999)?.connects, flappingConnectsMax + 1)
    assert.equal(flapping.connected('c', from('a'), 1000), null)
  })
}

test('flappingClientsMax: the one seen longest ago makes room', () => {
  const limits = { ...DEFAULT_LIMITS, flappingConnectsMax: 2, flappingClientsMax: 2 }
  const flapping = new Flapping(limits)
  const often = (clientId: string): boolean[] =>
    [0, 1, 2].map(nowMs => flapping.connected(clientId, from(''), nowMs) !== null)
  for (const clientId of ['a', 'b', 'c']) assert.deepEqual(often(clientId), [false, false, true])
  assert.deepEqual(often('b'), [false, false, false], 'b is remembered, and was named')
  assert.deepEqual(often('a'), [false, false, true], 'a was forgotten')
})

test('who comes a few times takes the place of others like that, and of no other', () => {
  const limits = { ...DEFAULT_LIMITS, flappingConnectsMax: 2, flappingClientsMax: 2 }
  const flapping = new Flapping(limits)
  for (let i = 0; i < 3; i++) flapping.connected('often', from(''), 0)
  flapping.connected('once', from(''), 0)
  for (let i = 0; i < 1000; i++) flapping.connected(`x${i}`, from(''), 1)
  assert.equal(flapping.connected('once', from(''), 2), null)
  assert.equal(flapping.connected('once', from(''), 2), null, 'it was forgotten')
  assert.equal(flapping.connected('often', from(''), 60_000)?.connects ?? 0, 0)
  assert.equal(flapping.connected('often', from(''), 60_001), null)
  assert.equal(flapping.connected('often', from(''), 60_002)?.connects, 3, 'its window is new')
})
