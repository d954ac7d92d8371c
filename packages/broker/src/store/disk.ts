// hot
// The store on disk. Records go into the open batch; one batch is on its way to the log while the
// next collects, so that one client waits for one sync and a thousand share one. Behind it a thread
// (checkpoint.ts) follows the log into the database, after which segments are used again.

import { dirname, join, resolve } from 'node:path'
import type { Store, StoredPage, StoreReader } from '../core/ports.ts'
import { StoreMeter, type StoreReport } from '../store-report.ts'
import { Checkpoint } from './checkpoint.ts'
import { directoryError, StoreError, textOf } from './errors.ts'
import type { DirectoryLock } from './lock.ts'
import { Log } from './log.ts'
import { FRAME_HEADER_BYTES } from './log-format.ts'
import { pageOf } from './page-reader.ts'
import type { PageRequest } from './page-writer.ts'
import { RecordWriter } from './record-writer.ts'
import type { Recovered } from './replica.ts'
import { type SpaceThreshold, SpaceWatch } from './space.ts'
import { beginSpare, type FirstSpare } from './spare.ts'
import {
  ballastBytesFor,
  CHECKPOINT_BYTES,
  conflictOf,
  DEFAULT_STORE_LIMITS,
  SEGMENT_BYTES,
  type StoreLimits,
} from './store-limits.ts'
import { nodeWorld, type StoreWorld } from './world.ts'

/** Takes what the store has to say. */
export interface StoreLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** Who is told what becomes of the batches. */
export interface DiskOwner {
  durable(batch: number): void
  /** What was asked for by `fetch`. */
  fetched(page: StoredPage): void
  /** Nothing can be promised any more: the process has to end. */
  failed(cause: Error): void
}

export interface DiskStoreOptions {
  /** Made when it is not there. Only one process at a time can use it. */
  readonly directory: string
  /** Go on without what cannot be read instead of refusing to start. Default: false. */
  readonly salvage?: boolean
  /** Of the files of the log. Default: 16 MiB. */
  readonly segmentBytes?: number
  /** So many bytes of log are written before the database takes over. Default: 64 MiB. */
  readonly checkpointBytes?: number
  /** The database takes over at the latest after this time. Default: 30 000. */
  readonly checkpointMs?: number
  /**
   * With less free space than this, bytes or a share such as '5%', there is a warning; 0: never.
   * Default: 5 % of the file system, at most 1 GiB.
   */
  readonly lowSpace?: SpaceThreshold
}

const SPARE_COUNT = 3
const CHECKPOINT_MS = 30_000
/**
 * So many pages are on their way at a time: what comes at once is handled in one turn of the event
 * loop, however many clients have returned together.
 */
const FETCHES_OPEN_MAX = 32
/** The head of the list that was sent is cut off from here on. */
const FETCHES_SENT_MAX = 1024
const RETRY_MS = 1000

/**
 * Opens the store in a directory and recovers what an earlier process left.
 * @param given only the simulation gives another world, and other limits
 * @throws StoreError `locked`, `corrupt`, `newer-version`, `io`; RangeError when sizes can never
 * work together
 */
export async function openDiskStore(
  options: DiskStoreOptions,
  owner: DiskOwner,
  log: StoreLog,
  given: StoreWorld | null = null,
  limits: StoreLimits = DEFAULT_STORE_LIMITS,
): Promise<DiskStore> {
  const conflict = conflictOf(options, limits)
  if (conflict !== null) throw new RangeError(`${conflict.option}: ${conflict.text}`)
  const world = given ?? (await nodeWorld())
  const { directory } = options
  const logDirectory = join(directory, 'log')
  const lock = await takeDirectory(world, directory, logDirectory)
  const settings = {
    databasePath: join(directory, 'state.db'),
    logDirectory,
    salvage: options.salvage ?? false,
    overlayBytesMax: limits.overlayBytesMax,
    ballastBytes: ballastBytesFor(options.checkpointBytes ?? CHECKPOINT_BYTES),
  }
  const checkpoint = new Checkpoint(events => world.startThread(settings, events))
  let spare: FirstSpare | null = null
  try {
    const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    spare = await beginSpare(world.fileSystem, logDirectory, segmentBytes)
    const recovered = await checkpoint.recover()
    const store = new DiskStore(options, owner, log, lock, checkpoint, recovered, world, limits)
    await store.open(recovered, spare)
    return store
  } catch (error) {
    await checkpoint.terminate()
    await spare?.made
    await lock.release()
    throw error
  }
}

