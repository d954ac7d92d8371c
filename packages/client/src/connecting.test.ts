// How a client connects, with a clock and a network that the test turns.
import assert from 'node:assert/strict'
import { type ConnectPacket, NO_PROPERTIES, PacketType } from '@godwit/packet'
import { ConnectionRefusedError, MqttError } from './errors.ts'
import type { Attempt, Credentials } from './options.ts'
import { kind, test } from './testing/kind.ts'
import { World } from './testing/world.ts'

const { CONNECT } = PacketType

async function connectOf(world: World): Promise<ConnectPacket> {
  await world.settle()
  const [packet] = world.peer.take()
  assert.ok(packet !== undefined && packet.type === CONNECT)
  return packet
}

async function failure(promise: Promise<unknown>): Promise<MqttError> {
  const error = await promise.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof MqttError)
  return error
}

test('CONNECT is the first packet and says what the options say [MQTT-3.1.0-1]', async () => {
  const world = new World()
  void world.begin({
    clientId: 'meter-17',
    username: 'user',
    password: 'secret',
    cleanStart: false,
    sessionExpirySeconds: 3600,
    keepAliveSeconds: 30,
    receiveMaximum: 10,
    packetBytesMax: 1000,
    topicAliasMaximum: 5,
    userProperties: [['a', 'b']],
    will: {
      topic: 'state',
      payload: 'off',
      qos: 1,
      retain: true,
      delaySeconds: 9,
      contentType: 't',
    },
  })
  const packet = await connectOf(world)
  assert.deepEqual(packet, {
    type: CONNECT,
    protocolLevel: 5,
    cleanStart: false,
    keepAliveSeconds: 30,
    clientId: 'meter-17',
    will: {
      topic: 'state',
      payload: new TextEncoder().encode('off'),
      qos: 1,
      retain: true,
      properties: { willDelayInterval: 9, contentType: 't' },
    },
    username: 'user',
    password: new TextEncoder().encode('secret'),
    bridge: false,
    properties: {
      sessionExpiryInterval: 3600,
      receiveMaximum: 10,
      maximumPacketSize: 1000,
      topicAliasMaximum: 5,
      requestResponseInformation: 1,
      userProperties: [['a', 'b']],
    },
  })
})

test('an identifier of 22 letters and digits is made up, another for each client', async () => {
  const world = new World()
  void world.begin()
  const first = await connectOf(world)
  void world.begin()
  const second = await connectOf(world)
  assert.match(first.clientId, /^[0-9A-Za-z]{22}$/)
  assert.notEqual(first.clientId, second.clientId)
})

test('nothing follows CONNECT before CONNACK [MQTT-3.1.2-30]', async () => {
  const world = new World()
  void world.begin({ keepAliveSeconds: 1 })
  await world.settle()
  await world.advance(20_000)
  assert.deepEqual(world.peer.takeShort(), ['CONNECT'])
})

test('a keep alive and an identifier that the server gives replace our own', async () => {
  const world = new World()
  const client = await world.connected(
    { clientId: '', keepAliveSeconds: 600 },
    { properties: { assignedClientIdentifier: 'given', serverKeepAlive: 10 } },
  )
  assert.equal(client.clientId, 'given')
  assert.equal(client.negotiated.keepAliveSeconds, 10)
  await world.advance(10_000)
  assert.deepEqual(world.peer.takeShort(), ['PINGREQ'])
})

test('PINGREQ keeps to a Server Keep Alive [MQTT-3.1.2-21] [MQTT-3.2.2-21]', async () => {
  const world = new World()
  await world.connected({ keepAliveSeconds: 5 }, { properties: { serverKeepAlive: 100 } })
  await world.advance(89_000)
  assert.deepEqual(world.peer.takeShort(), [])
  await world.advance(11_000)
  assert.deepEqual(world.peer.takeShort(), ['PINGREQ'])
})

test('an assigned identifier is kept for the connections that follow', async () => {
  const world = new World()
  const properties = { assignedClientIdentifier: 'given' }
  await world.connected({ clientId: '', sessionExpirySeconds: 100 }, { properties })
  world.peer.lose()
  await world.advance(2000)
  const packet = await connectOf(world)
  assert.equal(packet.clientId, 'given')
  assert.equal(packet.cleanStart, false)
})

