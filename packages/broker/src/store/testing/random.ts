// Numbers from a seed, for simulations: the same seed gives the same run.

export class SeededRandom {
  private state: number

  constructor(seed: number) {
    // Small seeds next to one another must not begin alike.
    this.state = Math.imul(seed + 1, 0x9e37_79b1) >>> 0
  }

  /** From 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** From 0 to less than 1. */
  fraction(): number {
    this.state = (this.state + 0x6d2b_79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