async function takeDirectory(
  world: StoreWorld,
  directory: string,
  logDirectory: string,
): Promise<DirectoryLock> {
  try {
    await world.fileSystem.makeDirectory(logDirectory)
    return await world.lock(directory)
  } catch (error) {
    throw directoryError(directory, error)
  }
}

/** A page that is asked for when everything before it is durable. */
interface Fetch extends PageRequest {
  readonly ticket: number
  /** It has the effect of all batches up to this one. */
  readonly batch: number
}

export class DiskStore extends RecordWriter implements Store {
  readonly pages = true
  openBatch = 1
  private readonly directory: string
  private readonly owner: DiskOwner
  private readonly messages: StoreLog
  private readonly lock: DirectoryLock
  private readonly checkpoint: Checkpoint
  private readonly log: Log
  private readonly space: SpaceWatch
  private readonly world: StoreWorld
  private readonly limits: StoreLimits
  private readonly checkpointBytes: number
  private readonly checkpointMs: number
  /** The batch that is on its way to the disk. */
  private readonly inFlight = new RecordWriter(FRAME_HEADER_BYTES)
  private readonly meter = new StoreMeter()
  private writing = false
  private durableBatch = 0
  /** In their order; those before `fetchesSent` were sent. */
  private fetches: Fetch[] = []
  private fetchesSent = 0
  private fetchesOpen = 0
  private failure: Error | null = null
  private closing: (() => void) | null = null
  private short = false
  private databaseFull = false
  /** Another checkpoint has been planned, since one failed. */
  private retrying = false
  /** Space is kept that lets the database shrink on a full disk. */
  private reserved: boolean
  /** Bytes of the log that the thread has not been told of, and that the database has not. */
  private untoldBytes = 0
  private uncheckedBytes = 0
  /** Of those, what the running checkpoint takes. */
  private flushingBytes = 0
  private flushing = false
  /** Ends the waiting for the next checkpoint; null: the store is not open. */
  private cancelTimer: (() => void) | null = null
  private recycling: Promise<void> = Promise.resolve()

  constructor(
    options: DiskStoreOptions,
    owner: DiskOwner,
    messages: StoreLog,
    lock: DirectoryLock,
    checkpoint: Checkpoint,
    recovered: Recovered,
    world: StoreWorld,
    limits: StoreLimits,
  ) {
    super(FRAME_HEADER_BYTES)
    this.directory = resolve(options.directory)
    this.owner = owner
    this.messages = messages
    this.lock = lock
    this.checkpoint = checkpoint
    this.world = world
    this.limits = limits
    this.reserved = recovered.reserved
    this.checkpointBytes = options.checkpointBytes ?? CHECKPOINT_BYTES
    this.checkpointMs = options.checkpointMs ?? CHECKPOINT_MS
    const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.log = new Log(
      {
        fileSystem: world.fileSystem,
        directory: join(options.directory, 'log'),
        storeId: recovered.storeId,
        segmentBytes,
        spareCount: SPARE_COUNT,
        freeMax: Math.ceil(this.checkpointBytes / segmentBytes) + 1,
        reached: world.reached,
        rotated: () => void this.space.check(),
        synced: durationMs => this.meter.syncSeconds.observe(durationMs / 1000),
        shortage: short => this.shortage(short),
        failed: cause => this.fail(cause),
      },
      recovered.nextSegment,
      recovered.lastSequence,
    )
    this.space = new SpaceWatch(world.fileSystem, this.directory, options.lowSpace ?? null, {
      changed: (low, freeBytes, thresholdBytes) => {
        const fields = { freeBytes, thresholdBytes }
        if (low) messages.warn(fields, 'the disk of the store has little space left')
        else messages.info(fields, 'the disk of the store has enough space again')
      },
      unknown: text => messages.warn({ cause: text }, 'the free space of the disk is not known'),
    })
    checkpoint.listen({
      applied: (sequence, segment, reserved) => this.applied(sequence, segment, reserved),
      flushFailed: text => this.flushFailed(text),
      page: (ticket, records) => {
        this.fetchesOpen--
        this.sendFetches()
        owner.fetched(pageOf(ticket, records))
      },
      failed: cause => this.fail(cause),
    })
  }

  get dirty(): boolean {
    return this.count > 0
  }

