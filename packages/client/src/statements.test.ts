// Statements on clients, by the bytes that leave: CONNECT field by field, strings, answers without
// words, AUTH, sessions over several connections. The network is a script; what it does over time
// is in the other tests.

import assert from 'node:assert/strict'
import { type Packet, PacketType, type Properties, type ProtocolLevel } from '@godwit/packet'
import type { Client } from './client.ts'
import { MqttError } from './errors.ts'
import type { Authenticator, ConnectOptions } from './options.ts'
import { test } from './testing/kind.ts'
import { type Peer, World } from './testing/world.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP, AUTH, DISCONNECT } = PacketType
const LEVELS = [5, 4] as const
const LONE_SURROGATE = 'a\ud800'

type Level = (typeof LEVELS)[number]

function utf8(text: string): number[] {
  return [...new TextEncoder().encode(text)]
}

function field(content: string | readonly number[]): number[] {
  const bytes = typeof content === 'string' ? utf8(content) : content
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}

/** A frame of less than 128 bytes. */
function frame(first: number, ...parts: readonly (number | readonly number[])[]): number[] {
  const body = parts.flat()
  assert.ok(body.length < 128)
  return [first, body.length, ...body]
}

/** The bytes of the first packet on a connection. */
async function firstBytes(options: ConnectOptions): Promise<number[]> {
  const world = new World()
  void world.begin(options)
  await world.settle()
  return [...(world.peer.writes[0] ?? [])]
}

/** A connection that is accepted, before MQTT 5.0 too. */
async function connected(level: ProtocolLevel, options: ConnectOptions = {}): Promise<World> {
  const world = new World()
  await connectWith(world, { protocolVersion: level, clientId: 'c', ...options })
  return world
}

function connectWith(world: World, options: ConnectOptions): Promise<Client> {
  return world.connected({ keepAliveSeconds: 0, ...options })
}

/** What the client wrote since, byte by byte. */
function bytesSince(peer: Peer, count: number): number[] {
  return peer.writes.slice(count).flatMap(bytes => [...bytes])
}

function kept(level: Level): ConnectOptions {
  const options = { protocolVersion: level, clientId: 'c', cleanStart: false }
  return level === 5 ? { ...options, sessionExpirySeconds: 100 } : options
}

test('CONNECT of MQTT 5.0, byte by byte [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-11] \
[MQTT-3.1.3-12] [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19]', async () => {
  const bytes = await firstBytes({
    protocolVersion: 5,
    clientId: 'meter-\u00e9',
    username: 'us\u00e9r',
    password: new Uint8Array([0, 0xff]),
    cleanStart: true,
    keepAliveSeconds: 258,
    receiveMaximum: 7,
    responseInformation: false,
    topicAliasMaximum: 0,
    will: { topic: 'st\u00e9', payload: 'off', qos: 2, retain: true, delaySeconds: 3 },
  })
  const properties = propertiesOf(bytes)
  assert.deepEqual(
    bytes,
    frame(
      0x10,
      ...[field('MQTT'), 5, 0x02 | 0x04 | 0x10 | 0x20 | 0x40 | 0x80, [1, 2]],
      ...[properties.length, properties],
      field('meter-\u00e9'),
      [5, 0x18, 0, 0, 0, 3],
      field('st\u00e9'),
      field('off'),
      field('us\u00e9r'),
      field([0, 0xff]),
    ),
  )
})

/** The properties of a CONNECT of less than 128 bytes. */
function propertiesOf(bytes: readonly number[]): number[] {
  const at = 2 + 6 + 1 + 1 + 2
  const length = bytes[at] ?? 0
  return bytes.slice(at + 1, at + 1 + length)
}

