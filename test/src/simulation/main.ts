// The command of the simulation:
//
//   npm run sim -- 17                    one seed, with its history when a rule is broken
//   npm run sim -- --seeds 1000          many
//   npm run sim -- --seeds 1000 --from 5000 --keep-going
//   npm run sim -- --seeds 200 --coverage   and how often each thing occurred, in how many seeds

import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { Survey } from './coverage.ts'
import { reportOf } from './report.ts'
import { type RunResult, run } from './run.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '0' },
    'keep-going': { type: 'boolean', default: false },
    lines: { type: 'string', default: '60' },
    verbose: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
  },
})

const first = Number(positionals[0] ?? values.from)
const count = values.seeds === undefined ? 1 : Number(values.seeds)
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  throw new Error(
    `expected a seed, or --seeds and a number, got ${process.argv.slice(2).join(' ')}`,
  )
}

let failures = 0
let packets = 0
const survey = new Survey()
const startedMs = performance.now()
for (let seed = first; seed < first + count; seed++) {
  const result = await run(seed, Number(values.lines))
  packets += result.packets
  survey.add(result.coverage)
  if (result.failure !== null) {
    failures++
    report(result)
    if (!values['keep-going']) break
  } else if (count === 1) {
    if (values.verbose) print(result.history.join('\n'))
    print(`seed ${seed}: ${result.packets} packets, ${result.crashes} crashes, ${result.hash}`)
  } else if ((seed - first + 1) % 1000 === 0) print(`${seed - first + 1} seeds, ${failures} failed`)
}
if (count > 1) {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  print(`${count} seeds from ${first}: ${failures} failed, ${packets} packets, ${seconds} s`)
}
if (values.coverage) for (const line of survey.lines()) print(line)
process.exitCode = failures === 0 ? 0 : 1

function report(result: RunResult): void {
  const hasHistory = count === 1 || !values['keep-going']
  const hasStack = values.verbose
  print(reportOf(result, commit(), { hasHistory, hasStack }).join('\n'))
}

/** A copy of the compiled files is in no repository. */
function commit(): string {
  const options = { encoding: 'utf8' } as const
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], options)
  return status === 0 ? stdout.trim() : 'unknown'
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
