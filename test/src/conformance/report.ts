// What came of the cases: for people, and as JSON.

import type { Outcome } from './outcome.ts'
import { lastLines, type Result } from './runner.ts'

const OUTCOMES: readonly Outcome[] = ['pass', 'fail', 'not applicable', 'no answer']
const STANDARDS = { v5: 'MQTT 5.0', v3: 'MQTT 3.1.1', v31: 'MQTT 3.1' }

export function textReport(results: readonly Result[], verbose: boolean): string {
  const lines: string[] = []
  for (const result of results) {
    const { id, standard, sends, expects } = result.case
    lines.push(
      `${result.outcome.padEnd(14)} ${STANDARDS[standard].padEnd(10)} ${id.padEnd(9)} ${sends}`,
    )
    if (result.outcome === 'pass' && !verbose) continue
    lines.push(`    expected: ${expects}`)
    if (result.why !== '') lines.push(`    what came: ${result.why}`)
    if (result.outcome === 'not applicable' && !verbose) continue
    for (const line of verbose ? result.log : lastLines(result)) lines.push(`      ${line}`)
  }
  lines.push('', totals(results), '')
  return lines.join('\n')
}

export function jsonReport(results: readonly Result[]): string {
  const all = results.map(({ case: each, outcome, why, log }) => ({
    statement: each.id,
    standard: STANDARDS[each.standard],
    sends: each.sends,
    expects: each.expects,
    outcome,
    why,
    log,
  }))
  return `${JSON.stringify(all, null, 2)}\n`
}

/** How many cases had which outcome. */
export function totals(results: readonly Result[]): string {
  const count = (wanted: Outcome): number =>
    results.filter(({ outcome }) => outcome === wanted).length
  const parts = OUTCOMES.map(outcome => `${count(outcome)} ${outcome}`)
  return `${results.length} cases: ${parts.join(', ')}`
}