  get full(): boolean {
    return this.short || this.databaseFull || !this.reserved
  }

  get low(): boolean {
    return this.space.low
  }

  get freeBytes(): number | null {
    return this.space.freeBytes
  }

  get congested(): boolean {
    return (
      this.length > this.limits.openBatchBytesMax || this.uncheckedBytes > this.limits.logBytesMax
    )
  }

  /** What it tells about itself, for the metrics. */
  report(): StoreReport {
    const { meter, log } = this
    const { commitRecords, commitBytes, commitSeconds, syncSeconds, checkpointSeconds } = meter
    const { readyCount, retiredCount, freeCount } = log.segments
    return {
      logBytes: this.uncheckedBytes,
      lagSeconds: meter.lagSeconds,
      segments: {
        current: log.segmentNumber === 0 ? 0 : 1,
        ready: readyCount,
        retired: retiredCount,
        free: freeCount,
      },
      congested: this.congested,
      commitRecords,
      commitBytes,
      commitSeconds,
      syncSeconds,
      checkpointSeconds,
      checkpointFailures: meter.checkpointFailures,
    }
  }

  /** Gets the log ready to take records. */
  async open(recovered: Recovered, spare: FirstSpare | null): Promise<void> {
    for (const lost of recovered.lost) {
      this.messages.error({ ...lost }, 'records were lost: the store is damaged')
    }
    if (recovered.replayed > 0) {
      this.messages.info({ batches: recovered.replayed }, 'recovered what the log had')
    }
    const sizes = new Map(recovered.files)
    const names = [...sizes.keys()].filter(name => name !== spare?.name)
    await this.log.segments.adopt(names, sizes)
    // One that had to make room on a full disk is not there any more.
    if (spare !== null && (await spare.made) && sizes.has(spare.name)) {
      this.log.segments.give(spare.path)
    }
    await this.log.open()
    // The names of what is in the directory, and its own, are as durable as what is in the log.
    const { directory, world } = this
    for (const path of [directory, dirname(directory)]) await world.fileSystem.syncDirectory(path)
    await this.checkpoint.begin(this.log.segmentNumber)
    await this.space.begin()
    this.flushInTime()
    if (!recovered.reserved) {
      this.tellOfSpace(true)
      this.flushLater()
    }
  }

  load(reader: StoreReader): void {
    this.checkpoint.load(reader)
  }

  fetch(
    ticket: number,
    sessionId: number,
    fromSequence: number,
    messagesMax: number,
    bytesMax: number,
  ): void {
    const batch = this.count > 0 ? this.openBatch : this.openBatch - 1
    this.fetches.push({ ticket, batch, sessionId, fromSequence, messagesMax, bytesMax })
    if (batch <= this.durableBatch) this.sendFetches()
  }

  commit(): void {
    if (this.writing || this.count === 0 || this.failure !== null) return
    const batch = this.openBatch++
    this.writing = true
    this.meter.commitBegins()
    this.handOver(this.inFlight)
    this.log.append(this.inFlight).then(
      () => this.written(batch),
      (error: unknown) => this.fail(error instanceof Error ? error : new Error(textOf(error))),
    )
  }

  /** Writes what is open, brings the database up to date and lets the directory go. */
  async close(): Promise<void> {
    this.cancelTimer?.()
    this.cancelTimer = null
    this.space.end()
    await this.drain()
    // Nobody waits for them any more.
    this.fetches = []
    this.fetchesSent = 0
    if (this.failure === null) {
      this.tell()
      // The next start has nothing to recover then. Without room it has.
      if (this.uncheckedBytes > 0) this.checkpoint.flush()
      await this.checkpoint.close()
      await this.recycling
      await this.log.close()
    } else {
      await this.checkpoint.terminate()
      await this.log.close()
    }
    await this.lock.release()
  }

  /** Ends at once and writes nothing more, as if the process were killed. */
  async terminate(): Promise<void> {
    this.failure ??= new StoreError('closed', 'the store was ended')
    await this.close()
  }

  /** Resolves when no batch is open or on its way. */
  private drain(): Promise<void> {
    this.commit()
    if (!this.writing || this.failure !== null) return Promise.resolve()
    return new Promise(resolve => {
      this.closing = resolve
    })
  }

