// The connection without a network: bytes both ways, backpressure, and every way to end it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { encodePacket, PacketType } from '@godwit/packet'
import { type BrokerServer, createBroker } from './server.ts'
import { connectPacket } from './testing/harness.ts'
import { PacketReader } from './testing/packet-reader.ts'
import { disconnectPacket, publishPacket, subscribePacket } from './testing/v5.ts'

async function withBroker(use: (broker: BrokerServer) => Promise<void>): Promise<void> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  try {
    await use(broker)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

/** A client that is connected. */
async function connected(
  broker: BrokerServer,
  clientId: string,
): Promise<{ stream: Duplex; reader: PacketReader }> {
  const stream = broker.connect()
  const reader = new PacketReader(stream)
  stream.write(encodePacket(connectPacket({ clientId }), 5))
  assert.equal((await reader.next()).type, PacketType.CONNACK)
  return { stream, reader }
}

test('a message goes from one memory connection to another', async () => {
  await withBroker(async broker => {
    const subscriber = await connected(broker, 's')
    subscriber.stream.write(encodePacket(subscribePacket(1, ['t']), 5))
    assert.equal((await subscriber.reader.next()).type, PacketType.SUBACK)
    const publisher = await connected(broker, 'p')
    publisher.stream.write(encodePacket(publishPacket('t', 'hello'), 5))
    const message = await subscriber.reader.next()
    assert.equal(message.type, PacketType.PUBLISH)
    assert.equal(Buffer.from(message.payload).toString(), 'hello')
    assert.equal(broker.clients()[0]?.origin.transport, 'memory')
  })
})

test('bytes may come one by one', async () => {
  await withBroker(async broker => {
    const stream = broker.connect()
    const reader = new PacketReader(stream)
    for (const byte of encodePacket(connectPacket(), 5)) stream.write(Uint8Array.of(byte))
    assert.equal((await reader.next()).type, PacketType.CONNACK)
  })
})

test('a client that ends its stream right after DISCONNECT sees it close', async () => {
  await withBroker(async broker => {
    const { stream } = await connected(broker, 'c')
    stream.end(encodePacket(disconnectPacket(0), 5))
    await once(stream, 'close')
    assert.equal(stream.readableEnded, true)
    assert.equal(broker.stats().connections, 0)
  })
})

test('a client that ends its stream without a word sees it close and leaves its will', async () => {
  await withBroker(async broker => {
    const watcher = await connected(broker, 'w')
    watcher.stream.write(encodePacket(subscribePacket(1, ['will']), 5))
    await watcher.reader.next()
    const stream = broker.connect()
    const will = {
      topic: 'will',
      payload: Buffer.from('gone'),
      qos: 0 as const,
      retain: false,
      properties: {},
    }
    stream.resume()
    stream.end(encodePacket(connectPacket({ clientId: 'c', will }), 5))
    await once(stream, 'close')
    assert.equal((await watcher.reader.next()).type, PacketType.PUBLISH)
  })
})

test('a client that is destroyed is gone for the broker', async () => {
  await withBroker(async broker => {
    const { stream } = await connected(broker, 'c')
    const gone = once(broker, 'clientDisconnected')
    stream.destroy()
    const [event] = await gone
    assert.equal(event.clientId, 'c')
    assert.equal(broker.stats().connections, 0)
  })
})

test('a client that the broker disconnects gets DISCONNECT and the end', async () => {
  await withBroker(async broker => {
    const { stream, reader } = await connected(broker, 'c')
    assert.equal(broker.disconnectClient('c'), true)
    const packet = await reader.next()
    assert.equal(packet.type, PacketType.DISCONNECT)
    assert.equal(packet.reasonCode, 0x98)
    await once(stream, 'close')
    assert.equal(broker.disconnectClient('c'), false)
  })
})

test('what is malformed ends the connection with its reason code', async () => {
  await withBroker(async broker => {
    const { stream, reader } = await connected(broker, 'c')
    stream.write(Uint8Array.of(0x36, 0))
    const packet = await reader.next()
    assert.equal(packet.type, PacketType.DISCONNECT)
    assert.equal(packet.reasonCode, 0x81)
    await once(stream, 'close')
  })
})

test('a client that does not read holds up itself only, and gets all it is due later', async () => {
  await withBroker(async broker => {
    const slow = await connected(broker, 'slow')
    slow.stream.write(encodePacket(subscribePacket(1, ['t']), 5))
    await slow.reader.next()
    slow.reader.pause()
    const payload = 'x'.repeat(100_000)
    for (let i = 0; i < 20; i++) broker.publish('t', payload)
    const other = await connected(broker, 'other')
    other.stream.write(Uint8Array.of(0xc0, 0))
    assert.equal((await other.reader.next()).type, PacketType.PINGRESP)
    slow.reader.resume()
    for (let i = 0; i < 20; i++) {
      const packet = await slow.reader.next()
      assert.equal(packet.type, PacketType.PUBLISH)
      assert.equal(packet.payload.length, payload.length)
    }
    assert.deepEqual(broker.losses(), [])
  })
})

test('a closed broker ends its memory connections', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { stream, reader } = await connected(broker, 'c')
  const closed = once(stream, 'close')
  await broker.close()
  const packet = await reader.next()
  assert.equal(packet.type, PacketType.DISCONNECT)
  assert.equal(packet.reasonCode, 0x8b)
  await closed
})
