// Clients that mean harm, over real sockets: they are ended or bounded, and others are served.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerServer } from '@godwit/broker'
import { encodePacket, PacketType, type SubackPacket } from '@godwit/packet'
import { until, untilEmpty, withBroker } from '../support/brokers.ts'
import { connectPacket, dribble, pour, publishPacket, RawClient } from '../support/raw-client.ts'

const MIB = 1024 * 1024

/** A client that has come in and is served now. */
async function join(port: number, clientId: string, level: 3 | 4 | 5 = 5): Promise<RawClient> {
  const client = RawClient.tcp(port, level)
  assert.equal((await client.connect({ clientId })).reasonCode, 0)
  return client
}

test('slow-loris: bytes that dribble in do not extend the time for CONNECT', async () => {
  await withBroker({ limits: { connectTimeoutMs: 3000 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const other = await join(port, 'other')
    const connect = encodePacket(connectPacket({ clientId: 'x'.repeat(500) }), 5)
    const slow = Array.from({ length: 20 }, () => RawClient.tcp(port))
    for (const client of slow) dribble(client, connect, 50)
    for (const client of slow) {
      assert.equal(await client.next(), null)
      await other.ping()
    }
    assert.equal(broker.stats().connectionsRefused, slow.length)
    other.destroy()
    await untilEmpty(broker)
  })
})

test('a packet before CONNECT, of whatever type, ends the connection without a word', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    for (let type = 0; type < 16; type++) {
      if (type === PacketType.CONNECT) continue
      const client = RawClient.tcp(port).send([type << 4, 2, 0, 1])
      assert.equal(await client.next(), null, `type ${type}`)
    }
    await untilEmpty(broker)
    assert.equal(broker.stats().clientsConnected, 0)
  })
})

test('a flood of connections: those over the limit are ended, the rest served', async () => {
  const connectionsMax = 40
  await withBroker({ limits: { connectionsMax } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const inside = await Promise.all(
      Array.from({ length: connectionsMax }, (_, i) => join(port, `c${i}`)),
    )
    const flood = Array.from({ length: 300 }, () => RawClient.tcp(port).send(connectPacket()))
    for (const client of flood) assert.equal(await client.next(), null)
    for (const client of inside) await client.ping()
    assert.equal(broker.stats().connections, connectionsMax)
    inside[0]?.destroy()
    await until(() => broker.stats().connections < connectionsMax, 'one has gone')
    inside.push(await join(port, 'next'))
    for (const client of inside) client.destroy()
    await untilEmpty(broker)
  })
})

test('connections that come and go by hundreds leave nothing', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    for (let round = 0; round < 5; round++) {
      const clients = Array.from({ length: 100 }, (_, i) => {
        const client = RawClient.tcp(port)
        if (i % 2 === 0) client.send(connectPacket({ clientId: `c${i % 10}` }))
        return client
      })
      await until(() => broker.stats().connections > 0, 'they have come')
      for (const client of clients) client.destroy()
      await untilEmpty(broker)
    }
    const { sessions, clientsConnected, subscriptions } = broker.stats()
    assert.deepEqual([sessions, clientsConnected, subscriptions], [0, 0, 0])
  })
})

/** What was lost for this reason, all clients and topics together. */
function lost(broker: BrokerServer, reason: string): number {
  return broker
    .losses()
    .filter(entry => entry.reason === reason)
    .reduce((sum, { count }) => sum + count, 0)
}

