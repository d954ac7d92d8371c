// The file store and files that are torn, damaged or in use.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect } from '../index.ts'
import type { SessionStore, StoredRecord } from '../store.ts'
import { fileStore } from './file.ts'

type Table = readonly (readonly [number, readonly number[]])[]

const MAGIC_BYTES = 8
const MARK_BYTES = 12

/** What is committed, one step after the other, and what the file holds then. */
const Steps: readonly ((store: SessionStore) => void)[] = [
  store => store.put(1, Uint8Array.of(1, 1, 1)),
  store => {
    store.put(2, Uint8Array.of(2, 0, 0, 0, 0, 2))
    store.put(0x2_0000_0003, Uint8Array.of())
  },
  store => {
    store.delete(1)
    store.put(2, Uint8Array.of(4))
  },
  store => store.put(5, new Uint8Array(20)),
]
const Tables: readonly Table[] = [
  [],
  [[1, [1, 1, 1]]],
  [
    [1, [1, 1, 1]],
    [2, [2, 0, 0, 0, 0, 2]],
    [0x2_0000_0003, []],
  ],
  [
    [2, [4]],
    [0x2_0000_0003, []],
  ],
  [
    [2, [4]],
    [5, Array.from({ length: 20 }, () => 0)],
    [0x2_0000_0003, []],
  ],
]

async function pathFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-store-'))
  context.after(() => rm(folder, { recursive: true }))
  return join(folder, 'session')
}

function commit(store: SessionStore): Promise<void> {
  return new Promise((resolve, reject) => {
    store.commit(error => (error === null ? resolve() : reject(error)))
  })
}

function tableOf(records: readonly StoredRecord[]): Table {
  return records
    .map(({ key, value }): [number, number[]] => [key, [...value]])
    .sort((a, b) => a[0] - b[0])
}

/** The bytes of a file that was closed, and where each of its commits ends. */
async function example(path: string): Promise<{ content: Buffer; ends: readonly number[] }> {
  const store = fileStore(path)
  await store.open()
  const ends = [MAGIC_BYTES]
  for (const step of Steps) {
    step(store)
    await commit(store)
    ends.push((await readFile(path)).length)
  }
  await store.close()
  return { content: await readFile(path), ends }
}

/** Opens and closes. */
async function readAll(path: string, salvage = false): Promise<Table> {
  const store = fileStore(path, { salvage })
  const records = await store.open()
  await store.close()
  return tableOf(records)
}

function flipped(content: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(content)
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}

test('a file that ends anywhere holds its whole commits, and goes on', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  for (let length = 0; length <= content.length; length++) {
    await writeFile(path, content.subarray(0, length))
    const whole = Math.max(
      0,
      ends.findLastIndex(end => end <= length),
    )
    const store = fileStore(path)
    assert.deepEqual(tableOf(await store.open()), Tables[whole], `${length} bytes`)
    store.put(9, Uint8Array.of(9))
    await commit(store)
    await store.close()
    const expected = [...(Tables[whole] ?? []), [9, [9]]].sort(
      (a, b) => Number(a[0]) - Number(b[0]),
    )
    assert.deepEqual(await readAll(path), expected, `${length} bytes, and a commit`)
  }
})

test('zeros at the end, where a file system has made room, are cut', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  for (const end of ends) {
    await writeFile(path, Buffer.concat([content.subarray(0, end), Buffer.alloc(700)]))
    assert.deepEqual(await readAll(path), Tables[ends.indexOf(end)])
  }
})

test('a wrong bit in any byte of a closed file is refused, or changes nothing', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  assert.equal(content.length, (ends.at(-1) ?? 0) + MARK_BYTES)
  for (let at = 0; at < content.length; at++) {
    for (const bit of [0, 3, 7]) {
      const damaged = flipped(content, at, bit)
      await writeFile(path, damaged)
      if (at >= content.length - MARK_BYTES) {
        assert.deepEqual(await readAll(path), Tables.at(-1), `bit ${bit} of byte ${at}`)
        continue
      }
      await assert.rejects(fileStore(path).open(), /session is damaged: bytes \d+ to \d+ are not/)
      assert.deepEqual(await readFile(path), damaged, 'the file is left alone')
    }
  }
})

test('a wrong bit in a file that was not closed costs at most the last commit', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  const unclosed = content.subarray(0, -MARK_BYTES)
  const last = ends.at(-2) ?? 0
  for (let at = 0; at < unclosed.length; at++) {
    await writeFile(path, flipped(unclosed, at, at % 8))
    // Nobody can tell damage of the last commit from one that was not written to its end.
    if (at >= last) assert.deepEqual(await readAll(path), Tables.at(-2))
    else await assert.rejects(fileStore(path).open(), /is damaged: bytes/)
  }
})

