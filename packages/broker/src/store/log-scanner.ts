// Reads the segments of a log in order and decides what counts: a torn frame at the very end was
// never acknowledged and is left out; a damaged one with sound frames after it is corruption.

import { StoreError } from './errors.ts'
import {
  asBuffer,
  FORMAT_VERSION,
  findFrame,
  frameAt,
  frameSeed,
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
} from './log-format.ts'

/** Records that could not be read. */
export interface LostRecords {
  readonly file: string
  readonly offset: number
  /** Batches from `firstSequence` to `lastSequence` are missing. */
  readonly firstSequence: number
  readonly lastSequence: number
}

export type FrameVisitor = (bytes: Uint8Array, start: number, end: number, sequence: number) => void

export interface ScanOptions {
  readonly storeId: Uint8Array
  /** Frames up to this sequence are in the checkpoint already. */
  readonly appliedSequence: number
  /** Go on after corruption and remember it in `lost`. */
  readonly salvage: boolean
}

export class LogScanner {
  /** The last sequence that is accounted for. */
  lastSequence: number
  readonly lost: LostRecords[] = []
  private readonly options: ScanOptions
  private readonly visit: FrameVisitor
  /** Where something unreadable was met after the last frame that counted. */
  private gap: { readonly file: string; readonly offset: number } | null = null

  constructor(options: ScanOptions, visit: FrameVisitor) {
    this.options = options
    this.visit = visit
    this.lastSequence = options.appliedSequence
  }

  /**
   * Segments must come by ascending number.
   * @param bytes the whole file
   * @throws StoreError `corrupt` or `newer-version`
   */
  scan(file: string, number: number, bytes: Uint8Array): void {
    this.checkHeader(file, bytes)
    const all = asBuffer(bytes)
    const seed = frameSeed(this.options.storeId, number)
    let at = SEGMENT_HEADER_BYTES
    while (at < all.length) {
      const frame = frameAt(all, at, seed)
      if (frame === null) {
        // The first place in the last segment is the most probable one.
        if (this.gap?.file !== file) this.gap = { file, offset: at }
        at = findFrame(all, at + 1, seed, this.lastSequence + 1)
        if (at < 0) return
        continue
      }
      if (frame.sequence > this.options.appliedSequence) {
        this.follow(file, at, frame.sequence)
        this.visit(all, frame.start, frame.end, frame.sequence)
        this.lastSequence = frame.sequence
        this.gap = null
      }
      at = frame.end
    }
  }

  private follow(file: string, offset: number, sequence: number): void {
    const expected = this.lastSequence + 1
    if (sequence === expected) return
    const place = this.gap ?? { file, offset }
    if (sequence > expected && this.options.salvage) {
      this.lost.push({ ...place, firstSequence: expected, lastSequence: sequence - 1 })
      return
    }
    throw new StoreError(
      'corrupt',
      `the log is damaged in ${place.file} at offset ${place.offset}: ` +
        `batch ${expected} was expected, ${sequence} is the next that can be read ` +
        `(${file} at offset ${offset}). Nothing was changed. ` +
        'Start with --salvage to go on without what cannot be read',
    )
  }

  private checkHeader(file: string, bytes: Uint8Array): void {
    const header = readSegmentHeader(bytes)
    if (header === null) {
      // Without frames that count it is one that was being prepared; else `follow` will say so.
      this.gap = { file, offset: 0 }
      return
    }
    if (header.version > FORMAT_VERSION) {
      throw new StoreError(
        'newer-version',
        `${file} has format version ${header.version}, this program knows ${FORMAT_VERSION}`,
      )
    }
    if (!asBuffer(header.storeId).equals(this.options.storeId)) {
      throw new StoreError('corrupt', `${file} belongs to another store`)
    }
  }
}
