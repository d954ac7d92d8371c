// The allocator of packet identifiers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PacketIds } from './packet-ids.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

test('identifiers begin at 1 and go on behind the last one', () => {
  const ids = new PacketIds()
  assert.deepEqual([ids.take(), ids.take(), ids.take()], [1, 2, 3])
  assert.equal(ids.release(2), true)
  assert.equal(ids.take(), 4)
  assert.equal(ids.count, 3)
})

test('all 65,535 identifiers are handed out once, then none [MQTT-2.2.1-3]', () => {
  const ids = new PacketIds()
  const taken = new Set<number>()
  for (let i = 0; i < 65_535; i++) taken.add(ids.take())
  assert.equal(taken.size, 65_535)
  assert.equal(taken.has(0), false)
  assert.equal(ids.take(), 0)
  assert.equal(ids.release(40_000), true)
  assert.equal(ids.take(), 40_000)
  assert.equal(ids.take(), 0)
})

test('after the last identifier the first free one follows, never 0', () => {
  const ids = new PacketIds()
  for (let i = 0; i < 65_535; i++) ids.take()
  for (const id of [65_535, 1, 31, 32]) ids.release(id)
  assert.deepEqual([ids.take(), ids.take(), ids.take(), ids.take()], [1, 31, 32, 65_535])
})

test('a reserved identifier is not handed out', () => {
  const ids = new PacketIds()
  ids.reserve(1)
  ids.reserve(1)
  ids.reserve(3)
  assert.equal(ids.count, 2)
  assert.deepEqual([ids.take(), ids.take()], [2, 4])
})

test('an identifier that is not in use cannot be released', () => {
  const ids = new PacketIds()
  assert.equal(ids.release(0), false)
  assert.equal(ids.release(7), false)
  ids.reserve(7)
  assert.equal(ids.release(7), true)
  assert.equal(ids.release(7), false)
  assert.equal(ids.count, 0)
})

test('after clear all are free again', () => {
  const ids = new PacketIds()
  ids.take()
  ids.reserve(500)
  ids.clear()
  assert.equal(ids.count, 0)
  assert.equal(ids.has(500), false)
  assert.equal(ids.take(), 1)
})

test('whatever is taken and released, no identifier is in use twice [MQTT-2.2.1-3]', () => {
  const steps = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 70 })), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(steps, some => {
      const ids = new PacketIds()
      const used = new Set<number>()
      for (const step of some) {
        if (step > 0) {
          assert.equal(ids.release(step), used.delete(step))
          continue
        }
        const id = ids.take()
        assert.equal(used.has(id), false)
        used.add(id)
      }
      assert.equal(ids.count, used.size)
      for (const id of used) assert.equal(ids.has(id), true)
    }),
  )
})
