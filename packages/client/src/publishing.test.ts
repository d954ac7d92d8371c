// Publishing: exchanges of QoS 1 and 2, windows, limits of the server, what is sent again.
import assert from 'node:assert/strict'
import { PacketType, type Properties, type PublishPacket } from '@godwit/packet'
import type { Client } from './client.ts'
import type { MqttError } from './errors.ts'
import type { ConnectOptions } from './options.ts'
import type { PublishResult } from './publisher.ts'
import { isFull, test } from './testing/kind.ts'
import { type Peer, World } from './testing/world.ts'

const { PUBLISH } = PacketType
const Persistent: ConnectOptions = { clientId: 'a', sessionExpirySeconds: 100 }

function publishes(peer: Peer): PublishPacket[] {
  return peer.take().filter(packet => packet.type === PUBLISH)
}

/** Publishes and looks at the outcome later. */
function publish(
  client: Client,
  topic: string,
  payload: string,
  qos: 0 | 1 | 2,
): { outcome: PublishResult | MqttError | null } {
  const seen: { outcome: PublishResult | MqttError | null } = { outcome: null }
  client.publish(topic, payload, { qos }).then(
    result => {
      seen.outcome = result
    },
    (error: MqttError) => {
      seen.outcome = error
    },
  )
  return seen
}

test('QoS 0 has no identifier and no DUP, and is done at once [MQTT-4.3.1-1]', async () => {
  const world = new World()
  const client = await world.connected()
  const result = await client.publish('a/b', 'text', { retain: true })
  assert.equal(result.reasonCode, 0)
  await world.settle()
  const [packet] = publishes(world.peer)
  // [MQTT-2.2.1-2] [MQTT-2.3.1-5 v3] [MQTT-3.3.1-2]
  assert.deepEqual(packet, {
    type: PUBLISH,
    topic: 'a/b',
    payload: new TextEncoder().encode('text'),
    qos: 0,
    retain: true,
    dup: false,
    packetId: 0,
    properties: {},
  })
})

test('all of a turn leaves in one write', async () => {
  const world = new World()
  const client = await world.connected()
  const before = world.peer.writes.length
  for (let i = 0; i < 50; i++) void client.publish('a', `${i}`, { qos: i % 2 === 0 ? 0 : 1 })
  client.subscribe('b')
  await world.settle()
  assert.equal(world.peer.writes.length, before + 1)
  assert.equal(world.peer.take().length, 51)
})

test('properties of a message are written, and none are length 0 [MQTT-2.2.2-1]', async () => {
  const world = new World()
  const client = await world.connected()
  void client.publish('a', 'x', {
    messageExpirySeconds: 60,
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: new Uint8Array([1]),
    userProperties: [
      ['k', 'v'],
      ['k', 'w'],
    ],
    utf8: true,
  })
  await world.settle()
  assert.deepEqual(publishes(world.peer)[0]?.properties, {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 60,
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: new Uint8Array([1]),
    userProperties: [
      ['k', 'v'],
      ['k', 'w'],
    ],
  })
  void client.publish('a', 'x')
  await world.settle()
  assert.deepEqual(world.peer.writes.at(-1), new Uint8Array([0x30, 5, 0, 1, 0x61, 0, 0x78]))
})

for (const protocolVersion of [5, 4] as const) {
  const ids =
    protocolVersion === 5 ? '[MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-3]' : '[MQTT-4.3.2-1 v3]'
  test(`QoS 1 is done at PUBACK ${ids}`, async () => {
    const world = new World()
    const client = await world.connected({ protocolVersion })
    const seen = publish(client, 'a', 'x', 1)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 a x'])
    assert.equal(seen.outcome, null)
    assert.equal(client.stats.inflight, 1)
    world.peer.puback(1)
    await world.settle()
    assert.ok(seen.outcome !== null && 'noMatchingSubscribers' in seen.outcome)
    assert.equal(client.stats.inflight, 0)
  })
}

