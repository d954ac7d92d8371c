// What was concluded from silence holds for one connection: a client that was given MQTT 3.1.1
// because a server said nothing tries 5.0 again on the next, and what survives goes on there.
import assert from 'node:assert/strict'
import { type ConnectPacket, PacketType, type SubscribePacket } from '@godwit/packet'
import type { Client } from './client.ts'
import type { ClientEvent } from './events.ts'
import type { ConnectOptions } from './options.ts'
import { test } from './testing/kind.ts'
import { World } from './testing/world.ts'

const { CONNECT } = PacketType
const KEPT: ConnectOptions = { clientId: 'c', cleanStart: false, sessionExpirySeconds: 60 }

/** A client whose server has closed on 5.0 without a word, and has accepted 3.1.1. */
async function older(world: World, options: ConnectOptions = {}): Promise<Client> {
  const client = world.begin(options)
  await world.settle()
  world.peer.lose()
  await world.settle()
  world.peer.level = 4
  world.peer.accept()
  await world.settle()
  world.peer.take()
  return client
}

/** The next connection, as far as its CONNECT. */
async function next(world: World): Promise<ConnectPacket> {
  const count = world.peers.length
  if (!world.peer.isClosed) world.peer.lose()
  while (world.peers.length === count) await world.advance(100)
  await world.settle()
  const [packet] = world.peer.take()
  assert.ok(packet?.type === CONNECT)
  return packet
}

test('3.1.1 after silence is for one connection: the next begins with 5.0 again', async () => {
  const world = new World()
  const client = await older(world)
  assert.equal(client.negotiated.protocolVersion, 4)
  assert.equal((await next(world)).protocolLevel, 5)
  world.peer.accept()
  await world.settle()
  assert.equal(client.negotiated.protocolVersion, 5)
  // From now on it has to say that it does not know 5.0.
  for (let i = 0; i < 2; i++) assert.equal((await next(world)).protocolLevel, 5)
})

test('a server that is silent again gets 3.1.1 again, at once', async () => {
  const world = new World()
  const client = await older(world)
  for (let i = 0; i < 2; i++) {
    assert.equal((await next(world)).protocolLevel, 5)
    const { now } = world
    world.peer.lose()
    await world.settle()
    const [packet] = world.peer.take()
    assert.ok(packet?.type === CONNECT)
    assert.deepEqual([packet.protocolLevel, world.now], [4, now])
    world.peer.level = 4
    world.peer.accept()
    await world.settle()
    assert.equal(client.negotiated.protocolVersion, 4)
  }
})

test('a server that then says that it knows no 5.0 is believed', async () => {
  const world = new World()
  await older(world)
  await next(world)
  world.peer.accept({ reasonCode: 0x84 })
  await world.settle()
  world.peer.level = 4
  world.peer.accept()
  await world.settle()
  assert.equal((await next(world)).protocolLevel, 4)
})

test('5.0 after a clean session of 3.1.1 starts clean, and misses no session', async () => {
  const world = new World()
  const events: string[] = []
  const onEvent = ({ type }: ClientEvent): number => events.push(type)
  const client = await older(world, { onEvent, sessionExpirySeconds: 60 })
  client.subscribe('a')
  await world.settle()
  world.peer.suback(1, 1)
  assert.equal((await next(world)).cleanStart, true)
  world.peer.accept()
  await world.settle()
  assert.deepEqual(events, ['connected', 'disconnected', 'reconnecting', 'connected'])
  const [asked] = world.peer.take() as SubscribePacket[]
  world.peer.suback(asked?.packetId ?? 0, 1)
  // Of 5.0 there is one now.
  assert.equal((await next(world)).cleanStart, false)
  world.peer.accept()
  assert.ok(events.includes('session-lost'))
})

test('5.0 goes on with a session of 3.1.1 that was to be kept, or hears it is lost', async () => {
  for (const sessionPresent of [true, false]) {
    const world = new World()
    const events: string[] = []
    const client = await older(world, { ...KEPT, onEvent: ({ type }) => events.push(type) })
    client.subscribe('a')
    await world.settle()
    world.peer.suback(1, 1)
    assert.equal((await next(world)).cleanStart, false)
    world.peer.accept({ sessionPresent })
    assert.equal(events.includes('session-lost'), !sessionPresent)
  }
})

