// A few scripts at each pair; many are in the long test.

import { test } from 'node:test'
import { skipWithout } from '../support/skip.ts'
import { PAIRS } from './pairs.ts'
import { run } from './run.ts'

const COUNT = 8

for (const pair of PAIRS) {
  test(`clients get the same from Godwit without a store and from ${pair.name}`, async context => {
    if (skipWithout(context, pair.missing)) return
    await run(pair, { from: 1, count: COUNT })
  })
}
