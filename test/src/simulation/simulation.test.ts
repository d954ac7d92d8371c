// The simulation holds what it promises: a seed is a run, and a run finds what is wrong.

import assert from 'node:assert/strict'
import test from 'node:test'
import { run } from './run.ts'

// 3: a plain store. 64: the last that happened was retained at QoS 0, and was not written down.
// 86: a process ends before it has acknowledged what is durable.
const SEEDS = [2, 3, 8, 20, 64, 86]

test('the same seed gives the same run, another one another', async () => {
  const first = await run(20)
  const second = await run(20)
  assert.equal(first.hash, second.hash)
  assert.deepEqual(first.history, second.history)
  assert.notEqual(first.hash, (await run(21)).hash)
})

for (const seed of SEEDS) {
  test(`seed ${seed} breaks no rule`, async () => {
    const { failure, history } = await run(seed)
    assert.equal(failure, null, `${failure?.stack}\n${history.join('\n')}`)
  })
}
