// The table of hashes against a plain map, with hashes that are alike where it looks.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HashIndex } from './hash-index.ts'

/** Few shards, few places, few tags: everything collides that can. */
function hashOf(value: number): number {
  const mixed = Math.imul(value, 0x9e3779b1) >>> 0
  return (((mixed & 3) << 24) | ((mixed & 0x30) << 12) | ((mixed >>> 8) & 0x1f)) >>> 0
}

function found(index: HashIndex, hash: number): number[] {
  const values: number[] = []
  index.find(hash)
  for (let value = index.next(); value !== 0; value = index.next()) values.push(value)
  return values
}

test('what was added under a hash is found, through growth and removals', () => {
  const index = new HashIndex(hashOf)
  const present = new Set<number>()
  let state = 7
  for (let step = 0; step < 20_000; step++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    const value = 1 + ((state >>> 8) % 900)
    if (present.has(value)) {
      index.remove(hashOf(value), value)
      present.delete(value)
    } else {
      index.add(hashOf(value), value)
      present.add(value)
    }
    if (step % 500 !== 0) continue
    for (let one = 1; one <= 900; one++) {
      assert.equal(found(index, hashOf(one)).includes(one), present.has(one), `${one} at ${step}`)
    }
  }
})

test('each number is found once, and nothing in a table that is empty again', () => {
  const index = new HashIndex(hashOf)
  for (let value = 1; value <= 300; value++) index.add(hashOf(value), value)
  for (let value = 1; value <= 300; value++) {
    assert.equal(found(index, hashOf(value)).filter(one => one === value).length, 1)
  }
  for (let value = 1; value <= 300; value++) index.remove(hashOf(value), value)
  for (let value = 1; value <= 300; value++) assert.deepEqual(found(index, hashOf(value)), [])
})

test('the removal of what is not there changes nothing', () => {
  const index = new HashIndex(hashOf)
  index.add(hashOf(5), 5)
  index.remove(hashOf(5), 6)
  index.remove(hashOf(9), 9)
  assert.ok(found(index, hashOf(5)).includes(5))
})
