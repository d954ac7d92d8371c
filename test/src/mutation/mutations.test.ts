// Every deliberate bug still has its place in the code.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { transformSync } from 'esbuild'
import { MUTATIONS } from './mutations.ts'
import { isChosen, NOBODY, Table } from './table.ts'
import { mutated } from './workspace.ts'

const MUTATIONS_MIN = 20

for (const mutation of MUTATIONS) {
  test(`it can be made so that ${mutation.name}`, () => {
    assert.notEqual(mutation.find, mutation.replace)
    assert.ok(transformSync(mutated(mutation), { loader: 'ts' }).code.length > 0)
  })
}

test(`there are at least ${MUTATIONS_MIN} of them, with names that differ`, () => {
  const names = new Set(MUTATIONS.map(({ name }) => name))
  assert.equal(names.size, MUTATIONS.length)
  assert.ok(names.size >= MUTATIONS_MIN)
})

test('a place that is there no more, or twice, fails', () => {
  const [first] = MUTATIONS
  assert.ok(first !== undefined)
  assert.throws(() => mutated({ ...first, find: 'nowhere in the code' }), /0 times, expected once/)
  assert.throws(() => mutated({ ...first, find: 'const ' }), /\d+ times, expected once/)
})

test('docs/mutations.md has each of them, and who caught it', () => {
  const path = join(import.meta.dirname, '../../../docs/mutations.md')
  const table = new Table(readFileSync(path, 'utf8'))
  assert.deepEqual(
    MUTATIONS.filter(({ name }) => !table.has(name)).map(({ name }) => name),
    [],
    'npm run mutation -- --missing',
  )
})

test('a table is read as it was written, and a row that is run anew replaces one', () => {
  const [first, second] = MUTATIONS
  assert.ok(first !== undefined && second !== undefined)
  const table = new Table('')
  table.set(first.name, { by: 'test', words: 'with \\| in it' })
  table.set(second.name, { by: NOBODY, words: '' })
  const written = table.document(40, 300)
  const again = new Table(written)
  assert.equal(again.has(first.name), true)
  assert.equal(again.has(second.name), false)
  assert.equal(again.document(40, 300), written)
})

test('rows are chosen by numbers and ranges', () => {
  const chosen = [1, 2, 3, 4, 5, 6].filter(row => isChosen('1,3-4,6', row))
  assert.deepEqual(chosen, [1, 3, 4, 6])
  assert.equal(isChosen('', 7), true)
})
