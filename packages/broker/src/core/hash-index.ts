// hot
// From hashes to numbers, several per hash, five bytes each, outside of the heap. It is cut into
// shards that grow one by one, so that no growth takes long. Of each hash it keeps eight bits: who
// asks compares what he finds, and tells the hash of a number again when entries have to move.

const SHARD_BITS = 8
const ROOM_MIN = 8

/** @returns the hash under which this number was added */
export type HashOfValue = (value: number) => number

class Shard {
  /** Bits 16 to 23 of the hashes. The highest choose the shard, the lowest the place. */
  tags = new Uint8Array(ROOM_MIN)
  /** 0: free. */
  values = new Uint32Array(ROOM_MIN)
  size = 0

  grow(hashOfValue: HashOfValue): void {
    const { values } = this
    const room = values.length * 2
    this.tags = new Uint8Array(room)
    this.values = new Uint32Array(room)
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      if (value !== 0) this.put(hashOfValue(value), value)
    }
  }

  put(hash: number, value: number): void {
    const mask = this.values.length - 1
    let at = hash & mask
    while (this.values[at] !== 0) at = (at + 1) & mask
    this.tags[at] = hash >>> 16
    this.values[at] = value
  }

  /** Moves back what had to make way for the entry at `at`, so that no gap hides anything. */
  vacate(at: number, hashOfValue: HashOfValue): void {
    const { tags, values } = this
    const mask = values.length - 1
    let gap = at
    for (let next = (at + 1) & mask; values[next] !== 0; next = (next + 1) & mask) {
      const home = hashOfValue(values[next] as number) & mask
      if (((next - home) & mask) < ((next - gap) & mask)) continue
      tags[gap] = tags[next] as number
      values[gap] = values[next] as number
      gap = next
    }
    values[gap] = 0
  }
}

export class HashIndex {
  private readonly shards: Shard[] = Array.from({ length: 1 << SHARD_BITS }, () => new Shard())
  private readonly hashOfValue: HashOfValue
  private probed: Shard = this.shards[0] as Shard
  private probedTag = 0
  private probedAt = 0

  constructor(hashOfValue: HashOfValue) {
    this.hashOfValue = hashOfValue
  }

  /** @param value above 0 */
  add(hash: number, value: number): void {
    const shard = this.shardOf(hash)
    if ((shard.size + 1) * 4 > shard.values.length * 3) shard.grow(this.hashOfValue)
    shard.put(hash, value)
    shard.size++
  }

  remove(hash: number, value: number): void {
    const shard = this.shardOf(hash)
    const mask = shard.values.length - 1
    for (let at = hash & mask; shard.values[at] !== 0; at = (at + 1) & mask) {
      if (shard.values[at] !== value) continue
      shard.vacate(at, this.hashOfValue)
      shard.size--
      return
    }
  }

  /**
   * Begins to look; `next` gives one after the other, 0 at the end. Nothing changes meanwhile.
   * There may be others among them, whose hash is another one.
   */
  find(hash: number): void {
    this.probed = this.shardOf(hash)
    this.probedTag = (hash >>> 16) & 0xff
    this.probedAt = hash & (this.probed.values.length - 1)
  }

  next(): number {
    const { tags, values } = this.probed
    const mask = values.length - 1
    for (;;) {
      const at = this.probedAt
      const value = values[at] as number
      if (value === 0) return 0
      this.probedAt = (at + 1) & mask
      if (tags[at] === this.probedTag) return value
    }
  }

  private shardOf(hash: number): Shard {
    return this.shards[hash >>> (32 - SHARD_BITS)] as Shard
  }
}

/** Of bytes, from a seed that nobody outside knows. Every bit of it depends on every byte. */
export function hashOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
