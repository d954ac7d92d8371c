// MQTT 5.0: what begins and ends with connections and sessions: CONNACK, session state, wills,
// expiries, aliases, DISCONNECT, AUTH, and the limits that a client asks for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import { field, frame, only } from '../../testing/bytes.ts'
import { connectPacket, OpenGuard, text, World } from '../../testing/harness.ts'
import { connectKept, disconnectPacket, typesOf, utf8, watch, willOf } from '../../testing/v5.ts'
import type { AuthenticationVerdict } from '../ports.ts'

const WILL = willOf('will', 'gone')

test('the will goes out when the connection ends without DISCONNECT 0x00, once \
[MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-14]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const client = connectKept(world, 'c', {}, { will: WILL })
  client.cut()
  assert.deepEqual(watcher.takePublishes().map(text), ['gone'])
  connectKept(world, 'c').cut()
  world.advance(4_000_000)
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.broker.retainer.messages.count, 0)
})

test('a retained will is retained [MQTT-3.1.2-15]', () => {
  const world = new World()
  world.connect({ will: { ...WILL, retain: true } }).cut()
  const [, retained] = world.connect({ clientId: 'w' }).subscribe('will')
  assert.equal(retained?.type === PacketType.PUBLISH && retained.retain, true)
})

test('DISCONNECT 0x00 drops the will, 0x04 sends it [MQTT-3.14.4-3]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  world.connect({ will: WILL }).disconnect()
  assert.deepEqual(watcher.take(), [])
  world.connect({ will: WILL }).disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE)
  assert.equal(watcher.takePublishes().length, 1)
})

test('coming back within the will delay suppresses the will [MQTT-3.1.3-9]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const will = { ...WILL, properties: { willDelayInterval: 10 } }
  connectKept(world, 'c', {}, { will }).cut()
  world.advance(9000)
  const again = connectKept(world, 'c', {}, { will })
  world.advance(60_000)
  assert.deepEqual(watcher.take(), [])
  again.cut()
  world.advance(9000)
  assert.deepEqual(watcher.take(), [])
  world.advance(2000)
  assert.equal(watcher.takePublishes().length, 1)
})

test('the end of the session ends the will delay [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const will = { ...WILL, properties: { willDelayInterval: 1000 } }
  connectKept(world, 'c', { sessionExpiryInterval: 5 }, { will }).cut()
  world.advance(6000)
  assert.equal(watcher.takePublishes().length, 1)
})

test('properties of the will pass in their order [MQTT-3.1.3-10]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const userProperties = [
    ['b', '1'],
    ['a', '2'],
    ['b', '3'],
  ] as const
  world.connect({ will: { ...WILL, properties: { userProperties } } }).cut()
  const publish = only(watcher.take(), PacketType.PUBLISH)
  assert.deepEqual(publish.properties.userProperties, userProperties)
})

test('a session is kept for its expiry interval and no longer \
[MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.1.0-2] [MQTT-3.2.2-3]', () => {
  const world = new World()
  assert.equal(world.connect({ clientId: 'c' }).connack?.sessionPresent, false)
  const kept = connectKept(world, 'c', { sessionExpiryInterval: 10 })
  assert.equal(kept.connack?.sessionPresent, false)
  kept.cut()
  world.advance(9000)
  const again = connectKept(world, 'c', { sessionExpiryInterval: 10 })
  assert.equal(again.connack?.sessionPresent, true)
  world.advance(60_000)
  again.cut()
  world.advance(11_000)
  assert.equal(connectKept(world, 'c').connack?.sessionPresent, false)
})

test('a server that keeps no sessions takes any expiry interval in DISCONNECT', () => {
  const world = new World({ limits: { sessionExpirySecondsMax: 0 } })
  const watcher = watch(world, 'w')
  const client = connectKept(world, 'c', {}, { will: willOf('w', 'gone') })
  client.send({
    type: PacketType.DISCONNECT,
    reasonCode: 0,
    properties: { sessionExpiryInterval: 60 },
  })
  assert.deepEqual(client.take(), [])
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.broker.sessions.count, 1)
})

test('an expiry interval of 0xFFFFFFFF is never', () => {
  const world = new World()
  connectKept(world, 'c', { sessionExpiryInterval: 0xffff_ffff }).cut()
  world.advance(400 * 24 * 3600 * 1000)
  assert.equal(connectKept(world, 'c').connack?.sessionPresent, true)
})

