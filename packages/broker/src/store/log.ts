// The append side of the log: one frame at a time, written at the end of the segment in use and
// synced. It knows nothing of records; log-scanner.ts reads what it wrote.

import { isOutOfSpace } from './errors.ts'
import { FrameSeal } from './log-format.ts'
import type { RecordWriter } from './record-writer.ts'
import { type Segment, type SegmentOptions, Segments, writePieces } from './segments.ts'

const RETRY_MS = 1000
/** So much is summed up in one turn of the event loop. */
const TURN_BYTES_MAX = 2 * 1024 * 1024

/** A part of a segment that holds whole frames. */
export interface LogRange {
  readonly number: number
  readonly path: string
  readonly start: number
  end: number
}

export class Log {
  readonly segments: Segments
  /** Of the last frame that is on disk. */
  lastSequence: number
  private readonly options: SegmentOptions
  private current: Segment | null = null
  private ranges: LogRange[] = []

  /** @param lastSequence that of the last frame before; frames continue after it */
  constructor(options: SegmentOptions, nextNumber: number, lastSequence: number) {
    this.options = options
    this.segments = new Segments(options, nextNumber)
    this.lastSequence = lastSequence
  }

  /** The segment in use; 0: the next batch goes into another one. */
  get segmentNumber(): number {
    return this.current?.number ?? 0
  }

  /** Gets the first segment ready. */
  async open(): Promise<void> {
    this.current = await this.segments.take(0)
  }

  /**
   * Writes the records as one frame. Only one call at a time. When it has returned, the frame is on
   * disk; as long as the disk is full it does not return.
   * @throws when writing or syncing failed: whether the frame is on disk is then unknown for good
   */
  async append(records: RecordWriter): Promise<void> {
    const byteCount = records.length
    let segment = this.current
    if (segment === null || segment.end + byteCount > segment.byteCount) {
      if (segment !== null) this.segments.retire(segment, this.lastSequence)
      this.current = null
      segment = await this.segments.take(byteCount)
      this.current = segment
      this.options.rotated()
    }
    const sequence = this.lastSequence + 1
    const pieces = records.pieces()
    await sealInTurns(pieces, byteCount, segment.seed, sequence, records.count)
    await this.write(segment, pieces)
    this.options.reached('after_write')
    const beforeMs = performance.now()
    await segment.file.sync()
    this.options.synced(performance.now() - beforeMs)
    this.options.reached('after_fsync')
    this.lastSequence = sequence
    this.extendRange(segment, byteCount)
    segment.end += byteCount
  }

  /** The parts that were written since the last call, for the checkpoint. */
  takeRanges(): LogRange[] {
    const ranges = this.ranges
    this.ranges = []
    return ranges
  }

  async close(): Promise<void> {
    await this.segments.close()
    await this.current?.file.close()
    this.current = null
  }

  private async write(segment: Segment, pieces: readonly Buffer[]): Promise<void> {
    // The place was filled with zeros before, so the disk is full here only on file systems that
    // copy on write. The same bytes go to the same place until they fit; nothing was synced.
    for (let waited = false; ; waited = true) {
      try {
        await writePieces(segment.file, pieces, segment.end)
        if (waited) this.options.shortage(false)
        return
      } catch (error) {
        if (!isOutOfSpace(error)) throw error
        if (!waited) this.options.shortage(true)
        await new Promise<void>(resolve => this.options.fileSystem.after(RETRY_MS, resolve))
      }
    }
  }

  private extendRange(segment: Segment, byteCount: number): void {
    const last = this.ranges.at(-1)
    if (last?.number === segment.number) last.end += byteCount
    else {
      const { number, path, end } = segment
      this.ranges.push({ number, path, start: end, end: end + byteCount })
    }
  }
}

/** The checksum of a large frame takes milliseconds: others have their turns meanwhile. */
async function sealInTurns(
  pieces: readonly Buffer[],
  byteCount: number,
  seed: number,
  sequence: number,
  recordCount: number,
): Promise<void> {
  const [first] = pieces
  if (first === undefined) return
  const seal = new FrameSeal(first, byteCount, seed, sequence, recordCount)
  let inTurn = 0
  for (const piece of pieces) {
    inTurn += piece.length
    if (inTurn > TURN_BYTES_MAX) {
      await new Promise(resolve => setImmediate(resolve))
      inTurn = piece.length
    }
    seal.add(piece)
  }
  seal.end()
}
