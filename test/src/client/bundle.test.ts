// What a web page has to load for the client: how much it is, and that nothing of Node is in it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundle } from '../support/bundle.ts'

/** All of it: both protocols, every QoS, reconnecting, stores, requests, authentication. */
const BROTLI_BYTES_MAX = 32 * 1024

test('the bundle for browsers is small, and holds only the client and the codec', async () => {
  const all = await bundle("export * from '@godwit/client'")
  assert.doesNotMatch(all.text, /["']node:|\brequire\(|\bBuffer\b|\bprocess\./)
  const foreign = all.inputs.filter(path => !/packages\/(?:client|packet)\/dist\//.test(path))
  assert.deepEqual(foreign, [])
  assert.ok(all.inputs.some(path => path.endsWith('client/dist/browser.js')))
  assert.ok(
    all.brotliBytes <= BROTLI_BYTES_MAX,
    `${all.brotliBytes} bytes with brotli, at most ${BROTLI_BYTES_MAX}`,
  )
})

test('what a page does not import does not come along', async () => {
  const all = await bundle("export * from '@godwit/client'")
  const some = await bundle("export { connect } from '@godwit/client'")
  assert.ok(some.bytes < all.bytes)
  assert.ok(!some.text.includes('indexedDB'))
})
