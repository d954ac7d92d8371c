// A disk in memory with bad habits of real ones. What was not synced may be lost, kept, reordered
// or torn at a crash, by sectors of 512 bytes; names that were not synced may come or go. It gives
// short writes, ENOSPC and EIO when told. Operations end one by one, in an order of the seed.

import type { DiskSpace, File, FileSystem, OpenMode } from '../file-system.ts'
import { SeededRandom } from './random.ts'

export const SECTOR_BYTES = 512

export type DiskOperation =
  | 'open'
  | 'write'
  | 'read'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'syncDirectory'

/** A file's bytes: as the running system sees them, as they are on the platter, and between. */
class Inode {
  current: Map<number, Uint8Array> = new Map()
  durable: Map<number, Uint8Array> = new Map()
  /** Versions of each sector since the last sync; the disk may have any of them. */
  versions: Map<number, Uint8Array[]> = new Map()
  size = 0
  durableSize = 0

  write(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done
      const sector = Math.floor(at / SECTOR_BYTES)
      const within = at % SECTOR_BYTES
      const part = bytes.subarray(done, done + SECTOR_BYTES - within)
      const version = Uint8Array.from(this.current.get(sector) ?? new Uint8Array(SECTOR_BYTES))
      version.set(part, within)
      this.current.set(sector, version)
      const versions = this.versions.get(sector)
      if (versions === undefined) this.versions.set(sector, [version])
      else versions.push(version)
      done += part.length
    }
    this.size = Math.max(this.size, offset + bytes.length)
  }

  read(bytes: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(bytes.length, this.size - offset))
    for (let done = 0; done < count; ) {
      const at = offset + done
      const within = at % SECTOR_BYTES
      const length = Math.min(SECTOR_BYTES - within, count - done)
      const sector = this.current.get(Math.floor(at / SECTOR_BYTES))
      if (sector === undefined) bytes.fill(0, done, done + length)
      else bytes.set(sector.subarray(within, within + length), done)
      done += length
    }
    return count
  }

  sync(): void {
    for (const sector of this.versions.keys()) {
      const version = this.current.get(sector)
      if (version !== undefined) this.durable.set(sector, version)
    }
    this.durableSize = this.size
    this.versions.clear()
  }

  /** A sync failed: the system says so once and takes the pages for written from then on. */
  forgetDirt(): void {
    this.versions.clear()
  }

  truncate(byteCount: number): void {
    const sectors = Math.ceil(byteCount / SECTOR_BYTES)
    for (const sector of this.current.keys()) if (sector >= sectors) this.current.delete(sector)
    this.size = byteCount
  }

  crash(random: SeededRandom): void {
    let sizeMin = this.durableSize
    for (const [sector, versions] of this.versions) {
      const kept = pickVersion(this.durable.get(sector), versions, random)
      if (kept === undefined) continue
      this.durable.set(sector, kept)
      sizeMin = Math.max(sizeMin, Math.min(this.size, (sector + 1) * SECTOR_BYTES))
    }
    this.size = random.chance(0.5) ? Math.max(this.size, sizeMin) : sizeMin
    this.durableSize = this.size
    this.current = new Map(this.durable)
    this.versions.clear()
  }
}

