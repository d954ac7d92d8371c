// The whole store on a machine that fails. GODWIT_SEEDS=5000 runs more, GODWIT_SEEDS=endless goes
// on until a seed fails; GODWIT_FIRST_SEED=123 GODWIT_SEEDS=1 repeats one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulateStore } from './testing/store-simulation.ts'

const wanted = process.env['GODWIT_SEEDS'] ?? '1000'
const seedCount = wanted === 'endless' ? Number.POSITIVE_INFINITY : Number(wanted)
const firstSeed = Number(process.env['GODWIT_FIRST_SEED'] ?? 1)

test(`the store is what the model says after the crashes of ${wanted} seeds`, async () => {
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) await simulateStore(seed)
})

test('a disk that lies about sync is found out', async () => {
  let found = 0
  for (let seed = 1; seed <= 20; seed++) {
    await simulateStore(seed, true).catch(() => {
      found++
    })
  }
  assert.ok(found > 0)
})
