// What scripts played at several brokers (test/src/differential) have found, each as the shortest
// way to the fault.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PacketType } from '@godwit/packet'
import { text, World } from '../testing/harness.ts'

test("the will of a connection that is taken over comes to its own session's new one", () => {
  for (const qos of [1, 2] as const) {
    const world = new World()
    const options = { clientId: 'c', cleanStart: false, properties: { sessionExpiryInterval: 60 } }
    const will = { topic: 't', payload: new Uint8Array([65]), qos, retain: false, properties: {} }
    const client = world.connect({ ...options, will })
    client.subscribe('t', qos)
    const { early } = world.connect(options)
    const got = early.flatMap(packet => (packet.type === PacketType.PUBLISH ? [packet] : []))
    assert.deepEqual(got.map(text), ['A'], `QoS ${qos}`)
  }
})
