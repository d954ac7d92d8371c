// Every promise settles: each operation that can be under way, against each way in which a
// connection can end.
import assert from 'node:assert/strict'
import { NO_PROPERTIES, PacketType } from '@godwit/packet'
import type { Client } from './client.ts'
import { decoded, json } from './decoded.ts'
import { MqttError } from './errors.ts'
import type { ConnectOptions } from './options.ts'
import type { SessionStore } from './store.ts'
import { isFull, test } from './testing/kind.ts'
import { World } from './testing/world.ts'

const { DISCONNECT } = PacketType

/** What is under way: a promise that the server does not answer. */
type Operation = (client: Client, world: World) => Promise<unknown>

function nothing(): void {
  // A handler that has nothing to do.
}

const Operations: Readonly<Record<string, Operation>> = {
  'publish of QoS 0 that waits for the transport': client => client.publish('held', 'x'),
  'publish of QoS 1': client => client.publish('a', 'x', { qos: 1 }),
  'publish of QoS 2 before PUBREC': client => client.publish('a', 'x', { qos: 2 }),
  'publish of QoS 2 after PUBREC': async (client, world) => {
    const published = client.publish('a', 'x', { qos: 2 })
    published.catch(() => undefined)
    await world.settle()
    const [packet] = world.peer.take()
    if (packet !== undefined && 'packetId' in packet) world.peer.pubrec(packet.packetId)
    await published
  },
  'publish of QoS 1 behind a full window': async client => {
    for (let i = 0; i < 4; i++) client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
    await client.publish('a', 'x', { qos: 1 })
  },
  'publish of QoS 1 that waits for room in the line': async client => {
    for (let i = 0; i < 9; i++) client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
    await client.publish('a', 'x', { qos: 1 })
  },
  'publish of QoS 1 with a time limit': client => {
    return client.publish('a', 'x', { qos: 1, timeoutMs: 900_000 })
  },
  writable: async client => {
    for (let i = 0; i < 4; i++) client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
    await client.writable
  },
  'subscribe, until it is granted': client => client.subscribe('a').ready,
  'subscribe, until a message comes': async client => {
    await client.subscribe('a').next()
  },
  'subscribe in a loop': async client => {
    for await (const message of client.subscribe('a')) assert.fail(message.topic)
  },
  'subscribe with forEach': client => client.subscribe('a').forEach(nothing),
  unsubscribe: async (client, world) => {
    const subscription = client.subscribe('a')
    await world.settle()
    const [packet] = world.peer.take()
    if (packet !== undefined && 'packetId' in packet) world.peer.suback(packet.packetId, 0)
    await subscription.unsubscribe()
  },
  'unsubscribe from what an earlier client left': client => client.unsubscribe('a'),
  'unsubscribe, with a signal that never fires': client => {
    return client.unsubscribe('a', { signal: new AbortController().signal })
  },
  unclaimed: async client => {
    for await (const message of client.unclaimed()) assert.fail(message.topic)
  },
  'a loop over values': async client => {
    for await (const { topic } of decoded(client.subscribe('a'), json())) assert.fail(topic)
  },
  request: client => client.request('a', 'x', { timeoutMs: 900_000 }),
  requestMany: async client => {
    const answers = client.requestMany('a', 'x', { idleMs: 900_000, timeoutMs: 900_000 })
    for await (const answer of answers) assert.fail(answer.topic)
  },
  respond: client => client.respond('a', () => 'x').done,
  'respond, until it is granted': client => client.respond('a', () => 'x').ready,
  events: async client => {
    for await (const event of client.events()) if (event.type === 'closed') break
  },
  closed: client => client.closed,
  drain: async (client, world) => {
    client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
    await world.settle()
    await client.drain({ timeoutMs: 900_000 })
  },
  reauthenticate: client => client.reauthenticate(),
}

/** How it ends, for good. */
type End = (client: Client, world: World) => Promise<void> | void

