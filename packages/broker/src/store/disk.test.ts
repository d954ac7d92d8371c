// The store on real files: what comes back after an orderly end and after a killed process, who may
// open it, and what it refuses.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredUser } from '../core/ports.ts'
import { StoreError } from './errors.ts'
import { SEGMENT_HEADER_BYTES } from './log-format.ts'
import { Database } from './sqlite.ts'
import { Model, RandomRecords, readAll } from './testing/model.ts'
import {
  commitAll,
  damagedLog,
  factsOf,
  flip,
  Opened,
  session,
  temporaryDirectory,
} from './testing/opened-store.ts'
import { SeededRandom } from './testing/random.ts'

test('what was durable is there after a killed process, with any records', async t => {
  for (let seed = 1; seed <= 1; seed++) {
    const random = new SeededRandom(seed)
    let model = new Model()
    const directory = temporaryDirectory(t)
    for (let life = 0; life < 4; life++) {
      const owner = new Opened()
      const store = await owner.open({ directory })
      const back = await readAll(store, owner.fetcher(store), 1 + random.below(5))
      assert.deepEqual(back.facts(), model.facts(), `seed ${seed}, life ${life}`)
      model = back
      const records = new RandomRecords(random, model, [store, model])
      for (let i = 0; i < 600; i++) {
        records.step()
        if (i % 40 === 39) await commitAll(store, owner)
      }
      await commitAll(store, owner)
      assert.equal(owner.failure, null)
      if (random.chance(0.5)) await store.terminate()
      else await store.close()
    }
  }
})

test('nothing is durable before its commit, and each commit takes a batch of its own', async t => {
  const owner = new Opened()
  const store = await owner.open({ directory: temporaryDirectory(t) })
  assert.equal(store.dirty, false)
  store.putSession(session)
  assert.equal(store.dirty, true)
  const first = store.openBatch
  store.commit()
  assert.equal(store.dirty, false)
  assert.equal(owner.durableBatch, 0)
  store.putReceived(1, 1)
  store.commit()
  assert.equal(store.openBatch, first + 1, 'one batch on its way at a time')
  assert.equal(store.dirty, true)
  await owner.until(first + 1)
  assert.equal(owner.durableBatch, first + 1, 'the next one followed by itself')
  await store.close()
})

test('a second opener is refused and told who has the directory', async t => {
  const directory = temporaryDirectory(t)
  const store = await new Opened().open({ directory })
  await assert.rejects(new Opened().open({ directory }), (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'locked')
    assert.match(error.message, new RegExp(`in use by process ${process.pid} on `))
    return true
  })
  await store.close()
  await (await new Opened().open({ directory })).close()
})

test('a holder that cannot be asked is not taken for a dead one', async t => {
  const directory = temporaryDirectory(t)
  fs.symlinkSync('lock', join(directory, 'lock'))
  await assert.rejects(new Opened().open({ directory }), (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'locked')
    assert.match(error.message, /a process that cannot be asked \(ELOOP\)/)
    return true
  })
  assert.equal(fs.readlinkSync(join(directory, 'lock')), 'lock', 'its lock is still there')
})

test('a directory with a path longer than a socket may have can be locked', async t => {
  const directory = join(temporaryDirectory(t), 'x'.repeat(120))
  const store = await new Opened().open({ directory })
  await assert.rejects(new Opened().open({ directory }), /in use by process/)
  await store.close()
  assert.equal(fs.existsSync(join(directory, 'lock')), false)
})

test('the lock of a dead process does not stop the next one', async t => {
  const directory = temporaryDirectory(t)
  fs.writeFileSync(join(directory, 'lock'), '')
  await (await new Opened().open({ directory })).close()
})

test('damage before sound records refuses the start and names file and offset', async t => {
  const { directory, file } = await damagedLog(t)
  flip(file, SEGMENT_HEADER_BYTES + 25)
  const before = fs.readFileSync(file)
  await assert.rejects(new Opened().open({ directory }), (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'corrupt')
    assert.match(error.message, /0000000000000001\.log at offset 512: .*--salvage/)
    return true
  })
  assert.deepEqual(fs.readFileSync(file), before)
  const owner = new Opened()
  const store = await owner.open({ directory, salvage: true })
  assert.deepEqual(
    (await factsOf(store, owner)).map(fact => fact.split(' ')[2]),
    ['client-2', 'client-3'],
  )
  assert.match(owner.said.join(), /records were lost.*"offset":512/)
  await store.close()
})

test('a torn last record is left out, without a word of salvage', async t => {
  const { directory, file } = await damagedLog(t)
  const frameBytes = fs.readFileSync(file).readUInt32LE(SEGMENT_HEADER_BYTES) + 20
  flip(file, SEGMENT_HEADER_BYTES + 2 * frameBytes + 22)
  const owner = new Opened()
  const store = await owner.open({ directory })
  assert.equal((await factsOf(store, owner)).length, 2)
  await store.close()
})

test('the database of a newer version is refused', async t => {
  const directory = temporaryDirectory(t)
  await (await new Opened().open({ directory })).close()
  const database = new Database(join(directory, 'state.db'))
  database.execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'")
  database.close()
  await assert.rejects(new Opened().open({ directory }), (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'newer-version')
    assert.match(error.message, /version 999, this program knows up to/)
    return true
  })
})

test('a store of version 1 is opened with its wills, of whose users nothing is known', async t => {
  const directory = temporaryDirectory(t)
  const frame = new Uint8Array([1, 0x74])
  const message = { id: 5, frame, protocolLevel: 5, expiresAtMs: 0, publisher: 'one' } as const
  const will = { sessionId: 1, message, delaySeconds: 3, expirySeconds: -1, fireAtMs: 9_000 }
  const owner = new Opened()
  const older = await owner.open({ directory })
  older.putSession({ ...session, disconnectedAtMs: 1 })
  older.putMessage(message)
  older.putWill({ ...will, user: null })
  await commitAll(older, owner)
  await older.close()
  const database = new Database(join(directory, 'state.db'))
  database.execute('ALTER TABLE will DROP COLUMN user')
  database.execute("UPDATE meta SET value = 1 WHERE key = 'schema_version'")
  database.close()
  fs.rmSync(join(directory, 'state.db.sums'))
  let before: StoredUser | null = null
  let { id }: { id: number } = message
  for (const user of [{ username: null }, { username: '' }, { username: 'ann' }]) {
    const later = new Opened()
    const store = await later.open({ directory })
    const page = await later.fetcher(store)(1, 0, 10)
    assert.deepEqual(page.will?.user, before)
    assert.equal(page.will?.fireAtMs, will.fireAtMs)
    const next = { ...message, id: ++id }
    store.putMessage(next)
    store.putWill({ ...will, message: next, user })
    await commitAll(store, later)
    await store.close()
    before = user
  }
  assert.ok(fs.existsSync(join(directory, 'state.db.v1.bak')))
})

test('a file where the database is and that is none refuses the start', async t => {
  const directory = temporaryDirectory(t)
  await (await new Opened().open({ directory })).close()
  fs.writeFileSync(join(directory, 'state.db'), 'x'.repeat(20_000))
  await assert.rejects(new Opened().open({ directory }), StoreError)
})

test('a directory that cannot be made is an error of the system', async t => {
  const directory = join(temporaryDirectory(t), 'file')
  fs.writeFileSync(directory, '')
  await assert.rejects(new Opened().open({ directory }), /ENOTDIR|EEXIST/)
})
