// The simulation holds what it promises: a seed is a run, and a run finds what is wrong.

import assert from 'node:assert/strict'
import test from 'node:test'
import { run } from './run.ts'

// 5091: a kept session that is resumed for the last time still has messages on disk, and its order.
const SEEDS = [2, 8, 20, 5091]

test('the same seed gives the same run, another one another', () => {
  const first = run(20)
  const second = run(20)
  assert.equal(first.hash, second.hash)
  assert.deepEqual(first.history, second.history)
  assert.notEqual(first.hash, run(21).hash)
})

for (const seed of SEEDS) {
  test(`seed ${seed} breaks no rule`, () => {
    const { failure, history } = run(seed)
    assert.equal(failure, null, `${failure?.stack}\n${history.join('\n')}`)
  })
}
