// Reads the segments of a log in order and decides what counts: a torn frame at the very end was
// never acknowledged and is left out; a damaged one with sound frames after it is corruption, and
// so is a segment that has to be there and is not, or of which nothing can be read.

import { StoreError } from './errors.ts'
import {
  asBuffer,
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  type Frame,
  frameAt,
  frameBytesAt,
  frameSeed,
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
  sequenceAt,
} from './log-format.ts'
import { SegmentWindow } from './segment-window.ts'
import type { ReadAt } from './waiting-files.ts'

/** Records that could not be read. */
export interface LostRecords {
  readonly file: string
  readonly offset: number
  /** Batches from `firstSequence` to `lastSequence` are missing; null: nobody knows how many. */
  readonly firstSequence: number
  readonly lastSequence: number | null
}

/** What is at `[start, end)` is the caller's until it returns. */
export type FrameVisitor = (bytes: Buffer, start: number, end: number, sequence: number) => void

export interface ScanOptions {
  readonly storeId: Uint8Array
  /** Frames up to this sequence are in the checkpoint already. */
  readonly appliedSequence: number
  /**
   * This segment and all after it have to be there; those before it are in the checkpoint.
   * 0: all is in the checkpoint, whatever there is. Null: nobody has noted it.
   */
  readonly firstSegment: number | null
  /** Go on after corruption and remember it in `lost`. */
  readonly salvage: boolean
}

/** Why what was acknowledged may be missing, though nothing that can be read says so. */
interface Doubt {
  readonly file: string
  readonly offset: number
  readonly what: string
}

export class LogScanner {
  /** The last sequence that is accounted for. */
  lastSequence: number
  readonly lost: LostRecords[] = []
  private readonly options: ScanOptions
  private readonly visit: FrameVisitor
  private readonly window = new SegmentWindow()
  /** Where something unreadable was met after the last frame that counted. */
  private gap: { readonly file: string; readonly offset: number } | null = null
  private doubt: Doubt | null = null
  /** The next segment that has to be there; 0: none has to. */
  private expectedNumber: number

  constructor(options: ScanOptions, visit: FrameVisitor) {
    this.options = options
    this.visit = visit
    this.lastSequence = options.appliedSequence
    this.expectedNumber = options.firstSegment ?? 0
  }

  /**
   * Segments must come by ascending number.
   * @param byteCount of the file
   * @throws StoreError `corrupt` or `newer-version`
   */
  scan(file: string, number: number, byteCount: number, readAt: ReadAt): void {
    this.window.open(byteCount, readAt)
    const header = this.readHeader(file)
    const needed = this.isNeeded(number)
    if (needed) this.expect(number)
    const seed = frameSeed(this.options.storeId, number)
    const found = this.scanFrames(file, seed, needed)
    if (!needed) return
    if (header === null && !found) {
      this.gap ??= { file, offset: 0 }
      this.doubt ??= { file, offset: 0, what: `${file} cannot be read: its header is destroyed` }
    } else if (header !== null && byteCount < header.byteCount) {
      const what = `${file} has ${byteCount} bytes and should have ${header.byteCount}`
      this.doubt ??= { file, offset: byteCount, what }
    }
  }

  /**
   * All segments have been scanned.
   * @throws StoreError `corrupt` when something that may have been acknowledged is not there
   */
  finish(): void {
    if (this.expectedNumber > 0 && this.expectedNumber === this.options.firstSegment) {
      this.miss(this.expectedNumber)
    }
    const { doubt } = this
    if (doubt === null) return
    this.doubt = null
    const { file, offset } = doubt
    const firstSequence = this.lastSequence + 1
    if (this.options.salvage) {
      this.lost.push({ file, offset, firstSequence, lastSequence: null })
      return
    }
    throw new StoreError(
      'corrupt',
      `the log is damaged in ${file} at offset ${offset}: ${doubt.what}. What was acknowledged ` +
        `after batch ${this.lastSequence} may be missing. Nothing was changed. ` +
        'Put the file back, or start with --salvage to go on without what it had',
    )
  }

  private isNeeded(number: number): boolean {
    const { firstSegment } = this.options
    return firstSegment === null || (firstSegment > 0 && number >= firstSegment)
  }