test('CONNECT of MQTT 3.1.1, byte by byte [MQTT-3.1.0-1 v3] [MQTT-3.1.3-1 v3] \
[MQTT-3.1.3-3 v3] [MQTT-3.1.2-9 v3] [MQTT-3.1.2-19 v3] [MQTT-3.1.2-21 v3] [MQTT-3.1.2-14 v3]', async () => {
  const bytes = await firstBytes({
    protocolVersion: 4,
    clientId: 'meter',
    username: 'user',
    password: 'secret',
    cleanStart: true,
    keepAliveSeconds: 30,
    will: { topic: 'state', payload: 'off', qos: 1, retain: true },
  })
  const flags = 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80
  const payload = ['meter', 'state', 'off', 'user', 'secret'].map(field)
  assert.deepEqual(bytes, frame(0x10, field('MQTT'), 4, flags, [0, 30], ...payload))
})

test('CONNECT with nothing to announce announces nothing [MQTT-3.1.2-11 v3] \
[MQTT-3.1.2-13 v3] [MQTT-3.1.2-15 v3] [MQTT-3.1.2-18 v3] [MQTT-3.1.2-20 v3]', async () => {
  const bytes = await firstBytes({ protocolVersion: 4, clientId: 'c', keepAliveSeconds: 0 })
  const flags = (bytes[9] ?? 0) & ~2
  assert.equal(flags, 0)
  assert.deepEqual(bytes.slice(10), [0, 0, ...field('c')])
})

test('CONNECT of MQTT 5.0 with nothing to announce [MQTT-3.1.2-11] [MQTT-3.1.2-13] \
[MQTT-3.1.2-16] [MQTT-3.1.2-18]', async () => {
  const bytes = await firstBytes({ protocolVersion: 5, clientId: 'c', keepAliveSeconds: 0 })
  assert.equal((bytes[9] ?? 0) & ~2, 0)
  assert.deepEqual(bytes.slice(-3), field('c'))
})

for (const [what, options] of [
  ['client identifier [MQTT-3.1.3-4] [MQTT-3.1.3-4 v3]', { clientId: LONE_SURROGATE }],
  ['user name [MQTT-3.1.3-12] [MQTT-3.1.3-11 v3]', { username: LONE_SURROGATE }],
  ['user name with U+0000 [MQTT-1.5.4-2] [MQTT-1.5.3-2 v3]', { username: 'a\0' }],
  ['topic of a will [MQTT-3.1.3-11] [MQTT-3.1.3-10 v3]', { will: { topic: LONE_SURROGATE } }],
  ['topic of a will with U+0000 [MQTT-4.7.3-2 v3]', { will: { topic: 'a\0' } }],
  ['topic of a will with a wildcard [MQTT-4.7.1-1 v3]', { will: { topic: 'a/#' } }],
] as const) {
  test(`a wrong ${what} never leaves`, async () => {
    for (const protocolVersion of LEVELS) {
      const world = new World()
      const attempt = (async () => await world.begin({ protocolVersion, ...options }))()
      attempt.catch(() => undefined)
      await world.settle()
      await assert.rejects(attempt, error => error instanceof MqttError)
      assert.deepEqual(
        world.peers.flatMap(peer => peer.writes),
        [],
      )
    }
  })
}

for (const [what, filter] of [
  ['is no UTF-8 [MQTT-3.8.3-1] [MQTT-3.8.3-1 v3]', LONE_SURROGATE],
  ['has U+0000 [MQTT-4.7.3-2] [MQTT-4.7.3-2 v3]', 'a\0'],
  ['is empty [MQTT-4.7.3-1] [MQTT-4.7.3-1 v3]', ''],
  ['has 65,536 bytes [MQTT-4.7.3-3] [MQTT-4.7.3-3 v3]', 'x'.repeat(65_536)],
  ['has "#" in the middle [MQTT-4.7.1-1] [MQTT-4.7.1-2 v3]', 'a/#/b'],
  ['has "#" behind a letter [MQTT-4.7.1-1] [MQTT-4.7.1-2 v3]', 'a#'],
  ['has "+" behind a letter [MQTT-4.7.1-2] [MQTT-4.7.1-3 v3]', 'a+'],
] as const) {
  test(`a filter that ${what} never leaves in SUBSCRIBE or UNSUBSCRIBE \
[MQTT-3.10.3-1] [MQTT-3.10.3-1 v3]`, async () => {
    for (const level of LEVELS) {
      const world = new World()
      const client = await connectWith(world, { protocolVersion: level, clientId: 'c' })
      const before = world.peer.writes.length
      const isError = (error: unknown): boolean => error instanceof MqttError
      assert.throws(() => client.subscribe([filter]), isError)
      await assert.rejects(client.unsubscribe([filter]), isError)
      await world.settle()
      assert.deepEqual(bytesSince(world.peer, before), [])
    }
  })
}