const Ends: Readonly<Record<string, { end: End; options?: ConnectOptions }>> = {
  'close()': { end: client => client.close() },
  'close() without an answer': {
    end: async (client, world) => {
      world.peer.closesAtEnd = false
      const closed = client.close()
      await world.advance(5000)
      await closed
    },
  },
  'close() while waiting for the next attempt': {
    end: async (client, world) => {
      world.peer.lose()
      await world.settle()
      assert.equal(client.state, 'waiting')
      await client.close()
    },
  },
  'close() while connecting': {
    end: async (client, world) => {
      world.peer.lose()
      world.opensAtOnce = false
      await world.advance(1000)
      assert.equal(client.state, 'connecting')
      await client.close()
    },
  },
  'the end of `await using`': {
    end: async (client, world) => {
      const closed = client[Symbol.asyncDispose]()
      await world.advance(5000)
      await closed
    },
  },
  'an abort signal': {
    end: (_client, world) => {
      world.abort()
    },
  },
  'the loss of the connection, without reconnect': {
    options: { reconnect: false },
    end: (_client, world) => world.peer.lose(new Error('reset')),
  },
  'a DISCONNECT that is final': {
    end: (_client, world) => {
      world.peer.send({ type: DISCONNECT, reasonCode: 0x8e, properties: NO_PROPERTIES })
    },
  },
  'a protocol error, without reconnect': {
    options: { reconnect: false },
    end: (_client, world) => world.peer.sendBytes([0, 0]),
  },
  'a server that falls silent, without reconnect': {
    options: { reconnect: false, keepAliveSeconds: 10, operationTimeoutMs: 900_000 },
    end: (_client, world) => world.advance(60_000),
  },
  'a server that does not answer an operation, without reconnect': {
    options: { reconnect: false, keepAliveSeconds: 0, operationTimeoutMs: 10_000 },
    end: async (client, world) => {
      client.subscribe('other')
      await world.advance(30_000)
    },
  },
  'attempts that come to their end': {
    options: { reconnect: { attemptsMax: 2, initialDelayMs: 10 } },
    end: async (_client, world) => {
      for (let i = 0; i < 4; i++) {
        world.peer.lose()
        await world.advance(1000)
      }
    },
  },
  'a refusal that is final on reconnect': {
    end: async (_client, world) => {
      world.peer.lose()
      await world.advance(1000)
      world.peer.accept({ reasonCode: 0x8a })
    },
  },
}

const Limits: ConnectOptions = {
  clientId: 'a',
  offline: { messagesMax: 4 },
}

const Authenticating: ConnectOptions = {
  authenticator: {
    method: 'test',
    start: () => new Uint8Array(1),
    next: () => new Uint8Array(1),
  },
}

const Authenticated = { properties: { authenticationMethod: 'test' } }

for (const [endName, { end, options }] of Object.entries(Ends)) {
  for (const [name, operation] of Object.entries(Operations)) {
    test(`${name} settles at: ${endName}`, async () => {
      const world = new World()
      const given = { ...Limits, ...options, signal: world.signal }
      const properties = { receiveMaximum: 4 }
      const client = isFull()
        ? await world.connected(
            { ...given, ...Authenticating },
            { properties: { ...properties, authenticationMethod: 'test' } },
          )
        : await world.connected(given, { properties })
      if (name.includes('the transport')) {
        // More than the transport takes.
        world.peer.bufferedBytes = 1e6
        await client.publish('first', 'x')
        await world.settle()
      }
      const outcome: { is: unknown } = { is: 'pending' }
      const isPending = (): boolean => outcome.is === 'pending'
      operation(client, world).then(
        () => {
          outcome.is = 'done'
        },
        (error: unknown) => {
          outcome.is = error
        },
      )
      await world.settle()
      assert.ok(isPending())
      await end(client, world)
      // An operation of several steps settles in several.
      for (let i = 0; i < 3; i++) await world.settle()
      assert.ok(!isPending(), 'it is still pending')
      if (outcome.is !== 'done') assert.ok(outcome.is instanceof MqttError, String(outcome.is))
      assert.equal(client.state, 'closed')
      assert.equal(world.timerCount, 0, 'a timer is left')
      assert.ok(world.peers.every(peer => peer.isClosed))
    })
  }
}

/** What is tried on a client that has ended. */
const Afterwards: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  publish: client => client.publish('a', 'x'),
  'publish of QoS 1': client => client.publish('a', 'x', { qos: 1 }),
  writable: client => client.writable,
  subscribe: async client => client.subscribe('a'),
  unsubscribe: client => client.unsubscribe('a'),
  unclaimed: async client => client.unclaimed().next(),
  requestMany: client => client.requestMany('a', 'x').next(),
  respond: async client => client.respond('a', () => 'x'),
  request: client => client.request('a', 'x'),
  reauthenticate: client => client.reauthenticate(),
}

