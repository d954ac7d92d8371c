// The whole store on disk - log, overlay, checkpoint, pages, recovery - on a simulated machine,
// with a model of what it must hold. After each start the two are compared.

import assert from 'node:assert/strict'
import type { StoredPage } from '../../core/ports.ts'
import { type DiskStore, openDiskStore } from '../disk.ts'
import { StoreError } from '../errors.ts'
import type { StoreLimits } from '../store-limits.ts'
import { Model, RandomRecords, readAll } from './model.ts'
import { applyTo, pageOfModel } from './model-store.ts'
import { SeededRandom } from './random.ts'
import { settled } from './simulated-disk.ts'
import { MACHINE_DIRECTORY, SimulatedMachine } from './simulated-machine.ts'
import { tellingSink } from './sinks.ts'

/** So many batches may be on the disk and nobody was told: the next follows before the telling. */
const UNTOLD_MAX = 2
/** More steps than anything takes. */
const STEPS_MAX = 100_000

export interface RigOptions {
  readonly segmentBytes: number
  readonly checkpointBytes: number
  readonly checkpointMs: number
  readonly limits: StoreLimits
}

/** What one process has told: nobody listens to a dead one. */
interface Life {
  isOver: boolean
  failure: Error | null
  durableBatch: number
  readonly pages: Map<number, StoredPage>
}

type Call = readonly unknown[]

export class StoreRig {
  readonly machine: SimulatedMachine
  store: DiskStore | null = null
  records: RandomRecords | null = null
  life: Life = { isOver: true, failure: null, durableBatch: 0, pages: new Map() }
  /** With all that was written. */
  model: Model = new Model()
  private readonly random: SeededRandom
  private readonly options: RigOptions
  /** With all that is durable, and what came after it, by batch. */
  private durable = new Model()
  private batches = new Map<number, Call[]>()
  private firstBatch = 1
  private tickets = 0

  constructor(seed: number, options: RigOptions) {
    this.machine = new SimulatedMachine(seed, null)
    this.random = new SeededRandom(seed + 77)
    this.options = options
    this.machine.wallMs = () => 1_800_000_000_000
  }

  /** Opens the store; when that needs room it gets it and tries again. */
  async start(): Promise<void> {
    for (;;) {
      const life: Life = { isOver: false, failure: null, durableBatch: 0, pages: new Map() }
      this.life = life
      const outcome = await this.open(life)
      if (outcome === 'dead') continue
      if (outcome instanceof StoreError && outcome.code === 'disk-full') {
        this.crash(false)
        this.machine.fill(false)
        continue
      }
      if (outcome instanceof Error) throw outcome
      this.store = outcome
      break
    }
    await this.compare()
  }

  /** Does one of the things that a core does. */
  write(): void {
    this.records?.step()
    if (this.random.chance(0.4)) this.store?.commit()
  }

  /** Lets things happen until it is so. @throws when it never will be */
  async until(done: () => boolean): Promise<void> {
    await settled()
    for (let i = 0; !done(); i++) {
      if (i > STEPS_MAX) throw new Error('the store never gets to an end')
      if (!this.machine.disk.step()) throw new Error('nothing happens any more')
      await settled()
    }
  }

  async step(): Promise<void> {
    this.machine.disk.step()
    await settled()
    this.follow()
  }

  /** Everything is durable, unless the process ends before. */
  async drain(): Promise<void> {
    const { store, life } = this
    if (store === null) return
    await this.until(() => {
      this.follow()
      store.commit()
      const isDone = !store.dirty && life.durableBatch === store.openBatch - 1
      return isDone || life.isOver || life.failure !== null
    })
    this.follow()
  }

  /** A session as its pages say it is, from some place on, while nothing else happens. */
  async comparePages(): Promise<void> {
    await this.drain()
    const { store, life, random, model } = this
    const ids = [...model.sessions.keys()]
    const sessionId = ids[random.below(ids.length)]
    if (store === null || life.isOver || life.failure !== null || sessionId === undefined) return
    for (let from = 0; ; ) {
      const ticket = ++this.tickets
      const most = 1 + random.below(5)
      store.fetch(ticket, sessionId, from, most, 2000)
      await this.until(() => life.pages.has(ticket) || life.isOver || life.failure !== null)
      const page = life.pages.get(ticket)
      if (page === undefined || life.isOver) return
      assert.deepEqual(plain(page), plain(pageOfModel(model, ticket, sessionId, from, most, 2000)))
      const last = page.entries.at(-1)
      if (last === undefined || random.chance(0.2)) return
      from = last.delivery.sequence + 1
    }
  }

