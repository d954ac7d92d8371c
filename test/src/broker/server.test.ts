// A broker in a program: listeners, limits and times, events, dump, and how it closes.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  createBroker,
  type ListeningAddress,
  type OpenedStore,
  type StoreOwner,
} from '@godwit/broker'
import { openDiskStore } from '@godwit/broker/store/disk'
import { PacketType } from '@godwit/packet'
import { nextEvent, untilEmpty, withBroker } from '../support/brokers.ts'
import { connectPacket, publishPacket, RawClient } from '../support/raw-client.ts'

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined }

test('several listeners serve the same broker', async () => {
  await withBroker({}, async broker => {
    const addresses: ListeningAddress[] = []
    broker.on('listening', address => addresses.push(address))
    const first = await broker.listen({ port: 0, name: 'one' })
    const second = await broker.listen({ port: 0, name: 'two' })
    assert.deepEqual(broker.addresses, [first, second])
    assert.deepEqual(addresses, [first, second])
    assert.equal(first.url, `mqtt://127.0.0.1:${first.port}`)
    const subscriber = RawClient.tcp(first.port)
    await subscriber.connect({ clientId: 's' })
    await subscriber.subscribe('t')
    const publisher = RawClient.tcp(second.port, 4)
    await publisher.connect({ clientId: 'p' })
    publisher.send(publishPacket('t', 'across'))
    assert.equal(await subscriber.message(), 't across')
    assert.deepEqual(
      broker.clients().map(({ origin }) => origin.listener),
      ['one', 'two'],
    )
    for (const client of [subscriber, publisher]) client.destroy()
  })
})

test('an address that is taken is said, and the broker goes on', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    await assert.rejects(broker.listen({ port }), { code: 'EADDRINUSE' })
    const client = RawClient.tcp(port)
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
  })
})

test('it serves a server that was brought along, and does not stop it', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  let port = 0
  await withBroker({}, async broker => {
    port = (await broker.listen({ server })).port
    const client = RawClient.tcp(port)
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
  })
  assert.equal(server.listening, true)
  await new Promise(resolve => server.close(resolve))
})

for (const [what, options, option] of [
  ['an unknown option', { prot: 1 }, 'listen.prot'],
  ['a port that is none', { port: 70_000 }, 'listen.port'],
  ['a Unix socket with a port', { unix: '/tmp/x', port: 1 }, 'listen.unix'],
  ['a server that is none', { server: {} }, 'listen.server'],
  ['nothing at all', null, 'listen'],
  ['an unknown option of WebSocket', { ws: { origin: [] } }, 'listen.ws.origin'],
  ['a path without a slash', { ws: { path: 'mqtt' } }, 'listen.ws.path'],
  ['one text for all origins', { ws: { origins: 'https://a.example' } }, 'listen.ws.origins'],
  ['an unknown option of TLS', { tls: { cert: 'c', key: 'k', caCert: 'c' } }, 'listen.tls.caCert'],
  ['an unknown option of PROXY', { proxyProtocol: { trust: true } }, 'listen.proxyProtocol.trust'],
  ['an unknown option of Unix sockets', { unix: { file: '/tmp/x' } }, 'listen.unix.file'],
] as const) {
  test(`${what} is refused by its name`, async () => {
    await withBroker({}, async broker => {
      await assert.rejects(broker.listen(options as object), { name: 'OptionError', option })
    })
  })
}

