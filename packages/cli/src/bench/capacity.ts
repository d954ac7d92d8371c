// The highest rate that meets a goal: doubled until it is missed, then halved in between. A rate is
// missed when it fails twice: what else ran on the machine for a moment is no limit of the broker.
// Pure but for the trials that it asks for.

import type { CapacityResult, CapacityStep, TrialResult } from './result.ts'
import type { CapacityGoal } from './run.ts'
import type { LoadSettings } from './settings.ts'
import { checkSlo } from './slo.ts'

const FIRST_RATE = 1_000
const RATE_MAX = 20_000_000
/** The search ends when the bounds are this close. */
const PRECISION = 0.05
const STEPS_MAX = 45
/** A broker that takes less than this of what is offered is beyond its capacity. */
const SENT_SHARE_MIN = 0.95
const TESTER_FAULT = 'the tester was saturated'

export async function findCapacity(
  settings: LoadSettings,
  goal: CapacityGoal,
  run: (settings: LoadSettings) => Promise<TrialResult>,
  signal: AbortSignal,
  onStep: (step: CapacityStep) => void = () => undefined,
): Promise<{ capacity: CapacityResult; trials: TrialResult[] }> {
  const first = settings.arrivals?.kind === 'burst' ? FIRST_RATE : settings.arrivals?.perSecond
  const steps: CapacityStep[] = []
  const passed: TrialResult[] = []
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let rate = first ?? FIRST_RATE
  let isSecondTry = false
  let limit = 'the highest rate that is tried'
  let isLowerBound = true
  while (steps.length < STEPS_MAX && rate <= RATE_MAX && !signal.aborted) {
    const trial = await run(stepSettings(settings, goal, rate))
    // A part of a step says nothing about its rate.
    if (trial.wasInterrupted) break
    const step = judgeStep(trial, goal, rate)
    steps.push(step)
    onStep(step)
    if (step.passed) {
      low = rate
      passed.push(trial)
    } else if (!isSecondTry) {
      isSecondTry = true
      continue
    } else {
      high = rate
      limit = `at ${Math.round(rate)}/s: ${step.why}`
      isLowerBound = step.why.startsWith(TESTER_FAULT)
    }
    isSecondTry = false
    if (high / Math.max(low, 1) < 1 + PRECISION || (low === 0 && rate < 2)) break
    rate = high === Number.POSITIVE_INFINITY ? rate * 2 : low === 0 ? rate / 4 : (low + high) / 2
  }
  const wasInterrupted = signal.aborted
  if (wasInterrupted) isLowerBound = true
  if (wasInterrupted) limit = 'interrupted: there may be more'
  const best = passed.at(-1)
  return {
    capacity: { slo: goal.slo.text, steps, found: low, limit, isLowerBound, wasInterrupted },
    trials: best === undefined ? [] : [best],
  }
}

function stepSettings(settings: LoadSettings, goal: CapacityGoal, rate: number): LoadSettings {
  const kind = settings.arrivals?.kind === 'poisson' ? 'poisson' : 'constant'
  return {
    ...settings,
    arrivals: { kind, perSecond: rate },
    durationMs: goal.stepMs,
    warmupMs: goal.stepMs / 5,
    messages: 0,
    // A backlog beyond the capacity takes as long to drain as it took to build: that is known by
    // then.
    drainMs: Math.min(settings.drainMs, 1000),
    slos: [goal.slo],
  }
}

export function judgeStep(trial: TrialResult, goal: CapacityGoal, rate: number): CapacityStep {
  const { value, met } = checkSlo(goal.slo, trial)
  const why = met ? faultOf(trial) : `${goal.slo.text} is missed`
  return { rate, achieved: trial.rates.received, value, passed: why === '', why }
}

/** What speaks against a step that has met its goal; empty when nothing does. */
function faultOf({ delivery, verdict, counts, tester }: TrialResult): string {
  if (counts.sent < counts.offered * SENT_SHARE_MIN) {
    return `only ${Math.round((100 * counts.sent) / counts.offered)} % could be sent`
  }
  if (delivery.lost > 0) return `${delivery.lost} messages were lost`
  if (!verdict.contractMet) return verdict.text
  if (counts.brokenConnections > 0) return `${counts.brokenConnections} connections broke`
  return tester.isSaturated ? `${TESTER_FAULT}: ${tester.reasons.join(', ')}` : ''
}
