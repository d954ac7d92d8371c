// hot
// Small pieces of bytes outside of the heap, by address. What is freed is used again for pieces of
// the same size.

const UNIT_BYTES = 8
const CHUNK_BYTES = 1024 * 1024
const UNITS_PER_CHUNK = CHUNK_BYTES / UNIT_BYTES

interface Chunk {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
}

/** An address is a number above 0. The bytes at it begin at `offsetOf` in `bytesOf`. */
export class ByteArena {
  private readonly chunks: Chunk[] = []
  private next = UNITS_PER_CHUNK
  private readonly freed = new Map<number, number[]>()

  allocate(byteLength: number): number {
    const units = Math.ceil(byteLength / UNIT_BYTES)
    const again = this.freed.get(units)?.pop()
    if (again !== undefined) return again
    if (this.next + units > UNITS_PER_CHUNK) {
      const bytes = new Uint8Array(CHUNK_BYTES)
      this.chunks.push({ bytes, words: new Uint32Array(bytes.buffer) })
      // 0 is no address.
      this.next = this.chunks.length === 1 ? 1 : 0
    }
    const address = (this.chunks.length - 1) * UNITS_PER_CHUNK + this.next
    this.next += units
    return address
  }

  /** @param byteLength as it was allocated */
  free(address: number, byteLength: number): void {
    const units = Math.ceil(byteLength / UNIT_BYTES)
    const list = this.freed.get(units)
    if (list === undefined) this.freed.set(units, [address])
    else list.push(address)
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

  private wordAt(address: number): number {
    return (address % UNITS_PER_CHUNK) * (UNIT_BYTES / 4)
  }

  private chunkOf(address: number): Chunk {
    return this.chunks[Math.floor(address / UNITS_PER_CHUNK)] as Chunk
  }
}
