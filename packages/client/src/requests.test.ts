// Requests and answers, with a network that the test turns: what is sent, and where there are none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, type PublishPacket } from '@godwit/packet'
import type { Client } from './client.ts'
import { MqttError } from './errors.ts'
import type { Message } from './message.ts'
import type { RequestOptions } from './requests.ts'
import { short, World } from './testing/world.ts'

const { PUBLISH, SUBSCRIBE } = PacketType

interface Asked {
  readonly answer: Promise<Message>
  readonly publish: PublishPacket
}

const Calls: Readonly<Record<string, (client: Client) => unknown>> = {
  request: client => client.request('ask', 'x'),
  requestMany: client => client.requestMany('ask', 'x').next(),
  respond: client => client.respond('ask', () => 'y'),
}

/** Begins a request, and grants its subscription. */
async function asked(world: World, client: Client, options: RequestOptions = {}): Promise<Asked> {
  const answer = client.request('ask', 'x', options)
  answer.catch(() => undefined)
  return { answer, publish: await granted(world) }
}

async function granted(world: World): Promise<PublishPacket> {
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 1)
  await world.settle()
  const [publish] = world.peer.take()
  assert.ok(publish?.type === PUBLISH)
  assert.equal(publish.properties.responseTopic, subscribe.subscriptions[0]?.filter)
  return publish
}

/** @param to the request */
function answer(world: World, to: PublishPacket, payload: string): void {
  const { responseTopic = '', correlationData = new Uint8Array(0) } = to.properties
  world.peer.publish(responseTopic, payload, 0, 0, { properties: { correlationData } })
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
  const { answer: got, publish } = await asked(world, client)
  assert.equal(publish.qos, 1)
  world.peer.puback(publish.packetId)
  const { responseTopic = '' } = publish.properties
  const stranger = { properties: { correlationData: new Uint8Array([1]) } }
  world.peer.publish(responseTopic, 'another', 0, 0, stranger)
  answer(world, publish, 'y')
  assert.equal((await got).text(), 'y')
})

test('a request that nobody has subscribed to fails at once, and not by time', async () => {
  const world = new World()
  const client = await world.connected()
  const { answer: got, publish } = await asked(world, client)
  const { now } = world
  world.peer.puback(publish.packetId, 0x10)
  await assert.rejects(got, { code: 'no-responders', message: 'nobody has subscribed to ask' })
  assert.equal(world.now, now)
})

test('a request is over when its time is, and a late answer disturbs nobody', async () => {
  const world = new World()
  const client = await world.connected()
  const { answer: got, publish } = await asked(world, client, { timeoutMs: 500 })
  world.peer.puback(publish.packetId)
  await world.advance(499)
  let isOver = false
  got.catch(() => {
    isOver = true
  })
  await world.settle()
  assert.equal(isOver, false)
  await world.advance(1)
  await assert.rejects(got, { code: 'timeout', message: 'no answer within 500 ms' })
  answer(world, publish, 'late')
  await world.settle()
  assert.equal(client.state, 'connected')
})

test('requestMany gives what comes until it is quiet', async () => {
  const world = new World()
  const client = await world.connected()
  const got: string[] = []
  const all = (async () => {
    for await (const each of client.requestMany('ask', 'x', { idleMs: 100 })) got.push(each.text())
  })()
  const publish = await granted(world)
  world.peer.puback(publish.packetId)
  for (const text of ['1', '2']) {
    await world.advance(99)
    answer(world, publish, text)
  }
  await world.advance(100)
  await all
  assert.deepEqual(got, ['1', '2'])
})

test('respond sends what its handler gives to the topic of each request', async () => {
  const world = new World()
  const client = await world.connected()
  const responder = client.respond('ask', request => (request.text() === 'no' ? undefined : 'y'))
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 1)
  await responder.ready
  const correlationData = new Uint8Array([7])
  const properties = { responseTopic: 'back', correlationData }
  world.peer.publish('ask', 'x', 0, 0, { properties })
  world.peer.publish('ask', 'no', 0, 0, { properties })
  world.peer.publish('ask', 'to nobody')
  await world.settle()
  const sent = world.peer.take()
  assert.deepEqual(sent.map(short), ['PUBLISH 2 back y'])
  const [reply] = sent
  assert.deepEqual(reply?.type === PUBLISH && reply.properties, { correlationData })
})

test('a responder that the server refuses is one event', async () => {
  const world = new World()
  const errors: string[] = []
  const client = await world.connected({
    onEvent: event => {
      if (event.type === 'error') errors.push(event.error.code)
    },
  })
  const responder = client.respond('ask', () => 'y')
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 0x97)
  await world.settle()
  await assert.rejects(responder.done, { code: 'subscribe-refused' })
  assert.deepEqual(errors, ['subscribe-refused'])
})

test('a request that the handler cannot answer ends nothing: it is an event', async () => {
  const world = new World()
  const errors: MqttError[] = []
  const client = await world.connected({
    onEvent: event => {
      if (event.type === 'error') errors.push(event.error)
    },
  })
  const responder = client.respond('ask', async request => request.json<string>())
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 1)
  await responder.ready
  const properties = { responseTopic: 'back' }
  world.peer.publish('ask', 'no JSON', 1, 1, { properties })
  world.peer.publish('ask', '"yes"', 1, 2, { properties })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1 0x83', 'PUBLISH 2 back yes'])
  assert.deepEqual([errors.length, errors[0]?.cause instanceof SyntaxError], [1, true])
  // Nor does an asker to whom nobody may answer.
  world.peer.puback(2, 0x87)
  world.peer.publish('ask', '"again"', 1, 3, { properties })
  await world.settle()
  assert.deepEqual(world.peer.takeShort().sort(), ['PUBACK 2', 'PUBLISH 3 back again'])
  assert.deepEqual([errors.length, errors[1]?.code], [2, 'publish-refused'])
  world.peer.puback(3)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 3'])
  await client.close()
  await responder.done
})

test('a server that speaks only 3.1.1 after a loss gets no requests any more', async () => {
  const world = new World()
  const client = await world.connected()
  await asked(world, client)
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
