// The tester's judgement of itself, and the exit code that follows from a trial.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BUSY_MAX,
  busyShare,
  Health,
  type HealthReport,
  LOOP_DELAY_P99_MAX_MS,
  SLIP_P99_MAX_US,
  saturationOf,
} from './health.ts'
import type { TrialResult } from './result.ts'
import { exitCodeOf } from './run.ts'
import { judge, NO_DELIVERY } from './verdict.ts'

const WELL: HealthReport = {
  busy: BUSY_MAX,
  cpuSeconds: 1,
  loopDelayP99Ms: LOOP_DELAY_P99_MAX_MS,
  gcShare: 0,
  memoryBytes: 1,
}

test('at its limits a tester is not the bottleneck, beyond each of them it is', () => {
  assert.deepEqual(saturationOf([WELL], SLIP_P99_MAX_US), [])
  assert.deepEqual(saturationOf([WELL], null), [])
  assert.match(saturationOf([WELL], SLIP_P99_MAX_US + 1).join(), /after their time/)
  assert.match(saturationOf([{ ...WELL, busy: 0.95 }], null).join(), /busy 95 %/)
  const late = { ...WELL, loopDelayP99Ms: LOOP_DELAY_P99_MAX_MS + 1 }
  assert.match(saturationOf([late], null).join(), /event loop was 21 ms late/)
})

test('the worst of several processes counts', () => {
  assert.equal(saturationOf([WELL, { ...WELL, busy: 1 }, WELL], null).length, 1)
})

test('a tester that was late without being busy blames the machine', () => {
  const late = { ...WELL, busy: 0.1, loopDelayP99Ms: 300 }
  assert.match(saturationOf([late], null).join(), /busy 10 %: others took the processor/)
})

test('the delay of the event loop is told since the last time, and at the end of all', async () => {
  const health = new Health()
  health.start()
  const turns = async () => {
    const endMs = performance.now() + 30
    // On a busy machine the time may be over before the loop has come to its timers.
    for (let turn = 0; turn < 3 || performance.now() < endMs; turn++) {
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await turns()
  const untilMs = performance.now() + 300
  while (performance.now() < untilMs);
  await turns()
  const during = health.takeLoopDelayMs()
  // Others may take the processor meanwhile, but not each time.
  let after = during
  for (let i = 0; i < 50 && after >= during; i++) {
    await turns()
    after = health.takeLoopDelayMs()
  }
  const { loopDelayP99Ms } = health.report()
  health.stop()
  assert.ok(during >= 250, `${during}`)
  assert.ok(after < during, `${after} and ${during}`)
  assert.ok(loopDelayP99Ms >= 250, `${loopDelayP99Ms}`)
})

test('time that was spent polling is not work', () => {
  const health = new Health()
  health.start()
  const untilMs = performance.now() + 100
  while (performance.now() < untilMs);
  const worked = health.report()
  health.polled(1e9)
  const polled = health.report()
  health.stop()
  assert.ok(worked.busy > 0)
  assert.equal(polled.busy, 0)
})

test('who polls and has half a processor has worked in what is left of that half', () => {
  // Alone: half of the time polling, half at work.
  assert.equal(busyShare(1000, 500, 1000), 0.5)
  assert.ok(Math.abs(busyShare(1000, 900, 1000) - 0.1) < 1e-9)
  // 800 ms passed while it polled, of which it had 400: of its 500 ms 100 were work.
  assert.ok(Math.abs(busyShare(500, 800, 1000) - 0.1) < 1e-9)
  // It slept most of the time.
  assert.equal(busyShare(300, 250, 1000), 0.05)
  assert.equal(busyShare(0, 0, 1000), 0)
})

function trialOf(changes: Partial<TrialResult>): TrialResult {
  const trial: Partial<TrialResult> = {
    delivery: NO_DELIVERY,
    verdict: judge(NO_DELIVERY, 1),
    counts: { brokenConnections: 0 } as TrialResult['counts'],
    slos: [],
    tester: { isSaturated: false } as TrialResult['tester'],
    wasInterrupted: false,
    ...changes,
  }
  return trial as TrialResult
}

const STRICT = { qos: 1, allowLoss: false, strict: true } as const
const missed = { slos: [{ text: '', value: 1, met: false }] }
const saturated = { tester: { isSaturated: true } as TrialResult['tester'] }
const broken = { verdict: judge({ ...NO_DELIVERY, lost: 1 }, 1) }

test('the exit code is that of the worst: broken, missed, saturated, interrupted', () => {
  const codeOf = (...changes: Partial<TrialResult>[]): number =>
    exitCodeOf(changes.map(trialOf), STRICT, null)
  assert.equal(codeOf({}, {}), 0)
  assert.equal(codeOf({}, { wasInterrupted: true }), 130)
  assert.equal(codeOf({ wasInterrupted: true }, saturated), 5)
  assert.equal(codeOf(saturated, missed), 4)
  assert.equal(codeOf(missed, broken, saturated), 1)
  assert.equal(exitCodeOf([trialOf(saturated)], { ...STRICT, strict: false }, null), 0)
})
