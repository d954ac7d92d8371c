// What clients share: the same object for the same fields, and never for others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from './options.ts'
import { sharing } from './same.ts'

test('the same fields are the same object, which cannot be changed', () => {
  const share = sharing<{ a: number; b?: string }>()
  const first = share({ a: 1, b: 'x' })
  assert.equal(share({ b: 'x', a: 1 }), first)
  assert.throws(() => {
    first.a = 2
  }, TypeError)
})

test('another value, one more field and one less are another object', () => {
  const first = { a: 1, b: 'x' } as const
  for (const other of [{ a: 1, b: 'y' }, { a: 1 }, { a: 1, b: 'x', c: 0 }, { a: 1, c: 'x' }]) {
    const share = sharing<object>()
    share(first)
    assert.equal(share(other), other)
    assert.notEqual(share({ ...first }), other)
  }
})

test('lists are told apart by what they are, not by what is in them', () => {
  const share = sharing<{ list: readonly number[] }>()
  const first = share({ list: [1] })
  assert.notEqual(share({ list: [1] }), first)
})

test('settings are shared by clients whose own options differ', () => {
  const shared = readOptions({ clientId: 'a', username: 'u', keepAliveSeconds: 17 })
  assert.equal(readOptions({ clientId: 'b', keepAliveSeconds: 17 }), shared)
  assert.notEqual(readOptions({ clientId: 'b', keepAliveSeconds: 18 }), shared)
  assert.equal(readOptions({ keepAliveSeconds: 18, reconnect: false }).reconnects, false)
  const { reconnect } = readOptions({ keepAliveSeconds: 18, reconnect: { maxDelayMs: 5 } })
  assert.equal(reconnect.maxDelayMs, 5)
  assert.equal(readOptions({ keepAliveSeconds: 18 }).reconnect.maxDelayMs, 60_000)
})
