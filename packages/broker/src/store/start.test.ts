// What a start makes of a directory in which something is missing, empty, destroyed or somebody
// else's: nothing that was acknowledged goes without a word.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreError } from './errors.ts'
import { segmentName, segmentNumber } from './log-format.ts'
import { commitAll, factsOf, Opened, session, temporaryDirectory } from './testing/opened-store.ts'

const FRAME_BYTES = 2000
const TINY = { segmentBytes: 8192, checkpointBytes: 1024 * 1024 }

function segmentsIn(directory: string): string[] {
  const names = fs.readdirSync(join(directory, 'log'))
  return names.filter(name => segmentNumber(name) > 0).toSorted()
}

function pathOf(directory: string, number: number): string {
  return join(directory, 'log', segmentName(number))
}

/** A session with messages that fill several segments, none of which the database has. */
async function killed(t: TestContext, messages = 9): Promise<string> {
  const directory = temporaryDirectory(t)
  const owner = new Opened()
  const store = await owner.open({ directory, ...TINY })
  store.putSession(session)
  await commitAll(store, owner)
  for (let id = 1; id <= messages; id++) {
    const frame = new Uint8Array(FRAME_BYTES).fill(id)
    store.putMessage({ id, frame, protocolLevel: 4, expiresAtMs: 0, publisher: '' })
    store.putDelivery({
      ownerId: 1,
      sequence: id,
      byteLength: FRAME_BYTES,
      messageId: id,
      flags: 1,
      identifiers: null,
    })
    await commitAll(store, owner)
  }
  // Three are prepared ahead; the kill comes when all of them are there.
  const used = messages > 3 ? 3 : 1
  while (segmentsIn(directory).length < used + 3) await new Promise(setImmediate)
  await store.terminate()
  return directory
}

/** The names and contents of all files. */
function imageOf(directory: string): Map<string, string> {
  const image = new Map<string, string>()
  for (const name of fs.readdirSync(directory, { recursive: true }) as string[]) {
    const path = join(directory, name)
    if (fs.statSync(path).isFile()) image.set(name, fs.readFileSync(path, 'latin1'))
  }
  return image
}

async function refused(directory: string, expected: RegExp): Promise<void> {
  await assert.rejects(new Opened().open({ directory, ...TINY }), (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'corrupt', String(error))
    assert.match(error.message, expected)
    assert.match(error.message, /Nothing was changed/)
    return true
  })
}

interface Start {
  readonly facts: readonly string[]
  readonly said: string
}

async function started(directory: string, salvage = false): Promise<Start> {
  const owner = new Opened()
  const store = await owner.open({ directory, ...TINY, salvage })
  const facts = await factsOf(store, owner)
  await store.close()
  return { facts, said: owner.said.join('\n') }
}

/** How many messages wait in queues. */
function queued({ facts }: Start): number {
  return facts.filter(fact => fact.startsWith('queue')).length
}

test('a start after a kill has everything: what the other tests take away is there', async t => {
  const directory = await killed(t)
  assert.ok(segmentsIn(directory).length >= 5, segmentsIn(directory).join())
  assert.equal(queued(await started(directory)), 9)
})

test('a log without its database is refused, and no database is made', async t => {
  const directory = await killed(t)
  for (const name of ['state.db', 'state.db-wal']) fs.rmSync(join(directory, name), { force: true })
  const before = imageOf(directory)
  await refused(directory, /state\.db is missing or empty, but .*log has \d+ segments.*--salvage/)
  assert.deepEqual(imageOf(directory), before)
  const back = await started(directory, true)
  assert.equal(queued(back), 9, 'the log alone still has all of it')
})

test('a database that is an empty file is as good as none', async t => {
  const directory = await killed(t)
  fs.rmSync(join(directory, 'state.db-wal'), { force: true })
  fs.writeFileSync(join(directory, 'state.db'), '')
  await refused(directory, /state\.db is missing or empty/)
  await refused(directory, /state\.db is missing or empty/)
})

test('salvage without a database drops what belongs to sessions that are lost', async t => {
  const directory = await killed(t)
  for (const name of ['state.db', 'state.db-wal']) fs.rmSync(join(directory, name), { force: true })
  // The session is in the first segment.
  fs.rmSync(pathOf(directory, 1))
  const back = await started(directory, true)
  assert.deepEqual(back.facts, [])
  assert.match(back.said, /records were lost.*0000000000000002\.log.*"firstSequence":1/)
  // A session that gets the same id now must not get the queue of the one that is lost.
  const owner = new Opened()
  const store = await owner.open({ directory, ...TINY })
  store.putSession({ ...session, clientId: 'another' })
  await commitAll(store, owner)
  await store.close()
  assert.equal(queued(await started(directory)), 0)
})

test('a database whose log was deleted after a kill is refused', async t => {
  const directory = await killed(t)
  for (const name of segmentsIn(directory)) fs.rmSync(join(directory, 'log', name))
  await refused(directory, /0000000000000001\.log at offset 0: 0000000000000001\.log is missing/)
  const back = await started(directory, true)
  assert.equal(queued(back), 0)
  assert.match(back.said, /records were lost.*"firstSequence":1,"lastSequence":null/)
})

test('the directory of the log can be deleted after an orderly end', async t => {
  const directory = await killed(t)
  await started(directory)
  fs.rmSync(join(directory, 'log'), { recursive: true })
  assert.equal(queued(await started(directory)), 9)
})

