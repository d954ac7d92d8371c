// What is said of a run that has broken a rule: enough to have it again.

import type { RunResult } from './run.ts'

export interface ReportOptions {
  /** With the last that happened. */
  readonly hasHistory: boolean
  /** With the place in the model; what is no broken rule always has it. */
  readonly hasStack: boolean
}

export function reportOf(
  { seed, failure, history }: RunResult,
  commit: string,
  { hasHistory, hasStack }: ReportOptions,
): string[] {
  const lines = hasHistory ? [...history] : []
  lines.push(`seed ${seed} at commit ${commit}: ${failure?.message}`)
  if (hasStack || failure?.name !== 'RuleBroken') lines.push(failure?.stack ?? '')
  return lines
}
