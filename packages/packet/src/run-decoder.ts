// hot
// Runs of frames that begin alike, for those who pass them on as one slice. A client has no use for
// it, and a page should not load it.

import { Decoder } from './decoder.ts'

const EMPTY = new Uint8Array(0)

/** A run that is longer is worth a view, by which four bytes are compared at a time. */
const SHORT_RUN = 4

export class RunDecoder extends Decoder {
  /** Lets go of everything, an unfinished frame as well: nothing more will come. */
  drop(): void {
    this.release()
    this.rest = EMPTY
    this.restLength = 0
  }

  /**
   * Extends the current frame over those right behind it that are whole, begin with the same byte,
   * and whose bodies begin with the same `length` bytes: a run of PUBLISH with one topic and the
   * same properties. What was checked of the first holds for all. `end` is then that of the last.
   * @param packetBytesMax frames that are larger end the run
   * @returns how many frames the run has, the current one included
   */
  extendRun(length: number, packetBytesMax: number): number {
    const chunk = this.chunk
    if (this.bytes !== chunk) return 1
    const limit = packetBytesMax < this.packetBytesMax ? packetBytesMax : this.packetBytesMax
    const pattern = this.bodyStart
    const first = this.first
    const stop = chunk.length
    const words = length & ~3
    let view: DataView | null = null
    let at = this.at
    let count = 1
    while (at + 2 <= stop && chunk[at] === first) {
      let body = at + 2
      let remaining = chunk[at + 1]!
      if (remaining > 127) {
        // Three and four bytes of length are left to `next`.
        if (body >= stop) break
        const second = chunk[body++]!
        if (second > 127 || second === 0) break
        remaining = (remaining & 127) | (second << 7)
      }
      const end = body + remaining
      if (end > stop || remaining < length || end - at > limit) break
      // Other topics mostly begin alike and end otherwise.
      if (length > 0 && chunk[body + length - 1] !== chunk[pattern + length - 1]) break
      let i = 0
      if (view !== null) {
        while (i < words && view.getInt32(body + i, true) === view.getInt32(pattern + i, true))
          i += 4
      } else if (count === SHORT_RUN) view = new DataView(chunk.buffer, chunk.byteOffset, stop)
      while (i < length && chunk[body + i] === chunk[pattern + i]) i++
      if (i < length) break
      at = end
      count++
    }
    this.at = at
    this.end = at
    return count
  }
}
