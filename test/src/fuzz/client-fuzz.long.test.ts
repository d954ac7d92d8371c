// Five thousand cases of the client's fuzzer.

import { test } from 'node:test'
import { fuzzClient } from './client-fuzzer.ts'

test('a client stands five thousand cases of a hostile broker', async () => {
  await fuzzClient({ seed: Number(process.env['GODWIT_SEED'] ?? 20_261_124), cases: 5000 })
})