test('CONNACK comes first and once [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT-3.14.0-1]', () => {
  const world = new World()
  const before = connectKept(world, 'c')
  before.subscribe('a', 1)
  before.cut()
  world.connect({ clientId: 'p' }).publish('a', 'm', { qos: 1 })
  world.store.slow = true
  const client = world.open()
  const properties = { sessionExpiryInterval: 3600 }
  client.send(connectPacket({ clientId: 'c', cleanStart: false, properties }))
  client.send({ type: PacketType.PINGREQ })
  assert.deepEqual(client.take(), [])
  world.store.slow = false
  world.store.finish()
  const types = typesOf(client.take())
  assert.equal(types[0], PacketType.CONNACK)
  assert.deepEqual(new Set(types.slice(1)), new Set([PacketType.PUBLISH, PacketType.PINGRESP]))
})

test('a message beyond Maximum Packet Size is dropped and counted \
[MQTT-3.1.2-24] [MQTT-3.1.2-25]', () => {
  for (const qos of [0, 1, 2] as const) {
    const world = new World()
    const client = connectKept(world, 'c', { maximumPacketSize: 60 })
    client.subscribe('a', 2)
    const publisher = world.connect({ clientId: 'p' })
    publisher.publish('a', 'x'.repeat(100), { qos })
    publisher.publish('a', 'short', { qos, packetId: qos === 0 ? 0 : 2 })
    assert.deepEqual(client.takePublishes().map(text), ['short'])
    assert.equal(world.broker.ledger.totalOf('packet-too-large'), 1)
  }
})

test('no alias goes to a client that allows none [MQTT-3.1.2-27]', () => {
  const world = new World()
  const client = watch(world, 'a')
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 3; i++) publisher.publish('a', 'm')
  for (const publish of client.takePublishes()) {
    assert.equal(publish.topic, 'a')
    assert.equal(publish.properties.topicAlias, undefined)
  }
})

test('aliases to a client are within its maximum [MQTT-3.1.2-26] [MQTT-3.3.2-11]', () => {
  const world = new World()
  const client = world.connect({ properties: { topicAliasMaximum: 2 } })
  client.subscribe('#')
  const publisher = world.connect({ clientId: 'p' })
  for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) publisher.publish(topic, 'm')
  const seen = client.takePublishes().map(({ topic, properties }) => [topic, properties.topicAlias])
  assert.deepEqual(seen, [
    ['a', 1],
    ['b', 2],
    ['c', undefined],
    ['', 1],
    ['', 2],
    ['c', undefined],
  ])
})

test('each alias up to the maximum is accepted, and ends with the connection \
[MQTT-3.3.2-12] [MQTT-3.3.2-7]', () => {
  const world = new World({ limits: { topicAliasMaximum: 3 } })
  const watcher = watch(world, '#')
  const publisher = connectKept(world, 'p')
  assert.equal(publisher.connack?.properties.topicAliasMaximum, 3)
  for (const topicAlias of [1, 2, 3]) {
    publisher.publish(`t${topicAlias}`, 'm', { properties: { topicAlias } })
    publisher.publish('', 'm', { properties: { topicAlias } })
  }
  const topics = watcher.takePublishes().map(publish => publish.topic)
  assert.deepEqual(topics, ['t1', 't1', 't2', 't2', 't3', 't3'])
  publisher.cut()
  const again = connectKept(world, 'p')
  again.publish('', 'm', { properties: { topicAlias: 1 } })
  assert.equal(only(again.take(), PacketType.DISCONNECT).reasonCode, 0x82)
})

test('Response Information comes only when it was asked for [MQTT-3.1.2-28]', () => {
  const world = new World({ core: { responseTopicPrefix: 'reply' } })
  const silent = world.connect({ clientId: 'a' })
  assert.equal(silent.connack?.properties.responseInformation, undefined)
  const asking = world.connect({ clientId: 'b', properties: { requestResponseInformation: 1 } })
  assert.equal(asking.connack?.properties.responseInformation, 'reply/b')
})

test('CONNACK tells Maximum QoS, and SUBSCRIBE may still ask for more \
[MQTT-3.2.2-9] [MQTT-3.2.2-10]', () => {
  const world = new World({ limits: { maximumQoS: 1 } })
  const client = world.connect()
  assert.equal(client.connack?.properties.maximumQoS, 1)
  assert.deepEqual(only(client.subscribe('a', 2), PacketType.SUBACK).reasonCodes, [1])
})

