// What is left behind when a name is expected: nothing.

import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { test } from 'node:test'
import { Script } from 'node:vm'
import { expectName } from './names.ts'

/** What V8 says of its version and flags: code that is kept under others is worth nothing. */
function flagsNow(): string {
  return new Script('0').createCachedData().toString('latin1', 0, 16)
}

for (const host of ['localhost', 'broker.example', '::1', '127.0.0.1', '']) {
  test(`Node and its flags are what they were when ${host || 'nothing'} was expected`, () => {
    const before = flagsNow()
    expectName(host)
    assert.equal(flagsNow(), before)
    assert.deepEqual(['::1', 'fe80::1%eth0', '1::2::3', 'localhost', '127.0.0.1'].map(isIPv6), [
      true,
      true,
      false,
      false,
      false,
    ])
  })
}
