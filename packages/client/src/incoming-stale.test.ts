// An identifier that a lost session has left behind. Found by the simulation: over it client and
// server ended the connection again and again.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PacketType } from '@godwit/packet'
import { Incoming } from './incoming.ts'

test('a QoS 1 message whose identifier stood for a QoS 2 message before is new', () => {
  const answers: [type: number, packetId: number][] = []
  const ignore = (): void => undefined
  const incoming = new Incoming(
    {
      acknowledge: (type, packetId) => answers.push([type, packetId]),
      remember: ignore,
      forget: ignore,
      crowded: ignore,
    },
    10,
  )
  assert.equal(incoming.begin(1, 2, false), true)
  const old = incoming.receipt()
  incoming.end()
  incoming.disconnected()
  assert.equal(incoming.begin(1, 1, false), true)
  const fresh = incoming.receipt()
  incoming.end()
  old.taken()
  assert.deepEqual(answers, [])
  fresh.taken()
  assert.deepEqual(answers, [[PacketType.PUBACK, 1]])
})
