// The same as differential.test.ts with more scripts.

import { test } from 'node:test'
import { skipWithout } from '../support/skip.ts'
import { PAIRS } from './pairs.ts'
import { run } from './run.ts'

const COUNT = 60

for (const pair of PAIRS) {
  test(`${COUNT} scripts: clients get the same from Godwit and ${pair.name}`, async context => {
    if (skipWithout(context, pair.missing)) return
    await run(pair, { from: 1001, count: COUNT })
  })
}
