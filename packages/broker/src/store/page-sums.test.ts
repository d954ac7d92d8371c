// Which pages of a database count: those that SQLite's write-ahead log does not replace.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreError } from './errors.ts'
import { PageSums } from './page-sums.ts'
import { killedStore } from './testing/flips.ts'
import { flip, temporaryDirectory } from './testing/opened-store.ts'
import { nodeWaitingFiles } from './waiting-files.ts'
import { readWal, type WalContent } from './wal-reader.ts'

const NAMES = ['state.db', 'state.db-wal', 'state.db.sums']

/** @returns whether the database passes with this page of it damaged */
function passesWithout(t: TestContext, from: string, page: number, pageBytes: number): boolean {
  const directory = temporaryDirectory(t)
  for (const name of NAMES) fs.copyFileSync(join(from, name), join(directory, name))
  const path = join(directory, 'state.db')
  flip(path, (page - 1) * pageBytes + 200)
  try {
    new PageSums(path, { salvage: false, compared: false }).verify()
    return true
  } catch (error) {
    assert.ok(error instanceof StoreError && error.code === 'corrupt', String(error))
    return false
  }
}

function walOf(path: string): WalContent {
  let wal: WalContent | null = null
  nodeWaitingFiles.read(path, readAt => {
    wal = readWal(readAt)
  })
  assert.ok(wal !== null, 'there is a write-ahead log')
  return wal
}

test('a damaged page is refused, unless the write-ahead log replaces just that page', async t => {
  const { directory } = await killedStore(t)
  const wal = walOf(join(directory, 'state.db-wal'))
  const { size } = fs.statSync(join(directory, 'state.db'))
  const count = Math.min(wal.pageCount, size / wal.pageBytes)
  const seen = { replaced: 0, kept: 0 }
  for (let page = 1; page <= count; page++) {
    const isReplaced = wal.sums.has(page)
    seen[isReplaced ? 'replaced' : 'kept']++
    const passes = passesWithout(t, directory, page, wal.pageBytes)
    assert.equal(passes, isReplaced, `page ${page} of ${count}`)
  }
  assert.ok(seen.replaced > 0 && seen.kept > 0, JSON.stringify(seen))
})
