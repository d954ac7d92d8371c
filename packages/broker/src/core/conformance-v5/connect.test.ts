// MQTT 5.0 sections 3.1.0 to 3.1.4: CONNECT, what the server refuses, and keep alive.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { assertCloses, field, frame, only } from '../../testing/bytes.ts'
import { connectPacket, OpenGuard, World } from '../../testing/harness.ts'
import {
  assertConnack,
  assertDisconnects,
  connectFrame5,
  connectKept,
  subscribePacket,
  typesOf,
  watch,
  willOf,
} from '../../testing/v5.ts'

const PINGREQ = frame(0xc0)

test('what is not CONNECT as the first packet closes the connection [MQTT-3.1.0-1]', () => {
  const packets = [
    frame(0x30, field('a'), 0, 1),
    frame(0x82, [0, 1], 0, field('a'), 0),
    frame(0xe0),
    frame(0xf0),
    PINGREQ,
    frame(0x20, 0, 0, 0),
  ]
  for (const bytes of packets) {
    const world = new World()
    const client = world.open()
    assertCloses(client, bytes)
    assert.deepEqual(client.ask(connectPacket()), [])
    assert.equal(world.broker.sessions.byClientId.size, 0)
  }
})

test('a second CONNECT is a protocol error [MQTT-3.1.0-2]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const client = world.connect({ will: willOf('will', 'gone') })
  assertDisconnects(client, encodePacket(connectPacket(), 5), ReasonCode.PROTOCOL_ERROR)
  assert.equal(watcher.takePublishes().length, 1)
})

test('a second CONNECT is one whatever is wrong with it [MQTT-3.1.0-2]', () => {
  const world = new World()
  for (const bytes of [
    frame(0x10, field('MQTT'), 9, 2, [0, 0], 0, field('c')),
    frame(0x10, field('MQTT'), 4, 0, [0, 0], field('')),
    frame(0x10, field('x')),
  ]) {
    assertDisconnects(world.connect(), bytes, ReasonCode.PROTOCOL_ERROR)
  }
})