for (const [what, options, option] of [
  ['an unknown option', { hook: {} }, 'hook'],
  ['an unknown limit', { limits: { packetMax: 1 } }, 'limits.packetMax'],
  ['a limit out of its range', { limits: { receiveMaximum: 0 } }, 'limits.receiveMaximum'],
  ['a limit that is no number', { limits: { packetBytesMax: '1 MB' } }, 'limits.packetBytesMax'],
  ['a table that is no power of two', { limits: { routesMax: 1000 } }, 'limits.routesMax'],
  ['an unknown policy', { limits: { fullQueue: 'wait' } }, 'limits.fullQueue'],
  ['an unknown hook', { hooks: { authorise: () => true } }, 'hooks.authorise'],
  ['a hook that is no function', { hooks: { publish: true } }, 'hooks.publish'],
  ['too few iterations', { scram: { users: {}, iterations: 10 } }, 'scram.iterations'],
  ['a prefix with a wildcard', { responseTopicPrefix: 'a/#' }, 'responseTopicPrefix'],
  ['ids with a wildcard', { assignedClientIdPrefix: 'a+' }, 'assignedClientIdPrefix'],
  ['ids too long', { assignedClientIdPrefix: 'a'.repeat(65) }, 'assignedClientIdPrefix'],
  ['no yes or no', { allowEmptyClientId: 1 }, 'allowEmptyClientId'],
  ['a store that is none', { store: 'disk' }, 'store'],
  ['a log that cannot warn', { log: { info: () => undefined } }, 'log.warn'],
  ['more than all space', { store: { directory: 'd', lowSpace: '101%' } }, 'store.lowSpace'],
  ['less than no space', { store: { directory: 'd', lowSpace: -1 } }, 'store.lowSpace'],
] as const) {
  test(`${what} is refused before anything begins: ${option}`, () => {
    assert.throws(() => createBroker(options as object), { name: 'OptionError', option })
  })
}

test('a time to drain that is none is refused, and the broker goes on', async () => {
  await withBroker({}, async broker => {
    for (const drainSeconds of [-1, Number.NaN, '5' as unknown as number]) {
      assert.throws(() => broker.close({ drainSeconds }), { option: 'drainSeconds' })
    }
    await broker.listen({ port: 0 })
  })
})

test('options are read once: what the caller changes later changes nothing', async () => {
  const limits = { packetBytesMax: 1000 }
  await withBroker({ limits }, async broker => {
    limits.packetBytesMax = 2000
    const client = new RawClient(broker.connect())
    assert.equal((await client.connect()).properties.maximumPacketSize, 1000)
    client.destroy()
  })
})

test('a connection that says nothing, or only half of CONNECT, is ended in time', async () => {
  await withBroker({ limits: { connectTimeoutMs: 300 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const silent = RawClient.tcp(port)
    const half = RawClient.tcp(port).send([0x10, 40, 0, 4])
    await Promise.all([silent.closed, half.closed])
    await untilEmpty(broker)
    assert.equal(broker.stats().connectionsRefused, 2)
  })
})

test('a client that does not keep alive is ended with 0x8D [MQTT-3.1.2-22]', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const client = RawClient.tcp(port)
    await client.connect({ keepAliveSeconds: 1 })
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x8d)
    await client.closed
  })
})

test('who came tells whether it goes on with its session', async () => {
  await withBroker({}, async broker => {
    const told: boolean[] = []
    broker.on('clientConnected', ({ sessionPresent }) => told.push(sessionPresent))
    for (const [cleanStart, expected] of [
      [true, false],
      [false, true],
      [true, false],
    ] as const) {
      const client = new RawClient(broker.connect())
      const properties = { sessionExpiryInterval: 60 }
      const connack = await client.connect({ clientId: 'c', cleanStart, properties })
      assert.equal(connack.sessionPresent, expected)
      const [now] = [...broker.clients()]
      assert.equal(now?.sessionPresent, expected)
      client.destroy()
      await client.closed
    }
    assert.deepEqual(told, [false, true, false])
  })
})

