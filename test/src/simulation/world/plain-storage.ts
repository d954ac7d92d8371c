// A store that is a model: the records and frames of the real log, and plain maps.

import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import { SimulatedLog } from './simulated-log.ts'
import { SimulatedStore, type StoreOptions } from './simulated-store.ts'
import type { Loss, Storage, StorageOwner } from './storage.ts'

export class PlainStorage implements Storage {
  readonly #log: SimulatedLog
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: StoreOptions
  readonly #wallMs: () => number
  #store: SimulatedStore | null = null
  #isFull = false

  constructor(
    schedule: Schedule,
    random: SeededRandom,
    options: StoreOptions,
    wallMs: () => number,
  ) {
    this.#schedule = schedule
    this.#random = random
    this.#options = options
    this.#wallMs = wallMs
    this.#log = new SimulatedLog(random.fork())
  }

  get isWriting(): boolean {
    return this.#store?.isWriting === true
  }

  get idle(): boolean {
    return this.#store?.idle === true
  }

  get newestBatch(): number {
    return this.#store?.newestBatch ?? 0
  }

  get durableBatch(): number {
    return this.#store?.durableBatch ?? 0
  }

  get mayRefuse(): boolean {
    return this.#isFull
  }

  open(owner: StorageOwner): void {
    const store = new SimulatedStore(
      this.#log,
      this.#schedule,
      this.#random.fork(),
      this.#options,
      this.#wallMs(),
    )
    store.durable = batch => owner.durable(batch)
    store.fetched = page => owner.fetched(page)
    store.full = this.#isFull
    this.#store = store
    owner.opened(store)
  }

  crash(loss: Loss): void {
    this.#store?.crash(loss)
    this.#store = null
  }

  fill(isFull: boolean): void {
    this.#isFull = isFull
    if (this.#store === null) return
    this.#store.full = isFull
    this.#store.congested = isFull && this.#random.chance(0.3)
  }

  failSync(): void {
    // There is nothing that could fail.
  }

  spare(): void {
    // There are no such points.
  }

  calm(): void {
    this.fill(false)
  }

  close(): void {
    this.#store = null
  }

  census(): Readonly<Record<string, number>> {
    return this.#log.read().state.census()
  }

  dispose(): void {
    // It is in memory only.
  }
}
