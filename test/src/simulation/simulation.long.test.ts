// As many seeds as CI has time for; `npm run sim -- --seeds 100000` runs more.

import assert from 'node:assert/strict'
import test from 'node:test'
import { run } from './run.ts'

const SEED_COUNT = 200

test(`no rule is broken in ${SEED_COUNT} runs`, async () => {
  for (let seed = 0; seed < SEED_COUNT; seed++) {
    const { failure, history } = await run(seed)
    assert.equal(failure, null, `seed ${seed}: ${failure?.stack}\n${history.join('\n')}`)
  }
})
