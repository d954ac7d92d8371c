// The verdict on delivery, arrival by arrival.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Arrival, type Delivery, judge, NO_DELIVERY, StreamChecks, sumOf } from './verdict.ts'

fc.configureGlobal({ seed: 1, numRuns: 300 })

function seen(sequences: readonly number[], sent: number): Delivery {
  const checks = new StreamChecks(0, 1)
  for (const sequence of sequences) checks.arrived(0, sequence)
  return checks.delivery(new Uint32Array([sent]))
}

function delivery(changes: Partial<Delivery>): Delivery {
  return { ...NO_DELIVERY, expected: 10, received: 10, ...changes }
}

test('messages that come once and in order are perfect at every QoS', () => {
  const result = seen([0, 1, 2, 3], 4)
  assert.deepEqual(result, { ...NO_DELIVERY, expected: 4, received: 4 })
  for (const qos of [0, 1, 2] as const) {
    const { contractMet, perfect } = judge(result, qos)
    assert.deepEqual({ contractMet, perfect }, { contractMet: true, perfect: true })
  }
})

test('a message in the middle and one at the end that never come are lost', () => {
  const { lost, duplicated, reordered } = seen([0, 1, 3, 4], 6)
  assert.deepEqual({ lost, duplicated, reordered }, { lost: 2, duplicated: 0, reordered: 0 })
})

test('a message that comes behind a later one is reordered, not lost or duplicated', () => {
  const { lost, duplicated, reordered } = seen([0, 2, 1, 3], 4)
  assert.deepEqual({ lost, duplicated, reordered }, { lost: 0, duplicated: 0, reordered: 1 })
})

test('a message that comes again is duplicated, also when it was late the first time', () => {
  const { lost, duplicated, reordered } = seen([0, 0, 2, 1, 1, 2, 3], 4)
  assert.deepEqual({ lost, duplicated, reordered }, { lost: 0, duplicated: 3, reordered: 1 })
})

test('each arrival is called by what it is', () => {
  const checks = new StreamChecks(10, 2)
  const calls = [checks.arrived(10, 0), checks.arrived(10, 5), checks.arrived(10, 3)]
  calls.push(checks.arrived(10, 3), checks.arrived(9, 0), checks.arrived(12, 0))
  const { FIRST, LATE, DUPLICATE, FOREIGN } = Arrival
  assert.deepEqual(calls, [FIRST, FIRST, LATE, DUPLICATE, FOREIGN, FOREIGN])
})

test('streams do not mix: each has its own order', () => {
  const checks = new StreamChecks(0, 2)
  for (const [stream, sequence] of [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 1],
  ] as const) {
    checks.arrived(stream, sequence)
  }
  const { lost, reordered } = checks.delivery(new Uint32Array([2, 2]))
  assert.deepEqual({ lost, reordered }, { lost: 0, reordered: 0 })
})

test('the counts are those of a plain list of what came, whatever the order', () => {
  const arrivals = fc.array(fc.nat(40), { maxLength: 120 })
  fc.assert(
    fc.property(arrivals, sequences => {
      const distinct = new Set<number>()
      let duplicated = 0
      let reordered = 0
      let highest = -1
      for (const sequence of sequences) {
        if (distinct.has(sequence)) duplicated++
        else if (sequence < highest) reordered++
        distinct.add(sequence)
        highest = Math.max(highest, sequence)
      }
      const expected = { lost: 41 - distinct.size, received: distinct.size, duplicated, reordered }
      const result = seen(sequences, 41)
      assert.deepEqual({ ...result, ...expected }, result)
    }),
  )
})

test('QoS 0 may lose, but neither duplicate nor reorder', () => {
  assert.equal(judge(delivery({ lost: 1 }), 0).contractMet, true)
  assert.equal(judge(delivery({ lost: 1 }), 0).perfect, false)
  assert.match(judge(delivery({ lost: 1 }), 0).text, /met, but 1 lost/)
  assert.equal(judge(delivery({ duplicated: 1 }), 0).contractMet, false)
  assert.equal(judge(delivery({ reordered: 1 }), 0).contractMet, false)
})

test('QoS 1 may duplicate, but neither lose nor reorder', () => {
  assert.equal(judge(delivery({ duplicated: 2 }), 1).contractMet, true)
  assert.equal(judge(delivery({ lost: 1 }), 1).contractMet, false)
  assert.equal(judge(delivery({ reordered: 1 }), 1).contractMet, false)
})

test('QoS 2 may do none of it', () => {
  for (const what of ['lost', 'duplicated', 'reordered'] as const) {
    const { contractMet, text } = judge(delivery({ [what]: 3 }), 2)
    assert.equal(contractMet, false)
    assert.match(text, new RegExp(`BROKEN \\(${what} 3\\)`))
  }
})

test('a message that nobody sent here breaks every contract', () => {
  for (const qos of [0, 1, 2] as const) {
    assert.equal(judge(delivery({ foreign: 1 }), qos).contractMet, false)
  }
})

test('deliveries add up', () => {
  const sum = sumOf([delivery({ lost: 1 }), delivery({ lost: 2, duplicated: 1 })])
  assert.deepEqual(sum, { ...NO_DELIVERY, expected: 20, received: 20, lost: 3, duplicated: 1 })
})
