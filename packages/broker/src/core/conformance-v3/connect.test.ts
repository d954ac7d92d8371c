// MQTT 3.1.1 sections 3.1 and 3.2: CONNECT and CONNACK; also what MQTT 3.1 has of its own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnackPacket, encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import {
  assertCloses,
  connectFrame,
  connectOld,
  field,
  frame,
  OLD_LEVELS,
  only,
} from '../../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../../testing/harness.ts'

/** Sends a CONNECT and checks that it is refused with this code, and the connection ended. */
function assertRefused(client: TestClient, sent: Uint8Array, returnCode: number): ConnackPacket {
  const connack = only(client.ask(sent), PacketType.CONNACK)
  assert.equal(connack.reasonCode, returnCode)
  assert.equal(connack.sessionPresent, false)
  assert.equal(client.ended, true)
  return connack
}

const NotConnect: readonly (readonly [string, Uint8Array])[] = [
  ['PUBLISH', frame(0x30, field('a'))],
  ['SUBSCRIBE', frame(0x82, 0, 1, field('a'), 0)],
  ['UNSUBSCRIBE', frame(0xa2, 0, 1, field('a'))],
  ['PUBACK', frame(0x40, 0, 1)],
  ['PINGREQ', frame(0xc0)],
  ['DISCONNECT', frame(0xe0)],
  ['AUTH', frame(0xf0)],
  ['CONNACK', frame(0x20, 0, 0)],
  ['a packet of type 0', frame(0x00)],
]

for (const [what, bytes] of NotConnect) {
  test(`${what} as the first packet closes the connection [MQTT-3.1.0-1 v3]`, () => {
    const world = new World()
    const client = world.open(4)
    assertCloses(client, bytes)
    assert.deepEqual(client.ask(encodePacket(connectPacket({ protocolLevel: 4 }), 4)), [])
    assert.equal(world.broker.sessions.byClientId.size, 0)
  })
}

for (const level of OLD_LEVELS) {
  const connect = encodePacket(connectPacket({ protocolLevel: level, clientId: 'twice' }), level)

  test(`a second CONNECT closes the connection, level ${level} [MQTT-3.1.0-2 v3]`, () => {
    const world = new World()
    const client = connectOld(world, 'twice', { protocolLevel: level })
    assertCloses(client, connect)
    assert.equal(world.broker.sessions.byClientId.size, 0)
  })

  test(`a good CONNECT gets CONNACK 0, before anything else, ${level} [MQTT-3.1.4-4 v3]`, () => {
    const client = new World().open(level)
    const pingreq = frame(0xc0)
    const answers = client.ask(Uint8Array.from([...connect, ...pingreq]))
    // [MQTT-3.2.0-1 v3]
    assert.deepEqual(
      answers.map(packet => packet.type),
      [PacketType.CONNACK, PacketType.PINGRESP],
    )
    assert.equal((answers[0] as ConnackPacket).reasonCode, 0)
  })

  test(`CONNACK is the first packet though messages wait, level ${level} [MQTT-3.2.0-1 v3]`, () => {
    const world = new World()
    const options = { protocolLevel: level, cleanStart: false, clientId: 's' }
    const subscriber = world.connect(options)
    subscriber.subscribe('a', 1)
    subscriber.cut()
    connectOld(world, 'p').publish('a', 'waits', { qos: 1 })
    const again = world.open(level)
    const answers = again.ask(encodePacket(connectPacket(options), level))
    assert.deepEqual(
      answers.map(packet => packet.type),
      [PacketType.CONNACK, PacketType.PUBLISH],
    )
  })

  test(`CONNACK waits for the disk, and all else for CONNACK, ${level} [MQTT-3.2.0-1 v3]`, () => {
    const world = new World()
    world.store.slow = true
    const client = world.open(level)
    client.send(connectPacket({ protocolLevel: level, cleanStart: false }))
    client.send(frame(0x82, 0, 1, field('a'), 0))
    client.send(frame(0xc0))
    connectOld(world, 'p').publish('a', 'early')
    assert.deepEqual(client.take(), [])
    world.store.finish()
    assert.equal(client.take()[0]?.type, PacketType.CONNACK)
  })
}

