// SCRAM-SHA-256 of the client against our broker: coming in, authenticating again on the connection
// that stands, coming back after a loss, and being refused. MQTT 5.0 section 4.12.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerOptions } from '@godwit/broker'
import { ConnectionRefusedError, connect, scramSha256 } from '@godwit/client'
import { nextEvent, withBroker } from '../support/brokers.ts'

const options: BrokerOptions = { scram: { users: { ann: 'pencil' }, iterations: 4096 } }
const authenticator = scramSha256({ username: 'ann', password: 'pencil' })

test('a client comes in, authenticates again, and again when it comes back', async () => {
  await withBroker(options, async broker => {
    const exchanges: string[] = []
    await using client = await connect(() => broker.connect(), {
      authenticator,
      clientId: 'c',
      reconnect: { initialDelayMs: 1 },
      onPacket: (direction, packet) => {
        if (packet.type === 15) exchanges.push(`${direction} ${packet.reasonCode}`)
      },
    })
    assert.equal(broker.clients()[0]?.username, 'ann')
    const toCome = ['received 24', 'sent 24']
    assert.deepEqual(exchanges.splice(0), toCome)
    await Promise.all([client.reauthenticate(), client.publish('a', 'x', { qos: 2 })])
    assert.deepEqual(exchanges.splice(0), ['sent 25', ...toCome, 'received 0'])
    const back = nextEvent(broker, 'clientConnected')
    broker.disconnectClient('c', 0x8b)
    await back
    await client.publish('a', 'x', { qos: 1 })
    assert.deepEqual(exchanges.splice(0), toCome)
    await client.reauthenticate()
    assert.equal(client.state, 'connected')
  })
})

for (const [what, username, password] of [
  ['a wrong password', 'ann', 'pen'],
  ['a user that does not exist', 'eve', 'pencil'],
] as const) {
  test(`${what} is a refusal: not authorized`, async () => {
    await withBroker(options, async broker => {
      const attempt = connect(() => broker.connect(), {
        authenticator: scramSha256({ username, password }),
      })
      await assert.rejects(attempt, error => {
        assert.ok(error instanceof ConnectionRefusedError)
        assert.equal(error.reasonCode, 0x87)
        return true
      })
    })
  })
}

test('a method that the broker does not have is a refusal: bad method', async () => {
  await withBroker(options, async broker => {
    const other = { method: 'OTHER', start: () => undefined, next: () => undefined }
    await assert.rejects(
      connect(() => broker.connect(), { authenticator: other }),
      { code: 'connection-refused', reasonCode: 0x8c },
    )
  })
})