test('a segment that is missing in the middle is named', async t => {
  const directory = await killed(t)
  fs.rmSync(pathOf(directory, 2))
  await refused(
    directory,
    /0000000000000002\.log at offset 0: 0000000000000002\.log is missing; batch/,
  )
  const back = await started(directory, true)
  assert.ok(queued(back) > 0 && queued(back) < 9)
})

test('the last segment with records is missed too: prepared ones come after it', async t => {
  const directory = await killed(t)
  const used = segmentsIn(directory).filter(
    name =>
      !fs
        .readFileSync(join(directory, 'log', name))
        .subarray(512)
        .every(byte => byte === 0),
  )
  const last = used.at(-1) ?? ''
  fs.rmSync(join(directory, 'log', last))
  await refused(directory, new RegExp(`${last} is missing`))
})

for (const what of ['empty', 'cut', 'zeroed'] as const) {
  test(`a segment that is ${what} is refused, wherever it is`, async t => {
    const whole = await killed(t)
    const segments = segmentsIn(whole).slice(0, 3)
    for (const name of segments) {
      const directory = temporaryDirectory(t)
      fs.cpSync(whole, directory, { recursive: true })
      const path = join(directory, 'log', name)
      if (what === 'zeroed') fs.writeFileSync(path, new Uint8Array(fs.statSync(path).size))
      else fs.truncateSync(path, what === 'empty' ? 0 : 700)
      await refused(directory, new RegExp(`damaged in ${name} at offset \\d+: `))
    }
  })
}

test('a log of which no header and no record can be read is never an empty store', async t => {
  const directory = await killed(t)
  for (const name of segmentsIn(directory)) {
    const path = join(directory, 'log', name)
    fs.writeFileSync(path, new Uint8Array(fs.statSync(path).size).fill(0xa5))
  }
  await refused(directory, /0000000000000001\.log at offset 0: .*its header is destroyed/)
  assert.equal(queued(await started(directory, true)), 0)
})

test('destroyed headers alone lose nothing: the records prove themselves', async t => {
  const directory = await killed(t)
  for (const name of segmentsIn(directory).slice(0, 3)) {
    const descriptor = fs.openSync(join(directory, 'log', name), 'r+')
    fs.writeSync(descriptor, new Uint8Array(512), 0, 512, 0)
    fs.closeSync(descriptor)
  }
  assert.equal(queued(await started(directory)), 9)
})

test('a prepared segment that was never used may hold nothing, but has to be there', async t => {
  const directory = await killed(t, 1)
  assert.equal(queued(await started(directory)), 1)
  const again = await killed(t, 1)
  fs.rmSync(pathOf(again, 2))
  await refused(again, /0000000000000002\.log is missing/)
})

test('a process that died between its database and its log starts', async t => {
  const directory = temporaryDirectory(t)
  const owner = new Opened()
  const store = await owner.open({ directory, ...TINY })
  await store.terminate()
  fs.rmSync(join(directory, 'log'), { recursive: true })
  const { Database } = await import('./sqlite.ts')
  const database = new Database(join(directory, 'state.db'))
  database.execute("UPDATE meta SET value = 0 WHERE key = 'first_segment'")
  database.close()
  fs.mkdirSync(join(directory, 'log'))
  fs.writeFileSync(join(directory, 'log', 'spare-1.tmp'), new Uint8Array(100))
  assert.deepEqual((await started(directory)).facts, [])
})

test('an old segment that came back is not read again', async t => {
  const directory = await killed(t)
  const old = fs.readFileSync(pathOf(directory, 1))
  await started(directory)
  const owner = new Opened()
  const store = await owner.open({ directory, ...TINY })
  store.removeDelivery(1, 1)
  await commitAll(store, owner)
  await store.terminate()
  fs.writeFileSync(pathOf(directory, 1), old)
  assert.equal(queued(await started(directory)), 8)
})

test('a log of another store is refused, and both files are named', async t => {
  const [directory, other] = [await killed(t), await killed(t)]
  fs.rmSync(join(directory, 'log'), { recursive: true })
  fs.cpSync(join(other, 'log'), join(directory, 'log'), { recursive: true })
  await refused(directory, /0000000000000001\.log belongs to another store: state\.db and the log/)
  await assert.rejects(
    new Opened().open({ directory, salvage: true }),
    /belongs to another store/,
    'salvage does not write over what is somebody else’s',
  )
})

test('a database that is older than the log is refused: what lies between is missing', async t => {
  const directory = await killed(t)
  await started(directory)
  const backup = fs.readFileSync(join(directory, 'state.db'))
  for (let life = 0; life < 2; life++) {
    const owner = new Opened()
    const store = await owner.open({ directory, ...TINY })
    store.removeDelivery(1, 1 + life)
    await commitAll(store, owner)
    if (life === 0) await store.close()
    else await store.terminate()
  }
  fs.writeFileSync(join(directory, 'state.db'), backup)
  fs.rmSync(join(directory, 'state.db-wal'), { force: true })
  await refused(directory, /state\.db is damaged at offset \d+: .* not what was written/)
  fs.rmSync(join(directory, 'state.db.sums'))
  await refused(directory, /batch 11 was expected, 12 is the next/)
})
