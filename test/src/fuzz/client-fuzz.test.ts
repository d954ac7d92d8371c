// The client's fuzzer in short, and that its cases go deep enough to find something.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzClient } from './client-fuzzer.ts'

const SEED = Number(process.env['GODWIT_SEED'] ?? 1)

for (const isLite of [false, true]) {
  const name = isLite ? 'a lite client' : 'a client'
  test(`${name} stands three hundred cases of a hostile broker`, async () => {
    const reached = await fuzzClient({ seed: SEED, cases: 300 }, isLite)
    assert.ok(reached.accepted > 100, `accepted: ${reached.accepted}`)
    assert.ok(reached.violations > 50, `violations: ${reached.violations}`)
    assert.ok(reached.messages > 20, `messages: ${reached.messages}`)
    assert.ok(reached.publishes > 50, `publishes: ${reached.publishes}`)
    assert.ok(reached.recovered > 20, `recovered: ${reached.recovered}`)
  })
}

test('the same seed has the client do the same, another one something else', async () => {
  const once = await fuzzClient({ seed: SEED, cases: 20 })
  assert.deepEqual(await fuzzClient({ seed: SEED, cases: 20 }), once)
  assert.notDeepEqual(await fuzzClient({ seed: SEED + 1, cases: 20 }), once)
})
