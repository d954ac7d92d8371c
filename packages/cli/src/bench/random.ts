// hot
// Chance from a seed: the same seed gives the same run. xoshiro128**, not for secrets.

/** A source of numbers that a seed determines. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the whole state.
    let state = seed >>> 0
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
      return (mixed ^ (mixed >>> 15)) >>> 0
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** A source of its own for the part `index`: parts do not depend on how many others there are. */
  fork(index: number): Random {
    return new Random((this.a ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0)
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const times5 = Math.imul(this.b, 5)
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = (this.d << 11) | (this.d >>> 21)
    return result
  }

  /** At least 0, below 1. */
  unit(): number {
    return this.uint32() / 0x100000000
  }

  /** A whole number at least 0 and below `limit`. */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  /** The time to the next event of a Poisson process with this mean distance. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean
  }
}