  /** The process ends now. */
  crash(power: boolean): void {
    this.follow()
    this.life.isOver = true
    this.machine.crash(power)
    // What collects goes with the process; what was being written may be on the disk.
    const { store } = this
    if (store !== null) this.batches.delete(store.openBatch)
    this.store = null
    this.records = null
  }

  async close(): Promise<void> {
    const { store, life } = this
    await this.drain()
    if (store === null || life.isOver || life.failure !== null) return
    let isClosed = false
    void store.close().then(() => {
      isClosed = true
    })
    await this.until(() => isClosed || life.isOver || life.failure !== null)
    this.crash(false)
  }

  dispose(): void {
    this.machine.dispose()
  }

  /** @returns 'dead' when the process ended meanwhile */
  private async open(life: Life): Promise<DiskStore | Error | 'dead'> {
    const { segmentBytes, checkpointBytes, checkpointMs, limits } = this.options
    const directory = MACHINE_DIRECTORY
    let outcome: DiskStore | Error | null = null
    const ignore = () => undefined
    const opening = openDiskStore(
      { directory, segmentBytes, checkpointBytes, checkpointMs },
      {
        durable: batch => {
          if (!life.isOver) life.durableBatch = batch
        },
        fetched: page => life.pages.set(page.ticket, page),
        failed: cause => {
          life.failure ??= cause
        },
      },
      { info: ignore, warn: ignore, error: ignore },
      this.machine.start(),
      limits,
    )
    opening.then(
      store => {
        outcome = store
      },
      (error: Error) => {
        outcome = error
      },
    )
    await this.until(() => outcome !== null || life.isOver || life.failure !== null)
    if (life.isOver) return 'dead'
    return outcome ?? life.failure ?? 'dead'
  }

  /** What is there now is what was durable, with what was being written or without it. */
  private async compare(): Promise<void> {
    const { store, life } = this
    if (store === null) return
    const fetch = async (id: number, from: number, messagesMax: number): Promise<StoredPage> => {
      const ticket = ++this.tickets
      store.fetch(ticket, id, from, messagesMax, 2000)
      await this.until(() => life.pages.has(ticket))
      const page = life.pages.get(ticket)
      if (page === undefined) throw new Error('no page')
      return page
    }
    const reached = this.machine.reached
    this.machine.reached = () => undefined
    const found = await readAll(store, fetch, 1 + this.random.below(6))
    this.machine.reached = reached
    const facts = found.facts().join('\n')
    for (let more = 0; more < UNTOLD_MAX && facts !== this.durable.facts().join('\n'); more++) {
      this.apply(this.firstBatch++)
    }
    assert.deepEqual(facts.split('\n'), this.durable.facts().join('\n').split('\n'))
    this.model = found
    this.batches.clear()
    this.firstBatch = 1
    const journal = tellingSink(call => this.batchOf(store.openBatch).push(call))
    this.records = new RandomRecords(this.random, found, [journal, store, found])
  }

  /** Brings the model of what is durable up to date. */
  private follow(): void {
    while (this.firstBatch <= this.life.durableBatch) this.apply(this.firstBatch++)
  }

  private apply(batch: number): void {
    for (const [name, ...values] of this.batchOf(batch)) {
      applyTo(this.durable, String(name), values)
    }
    this.batches.delete(batch)
  }

  private batchOf(batch: number): Call[] {
    let calls = this.batches.get(batch)
    if (calls === undefined) {
      calls = []
      this.batches.set(batch, calls)
    }
    return calls
  }
}

/** One line per part of a page: two pages are the same when these are. */
function plain({ entries, received, will }: StoredPage): string[] {
  const lines = entries.map(({ delivery, message, packetId, state }) => {
    const { sequence, byteLength, flags, identifiers } = delivery
    return `${sequence} ${byteLength} ${flags} ${identifiers} ${packetId}/${state} ${message.id}`
  })
  lines.push(...received.map(packetId => `received ${packetId}`).toSorted())
  if (will !== null) lines.push(`will ${will.message.id} ${will.fireAtMs}`)
  return lines
}
