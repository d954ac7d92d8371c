// Numbers as the reports print them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPerSecond } from './numbers.ts'

test('a slow run has a rate with digits behind the point', () => {
  const texts = [0, 0.5, 2 / 3, 1, 9.999, 12.34, 99.96, 100.4, 1_234_567.8].map(formatPerSecond)
  assert.deepEqual(texts, ['0', '0.50', '0.67', '1', '10.00', '12.3', '100.0', '100', '1 234 568'])
})
