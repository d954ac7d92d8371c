// The ledger is complete or it is none: a load that died must not look like one that found nothing.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Ledger, readLedger } from './ledger.ts'

function temporaryPath(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-ledger-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'ledger')
}

for (const count of [0, 1, 254, 255, 256, 257, 1000]) {
  test(`${count} entries are read as they were written`, context => {
    const path = temporaryPath(context)
    const ledger = new Ledger(path)
    for (let i = 0; i < count; i++) ledger.add({ op: 'ack', id: `${i}`, code: 0 })
    ledger.close()
    const entries = readLedger(path)
    assert.equal(entries.length, count + 1)
    assert.deepEqual(
      entries.slice(0, count).map(entry => (entry.op === 'ack' ? entry.id : '')),
      Array.from({ length: count }, (_, i) => `${i}`),
    )
  })
}

test('a ledger whose writer died, or that has lost a line, is refused', context => {
  const path = temporaryPath(context)
  const ledger = new Ledger(path)
  for (let i = 0; i < 300; i++) ledger.add({ op: 'ack', id: `${i}`, code: 0 })
  assert.throws(() => readLedger(path), /has no end: its writer died/)
  ledger.close()
  const lines = readFileSync(path, 'utf8').split('\n')
  writeFileSync(path, [...lines.slice(0, 5), ...lines.slice(6)].join('\n'))
  assert.throws(() => readLedger(path), /has 300 lines, 301 were written/)
})
