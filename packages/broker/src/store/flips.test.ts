// A flipped bit anywhere in a store: refused, harmless, or a cut last batch; never wrong data.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { segmentNumber } from './log-format.ts'
import { flipAll, type Killed, killedStore } from './testing/flips.ts'

async function allOf(
  t: TestContext,
  killed: Killed,
  isMeant: (name: string) => boolean,
  step: number,
): Promise<{ right: number; cut: number; refused: number }> {
  const sum = { right: 0, cut: 0, refused: 0 }
  for (const name of killed.files.filter(isMeant)) {
    const { right, cut, refused } = await flipAll(killed, name, step, t)
    sum.right += right
    sum.cut += cut
    sum.refused += refused
  }
  return sum
}

test('a bit flipped in a small store is refused, harmless, or cuts the last batch', async t => {
  const killed = await killedStore(t)
  const database = await allOf(t, killed, name => name === 'state.db', 3989)
  assert.ok(database.refused > 25, `${database.refused} refused in the database`)
  assert.equal(database.cut, 0)
  const sums = await allOf(t, killed, name => name === 'state.db.sums', 9)
  assert.ok(sums.refused > 5, `${sums.refused} refused in the checksums`)
  assert.equal(sums.cut, 0)
  const journal = await allOf(t, killed, name => name === 'state.db-wal', 1997)
  assert.ok(journal.refused + journal.right > 5)
  const isLog = (name: string): boolean => segmentNumber(name.replace('log/', '')) > 0
  const log = await allOf(t, killed, isLog, 113)
  assert.ok(log.refused > 1, `${log.refused} refused in the log`)
  assert.ok(log.cut > 0 && log.cut < 5, `${log.cut} cut in the log`)
})
