// hot
// From hashes to numbers, several per hash, eight bytes each, outside of the heap. It is cut into
// shards that grow one by one, so that no growth takes long. Who asks compares what he finds.

const SHARD_BITS = 8
const ROOM_MIN = 8

class Shard {
  hashes = new Uint32Array(ROOM_MIN)
  /** 0: free. */
  values = new Uint32Array(ROOM_MIN)
  size = 0

  grow(): void {
    const { hashes, values } = this
    const room = values.length * 2
    this.hashes = new Uint32Array(room)
    this.values = new Uint32Array(room)
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== 0) this.put(hashes[i] as number, values[i] as number)
    }
  }

  put(hash: number, value: number): void {
    const mask = this.values.length - 1
    let at = hash & mask
    while (this.values[at] !== 0) at = (at + 1) & mask
    this.hashes[at] = hash
    this.values[at] = value
  }

  /** Moves back what had to make way for the entry at `at`, so that no gap hides anything. */
  vacate(at: number): void {
    const { hashes, values } = this
    const mask = values.length - 1
    let gap = at
    for (let next = (at + 1) & mask; values[next] !== 0; next = (next + 1) & mask) {
      const home = (hashes[next] as number) & mask
      if (((next - home) & mask) < ((next - gap) & mask)) continue
      hashes[gap] = hashes[next] as number
      values[gap] = values[next] as number
      gap = next
    }
    values[gap] = 0
  }
}

export class HashIndex {
  private readonly shards: Shard[] = Array.from({ length: 1 << SHARD_BITS }, () => new Shard())
  private probed: Shard = this.shards[0] as Shard
  private probedHash = 0
  private probedAt = 0

  /** @param value above 0 */
  add(hash: number, value: number): void {
    const shard = this.shardOf(hash)
    if ((shard.size + 1) * 4 > shard.values.length * 3) shard.grow()
    shard.put(hash, value)
    shard.size++
  }

  remove(hash: number, value: number): void {
    const shard = this.shardOf(hash)
    const mask = shard.values.length - 1
    for (let at = hash & mask; shard.values[at] !== 0; at = (at + 1) & mask) {
      if (shard.values[at] !== value || shard.hashes[at] !== hash) continue
      shard.vacate(at)
      shard.size--
      return
    }
  }

  /** Begins to look; `next` gives one after the other, 0 at the end. Nothing changes meanwhile. */
  find(hash: number): void {
    this.probed = this.shardOf(hash)
    this.probedHash = hash
    this.probedAt = hash & (this.probed.values.length - 1)
  }

  next(): number {
    const { hashes, values } = this.probed
    const mask = values.length - 1
    for (;;) {
      const at = this.probedAt
      const value = values[at] as number
      if (value === 0) return 0
      this.probedAt = (at + 1) & mask
      if (hashes[at] === this.probedHash) return value
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