test('another protocol name gets CONNACK 0x84, then the end [MQTT-3.1.2-1]', () => {
  for (const name of ['MQTX', 'mqtt', 'MQIsdp', '']) {
    const world = new World()
    const sent = frame(0x10, field(name), 5, 2, [0, 0], 0, field('c'))
    assertConnack(world.open(), sent, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    assert.equal(world.broker.sessions.byClientId.size, 0)
  }
})

test('an unknown protocol version gets CONNACK 0x84, then the end [MQTT-3.1.2-2]', () => {
  for (const level of [6, 7, 100]) {
    const sent = frame(0x10, field('MQTT'), level, 2, [0, 0], 0, field('c'))
    assertConnack(new World().open(), sent, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
  }
})

const USER = field('u')
const WILL = [0, ...field('w'), ...field('x')]

const Malformed: readonly (readonly [string, Uint8Array])[] = [
  ['the reserved flag [MQTT-3.1.2-3]', connectFrame5(3)],
  ['a will without its fields [MQTT-3.1.2-9]', connectFrame5(6)],
  ['a will without properties [MQTT-3.1.2-9]', connectFrame5(6, [], 'c', field('w'), field('x'))],
  ['a will without topic [MQTT-3.1.2-9]', connectFrame5(6, [], 'c', 0)],
  ['a will without payload [MQTT-3.1.2-9]', connectFrame5(6, [], 'c', 0, field('w'))],
  ['a will QoS without a will [MQTT-3.1.2-11]', connectFrame5(0x0a)],
  ['a will of QoS 3 [MQTT-3.1.2-12]', connectFrame5(0x1e, [], 'c', WILL)],
  ['a will retain without a will [MQTT-3.1.2-13]', connectFrame5(0x22)],
  ['a user name without its flag [MQTT-3.1.2-16]', connectFrame5(2, [], 'c', USER)],
  ['no user name with its flag [MQTT-3.1.2-17]', connectFrame5(0x82)],
  ['a password without its flag [MQTT-3.1.2-18]', connectFrame5(0x82, [], 'c', USER, USER)],
  ['no password with its flag [MQTT-3.1.2-19]', connectFrame5(0xc2, [], 'c', USER)],
  ['no client id [MQTT-3.1.3-3]', frame(0x10, field('MQTT'), 5, 2, [0, 0], 0)],
  ['a client id that is cut [MQTT-3.1.3-3]', frame(0x10, field('MQTT'), 5, 2, 0, 0, 0, 0, 9, 65)],
  ['bytes behind the last field', connectFrame5(2, [], 'c', 0)],
  ['a property of another packet', connectFrame5(2, [0x23, 0, 1])],
  ['a property twice', connectFrame5(2, [0x22, 0, 1, 0x22, 0, 1])],
  ['a receive maximum of 0', connectFrame5(2, [0x21, 0, 0])],
  ['a maximum packet size of 0', connectFrame5(2, [0x27, 0, 0, 0, 0])],
  ['a request of problem information of 2', connectFrame5(2, [0x17, 2])],
  ['authentication data without method', connectFrame5(2, [0x16, 0, 1, 1])],
]

for (const [what, bytes] of Malformed) {
  test(`CONNECT with ${what} is refused and closed [MQTT-3.1.4-1]`, () => {
    const world = new World()
    const client = world.open()
    const { reasonCode } = only(client.ask(bytes), PacketType.CONNACK)
    const { MALFORMED_PACKET, PROTOCOL_ERROR } = ReasonCode
    assert.ok(reasonCode === MALFORMED_PACKET || reasonCode === PROTOCOL_ERROR)
    assert.equal(client.ended, true)
    assert.equal(world.broker.sessions.byClientId.size, 0)
  })
}

test('user name and password reach whoever decides, each as it came [MQTT-3.1.2-17]', () => {
  const seen: unknown[] = []
  class Noting extends OpenGuard {
    override authenticate(request: Parameters<OpenGuard['authenticate']>[0]) {
      seen.push([request.username, request.password && [...request.password]])
      return { reasonCode: 0 }
    }
  }
  const world = new World({ guard: new Noting() })
  world.open().send(connectFrame5(2))
  world.open().send(connectFrame5(0x82, [], 'a', USER))
  world.open().send(connectFrame5(0x42, [], 'b', [0, 2, 0, 255])) // a password alone is allowed
  world.open().send(connectFrame5(0xc2, [], 'c', USER, [0, 0]))
  // [MQTT-3.1.2-16] [MQTT-3.1.2-18] [MQTT-3.1.2-19]
  assert.deepEqual(seen, [
    [null, null],
    ['u', null],
    [null, [0, 255]],
    ['u', []],
  ])
})

test('Clean Start 1 drops the session there was [MQTT-3.1.2-4] [MQTT-3.1.4-4]', () => {
  const world = new World()
  const first = connectKept(world, 's')
  first.subscribe('a', 1)
  first.cut()
  world.connect({ clientId: 'p' }).publish('a', 'old', { qos: 1 })
  const second = connectKept(world, 's', {}, { cleanStart: true })
  assert.equal(second.connack?.sessionPresent, false)
  assert.deepEqual([...second.early, ...second.take()], [])
  world.connect({ clientId: 'p' }).publish('a', 'new', { qos: 1 })
  assert.deepEqual(second.take(), [])
  assert.equal(world.broker.subscriptionCount, 0)
})

test('Clean Start 0 resumes the session there is [MQTT-3.1.2-5] [MQTT-3.1.4-4]', () => {
  const world = new World()
  const first = connectKept(world, 's')
  first.subscribe('a', 1)
  first.cut()
  world.connect({ clientId: 'p' }).publish('a', 'waits', { qos: 1 })
  const second = connectKept(world, 's')
  assert.equal(second.connack?.sessionPresent, true)
  assert.deepEqual(typesOf([...second.early, ...second.take()]), [PacketType.PUBLISH])
})

test('Clean Start 0 without a session makes one [MQTT-3.1.2-6]', () => {
  const world = new World()
  const client = connectKept(world, 's')
  assert.equal(client.connack?.sessionPresent, false)
  only(client.subscribe('a', 1), PacketType.SUBACK)
  world.connect({ clientId: 'p' }).publish('a', 'x', { qos: 1 })
  assert.equal(client.takePublishes().length, 1)
})

for (const server of [false, true]) {
  const by = server ? "the server's" : "the client's"
  test(`silence for 1.5 times ${by} keep alive ends the connection [MQTT-3.1.2-22]`, () => {
    const world = new World({ limits: server ? { keepAliveSecondsMax: 10 } : {} })
    const watcher = watch(world, 'will')
    const keepAliveSeconds = server ? 600 : 10
    const client = world.connect({ keepAliveSeconds, will: willOf('will', 'gone') })
    assert.equal(client.connack?.properties.serverKeepAlive, server ? 10 : undefined)
    const active = setIntervalOf(world, watcher)
    active(14_900)
    assert.equal(client.ended, false)
    active(300)
    const disconnect = only(client.take(), PacketType.DISCONNECT)
    assert.equal(disconnect.reasonCode, ReasonCode.KEEP_ALIVE_TIMEOUT)
    assert.equal(client.ended, true)
    assert.equal(watcher.takePublishes().length, 1)
  })
}

/** Time goes by while another client stays awake. */
function setIntervalOf(world: World, awake: ReturnType<typeof watch>): (ms: number) => void {
  return ms => {
    for (let left = ms; left > 0; left -= 5000) {
      world.advance(Math.min(left, 5000))
      awake.send(PINGREQ)
    }
  }
}

test('any packet keeps the connection alive, half a packet as well [MQTT-3.1.2-22]', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 10 })
  const puback = frame(0x40, 0, 9)
  const packets = [PINGREQ, frame(0x30, field('a'), 0), puback.subarray(0, 2), puback.subarray(2)]
  for (const packet of packets) {
    world.advance(14_000)
    client.send(packet)
  }
  assert.equal(client.ended, false)
  world.advance(15_200)
  assert.equal(client.ended, true)
})

