// The files of the log as the thread of the database reads them, which may wait. What they mean is
// decided in log-scanner.ts.

import { join } from 'node:path'
import { StoreError } from './errors.ts'
import type { LogRange } from './log.ts'
import {
  FRAME_HEADER_BYTES,
  frameAt,
  frameBytesAt,
  frameSeed,
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
  segmentNumber,
} from './log-format.ts'
import type { FrameVisitor } from './log-scanner.ts'
import type { SegmentWindow } from './segment-window.ts'
import type { WaitingFiles } from './waiting-files.ts'

/** A segment that is there. */
export interface SegmentFile {
  readonly name: string
  readonly path: string
  readonly number: number
  readonly byteCount: number
}

/** By ascending number. */
export function segmentsIn(files: WaitingFiles, directory: string): SegmentFile[] {
  return files
    .list(directory)
    .filter(([name]) => segmentNumber(name) > 0)
    .map(([name, byteCount]) => {
      return { name, path: join(directory, name), number: segmentNumber(name), byteCount }
    })
}

/**
 * Calls back for each frame of what was written a moment ago.
 * @param sequence of the frame before
 * @returns that of the last frame
 * @throws StoreError `corrupt` when it is something else
 */
export function readRange(
  files: WaitingFiles,
  window: SegmentWindow,
  { path, number, start, end }: LogRange,
  storeId: Uint8Array,
  sequence: number,
  visit: FrameVisitor,
): number {
  const seed = frameSeed(storeId, number)
  let last = sequence
  files.read(path, readAt => {
    window.open(end, readAt)
    for (let offset = start; offset < end; ) {
      const head = window.at(offset, FRAME_HEADER_BYTES)
      const frameBytes = head < 0 ? 0 : frameBytesAt(window.bytes, head)
      const at = frameBytes === 0 ? -1 : window.at(offset, frameBytes)
      const frame = at < 0 ? null : frameAt(window.bytes, at, seed)
      if (frame === null || frame.sequence !== last + 1) {
        throw new StoreError('corrupt', `${path} at offset ${offset} is not what was written`)
      }
      visit(window.bytes, frame.start, frame.end, frame.sequence)
      last = frame.sequence
      offset += frameBytes
    }
  })
  return last
}

/**
 * A store that begins must find no log: the log is what was acknowledged, and without its database
 * nobody can tell what it means. So whoever asks for a new id is asked where the old one is.
 * @param salvage take the id that the log has, instead of refusing
 * @returns what gives the id of a new store
 * @throws StoreError `corrupt`, before any file is made
 */
export function storeIdFor(
  files: WaitingFiles,
  path: string,
  logDirectory: string,
  salvage: boolean,
  newId: () => Uint8Array,
): () => Uint8Array {
  const storeId = (): Uint8Array => {
    const segments = segmentsIn(files, logDirectory)
    if (segments.length === 0) return newId()
    if (!salvage) throw databaseMissing(path, logDirectory, segments)
    for (const file of segments.toReversed()) {
      const id = idIn(files, file)
      if (id !== null) return id
    }
    return newId()
  }
  if (!files.exists(path)) {
    const id = storeId()
    return () => id
  }
  // An empty file is no better than none: it is noticed when the tables are made.
  return storeId
}

function databaseMissing(
  path: string,
  logDirectory: string,
  segments: readonly SegmentFile[],
): StoreError {
  const [first] = segments
  const last = segments.at(-1)
  return new StoreError(
    'corrupt',
    `${path} is missing or empty, but ${logDirectory} has ${segments.length} segments of a log ` +
      `(${first?.name} to ${last?.name}): what was acknowledged is in both together. Nothing was ` +
      'changed. Put state.db back; or start with --salvage to take what the log alone still has; ' +
      `or move ${logDirectory} away to begin with an empty store`,
  )
}

function idIn(files: WaitingFiles, { path }: SegmentFile): Uint8Array | null {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  let count = 0
  files.read(path, readAt => {
    count = readAt(bytes, 0)
  })
  return readSegmentHeader(bytes.subarray(0, count))?.storeId ?? null
}
