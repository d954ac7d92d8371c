// The store on real files, opened by a test: who hears what becomes of its batches, and what is
// in it.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { StoredPage, StoredSession } from '../../core/ports.ts'
import { type DiskOwner, type DiskStore, type DiskStoreOptions, openDiskStore } from '../disk.ts'
import { segmentNumber } from '../log-format.ts'
import { type Fetcher, readAll } from './model.ts'

/** The usual sizes would write 64 MiB of zeros at each start, which a busy disk feels. */
export const SMALL: { segmentBytes: number; checkpointBytes: number } = {
  segmentBytes: 64 * 1024,
  checkpointBytes: 100 * 1024,
}
export const session: StoredSession = {
  id: 1,
  clientId: 'one',
  protocolLevel: 5,
  sessionExpirySeconds: 60,
  disconnectedAtMs: 0,
}

export class Opened implements DiskOwner {
  readonly said: string[] = []
  durableBatch = 0
  failure: Error | null = null
  private waiting: (() => void)[] = []

  durable(batch: number): void {
    assert.ok(batch > this.durableBatch, 'batches become durable in their order')
    this.durableBatch = batch
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  private readonly pages = new Map<number, (page: StoredPage) => void>()

  fetched(page: StoredPage): void {
    this.pages.get(page.ticket)?.(page)
  }

  fetcher(store: DiskStore): Fetcher {
    return (sessionId, from, messagesMax) =>
      new Promise(resolve => {
        const ticket = this.pages.size + 1
        this.pages.set(ticket, resolve)
        store.fetch(ticket, sessionId, from, messagesMax, 2000)
        store.commit()
      })
  }

  failed(cause: Error): void {
    this.failure = cause
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  async until(batch: number): Promise<void> {
    while (this.durableBatch < batch && this.failure === null) {
      await new Promise<void>(resolve => this.waiting.push(resolve))
    }
  }

  open(options: DiskStoreOptions): Promise<DiskStore> {
    const say = (fields: object, text: string) => {
      this.said.push(`${text} ${JSON.stringify(fields)}`)
    }
    return openDiskStore({ ...SMALL, ...options }, this, { info: say, warn: say, error: say })
  }
}

export function temporaryDirectory(t: TestContext): string {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-store-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function commitAll(store: DiskStore, owner: Opened): Promise<void> {
  while (store.dirty || owner.durableBatch < store.openBatch - 1) {
    store.commit()
    await owner.until(store.openBatch - 1)
  }
}

export async function factsOf(store: DiskStore, owner: Opened): Promise<string[]> {
  return (await readAll(store, owner.fetcher(store), 3)).facts()
}

export async function damagedLog(t: TestContext): Promise<{ directory: string; file: string }> {
  const directory = temporaryDirectory(t)
  const owner = new Opened()
  const store = await owner.open({ directory })
  for (let id = 1; id <= 3; id++) {
    store.putSession({ ...session, id, clientId: `client-${id}` })
    await commitAll(store, owner)
  }
  await store.terminate()
  const names = fs.readdirSync(join(directory, 'log')).filter(name => segmentNumber(name) > 0)
  return { directory, file: join(directory, 'log', names.toSorted()[0] ?? '') }
}

export function flip(file: string, offset: number): void {
  const bytes = fs.readFileSync(file)
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x40
  fs.writeFileSync(file, bytes)
}
