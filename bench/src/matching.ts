// What finding the receivers of a topic costs among a thousand and among a million subscriptions:
// exact filters, `+` and `#`. Without the route cache, which would hide it. "same topics" looks for
// the same thousand topics in both; "any topic" goes all over the million, so that every lookup
// finds cold memory, which is what the difference between the two columns is.

import type { Session } from '@godwit/broker/core/session'
import { Subscription, SubscriptionIndex } from '@godwit/broker/core/subscriptions'

const LOOKUPS = 200_000
const SIZES = [1_000, 1_000_000] as const

const KINDS = {
  exact: (i: number) => `site/${i % 1000}/device/${i}/temperature`,
  plus: (i: number) => `site/${i % 1000}/device/${i}/+`,
  hash: (i: number) => `site/${i % 1000}/device/${i}/#`,
} as const

/** Nanoseconds per lookup of one of `range` topics, the best of several rounds. */
function measure(index: SubscriptionIndex, range: number): { nanoseconds: number; found: number } {
  const names = Array.from({ length: Math.min(range, LOOKUPS) }, (_, i) => (i * 7919) % range).map(
    device => `site/${device % 1000}/device/${device}/temperature`,
  )
  const topics = Array.from({ length: LOOKUPS }, (_, i) => names[i % names.length] as string)
  const into = { subscriptions: [] as Subscription[], groups: [] }
  let best = Number.POSITIVE_INFINITY
  let found = 0
  for (let round = 0; round < 5; round++) {
    found = 0
    const start = process.hrtime.bigint()
    for (const topic of topics) {
      into.subscriptions.length = 0
      index.match(topic, into)
      found += into.subscriptions.length
    }
    const elapsed = Number(process.hrtime.bigint() - start)
    best = Math.min(best, elapsed / LOOKUPS)
  }
  return { nanoseconds: best, found }
}

/** Prints a table; the ratio is what must stay small. */
export function run(): void {
  const session = {} as Session
  console.log('| filters | 1 000 | 1 000 000, same topics | ratio | 1 000 000, any topic |')
  console.log('|---|---|---|---|---|')
  for (const [kind, filterOf] of Object.entries(KINDS)) {
    const [small, large] = SIZES.map(size => {
      const index = new SubscriptionIndex()
      for (let i = 0; i < size; i++) index.add(filterOf(i), new Subscription(session, filterOf(i)))
      return index
    }) as [SubscriptionIndex, SubscriptionIndex]
    const times = [measure(small, 1000), measure(large, 1000), measure(large, 1_000_000)]
    const wrong = times.find(time => time.found !== LOOKUPS)
    if (wrong !== undefined) throw new Error(`expected ${LOOKUPS} matches, found ${wrong.found}`)
    const [few = 0, same = 0, any = 0] = times.map(time => time.nanoseconds)
    const ratio = (same / few).toFixed(2)
    const cells = [
      kind,
      `${few.toFixed(0)} ns`,
      `${same.toFixed(0)} ns`,
      ratio,
      `${any.toFixed(0)} ns`,
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
