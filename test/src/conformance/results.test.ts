// The committed results belong to the cases that there are, and the cases to the statements.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../tidy/files.ts'
import { ALL_CASES } from './all-cases.ts'

const STATEMENTS = {
  v5: 'test/statements/mqtt-5.0.tsv',
  v3: 'test/statements/mqtt-3.1.1.tsv',
}

function rowsOf(path: string): string[][] {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n')
  return lines.filter(line => line !== '' && !line.startsWith('#')).map(line => line.split('\t'))
}

test('each case is about a statement that the standard has', () => {
  for (const standard of ['v5', 'v3'] as const) {
    const known = new Set(rowsOf(STATEMENTS[standard]).map(([id]) => id))
    const strange = ALL_CASES.filter(each => each.standard === standard)
      .map(({ id }) => `MQTT-${id}`)
      .filter(id => !known.has(id))
    assert.deepEqual(strange, [])
  }
})

test('the committed results have a row for each statement that has a case', () => {
  const [head = [], ...rows] = rowsOf('test/statements/results.tsv')
  const measured = rows.map(([standard, id]) => `${standard} ${id}`)
  const cases = [...new Set(ALL_CASES.map(({ standard, id }) => `${standard} ${id}`))]
  assert.deepEqual(measured, cases, 'npm run --silent conformance -- --measure')
  const ours = head.findIndex(name => name.startsWith('Godwit'))
  const wrong = rows.filter(row => row[ours] !== 'pass' && row[ours] !== 'not applicable')
  assert.deepEqual(wrong, [])
})
