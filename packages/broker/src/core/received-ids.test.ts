// Identifiers of QoS 2 messages that wait for PUBREL: as a set has them, in little memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PACKET_ID_MAX, PacketType } from '@godwit/packet'
import fc from 'fast-check'
import { World } from '../testing/harness.ts'
import { heapBytes } from '../testing/heap-bytes.ts'
import { ReceivedIds } from './received-ids.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

function allOf(ids: ReceivedIds): number[] {
  return Array.from({ length: PACKET_ID_MAX }, (_, i) => i + 1).filter(id => ids.has(id))
}

test('it has what a set has, few or many, and so has a copy', () => {
  const Id = fc.integer({ min: 1, max: PACKET_ID_MAX })
  const Run = fc.record({ from: Id, length: fc.integer({ min: 1, max: 400 }), adds: fc.boolean() })
  fc.assert(
    fc.property(fc.array(Run, { minLength: 1, maxLength: 8 }), runs => {
      const ids = new ReceivedIds()
      const expected = new Set<number>()
      for (const { from, length, adds } of runs) {
        const before = ids.copy()
        const sorted = [...expected].toSorted((a, b) => a - b)
        for (let id = from; id < from + length && id <= PACKET_ID_MAX; id++) {
          if (adds) {
            ids.add(id)
            expected.add(id)
          } else assert.equal(ids.delete(id), expected.delete(id))
        }
        assert.equal(ids.size, expected.size)
        assert.equal(before.size, sorted.length)
        assert.deepEqual(allOf(before), sorted)
      }
      assert.deepEqual(
        allOf(ids),
        [...expected].toSorted((a, b) => a - b),
      )
      for (const id of expected) assert.equal(ids.delete(id), true)
      assert.deepEqual([ids.size, allOf(ids)], [0, []])
    }),
    { numRuns: 50 },
  )
})

test('all identifiers take some kilobytes, however many sessions have them', () => {
  const everyId = Array.from({ length: PACKET_ID_MAX }, (_, i) => i + 1)
  const before = heapBytes() + process.memoryUsage().arrayBuffers
  const sessions = Array.from({ length: 100 }, () => new ReceivedIds(everyId))
  const each = (heapBytes() + process.memoryUsage().arrayBuffers - before) / sessions.length
  assert.ok(sessions.every(({ size }) => size === PACKET_ID_MAX))
  assert.ok(each < 50_000, `${each} bytes for each`)
})

test('before MQTT 5.0 a client may have all identifiers at once, and releases each', () => {
  const world = new World()
  const client = world.connect({ protocolLevel: 4 })
  for (let packetId = 1; packetId <= PACKET_ID_MAX; packetId++) {
    client.connection.bytes(Uint8Array.of(0x34, 5, 0, 1, 0x61, packetId >> 8, packetId & 255))
  }
  const received = client.take().filter(({ type }) => type === PacketType.PUBREC)
  assert.equal(received.length, PACKET_ID_MAX)
  assert.equal(client.connection.session?.received?.size, PACKET_ID_MAX)
  for (let packetId = 1; packetId <= PACKET_ID_MAX; packetId++) {
    client.connection.bytes(Uint8Array.of(0x62, 2, packetId >> 8, packetId & 255))
  }
  const completed = client.take().filter(({ type }) => type === PacketType.PUBCOMP)
  assert.equal(completed.length, PACKET_ID_MAX)
  assert.equal(client.connection.session?.received?.size, 0)
})