test('a will beyond what is supported is refused [MQTT-3.2.2-12] [MQTT-3.2.2-13] \
[MQTT-3.2.2-7]', () => {
  const world = new World({ limits: { maximumQoS: 0, retainAvailable: false } })
  for (const [will, code] of [
    [{ ...WILL, qos: 1 as const }, ReasonCode.QOS_NOT_SUPPORTED],
    [{ ...WILL, retain: true }, ReasonCode.RETAIN_NOT_SUPPORTED],
  ] as const) {
    const client = world.open()
    const connack = only(client.ask(connectPacket({ will })), PacketType.CONNACK)
    assert.equal(connack.reasonCode, code)
    assert.equal(client.ended, true)
  }
})

test('an assigned client id is long enough not to be guessed', () => {
  const world = new World()
  const ids = [1, 2].map(() => {
    const client = world.connect({ clientId: '' })
    return client.connack?.properties.assignedClientIdentifier ?? ''
  })
  assert.ok(ids.every(id => id.length >= 16))
  assert.notEqual(ids[0], ids[1])
})

test('reason strings are left out where they would be too large \
[MQTT-3.2.2-19] [MQTT-3.14.2-3]', () => {
  const world = new World({ limits: { clientIdBytesMax: 23 } })
  const refused = world.open()
  const properties = { maximumPacketSize: 20 }
  const connack = refused.ask(connectPacket({ clientId: 'x'.repeat(24), properties }))
  assert.deepEqual(only(connack, PacketType.CONNACK).properties, {})
  const client = world.connect({ clientId: 'c', properties })
  const disconnect = client.ask(frame(0xc1))
  assert.equal(only(disconnect, PacketType.DISCONNECT).properties.reasonString, undefined)
})

test('properties pass on unaltered, user properties in order [MQTT-3.3.2-4] [MQTT-3.3.2-15] \
[MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]', () => {
  const world = new World()
  const live = watch(world, 'a')
  const kept = connectKept(world, 'kept')
  kept.subscribe('a', 1)
  kept.cut()
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: utf8('c'),
    userProperties: [
      ['z', '1'],
      ['a', '2'],
      ['z', '1'],
    ] as const,
  }
  world.connect({ clientId: 'p' }).publish('a', 'm', { qos: 1, properties })
  assert.deepEqual(only(live.take(), PacketType.PUBLISH).properties, properties)
  const again = connectKept(world, 'kept')
  const stored = only([...again.early, ...again.take()], PacketType.PUBLISH)
  assert.deepEqual(stored.properties, properties)
})

test('what waits loses from its expiry interval, and goes when it is over \
[MQTT-3.3.2-5] [MQTT-3.3.2-6]', () => {
  const world = new World()
  const kept = connectKept(world, 'kept')
  kept.subscribe('a', 1)
  kept.cut()
  const publisher = world.connect({ clientId: 'p' })
  for (const [i, seconds] of [100, 5].entries()) {
    const properties = { messageExpiryInterval: seconds }
    publisher.publish('a', `m${seconds}`, { qos: 1, packetId: i + 1, properties })
  }
  world.advance(10_000)
  const again = connectKept(world, 'kept')
  const publish = only([...again.early, ...again.take()], PacketType.PUBLISH)
  assert.equal(text(publish), 'm100')
  assert.equal(publish.properties.messageExpiryInterval, 90)
  assert.equal(world.broker.ledger.totalOf('expired'), 1)
})

test('after DISCONNECT nothing is sent and the connection is closed \
[MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1]', () => {
  const world = new World()
  const client = watch(world, 'a')
  const [disconnect] = client.ask(frame(0x36, field('a')))
  assert.equal(disconnect?.type, PacketType.DISCONNECT)
  assert.equal(client.ended, true)
  world.connect({ clientId: 'p' }).publish('a', 'm')
  assert.deepEqual(client.take(), [])
})

test('DISCONNECT may shorten the session, and not begin one', () => {
  const world = new World()
  const kept = connectKept(world, 'c')
  kept.send(disconnectPacket(0, { sessionExpiryInterval: 0 }))
  assert.equal(world.broker.sessions.byClientId.size, 0)
  const plain = world.connect()
  const answer = plain.ask(disconnectPacket(0, { sessionExpiryInterval: 5 }))
  assert.equal(only(answer, PacketType.DISCONNECT).reasonCode, ReasonCode.PROTOCOL_ERROR)
})

