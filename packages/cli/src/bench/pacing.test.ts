// Schedules and the wheel of sessions, with the time in our hands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Arrivals, PaceWheel, rateOf, Schedule, shareOf } from './pacing.ts'
import { Random } from './random.ts'

function times(arrivals: Arrivals, count: number, seed = 1): number[] {
  const schedule = new Schedule(arrivals, 1000, new Random(seed))
  return Array.from({ length: count }, () => {
    const time = schedule.nextUs
    schedule.advance()
    return time
  })
}

test('constant arrivals are evenly spaced and begin at the start', () => {
  assert.deepEqual(times({ kind: 'constant', perSecond: 4 }, 4), [1000, 251_000, 501_000, 751_000])
})

test('a rate that does not divide a second does not drift', () => {
  const last = times({ kind: 'constant', perSecond: 3 }, 3_000_001).at(-1) ?? 0
  assert.ok(Math.abs(last - (1000 + 1e12)) < 1, `${last}`)
})

test('a burst is due at once, and the next one an interval later', () => {
  const burst = { kind: 'burst', size: 3, everyUs: 500 } as const
  assert.deepEqual(times(burst, 7), [1000, 1000, 1000, 1500, 1500, 1500, 2000])
})

test('Poisson arrivals have the rate on average and the spread of an exponential', () => {
  const all = times({ kind: 'poisson', perSecond: 1000 }, 20_001)
  const gaps = all.slice(1).map((time, i) => time - (all[i] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length
  assert.ok(Math.abs(mean - 1000) < 30, `mean ${mean}`)
  assert.ok(Math.abs(Math.sqrt(variance) - 1000) < 50, `deviation ${Math.sqrt(variance)}`)
})

test('the same seed gives the same arrivals, another seed others', () => {
  const poisson = { kind: 'poisson', perSecond: 10 } as const
  assert.deepEqual(times(poisson, 50, 7), times(poisson, 50, 7))
  assert.notDeepEqual(times(poisson, 50, 7), times(poisson, 50, 8))
})

test('the shares of several processes add up to the rate', () => {
  const rate = { kind: 'constant', perSecond: 100 } as const
  const sum = [3, 3, 4].reduce((total, part) => total + rateOf(shareOf(rate, part, 10)), 0)
  assert.ok(Math.abs(sum - 100) < 1e-9)
  assert.equal(rateOf({ kind: 'burst', size: 10, everyUs: 2e6 }), 5)
})

const PACE_US = 60e6

/** Turns the clock and notes when each session acted. */
function act(sessions: number, jitter: number, lengthUs: number): number[][] {
  const wheel = new PaceWheel(sessions, PACE_US, jitter, 0, new Random(3))
  const acted: number[][] = Array.from({ length: sessions }, () => [])
  for (let i = 0; i < sessions; i++) wheel.begin(i, 0)
  for (let now = 0; now <= lengthUs; now += 10e3) {
    wheel.due(now, session => {
      acted[session]?.push(now)
      wheel.again(session, now)
    })
  }
  return acted
}

test('each session acts once per pace, the first time within the first pace', () => {
  for (const at of act(50, 0, 10 * PACE_US)) {
    assert.ok(at.length === 10 || at.length === 9, `${at.length} times`)
    assert.ok((at[0] ?? 0) <= PACE_US * 1.01)
  }
})

test('jitter spreads the distances over its range and not beyond', () => {
  const gaps = act(200, 0.25, 10 * PACE_US).flatMap(at =>
    at.slice(1).map((time, i) => (time - (at[i] ?? 0)) / PACE_US),
  )
  const shortest = Math.min(...gaps)
  const longest = Math.max(...gaps)
  assert.ok(shortest > 0.74 && shortest < 0.78, `shortest ${shortest}`)
  assert.ok(longest < 1.27 && longest > 1.22, `longest ${longest}`)
})

test('a pace of a second neither crashes nor stands still', () => {
  const wheel = new PaceWheel(1, 1e6, 0.25, 0, new Random(1))
  let count = 0
  wheel.begin(0, 0)
  for (let now = 0; now <= 20e6; now += 1e3) {
    wheel.due(now, () => {
      count++
      wheel.again(0, now)
    })
  }
  assert.ok(count >= 17 && count <= 23, `${count} times in 20 s`)
})