for (const qos of [0, 1] as const) {
  test(`a subscriber that never reads costs little and stops nobody, QoS ${qos}`, async () => {
    const limits = { outgoingBytesMax: MIB, queuedBytesMax: MIB, queuedMessagesMax: 100 }
    await withBroker({ limits }, async broker => {
      const { port } = await broker.listen({ port: 0 })
      const stuck = await join(port, 'stuck')
      await stuck.subscribe('flood')
      stuck.stream.pause()
      const quick = await join(port, 'quick')
      await quick.subscribe('other')
      const publisher = await join(port, 'p')
      const payload = Buffer.alloc(20_000, 'x')
      const count = 2000
      const before = process.memoryUsage().rss
      if (qos === 0) {
        const packet = encodePacket(publishPacket('flood', payload), 5)
        await pour(publisher, Array(count).fill(packet))
        await publisher.ping()
      } else {
        for (let i = 1; i <= count; i++) {
          publisher.send(publishPacket('flood', payload, { qos: 1, packetId: i }))
          assert.equal((await publisher.expect(PacketType.PUBACK)).reasonCode, 0)
        }
      }
      const grown = process.memoryUsage().rss - before
      assert.ok(
        grown < 100 * MIB,
        `${Math.round(grown / MIB)} MiB for 40 MB to a client that sleeps`,
      )
      publisher.send(publishPacket('other', 'still served'))
      assert.equal(await quick.message(), 'other still served')
      // What did not reach it is in the ledger to the last message: none is lost in silence.
      const dropped = lost(broker, qos === 0 ? 'outgoing-full' : 'queue-full')
      assert.ok(dropped > count / 2)
      stuck.stream.resume()
      for (let got = 0; got < count - dropped; got++) {
        const packet = await stuck.expect(PacketType.PUBLISH)
        assert.equal(packet.payload.length, payload.length)
        if (qos === 1) stuck.send([0x40, 2, packet.packetId >> 8, packet.packetId & 255])
      }
      await stuck.ping()
      for (const client of [stuck, quick, publisher]) client.destroy()
    })
  })
}

test('a client that asks and does not read the answers is not read either', async () => {
  await withBroker({ limits: { outgoingBytesMax: 65_536 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const asking = await join(port, 'asking')
    asking.stream.pause()
    const pings = Buffer.alloc(64 * 1024)
    for (let i = 0; i < pings.length; i += 2) pings[i] = 0xc0
    const before = process.memoryUsage().rss
    let written = 0
    // It takes what the system's buffers hold, and then no more: 64 MB do not go in.
    void pour(
      asking,
      (function* () {
        for (let i = 0; i < 1000; i++) {
          written++
          yield pings
        }
      })(),
    )
    const other = await join(port, 'other')
    for (let i = 0; i < 200; i++) await other.ping()
    assert.ok(written < 1000)
    assert.ok(process.memoryUsage().rss - before < 60 * MIB)
    asking.destroy()
    other.destroy()
    await untilEmpty(broker)
  })
})

for (const level of [4, 5] as const) {
  test(`an oversized packet is refused by its header, level ${level}`, async () => {
    await withBroker({ limits: { packetBytesMax: 1000 } }, async broker => {
      const { port } = await broker.listen({ port: 0 })
      const client = await join(port, 'c', level)
      client.send([0x30, 0xff, 0xff, 0xff, 0x7f])
      if (level === 5) assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x95)
      assert.equal(await client.next(), null)
      const early = RawClient.tcp(port).send([0x10, 0xff, 0xff, 0xff, 0x7f])
      assert.equal(await early.next(), null)
    })
  })
}

test('packetBytesMax: a packet of just that size passes, one byte more does not', async () => {
  await withBroker({ limits: { packetBytesMax: 1000 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const client = await join(port, 'c')
    const length = 1000 - encodePacket(publishPacket('t', 'x'.repeat(900)), 5).length + 900
    client.send(publishPacket('t', 'x'.repeat(length)))
    await client.ping()
    client.send(publishPacket('t', 'x'.repeat(length + 1)))
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x95)
  })
})

/** SUBSCRIBE with so many filters of one kind. */
async function subscribeMany(
  client: RawClient,
  from: number,
  count: number,
): Promise<SubackPacket> {
  const subscriptions = Array.from({ length: count }, (_, i) => ({
    filter: i % 3 === 0 ? `f/${from + i}/+` : `f/${from + i}`,
    qos: 0 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
  }))
  client.send({ type: PacketType.SUBSCRIBE, packetId: 1, subscriptions, properties: {} })
  return client.expect(PacketType.SUBACK)
}