test('SUBSCRIBE and UNSUBSCRIBE have at least one filter [MQTT-3.8.3-2] [MQTT-3.8.3-3 v3] \
[MQTT-3.10.3-2] [MQTT-3.10.3-2 v3]', async () => {
  for (const level of LEVELS) {
    const world = new World()
    const client = await connectWith(world, { protocolVersion: level, clientId: 'c' })
    const before = world.peer.writes.length
    assert.throws(() => client.subscribe([]), MqttError)
    await client.unsubscribe([])
    await world.settle()
    assert.deepEqual(bytesSince(world.peer, before), [])
  }
})

test('SUBSCRIBE, UNSUBSCRIBE and PUBREL have the flags 0010, byte by byte \
[MQTT-7.0.0-2 v3] [MQTT-3.8.1-1 v3] [MQTT-3.10.1-1 v3] [MQTT-3.6.1-1 v3] [MQTT-2.2.2-1 v3]', async () => {
  const world = new World()
  const client = await connectWith(world, { protocolVersion: 4, clientId: 'c' })
  const { peer } = world
  const before = peer.writes.length
  client.subscribe('f', { qos: 1 }).ready.catch(() => undefined)
  await world.settle()
  peer.suback(1, 1)
  client.unsubscribe('g').catch(() => undefined)
  await world.settle()
  client.publish('t', 'm', { qos: 2 }).catch(() => undefined)
  await world.settle()
  const ids = peer.take().map(packet => ('packetId' in packet ? packet.packetId : 0))
  peer.pubrec(ids[2] ?? 0)
  await world.settle()
  assert.deepEqual(bytesSince(peer, before), [
    ...frame(0x82, [0, ids[0] ?? 0], field('f'), 1),
    ...frame(0xa2, [0, ids[1] ?? 0], field('g')),
    ...frame(0x34, field('t'), [0, ids[2] ?? 0], utf8('m')),
    ...frame(0x62, [0, ids[2] ?? 0]),
  ])
})

test('a topic that begins with U+FEFF keeps it, both ways [MQTT-1.5.4-3] [MQTT-1.5.3-3 v3] \
[MQTT-3.3.2-1] [MQTT-3.3.2-1 v3] [MQTT-4.3.1-1 v3] [MQTT-2.2.1-2] [MQTT-2.3.1-5 v3]', async () => {
  for (const level of LEVELS) {
    const world = new World()
    const client = await connectWith(world, { protocolVersion: level, clientId: 'c' })
    const { peer } = world
    const before = peer.writes.length
    await client.publish('\ufefft', 'm')
    await world.settle()
    const rest = level === 5 ? [0] : []
    assert.deepEqual(bytesSince(peer, before), frame(0x30, field('\ufefft'), rest, utf8('m')))
    peer.take()
    const subscription = client.subscribe('\ufefft')
    await world.settle()
    const [packet] = peer.take()
    peer.suback(packet !== undefined && 'packetId' in packet ? packet.packetId : 0, 0)
    peer.publish('t', 'without')
    peer.publish('\ufefft', 'with')
    await world.settle()
    const message = await subscription.next()
    assert.equal(message.done === true ? '' : message.value.text(), 'with')
  }
})

test('a response topic that is no UTF-8 never leaves [MQTT-3.3.2-13]', async () => {
  const world = new World()
  const client = await connectWith(world, { protocolVersion: 5, clientId: 'c' })
  const before = world.peer.writes.length
  const published = client.publish('t', 'm', { responseTopic: LONE_SURROGATE })
  await assert.rejects(published, MqttError)
  await world.settle()
  assert.deepEqual(bytesSince(world.peer, before), [])
})