test('what the server allows is there to read', async () => {
  const world = new World()
  const client = await world.connected(
    {},
    {
      properties: {
        receiveMaximum: 7,
        maximumQoS: 1,
        retainAvailable: 0,
        maximumPacketSize: 900,
        topicAliasMaximum: 3,
        wildcardSubscriptionAvailable: 0,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 0,
        sessionExpiryInterval: 5,
        responseInformation: 'answers',
        serverReference: 'other',
      },
    },
  )
  const { properties: _, ...negotiated } = client.negotiated
  assert.deepEqual(negotiated, {
    protocolVersion: 5,
    clientId: client.clientId,
    sessionPresent: false,
    keepAliveSeconds: 60,
    sessionExpirySeconds: 5,
    receiveMaximum: 7,
    maximumQoS: 1,
    retainAvailable: false,
    packetBytesMax: 900,
    topicAliasMaximum: 3,
    wildcardSubscriptions: false,
    sharedSubscriptions: false,
    subscriptionIdentifiers: false,
    responseInformation: 'answers',
    serverReference: 'other',
  })
})

const ReasonCodes = [
  0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
]

for (const reasonCode of ReasonCodes) {
  test(`a refusal with reason code 0x${reasonCode.toString(16)} is told as it is`, async () => {
    const world = new World()
    const client = world.begin({ protocolVersion: 5 })
    await world.settle()
    const properties = { reasonString: 'because', serverReference: 'there' }
    world.peer.accept({ reasonCode, properties })
    const error = await failure(client)
    assert.ok(error instanceof ConnectionRefusedError)
    const { code, returnCode, reasonString, serverReference } = error
    assert.deepEqual(
      { code, reasonCode: error.reasonCode, returnCode, reasonString, serverReference },
      {
        code: 'connection-refused',
        reasonCode,
        returnCode: -1,
        reasonString: 'because',
        serverReference: 'there',
      },
    )
    assert.match(error.message, /^connection refused: [a-zA-Z ]+: because$/)
  })
}

const ReturnCodes = [
  [1, 0x84, 'unacceptable protocol version'],
  [2, 0x85, 'identifier rejected'],
  [3, 0x88, 'server unavailable'],
  [4, 0x86, 'bad user name or password'],
  [5, 0x87, 'not authorized'],
] as const

for (const [returnCode, reasonCode, text] of ReturnCodes) {
  for (const protocolVersion of [4, 3] as const) {
    test(`return code ${returnCode} at level ${protocolVersion} is told as it is`, async () => {
      const world = new World()
      const client = world.begin({ protocolVersion })
      await world.settle()
      world.peer.level = protocolVersion
      world.peer.accept({ reasonCode: returnCode })
      const error = await failure(client)
      assert.ok(error instanceof ConnectionRefusedError)
      assert.equal(error.returnCode, returnCode)
      assert.equal(error.reasonCode, reasonCode)
      assert.equal(error.message, `connection refused: ${text}`)
    })
  }
}

test('before MQTT 5.0 CONNECT has no properties, and nothing of them is promised', async () => {
  const world = new World()
  const begun = world.begin({
    protocolVersion: 4,
    sessionExpirySeconds: 9,
    userProperties: [['a', 'b']],
  })
  world.opensAtOnce = true
  await world.settle()
  const packet = await connectOf(world)
  assert.deepEqual(packet.properties, NO_PROPERTIES)
  world.peer.level = 4
  world.peer.accept()
  assert.equal((await begun).negotiated.sharedSubscriptions, false)
})

test('URL and credentials are asked for at each attempt', async () => {
  const world = new World()
  const asked: Attempt[] = []
  const client = kind.open(world, async ({ attempt }) => `test://server-${attempt}`, {
    reconnect: { first: true },
    credentials: async attempt => {
      asked.push(attempt)
      return { username: `user-${attempt.attempt}`, password: new Uint8Array([attempt.attempt]) }
    },
  })
  const first = await connectOf(world)
  world.peer.accept({ reasonCode: 0x86 })
  await world.advance(2000)
  const second = await connectOf(world)
  world.peer.accept()
  await client
  assert.deepEqual([first.username, second.username], ['user-1', 'user-2'])
  assert.deepEqual(second.password, new Uint8Array([2]))
  assert.deepEqual(world.urls, ['test://server-1', 'test://server-2'])
  assert.equal(asked[0]?.lastError, null)
  assert.equal(asked[1]?.lastError?.reasonCode, 0x86)
})

test('a user name in the URL is used unless the options have one', async () => {
  const world = new World()
  void kind.open(world, 'test://us%40er:pass@server', {}).catch(() => undefined)
  const own = await connectOf(world)
  assert.deepEqual([own.username, own.password], ['us@er', new TextEncoder().encode('pass')])
  void kind.open(world, 'test://user:pass@server', { username: 'other' }).catch(() => undefined)
  const other = await connectOf(world)
  assert.deepEqual([other.username, other.password], ['other', null])
})

