// Lines of one text are written up to a number per window, and what was left out is counted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogRate } from './log-rate.ts'

test('twenty lines of a text are written in ten seconds, the others are counted', () => {
  const told: string[] = []
  const acts: [number, () => void][] = []
  const rate = new LogRate(
    text => told.push(text),
    (ms, act) => acts.push([ms, act]),
  )
  const storm = Array.from({ length: 25 }, () => rate.allows('refused'))
  assert.deepEqual(storm, [...Array(20).fill(true), ...Array(5).fill(false)])
  assert.equal(rate.allows('another'), true)
  assert.deepEqual(
    acts.map(([ms]) => ms),
    [10_000],
  )
  acts.shift()?.[1]()
  assert.deepEqual(told, ['"refused": 5 more of these within 10 s were left out'])
  assert.equal(rate.allows('refused'), true)
  acts.shift()?.[1]()
  assert.equal(told.length, 1)
})