  /** Those that have to be there have numbers without a gap. */
  private expect(number: number): void {
    if (this.expectedNumber > 0 && number > this.expectedNumber) this.miss(this.expectedNumber)
    if (this.options.firstSegment !== null) this.expectedNumber = number + 1
  }

  private miss(number: number): void {
    const file = segmentName(number)
    this.gap ??= { file, offset: 0 }
    this.doubt ??= { file, offset: 0, what: `${file} is missing` }
  }

  /** @returns whether there was any frame, be it one that does not count */
  private scanFrames(file: string, seed: number, needed: boolean): boolean {
    const { byteCount } = this.window
    let found = false
    let at = SEGMENT_HEADER_BYTES
    while (at < byteCount) {
      const frame = this.frameAt(at, seed)
      if (frame === null) {
        // All of it is in the checkpoint: what comes after the last frame is from earlier lives.
        if (!needed) return found
        // The first place in the last segment is the most probable one.
        if (this.gap?.file !== file) this.gap = { file, offset: at }
        at = this.findFrame(at + 1, seed)
        if (at < 0) return found
        continue
      }
      found = true
      const { start, end, sequence } = frame
      if (sequence > this.options.appliedSequence) {
        this.follow(file, at, sequence)
        this.visit(this.window.bytes, start, end, sequence)
        this.lastSequence = sequence
        this.gap = null
        this.doubt = null
      }
      at += FRAME_HEADER_BYTES + end - start
    }
    return found
  }

  /** @returns the frame at this offset of the file, with its places in the window, or null */
  private frameAt(offset: number, seed: number): Frame | null {
    const { window } = this
    const head = window.at(offset, FRAME_HEADER_BYTES)
    if (head < 0) return null
    const frameBytes = frameBytesAt(window.bytes, head)
    if (frameBytes === 0) return null
    const at = window.at(offset, frameBytes)
    return at < 0 ? null : frameAt(window.bytes, at, seed)
  }

  /**
   * Looks at every offset from `from` for a frame that would count.
   * @returns its offset, or -1
   */
  private findFrame(from: number, seed: number): number {
    const { window } = this
    const sequenceMin = this.lastSequence + 1
    for (let offset = from; ; ) {
      const at = window.at(offset, FRAME_HEADER_BYTES)
      if (at < 0) return -1
      const { bytes } = window
      const last = at + window.left(offset) - FRAME_HEADER_BYTES
      let i = at
      // The sequence decides for nearly all offsets, so few checksums are computed: frames from an
      // earlier life of the segment have lower ones.
      while (i <= last && (frameBytesAt(bytes, i) === 0 || sequenceAt(bytes, i) < sequenceMin)) i++
      offset += i - at
      if (i > last) continue
      if (this.frameAt(offset, seed) !== null) return offset
      offset++
    }
  }

  private follow(file: string, offset: number, sequence: number): void {
    const expected = this.lastSequence + 1
    if (sequence === expected) return
    const place = this.doubt ?? this.gap ?? { file, offset }
    if (sequence > expected && this.options.salvage) {
      const lost = { file: place.file, offset: place.offset }
      this.lost.push({ ...lost, firstSequence: expected, lastSequence: sequence - 1 })
      return
    }
    const why = this.doubt === null ? '' : `${this.doubt.what}; `
    throw new StoreError(
      'corrupt',
      `the log is damaged in ${place.file} at offset ${place.offset}: ${why}` +
        `batch ${expected} was expected, ${sequence} is the next that can be read ` +
        `(${file} at offset ${offset}). Nothing was changed. ` +
        'Start with --salvage to go on without what cannot be read',
    )
  }

  private readHeader(file: string): SegmentHeader | null {
    const at = this.window.at(0, SEGMENT_HEADER_BYTES)
    if (at < 0) return null
    const header = readSegmentHeader(this.window.bytes.subarray(at, at + SEGMENT_HEADER_BYTES))
    if (header === null) return null
    if (header.version > FORMAT_VERSION) {
      throw new StoreError(
        'newer-version',
        `${file} has format version ${header.version}, this program knows ${FORMAT_VERSION}`,
      )
    }
    if (!asBuffer(header.storeId).equals(this.options.storeId)) {
      throw new StoreError(
        'corrupt',
        `${file} belongs to another store: state.db and the log are not of one another. Nothing ` +
          'was changed. Put back the state.db that the log belongs to, or move the log away',
      )
    }
    return header
  }
}
