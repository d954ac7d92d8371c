// What time it is, by two clocks that the test turns.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { momentNow } from './moment.ts'

let hours = 0

/** @returns tells the time so many milliseconds after an hour that no other test has */
function clocks(context: TestContext): (wallMs: number, fineMs: number) => number {
  const baseMs = Math.ceil(Date.now()) + ++hours * 3_600_000
  let [wall, fine] = [0, 0]
  context.mock.method(Date, 'now', () => baseMs + wall)
  context.mock.method(performance, 'now', () => baseMs + fine - performance.timeOrigin)
  return (wallMs, fineMs) => {
    wall = wallMs
    fine = fineMs
    const { date, nanoseconds } = momentNow()
    return Math.floor(date.getTime() / 1000) * 1000 + nanoseconds / 1e6 - baseMs
  }
}

function near(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 0.01, `${found}, expected ${expected}`)
}

test('the finer clock tells the time, as long as the wall clock agrees', context => {
  const at = clocks(context)
  near(at(100, 100.25), 100.25)
  near(at(101, 105.5), 105.5)
  near(at(200, 120), 200)
})

test('time does not go back where the clocks disagree for a moment only', context => {
  const at = clocks(context)
  near(at(100, 104.5), 104.5)
  // Others had the processor between the two looks.
  near(at(101, 150), 104.5)
  near(at(151, 151.5), 151.5)
})

test('time goes back with a wall clock that was set', context => {
  const at = clocks(context)
  near(at(100_000, 100_000), 100_000)
  near(at(40_000, 100_001), 40_000)
})