test('another protocol name is not taken for MQTT 3.1.1 [MQTT-3.1.2-1 v3]', () => {
  for (const name of ['MQTX', 'mqtt', '', 'MQTTT', 'MQIsdp']) {
    const world = new World()
    const client = world.open(4)
    const answers = client.ask(frame(0x10, field(name), 4, 2, [0, 0], field('c')))
    assert.equal(client.ended, true)
    assert.ok(answers.every(packet => packet.type === PacketType.CONNACK && packet.reasonCode > 0))
    assert.equal(world.broker.sessions.byClientId.size, 0)
  }
})

test('the name of MQTT 3.1 goes with level 3 only, that of 3.1.1 with 4 [MQTT-3.1.2-1 v3]', () => {
  const world = new World()
  const good = world.open(3).ask(frame(0x10, field('MQIsdp'), 3, 2, [0, 0], field('c')))
  assert.equal(only(good, PacketType.CONNACK).reasonCode, 0)
  const bad = world.open(3)
  assertRefused(bad, frame(0x10, field('MQTT'), 3, 2, [0, 0], field('d')), 1)
})

for (const level of [0, 1, 2, 3]) {
  test(`level ${level} of "MQTT" gets CONNACK 1, then the end [MQTT-3.1.2-2 v3]`, () => {
    const world = new World()
    const sent = frame(0x10, field('MQTT'), level, 2, [0, 0], field('c'))
    assertRefused(world.open(4), sent, 1) // [MQTT-3.2.2-4 v3] [MQTT-3.2.2-5 v3]
  })
}

