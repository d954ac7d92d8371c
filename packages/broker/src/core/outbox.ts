// hot
// What a turn has for one connection: slices of input chunks and of the turn's arena, in order.
// They become one write when the turn ends; only then bytes are copied, and packet ids patched in.

import { KEPT_PIECES_MAX } from './limits.ts'
import { SHORT_BYTES } from './message.ts'

const ARENA_BYTES = 256 * 1024
const SLAB_BYTES = 128 * 1024
/** A slice of at least this many bytes is written as it is when others go along. */
const LARGE_PIECE_BYTES = 16 * 1024
/** One of at least this many between them as well: a frame that chunks had cut apart. */
const LONE_PIECE_BYTES = 1024

/** Scratch for packets that are made in a turn. What it holds is copied out before the next one. */
export class Arena {
  bytes: Uint8Array = new Uint8Array(ARENA_BYTES)
  at = 0

  /** Makes room for `length` bytes at `at`. Slices of the block before stay as they are. */
  reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return
    this.bytes = new Uint8Array(Math.max(ARENA_BYTES, length))
    this.at = 0
  }

  /** The turn has ended: all slices were copied. */
  reset(): void {
    this.at = 0
    if (this.bytes.length > ARENA_BYTES) this.bytes = new Uint8Array(ARENA_BYTES)
  }
}

/**
 * Hands out parts of a block, since a buffer of its own for each write is dear. What a wire has
 * copied by the time its write returns is given back: then all writes go out of the same few
 * kilobytes, which are in the cache and need no zeros.
 */
class Slab {
  private block: Uint8Array = new Uint8Array(SLAB_BYTES)
  private at = 0
  private since = 0

  /** What is taken from now on can be given back. */
  begin(): void {
    this.since = this.at
  }

  take(length: number): Uint8Array {
    if (length > SLAB_BYTES / 4 && (this.at > 0 || length > SLAB_BYTES)) {
      return new Uint8Array(length)
    }
    if (this.at + length > SLAB_BYTES) {
      this.block = new Uint8Array(SLAB_BYTES)
      this.at = 0
      this.since = 0
    }
    const start = this.at
    this.at = (start + length + 7) & ~7
    return this.block.subarray(start, start + length)
  }

  giveBack(): void {
    this.at = this.since
  }
}

const slab = new Slab()

/** Nobody looks any more at the pieces of the last `take`. */
export function giveBackPieces(): void {
  slab.giveBack()
}

/** Pieces in order, reused from turn to turn by whichever connection has output. */
export class Output {
  private readonly buffers: Uint8Array[] = []
  private readonly starts: number[] = []
  private readonly ends: number[] = []
  private readonly patchAt: number[] = []
  private readonly patchValue: number[] = []
  private count = 0
  private patchCount = 0
  private last: Uint8Array | null = null
  private lastEnd = 0
  /** Bytes of all pieces. */
  bytes = 0

  /** Adds `buffer[start, end)`; neighbours in the same buffer become one piece. */
  append(buffer: Uint8Array, start: number, end: number): void {
    this.bytes += end - start
    if (this.last === buffer && this.lastEnd === start) {
      this.lastEnd = end
      this.ends[this.count - 1] = end
      return
    }
    const index = this.count++
    this.buffers[index] = buffer
    this.starts[index] = start
    this.ends[index] = end
    this.last = buffer
    this.lastEnd = end
  }

  /** The same, with the two bytes at `packetIdAt` replaced in the copy. */
  appendWithId(
    buffer: Uint8Array,
    start: number,
    end: number,
    packetIdAt: number,
    packetId: number,
  ): void {
    const index = this.patchCount++
    this.patchAt[index] = this.bytes + (packetIdAt - start)
    this.patchValue[index] = packetId
    this.append(buffer, start, end)
  }