class StepGuard extends OpenGuard {
  override authenticationMethods = ['STEP']
  override authenticate(): AuthenticationVerdict {
    return { reasonCode: ReasonCode.CONTINUE_AUTHENTICATION, authenticationData: utf8('1') }
  }
  override proceed(...[, , , data]: Parameters<OpenGuard['proceed']>): AuthenticationVerdict {
    const good = data !== null && new TextDecoder().decode(data) === 'yes'
    return { reasonCode: good ? 0 : ReasonCode.NOT_AUTHORIZED }
  }
}

function authPacket(reasonCode: number, answer: string) {
  const properties = { authenticationMethod: 'STEP', authenticationData: utf8(answer) }
  return { type: PacketType.AUTH, reasonCode, properties } as const
}

const STEP = { authenticationMethod: 'STEP' }

test('AUTH goes to and fro with its method until CONNACK [MQTT-4.12.0-2] [MQTT-4.12.0-5]', () => {
  const world = new World({ guard: new StepGuard() })
  const client = world.open()
  const auth = only(client.ask(connectPacket({ properties: STEP })), PacketType.AUTH)
  assert.equal(auth.reasonCode, ReasonCode.CONTINUE_AUTHENTICATION)
  assert.equal(auth.properties.authenticationMethod, 'STEP')
  const connack = only(client.ask(authPacket(0x18, 'yes')), PacketType.CONNACK)
  assert.equal(connack.reasonCode, 0)
  assert.equal(connack.properties.authenticationMethod, 'STEP')
})

test('an unknown method, and a wrong answer, are refused [MQTT-4.12.0-1] [MQTT-4.12.0-4]', () => {
  const world = new World({ guard: new StepGuard() })
  const unknown = world.open()
  const asked = connectPacket({ properties: { authenticationMethod: 'OTHER' } })
  const connack = only(unknown.ask(asked), PacketType.CONNACK)
  assert.equal(connack.reasonCode, ReasonCode.BAD_AUTHENTICATION_METHOD)
  const wrong = world.open()
  wrong.ask(connectPacket({ properties: STEP }))
  const refused = only(wrong.ask(authPacket(0x18, 'no')), PacketType.CONNACK)
  assert.equal(refused.reasonCode, ReasonCode.NOT_AUTHORIZED)
  assert.deepEqual([unknown.ended, wrong.ended], [true, true])
})

test('without a method the server sends no AUTH and no method [MQTT-4.12.0-6]', () => {
  const client = new World().connect()
  assert.equal(client.connack?.properties.authenticationMethod, undefined)
  const answer = client.ask(authPacket(0x19, 'yes'))
  assert.equal(only(answer, PacketType.DISCONNECT).reasonCode, ReasonCode.PROTOCOL_ERROR)
})

test('a failed re-authentication ends the connection [MQTT-4.12.1-2]', () => {
  const world = new World({ guard: new StepGuard() })
  const client = world.open()
  client.ask(connectPacket({ properties: STEP }))
  client.ask(authPacket(0x18, 'yes'))
  assert.equal(only(client.ask(authPacket(0x19, 'yes')), PacketType.AUTH).reasonCode, 0)
  const disconnect = only(client.ask(authPacket(0x19, 'no')), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, ReasonCode.NOT_AUTHORIZED)
  assert.equal(client.ended, true)
})

test('without problem information only PUBLISH, CONNACK and DISCONNECT carry words \
[MQTT-3.1.2-29]', () => {
  // This server sends words in CONNACK and DISCONNECT only, and user properties in none.
  const world = new World()
  const client = world.connect({ properties: { requestProblemInformation: 0 } })
  const answers = [
    ...client.subscribe('a', 2),
    ...client.publish('nobody', 'm', { qos: 1, packetId: 2 }).take(),
    ...client.publish('nobody', 'm', { qos: 2, packetId: 3 }).take(),
    ...client.acknowledge(PacketType.PUBREL, 3),
    ...client.acknowledge(PacketType.PUBREC, 99),
    ...client.ask({
      type: PacketType.UNSUBSCRIBE,
      packetId: 5,
      filters: ['a'],
      properties: {},
    }),
  ]
  assert.deepEqual(typesOf(answers), [9, 4, 5, 7, 6, 11])
  for (const packet of answers) {
    assert.ok('properties' in packet)
    assert.deepEqual(packet.properties, {})
  }
})
