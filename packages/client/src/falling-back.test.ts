// When a client that begins with MQTT 5.0 goes on with 3.1.1, and when it does not.
import assert from 'node:assert/strict'
import { type ConnectPacket, PacketType } from '@godwit/packet'
import { MqttError } from './errors.ts'
import type { Attempt, ConnectOptions } from './options.ts'
import { test } from './testing/kind.ts'
import { type Peer, World } from './testing/world.ts'

const { CONNECT } = PacketType
const FIRST: ConnectOptions = { reconnect: { first: true } }

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

/** The versions of all CONNECT packets so far. */
function levels(world: World): number[] {
  return world.peers
    .map(peer => peer.take())
    .map(([packet]) => {
      return packet?.type === CONNECT ? packet.protocolLevel : 0
    })
}

/** What a server that does not know MQTT 5.0 may do when it gets its CONNECT. */
const Answers: readonly (readonly [string, (peer: Peer) => void])[] = [
  ['closes', peer => peer.lose()],
  ['resets the connection', peer => peer.lose(new Error('read ECONNRESET'))],
  ['accepts as 3.1.1 does', peer => peer.sendBytes([0x20, 2, 0, 0])],
  ['sends DISCONNECT', peer => peer.sendBytes([0xe0, 0])],
  ['sends a CONNACK of no version', peer => peer.sendBytes([0x20, 1, 0])],
]

for (const [name, answer] of Answers) {
  test(`a server that ${name} when it gets MQTT 5.0 is tried with 3.1.1 at once`, async () => {
    const world = new World()
    const events: string[] = []
    const client = world.begin({ onEvent: ({ type }) => events.push(type) })
    await world.settle()
    answer(world.peer)
    await world.settle()
    assert.deepEqual([world.peers.length, world.now], [2, 1000])
    assert.equal((await connectOf(world)).protocolLevel, 4)
    assert.equal(world.peers[0]?.isClosed, true)
    world.peer.level = 4
    world.peer.accept()
    assert.equal((await client).negotiated.protocolVersion, 4)
    assert.deepEqual(events, ['connected'])
  })
}

test('3.1.1 is what the next connections begin with, if the server knows no 5.0', async () => {
  const world = new World()
  const client = world.begin()
  await world.settle()
  world.peer.accept({ reasonCode: 0x84 })
  await world.settle()
  world.peer.level = 4
  world.peer.accept()
  await client
  for (let i = 0; i < 2; i++) {
    world.peer.lose()
    await world.advance(2000)
    assert.equal((await connectOf(world)).protocolLevel, 4)
  }
  assert.equal(world.peers.length, 4)
})

test('a server that closes on 3.1.1 too is told as such, and tried no further', async () => {
  const world = new World()
  const client = world.begin()
  await world.settle()
  world.peer.lose(new Error('one'))
  await world.settle()
  world.peer.lose(new Error('two'))
  const error = await failure(client)
  assert.equal(error.code, 'connect-failed')
  assert.match(error.message, /two$/)
  await world.advance(1e6)
  assert.deepEqual(levels(world), [5, 4])
  assert.equal(world.timerCount, 0)
})

test('an outage makes nobody speak 3.1.1: each attempt begins with 5.0', async () => {
  const world = new World()
  const asked: Attempt[] = []
  const client = world.begin({
    ...FIRST,
    credentials: attempt => {
      asked.push(attempt)
      return {}
    },
  })
  for (let i = 0; i < 4; i++) {
    await world.advance(2000)
    world.peer.lose(new Error(`loss ${i}`))
    await world.settle()
  }
  await world.advance(5000)
  world.peer.accept()
  assert.equal((await client).negotiated.protocolVersion, 5)
  assert.deepEqual(levels(world), [5, 4, 5, 4, 5])
  assert.deepEqual(
    asked.map(({ attempt }) => attempt),
    [1, 1, 2, 2, 3],
  )
  assert.match(asked[1]?.lastError?.message ?? '', /loss 0$/)
})

test('attempts with 3.1.1 are none of the number of attempts', async () => {
  const world = new World()
  const client = world.begin({ reconnect: { first: true, attemptsMax: 2 } })
  for (let i = 0; i < 4; i++) {
    await world.advance(3000)
    world.peer.lose()
    await world.settle()
  }
  assert.equal((await failure(client)).code, 'connect-failed')
  assert.deepEqual(levels(world), [5, 4, 5, 4])
})

test('a server that has spoken MQTT 5.0 is not tried with 3.1.1 when it closes', async () => {
  const world = new World()
  await world.connected()
  for (let count = 1; count < 4; count++) {
    world.peer.lose()
    while (world.peers.length === count) await world.advance(100)
    assert.equal((await connectOf(world)).protocolLevel, 5)
  }
  assert.equal(world.peers.length, 4)
})

test('a server that has spoken MQTT 5.0 and now refuses it is tried with 3.1.1', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.lose()
  await world.advance(2000)
  world.peer.accept({ reasonCode: 0x84 })
  assert.equal((await connectOf(world)).protocolLevel, 4)
  world.peer.level = 4
  world.peer.accept()
  await world.settle()
  assert.equal(client.negotiated.protocolVersion, 4)
})

test('3.1.1 after 5.0 leaves no session behind that nobody asked for', async () => {
  const world = new World()
  await world.connected()
  world.peer.lose()
  await world.advance(2000)
  assert.equal((await connectOf(world)).cleanStart, false)
  world.peer.accept({ reasonCode: 0x84 })
  // Without clean session a server before MQTT 5.0 keeps it for ever.
  assert.equal((await connectOf(world)).cleanStart, true)
  world.peer.lose()
  await world.advance(5000)
  const { protocolLevel, cleanStart } = await connectOf(world)
  assert.deepEqual([protocolLevel, cleanStart], [5, false])
})