test('QoS 2 is done at PUBCOMP [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-1 v3]', async () => {
  const world = new World()
  const client = await world.connected()
  const seen = publish(client, 'a', 'x', 2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 a x'])
  world.peer.pubrec(1)
  await world.settle()
  // [MQTT-4.3.3-4] [MQTT-2.2.1-5] [MQTT-2.3.1-6 v3]
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 1'])
  assert.equal(seen.outcome, null)
  world.peer.pubcomp(1)
  await world.settle()
  assert.notEqual(seen.outcome, null)
})

test('PUBREL follow the order of PUBREC [MQTT-4.6.0-4] [MQTT-4.6.0-4 v3]', async () => {
  const world = new World()
  const client = await world.connected()
  for (let i = 1; i <= 3; i++) publish(client, 'a', `${i}`, 2)
  await world.settle()
  world.peer.take()
  for (const id of [2, 3, 1]) world.peer.pubrec(id)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 2', 'PUBREL 3', 'PUBREL 1'])
})

test('the server says that nobody has subscribed', async () => {
  const world = new World()
  const client = await world.connected()
  const seen = publish(client, 'a', 'x', 1)
  await world.settle()
  world.peer.puback(1, 0x10, { reasonString: 'nobody' })
  await world.settle()
  assert.deepEqual(seen.outcome, {
    reasonCode: 0x10,
    noMatchingSubscribers: true,
    properties: { reasonString: 'nobody' },
  })
})

for (const [name, qos] of [
  ['PUBACK', 1],
  ['PUBREC', 2],
] as const) {
  test(`a ${name} with an error ends the message for good [MQTT-4.4.0-2]`, async () => {
    const world = new World()
    const client = await world.connected(Persistent)
    const seen = publish(client, 'a', 'x', qos)
    await world.settle()
    if (qos === 1) world.peer.puback(1, 0x87, { reasonString: 'not you' })
    else world.peer.pubrec(1, 0x87)
    await world.settle()
    assert.ok(seen.outcome instanceof Error)
    assert.equal(seen.outcome.code, 'publish-refused')
    assert.equal(seen.outcome.reasonCode, 0x87)
    await world.reconnected({ sessionPresent: true })
    assert.deepEqual(publishes(world.peer), [])
    assert.equal(client.stats.inflight, 0)
  })
}

test('a window of the server holds back PUBLISH [MQTT-3.3.4-7] [MQTT-4.9.0-1] [MQTT-4.9.0-2]', async () => {
  const world = new World()
  const client = await world.connected({}, { properties: { receiveMaximum: 2 } })
  for (let i = 1; i <= 4; i++) publish(client, 'a', `${i}`, i % 2 === 0 ? 1 : 2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 a 1', 'PUBLISH 2 a 2'])
  assert.equal(client.stats.queued, 2)
  // [MQTT-4.9.0-2]
  world.peer.puback(2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 3 a 3'])
  // PUBREC gives no room yet, an error does.
  world.peer.pubrec(1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 1'])
  world.peer.pubrec(3, 0x80)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 4 a 4'])
})

test('a full window holds back nothing else [MQTT-3.3.4-8] [MQTT-4.9.0-3]', async () => {
  const world = new World()
  const client = await world.connected(
    { keepAliveSeconds: 10, receiveMaximum: 5 },
    { properties: { receiveMaximum: 1 } },
  )
  for (let i = 0; i < 2; i++) publish(client, 'a', 'x', 2)
  const subscription = client.subscribe('s')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 a x', 'SUBSCRIBE 2 s'])
  world.peer.suback(2, 1)
  world.peer.publish('s', 'm', 1, 7)
  world.peer.pubrec(1)
  void subscription.next()
  void subscription.next()
  await world.advance(10_000)
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 1', 'PUBACK 7', 'PINGREQ'])
  void subscription.unsubscribe()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 3 s'])
})

test('identifiers are not zero and not in use [MQTT-2.2.1-3] [MQTT-2.3.1-2 v3]', async () => {
  const world = new World()
  const client = await world.connected({ inflightMax: 4 })
  const used = new Set<number>()
  publish(client, 'a', 'stays', 1)
  await world.settle()
  const [first] = publishes(world.peer)
  assert.equal(first?.packetId, 1)
  for (let i = 0; i < 70_000; i++) {
    publish(client, 'a', 'x', 1)
    if (i % 3 !== 2) continue
    await world.settle()
    for (const { packetId } of publishes(world.peer)) {
      assert.ok(packetId >= 2 && packetId <= 65_535, `${packetId}`)
      used.add(packetId)
      world.peer.puback(packetId) // [MQTT-2.3.1-3 v3]
    }
  }
  assert.ok(used.size > 50_000)
})

test('nothing above the Maximum QoS of the server is sent [MQTT-3.2.2-11]', async () => {
  const world = new World()
  const client = await world.connected({}, { properties: { maximumQoS: 1 } })
  const error = { code: 'qos-not-supported' }
  await assert.rejects(client.publish('a', 'x', { qos: 2 }), error)
  if (isFull()) assert.throws(() => client.tryPublish('a', 'x', { qos: 2 }), error)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
})

test('nothing is retained where the server keeps nothing [MQTT-3.2.2-14]', async () => {
  const world = new World()
  const client = await world.connected({}, { properties: { retainAvailable: 0 } })
  for (const qos of [0, 1, 2] as const) {
    const published = client.publish('a', 'x', { qos, retain: true })
    await assert.rejects(published, { code: 'retain-not-supported' })
  }
  const retained = (): boolean => client.tryPublish('a', 'x', { retain: true })
  if (isFull()) assert.throws(retained, { code: 'retain-not-supported' })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
})

const Sized: readonly (readonly [string, number, 0 | 1, Properties])[] = [
  // Fixed header 2, topic 3, identifier 2, properties 1.
  ['QoS 0', 2 + 3 + 1, 0, {}],
  ['QoS 1', 2 + 3 + 2 + 1, 1, {}],
  ['a content type', 2 + 3 + 1 + 5, 0, { contentType: 'ab' }],
]

for (const [name, overhead, qos, { contentType }] of Sized) {
  test(`${name}: the Maximum Packet Size is kept to the byte [MQTT-3.2.2-15]`, async () => {
    const world = new World()
    const client = await world.connected({}, { properties: { maximumPacketSize: 100 } })
    const options = { qos, ...(contentType !== undefined && { contentType }) }
    const payload = 'x'.repeat(100 - overhead)
    void client.publish('a', payload, options)
    await assert.rejects(client.publish('a', `${payload}x`, options), { code: 'packet-too-large' })
    // A character of three bytes.
    await assert.rejects(client.publish('a', `${payload.slice(2)}\u20ac`, options), {
      code: 'packet-too-large',
    })
    await world.settle()
    assert.deepEqual(world.peer.writes.at(-1)?.length, 100)
    assert.equal(publishes(world.peer).length, 1)
  })
}

test('no alias is sent where the server allows none [MQTT-3.2.2-18]', async () => {
  const world = new World()
  const client = await world.connected()
  for (let i = 0; i < 3; i++) void client.publish('a/topic/of/some/length', 'x')
  await world.settle()
  assert.ok(publishes(world.peer).every(({ properties }) => properties.topicAlias === undefined))
})

test('aliases stand for long topics, up to the maximum [MQTT-3.2.2-17] [MQTT-3.3.2-9]', async () => {
  const world = new World()
  const client = await world.connected({}, { properties: { topicAliasMaximum: 2 } })
  const topic = (i: number): string => `a/topic/of/some/length/${i}`
  for (const i of [1, 1, 2, 2, 3, 3, 1]) void client.publish(topic(i), 'x')
  void client.publish('short', 'x')
  await world.settle()
  const sent = publishes(world.peer).map(packet => [packet.topic, packet.properties.topicAlias])
  assert.deepEqual(sent, [
    [topic(1), 1],
    ['', 1],
    [topic(2), 2],
    ['', 2],
    [topic(3), undefined],
    [topic(3), undefined],
    ['', 1],
    ['short', undefined],
  ])
})

test('a new alias never makes a packet larger than the server takes [MQTT-3.2.2-15]', async () => {
  const topic = 'a/topic/of/some/length'
  for (const contentType of [undefined, 'text']) {
    const world = new World()
    const properties = { topicAliasMaximum: 2, maximumPacketSize: 200 }
    const client = await world.connected({}, { properties })
    const room = 200 - topic.length - 6 - (contentType === undefined ? 0 : 7)
    for (let less = 0; less < 6; less++) {
      void client.publish(topic, 'x'.repeat(room - less), contentType ? { contentType } : {})
      await world.settle()
      assert.ok((world.peer.writes.at(-1)?.length ?? 0) <= 200, `${less} bytes of room`)
    }
    const aliases = publishes(world.peer).map(packet => packet.properties.topicAlias)
    assert.equal(aliases.length, 6)
    // It takes three bytes, and then stands for the topic.
    assert.deepEqual(aliases, [undefined, undefined, undefined, 1, 1, 1])
  }
})

test('aliases do not survive the connection [MQTT-3.3.2-7]', async () => {
  const world = new World()
  const properties = { topicAliasMaximum: 2 }
  const client = await world.connected(Persistent, { properties })
  const topic = 'a/topic/of/some/length'
  void client.publish(topic, 'x')
  const seen = publish(client, topic, 'y', 1)
  await world.settle()
  world.peer.take()
  await world.reconnected({ sessionPresent: true, properties })
  void client.publish(topic, 'z')
  await world.settle()
  const sent = publishes(world.peer).map(packet => [packet.topic, packet.properties.topicAlias])
  assert.deepEqual(sent, [
    [topic, 1],
    ['', 1],
  ])
  assert.equal(seen.outcome, null)
})

test('aliases can be switched off', async () => {
  const world = new World()
  const client = await world.connected(
    { topicAliases: false },
    { properties: { topicAliasMaximum: 9 } },
  )
  void client.publish('a/topic/of/some/length', 'x')
  await world.settle()
  assert.equal(publishes(world.peer)[0]?.properties.topicAlias, undefined)
})

test('a resumed session sends again, in order, with DUP [MQTT-4.4.0-1] [MQTT-4.6.0-1]', async () => {
  for (const protocolVersion of [5, 4] as const) {
    const world = new World()
    const options = { ...Persistent, protocolVersion, cleanStart: false }
    const client = await world.connected(options)
    for (let i = 1; i <= 5; i++) publish(client, 'a', `${i}`, i % 2 === 0 ? 2 : 1)
    await world.settle()
    world.peer.take()
    world.peer.pubrec(2)
    world.peer.puback(3)
    await world.settle()
    world.peer.take()
    publish(client, 'a', '6', 1)
    // Lost before the turn ends: 6 was never written.
    await world.reconnected({ sessionPresent: true })
    // [MQTT-3.3.1-1] [MQTT-3.3.1-3] [MQTT-4.3.3-6] [MQTT-4.4.0-1 v3] [MQTT-4.6.0-1 v3]
    assert.deepEqual(world.peer.takeShort(), [
      'PUBLISH 1 DUP a 1',
      'PUBLISH 4 DUP a 4',
      'PUBLISH 5 DUP a 5',
      'PUBREL 2',
      'PUBLISH 6 DUP a 6',
    ])
  }
})

test('nothing is sent again on the same connection [MQTT-4.4.0-1]', async () => {
  const world = new World()
  const client = await world.connected({ keepAliveSeconds: 0 })
  for (const qos of [1, 2] as const) publish(client, 'a', 'x', qos)
  await world.settle()
  world.peer.take()
  await world.advance(1e6)
  assert.deepEqual(world.peer.takeShort(), [])
})

test('what is sent again keeps to the window of the new connection', async () => {
  const world = new World()
  const client = await world.connected(Persistent)
  for (let i = 1; i <= 4; i++) publish(client, 'a', `${i}`, 1)
  await world.settle()
  world.peer.take()
  await world.reconnected({ sessionPresent: true, properties: { receiveMaximum: 2 } })
  publish(client, 'a', '5', 1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 DUP a 1', 'PUBLISH 2 DUP a 2'])
  world.peer.puback(1)
  world.peer.puback(2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 3 DUP a 3', 'PUBLISH 4 DUP a 4'])
  world.peer.puback(4)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 5 a 5'])
})

test('what is sent again is pipelined, not one by one', async () => {
  const world = new World()
  const client = await world.connected(Persistent)
  for (let i = 1; i <= 500; i++) publish(client, 'a', `${i}`, 1)
  await world.settle()
  world.peer.take()
  await world.reconnected({ sessionPresent: true })
  assert.equal(publishes(world.peer).length, 500)
})

test('a lost session: QoS 1 begins anew, QoS 2 is unknown [MQTT-3.2.2-5]', async () => {
  const world = new World()
  const client = await world.connected(Persistent)
  const events = client.events()
  const one = publish(client, 'a', '1', 1)
  const two = publish(client, 'a', '2', 2)
  const three = publish(client, 'a', '3', 2)
  await world.settle()
  world.peer.take()
  world.peer.pubrec(3)
  await world.settle()
  await world.reconnected({ sessionPresent: false })
  const packets = world.peer.takeShort()
  assert.equal(packets.length, 1)
  assert.match(packets[0] ?? '', /^PUBLISH \d a 1$/)
  assert.ok(two.outcome instanceof Error)
  assert.equal(two.outcome.code, 'session-lost')
  // The server had it before it lost the session.
  assert.ok(three.outcome !== null && 'reasonCode' in three.outcome)
  assert.equal(one.outcome, null)
  const types: string[] = []
  for await (const { type } of events) {
    types.push(type)
    if (type === 'connected') break
  }
  assert.deepEqual(types, ['disconnected', 'reconnecting', 'error', 'session-lost', 'connected'])
})

test('messages wait in line while there is no connection, and leave in order', async () => {
  const world = new World()
  const client = await world.connected({ offline: { qos0: 'queue' } })
  world.peer.lose()
  await world.settle()
  const other = isFull() ? 0 : 2
  for (let i = 1; i <= 4; i++) publish(client, 'a', `${i}`, i % 2 === 0 ? other : 1)
  assert.equal(client.stats.queued, 4)
  await world.advance(1000)
  world.peer.accept()
  await world.settle()
  assert.deepEqual(
    publishes(world.peer).map(({ payload }) => new TextDecoder().decode(payload)),
    ['1', '2', '3', '4'],
  )
})

test('QoS 0 without a connection is refused unless it may wait', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.lose()
  await assert.rejects(client.publish('a', 'x'), { code: 'not-connected' })
  assert.equal(client.tryPublish('a', 'x'), false)
})

test('a full line: `wait` holds publishers until there is room', async () => {
  const world = new World()
  const client = await world.connected({ offline: { messagesMax: 2 } })
  world.peer.lose()
  const all = [1, 2, 3, 4, 5].map(i => publish(client, 'a', `${i}`, 1))
  assert.deepEqual([client.stats.queued, client.stats.waiting], [2, 3])
  await world.advance(1000)
  world.peer.accept()
  await world.settle()
  const sent = publishes(world.peer)
  assert.deepEqual(
    sent.map(({ payload }) => new TextDecoder().decode(payload)),
    ['1', '2', '3', '4', '5'],
  )
  for (const { packetId } of sent) world.peer.puback(packetId)
  await world.settle()
  assert.ok(all.every(({ outcome }) => outcome !== null && 'properties' in outcome))
})

test('a full line: `reject` refuses at the limit and one more', async () => {
  const world = new World()
  const client = await world.connected({ offline: { messagesMax: 2, whenFull: 'reject' } })
  world.peer.lose()
  const all = [1, 2, 3].map(i => publish(client, 'a', `${i}`, 1))
  await world.settle()
  const [, second, third] = all
  assert.equal(second?.outcome, null)
  assert.ok(third?.outcome instanceof Error)
  assert.equal(third.outcome.code, 'queue-full')
})

test('a full line: `drop-oldest` keeps the newest', async () => {
  const world = new World()
  const client = await world.connected({ offline: { messagesMax: 2, whenFull: 'drop-oldest' } })
  world.peer.lose()
  const all = [1, 2, 3].map(i => publish(client, 'a', `${i}`, 1))
  await world.settle()
  const [first, second] = all
  assert.ok(first?.outcome instanceof Error)
  assert.equal(first.outcome.code, 'queue-full')
  assert.equal(second?.outcome, null)
})

test('the line has a limit in bytes too', async () => {
  const world = new World()
  const client = await world.connected({ offline: { bytesMax: 1000, whenFull: 'reject' } })
  world.peer.lose()
  const first = publish(client, 'a', 'x'.repeat(500), 1)
  const second = publish(client, 'a', 'x'.repeat(500), 1)
  await world.settle()
  assert.equal(first.outcome, null)
  assert.ok(second.outcome instanceof Error && second.outcome.code === 'queue-full')
})

test('a transport that is full holds back PUBLISH until it drains', async () => {
  const world = new World()
  const client = await world.connected()
  const { peer } = world
  peer.bufferedBytes = 65_537
  await client.publish('a', '1')
  await world.settle()
  if (isFull()) assert.equal(client.tryPublish('a', '2'), false)
  let writable = !isFull()
  void client.writable?.then(() => {
    writable = true
  })
  const second = publish(client, 'a', '2', 0)
  const third = publish(client, 'a', '3', 1)
  await world.settle()
  assert.deepEqual(peer.takeShort(), ['PUBLISH a 1'])
  assert.equal(second.outcome, null)
  assert.equal(writable, !isFull())
  peer.drain()
  await world.settle()
  assert.deepEqual(peer.takeShort(), ['PUBLISH a 2', 'PUBLISH 1 a 3'])
  assert.notEqual(second.outcome, null)
  assert.equal(third.outcome, null)
  assert.equal(writable, true)
  if (isFull()) assert.equal(client.tryPublish('a', '4'), true)
})

test('tryPublish in a loop stops at the bound of the transport', async () => {
  const world = new World()
  const client = await world.connected()
  const { peer } = world
  const write = peer.write.bind(peer)
  peer.write = bytes => {
    peer.bufferedBytes += bytes.length
    return write(bytes)
  }
  let sent = 0
  while (client.tryPublish('a', 'x'.repeat(1000))) sent++
  assert.ok(sent > 60 && sent < 300, `${sent}`)
})

test('a publish can be given up: by time, by signal, before and after it was sent', async () => {
  const world = new World()
  const client = await world.connected({ inflightMax: 1 })
  const controller = new AbortController()
  const { signal } = controller
  const sent = client.publish('a', '1', { qos: 1, timeoutMs: 100 })
  const waits = client.publish('a', '2', { qos: 1, timeoutMs: 100 })
  const aborts = client.publish('a', '3', { qos: 1, signal })
  const stays = publish(client, 'a', '4', 1)
  await world.settle()
  controller.abort()
  await assert.rejects(aborts, { code: 'aborted' })
  await world.advance(100)
  await assert.rejects(sent, { code: 'timeout' })
  await assert.rejects(waits, { code: 'timeout' })
  await assert.rejects(client.publish('a', '5', { qos: 1, signal }), { code: 'aborted' })
  world.peer.take()
  world.peer.puback(1)
  await world.settle()
  // What waited was taken out of the line.
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 2 a 4'])
  assert.equal(stays.outcome, null)
  world.peer.puback(2)
  await world.settle()
  assert.equal(world.timerCount, 1)
})

const NoTopics: readonly (readonly [string, string])[] = [
  ['an empty topic [MQTT-4.7.3-1]', ''],
  ['a topic with # [MQTT-3.3.2-2]', 'a/#'],
  ['a topic with + [MQTT-4.7.0-1]', 'a/+/b'],
  ['a topic with U+0000 [MQTT-4.7.3-2]', 'a\0'],
  ['a topic with a lone surrogate [MQTT-1.5.4-1]', 'a\ud800'],
  ['a topic of more than 65,535 bytes [MQTT-4.7.3-3]', 'x'.repeat(65_536)],
]

for (const [name, topic] of NoTopics) {
  test(`${name} is refused, and nothing is sent`, async () => {
    const world = new World()
    const client = await world.connected()
    for (const qos of [0, 1, 2] as const) {
      await assert.rejects(client.publish(topic, 'x', { qos }), { code: 'invalid-argument' })
      if (!isFull()) continue
      assert.throws(() => client.tryPublish(topic, 'x', { qos }), { code: 'invalid-argument' })
    }
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [])
    assert.equal(client.stats.inflight, 0)
  })
}

test('text with a lone surrogate is no payload, and leaves no half packet', async () => {
  const world = new World()
  const client = await world.connected()
  await assert.rejects(client.publish('a', 'x\udc00'), { code: 'invalid-argument' })
  const lone = (): boolean => client.tryPublish('a', 'x\ud800y')
  if (isFull()) assert.throws(lone, { code: 'invalid-argument' })
  void client.publish('a', 'fine')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH a fine'])
})

test('a response topic with a wildcard is refused [MQTT-3.3.2-14]', async () => {
  const world = new World()
  const client = await world.connected()
  const published = client.publish('a', 'x', { responseTopic: 'r/#' })
  await assert.rejects(published, { code: 'invalid-argument' })
  await world.settle()
  assert.deepEqual(world.peer.writes.length, 1)
})

test('a QoS or a topic of the wrong type is refused, and the connection stays', async () => {
  const world = new World()
  const client = await world.connected()
  for (const qos of [3, -1, 1.5, '1', null]) {
    const options = { qos: qos as 0 }
    await assert.rejects(client.publish('a', 'x', options), { code: 'invalid-argument' })
    if (!isFull()) continue
    assert.throws(() => client.tryPublish('a', 'x', options), { code: 'invalid-argument' })
  }
  for (const topic of [undefined, null, 5, {}]) {
    const wrong = topic as string
    await assert.rejects(client.publish(wrong, 'x', { qos: 1 }), { code: 'invalid-argument' })
    if (!isFull()) continue
    assert.throws(() => client.tryPublish(wrong, 'x'), { code: 'invalid-argument' })
  }
  await client.publish('a', 'fine')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH a fine'])
})
