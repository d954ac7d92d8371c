// A flipped bit in every byte of the log, and in every few bytes of the database.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { segmentNumber } from './log-format.ts'
import { flipAll, killedStore } from './testing/flips.ts'

const STEPS = { 'state.db': 31, 'state.db-wal': 11, 'state.db.sums': 1 } as const

test('a bit flipped in every byte: never wrong data', async t => {
  const killed = await killedStore(t)
  let refused = 0
  for (const name of killed.files) {
    const isLog = segmentNumber(name.replace('log/', '')) > 0
    const step = isLog ? 1 : STEPS[name as keyof typeof STEPS]
    assert.ok(step !== undefined, name)
    const outcomes = await flipAll(killed, name, step, t)
    t.diagnostic(`${name}: ${JSON.stringify(outcomes)}`)
    refused += outcomes.refused
  }
  assert.ok(refused > 5000)
})
