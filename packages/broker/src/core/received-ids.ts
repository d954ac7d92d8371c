// The packet identifiers of QoS 2 messages that came and are not released. Before MQTT 5.0 nothing
// tells a client how many it may have: one that has many gets a bit for each of all, 8 KiB, where
// a set took more than a megabyte.

import { PACKET_ID_MAX } from '@godwit/packet'

/** With more of them the bits take less. */
const FEW_IDS = 256
const BITS_PER_WORD = 32

export class ReceivedIds {
  private few: Set<number> | null = new Set()
  private bits: Uint32Array | null = null
  private count = 0

  constructor(ids: Iterable<number> = []) {
    for (const id of ids) this.add(id)
  }

  get size(): number {
    return this.few === null ? this.count : this.few.size
  }

  has(id: number): boolean {
    if (this.bits === null) return this.few?.has(id) === true
    return ((wordOf(this.bits, id) >>> (id % BITS_PER_WORD)) & 1) === 1
  }

  add(id: number): void {
    if (this.has(id)) return
    if (this.bits !== null) this.flip(this.bits, id, 1)
    else if (this.size < FEW_IDS) this.few?.add(id)
    else this.flip(this.spread(), id, 1)
  }

  /** @returns false when it was not there */
  delete(id: number): boolean {
    if (this.bits === null) return this.few?.delete(id) === true
    if (!this.has(id)) return false
    this.flip(this.bits, id, -1)
    if (this.count === 0) {
      this.bits = null
      this.few = new Set()
    }
    return true
  }

  copy(): ReceivedIds {
    const copy = new ReceivedIds()
    copy.few = this.few === null ? null : new Set(this.few)
    copy.bits = this.bits?.slice() ?? null
    copy.count = this.count
    return copy
  }

  private spread(): Uint32Array {
    const bits = new Uint32Array((PACKET_ID_MAX + 1) / BITS_PER_WORD)
    for (const id of this.few ?? []) this.flip(bits, id, 1)
    this.bits = bits
    this.few = null
    return bits
  }

  private flip(bits: Uint32Array, id: number, by: 1 | -1): void {
    bits[Math.floor(id / BITS_PER_WORD)] = wordOf(bits, id) ^ (1 << (id % BITS_PER_WORD))
    this.count += by
  }
}

function wordOf(bits: Uint32Array, id: number): number {
  return bits[Math.floor(id / BITS_PER_WORD)] ?? 0
}
