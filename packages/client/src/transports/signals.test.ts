// One signal for many subscriptions: Node must not warn of a leak.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onAbort } from '../abort.ts'
import './node.ts'

test('many may wait for one signal without a warning, and all are told', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error): void => void warnings.push(warning)
  process.on('warning', warned)
  const controller = new AbortController()
  let told = 0
  for (let i = 0; i < 50; i++) {
    onAbort(controller.signal, () => {
      told++
    })
  }
  controller.abort()
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', warned)
  assert.deepEqual(warnings, [])
  assert.equal(told, 50)
})
