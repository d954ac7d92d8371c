// GODWIT_SEEDS=5000 runs more; GODWIT_FIRST_SEED=123 GODWIT_SEEDS=1 repeats one.
import { test } from 'node:test'
import { simulateLog } from './testing/log-simulation.ts'

const seedCount = Number(process.env['GODWIT_SEEDS'] ?? 1000)
const firstSeed = Number(process.env['GODWIT_FIRST_SEED'] ?? 1)

test(`simulated crashes of ${seedCount} seeds lose nothing and invent nothing`, async () => {
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) await simulateLog(seed)
})