test('keep alive 0 never ends the connection [MQTT-3.1.2-22]', () => {
  const world = new World()
  const client = world.connect({ keepAliveSeconds: 0 })
  world.advance(7 * 24 * 3600 * 1000)
  assert.equal(client.ended, false)
  only(client.ask(PINGREQ), PacketType.PINGRESP)
})

test('without Server Keep Alive the keep alive of the client holds [MQTT-3.2.2-22]', () => {
  const world = new World({ limits: { keepAliveSecondsMax: 60 } })
  const client = world.connect({ keepAliveSeconds: 20 })
  assert.equal(client.connack?.properties.serverKeepAlive, undefined)
  world.advance(29_000)
  assert.equal(client.ended, false)
  world.advance(1500)
  assert.equal(client.ended, true)
})

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

test('client ids of 1 to 23 characters 0-9a-zA-Z are accepted [MQTT-3.1.3-5]', () => {
  const world = new World()
  for (const clientId of ALPHABET) world.connect({ clientId })
  for (let length = 1; length <= 23; length++) {
    world.connect({ clientId: ALPHABET.slice(length, length * 2) })
  }
})

test('the client id is the key of the session, character by character [MQTT-3.1.3-2]', () => {
  const world = new World()
  for (const clientId of ['s', 'S', 's ', 'a\u030a', '\u00e5', '__proto__', 'constructor']) {
    const first = connectKept(world, clientId)
    assert.equal(first.connack?.sessionPresent, false)
    first.cut()
    assert.equal(connectKept(world, clientId).connack?.sessionPresent, true)
  }
})

test('an empty client id gets a unique one, which CONNACK tells [MQTT-3.1.3-6] [MQTT-3.2.2-16]', () => {
  const world = new World()
  // Somebody already has what will be assigned first.
  const taken = world.connect({ clientId: '' }).connack?.properties.assignedClientIdentifier
  const next = taken?.replace('0', '1') ?? ''
  const other = world.connect({ clientId: next })
  const client = world.connect({ clientId: '' })
  const assigned = client.connack?.properties.assignedClientIdentifier ?? ''
  assert.notEqual(assigned, '')
  assert.notEqual(assigned, taken)
  assert.notEqual(assigned, next)
  assert.equal(other.ended, false)
})

test('an assigned client id works like any other [MQTT-3.1.3-7]', () => {
  const world = new World()
  const first = connectKept(world, '')
  const clientId = first.connack?.properties.assignedClientIdentifier ?? ''
  assert.match(clientId, /^[0-9a-zA-Z]{1,23}$/)
  assert.equal(first.connack?.sessionPresent, false)
  first.subscribe('a', 1)
  first.cut()
  world.connect({ clientId: 'p' }).publish('a', 'x', { qos: 1 })
  const again = connectKept(world, clientId)
  assert.equal(again.connack?.sessionPresent, true)
  assert.equal(again.connack?.properties.assignedClientIdentifier, undefined)
  assert.deepEqual(typesOf([...again.early, ...again.take()]), [PacketType.PUBLISH])
})

