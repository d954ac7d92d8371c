// Runs every example: it ends by itself and prints what it says at its end, or has a test of its
// own.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from './support/run.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXAMPLES = join(ROOT, 'examples')

/** What stands behind `// Prints:` at the end of an example, or null when it says nothing. */
function promised(source: string): string | null {
  const [, said] = source.split('// Prints:\n')
  if (said === undefined) return null
  return said
    .trimEnd()
    .split('\n')
    .map(line => line.replace(/^\/\/ ?/, ''))
    .join('\n')
}

const examples = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.js') && !path.includes('node_modules'))
  // These need a broker: test/src/client and test/src/bench have one for them.
  .filter(path => !path.startsWith('client') && path !== 'benchmark-in-ci.js')
  .map(path => join(EXAMPLES, path))

test('there are examples', () => {
  assert.ok(examples.length > 0)
})

/** The sources of all tests of the whole system. */
function testSources(): string {
  const folder = join(ROOT, 'test/src')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.test.ts'))
    .map(path => readFileSync(join(folder, path), 'utf8'))
    .join('\n')
}

for (const path of examples) {
  const name = relative(ROOT, path)
  const expected = promised(readFileSync(path, 'utf8'))
  if (expected === null) {
    test(`the example ${name} does not say what it prints: it has a test of its own`, () => {
      assert.ok(testSources().includes(name))
    })
    continue
  }
  test(`the example ${name} prints what it says`, async () => {
    const { code, output, errors } = await run(process.execPath, [path], { cwd: ROOT })
    assert.equal(code, 0, errors)
    assert.equal(output.trimEnd(), expected)
  })
}