test('a user name in the URL is used unless it cannot be decoded, and never shown', async () => {
  for (const url of ['test://us%zz:secret@server', 'test://user:secret@server:99999']) {
    const world = new World()
    const error = await failure(kind.open(world, url, {}))
    assert.equal(error.code, 'invalid-argument')
    assert.match(error.message, /^not a URL like wss:\/\/host\/mqtt: server/)
    assert.equal(world.peers.length, 0)
  }
})

const Failures: readonly (readonly [string, (world: World) => Promise<unknown>, RegExp])[] = [
  [
    'a URL that cannot be had',
    world => kind.open(world, () => Promise.reject(new Error('no DNS')), {}),
    /^(?:cannot connect: )?no DNS$/,
  ],
  [
    'credentials that cannot be had',
    world =>
      world.begin({
        credentials: () => {
          throw new Error('no vault')
        },
      }),
    /^(?:cannot connect: )?no vault$/,
  ],
]

for (const [name, begin, message] of Failures) {
  test(`${name} end the attempt`, async () => {
    const world = new World()
    const client = begin(world)
    client.catch(() => undefined)
    await world.settle()
    const error = await failure(client)
    assert.equal(error.code, 'connect-failed')
    assert.match(error.message, message)
  })
}

test('credentials that never come are an attempt that takes too long', async () => {
  const world = new World()
  const client = world.begin({ credentials: () => new Promise(() => undefined) })
  await world.advance(30_000)
  assert.equal((await failure(client)).code, 'connect-timeout')
  assert.equal(world.peers.length, 0)
})

test('a transport that never opens is an attempt that takes too long', async () => {
  const world = new World()
  world.opensAtOnce = false
  const client = world.begin({ connectTimeoutMs: 700 })
  await world.advance(699)
  assert.equal(world.peer.destroyed, false)
  await world.advance(1)
  assert.equal((await failure(client)).code, 'connect-timeout')
  assert.equal(world.peer.destroyed, true)
})

test('a server that never answers CONNECT is an attempt that takes too long', async () => {
  const world = new World()
  const client = world.begin()
  await world.advance(30_000)
  assert.equal((await failure(client)).code, 'connect-timeout')
})

test('a connection that closes before CONNACK fails with the reason', async () => {
  const world = new World()
  const client = world.begin({ protocolVersion: 5 })
  await world.settle()
  world.peer.lose(new Error('reset'))
  const error = await failure(client)
  assert.equal(error.code, 'connect-failed')
  assert.match(error.message, /before CONNACK: reset/)
})

test('the first connection is not tried again unless the options say so', async () => {
  const world = new World()
  const client = world.begin({ protocolVersion: 5 })
  await world.settle()
  world.peer.lose()
  await failure(client)
  await world.advance(1e6)
  assert.equal(world.peers.length, 1)
  assert.equal(world.timerCount, 0)
})

test('attempts end at their number', async () => {
  const world = new World()
  const client = world.begin({ protocolVersion: 5, reconnect: { first: true, attemptsMax: 3 } })
  for (let i = 0; i < 3; i++) {
    await world.advance(5000)
    world.peer.lose()
  }
  assert.equal((await failure(client)).code, 'connect-failed')
  await world.advance(1e6)
  assert.equal(world.peers.length, 3)
})

test('delays grow with full jitter: chance times a bound that doubles', async () => {
  const world = new World()
  world.chance = 0.25
  const client = await world.connected({ reconnect: { initialDelayMs: 1000, maxDelayMs: 3000 } })
  const delays: number[] = []
  const events = client.events()
  world.peer.lose()
  for await (const event of events) {
    if (event.type !== 'reconnecting') continue
    delays.push(event.delayMs)
    if (delays.length === 5) break
    await world.advance(event.delayMs)
    world.peer.lose()
  }
  assert.deepEqual(delays, [250, 500, 750, 750, 750])
})

test('a delay may be chosen by the caller, and a negative one gives up', async () => {
  const world = new World()
  const seen: number[] = []
  const client = await world.connected({
    reconnect: {
      delayMs: ({ attempt }) => {
        seen.push(attempt)
        return attempt < 3 ? 77 : -1
      },
    },
  })
  world.peer.lose()
  await world.advance(77)
  world.peer.lose()
  await world.advance(77)
  world.peer.lose()
  const { error } = await client.closed
  assert.equal(error?.code, 'connect-failed')
  assert.deepEqual(seen, [1, 2, 3])
})

