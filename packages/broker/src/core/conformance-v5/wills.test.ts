// MQTT 5.0 sections 3.1.2.5 and 3.1.3.2: when a will is published, when it is not, and as what.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { frame, texts } from '../../testing/bytes.ts'
import { connectPacket, type TestClient, text, World } from '../../testing/harness.ts'
import {
  assertConnack,
  assertDisconnects,
  connectKept,
  disconnectPacket,
  typesOf,
  watch,
  willOf,
} from '../../testing/v5.ts'

const PINGREQ = frame(0xc0)
const HOUR = 3600

function withDelay(seconds: number, payload = 'gone') {
  return willOf('will', payload, { properties: { willDelayInterval: seconds } })
}

const Ends: readonly (readonly [string, (world: World, client: TestClient) => void])[] = [
  ['the network fails', (_world, client) => client.cut()],
  ['the client breaks the protocol', (_world, client) => client.send(frame(0xc1))],
  ['the client sends DISCONNECT 0x04', (_world, client) => client.disconnect(4)],
  ['the client sends DISCONNECT 0x80', (_world, client) => client.disconnect(0x80)],
  ['the keep alive times out', world => world.advance(16_000)],
  ['another takes over', world => world.connect({ clientId: 'c' })],
  ['the server ends it', world => world.broker.disconnect('c', 0x98, 'by hand')],
]

for (const [how, end] of Ends) {
  test(`the will is published when ${how} [MQTT-3.1.2-7] [MQTT-3.1.2-8]`, () => {
    const world = new World()
    const watcher = watch(world, 'will')
    const will = willOf('will', 'gone')
    const client = world.connect({ clientId: 'c', keepAliveSeconds: 10, will })
    assert.deepEqual(watcher.take(), [])
    end(world, client)
    world.settle()
    assert.deepEqual(texts(watcher.take()), ['gone'])
    world.advance(60_000)
    assert.deepEqual(watcher.take(), [])
  })
}

test('DISCONNECT 0x00 removes the will unpublished [MQTT-3.14.4-3] [MQTT-3.1.2-10]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  for (const properties of [{}, { sessionExpiryInterval: HOUR }]) {
    const client = world.connect({ clientId: 'c', will: willOf('will', 'gone'), properties })
    client.disconnect(0)
    client.cut()
    world.advance(2 * HOUR * 1000)
    assert.deepEqual(watcher.take(), [])
  }
})

test('DISCONNECT of two bytes is one with 0x00 [MQTT-3.14.4-3]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const client = world.connect({ clientId: 'c', will: willOf('will', 'gone') })
  client.send(frame(0xe0))
  assert.equal(client.ended, true)
  assert.deepEqual(watcher.take(), [])
})

test('a will that was published is forgotten [MQTT-3.1.2-10]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: willOf('will', 'gone') }).cut()
  assert.equal(watcher.takePublishes().length, 1)
  connectKept(world, 'c').cut()
  world.advance(2 * HOUR * 1000)
  assert.deepEqual(watcher.take(), [])
})

test('the will of the last CONNECT counts, none included [MQTT-3.1.2-7]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: withDelay(60, 'old') }).cut()
  connectKept(world, 'c', {}, { will: withDelay(0, 'new') }).cut()
  assert.deepEqual(texts(watcher.take()), ['new'])
  connectKept(world, 'c', {}, { will: withDelay(60, 'third') }).cut()
  connectKept(world, 'c').cut()
  world.advance(100_000)
  assert.deepEqual(watcher.take(), [])
})

test('the will waits for its delay [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: withDelay(30) }).cut()
  world.advance(29_500)
  assert.deepEqual(watcher.take(), [])
  world.advance(1000)
  assert.deepEqual(texts(watcher.take()), ['gone'])
})

test('a session that ends before the delay publishes the will then [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const properties = { sessionExpiryInterval: 10 }
  connectKept(world, 'c', properties, { will: withDelay(1000) }).cut()
  world.advance(9500)
  assert.deepEqual(watcher.take(), [])
  world.advance(1000)
  assert.deepEqual(texts(watcher.take()), ['gone'])
  world.advance(2_000_000)
  assert.deepEqual(watcher.take(), [])
})

test('a session that ends with its connection has no delay [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  world.connect({ clientId: 'c', will: withDelay(1000) }).cut()
  assert.deepEqual(texts(watcher.take()), ['gone'])
})

test('DISCONNECT 0x04 that ends the session publishes the will at once [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const client = connectKept(world, 'c', {}, { will: withDelay(1000) })
  client.send(disconnectPacket(4, { sessionExpiryInterval: 0 }))
  assert.deepEqual(texts(watcher.take()), ['gone'])
})

test('who comes back within the delay keeps the will from going out [MQTT-3.1.3-9]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: withDelay(30) }).cut()
  world.advance(29_000)
  const again = connectKept(world, 'c')
  assert.equal(again.connack?.sessionPresent, true)
  world.advance(60_000)
  assert.deepEqual(watcher.take(), [])
})

test('a takeover of the session within the delay suppresses the will [MQTT-3.1.3-9]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: withDelay(30) })
  connectKept(world, 'c', {}, { will: withDelay(30, 'second') })
  world.advance(60_000)
  assert.deepEqual(watcher.take(), [])
})

