// Servers that break the protocol: each ends in the DISCONNECT that the standard names, and in an
// error that says what was wrong; the client tries again.
import assert from 'node:assert/strict'
import {
  type DisconnectPacket,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type ProtocolLevel,
} from '@godwit/packet'
import type { ConnectOptions } from './options.ts'
import { isFull, test } from './testing/kind.ts'
import { publishOf, World } from './testing/world.ts'

const { CONNACK, DISCONNECT, SUBACK, UNSUBACK, PUBACK, PUBCOMP, AUTH } = PacketType

type Bytes = readonly number[]

interface Violation {
  readonly name: string
  /** What the server sends on a connection that stands. */
  readonly bytes: Bytes | Packet
  readonly reasonCode: number
  readonly options?: ConnectOptions
}

const MALFORMED = 0x81
const PROTOCOL_ERROR = 0x82

const SUBACK_UNASKED: Packet = {
  type: SUBACK,
  packetId: 9,
  reasonCodes: [0],
  properties: NO_PROPERTIES,
}

const Violations: readonly Violation[] = [
  { name: 'packet type 0', bytes: [0x00, 0x00], reasonCode: MALFORMED },
  {
    name: 'a remaining length of five bytes',
    bytes: [0x30, 0x80, 0x80, 0x80, 0x80, 0x01],
    reasonCode: MALFORMED,
  },
  {
    name: 'a remaining length that is longer than it needs to be [MQTT-1.5.5-1]',
    bytes: [0xd0, 0x80, 0x00],
    reasonCode: MALFORMED,
  },
  { name: 'flags of PINGRESP [MQTT-2.1.3-1]', bytes: [0xd1, 0x00], reasonCode: MALFORMED },
  {
    name: 'flags of PUBREL other than 2 [MQTT-3.6.1-1]',
    bytes: [0x60, 0x02, 0x00, 0x01],
    reasonCode: MALFORMED,
  },
  {
    name: 'flags of PUBACK [MQTT-2.1.3-1]',
    bytes: [0x41, 0x02, 0x00, 0x01],
    reasonCode: MALFORMED,
  },
  {
    name: 'flags of DISCONNECT [MQTT-3.14.1-1]',
    bytes: [0xe1, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'QoS 3 [MQTT-3.3.1-4]',
    bytes: [0x36, 0x06, 0x00, 0x01, 0x61, 0x00, 0x01, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'DUP on QoS 0 [MQTT-3.3.1-2]',
    bytes: [0x38, 0x04, 0x00, 0x01, 0x61, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'a PUBLISH that ends within its topic',
    bytes: [0x30, 0x03, 0x00, 0x05, 0x61],
    reasonCode: MALFORMED,
  },
  { name: 'a PUBLISH without a topic', bytes: [0x30, 0x01, 0x00], reasonCode: MALFORMED },
  {
    name: 'a PUBLISH of QoS 1 without an identifier',
    bytes: [0x32, 0x03, 0x00, 0x01, 0x61],
    reasonCode: MALFORMED,
  },
  {
    name: 'packet identifier 0',
    bytes: [0x32, 0x06, 0x00, 0x01, 0x61, 0x00, 0x00, 0x00],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'an acknowledgement of identifier 0',
    bytes: [0x40, 0x02, 0x00, 0x00],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a topic that is not UTF-8 [MQTT-3.3.2-1] [MQTT-1.5.4-1]',
    bytes: [0x30, 0x04, 0x00, 0x01, 0xff, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'U+0000 in a topic [MQTT-1.5.4-2]',
    bytes: [0x30, 0x04, 0x00, 0x01, 0x00, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'a surrogate in a topic [MQTT-1.5.4-1]',
    bytes: [0x30, 0x06, 0x00, 0x03, 0xed, 0xa0, 0x80, 0x00],
    reasonCode: MALFORMED,
  },
  {
    name: 'a topic with a wildcard [MQTT-3.3.2-2] [MQTT-4.7.0-1]',
    bytes: [0x30, 0x06, 0x00, 0x03, 0x61, 0x2f, 0x23, 0x00],
    reasonCode: 0x90,
  },
  {
    name: 'a response topic with a wildcard [MQTT-3.3.2-14]',
    bytes: [0x30, 0x08, 0x00, 0x01, 0x61, 0x04, 0x08, 0x00, 0x01, 0x2b],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a property twice',
    bytes: [0x30, 0x08, 0x00, 0x01, 0x61, 0x04, 0x01, 0x00, 0x01, 0x00],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a property that PUBLISH cannot have',
    bytes: [0x30, 0x07, 0x00, 0x01, 0x61, 0x03, 0x21, 0x00, 0x01],
    reasonCode: MALFORMED,
  },
  {
    name: 'an empty topic without an alias',
    bytes: [0x30, 0x03, 0x00, 0x00, 0x00],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'topic alias 0 [MQTT-3.3.2-8]',
    bytes: publishOf('a', '', 0, 0, { properties: { topicAlias: 1 } }),
    reasonCode: 0x94,
  },
  {
    name: 'a topic alias above our maximum',
    bytes: publishOf('a', '', 0, 0, { properties: { topicAlias: 4 } }),
    reasonCode: 0x94,
    options: { topicAliasMaximum: 3 },
  },
  {
    name: 'a topic alias that stands for nothing',
    bytes: publishOf('', '', 0, 0, { properties: { topicAlias: 2 } }),
    reasonCode: PROTOCOL_ERROR,
    options: { topicAliasMaximum: 3 },
  },
  {
    name: 'a packet larger than our maximum',
    bytes: publishOf('a', 'x'.repeat(100), 0),
    reasonCode: 0x95,
    options: { packetBytesMax: 100 },
  },
  {
    name: 'the header of a packet that is far too large',
    bytes: [0x30, 0xff, 0xff, 0xff, 0x7f],
    reasonCode: 0x95,
  },
  {
    name: 'a second CONNACK',
    bytes: { type: CONNACK, sessionPresent: false, reasonCode: 0, properties: NO_PROPERTIES },
    reasonCode: PROTOCOL_ERROR,
  },
  { name: 'a SUBACK that was not asked for', bytes: SUBACK_UNASKED, reasonCode: PROTOCOL_ERROR },
  {
    name: 'an UNSUBACK that was not asked for',
    bytes: { ...SUBACK_UNASKED, type: UNSUBACK },
    reasonCode: PROTOCOL_ERROR,
  },
  { name: 'a CONNECT from a server', bytes: [0x10, 0x00], reasonCode: PROTOCOL_ERROR },
  { name: 'a SUBSCRIBE from a server', bytes: [0x82, 0x00], reasonCode: PROTOCOL_ERROR },
  { name: 'an UNSUBSCRIBE from a server', bytes: [0xa2, 0x00], reasonCode: PROTOCOL_ERROR },
  { name: 'a PINGREQ from a server', bytes: [0xc0, 0x00], reasonCode: PROTOCOL_ERROR },
  {
    name: 'an AUTH that was not asked for [MQTT-4.12.0-7]',
    bytes: {
      type: AUTH,
      reasonCode: 0x18,
      properties: { authenticationMethod: 'x' },
    },
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a session expiry interval in DISCONNECT',
    bytes: [0xe0, 0x07, 0x00, 0x05, 0x11, 0x00, 0x00, 0x00, 0x01],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a reason code that PUBACK cannot have [MQTT-3.4.2-1]',
    bytes: [0x40, 0x03, 0x00, 0x01, 0x18],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a reason code that PUBREC cannot have [MQTT-3.5.2-1]',
    bytes: [0x50, 0x03, 0x00, 0x01, 0x18],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a reason code that PUBREL cannot have [MQTT-3.6.2-1]',
    bytes: [0x62, 0x03, 0x00, 0x01, 0x80],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a reason code that PUBCOMP cannot have [MQTT-3.7.2-1]',
    bytes: [0x70, 0x03, 0x00, 0x01, 0x80],
    reasonCode: PROTOCOL_ERROR,
  },
  {
    name: 'a reason code that DISCONNECT cannot have [MQTT-3.14.2-1]',
    bytes: [0xe0, 0x01, 0x01],
    reasonCode: PROTOCOL_ERROR,
  },
]

function bytesOf(what: Bytes | Packet, level: ProtocolLevel): Uint8Array {
  return 'type' in what ? encodePacket(what, level) : Uint8Array.from(what)
}

for (const { name, bytes, reasonCode, options } of Violations) {
  test(`${name} ends the connection with 0x${reasonCode.toString(16)}`, async () => {
    const world = new World()
    const client = await world.connected(options)
    const events = client.events()
    const { peer } = world
    const wire = bytesOf(bytes, 5)
    // The encoder refuses to write alias 0.
    if (name.startsWith('topic alias 0')) wire[wire.length - 1] = 0
    peer.sendBytes(wire)
    const [packet, ...more] = peer.take()
    assert.deepEqual(more, [])
    assert.equal(packet?.type, DISCONNECT)
    assert.equal((packet as DisconnectPacket).reasonCode, reasonCode)
    assert.equal(peer.ended, true)
    const { value } = await events.next()
    assert.ok(value?.type === 'disconnected')
    assert.equal(value.error.code, 'protocol-error')
    assert.equal(value.error.reasonCode, reasonCode)
    // What the server sends after that is nobody's.
    peer.sendBytes(wire)
    assert.deepEqual(peer.take(), [])
    await world.advance(2000)
    assert.equal(world.peers.length, 2)
    await client.close()
  })

  test(`${name}, byte by byte, ends the connection just the same`, async () => {
    const world = new World()
    const client = await world.connected(options)
    const wire = bytesOf(bytes, 5)
    if (name.startsWith('topic alias 0')) wire[wire.length - 1] = 0
    for (const byte of wire) world.peer.sendBytes([byte])
    const [packet] = world.peer.take()
    assert.equal((packet as DisconnectPacket).reasonCode, reasonCode)
    await client.close()
  })
}

const BeforeConnack: readonly (readonly [string, Bytes])[] = [
  ['a PUBLISH before CONNACK', [0x30, 0x04, 0x00, 0x01, 0x61, 0x00]],
  ['a PINGRESP before CONNACK', [0xd0, 0x00]],
  ['a SUBACK before CONNACK', [0x90, 0x04, 0x00, 0x01, 0x00, 0x00]],
  ['an AUTH that was not asked for, before CONNACK [MQTT-4.12.0-7]', [0xf0, 0x00]],
  ['acknowledge flags that do not exist', [0x20, 0x03, 0x02, 0x00, 0x00]],
  ['a session that is present together with a refusal', [0x20, 0x03, 0x01, 0x87, 0x00]],
  ['a CONNACK that is too short', [0x20, 0x01, 0x00]],
  ['a reason code that CONNACK cannot have', [0x20, 0x03, 0x00, 0x01, 0x00]],
  [
    'a session that is present where a new one was asked for [MQTT-3.2.2-4]',
    [0x20, 0x03, 0x01, 0x00, 0x00],
  ],
  [
    'an authentication method that was not asked for',
    [0x20, 0x07, 0x00, 0x00, 0x04, 0x15, 0x00, 0x01, 0x78],
  ],
  ['a receive maximum of 0', [0x20, 0x06, 0x00, 0x00, 0x03, 0x21, 0x00, 0x00]],
  ['a maximum QoS of 2', [0x20, 0x05, 0x00, 0x00, 0x02, 0x24, 0x02]],
  ['an answer of HTTP', [...new TextEncoder().encode(`HTTP/1.1 400 Bad${' '.repeat(80)}`)]],
]

for (const [name, bytes] of BeforeConnack) {
  test(`${name} ends the attempt, and nothing more is sent`, async () => {
    const world = new World()
    const client = world.begin({ protocolVersion: 5 })
    await world.settle()
    world.peer.sendBytes(bytes)
    await assert.rejects(client, { code: 'protocol-error' })
    assert.deepEqual(world.peer.takeShort(), ['CONNECT'])
    assert.equal(world.peer.destroyed, true)
  })
}

test('an acknowledgement of the wrong kind is a protocol error', async () => {
  for (const type of [PUBACK, PUBCOMP] as const) {
    const world = new World()
    const client = await world.connected()
    const published = client.publish('a', 'x', { qos: 2 })
    published.catch(() => undefined)
    await world.settle()
    world.peer.take()
    world.peer.send({ type, packetId: 1, reasonCode: 0, properties: NO_PROPERTIES })
    assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x82'])
    await client.close()
  }
})

test('a SUBACK with too few or too many codes is a protocol error', async () => {
  for (const codes of [[0], [0, 0, 0]]) {
    const world = new World()
    const client = await world.connected()
    client.subscribe(['a', 'b'])
    await world.settle()
    world.peer.take()
    world.peer.suback(1, ...codes)
    const [packet] = world.peer.take()
    assert.equal(packet?.type, DISCONNECT)
    await client.close()
  }
})

test('an acknowledgement that nothing waits for is counted and ignored', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.puback(7)
  world.peer.pubcomp(8)
  if (isFull()) assert.equal(client.stats.strayAcks, 2)
  assert.equal(client.state, 'connected')
  assert.deepEqual(world.peer.takeShort(), [])
})

test('a PUBREC that nothing waits for is answered: identifier not found', async () => {
  const world = new World()
  await world.connected()
  world.peer.pubrec(7)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 7 0x92'])
})

test('a PUBREL that nothing waits for is answered: identifier not found', async () => {
  const world = new World()
  await world.connected()
  world.peer.pubrel(7)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBCOMP 7 0x92'])
})

test('more unacknowledged messages than allowed end the connection with 0x93', async () => {
  const world = new World()
  const client = await world.connected({ receiveMaximum: 2 })
  client.subscribe('a')
  await world.settle()
  world.peer.suback(1, 1)
  world.peer.take()
  world.peer.publish('a', '1', 1, 1)
  world.peer.publish('a', '2', 2, 2)
  assert.equal(client.state, 'connected')
  world.peer.publish('a', '3', 1, 3)
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x93'])
})

test('before MQTT 5.0 a violation closes the connection without DISCONNECT', async () => {
  for (const protocolVersion of [4, 3] as const) {
    const world = new World()
    const client = await world.connected({ protocolVersion })
    const events = client.events()
    // [MQTT-4.8.0-1 v3]
    world.peer.sendBytes([0x36, 0x05, 0x00, 0x01, 0x61, 0x00, 0x01])
    assert.deepEqual(world.peer.takeShort(), [])
    assert.equal(world.peer.ended, true)
    const { value } = await events.next()
    assert.equal(value?.type === 'disconnected' && value.error.code, 'protocol-error')
  }
})

const V3Violations: readonly (readonly [string, Bytes])[] = [
  ['QoS 3 [MQTT-3.3.1-4 v3]', [0x36, 0x05, 0x00, 0x01, 0x61, 0x00, 0x01]],
  ['DUP on QoS 0 [MQTT-3.3.1-2 v3]', [0x38, 0x03, 0x00, 0x01, 0x61]],
  ['a topic that is not UTF-8 [MQTT-1.5.3-1 v3]', [0x30, 0x03, 0x00, 0x01, 0xff]],
  ['U+0000 in a topic [MQTT-1.5.3-2 v3]', [0x30, 0x03, 0x00, 0x01, 0x00]],
  ['a topic with a wildcard [MQTT-3.3.2-2 v3] [MQTT-4.7.1-1 v3]', [0x30, 0x03, 0x00, 0x01, 0x2b]],
  ['an empty topic [MQTT-4.7.3-1 v3]', [0x30, 0x02, 0x00, 0x00]],
  ['packet identifier 0 [MQTT-2.3.1-1 v3]', [0x32, 0x05, 0x00, 0x01, 0x61, 0x00, 0x00]],
  ['flags of PUBACK [MQTT-2.2.2-1 v3] [MQTT-2.2.2-2 v3]', [0x41, 0x02, 0x00, 0x01]],
  ['flags of PUBREL other than 2 [MQTT-3.6.1-1 v3]', [0x60, 0x02, 0x00, 0x01]],
  ['a PUBACK with a reason code', [0x40, 0x03, 0x00, 0x01, 0x00]],
  ['a DISCONNECT from the server', [0xe0, 0x00]],
  ['an AUTH', [0xf0, 0x00]],
]

for (const [name, bytes] of V3Violations) {
  test(`MQTT 3.1.1: ${name} closes the connection [MQTT-4.8.0-1 v3]`, async () => {
    const world = new World()
    const client = await world.connected({ protocolVersion: 4 })
    const events = client.events()
    world.peer.sendBytes(bytes)
    assert.deepEqual(world.peer.take(), [])
    assert.equal(world.peer.ended, true)
    const { value } = await events.next()
    assert.equal(value?.type === 'disconnected' && value.error.code, 'protocol-error')
    await client.close()
  })
}

test('a server that never closes gets a while, then the connection is destroyed', async () => {
  const world = new World()
  const client = await world.connected({ closeTimeoutMs: 3000, reconnect: { initialDelayMs: 1 } })
  const { peer } = world
  peer.closesAtEnd = false
  peer.sendBytes([0, 0])
  await world.advance(2999)
  assert.equal(peer.destroyed, false)
  await world.advance(1)
  assert.equal(peer.destroyed, true)
  await client.close()
})
