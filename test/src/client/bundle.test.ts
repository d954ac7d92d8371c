// What a web page has to load for the client: how much it is, and that nothing of Node is in it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundle } from '../support/bundle.ts'

/**
 * What a page loads to connect, subscribe and publish, over both protocols and at every QoS, and to
 * come back after a loss. `docs/client.md` says what is in it.
 */
const FIRST_BROTLI_BYTES_MAX = 26_300
/** All of the lite client, which asks for nothing later. */
const LITE_BROTLI_BYTES_MAX = 12_000
/** The rest, which is loaded when it is asked for. */
const LATER_BROTLI_BYTES_MAX = 4000

test('the bundle for browsers is small, and holds only the client and the codec', async context => {
  const { first, later, inputs } = await bundle("export { connect } from '@godwit/client'")
  context.diagnostic(`${first.brotliBytes} bytes at first, ${later.brotliBytes} later, with brotli`)
  const foreign = inputs.filter(path => !/packages\/(?:client|packet)\/dist\//.test(path))
  assert.deepEqual(foreign, [])
  for (const [{ brotliBytes, text }, max] of [
    [first, FIRST_BROTLI_BYTES_MAX],
    [later, LATER_BROTLI_BYTES_MAX],
  ] as const) {
    assert.doesNotMatch(text, /["']node:|\brequire\(|\bBuffer\b|\bprocess\./)
    assert.ok(brotliBytes > 0 && brotliBytes <= max, `${brotliBytes} bytes, at most ${max}`)
  }
})

test('what a page does not import does not come along', async () => {
  const all = await bundle("export * from '@godwit/client'")
  const some = await bundle("export { connect } from '@godwit/client'")
  assert.ok(some.first.bytes < all.first.bytes)
  assert.match(all.first.text, /indexedDB/)
  assert.doesNotMatch(some.first.text, /indexedDB|PBKDF2/)
})

test('what few pages need is not loaded at first', async () => {
  const { first, later } = await bundle("export * from '@godwit/client'")
  for (const words of ['nobody has subscribed to', 'the authenticator could not start']) {
    assert.ok(!first.text.includes(words) && later.text.includes(words), words)
  }
})

test('no text is other in the small build than in the compiled one', async () => {
  const code = "export * from '@godwit/client'"
  const [small, compiled] = [await bundle(code), await bundle(code, ['development'])]
  assert.ok(compiled.inputs.some(path => path.endsWith('client/dist/browser.js')))
  assert.ok(small.inputs.every(path => !path.endsWith('client/dist/browser.js')))
  assert.ok(small.first.brotliBytes < compiled.first.brotliBytes * 0.9)
  const all = `${compiled.first.text} ${compiled.later.text}`
  // A list of texts is one, with a line for each.
  const texts = [...all.matchAll(/["`]([\w.,'\n-]+(?: [\w.,'\n-]+)+)["`]/g)].map(([text]) => text)
  assert.ok(texts.length > 120 && texts.some(text => text.includes('\nserver moved\n')))
  const shorter = small.first.text + small.later.text
  assert.deepEqual(
    texts.filter(text => !shorter.includes(text)),
    [],
  )
})

test('the lite client is at most 12 kB, and loads nothing later', async context => {
  const { first, later, inputs } = await bundle("export { connect } from '@godwit/client/lite'")
  context.diagnostic(`${first.brotliBytes} bytes with brotli`)
  assert.deepEqual(inputs, ['packages/client/dist/web/lite.js'])
  assert.deepEqual([later.bytes, first.bytes > 0], [0, true])
  assert.doesNotMatch(first.text, /["']node:|\brequire\(|\bBuffer\b|\bprocess\.|\bimport\(/)
  const { brotliBytes } = first
  assert.ok(brotliBytes <= LITE_BROTLI_BYTES_MAX, `${brotliBytes} bytes`)
})
