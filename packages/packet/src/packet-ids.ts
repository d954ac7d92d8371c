// Hands out packet identifiers, never one that is in use. One bit per identifier.

import { PACKET_ID_MAX } from './constants.ts'

const WORDS = (PACKET_ID_MAX + 1) / 32
const FULL = 0xffff_ffff

/** The identifiers of one session. MQTT 5.0 section 2.2.1. */
export class PacketIds {
  /** How many are in use. */
  count = 0
  // Identifier 0 does not exist, so its bit is always set.
  private readonly used = new Uint32Array(WORDS)
  private last = 0

  constructor() {
    this.clear()
  }

  /**
   * An identifier that was not in use and now is; as long as possible after it was last used.
   * @returns 0 when all 65,535 are in use
   */
  take(): number {
    if (this.count === PACKET_ID_MAX) return 0
    let id = this.last
    do {
      id = (id + 1) & PACKET_ID_MAX
      if ((id & 31) === 0 && this.used[id >>> 5] === FULL) id |= 31
    } while (this.has(id)) // [MQTT-2.2.1-3] [MQTT-2.3.1-2 v3]
    this.reserve(id)
    this.last = id
    return id
  }

  /** Marks an identifier of a restored session as in use. */
  reserve(id: number): void {
    if (this.has(id)) return
    this.count++
    this.flip(id)
  }

  /** @returns false when it was not in use */
  release(id: number): boolean {
    if (id === 0 || !this.has(id)) return false
    this.count--
    this.flip(id)
    return true
  }

  has(id: number): boolean {
    return (((this.used[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1
  }

  clear(): void {
    this.count = 0
    this.last = 0
    this.used.fill(0)
    this.flip(0)
  }

  private flip(id: number): void {
    this.used[id >>> 5] = (this.used[id >>> 5] ?? 0) ^ (1 << (id & 31))
  }
}