test('DISCONNECT is the last thing that leaves, then the connection is closed \
[MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.14.4-1 v3] [MQTT-3.14.4-2 v3]', async () => {
  for (const level of LEVELS) {
    const world = new World()
    const client = await connectWith(world, { protocolVersion: level, clientId: 'c' })
    const { peer } = world
    const before = peer.writes.length
    const closed = client.close()
    client.publish('t', 'late', { qos: 1 }).catch(() => undefined)
    await world.settle()
    peer.sendBytes(frame(0x32, field('t'), [0, 9], level === 5 ? [0] : [], utf8('m')))
    await world.settle()
    await closed
    assert.deepEqual(bytesSince(peer, before), [0xe0, 0])
    assert.equal(peer.ended, true)
  }
})

const Answers: readonly (readonly [string, (peer: Peer) => void, Packet['type']])[] = [
  [
    'PUBACK [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-4.3.2-4]',
    peer => peer.publish('t', 'm', 1, 9),
    PUBACK,
  ],
  [
    'PUBREC [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-4.3.3-8]',
    peer => peer.publish('t', 'm', 2, 9),
    PUBREC,
  ],
  ['PUBREL [MQTT-3.6.2-2] [MQTT-3.6.2-3]', peer => peer.pubrec(9), PUBREL],
  ['PUBCOMP [MQTT-3.7.2-2] [MQTT-3.7.2-3]', peer => peer.pubrel(9), PUBCOMP],
]

for (const [name, provoke, type] of Answers) {
  test(`whatever a server takes, there are no words in ${name}`, async () => {
    for (const maximumPacketSize of [20, 100_000]) {
      const world = new World()
      await world.connected({}, { properties: { maximumPacketSize } })
      await takeUnclaimed(world, peer => provoke(peer))
      const answer = world.peer.take().find(packet => packet.type === type)
      assert.ok(answer !== undefined && 'packetId' in answer && 'properties' in answer)
      assert.deepEqual([answer.packetId, answer.properties], [9, {}])
    }
  })
}

/** Messages that nobody subscribes to are acknowledged as well, some time later [MQTT-4.5.0-2]. */
async function takeUnclaimed(world: World, provoke: (peer: Peer) => void): Promise<void> {
  provoke(world.peer)
  await world.settle()
  await world.advance(60_000)
}

test('messages are acknowledged as their QoS says, used or not, in their order \
[MQTT-2.2.1-5] [MQTT-2.3.1-6 v3] [MQTT-3.3.4-1] [MQTT-3.3.4-1 v3] [MQTT-4.5.0-2] [MQTT-4.5.0-2 v3] [MQTT-4.6.0-2] \
[MQTT-4.6.0-2 v3] [MQTT-4.6.0-3] [MQTT-4.6.0-3 v3]', async () => {
  for (const level of LEVELS) {
    const world = await connected(level)
    await takeUnclaimed(world, peer => {
      peer.publish('nobody', 'm')
      peer.publish('nobody', 'm', 1, 5)
      peer.publish('nobody', 'm', 2, 3)
      peer.publish('nobody', 'm', 1, 4)
      peer.publish('nobody', 'm', 2, 2)
    })
    const answers = world.peer.takeShort().filter(answer => answer.startsWith('PUB'))
    assert.deepEqual(answers, ['PUBACK 5', 'PUBREC 3', 'PUBACK 4', 'PUBREC 2'])
  }
})

