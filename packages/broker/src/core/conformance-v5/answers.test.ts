// MQTT 5.0: what each answer of the server says, to the last byte: reason codes, and the words that
// are left out. This server puts words into CONNACK and DISCONNECT only, user properties nowhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Packet, PacketType, ReasonCode } from '@godwit/packet'
import { only } from '../../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../../testing/harness.ts'
import {
  assertConnack,
  connectKept,
  disconnectPacket,
  subscribePacket,
  typesOf,
  unsubscribePacket,
  utf8,
  watch,
  willOf,
} from '../../testing/v5.ts'
import type { AuthenticationVerdict } from '../ports.ts'

const WORDS = 'words that no answer but CONNACK and DISCONNECT may have room for'

/** Answers that say no, each with the steps that bring it about and the one code it has. */
const Refusals: readonly (readonly [string, number, (client: TestClient) => Packet[]])[] = [
  [
    'PUBACK [MQTT-3.4.2-1] [MQTT-3.4.2-2] [MQTT-3.4.2-3]',
    ReasonCode.NOT_AUTHORIZED,
    client => client.publish('no', 'm', { qos: 1, packetId: 2 }).take(),
  ],
  [
    'PUBREC [MQTT-3.5.2-1] [MQTT-3.5.2-2] [MQTT-3.5.2-3]',
    ReasonCode.NOT_AUTHORIZED,
    client => client.publish('no', 'm', { qos: 2, packetId: 2 }).take(),
  ],
  [
    'PUBREL [MQTT-3.6.2-1] [MQTT-3.6.2-2] [MQTT-3.6.2-3]',
    ReasonCode.PACKET_IDENTIFIER_NOT_FOUND,
    client => client.acknowledge(PacketType.PUBREC, 99),
  ],
  [
    'PUBCOMP [MQTT-3.7.2-1] [MQTT-3.7.2-2] [MQTT-3.7.2-3]',
    ReasonCode.PACKET_IDENTIFIER_NOT_FOUND,
    client => client.acknowledge(PacketType.PUBREL, 99),
  ],
  [
    'SUBACK [MQTT-3.9.3-2] [MQTT-3.9.2-1] [MQTT-3.9.2-2]',
    ReasonCode.NOT_AUTHORIZED,
    client => client.subscribe('no'),
  ],
  [
    'UNSUBACK [MQTT-3.11.3-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]',
    ReasonCode.NO_SUBSCRIPTION_EXISTED,
    client => client.ask(unsubscribePacket(7, ['never'])),
  ],
]

class Strict extends OpenGuard {
  override checksPermissions = true
  override mayPublish(...[, topic]: Parameters<OpenGuard['mayPublish']>): number {
    return topic === 'no' ? ReasonCode.NOT_AUTHORIZED : 0
  }
  override maySubscribe(...[, filter]: Parameters<OpenGuard['maySubscribe']>): number {
    return filter === 'no' ? ReasonCode.NOT_AUTHORIZED : 0
  }
}

for (const [name, code, ask] of Refusals) {
  test(`a refusal is a bare ${name}`, () => {
    for (const requestProblemInformation of [0, 1]) {
      const world = new World({ guard: new Strict() })
      const [answer, ...more] = ask(world.connect({ properties: { requestProblemInformation } }))
      assert.deepEqual(more, [])
      assert.ok(answer !== undefined && 'properties' in answer)
      assert.deepEqual(answer.properties, {})
      const codes = 'reasonCodes' in answer ? answer.reasonCodes : [codeOf(answer)]
      assert.deepEqual(codes, [code])
    }
  })
}

function codeOf(packet: Packet): number {
  return 'reasonCode' in packet ? packet.reasonCode : -1
}

