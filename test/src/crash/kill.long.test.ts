// Brokers are killed under load, at random moments and at named points, and start again on what
// they left. `npm run crash -- --rounds 500` does the same for longer.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runRounds } from './rounds.ts'

const ROUNDS = 20
const SEED = 20

test('what was acknowledged survives kill -9 under load, 20 times', async context => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-kill-'))
  const report = (line: string): void => context.diagnostic(line)
  const result = await runRounds({ rounds: ROUNDS, seed: SEED, directory, report })
  assert.deepEqual(result.violations, [], `ledgers are in ${directory}`)
  assert.equal(result.rounds, ROUNDS)
  // A load that has nothing under way when it is cut proves little.
  const { owed, unfinishedAtCrash } = result.figures
  assert.ok(owed > 1000, `${owed} deliveries were owed`)
  assert.ok(unfinishedAtCrash > 20, `${unfinishedAtCrash} messages were under way at the kills`)
  rmSync(directory, { recursive: true, force: true })
})
