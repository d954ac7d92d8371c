// A file seen through a window that moves over it, so that reading a log takes no more memory than
// its largest frame, whatever the size of its files.

import { asBuffer } from './log-format.ts'
import type { ReadAt } from './waiting-files.ts'

const WINDOW_BYTES = 512 * 1024

export class SegmentWindow {
  /** The part of the file that is in memory; replaced by `at`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  /** Of the file. */
  byteCount = 0
  /** Which part of the file it is. */
  private start = 0
  private end = 0
  private readAt: ReadAt = () => 0

  open(byteCount: number, readAt: ReadAt): void {
    this.byteCount = byteCount
    this.readAt = readAt
    this.start = 0
    this.end = 0
  }

  /**
   * Moves so that `[offset, offset + count)` is in memory, and as much after it as fits.
   * @returns where `offset` is in `bytes`; -1 when the file ends before
   */
  at(offset: number, count: number): number {
    if (offset + count > this.byteCount) return -1
    if (offset < this.start || offset + count > this.end) this.move(offset, count)
    return offset + count > this.end ? -1 : offset - this.start
  }

  /** How many bytes are in memory from `offset` on, which is. */
  left(offset: number): number {
    return this.end - offset
  }

  private move(offset: number, count: number): void {
    if (count > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(count)
    else if (this.bytes.length > WINDOW_BYTES && count <= WINDOW_BYTES) {
      this.bytes = Buffer.allocUnsafeSlow(WINDOW_BYTES)
    }
    this.start = offset
    const room = Math.min(this.bytes.length, this.byteCount - offset)
    let done = 0
    while (done < room) {
      const read = this.readAt(this.bytes.subarray(done, room), offset + done)
      if (read === 0) break
      done += read
    }
    this.end = offset + done
  }
}

/** A file that is in memory as a whole. */
export function readerOf(bytes: Uint8Array): ReadAt {
  const all = asBuffer(bytes)
  return (into, offset) => {
    const part = all.subarray(offset, offset + into.length)
    into.set(part)
    return part.length
  }
}
