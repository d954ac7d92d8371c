// The files of the log: some prepared ahead, one in use, some that wait for the checkpoint, some to
// be used again. Preparing (zeros, header, rename) goes on beside the writing, in the thread pool.

import { join } from 'node:path'
import type { CrashPoint } from './crash-points.ts'
import { isOutOfSpace } from './errors.ts'
import type { File, FileSystem } from './file-system.ts'
import {
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  frameSeed,
  SEGMENT_HEADER_BYTES,
  segmentName,
  writeSegmentHeader,
} from './log-format.ts'
import { makeSpare, SPARE_PATTERN, writeFully } from './spare.ts'

const RETRY_MS = 1000

export interface SegmentOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly storeId: Uint8Array
  readonly segmentBytes: number
  /** How many are kept ready: the last of them is for deletes when the disk is full. */
  readonly spareCount: number
  /** Used segments beyond the prepared ones that are kept for later instead of being deleted. */
  readonly freeMax: number
  readonly reached: (point: CrashPoint) => void
  /** Another segment is in use. */
  readonly rotated: () => void
  /** A frame was synced, which took so long. */
  readonly synced: (durationMs: number) => void
  /** There is no room for another segment, or there is again. */
  readonly shortage: (short: boolean) => void
  readonly failed: (cause: Error) => void
}

/** A segment that is prepared or in use. */
export interface Segment {
  readonly number: number
  readonly path: string
  readonly file: File
  readonly byteCount: number
  readonly seed: number
  /** Where the next frame goes. */
  end: number
}

interface Retired {
  readonly number: number
  readonly path: string
  readonly file: File
  readonly byteCount: number
  readonly lastSequence: number
}

export class Segments {
  private readonly options: SegmentOptions
  private nextNumber: number
  private nextSpare = 1
  private readonly ready: Segment[] = []
  private retired: Retired[] = []
  /** Files that may be overwritten. */
  private readonly free: string[] = []
  private waiting: ((segment: Segment) => void) | null = null
  private preparing: Promise<void> | null = null
  private short = false
  private takingOversize = false
  private closed = false
  private cancelRetry: (() => void) | null = null

  /** @param nextNumber greater than that of any segment there ever was */
  constructor(options: SegmentOptions, nextNumber: number) {
    this.options = options
    this.nextNumber = nextNumber
  }

  get readyCount(): number {
    return this.ready.length
  }

  get retiredCount(): number {
    return this.retired.length
  }

  get freeCount(): number {
    return this.free.length
  }

  /** Files of an earlier run whose records are all in the checkpoint, and half-made ones. */
  async adopt(names: readonly string[], sizes: ReadonlyMap<string, number>): Promise<void> {
    for (const name of names) {
      const path = join(this.options.directory, name)
      const right = sizes.get(name) === this.options.segmentBytes
      const spare = SPARE_PATTERN.test(name)
      if (!spare && right && this.free.length < this.options.spareCount + this.options.freeMax) {
        this.free.push(path)
      } else await this.options.fileSystem.unlink(path)
    }
  }

  /** A file of the right size that holds nothing. */
  give(path: string): void {
    this.free.push(path)
  }

  /** The next segment to write to, with room for a frame of so many bytes. */
  async take(frameBytes: number): Promise<Segment> {
    if (frameBytes > this.options.segmentBytes - SEGMENT_HEADER_BYTES) {
      return this.takeOversize(frameBytes)
    }
    const next = this.ready.shift()
    if (next !== undefined) {
      this.prepareMore()
      return next
    }
    return new Promise(resolve => {
      this.waiting = resolve
      this.prepareMore()
    })
  }

  /** The segment is full; it can be used again when the checkpoint has `lastSequence`. */
  retire(segment: Segment, lastSequence: number): void {
    const { number, path, file, byteCount } = segment
    this.retired.push({ number, path, file, byteCount, lastSequence })
  }

  /**
   * The checkpoint has everything up to this sequence, on disk.
   * @param firstSegment what it has noted as the one that has to be there at a start
   */
  async recycle(appliedSequence: number, firstSegment: number): Promise<void> {
    const isDone = (one: Retired): boolean =>
      one.lastSequence <= appliedSequence && one.number < firstSegment
    const done = this.retired.filter(isDone)
    this.retired = this.retired.filter(one => !isDone(one))
    for (const one of done) {
      await one.file.close()
      const useful =
        one.byteCount === this.options.segmentBytes && this.free.length < this.options.freeMax
      if (useful && !this.closed) this.free.push(one.path)
      else await this.options.fileSystem.unlink(one.path)
    }
    if (done.length > 0) this.prepareMore()
  }

  /** Makes segments until enough are ready; one maker at a time. */
  prepareMore(): void {
    if (this.preparing !== null || this.closed || this.takingOversize) return
    this.cancelRetry?.()
    this.cancelRetry = null
    this.preparing = this.prepareAll().then(
      () => {
        this.preparing = null
        if (this.waiting !== null && this.cancelRetry === null) this.prepareMore()
      },
      (error: unknown) => {
        this.preparing = null
        this.options.failed(error instanceof Error ? error : new Error(String(error)))
      },
    )
  }

