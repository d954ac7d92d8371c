// The real store - log, overlay, checkpoint, SQLite, pages, recovery - on a machine whose disk,
// thread and timers are part of the simulated schedule.

import type { CrashPoint } from '@godwit/broker/store/crash-points'
import { type DiskStore, openDiskStore } from '@godwit/broker/store/disk'
import { StoreError } from '@godwit/broker/store/errors'
import { systemError } from '@godwit/broker/store/testing/simulated-disk'
import { MACHINE_DIRECTORY, SimulatedMachine } from '@godwit/broker/store/testing/simulated-machine'
import type { DiskPlan } from '../plan.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { Loss, Storage, StorageOwner } from './storage.ts'

/** How probable it is that the machine loses its power when a process ends. */
const POWER_CHANCE = 0.6
/** Some operations take much longer than the others. */
const SLOW = 20
/** A kind of reaching is the end of some processes. */
const POINTS: readonly CrashPoint[] = [
  'after_write',
  'after_fsync',
  'mid_checkpoint',
  'after_segment_rename',
  'before_ack',
]

export class DiskStorage implements Storage {
  readonly #machine: SimulatedMachine
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #plan: DiskPlan
  #store: DiskStore | null = null
  #durableBatch = 0
  #life = 0
  #isFull = false
  #isSpared = false

  /** @param enter runs what the process does, when it gets time */
  constructor(
    schedule: Schedule,
    random: SeededRandom,
    plan: DiskPlan,
    wallMs: () => number,
    enter: (run: () => void) => void,
  ) {
    this.#schedule = schedule
    this.#random = random
    this.#plan = plan
    const later = (delayMs: number, run: () => void): void => {
      schedule.after(delayMs, () =>
        enter(() => {
          schedule.hasPromises = true
          run()
        }),
      )
    }
    this.#machine = new SimulatedMachine(random.below(1_000_000), {
      latencyMs: () => random.below(plan.latencyMsMax + 1) * (random.chance(0.01) ? SLOW : 1),
      after: later,
    })
    this.#machine.disk.shortWriteChance = plan.shortWriteChance
    this.#machine.wallMs = wallMs
  }

  get isWriting(): boolean {
    return this.#store !== null && this.#durableBatch < this.#store.openBatch - 1
  }

  get idle(): boolean {
    return this.#store !== null && !this.#store.dirty && !this.isWriting
  }

  get newestBatch(): number {
    if (this.#store === null) return 0
    return this.#store.dirty ? this.#store.openBatch : this.#store.openBatch - 1
  }

  get durableBatch(): number {
    return this.#durableBatch
  }

  get mayRefuse(): boolean {
    return this.#isFull || this.#store?.full === true
  }

  open(owner: StorageOwner): void {
    const life = ++this.#life
    const isAlive = (): boolean => life === this.#life
    this.#planEnd(owner)
    this.#durableBatch = 0
    this.#schedule.hasPromises = true
    const say = (_fields: object, text: string): void => owner.note(`the store: ${text}`)
    const { segmentBytes, checkpointBytes, checkpointMs, limits } = this.#plan
    openDiskStore(
      { directory: MACHINE_DIRECTORY, segmentBytes, checkpointBytes, checkpointMs },
      {
        durable: batch => {
          if (!isAlive()) return
          this.#durableBatch = batch
          this.#do(() => owner.durable(batch))
        },
        fetched: page => {
          if (isAlive()) this.#do(() => owner.fetched(page))
        },
        failed: cause => {
          if (isAlive()) this.#do(() => owner.failed(cause))
        },
      },
      { info: say, warn: say, error: say },
      this.#machine.start(),
      limits,
    ).then(
      store => {
        if (!isAlive()) return
        this.#store = store
        this.#do(() => owner.opened(store))
      },
      (error: unknown) => {
        if (!isAlive()) return
        if (error instanceof StoreError && error.code === 'disk-full') {
          this.#do(() => owner.refused(error.message))
        } else this.#schedule.fail(error)
      },
    )
  }

  crash(loss: Loss): void {
    this.#life++
    this.#store = null
    this.#machine.disk.fault = () => null
    if (loss === 'all') this.#machine.disk.loseUnsynced()
    this.#machine.crash(loss === 'all' || this.#random.chance(POWER_CHANCE))
  }

  fill(isFull: boolean): void {
    this.#isFull = isFull
    this.#machine.fill(isFull)
  }

  failSync(): void {
    this.#machine.disk.fault = (operation, path) =>
      operation === 'sync' ? systemError('EIO', path) : null
  }

  spare(): void {
    this.#isSpared = true
    this.#machine.reached = () => undefined
  }

  calm(): void {
    this.spare()
    this.#machine.disk.fault = () => null
    this.fill(false)
  }

  close(): void {
    this.#schedule.hasPromises = true
    this.#store?.close().catch((error: unknown) => this.#schedule.fail(error))
  }

  census(): Readonly<Record<string, number>> {
    return this.#machine.census()
  }

  dispose(): void {
    this.#machine.dispose()
  }

  /** Some processes end at a named point. */
  #planEnd(owner: StorageOwner): void {
    const random = this.#random
    this.#machine.reached = () => undefined
    if (this.#isSpared || !random.chance(this.#plan.pointChance)) return
    const point = random.pick(POINTS)
    let left = random.between(1, point === 'after_segment_rename' ? 8 : 60)
    this.#machine.reached = reached => {
      if (reached !== point || --left !== 0) return
      this.#machine.reached = () => undefined
      this.#do(() => {
        owner.note(`the process ends at ${point}`)
        owner.killed()
      })
    }
  }

  /** What is told from a promise: nobody above it could catch what is thrown. */
  #do(run: () => void): void {
    this.#schedule.hasPromises = true
    try {
      run()
    } catch (error) {
      this.#schedule.fail(error)
    }
  }
}
