// What of the server needs a store or a time that users cannot bring.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { encodePacket, PacketType } from '@godwit/packet'
import { createBroker } from './server.ts'
import { MemoryStore } from './store/memory.ts'
import { connectPacket } from './testing/harness.ts'
import { subscribePacket } from './testing/v5.ts'

/** Longer than any stop here. */
const LONG_MS = 1000

/** Takes everything and writes nothing. */
class HangingStore extends MemoryStore {
  override commit(): void {
    // For ever.
  }
}

test('a stop while the disk hangs takes the time it was given, not twice that', async context => {
  const store = new HangingStore()
  const broker = createBroker({
    statsIntervalSeconds: 0,
    store: owner => {
      store.attach(owner)
      return { store, close: () => Promise.resolve() }
    },
  })
  await broker.ready
  const held = broker.connect()
  const properties = { sessionExpiryInterval: 100 }
  held.write(encodePacket(connectPacket({ clientId: 'held', properties }), 5))
  const types: number[] = []
  held.on('data', (chunk: Uint8Array) => types.push((chunk[0] ?? 0) >> 4))
  const { port } = await broker.listen({ port: 0 })
  const stuck = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  stuck.on('error', () => undefined)
  stuck.write(encodePacket(connectPacket({ clientId: 'stuck' }), 5))
  stuck.write(encodePacket(subscribePacket(1, ['t']), 5))
  while (!store.dirty || broker.stats().subscriptions === 0) await turn()
  stuck.pause()
  for (let i = 0; i < 20; i++) broker.publish('t', 'x'.repeat(500_000))
  const nowMs = clockOfWaits(context)
  const drainMs = 400
  const beginMs = nowMs()
  await broker.close({ drainSeconds: drainMs / 1000 })
  const tookMs = nowMs() - beginMs
  stuck.destroy()
  assert.ok(tookMs >= drainMs && tookMs < 1.1 * drainMs, `${tookMs} ms`)
  assert.ok(!types.includes(PacketType.CONNACK), 'what is not stored is not confirmed')
})

/**
 * Time that passes by being waited for and by nothing else: a busy machine does not count.
 * What waits longer than a stop here, as connections that linger do, waits as ever.
 */
function clockOfWaits(context: TestContext): () => number {
  const wait = globalThis.setTimeout
  let nowMs = Math.ceil(performance.now())
  context.mock.method(performance, 'now', () => nowMs)
  context.mock.method(globalThis, 'setTimeout', (task: () => void, delayMs: number) => {
    if (delayMs > LONG_MS) return wait(task, delayMs)
    return setImmediate(() => {
      nowMs += delayMs
      task()
    })
  })
  return () => nowMs
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