test('events tell who came, subscribed, published and went', async () => {
  await withBroker({}, async broker => {
    const told: string[] = []
    broker.on('clientConnected', ({ clientId, username }) => told.push(`+ ${clientId} ${username}`))
    broker.on('subscribe', ({ clientId, filter, qos }) =>
      told.push(`s ${clientId} ${filter} ${qos}`),
    )
    broker.on('unsubscribe', ({ clientId, filter }) => told.push(`u ${clientId} ${filter}`))
    broker.on('published', ({ clientId, topic, payload, qos, retain }) =>
      told.push(`p ${clientId} ${topic} ${Buffer.from(payload)} ${qos} ${retain}`),
    )
    broker.on('clientDisconnected', ({ clientId, reasonCode }) =>
      told.push(`- ${clientId} ${reasonCode}`),
    )
    broker.on('refused', ({ clientId, reasonCode }) => told.push(`! ${clientId} ${reasonCode}`))
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c', username: 'ann' })
    await client.subscribe('t')
    client.send({ type: PacketType.UNSUBSCRIBE, packetId: 2, filters: ['t'], properties: {} })
    await client.expect(PacketType.UNSUBACK)
    client.send(publishPacket('t', 'm', { qos: 1, packetId: 3, retain: true }))
    await client.expect(PacketType.PUBACK)
    client.send({ type: PacketType.DISCONNECT, reasonCode: 0, properties: {} })
    await client.closed
    const refused = new RawClient(broker.connect())
    const properties = { authenticationMethod: 'none' }
    await refused.connect({ clientId: 'r', properties })
    await refused.closed
    assert.deepEqual(told, [
      '+ c ann',
      's c t 2',
      'u c t',
      'p c t m 1 true',
      '- c 0',
      `! r ${0x8c}`,
    ])
  })
})

test('every QoS is told to who listens to messages, also who begins late', async () => {
  await withBroker({}, async broker => {
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c' })
    client.send(publishPacket('t', 'early'))
    await client.ping()
    const told: string[] = []
    broker.on('published', ({ payload, qos }) => told.push(`${Buffer.from(payload)} ${qos}`))
    for (const qos of [0, 1, 2] as const) {
      client.send(publishPacket('t', 'm', { qos, packetId: qos }))
    }
    client.send(publishPacket('t', 'm')).send(publishPacket('t', 'n'))
    await client.expect(PacketType.PUBACK)
    await client.expect(PacketType.PUBREC)
    await client.ping()
    assert.deepEqual(told, ['m 0', 'm 1', 'm 2', 'm 0', 'n 0'])
    client.destroy()
  })
})

test('a first loss of its kind is an event, all are in the ledger', async () => {
  await withBroker({ limits: { queuedMessagesMax: 1 } }, async broker => {
    const dropped: string[] = []
    broker.on('dropped', ({ reason, clientId, topic }) =>
      dropped.push(`${reason} ${clientId} ${topic}`),
    )
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c', properties: { sessionExpiryInterval: 60 } })
    await client.subscribe('t')
    const gone = nextEvent(broker, 'clientDisconnected')
    client.destroy()
    await gone
    for (let i = 0; i < 4; i++) broker.publish('t', 'm', { qos: 1 })
    const [entry] = broker.losses()
    assert.deepEqual([entry?.reason, entry?.count], ['queue-full', 3])
    assert.equal(broker.stats().messagesDropped, 3)
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(dropped, ['queue-full c t'])
  })
})

test('two devices with one client id are named', async () => {
  await withBroker({ limits: { flappingConnectsMax: 2 } }, async broker => {
    const told = nextEvent(broker, 'flapping')
    const clients = [1, 2, 3].map(() => new RawClient(broker.connect()))
    for (const client of clients) await client.connect({ clientId: 'twin' })
    assert.deepEqual(await told, { clientId: 'twin', connects: 3, addresses: [''] })
    for (const client of clients) client.destroy()
  })
})

test('the dump has a line per packet, with passwords left out', async () => {
  const lines: string[] = []
  await withBroker({ dump: line => lines.push(line) }, async broker => {
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c', username: 'ann', password: Buffer.from('s3cret') })
    await client.subscribe('t')
    broker.publish('t', 'hello')
    await client.message()
    client.destroy()
  })
  const text = lines.join('\n')
  assert.match(text, /^in {2}memory CONNECT/m)
  assert.match(text, /^out c CONNACK/m)
  assert.match(text, /^in {2}c SUBSCRIBE/m)
  assert.match(text, /^out c PUBLISH.*t/m)
  assert.doesNotMatch(text, /s3cret/)
})