for (const level of [6, 100]) {
  test(`level ${level} is told in the words of MQTT 5.0 [MQTT-3.1.2-2 v3]`, () => {
    const client = new World().open(5)
    const sent = frame(0x10, field('MQTT'), level, 2, [0, 0], 0, field('c'))
    const connack = only(client.ask(sent), PacketType.CONNACK)
    assert.equal(connack.reasonCode, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    assert.equal(client.ended, true)
  })
}

const Malformed: readonly (readonly [string, Uint8Array])[] = [
  ['the reserved connect flag [MQTT-3.1.2-3 v3]', connectFrame(3)],
  ['a will of QoS 3 [MQTT-3.1.2-14 v3]', connectFrame(0x1e, 'raw', field('w'), field('x'))],
  ['a will QoS without a will [MQTT-3.1.2-11 v3] [MQTT-3.1.2-13 v3]', connectFrame(0x0a)],
  ['a will retain without a will [MQTT-3.1.2-11 v3] [MQTT-3.1.2-15 v3]', connectFrame(0x22)],
  ['will fields without a will [MQTT-3.1.2-11 v3]', connectFrame(2, 'raw', field('w'), field('x'))],
  ['a will without its fields [MQTT-3.1.2-9 v3]', connectFrame(6)],
  ['a will without its message [MQTT-3.1.2-9 v3]', connectFrame(6, 'raw', field('w'))],
  ['a user name without its flag [MQTT-3.1.2-18 v3]', connectFrame(2, 'raw', field('u'))],
  ['no user name with its flag [MQTT-3.1.2-19 v3]', connectFrame(0x82)],
  [
    'a password without its flag [MQTT-3.1.2-20 v3]',
    connectFrame(0x82, 'raw', field('u'), field('p')),
  ],
  ['no password with its flag [MQTT-3.1.2-21 v3]', connectFrame(0xc2, 'raw', field('u'))],
  ['a password flag alone [MQTT-3.1.2-22 v3]', connectFrame(0x42, 'raw', field('p'))],
  ['no client id [MQTT-3.1.3-3 v3]', frame(0x10, field('MQTT'), 4, 2, [0, 0])],
  ['a client id that is cut [MQTT-3.1.3-1 v3]', frame(0x10, field('MQTT'), 4, 2, 0, 0, 0, 9, 65)],
  ['bytes behind the last field', connectFrame(2, 'raw', 0)],
  ['a keep alive that is cut', frame(0x10, field('MQTT'), 4, 2, 0)],
]

for (const [what, bytes] of Malformed) {
  test(`CONNECT with ${what} is closed without CONNACK [MQTT-3.1.4-1 v3] [MQTT-3.2.2-6 v3]`, () => {
    const world = new World()
    assertCloses(world.open(4), bytes)
    assert.equal(world.broker.sessions.byClientId.size, 0)
  })
}

test('a wildcard in the will topic is refused [MQTT-4.7.1-1 v3] [MQTT-3.1.4-1 v3]', () => {
  assertCloses(new World().open(4), connectFrame(6, 'raw', field('a/#'), field('x')))
})

test('the payload is read in its order [MQTT-3.1.3-1 v3] [MQTT-3.1.2-19 v3] [MQTT-3.1.2-21 v3]', () => {
  class Listening extends OpenGuard {
    heard: Parameters<OpenGuard['authenticate']>[0] | null = null
    override authenticate(request: Parameters<OpenGuard['authenticate']>[0]) {
      this.heard = request
      return { reasonCode: 0 }
    }
  }
  const guard = new Listening()
  const client = new World({ guard }).open(4)
  const parts = ['will', 'message', 'user', 'word'].map(field)
  only(client.ask(connectFrame(0xc6, 'id', ...parts)), PacketType.CONNACK)
  const { heard } = guard
  assert.equal(heard?.clientId, 'id')
  assert.equal(heard?.will?.topic, 'will')
  assert.deepEqual(heard?.will?.payload, new TextEncoder().encode('message'))
  assert.equal(heard?.username, 'user')
  assert.deepEqual(heard?.password, new TextEncoder().encode('word'))
  only(client.ask(frame(0xc0)), PacketType.PINGRESP)
})

test('without the flags there is neither user name nor password [MQTT-3.1.2-18 v3]', () => {
  const world = new World()
  connectOld(world, 'c')
  const [view] = world.broker.clients()
  assert.equal(view?.username, null)
})

test('MQTT 3.1 may leave out the user name and password it announced', () => {
  for (const flags of [0x82, 0xc2]) {
    const client = new World().open(3)
    const sent = frame(0x10, field('MQIsdp'), 3, flags, [0, 0], field('c'))
    assert.equal(only(client.ask(sent), PacketType.CONNACK).reasonCode, 0)
  }
})

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

for (const level of OLD_LEVELS) {
  test(`client ids of 1 to 23 characters 0-9a-zA-Z are accepted, ${level} [MQTT-3.1.3-5 v3]`, () => {
    const world = new World()
    for (let i = 0; i < ALPHABET.length; i++) connectOld(world, ALPHABET[i] ?? '')
    for (let length = 1; length <= 23; length++) {
      connectOld(world, ALPHABET.slice(length, length * 2), { protocolLevel: level })
    }
    connectOld(world, ALPHABET, { protocolLevel: level })
  })

  test(`a client id over the limit gets CONNACK 2, level ${level} [MQTT-3.1.3-9 v3]`, () => {
    const world = new World({ limits: { clientIdBytesMax: 23 } })
    connectOld(world, 'x'.repeat(23), { protocolLevel: level })
    const long = connectPacket({ protocolLevel: level, clientId: 'x'.repeat(24) })
    assertRefused(world.open(level), encodePacket(long, level), 2) // [MQTT-3.2.2-5 v3]
  })
}

test('empty client ids with a clean session get ids of their own [MQTT-3.1.3-6 v3]', () => {
  const world = new World()
  const clients = [1, 2, 3].map(() => connectOld(world, ''))
  const ids = [...world.broker.clients()].map(view => view.clientId)
  assert.equal(new Set(ids).size, 3)
  assert.ok(ids.every(id => id !== ''))
  for (const client of clients) {
    only(client.subscribe('a'), PacketType.SUBACK)
    assert.equal(client.ended, false)
  }
})

test('an empty client id without clean session gets CONNACK 2 [MQTT-3.1.3-8 v3]', () => {
  const world = new World()
  assertRefused(world.open(4), connectFrame(0, ''), 2) // [MQTT-3.1.3-7 v3]
  assert.equal(world.broker.sessions.byClientId.size, 0)
})

test('an empty client id of MQTT 3.1 gets CONNACK 2', () => {
  const sent = frame(0x10, field('MQIsdp'), 3, 2, [0, 0], field(''))
  assertRefused(new World().open(3), sent, 2)
})

for (const level of OLD_LEVELS) {
  test(`a client that connects again ends its old connection, ${level} [MQTT-3.1.4-2 v3]`, () => {
    const world = new World()
    const first = connectOld(world, 'same', { protocolLevel: level })
    const other = connectOld(world, 'other', { protocolLevel: level })
    const second = connectOld(world, 'same', { protocolLevel: level })
    assert.deepEqual(first.take(), [])
    assert.equal(first.ended, true)
    assert.equal(other.ended, false)
    only(second.ask(frame(0xc0)), PacketType.PINGRESP)
    assert.deepEqual(first.ask(frame(0xc0)), [])
    assert.equal([...world.broker.clients()].length, 2)
  })
}

test('Session Present tells whether a session was kept [MQTT-3.1.4-3 v3] \
[MQTT-3.2.2-1 v3] [MQTT-3.2.2-2 v3] [MQTT-3.2.2-3 v3]', () => {
  const world = new World()
  const present = (cleanStart: boolean): boolean | undefined => {
    const client = connectOld(world, 'c', { cleanStart })
    client.disconnect()
    return client.connack?.sessionPresent
  }
  assert.equal(present(false), false)
  assert.equal(present(false), true)
  assert.equal(present(true), false)
  assert.equal(present(false), false)
  assert.equal(present(false), true)
})

test('MQTT 3.1 has no Session Present: the byte of CONNACK is 0', () => {
  const world = new World()
  connectOld(world, 'c', { cleanStart: false, protocolLevel: 3 }).disconnect()
  const client = connectOld(world, 'c', { cleanStart: false, protocolLevel: 3 })
  assert.equal(client.connack?.sessionPresent, false)
})

test('Session Present is 0 for a new clean session [MQTT-3.2.2-1 v3]', () => {
  assert.equal(connectOld(new World(), 'c').connack?.sessionPresent, false)
})

test('Session Present is 0 where there was nothing to resume [MQTT-3.2.2-3 v3]', () => {
  const client = connectOld(new World(), 'c', { cleanStart: false })
  assert.equal(client.connack?.sessionPresent, false)
})

test('Session Present is 1 where a session is resumed [MQTT-3.2.2-2 v3]', () => {
  const world = new World()
  connectOld(world, 'c', { cleanStart: false }).cut()
  const client = connectOld(world, 'c', { cleanStart: false })
  assert.equal(client.connack?.sessionPresent, true)
})

const Refusals = [
  [ReasonCode.BAD_USER_NAME_OR_PASSWORD, 4],
  [ReasonCode.NOT_AUTHORIZED, 5],
  [ReasonCode.BANNED, 5],
  [ReasonCode.SERVER_UNAVAILABLE, 3],
  [ReasonCode.SERVER_BUSY, 3],
  [ReasonCode.QUOTA_EXCEEDED, 3],
  [ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, 2],
] as const

class Refusing extends OpenGuard {
  reasonCode = 0
  override authenticate() {
    return { reasonCode: this.reasonCode }
  }
}

for (const level of OLD_LEVELS) {
  for (const [reasonCode, returnCode] of Refusals) {
    test(`refusal ${reasonCode} is CONNACK ${returnCode}, level ${level} [MQTT-3.2.2-5 v3]`, () => {
      const guard = new Refusing()
      const world = new World({ guard })
      const kept = connectPacket({ protocolLevel: level, cleanStart: false })
      const client = world.open(level)
      client.send(kept).take()
      client.cut()
      guard.reasonCode = reasonCode
      // There is a session, and yet: [MQTT-3.2.2-4 v3]
      const again = world.open(level)
      const packets = Uint8Array.from([
        ...encodePacket(kept, level),
        ...frame(0x82, 0, 1, field('a'), 0),
        ...frame(0x30, field('a'), 1),
      ])
      assertRefused(again, packets, returnCode) // [MQTT-3.1.4-5 v3]
      assert.equal(world.broker.subscriptionCount, 0)
      assert.equal(world.broker.counters.publishReceived, 0)
    })
  }
}

test('a refusal that has no return code closes without CONNACK [MQTT-3.2.2-6 v3]', () => {
  const guard = new Refusing()
  guard.reasonCode = ReasonCode.UNSPECIFIED_ERROR
  assertCloses(new World({ guard }).open(4), connectFrame(2))
})

test('nothing is processed while the guard has not decided, nor after its no [MQTT-3.1.4-5 v3]', () => {
  class Slow extends OpenGuard {
    ticket = 0
    override authenticate(request: Parameters<OpenGuard['authenticate']>[0]) {
      this.ticket = request.ticket
      return null
    }
  }
  const guard = new Slow()
  const world = new World({ guard })
  const client = world.open(4)
  client.send(connectFrame(2))
  client.send(frame(0x82, 0, 1, field('a'), 0))
  assert.deepEqual(client.take(), [])
  world.broker.decided(guard.ticket, { reasonCode: ReasonCode.NOT_AUTHORIZED })
  assert.equal(only(client.take(), PacketType.CONNACK).reasonCode, 5)
  assert.equal(client.ended, true)
  assert.equal(world.broker.subscriptionCount, 0)
})

for (const level of OLD_LEVELS) {
  test(`silence for 1.5 times the keep alive ends the connection, ${level} [MQTT-3.1.2-24 v3]`, () => {
    const world = new World()
    const client = connectOld(world, 'c', { protocolLevel: level, keepAliveSeconds: 10 })
    world.advance(14_900)
    assert.equal(client.ended, false)
    world.advance(300)
    assert.equal(client.ended, true)
    assert.deepEqual(client.take(), [])
  })

  test(`any packet keeps the connection alive, level ${level} [MQTT-3.1.2-24 v3]`, () => {
    const world = new World()
    const client = connectOld(world, 'c', { protocolLevel: level, keepAliveSeconds: 10 })
    const packets = [frame(0xc0), frame(0x30, field('a')), frame(0x40, 0, 9)]
    for (const packet of [...packets, ...packets]) {
      world.advance(14_000)
      client.send(packet)
    }
    assert.equal(client.ended, false)
    world.advance(15_200)
    assert.equal(client.ended, true)
  })
}

test('keep alive 0 never ends the connection [MQTT-3.1.2-24 v3]', () => {
  const world = new World()
  const client = connectOld(world, 'c', { keepAliveSeconds: 0 })
  world.advance(7 * 24 * 3600 * 1000)
  assert.equal(client.ended, false)
})

test('the keep alive timeout is a network failure: the will goes out [MQTT-3.1.2-24 v3]', () => {
  const world = new World()
  const watcher = connectOld(world, 'w')
  watcher.subscribe('will')
  const payload = new Uint8Array([1])
  const will = { topic: 'will', payload, qos: 0, retain: false, properties: {} } as const
  connectOld(world, 'c', { keepAliveSeconds: 1, will })
  world.advance(1700)
  assert.equal(watcher.takePublishes().length, 1)
})

test('a connection that never says CONNECT is ended', () => {
  const world = new World({ limits: { connectTimeoutMs: 5000 } })
  const client = world.open(4)
  world.advance(4900)
  assert.equal(client.ended, false)
  world.advance(300)
  assert.equal(client.ended, true)
})
