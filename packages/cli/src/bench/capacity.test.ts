// The search for the capacity, against a broker that is a formula.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadOf, noSignal } from '../testing/bench-settings.ts'
import { findCapacity } from './capacity.ts'
import { Latencies, summaryOf } from './histogram.ts'
import { rateOf } from './pacing.ts'
import type { TrialResult } from './result.ts'
import type { CapacityGoal } from './run.ts'
import type { LoadSettings } from './settings.ts'
import { parseSlo } from './slo.ts'
import { NO_DELIVERY } from './verdict.ts'

const GOAL: CapacityGoal = { slo: parseSlo('--find-capacity', 'response.p99 < 20ms'), stepMs: 1000 }

interface Behaviour {
  readonly p99Us: number
  readonly sentShare?: number
  readonly lost?: number
  readonly isSaturated?: boolean
}

/** Runs the search; `rates` are those that were tried. */
async function search(
  behave: (rate: number) => Behaviour,
  options = '--publishers 2',
  signal: AbortSignal = noSignal(),
) {
  const rates: number[] = []
  const run = (settings: LoadSettings): Promise<TrialResult> => {
    const rate = settings.arrivals === null ? 0 : rateOf(settings.arrivals)
    rates.push(rate)
    const { p99Us, sentShare = 1, lost = 0, isSaturated = false } = behave(rate)
    const latencies = new Latencies()
    latencies.record(p99Us)
    const encoded = latencies.encoded()
    const trial = {
      latencies: { response: { summary: summaryOf(encoded), encoded } },
      counts: { offered: rate, sent: rate * sentShare },
      rates: { received: rate * sentShare },
      delivery: { ...NO_DELIVERY, lost },
      tester: { isSaturated, reasons: ['it was busy'] },
    }
    return Promise.resolve(trial as unknown as TrialResult)
  }
  const { capacity, trials } = await findCapacity(loadOf(1, options), GOAL, run, signal)
  return { capacity, trials, rates }
}

for (const knee of [37, 1_000, 48_000, 3_333_333]) {
  test(`a broker that takes ${knee} messages per second is found within 5 %`, async () => {
    const { capacity, trials } = await search(rate => ({ p99Us: rate <= knee ? 900 : 50_000 }))
    assert.ok(capacity.found <= knee && capacity.found >= knee / 1.06, `${capacity.found}`)
    assert.match(capacity.limit, /response\.p99 < 20ms is missed/)
    assert.equal(trials.length, 1)
    assert.ok(capacity.steps.length <= 30)
  })
}

test('the search begins at the rate that is given', async () => {
  const { rates } = await search(() => ({ p99Us: 50_000 }), '--publishers 2 --rate 8k/s')
  assert.equal(rates[0], 8000)
})

test('a goal that is never met is found at 0, and no trial stands for it', async () => {
  const { capacity, trials } = await search(() => ({ p99Us: 50_000 }))
  assert.equal(capacity.found, 0)
  assert.deepEqual(trials, [])
})

test('a broker without a limit ends the search too', async () => {
  const { capacity } = await search(() => ({ p99Us: 100 }))
  assert.ok(capacity.found >= 10e6)
  assert.equal(capacity.limit, 'the highest rate that is tried')
})

const Reasons: readonly (readonly [name: string, behaviour: Partial<Behaviour>, says: RegExp])[] = [
  ['messages are lost', { lost: 3 }, /3 messages were lost/],
  ['a part of them is never sent', { sentShare: 0.9 }, /only 90 % could be sent/],
  ['the tester is saturated', { isSaturated: true }, /the tester was saturated: it was busy/],
]
for (const [name, behaviour, says] of Reasons) {
  test(`the search stops where ${name}, and says so`, async () => {
    const beyond = (rate: number): Behaviour =>
      rate > 5000 ? { p99Us: 100, ...behaviour } : { p99Us: 100 }
    const { capacity } = await search(beyond)
    assert.ok(capacity.found <= 5000 && capacity.found > 4700, `${capacity.found}`)
    assert.match(capacity.limit, says)
  })
}

test('an interrupted search says what it has found so far', async () => {
  const controller = new AbortController()
  const interrupting = (rate: number): Behaviour => {
    if (rate >= 4000) controller.abort()
    return { p99Us: 100 }
  }
  const { capacity } = await search(interrupting, '--publishers 2', controller.signal)
  assert.equal(capacity.found, 4000)
  assert.equal(capacity.wasInterrupted, true)
  assert.equal(capacity.limit, 'interrupted: there may be more')
})