for (const level of LEVELS) {
  const again =
    level === 5
      ? '[MQTT-3.3.1-1] [MQTT-3.3.1-3] [MQTT-4.1.0-1] [MQTT-3.1.2-23]'
      : '[MQTT-3.3.1-1 v3] [MQTT-3.3.1-3 v3] [MQTT-4.1.0-1 v3] [MQTT-2.3.1-3 v3] ' +
        '[MQTT-4.4.0-1 v3] [MQTT-4.6.0-1 v3]'
  const same = level === 5 ? '[MQTT-3.1.3-2] [MQTT-3.1.2-4]' : '[MQTT-3.1.3-2 v3] [MQTT-3.1.2-4 v3]'

  test(`after PUBACK an identifier is that of a new message, DUP or not, level ${level} \
${level === 5 ? '[MQTT-4.3.2-5]' : '[MQTT-4.3.2-2 v3]'}`, async () => {
    const world = await connected(level)
    await takeUnclaimed(world, peer => peer.publish('t', 'one', 1, 9))
    assert.deepEqual(world.peer.takeShort(), ['PUBACK 9'])
    await takeUnclaimed(world, peer => peer.publish('t', 'two', 1, 9, { dup: true }))
    assert.deepEqual(world.peer.takeShort(), ['PUBACK 9'])
  })

  test(`what is not acknowledged comes again with DUP, and only then ${again}`, async () => {
    const world = new World()
    const client = await connectWith(world, kept(level))
    client.publish('t', 'one', { qos: 1 }).catch(() => undefined)
    client.publish('t', 'two', { qos: 2 }).catch(() => undefined)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 t one', 'PUBLISH 2 t two'])
    for (let i = 0; i < 2; i++) {
      await world.reconnected({ sessionPresent: true })
      assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 DUP t one', 'PUBLISH 2 DUP t two'])
    }
    world.peer.puback(1)
    await world.reconnected({ sessionPresent: true })
    assert.deepEqual(world.peer.takeShort(), ['PUBLISH 2 DUP t two'])
  })

  test(`until PUBREC it is PUBLISH that comes again, then PUBREL, level ${level} \
${level === 5 ? '[MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6]' : '[MQTT-4.3.3-1 v3]'}`, async () => {
    const world = new World()
    const client = await connectWith(world, kept(level))
    const published = client.publish('t', 'm', { qos: 2 })
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 t m'])
    await world.reconnected({ sessionPresent: true })
    assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 DUP t m'])
    world.peer.pubrec(1)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBREL 1'])
    for (let i = 0; i < 2; i++) {
      await world.reconnected({ sessionPresent: true })
      assert.deepEqual(world.peer.takeShort(), ['PUBREL 1'])
    }
    world.peer.pubcomp(1)
    await published
    await world.reconnected({ sessionPresent: true })
    assert.deepEqual(world.peer.takeShort(), [])
  })

  test(`every connection of a client has its identifier; a clean start is asked for once, \
level ${level} ${same}`, async () => {
    const world = new World()
    const options = { ...kept(level), cleanStart: true }
    await connectWith(world, options)
    const flagsOf = (peer: Peer): number => (peer.writes[0]?.[9] ?? 0) & 2
    world.peer.lose()
    while (world.peers.length === 1) await world.advance(100)
    await world.settle()
    const [first, second] = world.peers as [Peer, Peer]
    assert.equal(flagsOf(first), 2)
    if (level === 5) assert.equal(flagsOf(second), 0)
    const idOf = (peer: Peer): string => {
      return new TextDecoder().decode(Uint8Array.from((peer.writes[0] ?? []).slice(-3)))
    }
    assert.deepEqual([idOf(first), idOf(second)], ['\0\u0001c', '\0\u0001c'])
  })
}

test('the server may use every alias up to the maximum of the client [MQTT-3.3.2-10]', async () => {
  const topicAliasMaximum = 5
  const world = new World()
  const client = await connectWith(world, { clientId: 'c', topicAliasMaximum })
  const messages = client.unclaimed()
  for (const name of [true, false]) {
    for (let topicAlias = 1; topicAlias <= topicAliasMaximum; topicAlias++) {
      const topic = name ? `t${topicAlias}` : ''
      world.peer.publish(topic, `${topicAlias}`, 0, 0, { properties: { topicAlias } })
    }
  }
  await world.settle()
  for (let i = 0; i < topicAliasMaximum * 2; i++) {
    const message = await messages.next()
    assert.ok(message.done !== true)
    assert.equal(message.value.topic, `t${message.value.text()}`)
  }
})

