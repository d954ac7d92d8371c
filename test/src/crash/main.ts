// npm run crash -- --rounds 500 --seed 1: kills brokers under load and judges what they kept.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runRounds } from './rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    data: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
})
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const directory = join(values.data ?? mkdtempSync(join(tmpdir(), 'godwit-crash-')), 'crash')
say(`seed ${seed}, data and ledgers in ${directory}`)
const startedMs = performance.now()
const { rounds, violations, figures, ends } = await runRounds({
  rounds: Number(values.rounds),
  seed,
  directory,
  report: values.quiet ? () => undefined : say,
})
for (const violation of violations) say(violation)
for (const [end, count] of ends) say(`${String(count).padStart(6)} ${end}`)
for (const [name, count] of Object.entries(figures)) say(`${String(count).padStart(10)} ${name}`)
const seconds = Math.round((performance.now() - startedMs) / 1000)
say(`${rounds} rounds in ${seconds} s, ${violations.length} violations`)
if (violations.length > 0) process.exitCode = 1
