// npm run crash -- --rounds 500 --seed 1: kills brokers under load and judges what they kept.
// --chains 4 shares the rounds among four brokers at a time, each with data and a seed of its own.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Figures, type RoundsResult, runRounds } from './rounds.ts'

/** Between the seeds of two chains, so that no round of one is a round of another. */
const CHAIN_SEEDS = 100_000

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    chains: { type: 'string', default: '1' },
    seed: { type: 'string' },
    data: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
})
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const seed = wholeNumber('--seed', values.seed ?? String(1 + (Date.now() % 1_000_000)))
const rounds = wholeNumber('--rounds', values.rounds)
const chains = wholeNumber('--chains', values.chains)
const directory = join(values.data ?? mkdtempSync(join(tmpdir(), 'godwit-crash-')), 'crash')
say(`seed ${seed}, data and ledgers in ${directory}`)
const startedMs = performance.now()
const results = await Promise.all(
  Array.from({ length: Math.min(chains, rounds) }, (_, chain) => runChain(chain)),
)
const violations = results.flatMap(result => result.violations)
for (const [end, count] of sumOfEnds(results)) say(`${String(count).padStart(6)} ${end}`)
for (const [name, count] of sumOfFigures(results)) say(`${String(count).padStart(10)} ${name}`)
const seconds = Math.round((performance.now() - startedMs) / 1000)
const done = results.reduce((sum, result) => sum + result.rounds, 0)
say(`${done} rounds in ${seconds} s, ${violations.length} violations`)
if (violations.length > 0) process.exitCode = 1

async function runChain(chain: number): Promise<RoundsResult> {
  const name = chains === 1 ? '' : `chain ${chain + 1}, `
  const result = await runRounds({
    // The first chains take what does not divide.
    rounds: Math.floor(rounds / chains) + (chain < rounds % chains ? 1 : 0),
    seed: seed + chain * CHAIN_SEEDS,
    directory: join(directory, String(chain + 1)),
    report: values.quiet ? () => undefined : line => say(`${name}${line}`),
  })
  // At once: the other chains may go on for long.
  for (const violation of result.violations) say(`${name}${violation}`)
  return result
}

function sumOfEnds(all: readonly RoundsResult[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { ends } of all) {
    for (const [end, count] of ends) sums.set(end, (sums.get(end) ?? 0) + count)
  }
  return sums
}

function sumOfFigures(all: readonly RoundsResult[]): [string, number][] {
  const names = Object.keys(all[0]?.figures ?? {}) as (keyof Figures)[]
  return names.map(name => [name, all.reduce((sum, { figures }) => sum + figures[name], 0)])
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  say(`${option} takes a whole number above 0, and '${text}' came`)
  process.exit(2)
}
