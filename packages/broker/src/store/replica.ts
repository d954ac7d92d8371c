// The state as the log makes it: the database and, above it, the net effect of what came since.
// It follows the log range by range, and writes into the database when it is told to, or when what
// it holds becomes too large. It runs in the worker; recovery and checkpoint are the same code.

import { join } from 'node:path'
import type { Ballast } from './ballast.ts'
import { Elision } from './elision.ts'
import { StoreError, textOf } from './errors.ts'
import type { LogRange } from './log.ts'
import { readRange, type SegmentFile, segmentsIn, storeIdFor } from './log-files.ts'
import { type FrameVisitor, LogScanner, type LostRecords } from './log-scanner.ts'
import { Overlay } from './overlay.ts'
import { type PageRequest, readPage } from './page-writer.ts'
import { RecordPile } from './record-pile.ts'
import { SegmentWindow } from './segment-window.ts'
import { State, type StateOptions } from './state.ts'
import { nodeWaitingFiles, type WaitingFiles } from './waiting-files.ts'

/** So much of the log is looked at together: what came and went in it leaves no trace. */
const PART_BYTES = 4 * 1024 * 1024

export interface Recovered {
  readonly storeId: Uint8Array
  /** The last batch of all; its records are in the database. */
  readonly lastSequence: number
  /** How many batches came from the log. */
  readonly replayed: number
  readonly lost: readonly LostRecords[]
  /** Greater than that of any segment. */
  readonly nextSegment: number
  /** Files in the directory of the log, with their sizes. */
  readonly files: readonly (readonly [name: string, byteCount: number])[]
  /** See `Replica.reserved`. */
  readonly reserved: boolean
}

export interface ReplicaOptions extends StateOptions {
  readonly logDirectory: string
  readonly salvage: boolean
  /** Above it what was collected goes into the database at the next end of a batch. */
  readonly overlayBytesMax: number
  readonly ballast: Pick<Ballast, 'wanted' | 'possible' | 'take' | 'release'>
  /** Only the simulation gives others. */
  readonly files?: WaitingFiles
}

export class Replica {
  state: State
  private readonly options: ReplicaOptions
  private readonly files: WaitingFiles
  private readonly overlay = new Overlay()
  private readonly elision = new Elision()
  private readonly pile = new RecordPile()
  private readonly window = new SegmentWindow()
  /** The last batch in `overlay`. */
  private sequence: number
  /** The segment that has it; it is needed, and all after it. */
  private segment: number
  /** Something of the log was lost. */
  private damaged = false

  /** @throws StoreError `newer-version`, `corrupt` */
  constructor(options: ReplicaOptions) {
    const { path, logDirectory, salvage } = options
    this.files = options.files ?? nodeWaitingFiles
    const newId = storeIdFor(this.files, path, logDirectory, salvage, options.newId)
    this.options = { ...options, newId }
    this.state = new State(this.options)
    this.sequence = this.state.appliedSequence
    this.segment = this.state.firstSegment ?? 0
  }

  /**
   * Takes all that the log has beyond the database.
   * @param wallMs when those that are connected in it have been disconnected
   * @throws StoreError `corrupt`
   */
  recover(wallMs: number): Recovered {
    const { logDirectory } = this.options
    const { storeId, appliedSequence } = this.state
    const segments = segmentsIn(this.files, logDirectory)
    const { scanner, counted } = this.checkAll(segments)
    this.takeAll(counted)
    const lost = [...this.damagedPages(), ...scanner.lost]
    this.damaged = lost.length > 0
    const files = this.files.list(logDirectory)
    const needed = new Set(counted.map(file => file.name))
    /** Files whose contents nobody needs. */
    const spare = files.map(([name]) => name).filter(name => !needed.has(name))
    const given = this.flushWithRoom(spare, wallMs)
    return {
      storeId,
      lastSequence: scanner.lastSequence,
      replayed: scanner.lastSequence - appliedSequence,
      lost,
      nextSegment: Math.max(this.segment, segments.at(-1)?.number ?? 0) + 1,
      files: files.filter(([name]) => !given.includes(name)),
      reserved: this.options.ballast.possible,
    }
  }

  /**
   * The log has this segment and is about to be written: from now on it has to be there at a start.
   * @throws StoreError `disk-full`
   */
  begin(segment: number): void {
    this.segment = segment
    try {
      this.withBallast(() => this.state.setFirstSegment(segment))
    } catch (error) {
      throw roomNeeded(this.options, error)
    }
  }

  /** Of a database that is taken as it is. */
  private damagedPages(): LostRecords[] {
    const { database, appliedSequence } = this.state
    return database.damaged.map(offset => {
      return { file: 'state.db', offset, firstSequence: 1, lastSequence: appliedSequence }
    })
  }

  /** Looks at all of the log before anything is changed. @throws StoreError `corrupt` */
  private checkAll(segments: readonly SegmentFile[]): {
    readonly scanner: LogScanner
    readonly counted: readonly SegmentFile[]
  } {
    const scanner = this.scanner(() => undefined)
    const counted: SegmentFile[] = []
    for (const file of segments) {
      const before = scanner.lastSequence
      this.scan(scanner, file)
      if (scanner.lastSequence !== before) counted.push(file)
    }
    scanner.finish()
    return { scanner, counted }
  }

