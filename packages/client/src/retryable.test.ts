// Which failures are worth another try.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionRefusedError, MqttError } from './errors.ts'
import { isRetryable } from './retryable.ts'

test('what passes by itself is worth another try, what was wrong is not', () => {
  for (const code of ['connection-lost', 'timeout', 'queue-full', 'no-responders'] as const) {
    assert.equal(isRetryable(new MqttError(code, 'x')), true, code)
  }
  for (const code of ['closed', 'aborted', 'invalid-argument', 'session-lost'] as const) {
    assert.equal(isRetryable(new MqttError(code, 'x')), false, code)
  }
  for (const other of [new Error('x'), null, 'timeout']) assert.equal(isRetryable(other), false)
})

test('a refusal is judged by its reason code', () => {
  for (const [reasonCode, expected] of [
    [0x80, true], // unspecified error
    [0x83, true], // implementation specific error
    [0x97, true], // quota exceeded
    [0x87, false], // not authorized
    [0x8f, false], // topic filter invalid
    [0x90, false], // topic name invalid
    [0x9e, false], // shared subscriptions not supported
    [0xa1, false], // subscription identifiers not supported
    [0xa2, false], // wildcard subscriptions not supported
  ] as const) {
    const error = new MqttError('publish-refused', 'x', { reasonCode })
    assert.equal(isRetryable(error), expected, `0x${reasonCode.toString(16)}`)
  }
  assert.equal(isRetryable(new ConnectionRefusedError(3, 4)), true) // server unavailable
  assert.equal(isRetryable(new ConnectionRefusedError(5, 4)), false) // not authorized
  assert.equal(isRetryable(new ConnectionRefusedError(0x89, 5)), true) // server busy
})
