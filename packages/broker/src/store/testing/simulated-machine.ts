// A computer with a simulated disk and a database on it, on which one process after the other opens
// the real store: it can be killed or lose its power at any moment, and its disk can be full.

import { join } from 'node:path'
import type { CheckpointServiceOptions } from '../checkpoint-service.ts'
import type { CheckpointSettings, CheckpointThread, ThreadEvents } from '../checkpoint-thread.ts'
import type { CrashPoint } from '../crash-points.ts'
import { StoreError } from '../errors.ts'
import type { WaitingFiles } from '../waiting-files.ts'
import type { StoreWorld } from '../world.ts'
import { SimulatedDatabase } from './simulated-database.ts'
import { type Scheduler, SimulatedDisk, systemError } from './simulated-disk.ts'
import { SimulatedThread } from './simulated-thread.ts'

export const MACHINE_DIRECTORY = '/data'
const STORE_ID: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i * 7 + 1)
/** So much is still free on a disk that is called full. */
const LEFT_BYTES = 1024
const PLENTY_BYTES = 1_000_000_000

export class SimulatedMachine {
  readonly disk: SimulatedDisk
  readonly database: SimulatedDatabase = new SimulatedDatabase()
  /** Called at the named points; it may end the process there. */
  reached: (point: CrashPoint) => void = () => undefined
  wallMs: () => number = () => 0
  isFull = false
  /** The space for bad times is kept. */
  private hasBallast = false
  private isLocked = false
  private isDead = true

  /** @param scheduler null: `disk.step()` lets things happen */
  constructor(seed: number, scheduler: Scheduler | null) {
    this.disk = new SimulatedDisk(seed, scheduler)
    this.disk.capacityBytes = PLENTY_BYTES
    this.database.fault = () => this.lackOfSpace()
  }

  /** What a process that starts now has. */
  start(): StoreWorld {
    this.database.open()
    this.isDead = false
    return {
      fileSystem: this.disk.mount(),
      lock: directory => this.lock(directory),
      startThread: (settings, events) => this.startThread(settings, events),
      reached: point => this.reached(point),
    }
  }

  /** @param power false: the process is killed, and the system still has what it was given */
  crash(power: boolean): void {
    this.isLocked = false
    this.isDead = true
    this.database.kill()
    if (power) this.disk.crash()
    else this.disk.kill()
  }

  /** Somebody else takes the space, or gives it back. */
  fill(isFull: boolean): void {
    this.isFull = isFull
    this.disk.capacityBytes = isFull ? this.disk.usedBytes() + LEFT_BYTES : PLENTY_BYTES
  }

  /** How many rows there are of each kind, for a test that expects none. */
  census(): Readonly<Record<string, number>> {
    const tables = ['session', 'subscription', 'message', 'queue', 'group_queue', 'received']
    const others = ['retained', 'will', 'share_group', 'shared_message']
    const counts = [...tables, ...others].map(table => {
      const [row] = this.database.query(`SELECT count(*) AS n FROM ${table}`)
      return [`rows of ${table}`, Number(row?.['n'])] as const
    })
    return Object.fromEntries(counts)
  }

  dispose(): void {
    this.database.open().dispose()
  }

  private lock(directory: string): ReturnType<StoreWorld['lock']> {
    if (this.isLocked) {
      return Promise.reject(new StoreError('locked', `${directory} is in use`))
    }
    this.isLocked = true
    const release = (): Promise<void> => {
      this.isLocked = false
      return Promise.resolve()
    }
    return Promise.resolve({ release })
  }

  private startThread(settings: CheckpointSettings, events: ThreadEvents): CheckpointThread {
    const { databasePath, logDirectory, salvage, overlayBytesMax } = settings
    const options = {
      path: databasePath,
      logDirectory,
      salvage,
      overlayBytesMax,
      ballast: this.ballast(),
      files: this.files(),
      reached: (point: CrashPoint) => this.reached(point),
      newId: () => STORE_ID,
      openDatabase: () => {
        this.database.close()
        return this.database
      },
      wallMs: () => this.wallMs(),
    }
    return new SimulatedThread(options, events, this.disk.laterInThisLife())
  }

  private files(): WaitingFiles {
    const { disk } = this
    return {
      list: directory =>
        disk.paths(directory).map(name => [name, disk.sizeOf(join(directory, name))] as const),
      // The database is no file of this disk; it is always there.
      exists: () => true,
      read: (path, use) => use((into, offset) => disk.readAt(path, into, offset)),
      remove: path => disk.remove(path),
    }
  }

  private ballast(): CheckpointServiceOptions['ballast'] {
    const machine = this
    return {
      get wanted() {
        return machine.isFull
      },
      get possible() {
        return machine.hasBallast || !machine.isFull
      },
      take: () => {
        if (!machine.isFull && !machine.isDead) machine.hasBallast = true
        return machine.hasBallast
      },
      release: () => {
        if (machine.isDead || !machine.hasBallast || !machine.isFull) return false
        machine.hasBallast = false
        return true
      },
    }
  }

  /** Without room the database takes nothing, not even deletes; the ballast makes room. */
  private lackOfSpace(): Error | null {
    if (!this.isFull || !this.hasBallast) return null
    return systemError('ENOSPC', 'database or disk is full')
  }
}
