// What every store promises the core, tried on each of them. What comes back after the end is of
// the store on disk alone: disk.test.ts.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Store, StoredPage } from '../core/ports.ts'
import { openDiskStore } from './disk.ts'
import { MemoryStore } from './memory.ts'
import { Model, RandomRecords } from './testing/model.ts'
import { SeededRandom } from './testing/random.ts'
import { listingSink } from './testing/sinks.ts'

interface Owner {
  durable(batch: number): void
  fetched(page: StoredPage): void
  failed(cause: Error): void
}

interface Opened {
  readonly store: Store
  close(): Promise<void>
}

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined }

const Stores: Readonly<Record<string, (owner: Owner, t: TestContext) => Promise<Opened>>> = {
  'the store in memory': owner => {
    const store = new MemoryStore()
    store.attach(owner)
    return Promise.resolve({ store, close: () => Promise.resolve() })
  },
  'the store on disk': async (owner, t) => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-contract-'))
    t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
    const store = await openDiskStore({ directory }, owner, SILENT)
    return { store, close: () => store.close() }
  },
}

class Listener implements Owner {
  readonly batches: number[] = []
  /** Set while a call into the store runs. */
  within = ''
  private waiting: (() => void)[] = []

  durable(batch: number): void {
    assert.ok(this.within === '' || this.within === 'commit', `durable within ${this.within}`)
    this.batches.push(batch)
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  fetched(): void {
    throw new Error('nothing was asked for')
  }

  failed(cause: Error): void {
    throw cause
  }

  async until(batch: number): Promise<void> {
    while ((this.batches.at(-1) ?? 0) < batch) {
      await new Promise<void>(resolve => this.waiting.push(resolve))
    }
  }
}

for (const [name, open] of Object.entries(Stores)) {
  test(`${name}: an empty batch is not dirty, and committing it does nothing`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    assert.equal(store.dirty, false)
    assert.equal(store.full, false)
    assert.equal(store.congested, false)
    await close()
    assert.deepEqual(owner.batches, [])
  })

  test(`${name}: every record makes the open batch dirty, its commit opens another`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    const model = new Model()
    const records = new RandomRecords(new SeededRandom(1), model, [store, model])
    for (let i = 0; i < 50; i++) {
      const batch = store.openBatch
      records.step()
      assert.equal(store.dirty, true)
      store.commit()
      assert.equal(store.dirty, false)
      assert.equal(store.openBatch, batch + 1)
      await owner.until(batch)
    }
    await close()
    assert.deepEqual(
      owner.batches,
      Array.from({ length: 50 }, (_, i) => i + 1),
    )
  })

  test(`${name}: batches become durable in order, never within a record`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    const model = new Model()
    const names: unknown[][] = []
    const records = new RandomRecords(new SeededRandom(2), model, [
      store,
      model,
      listingSink(names),
    ])
    for (let i = 0; i < 500; i++) {
      owner.within = 'a record'
      records.step()
      owner.within = 'commit'
      if (i % 3 === 0) store.commit()
      owner.within = ''
      if (i % 50 === 0) await owner.until(store.openBatch - 1)
    }
    while (store.dirty) {
      store.commit()
      await owner.until(store.openBatch - 1)
    }
    await close()
    assert.ok(names.length > 500)
    assert.deepEqual(
      owner.batches,
      Array.from({ length: store.openBatch - 1 }, (_, i) => i + 1),
    )
  })
}
