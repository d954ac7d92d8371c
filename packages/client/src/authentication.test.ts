// Enhanced authentication: the exchange before CONNACK, re-authentication, and SCRAM-SHA-256.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AuthPacket, decodeUtf8, encodeUtf8, PacketType } from '@godwit/packet'
import { Limits } from './limits.ts'
import type { Authenticator } from './options.ts'
import { scramSha256 } from './scram.ts'
import { World } from './testing/world.ts'

const { AUTH, CONNECT } = PacketType
const METHOD = 'test'

/** Answers every challenge by the challenge and a mark. */
function echo(overrides: Partial<Authenticator> = {}): Authenticator {
  return {
    method: METHOD,
    start: () => encodeUtf8('hello'),
    next: async data => encodeUtf8(`${decodeUtf8(data, 0, data.length)}!`),
    finish: data => {
      if (data === undefined || decodeUtf8(data, 0, data.length) !== 'proof')
        throw new Error('no proof')
    },
    ...overrides,
  }
}

function auth(reasonCode: number, data: string, authenticationMethod = METHOD): AuthPacket {
  const properties = { authenticationMethod, authenticationData: encodeUtf8(data) }
  return { type: AUTH, reasonCode, properties }
}

const Accepted = {
  properties: { authenticationMethod: METHOD, authenticationData: encodeUtf8('proof') },
}

test('the exchange goes on until CONNACK [MQTT-4.12.0-3] [MQTT-4.12.0-5]', async () => {
  const world = new World()
  const client = world.begin({ authenticator: echo() })
  await world.settle()
  const [connect] = world.peer.take()
  assert.ok(connect?.type === CONNECT)
  assert.deepEqual(connect.properties.authenticationMethod, METHOD)
  assert.deepEqual(connect.properties.authenticationData, encodeUtf8('hello'))
  for (const challenge of ['one', 'two']) {
    world.peer.send(auth(0x18, challenge))
    await world.settle()
    // Nothing but AUTH leaves before CONNACK. [MQTT-3.1.2-30]
    assert.deepEqual(world.peer.take(), [auth(0x18, `${challenge}!`)])
  }
  world.peer.accept(Accepted)
  assert.equal((await client).state, 'connected')
})

test('a re-authentication that the server does not prove fails', async () => {
  const world = new World()
  const client = await world.connected({ authenticator: echo() }, Accepted)
  const renewed = client.reauthenticate()
  await world.settle()
  const refused = assert.rejects(renewed, { code: 'authentication-failed' })
  world.peer.send(auth(0, 'no such thing'))
  await world.settle()
  await refused
  assert.equal(client.state, 'closed')
})

test('re-authentication keeps the method and the connection [MQTT-4.12.1-1]', async () => {
  const world = new World()
  const client = await world.connected({ authenticator: echo() }, Accepted)
  const renewed = client.reauthenticate()
  const same = client.reauthenticate()
  await world.settle()
  assert.deepEqual(world.peer.take(), [auth(0x19, 'hello')])
  world.peer.send(auth(0x18, 'one'))
  await world.settle()
  assert.deepEqual(world.peer.take(), [auth(0x18, 'one!')])
  world.peer.send(auth(0, 'proof'))
  await renewed
  await same
  assert.equal(client.state, 'connected')
  // And again.
  const again = client.reauthenticate()
  await world.settle()
  world.peer.send(auth(0, 'proof'))
  await again
})

test('re-authentication that fails ends in DISCONNECT [MQTT-4.12.1-2]', async () => {
  const world = new World()
  const client = await world.connected({ authenticator: echo() }, Accepted)
  const renewed = client.reauthenticate()
  renewed.catch(() => undefined)
  await world.settle()
  world.peer.take()
  world.peer.send(auth(0, 'forged'))
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x80'])
  await assert.rejects(client.reauthenticate(), { code: 'not-connected' })
  const { error } = await client.closed
  assert.equal(error?.code, 'authentication-failed')
})

test('re-authentication that the server does not answer is a timeout', async () => {
  const world = new World()
  const client = await world.connected(
    { authenticator: echo(), operationTimeoutMs: 5000, keepAliveSeconds: 0 },
    Accepted,
  )
  const renewed = client.reauthenticate()
  renewed.catch(() => undefined)
  await world.advance(5000)
  await assert.rejects(renewed, { code: 'timeout' })
})