  /**
   * Hands the pieces over, instead of those in `into`, and empties itself.
   * @param share whether the receiver may hold views on input chunks and shared blocks: not when
   * it is slow, since a small view keeps the whole block alive
   */
  take(arena: Uint8Array, share: boolean, into: Uint8Array[]): void {
    slab.begin()
    if (this.count === 1 && this.patchCount === 0 && share) {
      const buffer = this.buffers[0] as Uint8Array
      const length = this.bytes
      if (buffer !== arena && length * 2 >= buffer.length) {
        const whole = length === buffer.length
        putOnly(whole ? buffer : buffer.subarray(this.starts[0], this.ends[0]), into)
        this.clear()
        return
      }
    }
    if (share && this.patchCount === 0 && this.bytes > LARGE_PIECE_BYTES) {
      into.length = 0
      this.gather(arena, into)
    } else putOnly(this.joined(share), into)
    this.clear()
  }

  private joined(share: boolean): Uint8Array {
    const out = share ? slab.take(this.bytes) : new Uint8Array(this.bytes)
    this.copyPieces(0, this.count, out)
    for (let i = 0; i < this.patchCount; i++) {
      const at = this.patchAt[i] as number
      const value = this.patchValue[i] as number
      out[at] = value >> 8
      out[at + 1] = value & 255
    }
    return out
  }

  /** Large pieces as they are, the small ones between them joined. */
  private gather(arena: Uint8Array, into: Uint8Array[]): void {
    let first = 0
    let small = 0
    for (let i = 0; i <= this.count; i++) {
      const buffer = i < this.count ? (this.buffers[i] as Uint8Array) : null
      const length = buffer === null ? 0 : (this.ends[i] as number) - (this.starts[i] as number)
      const large = length >= LARGE_PIECE_BYTES && buffer !== arena
      if (buffer !== null && !large) {
        small += length
        continue
      }
      if (small > 0) this.join(first, i, small, arena, into)
      small = 0
      first = i + 1
      if (buffer !== null) into.push(buffer.subarray(this.starts[i], this.ends[i]))
    }
  }

  /** Pieces `[from, to)`; one alone is copied only when it is small or a part of much. */
  private join(
    from: number,
    to: number,
    byteCount: number,
    arena: Uint8Array,
    into: Uint8Array[],
  ): void {
    const buffer = this.buffers[from] as Uint8Array
    if (to - from === 1 && buffer !== arena && byteCount > LONE_PIECE_BYTES) {
      if (byteCount * 2 >= buffer.length) {
        into.push(buffer.subarray(this.starts[from], this.ends[from]))
        return
      }
    }
    const out = slab.take(byteCount)
    this.copyPieces(from, to, out)
    into.push(out)
  }

  private copyPieces(from: number, to: number, out: Uint8Array): void {
    let at = 0
    for (let i = from; i < to; i++) {
      const buffer = this.buffers[i] as Uint8Array
      const start = this.starts[i] as number
      const end = this.ends[i] as number
      if (end - start > SHORT_BYTES) {
        out.set(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end), at)
        at += end - start
      } else {
        for (let j = start; j < end; j++) out[at++] = buffer[j] as number
      }
    }
  }

  /** Drops what it holds. */
  clear(): void {
    if (this.count > KEPT_PIECES_MAX) this.shrink()
    for (let i = 0; i < this.count; i++) this.buffers[i] = NOTHING
    this.count = 0
    this.patchCount = 0
    this.bytes = 0
    this.last = null
  }

  /** One turn of one connection does not keep the memory of its pieces for all turns to come. */
  private shrink(): void {
    for (const array of [this.starts, this.ends, this.patchAt, this.patchValue]) array.length = 0
    this.buffers.length = 0
    this.count = 0
  }
}

const NOTHING = new Uint8Array(0)

/** Most writes have one piece, and to set the length of an array costs more than this piece. */
function putOnly(piece: Uint8Array, into: Uint8Array[]): void {
  into[0] = piece
  if (into.length > 1) into.length = 1
}