for (const level of LEVELS) {
  const ids = level === 5 ? '[MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12]' : '[MQTT-4.3.3-2 v3]'

  test(`QoS 2 is taken once until PUBREL, then its identifier is new ${ids}`, async () => {
    const world = new World()
    const client = await connectWith(world, { protocolVersion: level, clientId: 'c' })
    const messages = client.unclaimed({ ack: 'received' })
    const take = async (): Promise<string> => {
      const message = await messages.next()
      return message.done === true ? '' : message.value.text()
    }
    const { peer } = world
    peer.publish('t', 'one', 2, 9)
    assert.equal(await take(), 'one')
    await world.settle()
    peer.publish('t', 'again', 2, 9, { dup: true })
    await world.settle()
    assert.deepEqual(peer.takeShort(), ['PUBREC 9', 'PUBREC 9'])
    peer.pubrel(9)
    await world.settle()
    assert.deepEqual(peer.takeShort(), ['PUBCOMP 9'])
    peer.publish('t', 'two', 2, 9)
    assert.equal(await take(), 'two')
  })
}

test('an identifier that PUBREC has refused is that of a new message [MQTT-4.3.3-9]', async () => {
  const world = new World()
  const client = await connectWith(world, { protocolVersion: 5, clientId: 'c' })
  const { peer } = world
  const refusing = client.unclaimed().forEach(() => {
    throw new Error('no room')
  })
  refusing.catch(() => undefined)
  peer.publish('t', 'one', 2, 9)
  await world.settle()
  await assert.rejects(refusing)
  const [refusal] = peer.take()
  assert.ok(refusal?.type === PUBREC && refusal.packetId === 9 && refusal.reasonCode >= 0x80)
  const messages = client.unclaimed({ ack: 'received' })
  peer.publish('t', 'two', 2, 9)
  const message = await messages.next()
  assert.equal(message.done === true ? '' : message.value.text(), 'two')
  await world.settle()
  assert.deepEqual(peer.takeShort(), ['PUBREC 9'])
})

test('a message that was sent does not expire, however long its handshake takes \
[MQTT-4.3.3-7] [MQTT-4.3.3-13]', async () => {
  const world = new World()
  const client = await connectWith(world, kept(5))
  const published = client.publish('t', 'm', { qos: 2, messageExpirySeconds: 1 })
  await world.settle()
  world.peer.publish('u', 'm', 2, 9, { properties: { messageExpiryInterval: 1 } })
  await world.settle()
  await world.advance(60_000)
  assert.deepEqual(
    world.peer.takeShort().filter(short => short.startsWith('PUB')),
    ['PUBLISH 1 t m', 'PUBREC 9'],
  )
  await world.reconnected({ sessionPresent: true })
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 DUP t m'])
  world.peer.pubrel(9)
  world.peer.pubrec(1)
  await world.settle()
  world.peer.pubcomp(1)
  await published
  assert.deepEqual(world.peer.takeShort().sort(), ['PUBCOMP 9', 'PUBREL 1'])
})

const STEP: Authenticator = {
  method: 'STEP',
  start: () => Uint8Array.of(1),
  next: data => Uint8Array.of((data[0] ?? 0) + 1),
}

/** A client in the middle of its authentication. */
async function authenticating(): Promise<{ world: World; client: Promise<Client> }> {
  const world = new World()
  const client = world.begin({ authenticator: STEP, keepAliveSeconds: 0, reconnect: false })
  await world.settle()
  world.peer.take()
  sendAuth(world.peer, 0x18, 7)
  await world.settle()
  return { world, client }
}

function sendAuth(peer: Peer, reasonCode: number, data: number, method = 'STEP'): void {
  const properties = { authenticationMethod: method, authenticationData: Uint8Array.of(data) }
  peer.send({ type: AUTH, reasonCode, properties })
}

function authOf(packet: Packet | undefined): readonly [number, Properties] {
  assert.ok(packet?.type === AUTH)
  return [packet.reasonCode, packet.properties]
}