const Wrong: readonly (readonly [string, AuthPacket])[] = [
  ['another method [MQTT-4.12.0-5]', auth(0x18, 'one', 'other')],
  ['success instead of CONNACK', auth(0, 'proof')],
  ['re-authentication from the server', auth(0x19, 'x')],
]

for (const [name, packet] of Wrong) {
  test(`before CONNACK ${name} is a protocol error`, async () => {
    const world = new World()
    const client = world.begin({ authenticator: echo() })
    await world.settle()
    world.peer.send(packet)
    await assert.rejects(client, { code: 'protocol-error' })
  })
}

test('an AUTH on a connection that asked for none is a protocol error', async () => {
  const world = new World()
  const client = await world.connected({ authenticator: echo(), reconnect: false }, Accepted)
  world.peer.send(auth(0x18, 'x'))
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x82'])
  assert.equal((await client.closed).error?.code, 'protocol-error')
})

test('a reason code that AUTH cannot have is a protocol error [MQTT-3.15.2-1]', async () => {
  const world = new World()
  const client = world.begin({ authenticator: echo() })
  await world.settle()
  world.peer.sendBytes([0xf0, 9, 0x01, 7, 0x15, 0, 4, 0x74, 0x65, 0x73, 0x74])
  await assert.rejects(client, { code: 'protocol-error' })
})

test('a CONNACK without the method is a protocol error [MQTT-4.12.0-5]', async () => {
  const world = new World()
  const client = world.begin({ authenticator: echo() })
  await world.settle()
  world.peer.accept()
  await assert.rejects(client, { code: 'protocol-error' })
})

test('a server without proof is not accepted', async () => {
  const world = new World()
  const client = world.begin({ authenticator: echo(), reconnect: { first: true } })
  await world.settle()
  const authenticationData = encodeUtf8('forged')
  world.peer.accept({ properties: { authenticationMethod: METHOD, authenticationData } })
  await assert.rejects(client, { code: 'authentication-failed' })
  await world.advance(1e6)
  assert.equal(world.peers.length, 1)
})

test('an authenticator that throws ends the attempt, wherever it does', async () => {
  const failure = (): never => {
    throw new Error('locked')
  }
  for (const [overrides, code] of [
    [{ start: failure }, 'connect-failed'],
    [{ next: failure }, 'authentication-failed'],
  ] as const) {
    const world = new World()
    const client = world.begin({ authenticator: echo(overrides) })
    await world.settle()
    if (world.peers.length > 0) world.peer.send(auth(0x18, 'x'))
    await world.settle()
    await assert.rejects(client, { code, message: /locked/ })
  }
})

test('an authenticator that cannot start is asked again at the next attempt', async () => {
  const world = new World()
  const tokens = { issued: 0 }
  const start = async (): Promise<Uint8Array> => {
    if (++tokens.issued === 2) throw new Error('no token today')
    return encodeUtf8(`token ${tokens.issued}`)
  }
  const client = await world.connected({ authenticator: echo({ start }) }, Accepted)
  await world.reconnected(Accepted)
  assert.equal(tokens.issued, 3)
  assert.equal(client.state, 'connected')
})

test('a re-authentication that cannot start fails alone: the connection stands', async () => {
  const world = new World()
  const state = { locked: false }
  const start = (): Uint8Array => {
    if (state.locked) throw new Error('locked')
    return encodeUtf8('hello')
  }
  const client = await world.connected(
    { authenticator: echo({ start }), keepAliveSeconds: 0, operationTimeoutMs: 5000 },
    Accepted,
  )
  state.locked = true
  const fails = { code: 'authentication-failed', message: /could not start: locked/ }
  await assert.rejects(client.reauthenticate(), fails)
  // No answer is waited for.
  await world.advance(60_000)
  assert.equal(client.state, 'connected')
  assert.deepEqual(world.peer.takeShort(), [])
  state.locked = false
  const renewed = client.reauthenticate()
  await world.settle()
  world.peer.send(auth(0, 'proof'))
  await renewed
})

