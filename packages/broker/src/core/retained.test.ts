// Retained messages and the walk over them, against a list and a naive matcher.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { topicMatches } from '@godwit/packet'
import fc from 'fast-check'
import { ownMessage } from './keep.ts'
import type { Message } from './message.ts'
import { MORE, RetainedMessages, type RetainedWalk } from './retained.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const Word = fc.constantFrom('', 'a', 'b', 'ab', '$SYS')
const Topic = fc
  .array(Word, { minLength: 1, maxLength: 4 })
  .map(words => words.join('/'))
  .filter(topic => topic !== '')
const Filter = fc
  .tuple(
    fc.array(fc.oneof(Word, fc.constant('+')), { maxLength: 3 }),
    fc.constantFrom('#', '+', 'a'),
  )
  .map(([words, last]) => [...words, last].join('/'))

let made = 0

function message(topic: string): Message {
  const payload = Buffer.from(`m${made++}`)
  return ownMessage({ topic, payload, qos: 0, retain: true, properties: {} }, '', 0)
}

/** All that is left of a walk, which may take few steps at a time. */
function rest(walk: RetainedWalk, steps: number): Message[] {
  const found: Message[] = []
  for (let looks = 0; looks < 100_000; looks++) {
    const next = walk.next(steps)
    if (next === null) return found
    if (next !== MORE) found.push(next)
  }
  throw new Error('the walk never ends')
}

function sorted(messages: readonly Message[]): string[] {
  return messages.map(({ topic, payload }) => `${topic} ${Buffer.from(payload)}`).sort()
}

test('a walk finds what a naive matcher finds, each message once', () => {
  const steps = fc.constantFrom(1, 2, 7, 2000)
  fc.assert(
    fc.property(fc.array(Topic, { maxLength: 30 }), Filter, steps, (topics, filter, most) => {
      const retained = new RetainedMessages()
      const model = new Map<string, Message>()
      for (const topic of topics) {
        const next = message(topic)
        assert.equal(retained.set(topic, next), model.get(topic) ?? null)
        model.set(topic, next)
      }
      const expected = [...model.values()].filter(({ topic }) => topicMatches(filter, topic))
      assert.deepEqual(sorted(rest(retained.walk(filter), most)), sorted(expected))
      assert.ok(retained.mayMatch(filter) || expected.length === 0, 'its first level is there')
    }),
    { numRuns: 500 },
  )
})

test('what goes and comes during a walk: nothing twice, newer or gone is found', () => {
  const Change = fc.record({ topic: Topic, remove: fc.boolean() })
  const changes = fc.array(Change, { maxLength: 15 })
  fc.assert(
    fc.property(fc.array(Topic, { maxLength: 20 }), changes, Filter, (topics, later, filter) => {
      const retained = new RetainedMessages()
      const model = new Map<string, Message>()
      for (const topic of topics) {
        const next = message(topic)
        retained.set(topic, next)
        model.set(topic, next)
      }
      const before = new Map(model)
      const walk = retained.walk(filter)
      const found: Message[] = []
      for (const { topic, remove } of later) {
        const next = walk.next(1)
        if (next !== null && next !== MORE) {
          found.push(next)
          assert.equal(model.get(next.topic), next, 'it is still retained when it is found')
        }
        if (remove) {
          assert.equal(retained.remove(topic), model.get(topic) ?? null)
          model.delete(topic)
        } else {
          const fresh = message(topic)
          retained.set(topic, fresh)
          model.set(topic, fresh)
        }
      }
      const end = rest(walk, 1)
      for (const one of end) assert.equal(model.get(one.topic), one)
      found.push(...end)
      assert.equal(new Set(found).size, found.length)
      for (const one of found) assert.equal(before.get(one.topic), one, 'it came before the walk')
      // Whatever nobody touched is among them.
      const touched = new Set(later.map(({ topic }) => topic))
      const due = [...before.values()].filter(
        ({ topic }) => topicMatches(filter, topic) && !touched.has(topic),
      )
      for (const one of due) assert.ok(found.includes(one), one.topic)
    }),
    { numRuns: 500 },
  )
})

test('count and bytes are those of what is there, and end at nothing', () => {
  const Change = fc.record({ topic: Topic, remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(Change, { maxLength: 40 }), changes => {
      const retained = new RetainedMessages()
      const model = new Map<string, Message>()
      for (const { topic, remove } of changes) {
        if (remove) {
          retained.remove(topic)
          model.delete(topic)
        } else {
          const next = message(topic)
          retained.set(topic, next)
          model.set(topic, next)
        }
        let bytes = 0
        for (const one of model.values()) bytes += one.byteLength
        assert.equal(retained.count, model.size)
        assert.equal(retained.bytes, bytes)
        assert.equal(retained.get(topic), model.get(topic) ?? null)
      }
      for (const topic of model.keys()) retained.remove(topic)
      assert.deepEqual([retained.count, retained.bytes], [0, 0])
      assert.deepEqual(rest(retained.walk('#'), 1), [])
    }),
  )
})

test('a first level that nothing is retained below rules a filter out', () => {
  const retained = new RetainedMessages()
  assert.equal(retained.mayMatch('#'), false)
  for (const topic of ['a/b', '/c', '$SYS/x']) retained.set(topic, message(topic))
  for (const filter of ['a', 'a/#', '/', '+', '#', '+/b', '$SYS/#']) {
    assert.equal(retained.mayMatch(filter), true, filter)
  }
  for (const filter of ['b', 'ab/#', 'b/#', '$share']) {
    assert.equal(retained.mayMatch(filter), false, filter)
  }
})

test('a topic of sixty thousand levels is kept, found and removed', () => {
  const retained = new RetainedMessages()
  const topic = `${'/'.repeat(60_000)}x`
  const kept = message(topic)
  retained.set(topic, kept)
  assert.deepEqual(rest(retained.walk('#'), 2000), [kept])
  assert.equal(retained.remove(topic), kept)
  assert.deepEqual(rest(retained.walk('#'), 2000), [])
})