test('the answer to AUTH is AUTH 0x18 with the method and without words [MQTT-4.12.0-3] \
[MQTT-4.12.0-5] [MQTT-3.15.2-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3]', async () => {
  const { world } = await authenticating()
  const properties = { authenticationMethod: 'STEP', authenticationData: Uint8Array.of(8) }
  assert.deepEqual(authOf(world.peer.take()[0]), [0x18, properties])
})

test('re-authentication is AUTH 0x19 with the method of CONNECT [MQTT-4.12.1-1]', async () => {
  const { world, client } = await authenticating()
  world.peer.accept({ properties: { authenticationMethod: 'STEP' } })
  const renewed = (await client).reauthenticate()
  await world.settle()
  world.peer.take().slice(0, -1)
  sendAuth(world.peer, 0x18, 1)
  await world.settle()
  assert.equal(authOf(world.peer.take()[0])[0], 0x18)
  sendAuth(world.peer, 0x00, 1)
  await renewed
})

test('AUTH and CONNACK with another method end the attempt [MQTT-4.12.0-5]', async () => {
  for (const provoke of [
    (peer: Peer) => sendAuth(peer, 0x18, 1, 'OTHER'),
    (peer: Peer) => peer.accept({ properties: { authenticationMethod: 'OTHER' } }),
  ]) {
    const { world, client } = await authenticating()
    provoke(world.peer)
    await world.settle()
    await assert.rejects(client, MqttError)
    assert.equal(world.peer.isClosed, true)
  }
})

test('a re-authentication that the client refuses ends with DISCONNECT and the connection \
[MQTT-4.12.1-2] [MQTT-4.13.2-1] [MQTT-3.14.2-3] [MQTT-3.14.2-4]', async () => {
  const world = new World()
  let refusing = false
  const next = (data: Uint8Array): Uint8Array => {
    if (refusing) throw new Error('words '.repeat(50))
    return data
  }
  const options = { authenticator: { ...STEP, next }, keepAliveSeconds: 0, reconnect: false }
  const opened = world.begin(options)
  await world.settle()
  const properties = { authenticationMethod: 'STEP', maximumPacketSize: 40 }
  world.peer.accept({ properties })
  const client = await opened
  world.peer.take()
  refusing = true
  const renewed = client.reauthenticate()
  renewed.catch(() => undefined)
  await world.settle()
  world.peer.take()
  const before = world.peer.writes.length
  sendAuth(world.peer, 0x18, 1)
  await world.settle()
  await assert.rejects(renewed, MqttError)
  const [last] = world.peer.take()
  assert.ok(last?.type === DISCONNECT && last.reasonCode >= 0x80)
  assert.deepEqual(last.properties.userProperties, undefined)
  assert.ok(bytesSince(world.peer, before).length <= 40)
  assert.equal(world.peer.isClosed, true)
})

test('a session of MQTT 3.1.1 lasts as long as its connection and, kept, longer \
[MQTT-4.1.0-2 v3] [MQTT-3.1.2-6 v3]', async () => {
  for (const cleanStart of [true, false]) {
    const world = new World()
    const client = await connectWith(world, { protocolVersion: 4, clientId: 'c', cleanStart })
    const subscription = client.subscribe('f', { qos: 1 })
    await world.settle()
    const [packet] = world.peer.take()
    world.peer.suback(packet !== undefined && 'packetId' in packet ? packet.packetId : 0, 1)
    await subscription.ready
    const before = world.peer.writes[0]?.[9] ?? 0
    assert.equal((before & 2) !== 0, cleanStart)
    await world.reconnected({ sessionPresent: !cleanStart })
    // What the server has forgotten is subscribed to anew, and nothing else.
    const expected = cleanStart ? ['SUBSCRIBE 1 f'] : []
    const short = world.peer.takeShort().map(text => text.replace(/SUBSCRIBE \d+/, 'SUBSCRIBE 1'))
    assert.deepEqual(short, expected)
  }
})
