// The index of subscriptions and the routes that are remembered of it, against a naive matcher.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { topicMatches } from '@godwit/packet'
import fc from 'fast-check'
import { DEFAULT_LIMITS, LONG_ROUTES_MAX } from './limits.ts'
import { type Receiver, Router } from './router.ts'
import { Session } from './session.ts'
import { Group } from './shared.ts'
import { type Matches, Subscription, SubscriptionIndex } from './subscriptions.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

function routerOf(
  routesMax: number,
  topicLevelsMax: number,
  topicBytesMax: number,
  routeReceiversMax: number = DEFAULT_LIMITS.routeReceiversMax,
): Router {
  return new Router({ routesMax, routeReceiversMax, topicLevelsMax, topicBytesMax })
}

const OWNER = { sessionDue: (): void => undefined }

// Few words, so that filters meet topics and each other often.
const Word = fc.constantFrom('', 'a', 'b', 'ab', '$SYS', '$x', 'é')
const Topic = fc.array(Word, { minLength: 1, maxLength: 4 }).map(words => words.join('/'))
const Filter = fc
  .tuple(
    fc.array(fc.oneof(Word, fc.constant('+')), { maxLength: 3 }),
    fc.constantFrom('#', '+', 'a'),
  )
  .map(([words, last]) => [...words, last].join('/'))

function usable(topic: string): boolean {
  return topic !== ''
}

function matchesOf(index: SubscriptionIndex, topic: string): Matches {
  const found: Matches = { subscriptions: [], groups: [] }
  index.match(topic, found)
  return found
}

interface Entry {
  readonly filter: string
  readonly subscription: Subscription
}

