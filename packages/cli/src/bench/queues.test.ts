// The queues of a publisher: what is due, what is under way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Inflight, TimeQueue } from './queues.ts'

fc.configureGlobal({ seed: 1, numRuns: 200 })

test('times come out in the order they went in, however the ring turns', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), pushes => {
      const queue = new TimeQueue()
      const model: number[] = []
      pushes.forEach((push, i) => {
        if (push || model.length === 0) {
          queue.push(i)
          model.push(i)
        } else assert.equal(queue.shift(), model.shift())
        assert.equal(queue.length, model.length)
      })
    }),
  )
})

test('packet identifiers are given in order and never 0 [MQTT-2.2.1-3]', () => {
  const inflight = new Inflight(10)
  const ids = new Set<number>()
  for (let i = 0; i < 65_536; i++) {
    const id = inflight.add(0, i, 0, 0)
    ids.add(id)
    inflight.remove(id)
  }
  assert.equal(ids.size, 65_535)
  assert.ok(!ids.has(0))
})

test('there is room for the window and not for one more', () => {
  const inflight = new Inflight(3)
  assert.equal(inflight.room, 3)
  for (let i = 0; i < 3; i++) inflight.add(0, i, 0, 0)
  assert.equal(inflight.room, 0)
  inflight.remove(2)
  assert.equal(inflight.room, 1)
})

test('a message that is never acknowledged stops the window before its place is used', () => {
  const inflight = new Inflight(4)
  const stuck = inflight.add(0, 0, 0, 0)
  let sent = 0
  while (inflight.room > 0) {
    const id = inflight.add(0, 1, 0, 0)
    assert.notEqual(id, stuck)
    inflight.remove(id)
    sent++
    assert.ok(sent < 100)
  }
  assert.ok(inflight.has(stuck))
  inflight.remove(stuck)
  assert.equal(inflight.room, 4)
})

test('an identifier that only shares a place with one that is under way is not under way', () => {
  const inflight = new Inflight(4)
  const first = inflight.add(0, 0, 0, 0)
  assert.equal(inflight.has(first), true)
  // Places are a power of two that is at least twice the window.
  for (const places of [8, 16, 32, 4096]) assert.equal(inflight.has(first + places), false)
  inflight.remove(first)
  assert.equal(inflight.has(first), false)
})

test('the broker may allow fewer, and never more', () => {
  const inflight = new Inflight(10)
  inflight.limit(100)
  assert.equal(inflight.room, 10)
  inflight.limit(2)
  assert.equal(inflight.room, 2)
})

test('what is under way comes back oldest first with all that is needed to send it again', () => {
  const inflight = new Inflight(5)
  const first = inflight.add(1, 10, 100, 101)
  const second = inflight.add(2, 20, 200, 201)
  const third = inflight.add(3, 30, 300, 301)
  inflight.remove(first)
  inflight.recorded(third)
  const found: unknown[] = []
  inflight.each((...fields) => found.push(fields))
  assert.deepEqual(found, [
    [second, 2, 20, 200, 201, false],
    [third, 3, 30, 300, 301, true],
  ])
  assert.equal(inflight.remove(second), 201)
})
