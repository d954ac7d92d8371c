// Numbers from a seed: the same seed gives the same run.

export class SeededRandom {
  #state: number

  constructor(seed: number) {
    // Small seeds next to one another must not begin alike.
    this.#state = Math.imul(seed + 1, 0x9e37_79b1) >>> 0
  }

  /** From 0 to less than 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** From 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(from: readonly T[]): T {
    const value = from[this.below(from.length)]
    if (value === undefined) throw new Error('there is nothing to pick from')
    return value
  }

  /** One of the names, each as often as its number says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const names = Object.keys(weights) as Name[]
    let left = this.fraction() * names.reduce((sum, name) => sum + weights[name], 0)
    for (const name of names) {
      left -= weights[name]
      if (left < 0) return name
    }
    return this.pick(names)
  }

  /** A source of its own, so that what one part draws does not move another. */
  fork(): SeededRandom {
    return new SeededRandom(this.below(0x7fff_ffff))
  }
}