test('a connection that never opened says nothing about versions', async () => {
  const world = new World()
  world.opensAtOnce = false
  const client = world.begin()
  await world.settle()
  world.peer.lose(new Error('refused'))
  assert.match((await failure(client)).message, /refused$/)
  assert.equal(world.peers.length, 1)
})

test('a server that is silent is slow, and says nothing about versions', async () => {
  const world = new World()
  const client = world.begin()
  await world.advance(30_000)
  assert.equal((await failure(client)).code, 'connect-timeout')
  assert.deepEqual(levels(world), [5])
})

test('a refusal for another reason is no matter of versions', async () => {
  const world = new World()
  const client = world.begin()
  await world.settle()
  world.peer.accept({ reasonCode: 0x86 })
  assert.equal((await failure(client)).reasonCode, 0x86)
  assert.equal(world.peers.length, 1)
})

test('what a server says to 3.1.1 is told: here, whom it does not let in', async () => {
  const world = new World()
  const client = world.begin(FIRST)
  await world.settle()
  world.peer.lose()
  await world.settle()
  world.peer.level = 4
  world.peer.accept({ reasonCode: 5 })
  const error = await failure(client)
  assert.deepEqual([error.code, error.reasonCode], ['connection-refused', 0x87])
  await world.advance(1e6)
  assert.equal(world.peers.length, 2)
})

test('a server of MQTT 5.0 only that closes once is tried again', async () => {
  const world = new World()
  const client = world.begin(FIRST)
  await world.settle()
  world.peer.lose(new Error('starting'))
  await world.settle()
  world.peer.level = 4
  world.peer.accept({ reasonCode: 1 })
  await world.advance(2000)
  assert.equal((await connectOf(world)).protocolLevel, 5)
  world.peer.accept()
  assert.equal((await client).negotiated.protocolVersion, 5)
})

test('what 3.1.1 cannot say ends nothing that 5.0 could go on with', async () => {
  const world = new World()
  // Only MQTT 5.0 has a password without a user name.
  const client = world.begin({ ...FIRST, password: 'token' })
  await world.settle()
  world.peer.lose(new Error('starting'))
  await world.advance(2000)
  assert.equal((await connectOf(world)).protocolLevel, 5)
  world.peer.accept()
  assert.equal((await client).negotiated.protocolVersion, 5)
  const other = new World()
  const once = other.begin({ password: 'token' })
  await other.settle()
  other.peer.lose(new Error('gone'))
  const error = await failure(once)
  assert.deepEqual([error.code, /gone$/.test(error.message)], ['connect-failed', true])
})

test('an abort between the two ends both', async () => {
  const world = new World()
  const controller = new AbortController()
  const client = world.begin({ signal: controller.signal })
  await world.settle()
  world.peer.lose()
  controller.abort()
  assert.equal((await failure(client)).code, 'aborted')
  await world.advance(1e6)
  assert.equal(world.peers.filter(peer => !peer.isClosed).length, 0)
})

const Refusals: readonly (readonly [string, 4 | 5, number])[] = [
  ['in the format of MQTT 3.1.1', 4, 1],
  ['in the format of MQTT 5.0', 5, 0x84],
]

for (const [name, level, reasonCode] of Refusals) {
  test(`a server that refuses MQTT 5.0 ${name} is tried with MQTT 3.1.1 at once`, async () => {
    const world = new World()
    const client = world.begin()
    await world.settle()
    world.peer.level = level
    world.peer.accept({ reasonCode })
    await world.settle()
    assert.equal(world.peers.length, 2)
    assert.equal(world.now, 1000)
    const packet = await connectOf(world)
    assert.equal(packet.protocolLevel, 4)
    world.peer.level = 4
    world.peer.accept()
    const opened = await client
    assert.equal(opened.negotiated.protocolVersion, 4)
  })
}

test('a server that refuses MQTT 3.1.1 too is not tried again', async () => {
  const world = new World()
  const client = world.begin()
  await world.settle()
  world.peer.accept({ reasonCode: 0x84 })
  await world.settle()
  world.peer.level = 4
  world.peer.accept({ reasonCode: 1 })
  assert.equal((await failure(client)).reasonCode, 0x84)
  await world.advance(1e6)
  assert.equal(world.peers.length, 2)
})

test('a client that authenticates in the way of MQTT 5.0 is not tried without it', async () => {
  const world = new World()
  const authenticator = { method: 'test', start: () => undefined, next: () => undefined }
  const client = world.begin({ authenticator, reconnect: { first: true } })
  await world.settle()
  world.peer.accept({ reasonCode: 0x84 })
  assert.equal((await failure(client)).reasonCode, 0x84)
  assert.equal(world.peers.length, 1)
  const silent = world.begin({ authenticator })
  await world.settle()
  world.peer.lose()
  assert.equal((await failure(silent)).code, 'connect-failed')
  assert.equal(world.peers.length, 2)
  const older = world.begin({ authenticator, protocolVersion: 4 })
  assert.equal((await failure(older)).code, 'invalid-argument')
})

test('a version that was asked for is not replaced by another', async () => {
  const world = new World()
  const client = world.begin({ protocolVersion: 5 })
  await world.settle()
  world.peer.accept({ reasonCode: 0x84 })
  assert.equal((await failure(client)).reasonCode, 0x84)
  assert.equal(world.peers.length, 1)
  for (const protocolVersion of [5, 4] as const) {
    const silent = world.begin({ protocolVersion })
    await world.settle()
    world.peer.lose()
    assert.equal((await failure(silent)).code, 'connect-failed')
  }
  assert.equal(world.peers.length, 3)
})
