// hot
// Small pieces of bytes outside of the heap, by address. Each chunk has pieces of one size only,
// and one that has none left serves for any other: whoever fills and empties it with one size after
// the other finds the same chunks again.

const UNIT_BYTES = 8
const CHUNK_BYTES = 1024 * 1024
const UNITS_PER_CHUNK = CHUNK_BYTES / UNIT_BYTES
/** Up to so many units each size has chunks of its own, beyond it eight sizes per doubling. */
const EXACT_UNITS = 16
const STEPS_PER_DOUBLING = 8
/** The end of a list of free pieces: each is named by one more than its unit. */
const NONE = 0

class Chunk {
  readonly bytes: Uint8Array = new Uint8Array(CHUNK_BYTES)
  readonly words: Uint32Array = new Uint32Array(this.bytes.buffer)
  /** Address of its first unit. */
  readonly base: number
  /** Of each of its pieces. */
  units = 0
  /** Pieces that are in use. */
  count = 0
  /** Units from here on were never used for this size. */
  next = 0
  /** The piece that was freed last; its first word has the one before. */
  free = NONE
  /** Its place among those of its size that have room; -1: it has none. */
  position = -1

  constructor(base: number) {
    this.base = base
  }

  get isFull(): boolean {
    return this.free === NONE && this.next + this.units > UNITS_PER_CHUNK
  }

  begin(units: number): void {
    this.units = units
    // 0 is no address.
    this.next = this.base === 0 ? 1 : 0
    this.free = NONE
  }
}

/** An address is a number above 0. The bytes at it begin at `offsetOf` in `bytesOf`. */
export class ByteArena {
  private readonly chunks: Chunk[] = []
  /** Those with room, by the units of their pieces. */
  private readonly roomy = new Map<number, Chunk[]>()
  /** Those without pieces. */
  private readonly empty: Chunk[] = []

  /** Of all chunks, in use or not. */
  get byteLength(): number {
    return this.chunks.length * CHUNK_BYTES
  }

  allocate(byteLength: number): number {
    const units = unitsFor(byteLength)
    const chunk = this.roomy.get(units)?.at(-1) ?? this.begin(units)
    let unit = chunk.next
    if (chunk.free === NONE) chunk.next += units
    else {
      unit = chunk.free - 1
      chunk.free = chunk.words[unit * (UNIT_BYTES / 4)] as number
    }
    chunk.count++
    if (chunk.isFull) this.takeOut(chunk)
    return chunk.base + unit
  }

  /** @param byteLength as it was allocated */
  free(address: number, byteLength: number): void {
    const chunk = this.chunkOf(address)
    if (chunk.units !== unitsFor(byteLength)) throw new Error('a piece had another size')
    const unit = address - chunk.base
    chunk.words[unit * (UNIT_BYTES / 4)] = chunk.free
    chunk.free = unit + 1
    chunk.count--
    if (chunk.count === 0) {
      this.takeOut(chunk)
      this.empty.push(chunk)
    } else if (chunk.position < 0) this.putIn(chunk)
  }

  bytesOf(address: number): Uint8Array {
    return this.chunkOf(address).bytes
  }

  offsetOf(address: number): number {
    return (address % UNITS_PER_CHUNK) * UNIT_BYTES
  }

  word(address: number, index: number): number {
    return this.chunkOf(address).words[this.wordAt(address) + index] as number
  }

  setWord(address: number, index: number, value: number): void {
    this.chunkOf(address).words[this.wordAt(address) + index] = value
  }

  /** A chunk for pieces of so many units. */
  private begin(units: number): Chunk {
    let chunk = this.empty.pop()
    if (chunk === undefined) {
      chunk = new Chunk(this.chunks.length * UNITS_PER_CHUNK)
      this.chunks.push(chunk)
    }
    chunk.begin(units)
    this.putIn(chunk)
    return chunk
  }

  private putIn(chunk: Chunk): void {
    let list = this.roomy.get(chunk.units)
    if (list === undefined) {
      list = []
      this.roomy.set(chunk.units, list)
    }
    chunk.position = list.length
    list.push(chunk)
  }

  private takeOut(chunk: Chunk): void {
    const list = this.roomy.get(chunk.units)
    if (list === undefined || chunk.position < 0) return
    const last = list.pop() as Chunk
    if (last !== chunk) {
      list[chunk.position] = last
      last.position = chunk.position
    }
    chunk.position = -1
  }

  private wordAt(address: number): number {
    return (address % UNITS_PER_CHUNK) * (UNIT_BYTES / 4)
  }

  private chunkOf(address: number): Chunk {
    return this.chunks[Math.floor(address / UNITS_PER_CHUNK)] as Chunk
  }
}

/** Of the size that a piece is rounded up to. */
function unitsFor(byteLength: number): number {
  const units = Math.ceil(byteLength / UNIT_BYTES)
  if (units <= EXACT_UNITS) return units
  // The greatest power of two below `units`.
  const power = 2 ** (31 - Math.clz32(units - 1))
  const step = power / STEPS_PER_DOUBLING
  return Math.ceil(units / step) * step
}