for (const [name, operation] of Object.entries(Afterwards)) {
  test(`${name} on a client that is closed fails`, async () => {
    const world = new World()
    const client = isFull()
      ? await world.connected({ ...Limits, ...Authenticating }, Authenticated)
      : await world.connected(Limits)
    await client.close()
    const codes = ['closed', 'not-connected']
    await assert.rejects(operation(client), (error: MqttError) => codes.includes(error.code))
    if (isFull()) assert.equal(client.tryPublish('a', 'x'), false)
  })
}

test('what ends a client may be done again and again', async () => {
  const world = new World()
  const client = await world.connected()
  const drained = isFull() ? client.drain() : client.close()
  await Promise.all([client.close(), client.close(), drained, client[Symbol.asyncDispose]()])
  await client.close()
  if (isFull()) await client.drain()
  await client[Symbol.asyncDispose]()
  assert.deepEqual(await client.closed, { error: null })
})

test('events of a client that is closed are its end', async () => {
  const world = new World()
  const client = await world.connected()
  await client.close()
  const events: string[] = []
  for await (const event of client.events()) events.push(event.type)
  assert.deepEqual(events, ['closed'])
})

test('a rejection that nobody waits for is an event and kills nothing', async () => {
  const world = new World()
  const client = await world.connected()
  const events = client.events()
  void client.publish('a/#', 'x')
  void client.publish('a', 'x', { qos: 1 })
  await world.settle()
  await client.close()
  const codes: string[] = []
  for await (const event of events) if (event.type === 'error') codes.push(event.error.code)
  assert.deepEqual(codes, ['invalid-argument', 'closed'])
})

test('DISCONNECT is the last packet, and the connection is closed [MQTT-3.14.4-1]', async () => {
  const world = new World()
  const client = await world.connected()
  const { peer } = world
  const closed = client.close({ reasonCode: 4, reasonString: 'bye' })
  await closed
  client.publish('a', 'x').catch(() => undefined)
  await world.settle()
  const packets = peer.take()
  // [MQTT-3.14.4-2]
  const properties = isFull() ? { reasonString: 'bye' } : NO_PROPERTIES
  assert.deepEqual(packets, [{ type: DISCONNECT, reasonCode: 4, properties }])
  assert.equal(peer.ended, true)
})

test('MQTT 3.1.1: DISCONNECT is the last packet [MQTT-3.14.4-1 v3]', async () => {
  const world = new World()
  const client = await world.connected({ protocolVersion: 4 })
  await client.close()
  client.publish('a', 'x').catch(() => undefined)
  await world.settle()
  // [MQTT-3.14.4-2 v3]
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT'])
  assert.equal(world.peer.ended, true)
})

test('reasons that the server would not take are left out [MQTT-3.14.2-3]', async () => {
  const long = 'x'.repeat(30)
  for (const more of [{ reasonString: long }, { userProperties: [['k', long]] as const }]) {
    const world = new World()
    const client = await world.connected({}, { properties: { maximumPacketSize: 30 } })
    await client.close({ reasonCode: 4, ...more })
    // [MQTT-3.14.2-4]
    assert.deepEqual(world.peer.take(), [{ type: DISCONNECT, reasonCode: 4, properties: {} }])
  }
})

test('a reason string that nobody can write is refused, and nothing was closed', async () => {
  const world = new World()
  const client = await world.connected()
  await assert.rejects(client.close({ reasonString: 'a\0' }), { code: 'invalid-argument' })
  assert.equal(client.state, 'connected')
  assert.deepEqual(world.peer.takeShort(), [])
})

test('a store that fails closes the connection [MQTT-4.8.0-2 v3]', async () => {
  const world = new World()
  const disk = { isFull: false }
  const store: SessionStore = {
    open: async () => [],
    put: nothing,
    delete: nothing,
    commit: done => done(disk.isFull ? new Error('disk full') : null),
    close: async () => undefined,
  }
  const begun = world.begin({ clientId: 'a', store })
  await world.settle()
  world.peer.take()
  world.peer.accept()
  const client = await begun
  disk.isFull = true
  const published = client.publish('a', 'x', { qos: 1 })
  published.catch(nothing)
  await world.settle()
  await assert.rejects(published, { code: 'store-failed' })
  // What depends on it was not sent.
  assert.deepEqual(world.peer.takeShort(), [])
  assert.equal(world.peer.destroyed, true)
  assert.equal((await client.closed).error?.code, 'store-failed')
})

test('what was published before close() leaves before DISCONNECT', async () => {
  const world = new World()
  const client = await world.connected()
  void client.publish('a', '1')
  client.publish('a', '2', { qos: 1 }).catch(() => undefined)
  await client.close()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH a 1', 'PUBLISH 1 a 2', 'DISCONNECT'])
})

