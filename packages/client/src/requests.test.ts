// Requests and answers, with a network that the test turns: what is sent, and where there are none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType } from '@godwit/packet'
import type { Client } from './client.ts'
import { MqttError } from './errors.ts'
import { World } from './testing/world.ts'

const { PUBLISH, SUBSCRIBE } = PacketType

const Calls: Readonly<Record<string, (client: Client) => unknown>> = {
  request: client => client.request('ask', 'x'),
  requestMany: client => client.requestMany('ask', 'x').next(),
  respond: client => client.respond('ask', () => 'y'),
}

/** Whether it throws at once or rejects. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return assert.fail('it should have failed')
  } catch (error) {
    return error
  }
}

for (const [name, call] of Object.entries(Calls)) {
  test(`${name} before MQTT 5.0 fails at once, and nothing is subscribed or sent`, async () => {
    const world = new World()
    const client = await world.connected({ protocolVersion: 4 })
    const error = await failure(() => call(client))
    assert.ok(error instanceof MqttError)
    assert.deepEqual(
      [error.code, error.message],
      ['not-supported', 'requests and answers need MQTT 5.0'],
    )
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [])
    assert.equal(client.stats.subscriptions, 0)
  })
}

test('a request names its topic and its correlation, and resolves with the answer', async () => {
  const world = new World()
  const client = await world.connected()
  const answer = client.request('ask', 'x')
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 1)
  await world.settle()
  const [publish] = world.peer.take()
  assert.ok(publish?.type === PUBLISH)
  const { responseTopic, correlationData } = publish.properties
  assert.equal(responseTopic, subscribe.subscriptions[0]?.filter)
  assert.ok(responseTopic !== undefined && correlationData !== undefined)
  world.peer.puback(publish.packetId)
  world.peer.publish(responseTopic, 'another', 0, 0, {
    properties: { correlationData: new Uint8Array([1]) },
  })
  world.peer.publish(responseTopic, 'y', 0, 0, { properties: { correlationData } })
  assert.equal((await answer).text(), 'y')
})

test('a server that speaks only 3.1.1 after a loss gets no requests any more', async () => {
  const world = new World()
  const client = await world.connected()
  const first = client.request('ask', 'x')
  first.catch(() => undefined)
  await world.settle()
  world.peer.lose()
  await world.advance(2000)
  world.peer.accept({ reasonCode: 0x84 })
  await world.settle()
  world.peer.level = 4
  world.peer.accept()
  await world.settle()
  assert.equal(client.negotiated.protocolVersion, 4)
  await assert.rejects(client.request('ask', 'x'), { code: 'not-supported' })
  await client.close()
})