test('messages under way go on with 5.0, with the properties that they were given', async () => {
  const world = new World()
  const client = await older(world, KEPT)
  const done = Promise.all([
    client.publish('one', '1', { qos: 1, contentType: 'text/plain' }),
    client.publish('two', '2', { qos: 2, contentType: 'text/plain' }),
    client.publish('had', '3', { qos: 2 }),
  ])
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [
    'PUBLISH 1 one 1',
    'PUBLISH 2 two 2',
    'PUBLISH 3 had 3',
  ])
  world.peer.pubrec(3)
  await world.settle()
  await next(world)
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  const packets = world.peer.take()
  const properties = packets.map(packet => ('properties' in packet ? packet.properties : {}))
  assert.deepEqual(properties, [{ contentType: 'text/plain' }, { contentType: 'text/plain' }, {}])
  assert.deepEqual(
    packets.map(packet => packet.type),
    [PacketType.PUBLISH, PacketType.PUBLISH, PacketType.PUBREL],
  )
  world.peer.puback(1)
  world.peer.pubrec(2)
  world.peer.pubcomp(2)
  world.peer.pubcomp(3)
  await done
})

test('a message that was published with 5.0 is whole with 3.1.1', async () => {
  const world = new World()
  const client = await world.connected()
  void client.publish('a', 'text', { qos: 1, contentType: 'text/plain' })
  await world.settle()
  assert.equal((await next(world)).protocolLevel, 5)
  world.peer.accept({ reasonCode: 0x84 })
  await world.settle()
  world.peer.level = 4
  world.peer.accept()
  await world.settle()
  const [, packet] = world.peer.takeShort()
  assert.match(packet ?? '', /^PUBLISH \d a text$/)
})

test('what was granted by 3.1.1 is asked for again with its options', async () => {
  const world = new World()
  const client = await older(world, KEPT)
  client.subscribe('a', { noLocal: true, retainAsPublished: true })
  await world.settle()
  const [plain] = world.peer.take() as SubscribePacket[]
  assert.equal(plain?.subscriptions[0]?.noLocal, false)
  world.peer.suback(1, 1)
  await next(world)
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  const [packet, ...others] = world.peer.take() as SubscribePacket[]
  // The session has it, so the retained messages have come.
  const options = { noLocal: true, retainAsPublished: true, retainHandling: 2 }
  assert.deepEqual(packet?.subscriptions, [{ filter: 'a', qos: 1, ...options }])
  assert.deepEqual(others, [])
  world.peer.suback(packet.packetId, 1)
  await next(world)
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  assert.deepEqual(world.peer.take(), [])
})

test('what a new session is asked for brings what is retained, after 3.1.1 too', async () => {
  const world = new World()
  const client = await older(world)
  client.subscribe('a')
  await world.settle()
  world.peer.suback(1, 1)
  await next(world)
  world.peer.accept()
  await world.settle()
  const [packet] = world.peer.take() as SubscribePacket[]
  assert.equal(packet?.subscriptions[0]?.retainHandling, 0)
})

test('filters that overlap get identifiers as soon as the server knows them', async () => {
  const world = new World()
  const client = await older(world, KEPT)
  client.subscribe('a/+')
  client.subscribe('a/b')
  await world.settle()
  assert.equal(world.peer.take().length, 1)
  world.peer.suback(1, 1, 1)
  await next(world)
  world.peer.accept({ sessionPresent: true })
  await world.settle()
  const asked = world.peer.take() as SubscribePacket[]
  assert.deepEqual(
    asked.map(({ subscriptions: [first], properties }) => [
      first?.filter,
      properties.subscriptionIdentifiers?.length,
    ]),
    [
      ['a/+', 1],
      ['a/b', 1],
    ],
  )
})

test('5.0 keeps the receive maximum, 3.1.1 before it or not', async () => {
  const world = new World()
  await older(world, { receiveMaximum: 1 })
  await next(world)
  world.peer.accept()
  await world.settle()
  world.peer.publish('a', '1', 2, 1)
  world.peer.publish('a', '2', 2, 2)
  await world.settle()
  assert.equal(world.peer.takeShort().at(-1), 'DISCONNECT 0x93')
})
