// What every store promises the core, tried on each of them. What comes back after the end is of
// the store on disk alone: disk.test.ts.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Store, StoredPage, StoreReader } from '../core/ports.ts'
import { openDiskStore } from './disk.ts'
import { MemoryStore } from './memory.ts'
import { RecordWriter, type UNEXPECTED } from './record-writer.ts'
import { Model, RandomRecords } from './testing/model.ts'
import { pageOfModel } from './testing/model-store.ts'
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
  readonly pages: StoredPage[] = []
  /** Set while a call into the store runs. */
  within = ''
  private waiting: (() => void)[] = []

  durable(batch: number): void {
    assert.ok(this.within === '' || this.within === 'commit', `durable within ${this.within}`)
    this.batches.push(batch)
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  fetched(page: StoredPage): void {
    assert.equal(this.within, '', `fetched within ${this.within}`)
    this.pages.push(page)
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  failed(cause: Error): void {
    throw cause
  }

  until(batch: number): Promise<void> {
    return this.untilSo(() => (this.batches.at(-1) ?? 0) >= batch)
  }

  untilPages(count: number): Promise<void> {
    return this.untilSo(() => this.pages.length >= count)
  }

  private async untilSo(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>(resolve => this.waiting.push(resolve))
  }
}

type RecordMethod = keyof typeof UNEXPECTED

/** Where the other members of the port are tried: a new one has no place and does not compile. */
const Covered: Readonly<Record<Exclude<keyof Store, RecordMethod>, string>> = {
  openBatch: 'its commit opens another',
  dirty: 'an empty batch',
  full: 'an empty batch',
  low: 'an empty batch',
  freeBytes: 'an empty batch',
  congested: 'an empty batch',
  commit: 'its commit opens another',
  load: 'nothing is read',
  pages: 'a page comes',
  fetch: 'a page comes',
}

/** One call of each method that makes a record. */
const Calls: Readonly<Record<RecordMethod, (to: Store) => void>> = (() => {
  const frame = Uint8Array.of(0x32, 3, 0, 1, 65)
  const common = { protocolLevel: 5, publisher: 'p' } as const
  const message = { id: 1, frame, expiresAtMs: 0, ...common }
  const numbers = { ownerId: 1, byteLength: 5, messageId: 1, flags: 1 }
  const delivery = { ...numbers, sequence: 1, identifiers: [7] }
  const times = { sessionExpirySeconds: 60, disconnectedAtMs: 0 }
  const due = { delaySeconds: 1, expirySeconds: -1, fireAtMs: 0 }
  const will = { sessionId: 1, message, ...due, user: { username: null } }
  return {
    putSession: to => to.putSession({ id: 1, clientId: 'c', protocolLevel: 5, ...times }),
    putSubscription: to =>
      to.putSubscription({ sessionId: 1, filter: 'f', options: 1, identifier: 0 }),
    putMessage: to => to.putMessage(message),
    putDelivery: to => to.putDelivery(delivery),
    putInflight: to => to.putInflight(1, 1, 1, 1),
    removeDelivery: to => to.removeDelivery(1, 1),
    putReceived: to => to.putReceived(1, 9),
    removeReceived: to => to.removeReceived(1, 9),
    putRetained: to => to.putRetained('t', 1),
    removeRetained: to => to.removeRetained('t'),
    putWill: to => to.putWill(will),
    removeWill: to => to.removeWill(1),
    putGroup: to => to.putGroup(1, 's', 'f'),
    putGroupDelivery: to => to.putGroupDelivery(delivery),
    removeGroupDelivery: to => to.removeGroupDelivery(1, 1),
    removeGroup: to => to.removeGroup(1),
    removeSubscription: to => to.removeSubscription(1, 'f'),
    removeSession: to => to.removeSession(1),
  }
})()

/** Says what it was given, all but that there is no message yet. */
function listening(said: string[]): StoreReader {
  const say =
    (what: string) =>
    (...values: unknown[]): void => {
      if (what !== 'messageIdMax' || values[0] !== 0) said.push(what)
    }
  return {
    session: say('session'),
    subscription: say('subscription'),
    backlog: say('backlog'),
    will: say('will'),
    retained: say('retained'),
    group: say('group'),
    groupDelivery: say('groupDelivery'),
    messageIdMax: say('messageIdMax'),
  }
}

test('the contract names every method that makes a record', () => {
  const methods = Object.getOwnPropertyNames(RecordWriter.prototype)
  const records = methods.filter(method => /^(?:put|remove)[A-Z]/.test(method))
  assert.deepEqual(Object.keys(Calls).toSorted(), records.toSorted())
  assert.equal(Object.keys(Covered).length, 10)
})

for (const [name, open] of Object.entries(Stores)) {
  test(`${name}: nothing is read from one that is new`, async t => {
    const { store, close } = await open(new Listener(), t)
    const said: string[] = []
    store.load(listening(said))
    await close()
    assert.deepEqual(said, [])
  })

  test(`${name}: each record, alone in its batch, is taken and becomes durable`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    for (const [method, call] of Object.entries(Calls)) {
      owner.within = method
      call(store)
      assert.equal(store.dirty, true, method)
      owner.within = 'commit'
      store.commit()
      owner.within = ''
      await owner.until(store.openBatch - 1)
    }
    await close()
    assert.equal(owner.batches.length, Object.keys(Calls).length)
  })

  test(`${name}: a page comes for each ticket, in order, later, with what is there`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    const model = new Model()
    const records = new RandomRecords(new SeededRandom(3), model, [store, model])
    for (let i = 0; i < 300; i++) records.step()
    const expected: StoredPage[] = []
    // Asked for while the batch is open: they count.
    for (const sessionId of model.sessions.keys()) {
      const ticket = expected.length + 1
      owner.within = 'fetch'
      store.fetch(ticket, sessionId, 0, 5, 2000)
      const page = pageOfModel(model, ticket, sessionId, 0, 5, 2000)
      const nothing = { ticket, entries: [], received: [], will: null }
      expected.push(store.pages ? page : nothing)
    }
    assert.ok(expected.length > 3)
    owner.within = ''
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(owner.pages, [], 'nothing is answered before it is durable')
    store.commit()
    await owner.untilPages(expected.length)
    assert.deepEqual(owner.pages.map(plain), expected.map(plain))
    const all = expected.length
    store.fetch(1000, -1, 0, 5, 2000)
    await owner.untilPages(all + 1)
    const none = { ticket: 1000, entries: [], received: [], will: null }
    assert.deepEqual(owner.pages.at(-1), none, 'a session that is not there')
    await close()
  })

  test(`${name}: more pages at a time than are on their way come all, in order`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    for (let ticket = 1; ticket <= 2500; ticket++) store.fetch(ticket, ticket, 0, 5, 2000)
    await owner.untilPages(2500)
    const tickets = owner.pages.map(page => page.ticket)
    assert.deepEqual(
      tickets,
      Array.from({ length: 2500 }, (_, i) => i + 1),
    )
    await close()
  })

  test(`${name}: an empty batch is not dirty, and committing it does nothing`, async t => {
    const owner = new Listener()
    const { store, close } = await open(owner, t)
    assert.equal(store.dirty, false)
    assert.equal(store.full, false)
    assert.equal(store.low, false)
    assert.ok(store.freeBytes === null || store.freeBytes > 0)
    assert.equal(store.congested, false)
    store.commit()
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

/** Two pages are the same when these are. */
function plain({ ticket, entries, received, will }: StoredPage): unknown {
  const lines = entries.map(({ delivery, message, packetId, state }) => {
    const { sequence, byteLength, flags, identifiers } = delivery
    return `${sequence} ${byteLength} ${flags} ${identifiers} ${packetId}/${state} ${message.id}`
  })
  return [
    ticket,
    lines,
    received.toSorted((a, b) => a - b),
    will?.message.id,
    will?.fireAtMs,
    will?.user,
  ]
}