test('a client id over the limit gets CONNACK 0x85, then the end [MQTT-3.1.3-8]', () => {
  const world = new World({ limits: { clientIdBytesMax: 23 } })
  world.connect({ clientId: 'x'.repeat(23) })
  const long = connectPacket({ clientId: 'x'.repeat(24) })
  assertConnack(world.open(), long, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
})

class Refusing extends OpenGuard {
  reasonCode = 0
  override authenticate() {
    return { reasonCode: this.reasonCode }
  }
}

test('whoever fails authentication or a limit is closed [MQTT-3.1.4-2]', () => {
  const guard = new Refusing()
  const world = new World({ guard, limits: { sessionsMax: 1 } })
  for (const reasonCode of [0x86, 0x87, 0x88, 0x89, 0x8a, 0x9f]) {
    guard.reasonCode = reasonCode
    assertConnack(world.open(), connectPacket(), reasonCode)
  }
  guard.reasonCode = 0
  world.connect()
  const other = connectPacket({ clientId: 'other' })
  assertConnack(world.open(), other, ReasonCode.QUOTA_EXCEEDED)
  assert.equal(world.broker.sessions.byClientId.size, 1)
})

test('a client that connects again ends its old connection with 0x8E [MQTT-3.1.4-3]', () => {
  const world = new World()
  const first = world.connect({ clientId: 'same' })
  const other = world.connect({ clientId: 'other' })
  const second = world.connect({ clientId: 'same' })
  const disconnect = only(first.take(), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, ReasonCode.SESSION_TAKEN_OVER)
  assert.equal(first.ended, true)
  assert.equal(other.ended, false)
  only(second.ask(PINGREQ), PacketType.PINGRESP)
  assert.deepEqual(first.ask(PINGREQ), [])
  assert.equal([...world.broker.clients()].length, 2)
})

test('a connection that was refused does not end the old one [MQTT-3.1.4-3]', () => {
  const guard = new Refusing()
  const world = new World({ guard })
  const first = world.connect({ clientId: 'same' })
  guard.reasonCode = ReasonCode.NOT_AUTHORIZED
  assertConnack(world.open(), connectPacket({ clientId: 'same' }), ReasonCode.NOT_AUTHORIZED)
  assert.equal(first.ended, false)
})

test('a good CONNECT gets CONNACK 0 [MQTT-3.1.4-5]', () => {
  const client = new World().open()
  assert.equal(only(client.ask(connectPacket()), PacketType.CONNACK).reasonCode, 0)
})

test('nothing behind a refused CONNECT is processed [MQTT-3.1.4-6]', () => {
  const guard = new Refusing()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  guard.reasonCode = ReasonCode.NOT_AUTHORIZED
  const stream = Uint8Array.from([
    ...encodePacket(connectPacket(), 5),
    ...encodePacket(subscribePacket(1, ['a']), 5),
    ...frame(0x31, field('a'), 0, 1),
    ...PINGREQ,
  ])
  assertConnack(world.open(), stream, ReasonCode.NOT_AUTHORIZED)
  assert.equal(world.broker.subscriptionCount, 1)
  assert.equal(world.broker.retainer.messages.count, 0)
  assert.deepEqual(watcher.take(), [])
})

test('packets behind CONNECT wait for the decision, and go on after it [MQTT-3.1.4-6]', () => {
  class Slow extends OpenGuard {
    ticket = 0
    override authenticate(request: Parameters<OpenGuard['authenticate']>[0]) {
      this.ticket = request.ticket
      return null
    }
  }
  for (const reasonCode of [0, ReasonCode.NOT_AUTHORIZED]) {
    const guard = new Slow()
    const world = new World({ guard })
    const client = world.open()
    client.send(connectFrame5(2))
    client.send(subscribePacket(1, ['a']))
    client.send(PINGREQ)
    assert.deepEqual(client.take(), [])
    world.broker.decided(guard.ticket, { reasonCode })
    const { CONNACK, SUBACK, PINGRESP } = PacketType
    const expected = reasonCode === 0 ? [CONNACK, SUBACK, PINGRESP] : [CONNACK]
    assert.deepEqual(typesOf(client.take()), expected)
    assert.equal(world.broker.subscriptionCount, reasonCode === 0 ? 1 : 0)
    assert.equal(client.ended, reasonCode !== 0)
  }
})

test('a connection that is slow to say CONNECT is ended without a word [MQTT-3.1.4-2]', () => {
  const world = new World({ limits: { connectTimeoutMs: 5000 } })
  const client = world.open()
  world.advance(4900)
  assert.equal(client.ended, false)
  world.advance(300)
  assert.equal(client.ended, true)
  assert.deepEqual(client.take(), [])
})

test('a decision that takes too long ends with CONNACK of a listed code [MQTT-3.2.2-8]', () => {
  class Mute extends OpenGuard {
    override authenticate() {
      return null
    }
  }
  const world = new World({ guard: new Mute(), limits: { connectTimeoutMs: 5000 } })
  const client = world.open()
  client.send(connectPacket())
  world.advance(6000)
  const connack = only(client.take(), PacketType.CONNACK)
  assert.ok(connack.reasonCode >= 0x80)
  assert.equal(client.ended, true)
})
