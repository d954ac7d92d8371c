// The command: runs the suite against a broker at an address and prints what came of each case.
//
//   npm run conformance -- host:port [--json] [--only 3.1.2-1] [--timeout seconds] [--verbose]
//   npm run conformance -- --measure    runs it against the brokers of peers.ts, prints a table

import { parseArgs } from 'node:util'
import { ALL_CASES } from './all-cases.ts'
import { measure } from './measure.ts'
import { jsonReport, textReport } from './report.ts'
import { runCases } from './runner.ts'
import type { Address } from './wire.ts'

const USAGE =
  'usage: npm run conformance -- host:port [--json] [--only 3.1.2-1] [--timeout 5] [--verbose]\n'
const TIMEOUT_SECONDS = '5'

/** @returns the exit code: 0 when nothing failed and everything answered */
export async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      timeout: { type: 'string', default: TIMEOUT_SECONDS },
      verbose: { type: 'boolean', default: false },
      measure: { type: 'boolean', default: false },
    },
  })
  if (values.measure) {
    process.stdout.write(await measure())
    return 0
  }
  const address = addressOf(positionals[0] ?? '')
  const limitMs = Number(values.timeout) * 1000
  if (address === null || positionals.length > 1 || !(limitMs > 0)) {
    process.stderr.write(USAGE)
    return 2
  }
  const { only } = values
  const chosen = ALL_CASES.filter(({ id }) => only.length === 0 || only.includes(id))
  const tag = Math.floor(performance.timeOrigin % 1e9).toString(36)
  const results = await runCases(address, chosen, { limitMs, tag })
  process.stdout.write(values.json ? jsonReport(results) : textReport(results, values.verbose))
  return results.some(({ outcome }) => outcome === 'fail' || outcome === 'no answer') ? 1 : 0
}

/** `host:port`, `:port`, `[::1]:port`; null when it is none. */
function addressOf(text: string): Address | null {
  const match = /^(?:mqtt:\/\/)?(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text)
  if (match === null) return null
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port: Number(match[3]) }
}