test('CONNACK and DISCONNECT have no user property, whatever fits \
[MQTT-3.2.2-20] [MQTT-3.14.2-4]', () => {
  for (const maximumPacketSize of [40, 100_000]) {
    const world = new World({ limits: { clientIdBytesMax: 10 } })
    const properties = { maximumPacketSize }
    const asked = connectPacket({ clientId: 'x'.repeat(11), properties })
    const connack = assertConnack(world.open(), asked, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
    assert.equal(connack.properties.userProperties, undefined)
    const client = world.connect({ clientId: 'c', properties })
    world.connect({ clientId: 'c' })
    const disconnect = only(client.take(), PacketType.DISCONNECT)
    assert.equal(disconnect.properties.userProperties, undefined)
  }
})

class Stepping extends OpenGuard {
  override authenticationMethods = ['STEP', 'OTHER']
  override authenticate(): AuthenticationVerdict {
    return { reasonCode: ReasonCode.CONTINUE_AUTHENTICATION, reasonString: WORDS }
  }
  override proceed(): AuthenticationVerdict {
    return { reasonCode: 0, reasonString: WORDS }
  }
}

function authPacket(reasonCode: number, authenticationMethod: string) {
  const properties = { authenticationMethod, authenticationData: utf8('x') }
  return { type: PacketType.AUTH, reasonCode, properties } as const
}

/** A client in the middle of the authentication by STEP. */
function stepping(): TestClient {
  const client = new World({ guard: new Stepping() }).open()
  const auth = client.ask(connectPacket({ properties: { authenticationMethod: 'STEP' } }))
  assert.deepEqual(only(auth, PacketType.AUTH).properties, { authenticationMethod: 'STEP' })
  return client
}

test('AUTH has a method and no words [MQTT-3.15.2-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3]', () => {
  const client = stepping()
  client.ask(authPacket(ReasonCode.CONTINUE_AUTHENTICATION, 'STEP'))
  const auth = only(client.ask(authPacket(ReasonCode.RE_AUTHENTICATE, 'STEP')), PacketType.AUTH)
  assert.equal(auth.reasonCode, 0)
  assert.deepEqual(auth.properties, { authenticationMethod: 'STEP' })
})

test('AUTH 0x00 from a client is refused: it is the word of a server [MQTT-4.12.0-3]', () => {
  assertConnack(stepping(), authPacket(0, 'STEP'), ReasonCode.PROTOCOL_ERROR)
})

test('AUTH with another method than CONNECT had is refused [MQTT-4.12.0-5]', () => {
  const packet = authPacket(ReasonCode.CONTINUE_AUTHENTICATION, 'OTHER')
  assertConnack(stepping(), packet, ReasonCode.PROTOCOL_ERROR)
})

test('re-authentication with another method ends the connection [MQTT-4.12.1-1]', () => {
  const client = stepping()
  client.ask(authPacket(ReasonCode.CONTINUE_AUTHENTICATION, 'STEP'))
  const answer = client.ask(authPacket(ReasonCode.RE_AUTHENTICATE, 'OTHER'))
  assert.equal(only(answer, PacketType.DISCONNECT).reasonCode, ReasonCode.PROTOCOL_ERROR)
  assert.equal(client.ended, true)
})

for (const [name, packet] of [
  ['SUBSCRIBE', subscribePacket(1, ['a'])],
  ['UNSUBSCRIBE', unsubscribePacket(1, ['a'])],
  ['PINGREQ', { type: PacketType.PINGREQ }],
] as const) {
  test(`${name} before CONNACK is refused, where AUTH is awaited [MQTT-3.1.2-30]`, () => {
    assertConnack(stepping(), packet, ReasonCode.PROTOCOL_ERROR)
  })
}

test('a session with an expiry interval is put into the store, another is not \
[MQTT-3.1.2-23]', () => {
  const world = new World()
  const stored = (): unknown[] => world.store.records.filter(([name]) => name === 'putSession')
  world.connect({ clientId: 'brief' })
  assert.equal(stored().length, 0)
  world.store.slow = true
  const client = world.open()
  const properties = { sessionExpiryInterval: 60 }
  assert.deepEqual(client.ask(connectPacket({ clientId: 'kept', properties })), [])
  assert.equal(stored().length, 1)
  world.store.finish()
  only(client.take(), PacketType.CONNACK)
})

test('nothing is left of a session that ends with its connection [MQTT-4.1.0-2]', () => {
  const world = new World()
  const client = world.connect({ clientId: 'brief' })
  client.subscribe('a', 1)
  client.cut()
  assert.equal(world.broker.sessions.byClientId.size, 0)
  assert.equal(world.broker.subscriptionCount, 0)
})

test('a clean start where a session is kept: Session Present is 0 [MQTT-3.2.2-2]', () => {
  const world = new World()
  connectKept(world, 'c').cut()
  const client = connectKept(world, 'c', {}, { cleanStart: true })
  assert.equal(client.connack?.sessionPresent, false)
})

test('a will that has gone out after its delay is forgotten [MQTT-3.1.2-10]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const will = willOf('will', 'gone', { properties: { willDelayInterval: 10 } })
  connectKept(world, 'c', { sessionExpiryInterval: 60 }, { will }).cut()
  world.advance(11_000)
  assert.equal(watcher.takePublishes().length, 1)
  world.advance(100_000)
  assert.equal(world.broker.sessions.byClientId.has('c'), false)
  assert.deepEqual(watcher.take(), [])
})

test('UNSUBSCRIBE compares filters character by character, and takes several \
[MQTT-3.10.4-1] [MQTT-3.10.4-6]', () => {
  const world = new World()
  const client = world.connect()
  client.ask(subscribePacket(1, ['a', 'B', '+/c', '\u00e9']))
  const filters = ['A', 'a/', 'b', '#', 'x/c', 'e\u0301', 'B', '+/c']
  const unsuback = only(client.ask(unsubscribePacket(2, filters)), PacketType.UNSUBACK)
  assert.deepEqual(unsuback.reasonCodes, [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0, 0])
  const publisher = world.connect({ clientId: 'p' })
  for (const topic of ['a', 'B', 'x/c', '\u00e9']) publisher.publish(topic, 'm')
  assert.deepEqual(
    client.takePublishes().map(({ topic }) => topic),
    ['a', '\u00e9'],
  )
})

test('each PUBLISH of QoS 2 gets its own PUBREC, the first as well [MQTT-4.3.3-8]', () => {
  const client = new World().connect()
  for (const packetId of [4, 4, 5]) {
    client.publish('t', 'm', { qos: 2, packetId })
    assert.equal(only(client.take(), PacketType.PUBREC).packetId, packetId)
  }
})

test('DISCONNECT with a reason that only a server has is a protocol error \
[MQTT-3.14.2-1]', () => {
  const client = new World().connect()
  // 0x85 is no reason code of DISCONNECT at all.
  client.send(Uint8Array.of(0xe0, 1, 0x85))
  assert.deepEqual(typesOf(client.take()), [PacketType.DISCONNECT])
  const other = new World().connect()
  other.send(disconnectPacket(ReasonCode.UNSPECIFIED_ERROR))
  assert.deepEqual(other.take(), [])
  assert.equal(other.ended, true)
})
