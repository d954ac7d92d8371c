// From one version of the tables to the next: forward with a copy of what was, never backward.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreError } from './errors.ts'
import { Overlay } from './overlay.ts'
import { MIGRATIONS } from './schema.ts'
import { Database } from './sqlite.ts'
import { State, type StateOptions } from './state.ts'

const NEXT = 'CREATE TABLE note AS SELECT client_id, 7 AS value FROM session'

function optionsIn(t: TestContext): StateOptions {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-schema-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  const newId = () => new Uint8Array(16).fill(5)
  return { path: join(directory, 'state.db'), newId, reached: () => undefined }
}

function withOneSession(options: StateOptions): void {
  const state = new State(options)
  const overlay = new Overlay()
  const times = { sessionExpirySeconds: 60, disconnectedAtMs: 1 }
  overlay.putSession({ id: 3, clientId: 'kept', protocolLevel: 5, ...times })
  state.apply(overlay, 17, 1)
  state.close()
}

test('an older database is copied, then brought forward with all it has', t => {
  const options = optionsIn(t)
  withOneSession(options)
  const state = new State({ ...options, migrations: [...MIGRATIONS, NEXT] })
  assert.equal(state.appliedSequence, 17)
  assert.deepEqual([...state.storeId], Array(16).fill(5))
  const [row] = state.database.query('SELECT * FROM note')
  assert.deepEqual(row, { client_id: 'kept', value: 7 })
  state.close()
  const copy = new Database(`${options.path}.v${MIGRATIONS.length}.bak`)
  assert.equal(copy.query('SELECT client_id FROM session').length, 1)
  copy.close()
})

test('a migration that fails changes nothing', t => {
  const options = optionsIn(t)
  withOneSession(options)
  const migrations = [...MIGRATIONS, `${NEXT}; ALTER TABLE nowhere ADD COLUMN x`]
  assert.throws(() => new State({ ...options, migrations }))
  const state = new State(options)
  assert.equal(state.appliedSequence, 17)
  assert.throws(() => state.database.query('SELECT * FROM note'))
  state.close()
})

test('a newer database is refused, and says by how much', t => {
  const options = optionsIn(t)
  new State({ ...options, migrations: [...MIGRATIONS, NEXT] }).close()
  assert.throws(
    () => new State(options),
    (error: unknown) => {
      assert.ok(error instanceof StoreError && error.code === 'newer-version')
      const known = MIGRATIONS.length
      assert.match(error.message, new RegExp(`version ${known + 1}.*up to ${known}`))
      return true
    },
  )
})

test('room that many deletes have left goes back to the file system', t => {
  const options = optionsIn(t)
  const state = new State(options)
  const overlay = new Overlay()
  const message = { frame: new Uint8Array(40_000), protocolLevel: 5, expiresAtMs: 0 } as const
  for (let id = 1; id <= 400; id++) {
    overlay.putMessage({ id, publisher: 'p', ...message })
    overlay.putRetained(`t/${id}`, id)
  }
  state.apply(overlay, 1, 1)
  state.database.giveBack()
  overlay.clear()
  for (let id = 1; id <= 400; id++) overlay.removeRetained(`t/${id}`)
  state.apply(overlay, 2, 1)
  state.database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
  const before = fs.statSync(options.path).size
  state.database.giveBack()
  assert.ok(before > 10_000_000, String(before))
  assert.ok(fs.statSync(options.path).size < before / 2)
  state.close()
})

test('a start after an orderly end writes nothing, and a new database can give room back', t => {
  const options = optionsIn(t)
  withOneSession(options)
  const ended = new State(options)
  ended.setFirstSegment(0)
  ended.close()
  const state = new State(options)
  state.disconnectAll(1000)
  const { size = 0 } = fs.statSync(`${options.path}-wal`, { throwIfNoEntry: false }) ?? {}
  assert.equal(size, 0, 'bytes of the write-ahead log')
  const [row] = state.database.query('PRAGMA auto_vacuum')
  assert.deepEqual(row, { auto_vacuum: 2 })
  state.close()
})
