// Columns keep what was put into them, wherever and however large it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Float64Column, Uint32Column, WideColumn } from './columns.ts'

const PLACES = [0, 1, 16_383, 16_384, 100_000]

for (const [name, make, values] of [
  ['four bytes', () => new Uint32Column(), [1, 0xffff_ffff, 0]],
  ['fractions', () => new Float64Column(), [0.5, -3, 2 ** 53, 0]],
  ['whole numbers', () => new WideColumn(), [1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 0]],
] as const) {
  test(`a column for ${name} gives back what was set, and zero where nothing was`, () => {
    const column = make()
    for (const place of PLACES) {
      assert.equal(column.get(place), 0)
      for (const value of values) {
        column.set(place, value)
        assert.equal(column.get(place), value)
      }
      column.set(place, values[0])
    }
    for (const place of PLACES) assert.equal(column.get(place), values[0])
    assert.equal(column.get(2), 0)
  })
}

test('adding goes beyond four bytes and comes back', () => {
  const column = new WideColumn()
  column.set(3, 2 ** 32 - 1)
  column.add(3, 2)
  assert.equal(column.get(3), 2 ** 32 + 1)
  column.add(3, -(2 ** 32))
  assert.equal(column.get(3), 1)
})
