// What of the server needs a store or a time that users cannot bring.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { encodePacket, PacketType } from '@godwit/packet'
import { createBroker } from './server.ts'
import { MemoryStore } from './store/memory.ts'
import { connectPacket } from './testing/harness.ts'
import { subscribePacket } from './testing/v5.ts'

/** Takes everything and writes nothing. */
class HangingStore extends MemoryStore {
  override commit(): void {
    // For ever.
  }
}

test('a stop while the disk hangs takes the time it was given, and not twice that', async () => {
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
  const drainSeconds = 0.4
  const beginMs = performance.now()
  await broker.close({ drainSeconds })
  const tookMs = performance.now() - beginMs
  stuck.destroy()
  assert.ok(tookMs < 1.5 * drainSeconds * 1000, `${tookMs} ms`)
  assert.ok(!types.includes(PacketType.CONNACK), 'what is not stored is not confirmed')
})

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
