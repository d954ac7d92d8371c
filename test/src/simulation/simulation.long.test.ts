// As many seeds as CI has time for; `npm run sim -- --seeds 100000` runs more.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Survey } from './coverage.ts'
import { run } from './run.ts'

const SEED_COUNT = 200
/** What occurs in fewer runs is no part of what the simulation shows. */
const SHARE_MIN = 0.05

test(`no rule is broken in ${SEED_COUNT} runs, and all that there is really occurs`, async () => {
  const survey = new Survey()
  for (let seed = 0; seed < SEED_COUNT; seed++) {
    const { failure, history, coverage } = await run(seed)
    assert.equal(failure, null, `seed ${seed}: ${failure?.stack}\n${history.join('\n')}`)
    survey.add(coverage)
  }
  assert.deepEqual(survey.rare(SHARE_MIN), [], survey.lines().join('\n'))
})