  /** Takes what is beyond the database from segments that have such. */
  private takeAll(segments: readonly SegmentFile[]): void {
    const scanner = this.scanner((bytes, start, end, sequence) => {
      this.take(bytes, start, end, sequence)
    })
    for (const file of segments) {
      this.segment = Math.max(this.segment, file.number)
      this.scan(scanner, file)
      this.absorb()
      if (this.overlayFull) this.flush()
    }
  }

  private scanner(visit: FrameVisitor): LogScanner {
    const { storeId, appliedSequence, firstSegment } = this.state
    const { salvage } = this.options
    return new LogScanner({ storeId, appliedSequence, firstSegment, salvage }, visit)
  }

  private scan(scanner: LogScanner, { name, path, number, byteCount }: SegmentFile): void {
    this.files.read(path, readAt => scanner.scan(name, number, byteCount, readAt))
  }

  /** Reads what was written to the log since the last call. */
  follow(ranges: readonly LogRange[]): void {
    const visit: FrameVisitor = (bytes, start, end, sequence) => {
      this.take(bytes, start, end, sequence)
    }
    for (const range of ranges) {
      this.segment = range.number
      readRange(this.files, this.window, range, this.state.storeId, this.sequence, visit)
    }
    this.absorb()
  }

  get overlayFull(): boolean {
    return this.overlay.weight > this.options.overlayBytesMax
  }

  /**
   * Writes into the database all that was followed. After an error it can be called again.
   * @returns the last batch that is in the database now
   */
  flush(): number {
    if (this.sequence !== this.state.appliedSequence) {
      this.withBallast(() => this.state.apply(this.overlay, this.sequence, this.segment))
      this.overlay.clear()
    }
    this.giveBack()
    return this.sequence
  }

  /** Space for bad times is there: what grows may be taken. Takes it when there is room again. */
  get reserved(): boolean {
    return this.options.ballast.take()
  }

  /** Shrinks the database when much of it is empty; if it cannot now, then another time. */
  private giveBack(): void {
    try {
      this.state.database.settle()
      this.state.database.giveBack()
    } catch (error) {
      if (!(error instanceof Error)) throw error
    }
  }

  /** Writes; when space is what is missing, once more without the ballast. */
  private withBallast(write: () => void): void {
    try {
      write()
    } catch (error) {
      const again = this.options.ballast.release()
      // The connection may be half in a transaction. A new one begins from what is on disk.
      this.reopen()
      if (!again) throw error
      this.writeOrReopen(write)
    }
  }

  private writeOrReopen(write: () => void): void {
    try {
      write()
    } catch (error) {
      this.reopen()
      throw error
    }
  }

  /**
   * The state must be in the database before anything begins.
   * @param spare files that make room when nothing else does
   * @returns those that had to go
   * @throws StoreError `disk-full`
   */
  private flushWithRoom(spare: readonly string[], wallMs: number): readonly string[] {
    const write = () => {
      this.flush()
      if (this.damaged) this.withBallast(() => this.state.repair())
      this.withBallast(() => this.state.disconnectAll(wallMs))
    }
    try {
      write()
      return []
    } catch (error) {
      if (spare.length === 0 || !this.options.ballast.wanted) throw roomNeeded(this.options, error)
      for (const name of spare) this.files.remove(join(this.options.logDirectory, name))
    }
    try {
      write()
      return spare
    } catch (error) {
      throw roomNeeded(this.options, error)
    }
  }

  /** See `fetch` of the store. @returns records that page-reader.ts understands */
  page(request: PageRequest): Uint8Array<ArrayBuffer> {
    return readPage(this.state.database, this.overlay, request)
  }

  /** The segment that the next start begins with; 0: none. */
  get firstSegment(): number {
    return this.state.firstSegment ?? 0
  }

  /** When everything is in the database, the log is not needed at the next start. */
  close(): void {
    try {
      if (this.sequence === this.state.appliedSequence) this.state.setFirstSegment(0)
    } catch (error) {
      // On a full disk it stays as it was: the log is there, and is read again.
      if (!(error instanceof Error)) throw error
    }
    this.state.close()
  }

  private reopen(): void {
    try {
      this.state.close()
    } catch (error) {
      // What could not be written cannot be closed properly either; the file is read anew.
      if (!(error instanceof Error)) throw error
    }
    this.state = new State({ ...this.options, compared: true })
  }

  /** When much has been taken it is brought into the overlay. */
  private take(bytes: Uint8Array, start: number, end: number, sequence: number): void {
    this.pile.add(bytes, start, end)
    this.sequence = sequence
    if (this.pile.byteCount >= PART_BYTES) this.absorb()
  }

  private absorb(): void {
    this.elision.apply(this.pile.parts, this.overlay)
    this.pile.clear()
  }
}

function roomNeeded({ ballast, path }: ReplicaOptions, error: unknown): unknown {
  if (!ballast.wanted) return error
  const text = `the disk is too full to write ${path} (${textOf(error)}): make room and start again`
  return new StoreError('disk-full', text, error)
}