  private written(batch: number): void {
    if (this.failure !== null) return
    const byteCount = this.inFlight.length
    this.meter.committed(this.inFlight.count, byteCount)
    this.untoldBytes += byteCount
    this.uncheckedBytes += byteCount
    this.writing = false
    this.durableBatch = batch
    // The disk is not idle while the core makes use of what is durable.
    this.commit()
    this.world.reached('before_ack')
    this.owner.durable(batch)
    if (this.fetches.length > 0) this.sendFetches()
    if (this.untoldBytes >= this.limits.followBytes) this.tell()
    if (this.uncheckedBytes - this.flushingBytes >= this.checkpointBytes) this.flush()
    this.makeRoom()
    if (this.writing) return
    const closing = this.closing
    this.closing = null
    closing?.()
  }

  private sendFetches(): void {
    while (this.fetchesOpen < FETCHES_OPEN_MAX) {
      const next = this.fetches[this.fetchesSent]
      if (next === undefined || next.batch > this.durableBatch) break
      if (this.untoldBytes > 0) this.tell()
      this.fetchesSent++
      this.fetchesOpen++
      this.checkpoint.fetch(next.ticket, next)
    }
    if (this.fetchesSent < FETCHES_SENT_MAX && this.fetchesSent < this.fetches.length) return
    this.fetches.splice(0, this.fetchesSent)
    this.fetchesSent = 0
  }

  /** Tells the thread what is durable. */
  private tell(): void {
    this.untoldBytes = 0
    this.checkpoint.follow(this.log.takeRanges())
  }

  private flushInTime(): void {
    this.cancelTimer = this.world.fileSystem.after(this.checkpointMs, () => {
      if (this.uncheckedBytes > 0) this.flush()
      this.flushInTime()
    })
  }

  private flush(): void {
    if (this.flushing || this.failure !== null) return
    this.flushing = true
    this.meter.checkpointBegins()
    this.flushingBytes = this.uncheckedBytes
    this.tell()
    this.checkpoint.flush()
  }

  private applied(sequence: number, segment: number, reserved: boolean): void {
    if (this.databaseFull) this.messages.info({}, 'the database has room again')
    this.databaseFull = false
    this.setReserved(reserved)
    if (this.flushing) {
      this.flushing = false
      this.meter.checkpointed(this.uncheckedBytes > this.flushingBytes)
      this.uncheckedBytes -= this.flushingBytes
      this.flushingBytes = 0
    }
    this.makeRoom()
    this.recycling = this.log.segments.recycle(sequence, segment).catch((error: unknown) => {
      this.fail(error instanceof Error ? error : new Error(textOf(error)))
    })
  }

  private flushFailed(text: string): void {
    if (!this.databaseFull) this.messages.error({ cause: text }, 'the database cannot be written')
    this.databaseFull = true
    this.meter.checkpointFailures++
    this.flushing = false
    this.flushingBytes = 0
    this.flushLater()
  }

  /** Whether the space for bad times is there; when not, the thread tries again and again. */
  private setReserved(reserved: boolean): void {
    if (reserved !== this.reserved) this.tellOfSpace(!reserved)
    this.reserved = reserved
    if (!reserved) this.flushLater()
  }

  private flushLater(): void {
    if (this.retrying) return
    this.retrying = true
    this.world.fileSystem.after(RETRY_MS, () => {
      this.retrying = false
      if (this.cancelTimer !== null) this.flush()
    })
  }

  private shortage(short: boolean): void {
    this.short = short
    this.tellOfSpace(short)
    // What the database has taken over need not stay in the log: those segments are room.
    if (short && this.cancelTimer !== null && this.uncheckedBytes > 0) this.flush()
  }

  /** The last checkpoint may have begun too early to give back enough of the log. */
  private makeRoom(): void {
    if (this.short && this.uncheckedBytes > 0) this.flushLater()
  }

  private tellOfSpace(short: boolean): void {
    if (short) this.messages.warn({}, 'the disk is full: nothing that grows is accepted')
    else this.messages.info({}, 'the disk has room again')
  }

  /** A write or a sync has failed: what is on disk is unknown, so nobody is told anything more. */
  private fail(cause: Error): void {
    if (this.failure !== null) return
    const text = `the store failed: ${cause.message}. What was acknowledged is on disk`
    this.failure = cause instanceof StoreError ? cause : new StoreError('io', text, cause)
    const closing = this.closing
    this.closing = null
    closing?.()
    this.owner.failed(this.failure)
  }
}
