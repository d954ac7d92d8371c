// A flipped bit in every few bytes of each file of a store; log.test.ts does every byte of a log.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { segmentNumber } from './log-format.ts'
import { flipAll, killedStore } from './testing/flips.ts'

const STEPS = { 'state.db': 97, 'state.db-wal': 53, 'state.db.sums': 1 } as const

test('bits flipped in every file: never wrong data', async t => {
  const killed = await killedStore(t)
  let refused = 0
  for (const name of killed.files) {
    const isLog = segmentNumber(name.replace('log/', '')) > 0
    const step = isLog ? 13 : STEPS[name as keyof typeof STEPS]
    assert.ok(step !== undefined, name)
    const outcomes = await flipAll(killed, name, step, t)
    t.diagnostic(`${name}: ${JSON.stringify(outcomes)}`)
    refused += outcomes.refused
  }
  assert.ok(refused > 1000)
})