test('subscriptions beyond the limits are refused one by one', async () => {
  const limits = { subscriptionsPerSessionMax: 2000, subscriptionsMax: 5000 }
  await withBroker({ limits }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const clients: RawClient[] = []
    for (let i = 0; i < 4; i++) {
      const client = await join(port, `c${i}`)
      clients.push(client)
      const { reasonCodes } = await subscribeMany(client, i * 3000, 3000)
      const granted = reasonCodes.filter(code => code === 0).length
      assert.equal(granted, [2000, 2000, 1000, 0][i])
      assert.ok(reasonCodes.every(code => code === 0 || code === 0x97))
    }
    assert.equal(broker.stats().subscriptions, 5000)
    for (const client of clients) client.destroy()
    await until(() => broker.stats().subscriptions === 0, 'their subscriptions are gone')
  })
})

test('a flood of retained messages stops at its limit, a subscriber gets all', async () => {
  const limits = { retainedMessagesMax: 3000, outgoingBytesMax: 65_536 }
  await withBroker({ limits }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const publisher = await join(port, 'p')
    const payload = 'x'.repeat(200)
    let refused = 0
    for (let i = 0; i < 4000; i++) {
      publisher.send(publishPacket(`r/${i}`, payload, { qos: 1, packetId: 1, retain: true }))
      const { reasonCode } = await publisher.expect(PacketType.PUBACK)
      if (reasonCode === 0x97) refused++
    }
    assert.equal(refused, 1000)
    assert.equal(broker.stats().retainedMessages, 3000)
    // A retained message of a topic that is there already still replaces it.
    publisher.send(publishPacket('r/0', 'new', { qos: 1, packetId: 1, retain: true }))
    assert.equal((await publisher.expect(PacketType.PUBACK)).reasonCode, 0x10)
    const reader = await join(port, 'reader')
    reader.send(Buffer.from(encodePacket({ ...SUBSCRIBE_ALL }, 5)))
    await reader.expect(PacketType.SUBACK)
    const topics = new Set<string>()
    for (let i = 0; i < 3000; i++) topics.add((await reader.expect(PacketType.PUBLISH)).topic)
    assert.equal(topics.size, 3000)
    await reader.ping()
    for (const client of [publisher, reader]) client.destroy()
  })
})

const SUBSCRIBE_ALL = {
  type: PacketType.SUBSCRIBE,
  packetId: 1,
  subscriptions: [
    { filter: 'r/#', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
  ],
  properties: {},
} as const

test('topics and filters of sixty thousand levels are refused, others are served', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const deep = `${'/'.repeat(60_000)}x`
    const subscriber = await join(port, 's')
    assert.deepEqual(await subscriber.subscribe(deep), [0x8f])
    const publisher = await join(port, 'p')
    publisher.send(publishPacket(deep, 'm'))
    assert.equal((await publisher.expect(PacketType.DISCONNECT)).reasonCode, 0x90)
    const will = {
      topic: deep,
      payload: Buffer.from('x'),
      qos: 0 as const,
      retain: true,
      properties: {},
    }
    assert.equal((await RawClient.tcp(port).connect({ will })).reasonCode, 0x90)
    await subscriber.ping()
    subscriber.destroy()
  })
})

test('more QoS 2 messages than Receive Maximum end the connection with 0x93', async () => {
  await withBroker({ limits: { receiveMaximum: 10 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const client = await join(port, 'c')
    for (let packetId = 1; packetId <= 11; packetId++) {
      client.send(publishPacket('t', 'm', { qos: 2, packetId }))
    }
    for (let i = 0; i < 10; i++) await client.expect(PacketType.PUBREC)
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x93)
  })
})

test('a storm of clients with one id leaves one of them, and is named', async () => {
  await withBroker({}, async broker => {
    let named = 0
    broker.on('flapping', () => named++)
    const { port } = await broker.listen({ port: 0 })
    const clients = Array.from({ length: 60 }, () =>
      RawClient.tcp(port).send(connectPacket({ clientId: 'same' })),
    )
    for (const client of clients) await client.expect(PacketType.CONNACK)
    await until(() => broker.stats().connections === 1, 'one is left')
    assert.equal(broker.stats().sessions, 1)
    assert.equal(named, 1)
    for (const client of clients) client.destroy()
  })
})
