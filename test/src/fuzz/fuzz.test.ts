// The fuzzer in short, and that it is able to find something.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzzer.ts'
import { firstBytes, nextBytes } from './packets.ts'
import { Chance } from './random.ts'
import { firstFault } from './reference.ts'

const SEED = Number(process.env['GODWIT_SEED'] ?? 1)

test('five hundred cases find nothing', async () => {
  await fuzz({ seed: SEED, cases: 500 })
})

test('the same seed gives the same bytes, another one others', () => {
  const bytes = (seed: number, index: number): string => {
    const chance = new Chance(seed, index)
    const pieces = [firstBytes(chance, 5)]
    for (let i = 0; i < 20; i++) pieces.push(nextBytes(chance, 5))
    return Buffer.concat(pieces).toString('hex')
  }
  assert.equal(bytes(1, 7), bytes(1, 7))
  assert.notEqual(bytes(1, 7), bytes(1, 8))
  assert.notEqual(bytes(1, 7), bytes(2, 7))
})

test('the reference names the first fault, where it is and what its code is', () => {
  const good = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 0, 0, 0, 0])
  const fault = (...more: number[][]): unknown =>
    firstFault([good, ...more.map(bytes => Uint8Array.from(bytes))], 100, 200)
  assert.equal(fault([0xc0, 0]), null)
  assert.deepEqual(fault([0xc0, 0], [0xc1, 0]), { frames: 3, reasonCode: 0x81, type: 12 })
  assert.deepEqual(fault([0x30, 0xff, 0x7f]), { frames: 1, reasonCode: 0x95, type: 0 })
  assert.deepEqual(fault([0x30, 0xff, 0xff, 0xff, 0xff]), { frames: 1, reasonCode: 0x81, type: 0 })
  assert.deepEqual(fault([...good]), { frames: 2, reasonCode: 0x82, type: 1 })
  assert.equal(fault([0xe0, 0], [0xc1, 0]), null)
  assert.equal(firstFault([], 100, 200), null)
})