test('a takeover with Clean Start 1 ends the session: the will goes out [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  connectKept(world, 'c', {}, { will: withDelay(30) })
  world.connect({ clientId: 'c' })
  assert.deepEqual(texts(watcher.take()), ['gone'])
  connectKept(world, 'd', {}, { will: withDelay(30) }).cut()
  assert.deepEqual(watcher.take(), [])
  world.connect({ clientId: 'd' })
  assert.deepEqual(texts(watcher.take()), ['gone'])
})

for (const seconds of [0x8000_0000, 0xffff_ffff]) {
  test(`a will delay of ${seconds} s is no negative number [MQTT-3.1.2-8]`, () => {
    const world = new World()
    const watcher = watch(world, 'will')
    const properties = { sessionExpiryInterval: 0xffff_ffff }
    connectKept(world, 'c', properties, { will: withDelay(seconds) }).cut()
    world.advance(0x7fff_ffff * 1000)
    assert.deepEqual(watcher.take(), [])
    assert.equal(connectKept(world, 'c').connack?.sessionPresent, true)
  })
}

test('a will without retain goes out as an ordinary message [MQTT-3.1.2-14]', () => {
  const world = new World()
  const watcher = world.connect({ clientId: 'w' })
  watcher.subscribe('will', 0, { retainAsPublished: true })
  world.connect({ clientId: 'c', will: willOf('will', 'gone') }).cut()
  assert.equal(watcher.takePublishes()[0]?.retain, false)
  assert.deepEqual(typesOf(watch(world, 'x', 'late').subscribe('will')), [PacketType.SUBACK])
})

test('a will with retain is kept as the retained message [MQTT-3.1.2-15]', () => {
  const world = new World()
  const watcher = world.connect({ clientId: 'w' })
  watcher.subscribe('will', 0, { retainAsPublished: true })
  world.connect({ clientId: 'c', will: willOf('will', 'gone', { retain: true }) }).cut()
  assert.equal(watcher.takePublishes()[0]?.retain, true)
  const late = world.connect({ clientId: 'late' }).subscribe('will')
  assert.deepEqual(texts(late), ['gone'])
  world.connect({ clientId: 'c', will: willOf('will', '', { retain: true }) }).cut()
  assert.deepEqual(texts(world.connect({ clientId: 'later' }).subscribe('will')), [])
})

for (const qos of [0, 1, 2] as const) {
  test(`a will of QoS ${qos} goes out with QoS ${qos} [MQTT-3.1.2-12]`, () => {
    const world = new World()
    const watcher = world.connect({ clientId: 'w' })
    watcher.subscribe('will', 2)
    world.connect({ clientId: 'c', will: willOf('will', 'gone', { qos }) }).cut()
    assert.equal(watcher.takePublishes()[0]?.qos, qos)
  })
}

test('the properties of a will go out, user properties in their order [MQTT-3.1.3-10]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text',
    responseTopic: 'answers',
    correlationData: new Uint8Array([1, 0, 255]),
    userProperties: [
      ['b', '1'],
      ['a', '2'],
      ['b', '1'],
    ] as const,
  }
  const all = { ...properties, willDelayInterval: 5, messageExpiryInterval: 50 }
  connectKept(world, 'c', {}, { will: willOf('will', 'gone', { properties: all }) }).cut()
  world.advance(6000)
  const [publish] = watcher.takePublishes()
  // The expiry counts from the publication.
  assert.deepEqual(publish?.properties, { ...properties, messageExpiryInterval: 50 })
})

test('a will that is empty is published [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  world.connect({ clientId: 'c', will: willOf('will', '') }).cut()
  assert.deepEqual(texts(watcher.take()), [''])
})

test('a will topic with wildcards is refused [MQTT-3.3.2-2]', () => {
  // No encoder writes it: the topic is changed in the bytes.
  const bytes = encodePacket(connectPacket({ will: willOf('a', 'gone') }), 5)
  bytes[bytes.lastIndexOf(0x61)] = 0x23
  assertConnack(new World().open(), bytes, ReasonCode.TOPIC_NAME_INVALID)
})

test('the own will does not come back by a subscription with No Local [MQTT-3.8.3-3]', () => {
  const world = new World()
  const client = connectKept(world, 'c', {}, { will: withDelay(5) })
  client.subscribe('will', 1, { noLocal: true })
  client.cut()
  world.advance(10_000)
  const again = connectKept(world, 'c')
  assert.deepEqual(texts([...again.early, ...again.take()]), [])
})

test('the will of one that was refused is not kept [MQTT-3.1.4-2]', () => {
  const world = new World({ limits: { sessionsMax: 1 } })
  const watcher = watch(world, 'will')
  const packet = connectPacket({ clientId: 'c', will: willOf('will', 'gone') })
  assertConnack(world.open(), packet, ReasonCode.QUOTA_EXCEEDED)
  world.advance(1000)
  assert.deepEqual(watcher.take(), [])
})

test('a bad DISCONNECT is no DISCONNECT: the will goes out [MQTT-3.1.2-8]', () => {
  const world = new World()
  const watcher = watch(world, 'will')
  const client = world.connect({ clientId: 'c', will: willOf('will', 'gone') })
  const packet = disconnectPacket(0, { sessionExpiryInterval: 1 })
  assertDisconnects(client, encodePacket(packet, 5), ReasonCode.PROTOCOL_ERROR)
  assert.equal(text(watcher.takePublishes()[0] ?? assert.fail()), 'gone')
  assert.deepEqual(watcher.ask(PINGREQ).length, 1)
})
