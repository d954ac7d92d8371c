// Every deliberate bug still has its place in the code.

import assert from 'node:assert/strict'
import test from 'node:test'
import { transformSync } from 'esbuild'
import { MUTATIONS } from './mutations.ts'
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