function pickVersion(
  old: Uint8Array | undefined,
  versions: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array | undefined {
  const choice = random.below(versions.length + 1)
  const kept = choice === versions.length ? old : versions[choice]
  const last = versions.at(-1)
  if (last === undefined || !random.chance(0.1)) return kept
  // Torn within the sector.
  const torn = Uint8Array.from(kept ?? new Uint8Array(SECTOR_BYTES))
  const at = random.below(SECTOR_BYTES)
  torn.set(last.subarray(at), at)
  return torn
}

/** A change of names that no sync of the directory has covered yet. */
interface NameChange {
  readonly names: readonly string[]
  apply(names: Map<string, Inode>): void
}

interface Pending {
  readonly run: () => void
  /** What a crash may leave of it. */
  readonly atCrash: (() => void) | null
}

/** Says when operations end, where `step` does not. */
export interface Scheduler {
  /** How long an operation takes. */
  latencyMs(): number
  after(delayMs: number, run: () => void): void
}

interface Alarm {
  readonly atMs: number
  readonly callback: () => void
}

export class SimulatedDisk {
  nowMs = 0
  /** Sectors beyond this many bytes cannot be allocated. */
  capacityBytes: number = Number.MAX_SAFE_INTEGER
  /** Asked before each operation takes effect; what it returns is the operation's error. */
  fault: (operation: DiskOperation, path: string) => Error | null = () => null
  /** How probable it is that a write takes only a part. */
  shortWriteChance = 0
  /** True: a sync says that all is well and does nothing. Tests of durability must notice. */
  liesAboutSync = false
  readonly random: SeededRandom
  readonly names: Map<string, Inode> = new Map()
  private durableNames = new Map<string, Inode>()
  private changes: NameChange[] = []
  private pending: Pending[] = []
  private alarms: Alarm[] = []
  /** Grows with each crash: handles from before are dead. */
  private life = 0
  private readonly scheduler: Scheduler | null

  constructor(seed: number, scheduler: Scheduler | null = null) {
    this.random = new SeededRandom(seed)
    this.scheduler = scheduler
  }

  /** The disk as a process sees it that starts now. After a crash its calls never return. */
  mount(): FileSystem {
    return new Mount(this, this.life)
  }

  /** Lets one operation end, or when there is none lets time pass to the next alarm. */
  step(): boolean {
    if (this.pending.length > 0) {
      const [next] = this.pending.splice(this.random.below(this.pending.length), 1)
      next?.run()
      return true
    }
    return this.passTime()
  }

  passTime(): boolean {
    const next = this.alarms.toSorted((a, b) => a.atMs - b.atMs)[0]
    if (next === undefined) return false
    this.alarms = this.alarms.filter(other => other !== next)
    this.nowMs = next.atMs
    next.callback()
    return true
  }

  get busy(): boolean {
    return this.pending.length > 0
  }

  /** Steps, with all reactions to each, until `done()` or nothing is left to happen. */
  async run(done: () => boolean = () => false): Promise<void> {
    await settled()
    while (!done() && this.step()) await settled()
  }

  /** The disk has kept nothing of what is not synced: a crash that follows takes all of it. */
  loseUnsynced(): void {
    this.pending = []
    this.changes = []
    for (const inode of new Set(this.names.values())) inode.versions.clear()
  }

  /** The power fails: what is left is what a disk may have. */
  crash(): void {
    this.life++
    for (const { atCrash } of this.pending) if (this.random.chance(0.5)) atCrash?.()
    this.pending = []
    this.alarms = []
    const lost = new Set<string>()
    for (const change of this.changes) {
      // What depends on a change that was lost is lost as well.
      const depends = change.names.some(name => lost.has(name))
      if (depends || this.random.chance(0.3)) for (const name of change.names) lost.add(name)
      else change.apply(this.durableNames)
    }
    this.changes = []
    this.names.clear()
    for (const [path, inode] of this.durableNames) this.names.set(path, inode)
    for (const inode of new Set(this.names.values())) inode.crash(this.random)
  }

  /** The process is killed: what the system has taken is not lost, what it has not is. */
  kill(): void {
    this.life++
    for (const { atCrash } of this.pending) if (this.random.chance(0.5)) atCrash?.()
    this.pending = []
    this.alarms = []
  }

  paths(directory: string): string[] {
    const prefix = `${directory}/`
    return [...this.names.keys()]
      .filter(path => path.startsWith(prefix))
      .map(path => path.slice(prefix.length))
      .toSorted()
  }

  /** The bytes of a file, at once. */
  contents(path: string): Uint8Array {
    const inode = this.names.get(path)
    if (inode === undefined) throw systemError('ENOENT', path)
    const bytes = new Uint8Array(inode.size)
    inode.read(bytes, 0)
    return bytes
  }

  /** Puts a file there, synced. */
  put(path: string, bytes: Uint8Array): void {
    const inode = new Inode()
    inode.write(bytes, 0)
    inode.sync()
    this.names.set(path, inode)
    this.durableNames.set(path, inode)
  }

  /** A part of a file, at once. @throws StoreError when the file ends before */
  /** @returns how many bytes were read */
  readAt(path: string, into: Uint8Array, offset: number): number {
    const inode = this.names.get(path)
    if (inode === undefined) throw systemError('ENOENT', path)
    return inode.read(into, offset)
  }

  sizeOf(path: string): number {
    return this.names.get(path)?.size ?? 0
  }

  /** Unlinks a file, at once. */
  remove(path: string): void {
    this.changeNames([path], names => names.delete(path))
  }

  usedBytes(): number {
    let used = 0
    for (const inode of new Set(this.names.values())) used += inode.current.size
    return used * SECTOR_BYTES
  }

  /** Calls back as if an operation had ended, if the process that asks is alive then. */
  laterInThisLife(): (run: () => void) => void {
    const { life } = this
    return run => {
      if (life !== this.life) return
      const inTime = () => {
        if (life === this.life) run()
      }
      this.await({ run: inTime, atCrash: null })
    }
  }

  wake(life: number, delayMs: number, callback: () => void): () => void {
    const alarm = { atMs: this.nowMs + delayMs, callback }
    if (life === this.life) this.alarms.push(alarm)
    this.scheduler?.after(delayMs, () => {
      if (!this.alarms.includes(alarm)) return
      this.alarms = this.alarms.filter(other => other !== alarm)
      callback()
    })
    return () => {
      this.alarms = this.alarms.filter(other => other !== alarm)
    }
  }

  keepNames(): void {
    this.durableNames = new Map(this.names)
    this.changes = []
  }

  submit<T>(
    life: number,
    operation: DiskOperation,
    path: string,
    effect: () => T,
    atCrash: (() => void) | null = null,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (life !== this.life) return
      const run = () => {
        // The process that waits for this has gone.
        if (life !== this.life) return
        const error = this.fault(operation, path)
        try {
          if (error !== null) throw error
          resolve(effect())
        } catch (failure) {
          reject(failure)
        }
      }
      this.await({ run, atCrash })
    })
  }

  private await(operation: Pending): void {
    this.pending.push(operation)
    this.scheduler?.after(this.scheduler.latencyMs(), () => {
      const place = this.pending.indexOf(operation)
      if (place < 0) return
      this.pending.splice(place, 1)
      operation.run()
    })
  }

  /** Writes as much as there is room for. */
  writeTo(inode: Inode, bytes: Uint8Array, offset: number, path: string): number {
    let count = bytes.length
    if (this.shortWriteChance > 0 && this.random.chance(this.shortWriteChance)) {
      count = 1 + this.random.below(count)
    }
    let free = this.freeSectors()
    const first = Math.floor(offset / SECTOR_BYTES)
    const last = Math.floor((offset + count - 1) / SECTOR_BYTES)
    for (let sector = first; sector <= last; sector++) {
      if (inode.current.has(sector)) continue
      if (free === 0) {
        count = Math.max(0, sector * SECTOR_BYTES - offset)
        break
      }
      free--
    }
    if (count === 0) throw systemError('ENOSPC', path)
    inode.write(bytes.subarray(0, count), offset)
    return count
  }

  freeSectors(): number {
    if (this.capacityBytes === Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
    return Math.max(0, Math.floor((this.capacityBytes - this.usedBytes()) / SECTOR_BYTES))
  }

  changeNames(names: readonly string[], apply: (names: Map<string, Inode>) => void): void {
    apply(this.names)
    this.changes.push({ names, apply })
  }
}