test('a reason code that DISCONNECT cannot have is refused [MQTT-3.14.2-1]', async () => {
  const world = new World()
  const client = await world.connected()
  await assert.rejects(client.close({ reasonCode: 1 }), { code: 'invalid-argument' })
  const close = client.close({ sessionExpirySeconds: 5, reasonCode: isFull() ? 0 : 1 })
  await assert.rejects(close, { code: 'invalid-argument' })
  assert.equal(client.state, 'connected')
})

test('before MQTT 5.0 a close that wants the will sends no DISCONNECT', async () => {
  const world = new World()
  const client = await world.connected({ protocolVersion: 4 })
  await client.close({ reasonCode: 4 })
  assert.deepEqual(world.peer.takeShort(), [])
  assert.equal(world.peer.ended, true)
})

test('drain() lets readers finish and waits for acknowledgements', async () => {
  const world = new World()
  const client = await world.connected()
  const { peer } = world
  const taken: string[] = []
  const loop = (async () => {
    for await (const message of client.subscribe('a')) {
      taken.push(message.text())
      await world.settle()
    }
  })()
  await world.settle()
  peer.suback(1, 1)
  for (let id = 1; id <= 3; id++) peer.publish('a', `${id}`, 1, id)
  const published = client.publish('b', 'x', { qos: 1 })
  await world.settle()
  peer.take()
  const drained = client.drain()
  await assert.rejects(client.publish('b', 'y'), { code: 'closed' })
  assert.equal(client.state, 'draining')
  await loop
  assert.deepEqual(taken, ['1', '2', '3'])
  await world.settle()
  assert.equal(client.state, 'draining')
  peer.puback(2)
  await world.settle()
  await published
  await drained
  assert.deepEqual(peer.takeShort().slice(-1), ['DISCONNECT'])
})

test('drain() that takes too long closes and says so', async () => {
  const world = new World()
  const client = await world.connected()
  client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
  const drained = client.drain({ timeoutMs: 100 })
  drained.catch(() => undefined)
  await world.advance(100)
  await world.settle()
  await assert.rejects(drained, { code: 'timeout' })
  assert.equal(client.state, 'closed')
})

test('drain() can be aborted: then it closes', async () => {
  const world = new World()
  const client = await world.connected()
  client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
  const controller = new AbortController()
  const drained = client.drain({ signal: controller.signal })
  drained.catch(() => undefined)
  await world.settle()
  controller.abort()
  await world.settle()
  await assert.rejects(drained, { code: 'aborted' })
  assert.equal(client.state, 'closed')
})

test('the end of `await using` does not wait for a reader that is gone', async () => {
  const world = new World()
  const client = await world.connected()
  const subscription = client.subscribe('a')
  await world.settle()
  world.peer.suback(1, 1)
  for (const id of [1, 2]) world.peer.publish('a', `${id}`, 1, id)
  await subscription.next()
  world.peer.take()
  const closed = client[Symbol.asyncDispose]()
  await world.settle()
  await closed
  // Neither the message that was taken nor the other one was dealt with.
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT'])
  assert.equal(world.now, 1000)
})

test('the end of `await using` waits for what was published and for running handlers', async () => {
  const world = new World()
  const client = await world.connected()
  const subscription = client.subscribe('a')
  await world.settle()
  world.peer.suback(1, 1)
  const handler: { finish: () => void } = { finish: nothing }
  void subscription.forEach(async () => {
    await new Promise<void>(resolve => {
      handler.finish = resolve
    })
  })
  world.peer.publish('a', 'x', 1, 1)
  client.publish('b', 'y', { qos: 1 }).catch(nothing)
  await world.settle()
  world.peer.take()
  const closed = client[Symbol.asyncDispose]()
  await world.settle()
  world.peer.puback(2)
  await world.settle()
  assert.equal(client.state, 'draining')
  handler.finish()
  await world.settle()
  await closed
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'DISCONNECT'])
})

test('drain() is over when a loop is left with the last message', async () => {
  const world = new World()
  const client = await world.connected()
  const subscription = client.subscribe('a')
  await world.settle()
  world.peer.take()
  world.peer.suback(1, 1)
  world.peer.publish('a', 'one', 1, 7)
  world.peer.publish('a', 'last', 1, 8)
  let drained: Promise<void> | null = null
  for await (const message of subscription) {
    drained ??= client.drain()
    if (message.text() === 'last') break
  }
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 7', 'PUBACK 8', 'DISCONNECT'])
  await drained
})
