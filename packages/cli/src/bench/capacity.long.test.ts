// The search for the capacity, against a broker that is a formula, and one with sockets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadOf, noSignal, SILENT } from '../testing/bench-settings.ts'
import { FaultyBroker } from '../testing/faulty-broker.ts'
import { findCapacity } from './capacity.ts'
import { runTrial } from './coordinator.ts'
import { Latencies, summaryOf } from './histogram.ts'
import { rateOf } from './pacing.ts'
import type { TrialResult } from './result.ts'
import type { CapacityGoal } from './run.ts'
import type { LoadSettings } from './settings.ts'
import { parseSlo } from './slo.ts'
import { judge, NO_DELIVERY } from './verdict.ts'

const GOAL: CapacityGoal = { slo: parseSlo('--find-capacity', 'response.p99 < 20ms'), stepMs: 1000 }

interface Behaviour {
  readonly p99Us: number
  readonly sentShare?: number
  readonly lost?: number
  readonly isSaturated?: boolean
  readonly duplicated?: number
  readonly brokenConnections?: number
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
    const { p99Us, sentShare = 1, isSaturated = false, ...faults } = behave(rate)
    const { lost = 0, duplicated = 0, brokenConnections = 0 } = faults
    const delivery = { ...NO_DELIVERY, lost, duplicated }
    const latencies = new Latencies()
    latencies.record(p99Us)
    const encoded = latencies.encoded()
    const trial = {
      latencies: { response: { summary: summaryOf(encoded), encoded } },
      counts: { offered: rate, sent: rate * sentShare, brokenConnections },
      rates: { received: rate * sentShare },
      delivery,
      verdict: judge(delivery, 0),
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
    assert.ok(capacity.steps.length <= 45)
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
  assert.equal(capacity.isLowerBound, true)
})

const Reasons: readonly (readonly [name: string, behaviour: Partial<Behaviour>, says: RegExp])[] = [
  ['messages are lost', { lost: 3 }, /3 messages were lost/],
  ['a part of them is never sent', { sentShare: 0.9 }, /only 90 % could be sent/],
  ['messages come twice', { duplicated: 2 }, /BROKEN \(duplicated 2\)/],
  ['a connection breaks', { brokenConnections: 1 }, /1 connections broke/],
  ['the tester is saturated', { isSaturated: true }, /the tester was saturated: it was busy/],
]
for (const [name, behaviour, says] of Reasons) {
  test(`the search stops where ${name}, and says so`, async () => {
    const beyond = (rate: number): Behaviour =>
      rate > 5000 ? { p99Us: 100, ...behaviour } : { p99Us: 100 }
    const { capacity } = await search(beyond)
    assert.ok(capacity.found <= 5000 && capacity.found > 4700, `${capacity.found}`)
    assert.match(capacity.limit, says)
    // It was the tester's limit, and the broker may carry more.
    assert.equal(capacity.isLowerBound, name === 'the tester is saturated')
  })
}

test('a rate that fails once is tried again, and a second failure counts', async () => {
  const tried = new Map<number, number>()
  const disturbed = (rate: number): Behaviour => {
    const times = (tried.get(rate) ?? 0) + 1
    tried.set(rate, times)
    return { p99Us: times === 1 || rate > 8000 ? 50_000 : 100 }
  }
  const { capacity, rates } = await search(disturbed)
  assert.ok(capacity.found <= 8000 && capacity.found > 7500, `${capacity.found}`)
  assert.deepEqual(rates.slice(0, 4), [1000, 1000, 2000, 2000])
  assert.ok([...tried.values()].every(times => times === 2))
  assert.deepEqual(
    capacity.steps.slice(0, 2).map(({ passed }) => passed),
    [false, true],
  )
})

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

// Its limit is a number of messages and not the speed of this machine: how many are due in a step
// is the schedule's alone. That latencies are judged is proved above by one that is a formula.
test('a real broker that serves so many messages per second is found', async () => {
  const perSecond = 1500
  const stepSeconds = 1.2
  let served = 0
  const fate = () => (served++ < perSecond * stepSeconds ? 'pass' : 'lose')
  const broker = await FaultyBroker.open({ fate })
  const goal = { slo: parseSlo('--find-capacity', 'response.p50 < 60m'), stepMs: 1000 }
  const run = async (step: LoadSettings): Promise<TrialResult> => {
    served = 0
    assert.equal((step.durationMs + step.warmupMs) / 1000, stepSeconds)
    const trial = await runTrial(step, SILENT, noSignal())
    // Whether the tester is late is about this machine; that all was sent shows in what was lost.
    const counts = { ...trial.counts, sent: trial.counts.offered }
    return { ...trial, counts, tester: { ...trial.tester, isSaturated: false } }
  }
  const settings = loadOf(broker.port, '--publishers 2 --qos 1')
  const found = findCapacity(settings, goal, run, noSignal())
  const { capacity, trials } = await found.finally(() => broker.close())
  const steps = JSON.stringify(capacity.steps)
  assert.ok(capacity.found > perSecond * 0.9 && capacity.found < perSecond * 1.02, steps)
  assert.equal(trials.length, 1)
  assert.match(capacity.limit, /\d+ messages were lost/)
  assert.equal(capacity.isLowerBound, false)
})
