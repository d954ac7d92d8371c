// Ranges of what is removed, against a set of numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RemovalsByOwner } from './removals.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

test('in any order, and several times: what was removed is known and nothing else', () => {
  const removal = fc.tuple(fc.nat(3), fc.nat(200), fc.integer({ min: 1, max: 9 }))
  fc.assert(
    fc.property(fc.array(removal, { maxLength: 60 }), removals => {
      const known = new RemovalsByOwner()
      const expected = new Set<string>()
      for (const [owner, sequence, count] of removals) {
        known.add(owner, sequence, count)
        for (let i = 0; i < count; i++) expected.add(`${owner} ${sequence + i}`)
      }
      known.settle()
      for (let owner = 0; owner <= 4; owner++) {
        for (let sequence = 0; sequence < 212; sequence++) {
          const isKnown = known.of(owner)?.has(sequence) ?? false
          assert.equal(isKnown, expected.has(`${owner} ${sequence}`), `${owner} ${sequence}`)
          if (known.of(owner)?.hasAll(sequence, 3) === true) {
            for (let i = 0; i < 3; i++) assert.ok(expected.has(`${owner} ${sequence + i}`))
          }
        }
      }
    }),
  )
})

test('acknowledgements in order cost one range, in reverse order no more than time n log n', () => {
  const known = new RemovalsByOwner()
  for (let sequence = 200_000; sequence > 0; sequence -= 2) known.add(1, sequence, 1)
  known.settle()
  let found = 0
  for (let sequence = 0; sequence <= 200_000; sequence++) {
    if (known.of(1)?.has(sequence) === true) found++
  }
  assert.equal(found, 100_000)
})

test('nothing of one part is known in the next', () => {
  const known = new RemovalsByOwner()
  known.add(1, 5, 1)
  known.settle()
  assert.equal(known.of(1)?.has(5), true)
  known.clear()
  assert.equal(known.of(1), null)
})