/** One process's view. */
class Mount implements FileSystem {
  private readonly disk: SimulatedDisk
  private readonly life: number

  constructor(disk: SimulatedDisk, life: number) {
    this.disk = disk
    this.life = life
  }

  open(path: string, mode: OpenMode): Promise<File> {
    return this.disk.submit(this.life, 'open', path, () => {
      let inode = this.disk.names.get(path)
      if (mode === 'create') {
        const made = new Inode()
        inode = made
        this.disk.changeNames([path], names => names.set(path, made))
      }
      if (inode === undefined) throw systemError('ENOENT', path)
      return new SimulatedFile(this.disk, this.life, path, inode)
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.disk.submit(this.life, 'rename', from, () => {
      if (!this.disk.names.has(from)) throw systemError('ENOENT', from)
      this.disk.changeNames([from, to], names => {
        const inode = names.get(from)
        if (inode === undefined) return
        names.set(to, inode)
        names.delete(from)
      })
    })
  }

  unlink(path: string): Promise<void> {
    return this.disk.submit(this.life, 'unlink', path, () => {
      if (!this.disk.names.has(path)) throw systemError('ENOENT', path)
      this.disk.changeNames([path], names => names.delete(path))
    })
  }

  list(directory: string): Promise<string[]> {
    return this.disk.submit(this.life, 'read', directory, () => this.disk.paths(directory))
  }

  syncDirectory(directory: string): Promise<void> {
    return this.disk.submit(this.life, 'syncDirectory', directory, () => this.disk.keepNames())
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve()
  }

  space(): Promise<DiskSpace> {
    const freeBytes = this.disk.freeSectors() * SECTOR_BYTES
    return Promise.resolve({ freeBytes, totalBytes: this.disk.capacityBytes })
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.disk.wake(this.life, delayMs, callback)
  }
}

class SimulatedFile implements File {
  readonly path: string
  private readonly disk: SimulatedDisk
  private readonly life: number
  private readonly inode: Inode

  constructor(disk: SimulatedDisk, life: number, path: string, inode: Inode) {
    this.disk = disk
    this.life = life
    this.path = path
    this.inode = inode
  }

  write(bytes: Uint8Array, offset: number): Promise<number> {
    const write = () => this.disk.writeTo(this.inode, bytes, offset, this.path)
    const atCrash = () => this.inode.write(bytes, offset)
    return this.disk.submit(this.life, 'write', this.path, write, atCrash)
  }

  writePieces(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    return this.write(Buffer.concat(pieces), offset)
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    return this.disk.submit(this.life, 'read', this.path, () => this.inode.read(bytes, offset))
  }

  async sync(): Promise<void> {
    try {
      await this.disk.submit(this.life, 'sync', this.path, () => {
        if (!this.disk.liesAboutSync) this.inode.sync()
      })
    } catch (error) {
      this.inode.forgetDirt()
      throw error
    }
  }

  truncate(byteCount: number): Promise<void> {
    return this.disk.submit(this.life, 'truncate', this.path, () => this.inode.truncate(byteCount))
  }

  size(): Promise<number> {
    return this.disk.submit(this.life, 'read', this.path, () => this.inode.size)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/** After it all promises that could be settled are. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
