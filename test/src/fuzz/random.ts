// Chance from a seed: the same numbers for the same seed, on every machine.

export class Chance {
  #state: number

  /** Numbers for one case of one seed. */
  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
  }

  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit)
  }

  /** True in one of `of` cases. */
  oneIn(of: number): boolean {
    return this.below(of) === 0
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }

  bytes(lengthMax: number): Uint8Array {
    return Uint8Array.from({ length: this.below(lengthMax + 1) }, () => this.below(256))
  }
}