test('the index finds what a naive matcher finds, while subscriptions come and go', () => {
  const Change = fc.record({ filter: Filter, remove: fc.boolean(), pick: fc.nat(50) })
  const topics = fc.array(Topic.filter(usable), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.array(Change, { maxLength: 60 }), topics, (changes, asked) => {
      const index = new SubscriptionIndex()
      let entries: Entry[] = []
      for (const { filter, remove, pick } of changes) {
        const old = entries[pick]
        if (remove && old !== undefined) {
          index.remove(old.filter, old.subscription)
          entries = entries.filter(entry => entry !== old)
        } else {
          const session = new Session(OWNER, `c${entries.length}`)
          const subscription = new Subscription(session, filter)
          index.add(filter, subscription)
          entries.push({ filter, subscription })
        }
        assert.equal(index.size, entries.length)
        for (const topic of asked) {
          const expected = entries
            .filter(entry => topicMatches(entry.filter, topic))
            .map(entry => entry.subscription)
          const found = matchesOf(index, topic).subscriptions
          assert.deepEqual(new Set(found), new Set(expected))
          assert.equal(found.length, expected.length, 'each one once')
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('groups are found by their filter and forgotten with it', () => {
  fc.assert(
    fc.property(
      fc.array(Filter, { minLength: 1, maxLength: 10 }),
      Topic.filter(usable),
      (filters, topic) => {
        const index = new SubscriptionIndex()
        const groups = filters.map((filter, i) => new Group(`g${i}`, filter))
        for (const group of groups) index.addGroup(group.filter, group)
        const expected = groups.filter(group => topicMatches(group.filter, topic))
        assert.deepEqual(new Set(matchesOf(index, topic).groups), new Set(expected))
        for (const group of groups) index.removeGroup(group.filter, group)
        assert.deepEqual(matchesOf(index, topic).groups, [])
      },
    ),
  )
})

/** The receivers that a route must have, made by hand. */
function expectedReceivers(entries: readonly Entry[], topic: string): unknown[] {
  const bySession = new Map<Session, Subscription[]>()
  for (const { filter, subscription } of entries) {
    if (!topicMatches(filter, topic)) continue
    const list = bySession.get(subscription.session) ?? []
    list.push(subscription)
    bySession.set(subscription.session, list)
  }
  return [...bySession]
    .map(([session, subscriptions]) => ({
      ...summary(session, subscriptions),
      noLocal: subscriptions.some(subscription => subscription.noLocal),
      own: ownOf(session, subscriptions),
    }))
    .sort(byClient)
}

function ownOf(session: Session, subscriptions: readonly Subscription[]): unknown {
  if (!subscriptions.some(subscription => subscription.noLocal)) return null
  const others = subscriptions.filter(subscription => !subscription.noLocal)
  return others.length === 0 ? null : summary(session, others)
}

function summary(session: Session, subscriptions: readonly Subscription[]) {
  const identifiers = subscriptions.map(({ identifier }) => identifier).filter(id => id > 0)
  return {
    clientId: session.clientId,
    qos: Math.max(...subscriptions.map(subscription => subscription.qos)),
    retainAsPublished: subscriptions.some(subscription => subscription.retainAsPublished),
    identifiers: identifiers.sort((a, b) => a - b),
  }
}

function shown(receiver: Receiver) {
  const { session, qos, retainAsPublished } = receiver
  const identifiers = [...(receiver.identifiers ?? [])].sort((a, b) => a - b)
  return { clientId: session.clientId, qos, retainAsPublished, identifiers }
}

function byClient(a: { clientId: string }, b: { clientId: string }): number {
  return a.clientId < b.clientId ? -1 : 1
}

test('a route is what a naive merge of subscriptions gives, remembered or not', () => {
  const Change = fc.record({
    client: fc.nat(3),
    filter: Filter,
    options: fc.record({
      qos: fc.constantFrom(0, 1, 2),
      noLocal: fc.boolean(),
      keepRetain: fc.boolean(),
      identifier: fc.constantFrom(0, 0, 1, 2, 300),
    }),
    remove: fc.boolean(),
  })
  const topics = fc.array(Topic.filter(usable), { minLength: 1, maxLength: 6 })
  const weightMax = fc.constantFrom(0, 1, 5, 1000)
  fc.assert(
    fc.property(fc.array(Change, { maxLength: 40 }), topics, weightMax, (changes, asked, most) => {
      // A table so small that routes push each other out.
      const router = routerOf(4, 10, 1000, most)
      const sessions = [0, 1, 2, 3].map(i => new Session(OWNER, `c${i}`))
      let entries: Entry[] = []
      for (const { client, filter, options, remove } of changes) {
        const session = sessions[client] as Session
        const old = entries.find(e => e.filter === filter && e.subscription.session === session)
        if (old !== undefined && remove) {
          router.index.remove(filter, old.subscription)
          entries = entries.filter(entry => entry !== old)
        } else {
          const subscription = old?.subscription ?? new Subscription(session, filter)
          const { qos, noLocal, keepRetain, identifier } = options
          subscription.options = qos | (noLocal ? 4 : 0) | (keepRetain ? 8 : 0)
          subscription.identifier = identifier
          if (old === undefined) {
            router.index.add(filter, subscription)
            entries.push({ filter, subscription })
          }
        }
        router.forget(filter)
        for (const topic of asked) {
          const { receivers, weight } = router.findTopic(topic)
          assert.ok(router.weight <= Math.max(most, weight))
          const found = receivers.map(receiver => ({
            ...shown(receiver),
            noLocal: receiver.noLocal,
            own: receiver.own === null ? null : shown(receiver.own),
          }))
          assert.deepEqual(found.sort(byClient), expectedReceivers(entries, topic))
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a route that was pushed out is told to ask again', () => {
  const router = routerOf(2, 10, 1000)
  const routes = ['a', 'b', 'c'].map(topic => router.findTopic(topic))
  assert.ok(routes.some(route => route.generation !== router.generation))
  assert.equal(router.findTopic('a').topic, 'a')
})

test('routeReceiversMax: so many receivers are remembered, those of others looked for anew', () => {
  const router = routerOf(1024, 10, 1000, 100)
  const sessions = Array.from({ length: 9 }, (_none, i) => new Session(OWNER, `c${i}`))
  for (const session of sessions) router.index.add('#', new Subscription(session, '#'))
  router.index.addGroup('#', new Group('g', '#'))
  const topics = Array.from({ length: 11 }, (_none, i) => `t${i}`)
  const [first, ...others] = topics.slice(0, 10).map(topic => router.findTopic(topic))
  assert.ok(first !== undefined)
  assert.equal(router.weight, 100)
  assert.ok(others.every(({ generation }) => generation === router.generation))
  router.findTopic('t10')
  assert.equal(router.weight, 100)
  const emptied = [first, ...others].filter(({ generation }) => generation !== router.generation)
  assert.equal(emptied.length, 1)
  // Who still holds it keeps no session alive by it.
  const counts = emptied.map(({ receivers, groups }) => [receivers.length, groups.length])
  assert.deepEqual(counts, [[0, 0]])
  for (const topic of [...topics, ...topics]) {
    const { receivers, groups } = router.findTopic(topic)
    assert.deepEqual([receivers.length, groups.length, router.weight], [9, 1, 100])
  }
  router.forget('#')
  assert.equal(router.findTopic('t0').receivers.length, 9)
})

test('routeReceiversMax: a topic with more receivers alone is found all the same', () => {
  const router = routerOf(16, 10, 1000, 3)
  const subscriptions = Array.from({ length: 5 }, (_none, i) => {
    const subscription = new Subscription(new Session(OWNER, `c${i}`), 'a')
    router.index.add('a', subscription)
    return subscription
  })
  for (let i = 0; i < 3; i++) {
    assert.equal(router.findTopic('a').receivers.length, 5)
    assert.equal(router.findTopic('b').receivers.length, 0)
    assert.equal(router.weight, 0)
  }
  for (const subscription of subscriptions) router.index.remove('a', subscription)
  router.forget('a')
  assert.equal(router.findTopic('a').weight, 0)
})

test('routeReceiversMax: what one session subscribes to several times counts as often', () => {
  const router = routerOf(16, 10, 1000, 1000)
  const session = new Session(OWNER, 'c')
  for (const filter of ['a', '+', '#']) {
    router.index.add(filter, new Subscription(session, filter))
  }
  const { receivers, weight } = router.findTopic('a')
  assert.deepEqual([receivers.length, weight], [1, 3])
})

test('a route that was pushed out of its place keeps nobody alive', () => {
  const router = routerOf(2, 10, 1000)
  router.index.add('#', new Subscription(new Session(OWNER, 'c'), '#'))
  const routes = ['a', 'b', 'c'].map(topic => router.findTopic(topic))
  const lengths = routes.map(({ receivers }) => receivers.length)
  assert.deepEqual(lengths.toSorted(), [0, 1, 1])
  assert.equal(router.weight, 2)
})

test('what came next before is found as anything is: pushed out, forgotten, another', () => {
  const letters = fc.constantFrom('a', 'b', 'c', 'd', 'a/a')
  const steps = fc.array(fc.tuple(letters, fc.constantFrom('', 'forget', 'forgetAll')), {
    minLength: 20,
    maxLength: 60,
  })
  fc.assert(
    fc.property(steps, taken => {
      // Two places for five topics: they push each other out all the time.
      const router = routerOf(2, 10, 1000)
      let last = router.findTopic('a')
      for (const [topic, change] of taken) {
        if (change !== '') router.forget(change === 'forget' ? topic : '#')
        const bytes = Uint8Array.from(Buffer.from(`..${topic}..`))
        const found = router.findAfter(last, bytes, 2, 2 + topic.length)
        assert.equal(found.topic, topic)
        assert.equal(found.generation, router.generation)
        assert.equal(router.findTopic(topic), found)
        last = found
      }
    }),
    { numRuns: 200 },
  )
})

test('who goes from topic to topic and begins anew finds each without a hash', () => {
  const router = routerOf(1024, 10, 1000)
  const topics = Array.from({ length: 10 }, (_none, i) => `plant/line ${i}/temperature`)
  const routes = topics.map(topic => router.findTopic(topic))
  const round = (): unknown[] =>
    topics.map((topic, i) => {
      const bytes = Uint8Array.from(Buffer.from(topic))
      const last = routes[(i + 9) % 10]
      assert.ok(last !== undefined)
      return router.findAfter(last, bytes, 0, bytes.length)
    })
  assert.deepEqual(round(), routes)
  const find = mock.method(router, 'find')
  assert.deepEqual(round(), routes)
  assert.equal(find.mock.callCount(), 0)
})

test('of long topics few are remembered, and changes reach those', () => {
  const router = routerOf(65_536, 10, 65_535)
  const topicOf = (i: number): string => `${i}/${'é'.repeat(300)}`
  const routes = Array.from({ length: 2000 }, (_none, i) => router.findTopic(topicOf(i)))
  const kept = routes.filter(route => route.generation === router.generation)
  assert.ok(kept.length > 64 && kept.length <= LONG_ROUTES_MAX, `${kept.length} are kept`)
  // A filter is one text, a topic bytes: both have to lead to the same place.
  for (const route of kept) {
    assert.equal(router.findTopic(route.topic), route)
    router.forget(route.topic)
    assert.notEqual(route.generation, router.generation)
  }
  const short = Array.from({ length: 2000 }, (_none, i) => router.findTopic(`${i}`))
  const stay = short.filter(route => route.generation === router.generation)
  assert.ok(stay.length > 1900, `${stay.length} are kept`)
})

test('a route keeps no view on the Buffer that its topic came in', () => {
  const router = routerOf(2, 10, 1000)
  const chunk = Buffer.from('..a/b..')
  const route = router.find(chunk, 2, 5)
  chunk.fill(0)
  assert.deepEqual([...route.topicBytes], [...Buffer.from('a/b')])
  assert.equal(router.findTopic('a/b'), route)
})

for (const [topic, why] of [
  ['', 'is empty'],
  ['a/+', 'has a wildcard'],
  ['#', 'has a wildcard'],
  ['a/b/c/d', 'has too many levels'],
  ['x'.repeat(21), 'is too long'],
  ['a\0b', 'has a null'],
] as const) {
  test(`no route goes to a topic that ${why}: ${JSON.stringify(topic.slice(0, 8))}`, () => {
    const router = routerOf(16, 3, 20)
    assert.throws(() => router.findTopic(topic), { name: 'PacketError' })
  })
}

test('a topic of bytes that are no UTF-8 has no route', () => {
  const router = routerOf(16, 3, 20)
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0xe2, 0x82]]) {
    assert.throws(() => router.find(Uint8Array.from(bytes), 0, bytes.length), {
      code: 'malformed-packet',
    })
  }
})
