// A writable stream that publishes: in order, bounded, and with its errors told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Payload } from './options.ts'
import { publishStream } from './publish-stream.ts'
import { World } from './testing/world.ts'

function source(...chunks: Payload[]): ReadableStream<Payload> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

test('what is piped into it is published in order, so many at a time', async () => {
  const world = new World()
  const client = await world.connected()
  const bytes = new TextEncoder().encode('2')
  let isDone = false
  const piped = source('1', bytes, '3')
    .pipeTo(publishStream(client, 'log', { qos: 1, concurrency: 2 }))
    .then(() => {
      isDone = true
    })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 log 1', 'PUBLISH 2 log 2'])
  world.peer.puback(1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 3 log 3'])
  world.peer.puback(2)
  await world.settle()
  assert.equal(isDone, false)
  world.peer.puback(3)
  await world.settle()
  await piped
  assert.equal(client.state, 'connected')
})

test('QoS 0 is written as fast as the transport takes it', async () => {
  const world = new World()
  const client = await world.connected()
  const piped = source('1', '2').pipeTo(publishStream(client, 'log'))
  await world.settle()
  await piped
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH log 1', 'PUBLISH log 2'])
})

test('a message that is refused ends the stream with its error', async () => {
  const world = new World()
  const client = await world.connected()
  const piped = source('1', '2', '3').pipeTo(publishStream(client, 'log', { qos: 1 }))
  const rejects = assert.rejects(piped, { code: 'publish-refused', reasonCode: 0x87 })
  await world.settle()
  world.peer.puback(1, 0x87)
  await world.settle()
  await rejects
})

test('a client that ends, ends the stream', async () => {
  const world = new World()
  const client = await world.connected()
  const writer = publishStream(client, 'log', { qos: 1, concurrency: 1 }).getWriter()
  const written = assert.rejects(writer.write('1'), { code: 'closed' })
  await world.settle()
  const closed = client.close()
  await world.settle()
  await Promise.all([written, closed])
  await assert.rejects(writer.closed, { code: 'closed' })
})

test('a concurrency below 1 and an option that does not exist are refused', async () => {
  const world = new World()
  const client = await world.connected()
  for (const concurrency of [0, -1, Number.NaN]) {
    assert.throws(() => publishStream(client, 'a', { concurrency }), { code: 'invalid-argument' })
  }
  const wrong = { qoss: 1 } as object
  const piped = source('1').pipeTo(publishStream(client, 'a', wrong))
  await assert.rejects(piped, { code: 'invalid-argument' })
})
