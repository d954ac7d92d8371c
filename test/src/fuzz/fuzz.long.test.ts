// Ten thousand cases of the fuzzer.

import { test } from 'node:test'
import { fuzz } from './fuzzer.ts'

test('ten thousand cases find nothing', async () => {
  await fuzz({ seed: Number(process.env['GODWIT_SEED'] ?? 20_261_124), cases: 10_000 })
})