  async close(): Promise<void> {
    this.closed = true
    this.cancelRetry?.()
    await this.preparing
    for (const segment of this.ready) await segment.file.close()
    for (const one of this.retired) await one.file.close()
  }

  private async prepareAll(): Promise<void> {
    while (this.ready.length < this.options.spareCount || this.waiting !== null) {
      if (this.closed) return
      let segment: Segment
      try {
        segment = await this.prepare(this.options.segmentBytes)
      } catch (error) {
        if (!isOutOfSpace(error)) throw error
        this.report(true)
        this.cancelRetry = this.options.fileSystem.after(RETRY_MS, () => {
          this.cancelRetry = null
          this.prepareMore()
        })
        return
      }
      const waiting = this.waiting
      this.waiting = null
      if (waiting === null) this.ready.push(segment)
      else waiting(segment)
    }
    this.report(false)
  }

  /**
   * From the segment in use on, numbers have no gap: one that is missing at a start is missed.
   * @param replaced the number of a file without records that it takes the place of; 0: none
   */
  private async prepare(byteCount: number, replaced = 0): Promise<Segment> {
    const { fileSystem, directory, storeId, reached } = this.options
    const reused = byteCount === this.options.segmentBytes ? this.free.shift() : undefined
    const spare = reused ?? (await this.makeZeros(byteCount))
    const number = replaced === 0 ? this.nextNumber : replaced
    const path = join(directory, segmentName(number))
    const file = await fileSystem.open(spare, 'write')
    let place = spare
    const version = FORMAT_VERSION
    const header = writeSegmentHeader({ version, storeId, number, byteCount })
    try {
      await writeFully(file, header, 0)
      await file.sync()
      await fileSystem.rename(spare, path)
      place = path
      if (replaced === 0) this.nextNumber++
      reached('after_segment_rename')
      await fileSystem.syncDirectory(directory)
    } catch (error) {
      await file.close()
      // On a file system that copies on write even this may find no room; the file stays usable.
      if (isOutOfSpace(error) && reused !== undefined) this.free.push(place)
      throw error
    }
    const seed = frameSeed(storeId, number)
    return { number, path, file, byteCount, seed, end: SEGMENT_HEADER_BYTES }
  }

  private async makeZeros(byteCount: number): Promise<string> {
    const { fileSystem, directory } = this.options
    const path = join(directory, `spare-${this.nextSpare++}.tmp`)
    await makeSpare(fileSystem, path, byteCount)
    return path
  }

  /**
   * One for a single frame. It takes the place of the next that is ready: numbers go in order. What
   * is kept for a full disk is given up for it, as far as it has to be: the frame is promised, and
   * whatever comes after it waits for it.
   */
  private async takeOversize(frameBytes: number): Promise<Segment> {
    this.takingOversize = true
    await this.preparing
    let isShort = false
    for (;;) {
      try {
        const next = this.ready[0]
        const segment = await this.prepare(SEGMENT_HEADER_BYTES + frameBytes, next?.number)
        if (next !== undefined) {
          this.ready.shift()
          await next.file.close()
        }
        this.takingOversize = false
        // Without its spares the disk stays full until they are there again.
        if (!isShort) this.report(false)
        this.prepareMore()
        return segment
      } catch (error) {
        if (!isOutOfSpace(error)) throw error
        isShort = true
        this.report(true)
        if (await this.giveUpOne()) continue
        await new Promise<void>(resolve => this.options.fileSystem.after(RETRY_MS, resolve))
      }
    }
  }

  /** Deletes a file that holds nothing. @returns false when there is none */
  private async giveUpOne(): Promise<boolean> {
    const { fileSystem, directory } = this.options
    const unused = this.free.pop()
    if (unused !== undefined) {
      await fileSystem.unlink(unused)
      return true
    }
    const last = this.ready.pop()
    if (last === undefined) return false
    await last.file.close()
    await fileSystem.unlink(last.path)
    // From the highest number down, each for good before the next: there is never a gap.
    await fileSystem.syncDirectory(directory)
    this.nextNumber = last.number
    return true
  }

  private report(short: boolean): void {
    if (short === this.short) return
    this.short = short
    this.options.shortage(short)
  }
}

/** As `writeFully`, for bytes that lie in several places. */
export async function writePieces(
  file: File,
  pieces: readonly Uint8Array[],
  offset: number,
): Promise<void> {
  const [only] = pieces
  if (only !== undefined && pieces.length === 1) {
    await writeFully(file, only, offset)
    return
  }
  let done = await file.writePieces(pieces, offset)
  let at = 0
  for (const piece of pieces) {
    const end = at + piece.length
    // The system may take less than all.
    if (done < end) {
      await writeFully(file, piece.subarray(done - at), offset + done)
      done = end
    }
    at = end
  }
}

/** The least size of a segment: its header and a small frame. */
export const SEGMENT_BYTES_MIN: number = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 512
