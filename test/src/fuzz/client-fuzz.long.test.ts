// Five thousand cases of the client's fuzzer.

import { test } from 'node:test'
import { fuzzClient } from './client-fuzzer.ts'

for (const isLite of [false, true]) {
  const name = isLite ? 'a lite client' : 'a client'
  test(`${name} stands five thousand cases of a hostile broker`, async () => {
    const seed = Number(process.env['GODWIT_SEED'] ?? 20_261_124)
    await fuzzClient({ seed, cases: 5000 }, isLite)
  })
}
