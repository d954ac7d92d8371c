// The suite against our own broker, in this process and over TCP: every case passes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '@godwit/broker'
import { ALL_CASES } from './all-cases.ts'
import { textReport } from './report.ts'
import { runCases } from './runner.ts'

const LIMIT_MS = 60_000

test('our broker passes every case of the conformance suite that applies to it', async () => {
  const broker = createBroker({ statsIntervalSeconds: 1 })
  const { port } = await broker.listen({ port: 0 })
  try {
    const options = { limitMs: LIMIT_MS, tag: 'c' }
    const results = await runCases({ host: '127.0.0.1', port }, ALL_CASES, options)
    const wrong = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'no answer')
    assert.equal(wrong.length, 0, textReport(wrong, false))
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
})