test('a length that leads beyond the end does not hide the commits behind it', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  content.writeUInt32BE(0x7fff_ffff, ends[1])
  await writeFile(path, content)
  await assert.rejects(fileStore(path).open(), {
    message:
      `${path} is damaged: bytes ${ends[1]} to ${ends[2]} are not what was written, and whole ` +
      'commits follow. Nothing was changed. fileStore(path, { salvage: true }) goes on ' +
      'without them',
  })
})

test('salvage keeps every other commit, and a copy of the damaged file', async context => {
  const path = await pathFor(context)
  const { content, ends } = await example(path)
  const second = ends[1] ?? 0
  for (let at = second; at < (ends[2] ?? 0); at++) {
    const damaged = flipped(content, at, at % 8)
    await writeFile(path, damaged)
    // Without the second commit: what the third and the fourth leave.
    const expected = [
      [2, [4]],
      [5, Array.from({ length: 20 }, () => 0)],
    ]
    assert.deepEqual(await readAll(path, true), expected)
    assert.deepEqual(await readFile(`${path}.damaged`), damaged)
    assert.deepEqual(await readAll(path), expected, 'afterwards it is whole')
  }
})

test('salvage does not take a file that is something else', async context => {
  const path = await pathFor(context)
  await writeFile(path, 'a letter to a friend, long enough to hold a commit')
  await assert.rejects(readAll(path, true), /is no session store/)
})

test('a message that carries a session file is not taken for its commits', async context => {
  const path = await pathFor(context)
  const { content } = await example(path)
  const store = fileStore(path)
  await store.open()
  store.put(7, content)
  await commit(store)
  const file = await readFile(path)
  await store.close()
  // The last commit lacks its end; the image within it is whole.
  await writeFile(path, file.subarray(0, -1))
  assert.deepEqual(await readAll(path), Tables.at(-1))
})

test('opening and closing alone does not make the file grow', async context => {
  const path = await pathFor(context)
  const { content } = await example(path)
  for (let i = 0; i < 3; i++) await readAll(path)
  assert.deepEqual(await readFile(path), content)
})

test('a file that is open is refused, with who has it', async context => {
  const path = await pathFor(context)
  const store = fileStore(path)
  await store.open()
  await assert.rejects(fileStore(path).open(), error => {
    const text = `${path} is in use by process ${process.pid} on `
    return error instanceof Error && error.message.startsWith(text)
  })
  await store.close()
  assert.deepEqual(await readAll(path), [])
  assert.deepEqual(await readdir(join(path, '..')), ['session'])
})

test('a link to a file that is open is refused too', async context => {
  const path = await pathFor(context)
  const store = fileStore(path)
  await store.open()
  await symlink(path, `${path}-link`)
  await assert.rejects(fileStore(`${path}-link`).open(), /session is in use by process/)
  await store.close()
})

test('what lies where the lock belongs is left alone', async context => {
  const path = await pathFor(context)
  await writeFile(`${path}.lock`, 'mine')
  await assert.rejects(
    fileStore(path).open(),
    /session\.lock is in the way: expected a lock of ours/,
  )
  assert.equal(await readFile(`${path}.lock`, 'utf8'), 'mine')
})

test('a store that was refused can be opened later', async context => {
  const path = await pathFor(context)
  await writeFile(path, 'something else, which is longer than a header')
  const store = fileStore(path)
  await assert.rejects(store.open(), /is no session store/)
  await rm(path)
  assert.deepEqual(await store.open(), [])
  await store.close()
})

test('a folder with a long name has a lock like any other', async context => {
  const folder = join(await pathFor(context), 'n'.repeat(200))
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'client-with-a-name-that-is-rather-long-for-a-file')
  const store = fileStore(path)
  await store.open()
  await assert.rejects(fileStore(path).open(), /is in use by process/)
  await store.close()
})

/** A process that has opened the store at `path`. */
async function holder(context: TestContext, path: string): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('../testing/store-holder.js', import.meta.url)), [path])
  context.after(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

test('another process is refused, and takes over from one that was killed', async context => {
  const path = await pathFor(context)
  const child = await holder(context, path)
  await assert.rejects(fileStore(path).open(), error => {
    return error instanceof Error && error.message.includes(`is in use by process ${child.pid} on `)
  })
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  assert.deepEqual(await readAll(path), [[1, [1]]])
})

test('of many that open a dead holder’s file at once one gets it', async context => {
  const path = await pathFor(context)
  const child = await holder(context, path)
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  const stores = Array.from({ length: 8 }, () => fileStore(path))
  const results = await Promise.allSettled(stores.map(store => store.open()))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const store of stores) await store.close()
})

test('connect says why the store cannot be opened', async context => {
  const path = await pathFor(context)
  const store = fileStore(path)
  await store.open()
  await assert.rejects(connect('mqtt://127.0.0.1:9', { clientId: 'a', store: fileStore(path) }), {
    code: 'store-failed',
    message: /^the session store cannot be opened: .* is in use by process \d+ on /,
  })
  await store.close()
})