test('steps have a limit: at it and one more', async () => {
  const world = new World()
  const client = world.begin({ authenticator: echo() })
  await world.settle()
  for (let step = 1; step <= Limits.authenticationSteps; step++) {
    world.peer.send(auth(0x18, 'x'))
    await world.settle()
  }
  assert.equal(world.peer.isClosed, false)
  world.peer.send(auth(0x18, 'x'))
  await assert.rejects(client, { code: 'authentication-failed' })
})

test('an answer that comes when its connection is gone goes nowhere', async () => {
  const world = new World()
  const late: { answer: (data: Uint8Array) => void } = { answer: () => undefined }
  const next = (): Promise<Uint8Array> => {
    return new Promise(resolve => {
      late.answer = resolve
    })
  }
  const client = world.begin({ authenticator: echo({ next }), reconnect: { first: true } })
  await world.settle()
  world.peer.send(auth(0x18, 'x'))
  await world.settle()
  world.peer.lose()
  await world.advance(1000)
  late.answer(encodeUtf8('late'))
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['CONNECT'])
  world.peer.accept(Accepted)
  await client
})

test('reauthenticate() needs an authenticator', async () => {
  const world = new World()
  const client = await world.connected()
  await assert.rejects(client.reauthenticate(), { code: 'not-supported' })
})

/** The server's first words, for the nonce of a client that has just started. */
function challenge(first: Uint8Array, salt: string, iterations: number): Uint8Array {
  const nonce = /r=(.*)$/.exec(decodeUtf8(first, 0, first.length))?.[1] ?? ''
  return encodeUtf8(`r=${nonce}server,s=${salt},i=${iterations}`)
}

test('SCRAM gives the proof of RFC 7677', async () => {
  const scram = scramSha256({ username: 'user', password: 'pencil' })
  const random = crypto.getRandomValues
  // The nonce of section 3 of the RFC.
  const bytes = Uint8Array.from(atob('rOprNGfwEbeRWgbNEkqO'), c => c.charCodeAt(0))
  crypto.getRandomValues = array => {
    ;(array as unknown as Uint8Array).set(bytes)
    return array
  }
  try {
    const first = scram.start() as Uint8Array
    assert.equal(decodeUtf8(first, 0, first.length), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  } finally {
    crypto.getRandomValues = random
  }
  const serverFirst =
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  const final = await scram.next(encodeUtf8(serverFirst))
  assert.ok(final !== undefined)
  assert.equal(
    decodeUtf8(final, 0, final.length),
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
      'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  )
  scram.finish?.(encodeUtf8('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
})

test('SCRAM refuses a server that cannot prove that it knows the password', async () => {
  const scram = scramSha256({ username: 'u', password: 'p' })
  const first = scram.start() as Uint8Array
  await scram.next(challenge(first, 'AAAA', 4096))
  assert.throws(() => scram.finish?.(encodeUtf8('v=AAAA')), /does not know the password/)
  assert.throws(() => scram.finish?.(undefined), /does not know the password/)
})

const Challenges: readonly (readonly [string, (first: Uint8Array) => Uint8Array])[] = [
  ['noise', () => encodeUtf8('x')],
  ['a nonce of its own', () => encodeUtf8('r=abc,s=AAAA,i=4096')],
  ['too few iterations', first => challenge(first, 'AAAA', 4095)],
  [
    'more iterations than a client should do',
    first => challenge(first, 'AAAA', Limits.scramIterations + 1),
  ],
]

for (const [name, make] of Challenges) {
  test(`SCRAM refuses ${name}`, async () => {
    const scram = scramSha256({ username: 'u', password: 'p' })
    const first = scram.start() as Uint8Array
    await assert.rejects(async () => scram.next(make(first)))
  })
}

test('SCRAM escapes names, and refuses what SASLprep forbids', () => {
  const scram = scramSha256({ username: 'a=b,c', password: 'p' })
  const first = scram.start() as Uint8Array
  assert.match(decodeUtf8(first, 0, first.length), /^n,,n=a=3Db=2Cc,r=/)
  assert.throws(() => scramSha256({ username: 'a\n', password: 'p' }), { code: 'invalid-argument' })
})
