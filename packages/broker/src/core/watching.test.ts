// Clients that may be silent for long: the system looks after those that are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from '../testing/harness.ts'

const PINGREQ = Uint8Array.of(0xc0, 0)

test('a client without keep alive is looked after once it was silent for a minute', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 0 })
  world.advance(59_500)
  assert.equal(client.watched, 0)
  world.advance(1000)
  assert.equal(client.watched, 1)
  world.advance(1_000_000)
  assert.equal(client.watched, 1)
  assert.equal(client.ended, false)
})

test('who says something is not looked after until it is silent', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 0 })
  for (let i = 0; i < 10; i++) {
    world.advance(30_000)
    client.send(PINGREQ)
  }
  assert.equal(client.watched, 0)
  world.advance(59_000)
  assert.equal(client.watched, 0)
  world.advance(2000)
  assert.equal(client.watched, 1)
})

test('a long keep alive is kept by both [MQTT-3.1.2-22]', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 3600 })
  world.advance(61_000)
  assert.equal(client.watched, 1)
  // Not in one step: what came while the process stood still has no time of its own.
  for (let i = 0; i < 88; i++) world.advance(60_000)
  world.advance(58_000)
  assert.equal(client.ended, false)
  world.advance(2000)
  assert.equal(client.ended, true)
})

test('a short keep alive needs nobody else [MQTT-3.1.2-22]', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 60 })
  world.advance(89_000)
  assert.equal(client.ended, false)
  world.advance(2000)
  assert.deepEqual([client.ended, client.watched], [true, 0])
})
