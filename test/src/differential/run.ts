// Many scripts at one pair of brokers.

import { compare, describe, shorten } from './compare.ts'
import { generate } from './generator.ts'
import type { Pair } from './pairs.ts'

export interface Seeds {
  readonly from: number
  readonly count: number
  /** Called with each difference, its script cut short. Without: the first one is thrown. */
  readonly found?: (text: string) => void
}

/** @throws Error with the script where the two differ */
export async function run(pair: Pair, { from, count, found }: Seeds): Promise<void> {
  const running = await pair.start()
  try {
    for (let seed = from; seed < from + count; seed++) {
      const difference = await compare(generate(seed, pair.without), running)
      if (difference === null) continue
      const text = describe(await shorten(difference, running))
      if (found === undefined) throw new Error(text)
      found(text)
    }
  } finally {
    await running.stop()
  }
}