test('publish gives the code that a client would get, and refuses what is no topic', async () => {
  await withBroker({ limits: { retainedMessagesMax: 1 } }, async broker => {
    assert.equal(broker.publish('nobody', 'm'), 0x10)
    assert.equal(broker.publish('a', 'm', { retain: true }), 0x10)
    assert.equal(broker.publish('b', 'm', { retain: true }), 0x97)
    for (const topic of ['', 'a/+', '#']) {
      assert.throws(() => broker.publish(topic, 'm'), { code: 'topic-name-invalid' })
    }
  })
})

test('publish is refused with 0x97 where a queue is full and the policy is to refuse', async () => {
  const limits = { queuedMessagesMax: 1, fullQueue: 'refuse' } as const
  await withBroker({ limits }, async broker => {
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c', properties: { sessionExpiryInterval: 60 } })
    await client.subscribe('t')
    const gone = nextEvent(broker, 'clientDisconnected')
    client.destroy()
    await gone
    const codes = [1, 2].map(() => broker.publish('t', 'm', { qos: 1 }))
    assert.deepEqual(codes, [0, 0x97])
    const [entry] = broker.losses()
    assert.deepEqual([entry?.reason, entry?.clientId, entry?.count], ['queue-full', '', 1])
  })
})

test('close answers what has come, when it is on disk, before it says goodbye', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-close-'))
  t.after(() => rmSync(directory, { recursive: true }))
  await withBroker({ store: { directory } }, async broker => {
    await broker.listen({ port: 0 })
    const kept = new RawClient(broker.connect())
    await kept.connect({ clientId: 'kept', properties: { sessionExpiryInterval: 60 } })
    await kept.subscribe('t')
    const gone = nextEvent(broker, 'clientDisconnected')
    kept.destroy()
    await gone
    const publisher = new RawClient(broker.connect())
    await publisher.connect({ clientId: 'p' })
    const published = nextEvent(broker, 'published')
    publisher.send(publishPacket('t', 'm', { qos: 1, packetId: 1 }))
    await published
    const closed = broker.close()
    assert.equal((await publisher.expect(PacketType.PUBACK)).reasonCode, 0)
    assert.equal((await publisher.expect(PacketType.DISCONNECT)).reasonCode, 0x8b)
    publisher.destroy()
    await closed
  })
})

test('close says 0x8B to MQTT 5.0, nothing to 3.1.1, and where to go instead', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  const modern = RawClient.tcp(port)
  await modern.connect({ clientId: 'm' })
  const old = RawClient.tcp(port, 4)
  await old.connect({ clientId: 'o' })
  const early = RawClient.tcp(port)
  await new Promise(resolve => early.stream.once('connect', resolve))
  const closed = broker.close({ serverReference: 'there.example' })
  const disconnect = await modern.expect(PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, 0x8b)
  assert.equal(disconnect.properties.serverReference, 'there.example')
  assert.equal(await old.next(), null)
  await Promise.all([modern.closed, old.closed, early.closed, closed, broker.closed])
  await assert.rejects(broker.listen({ port: 0 }), /closed/)
})

test('close lets answers out that were under way', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const client = new RawClient(broker.connect())
  await client.connect()
  client.send(publishPacket('t', 'm', { qos: 1, packetId: 1 }))
  await nextPacketsHandled(broker)
  void broker.close()
  await client.expect(PacketType.PUBACK)
  await client.expect(PacketType.DISCONNECT)
  await client.closed
})

/** The bytes that were written have come to the broker. */
async function nextPacketsHandled(broker: ReturnType<typeof createBroker>): Promise<void> {
  while (broker.stats().messagesReceived === 0) await new Promise(resolve => setImmediate(resolve))
}

