// The state as the log makes it: the database and, above it, the net effect of what came since.
// It follows the log range by range, and writes into the database when it is told to, or when what
// it holds becomes too large. It runs in the worker; recovery and checkpoint are the same code.

import { join } from 'node:path'
import type { Ballast } from './ballast.ts'
import { Elision, type Records } from './elision.ts'
import { StoreError, textOf } from './errors.ts'
import type { LogRange } from './log.ts'
import { asBuffer, frameAt, frameSeed, segmentNumber } from './log-format.ts'
import { LogScanner, type LostRecords } from './log-scanner.ts'
import { Overlay } from './overlay.ts'
import { type PageRequest, readPage } from './page-writer.ts'
import { State, type StateOptions } from './state.ts'
import { nodeWaitingFiles, type WaitingFiles } from './waiting-files.ts'

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
  readonly ballast: Pick<Ballast, 'wanted' | 'take' | 'release'>
  /** Only the simulation gives others. */
  readonly files?: WaitingFiles
}

export class Replica {
  state: State
  private readonly options: ReplicaOptions
  private readonly files: WaitingFiles
  private readonly overlay = new Overlay()
  private readonly elision = new Elision()
  private taken: Records[] = []
  /** The last batch in `overlay`. */
  private sequence: number

  /** @throws StoreError `newer-version`, `corrupt` */
  constructor(options: ReplicaOptions) {
    this.options = options
    this.files = options.files ?? nodeWaitingFiles
    this.state = new State(options)
    this.sequence = this.state.appliedSequence
  }

  /**
   * Takes all that the log has beyond the database.
   * @param wallMs when those that are connected in it have been disconnected
   * @throws StoreError `corrupt`
   */
  recover(wallMs: number): Recovered {
    const { logDirectory, salvage } = this.options
    const { storeId, appliedSequence } = this.state
    const visit = (bytes: Uint8Array, start: number, end: number, sequence: number) => {
      this.take(bytes, start, end, sequence)
    }
    const scanner = new LogScanner({ storeId, appliedSequence, salvage }, visit)
    const files = this.files.list(logDirectory)
    const numbers = files.map(([name]) => segmentNumber(name)).filter(number => number > 0)
    /** Files whose contents nobody needs. */
    const spare: string[] = []
    for (const [name, byteCount] of files) {
      const path = join(logDirectory, name)
      const number = segmentNumber(name)
      const before = scanner.lastSequence
      if (number > 0) scanner.scan(name, number, this.files.read(path, 0, byteCount))
      if (scanner.lastSequence === before) {
        spare.push(name)
        continue
      }
      this.absorb()
      if (this.overlay.weight > this.options.overlayBytesMax) this.flush()
    }
    this.sequence = scanner.lastSequence
    const given = this.flushWithRoom(spare, wallMs)
    this.options.ballast.take()
    return {
      storeId,
      lastSequence: scanner.lastSequence,
      replayed: scanner.lastSequence - appliedSequence,
      lost: scanner.lost,
      nextSegment: Math.max(0, ...numbers) + 1,
      files: files.filter(([name]) => !given.includes(name)),
      reserved: this.reserved,
    }
  }

  /** Reads what was written to the log since the last call. */
  follow(ranges: readonly LogRange[]): void {
    for (const { path, number, start, end } of ranges) {
      const bytes = asBuffer(this.files.read(path, start, end))
      const seed = frameSeed(this.state.storeId, number)
      for (let at = 0; at < bytes.length; ) {
        const frame = frameAt(bytes, at, seed)
        if (frame === null || frame.sequence !== this.sequence + 1) {
          throw new StoreError('corrupt', `${path} at offset ${start + at} is not what was written`)
        }
        this.take(bytes, frame.start, frame.end, frame.sequence)
        at = frame.end
      }
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
      this.withBallast(() => this.state.apply(this.overlay, this.sequence))
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
  page(request: PageRequest): Uint8Array {
    return readPage(this.state.database, this.overlay, request)
  }

  close(): void {
    this.state.close()
  }

  private reopen(): void {
    try {
      this.state.close()
    } catch (error) {
      // What could not be written cannot be closed properly either; the file is read anew.
      if (!(error instanceof Error)) throw error
    }
    this.state = new State(this.options)
  }

  private take(bytes: Uint8Array, start: number, end: number, sequence: number): void {
    this.taken.push({ bytes, start, end })
    this.sequence = sequence
  }

  /** Brings into the overlay what was taken. */
  private absorb(): void {
    this.elision.apply(this.taken, this.overlay)
    this.taken = []
  }
}

function roomNeeded({ ballast, path }: ReplicaOptions, error: unknown): unknown {
  if (!ballast.wanted) return error
  const text = `the disk is too full to write ${path} (${textOf(error)}): make room and start again`
  return new StoreError('disk-full', text, error)
}
