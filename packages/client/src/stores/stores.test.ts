// What every session store keeps. What the file store does when its file is torn, damaged or in
// use is in file.test.ts.
import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Limits } from '../limits.ts'
import type { SessionStore, StoredRecord } from '../store.ts'
import { fileStore } from './file.ts'
import { memoryStore } from './memory.ts'

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

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values)
}

function sorted(records: readonly StoredRecord[]): [number, number[]][] {
  return records
    .map(({ key, value }): [number, number[]] => [key, [...value]])
    .sort((a, b) => a[0] - b[0])
}

interface Kind {
  readonly name: string
  /** Gives the same records each time. */
  make(context: TestContext): Promise<() => SessionStore>
}

const Kinds: readonly Kind[] = [
  {
    name: 'memory',
    make: async () => {
      const store = memoryStore()
      return () => store
    },
  },
  {
    name: 'file',
    make: async context => {
      const path = await pathFor(context)
      return () => fileStore(path)
    },
  },
]

for (const { name, make } of Kinds) {
  test(`${name}: a new store is empty`, async context => {
    const store = (await make(context))()
    assert.deepEqual(await store.open(), [])
    await store.close()
  })

  test(`${name}: what was committed is there when it is opened again`, async context => {
    const again = await make(context)
    const store = again()
    await store.open()
    store.put(1, bytes(1, 2, 3))
    store.put(0x2_0001_0000, bytes())
    store.put(2, bytes(9))
    store.put(3, bytes(7))
    store.delete(2)
    store.put(3, bytes(8))
    await commit(store)
    store.delete(1)
    store.put(4, bytes(4))
    await commit(store)
    await store.close()
    const next = again()
    assert.deepEqual(sorted(await next.open()), [
      [3, [8]],
      [4, [4]],
      [0x2_0001_0000, []],
    ])
    await next.close()
  })

  test(`${name}: what was not committed is not there`, async context => {
    const again = await make(context)
    const store = again()
    await store.open()
    store.put(1, bytes(1))
    await commit(store)
    store.put(2, bytes(2))
    store.delete(1)
    await store.close()
    const next = again()
    assert.deepEqual(sorted(await next.open()), [[1, [1]]])
    await next.close()
  })

  test(`${name}: a commit of nothing is done too`, async context => {
    const store = (await make(context))()
    await store.open()
    await commit(store)
    await store.close()
  })
}

test('a file that is something else is refused and left alone', async context => {
  for (const text of ['hello, this is a letter', 'short']) {
    const path = await pathFor(context)
    await writeFile(path, text)
    await assert.rejects(fileStore(path).open(), /is no session store/)
    assert.equal(await readFile(path, 'utf8'), text)
  }
})

test('a file that was only begun is a new one', async context => {
  const path = await pathFor(context)
  await appendFile(path, 'GWS')
  const store = fileStore(path)
  assert.deepEqual(await store.open(), [])
  store.put(1, bytes(1))
  await commit(store)
  await store.close()
  const next = fileStore(path)
  assert.deepEqual(sorted(await next.open()), [[1, [1]]])
  await next.close()
})

test('a file that is mostly history is written anew', async context => {
  const path = await pathFor(context)
  const store = fileStore(path)
  await store.open()
  store.put(7, bytes(7, 7))
  const large = new Uint8Array(100_000).fill(5)
  let largest = 0
  for (let i = 0; i < 40; i++) {
    store.put(1, large)
    await commit(store)
    store.delete(1)
    await commit(store)
    largest = Math.max(largest, (await stat(path)).size)
  }
  assert.ok(largest < Limits.storeFileBytes + 2 * large.length, `${largest} bytes`)
  store.put(9, bytes(9))
  await commit(store)
  await store.close()
  const next = fileStore(path)
  assert.deepEqual(sorted(await next.open()), [
    [7, [7, 7]],
    [9, [9]],
  ])
  await next.close()
})

test('a store whose folder does not exist cannot be opened', async context => {
  const path = await pathFor(context)
  await assert.rejects(fileStore(join(path, 'no', 'where')).open(), { code: 'ENOENT' })
})

test('a store that is not open fails its commits', async context => {
  const store = fileStore(await pathFor(context))
  store.put(1, bytes(1))
  await assert.rejects(commit(store), /is not open/)
})