test('reconnect() does not wait, and does nothing on a connection that stands', async () => {
  const world = new World()
  const client = await world.connected()
  client.reconnect()
  await world.settle()
  assert.equal(world.peers.length, 1)
  world.peer.lose()
  await world.settle()
  client.reconnect()
  client.reconnect()
  await world.settle()
  assert.equal(world.peers.length, 2)
})

test('a client without reconnect ends with its connection', async () => {
  const world = new World()
  const client = await world.connected({ reconnect: false })
  world.peer.lose()
  const { error } = await client.closed
  assert.equal(error?.code, 'connection-lost')
  assert.equal(client.state, 'closed')
})

test('a session that another client took over is left to it', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.send({ type: PacketType.DISCONNECT, reasonCode: 0x8e, properties: NO_PROPERTIES })
  const { error } = await client.closed
  assert.equal(error?.code, 'server-disconnected')
  assert.equal(error?.reasonCode, 0x8e)
  await world.advance(1e6)
  assert.equal(world.peers.length, 1)
})

test('a server that shuts down is tried again, and its reference is told', async () => {
  const world = new World()
  const client = await world.connected()
  const events = client.events()
  const properties = { reasonString: 'maintenance', serverReference: 'b.example' }
  world.peer.send({ type: PacketType.DISCONNECT, reasonCode: 0x8b, properties })
  const { value } = await events.next()
  assert.equal(value?.type, 'disconnected')
  assert.equal(value.error.reasonString, 'maintenance')
  assert.equal(value.error.serverReference, 'b.example')
  await world.advance(1000)
  assert.equal(world.peers.length, 2)
})

test('a server that gives no sign of life is left, with its reason code', async () => {
  const world = new World()
  const client = await world.connected({ keepAliveSeconds: 60 })
  const events = client.events()
  const { peer } = world
  await world.advance(58_000)
  assert.deepEqual(peer.takeShort(), ['PINGREQ'])
  await world.advance(30_000)
  assert.deepEqual(peer.takeShort(), ['DISCONNECT 0x8d'])
  const { value } = await events.next()
  assert.equal(value?.type === 'disconnected' && value.error.code, 'keep-alive-timeout')
})

test('an abort signal ends connecting', async () => {
  const world = new World()
  const controller = new AbortController()
  const client = world.begin({ signal: controller.signal })
  await world.settle()
  const reason = new Error('enough')
  controller.abort(reason)
  const error = await failure(client)
  assert.equal(error.code, 'aborted')
  assert.equal(error.cause, reason)
  assert.equal(world.peer.destroyed, true)
})

test('an abort signal that has fired opens nothing', async () => {
  const world = new World()
  const client = world.begin({ signal: AbortSignal.abort() })
  assert.equal((await failure(client)).code, 'aborted')
  await world.advance(1e6)
  assert.equal(world.peers.length, 0)
})

test('an abort signal closes a client that is connected', async () => {
  const world = new World()
  const controller = new AbortController()
  const client = await world.connected({ signal: controller.signal })
  controller.abort()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT'])
  assert.deepEqual(await client.closed, { error: null })
})

const Invalid: readonly (readonly [string, object])[] = [
  ['a keep alive of 18 hours and more', { keepAliveSeconds: 65_536 }],
  ['a keep alive that is not whole', { keepAliveSeconds: 0.5 }],
  ['a receive maximum of 0', { receiveMaximum: 0 }],
  ['a version that nobody knows', { protocolVersion: 6 }],
  ['a session without an identifier [MQTT-3.1.3-7 v3]', { cleanStart: false }],
  ['a will whose topic has a wildcard', { will: { topic: 'a/#' } }],
  ['a packet limit below what every packet needs', { packetBytesMax: 10 }],
]

for (const [name, options] of Invalid) {
  test(`${name} is refused before anything is opened`, async () => {
    const world = new World()
    assert.equal((await failure(kind.open(world, 'test://a', options))).code, 'invalid-argument')
    assert.equal(world.peers.length, 0)
  })
}

test('a password without a user name cannot be written before MQTT 5.0 [MQTT-3.1.2-22 v3]', async () => {
  const world = new World()
  const client = world.begin({ protocolVersion: 4, password: 'x' })
  await world.settle()
  assert.equal((await failure(client)).code, 'invalid-argument')
})

test('credentials() that gives nothing is an error, and no connection without a name', async () => {
  for (const nothing of [undefined, null, Promise.resolve()]) {
    const world = new World()
    const credentials = (): Credentials => nothing as unknown as Credentials
    const begun = world.begin({ credentials, username: 'other', reconnect: { first: true } })
    await assert.rejects(begun, { code: 'invalid-argument' })
    assert.equal(world.peers.length, 0)
  }
})