test('close cuts off a client that neither reads nor goes', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
  const stuck = new RawClient(socket)
  await stuck.connect({ clientId: 'stuck' })
  await stuck.subscribe('t')
  socket.pause()
  for (let i = 0; i < 20; i++) broker.publish('t', 'x'.repeat(500_000))
  await broker.close({ drainSeconds: 0.2 })
  assert.equal(broker.stats().connections, 0)
  const ended = new Promise(resolve => socket.once('end', resolve))
  socket.resume()
  await ended
  stuck.destroy()
})

test('close with no time to drain still says goodbye, and leaves no connection', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  const client = RawClient.tcp(port)
  await client.connect()
  await broker.close({ drainSeconds: 0 })
  assert.equal(broker.stats().connections, 0)
  assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x8b)
  await client.closed
})

test('close while it begins to listen leaves no listener', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  await broker.ready
  const listening = broker.listen({ port: 0 })
  const closing = broker.close()
  await assert.rejects(listening, /closed/)
  await closing
  assert.deepEqual(broker.addresses, [])
})

test('close twice is close once, and `await using` closes', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  assert.equal(broker.close(), broker.close())
  await broker.closed
  const other = createBroker({ statsIntervalSeconds: 0 })
  await other[Symbol.asyncDispose]()
  await other.closed
})

test('a closed broker takes neither message nor connection, and tells its numbers', async () => {
  const broker = createBroker()
  await broker.ready
  assert.equal(broker.publish('t', 'before'), 0x10)
  await broker.close()
  assert.throws(() => broker.publish('t', 'after', { qos: 1 }), /the broker is closed/)
  assert.throws(() => broker.connect(), /the broker is closed/)
  assert.equal(broker.stats().connections, 0)
  assert.deepEqual(broker.losses(), [])
})

test('connectionsMax counts all listeners together', async () => {
  await withBroker({ limits: { connectionsMax: 2 } }, async broker => {
    const ports = [(await broker.listen({ port: 0 })).port, (await broker.listen({ port: 0 })).port]
    const clients = ports.map(port => RawClient.tcp(port))
    for (const client of clients) assert.equal((await client.connect()).reasonCode, 0)
    const third = RawClient.tcp(ports[0] ?? 0).send(connectPacket())
    assert.equal(await third.next(), null)
    await clients[0]?.ping()
    for (const client of clients) client.destroy()
  })
})

test('a store that cannot be closed is told, and the broker is closed all the same', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-broken-'))
  t.after(() => rmSync(directory, { recursive: true }))
  let fail: (cause: Error) => void = () => undefined
  const store = async (owner: StoreOwner): Promise<OpenedStore> => {
    const disk = await openDiskStore({ directory }, owner, SILENT)
    fail = cause => owner.failed(cause)
    const close = async (): Promise<void> => {
      await disk.close()
      throw new Error('it does not close')
    }
    return { store: disk, close }
  }
  const asked = createBroker({ store })
  await asked.ready
  await assert.rejects(asked.close(), /it does not close/)
  await asked.closed
  const broken = createBroker({ store })
  const errors: string[] = []
  broken.on('error', error => errors.push(error.message))
  await broken.listen({ port: 0 })
  fail(new Error('no disk'))
  await broken.closed
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(errors, ['no disk', 'it does not close'])
})

test('little space on the disk of the store is an event and in the numbers', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-space-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const lowSpace = '100%'
  await withBroker({ store: { directory, lowSpace } }, async broker => {
    const told = nextEvent(broker, 'space')
    await broker.listen({ port: 0 }) // Nothing else may keep the process until it is told.
    const { space, freeBytes } = await told
    assert.equal(space, 'low')
    assert.equal(broker.stats().storeSpace, 'low')
    assert.equal(broker.stats().storeFreeBytes, freeBytes)
    assert.ok(freeBytes !== null && freeBytes > 0)
  })
  await withBroker({}, async broker => {
    await broker.ready
    assert.equal(broker.stats().storeSpace, 'enough')
    assert.equal(broker.stats().storeFreeBytes, null)
  })
})
