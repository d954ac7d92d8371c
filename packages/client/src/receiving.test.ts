// Subscriptions and the messages that come for them: acknowledgements, buffers, routes.
import assert from 'node:assert/strict'
import { PacketType, type SubscribePacket } from '@godwit/packet'
import type { Message } from './message.ts'
import type { Subscription } from './subscription.ts'
import type { SubscribeOptions } from './subscriptions.ts'
import { test } from './testing/kind.ts'
import { collect, subscribed, take } from './testing/subscribed.ts'
import { World } from './testing/world.ts'

test('SUBSCRIBE says what the options say [MQTT-3.8.3-1] [MQTT-3.8.3-2]', async () => {
  const world = new World()
  const client = await world.connected()
  client.subscribe('a/+', {
    qos: 2,
    noLocal: true,
    retainAsPublished: true,
    retainHandling: 'new',
    userProperties: [['k', 'v']],
  })
  client.subscribe('b', { qos: 0 })
  await world.settle()
  const packets = world.peer.take()
  assert.deepEqual(packets, [
    {
      type: PacketType.SUBSCRIBE,
      packetId: 1,
      subscriptions: [
        { filter: 'a/+', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 1 },
      ],
      properties: { userProperties: [['k', 'v']] },
    },
    {
      type: PacketType.SUBSCRIBE,
      packetId: 2,
      subscriptions: [
        { filter: 'b', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
      properties: {},
    },
  ])
})

test('subscriptions of one turn share a packet [MQTT-2.2.1-3]', async () => {
  const world = new World()
  const client = await world.connected()
  for (const filter of ['a', 'b', 'c/#']) client.subscribe(filter)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 a b c/#'])
})

test('what is subscribed and published in one turn leaves in the order of the calls', async () => {
  const world = new World()
  const client = await world.connected()
  client.subscribe('a')
  client.subscribe('b')
  void client.publish('a', 'zero')
  const left = client.subscribe('c')
  client.tryPublish('b', 'one', { qos: 1 })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [
    'SUBSCRIBE 1 a b',
    'PUBLISH a zero',
    'SUBSCRIBE 2 c',
    'PUBLISH 3 b one',
  ])
  assert.equal(world.peer.writes.length, 2)
  world.peer.suback(2, 1)
  void left.unsubscribe()
  client.tryPublish('c', 'two')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 4 c', 'PUBLISH c two'])
  // What was asked early has its time limit too.
  await world.advance(30_000)
  assert.equal(client.state, 'waiting')
})

test('subscriptions are restored before messages that waited in line are sent', async () => {
  const world = new World()
  const client = await world.connected()
  world.peer.lose()
  await world.settle()
  void client.publish('a', 'late', { qos: 1 })
  client.subscribe('a')
  await world.advance(1000)
  world.peer.take()
  world.peer.accept()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 a', 'PUBLISH 2 a late'])
})

test('what is granted is told, and what is refused is thrown', async () => {
  const world = new World()
  const client = await world.connected()
  const granted = client.subscribe(['a', 'b'], { qos: 2 })
  const refused = client.subscribe('c')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 a b c'])
  world.peer.suback(1, 2, 1, 0x87)
  assert.deepEqual(await granted.ready, { qos: 1, reasonCodes: [2, 1] })
  const error = { code: 'subscribe-refused', reasonCode: 0x87 }
  await assert.rejects(refused.ready, error)
  await assert.rejects(refused.next(), error)
  assert.deepEqual(await refused.next(), { value: undefined, done: true })
})

const NoFilters: readonly (readonly [string, string, SubscribeOptions])[] = [
  ['an empty filter [MQTT-4.7.3-1]', '', {}],
  ['# that is not last [MQTT-4.7.1-1]', 'a/#/b', {}],
  ['# within a level [MQTT-4.7.1-2 v3]', 'a#', {}],
  ['+ within a level [MQTT-4.7.1-2] [MQTT-4.7.1-3 v3]', 'a+/b', {}],
  ['U+0000 in a filter [MQTT-4.7.3-2]', 'a\0', {}],
  ['a filter of more than 65,535 bytes [MQTT-4.7.3-3]', 'x'.repeat(65_536), {}],
  ['a share without a name [MQTT-4.8.2-1]', '$share//a', {}],
  ['a share whose name has a wildcard [MQTT-4.8.2-2]', '$share/+/a', {}],
  ['a share option with a slash [MQTT-4.8.2-2]', 'a', { share: 'x/y' }],
  ['a shared subscription that is no local [MQTT-3.8.3-4]', 'a', { share: 'x', noLocal: true }],
]

for (const [name, filter, options] of NoFilters) {
  test(`${name} is refused, and nothing is sent`, async () => {
    const world = new World()
    const client = await world.connected()
    assert.throws(() => client.subscribe<string>(filter, options), { code: 'invalid-argument' })
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [])
  })
}

test('a filter that is not Unicode is refused [MQTT-3.8.3-1] [MQTT-3.8.3-1 v3]', async () => {
  const world = new World()
  const client = await world.connected()
  assert.throws(() => client.subscribe('a\ud800'), { code: 'invalid-argument' })
})

test('user properties that nobody can write end the subscription, and it alone', async () => {
  const world = new World()
  const client = await world.connected()
  const wrong = client.subscribe('a', { userProperties: [['k', 'v\ud800']] })
  const right = client.subscribe('b')
  const ready = wrong.ready
  ready.catch(() => undefined)
  await world.settle()
  await assert.rejects(ready, { code: 'invalid-argument' })
  const [packet] = world.peer.take()
  assert.ok(packet?.type === PacketType.SUBSCRIBE)
  assert.deepEqual(
    packet.subscriptions.map(({ filter }) => filter),
    ['b'],
  )
  world.peer.suback(packet.packetId, 1)
  assert.equal((await right.ready).qos, 1)
})

test('SUBSCRIBE keeps to the Maximum Packet Size to the byte [MQTT-3.2.2-15]', async () => {
  const world = new World()
  const client = await world.connected({}, { properties: { maximumPacketSize: 50 } })
  // Header 2, identifier 2, properties 1, length 2, options 1.
  const fits = client.subscribe('x'.repeat(42))
  const large = client.subscribe('y'.repeat(43))
  const ready = large.ready
  ready.catch(() => undefined)
  await world.settle()
  await assert.rejects(ready, { code: 'packet-too-large' })
  assert.equal(world.peer.writes.at(-1)?.length, 50)
  const [packet] = world.peer.take()
  assert.ok(packet?.type === PacketType.SUBSCRIBE)
  world.peer.suback(packet.packetId, 1)
  await fits.ready
})

test('no filter at all is refused [MQTT-3.8.3-2] [MQTT-3.8.3-3 v3]', async () => {
  const world = new World()
  const client = await world.connected()
  assert.throws(() => client.subscribe([]), { code: 'invalid-argument' })
  assert.throws(() => client.subscribe(5 as unknown as string), { code: 'invalid-argument' })
  assert.throws(() => client.subscribe('a', { qos: 3 as 2 }), { code: 'invalid-argument' })
})

test('named wildcards become parameters, and the server sees plain ones', async () => {
  const world = new World()
  const client = await world.connected()
  const subscription = client.subscribe('site/+site/meter/#rest', { share: 'g' })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 1 $share/g/site/+/meter/#'])
  world.peer.publish('site/north/meter/7/power', '1')
  const { value } = await subscription.next()
  assert.ok(value !== undefined)
  const { site, rest } = value.params
  assert.deepEqual({ site, rest }, { site: 'north', rest: '7/power' })
})

for (const protocolVersion of [5, 4] as const) {
  const ids =
    protocolVersion === 5 ? '[MQTT-4.6.0-2] [MQTT-4.6.0-3]' : '[MQTT-4.6.0-2 v3] [MQTT-4.6.0-3 v3]'
  test(`acknowledged when taken, in order of arrival ${ids}`, async () => {
    const { world, subscription } = await subscribed('a', { qos: 2 }, { protocolVersion })
    world.peer.publish('a', '1', 1, 11)
    world.peer.publish('a', '2', 2, 12)
    world.peer.publish('a', '3', 1, 13)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [])
    await take(subscription)
    await world.settle()
    // It has it, and has not asked for the next one.
    assert.deepEqual(world.peer.takeShort(), [])
    await take(subscription)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBACK 11'])
    await take(subscription)
    void subscription.next()
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBREC 12', 'PUBACK 13'])
    world.peer.pubrel(12)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), ['PUBCOMP 12'])
  })
}

test('two subscriptions: acknowledgements keep the order of arrival [MQTT-4.6.0-2]', async () => {
  const { world, client, subscription: a } = await subscribed('a')
  const b: Subscription = client.subscribe<string>('b')
  world.peer.publish('a', '1', 1, 1)
  world.peer.publish('b', '2', 1, 2)
  await take(b)
  void b.next()
  await world.settle()
  world.peer.take()
  // 2 is done, 1 is not.
  assert.equal(client.stats.unacknowledged, 2)
  await take(a)
  void a.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBACK 2'])
})

test('ack `received` acknowledges when the message is in the buffer', async () => {
  const { world, subscription } = await subscribed('a', { ack: 'received' })
  world.peer.publish('a', '1', 1, 1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
  assert.equal((await take(subscription)).text(), '1')
})

test('ack `received` holds the acknowledgement while the buffer is full', async () => {
  const { world, subscription } = await subscribed('a', {
    ack: 'received',
    buffer: { messagesMax: 2 },
  })
  for (let id = 1; id <= 4; id++) world.peer.publish('a', `${id}`, 1, id)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBACK 2'])
  for (let id = 1; id <= 4; id++) assert.equal((await take(subscription)).text(), `${id}`)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 3', 'PUBACK 4'])
})

test('ack `manual` acknowledges when the application says so, in order', async () => {
  const { world, subscription } = await subscribed('a', { ack: 'manual' })
  for (let id = 1; id <= 3; id++) world.peer.publish('a', `${id}`, 1, id)
  const messages = [await take(subscription), await take(subscription), await take(subscription)]
  messages[2]?.ack()
  messages[1]?.ack()
  messages[1]?.ack()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  messages[0]?.ack()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBACK 2', 'PUBACK 3'])
})

test('a message that nobody has subscribed to is acknowledged [MQTT-4.5.0-2]', async () => {
  const world = new World()
  await world.connected()
  world.peer.publish('x', '1', 1, 5)
  world.peer.publish('x', '2', 2, 6)
  await world.settle()
  // [MQTT-3.3.4-1] [MQTT-4.5.0-2 v3]
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 5', 'PUBREC 6'])
})

test('QoS 2 comes once, however often it is sent [MQTT-4.3.3-10] [MQTT-4.3.3-2 v3]', async () => {
  const { world, subscription } = await subscribed('a', { qos: 2 })
  world.peer.publish('a', '1', 2, 9)
  world.peer.publish('a', '1', 2, 9, { dup: true })
  assert.equal((await take(subscription)).text(), '1')
  const next = subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREC 9'])
  world.peer.publish('a', '1', 2, 9, { dup: true })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREC 9'])
  world.peer.pubrel(9)
  await world.settle()
  // [MQTT-4.3.3-8] [MQTT-4.3.3-11]
  assert.deepEqual(world.peer.takeShort(), ['PUBCOMP 9'])
  // From now on the identifier is a new message. [MQTT-4.3.3-12]
  world.peer.publish('a', '2', 2, 9)
  assert.equal((await next).value?.text(), '2')
})

test('after PUBACK an identifier is a new message [MQTT-4.3.2-4] [MQTT-4.3.2-5]', async () => {
  const { world, subscription } = await subscribed('a')
  world.peer.publish('a', '1', 1, 9)
  assert.equal((await take(subscription)).text(), '1')
  const next = subscription.next()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 9'])
  world.peer.publish('a', '2', 1, 9, { dup: true })
  const { value } = await next
  assert.deepEqual([value?.text(), value?.dup], ['2', true])
})

test('a handler that fails refuses its message [MQTT-4.3.3-9]', async () => {
  const { world, subscription } = await subscribed('a', { qos: 2 })
  const failure = new Error('no room')
  const reading = subscription.forEach(message => {
    if (message.text() === '2') throw failure
  })
  reading.catch(() => undefined)
  for (const id of [1, 2, 3]) world.peer.publish('a', `${id}`, 2, id)
  await world.settle()
  world.peer.unsuback(2, 0)
  await world.settle()
  await assert.rejects(reading, failure)
  assert.deepEqual(world.peer.takeShort(), [
    'PUBREC 1',
    'PUBREC 2 0x83',
    'PUBREC 3',
    'UNSUBSCRIBE 2 a',
  ])
  world.peer.pubrel(2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBCOMP 2 0x92'])
})

test('forEach runs several handlers at a time and acknowledges in order', async () => {
  const { world, subscription } = await subscribed('a')
  const running: (() => void)[] = []
  const handler = async (): Promise<void> => {
    await new Promise<void>(resolve => running.push(resolve))
  }
  void subscription.forEach(handler, { concurrency: 2 })
  for (let id = 1; id <= 3; id++) world.peer.publish('a', `${id}`, 1, id)
  await world.settle()
  assert.equal(running.length, 2)
  running[1]?.()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  assert.equal(running.length, 3)
  running[0]?.()
  running[2]?.()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBACK 2', 'PUBACK 3'])
})

test('forEach with room for more ends as soon as a handler fails', async () => {
  const { world, subscription } = await subscribed('a')
  const handler = (): never => {
    throw new Error('no')
  }
  const failed = assert.rejects(subscription.forEach(handler, { concurrency: 2 }), /^Error: no$/)
  world.peer.publish('a', '1', 1, 1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1 0x83', 'UNSUBSCRIBE 2 a'])
  world.peer.unsuback(2, 0)
  await failed
})

test('forEach with order `topic` keeps the order within each topic only', async () => {
  const { world, subscription } = await subscribed('a/#')
  const begun: string[] = []
  const running = new Map<string, () => void>()
  const handler = async (message: Message): Promise<void> => {
    begun.push(message.text())
    await new Promise<void>(resolve => running.set(message.text(), resolve))
  }
  void subscription.forEach(handler, { concurrency: 8, order: 'topic' })
  const sent = [
    ['a/x', 'x1'],
    ['a/x', 'x2'],
    ['a/y', 'y1'],
  ] as const
  for (const [topic, payload] of sent) world.peer.publish(topic, payload)
  await world.settle()
  assert.deepEqual(begun, ['x1', 'y1'])
  running.get('x1')?.()
  await world.settle()
  assert.deepEqual(begun, ['x1', 'y1', 'x2'])
})

test('a listener gets messages at once, and keep() makes one that lasts', async () => {
  const seen: Message[] = []
  const texts: string[] = []
  const { world } = await subscribed('a', {
    listener: message => {
      texts.push(message.text())
      seen.push(message.keep())
    },
  })
  world.peer.publish('a', 'one', 1, 1, { properties: { correlationData: new Uint8Array([7]) } })
  world.peer.publish('a', 'two', 0)
  assert.deepEqual(texts, ['one', 'two'])
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
  assert.deepEqual(
    seen.map(message => message.text()),
    ['one', 'two'],
  )
  assert.deepEqual(seen[0]?.properties.correlationData, new Uint8Array([7]))
})

test('a listener that throws is an event, and the message counts as taken', async () => {
  const { world, client } = await subscribed('a', {
    listener: () => {
      throw new Error('oops')
    },
  })
  const events = collect(client)
  world.peer.publish('a', 'x', 1, 1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
  assert.deepEqual(
    events.map(({ type }) => type),
    ['error'],
  )
})

test('messages own their bytes: a transport may reuse its buffer', async () => {
  const { world, subscription } = await subscribed('a')
  const properties = { correlationData: new Uint8Array([1, 2, 3]), contentType: 'text' }
  world.peer.publish('a', 'payload', 0, 0, { properties })
  const message = await take(subscription)
  assert.equal(message.text(), 'payload')
  assert.deepEqual(message.properties, properties)
  assert.equal(message.payload.constructor, Uint8Array)
})

const Overflows = [
  ['drop-oldest', ['3', '4']],
  ['drop-newest', ['1', '2']],
] as const

for (const [whenFull, left] of Overflows) {
  test(`a full buffer of QoS 0: ${whenFull}, at the limit and one more`, async () => {
    const { world, client, subscription } = await subscribed('a', {
      buffer: { messagesMax: 2, whenFull },
    })
    const events = collect(client)
    world.peer.publish('a', '1')
    world.peer.publish('a', '2')
    assert.equal(subscription.dropped, 0)
    await world.settle()
    world.peer.publish('a', '3')
    world.peer.publish('a', '4')
    assert.equal(subscription.dropped, 2)
    assert.equal(subscription.buffered, 2)
    await world.settle()
    assert.deepEqual(events, [
      { type: 'overflow', filter: 'a', dropped: 1 },
      { type: 'overflow', filter: 'a', dropped: 2 },
    ])
    const texts = [(await take(subscription)).text(), (await take(subscription)).text()]
    assert.deepEqual(texts, left)
  })
}

test('a buffer has a limit in bytes too', async () => {
  const { world, subscription } = await subscribed('a', { buffer: { bytesMax: 100 } })
  for (let i = 0; i < 5; i++) world.peer.publish('a', 'x'.repeat(40))
  await world.settle()
  assert.deepEqual([subscription.buffered, subscription.dropped], [2, 3])
  // One that is larger than the limit is taken alone.
  world.peer.publish('a', 'y'.repeat(400))
  assert.equal(subscription.buffered, 1)
})

test('`latest-per-topic` keeps the newest of each topic', async () => {
  const { world, subscription } = await subscribed('a/#', {
    buffer: { messagesMax: 2, whenFull: 'latest-per-topic' },
  })
  for (const [topic, payload] of [
    ['a/x', '1'],
    ['a/y', '2'],
    ['a/x', '3'],
    ['a/x', '4'],
  ] as const) {
    world.peer.publish(topic, payload)
  }
  await world.settle()
  const texts = [(await take(subscription)).text(), (await take(subscription)).text()]
  assert.deepEqual(texts, ['2', '4'])
})

test('`error` ends the subscription with what has come', async () => {
  const { world, subscription } = await subscribed('a', {
    buffer: { messagesMax: 1, whenFull: 'error' },
  })
  world.peer.publish('a', '1')
  world.peer.publish('a', '2')
  await world.settle()
  assert.equal((await take(subscription)).text(), '1')
  await assert.rejects(subscription.next(), { code: 'buffer-full' })
})

test('`pause` stops reading until half is taken, and silence then says nothing', async () => {
  const { world, client, subscription } = await subscribed(
    'a',
    { buffer: { messagesMax: 2, whenFull: 'pause' } },
    { keepAliveSeconds: 10 },
  )
  for (let i = 1; i <= 3; i++) world.peer.publish('a', `${i}`)
  assert.equal(world.peer.paused, true)
  assert.equal(subscription.buffered, 2)
  await world.advance(100_000)
  assert.equal(client.state, 'connected')
  assert.ok(world.peer.takeShort().every(packet => packet === 'PINGREQ'))
  await take(subscription)
  await world.settle()
  assert.equal(world.peer.paused, true)
  assert.equal(subscription.buffered, 2)
  await take(subscription)
  await take(subscription)
  await world.settle()
  assert.equal(world.peer.paused, false)
  assert.deepEqual([subscription.received, subscription.dropped], [3, 0])
})

test('QoS 1 and 2 are never dropped: the server stops at the receive maximum', async () => {
  const { world, subscription } = await subscribed(
    'a',
    { buffer: { messagesMax: 1, whenFull: 'drop-newest' } },
    { receiveMaximum: 5 },
  )
  for (let id = 1; id <= 5; id++) world.peer.publish('a', `${id}`, 1, id)
  world.peer.publish('a', 'zero')
  world.peer.publish('a', 'dropped')
  await world.settle()
  assert.deepEqual([subscription.buffered, subscription.dropped], [6, 1])
})

test('a loop that never goes on costs no connection: PINGRESP is read all the same', async () => {
  const options = { receiveMaximum: 2, keepAliveSeconds: 10 }
  const { world, subscription } = await subscribed('a', { qos: 1 }, options)
  for (const id of [1, 2]) world.peer.publish('a', 'x', 1, id)
  for (let pings = 0; pings < 5; ) {
    await world.advance(1000)
    for (const packet of world.peer.takeShort()) {
      assert.equal(packet, 'PINGREQ')
      pings++
      world.peer.send({ type: PacketType.PINGRESP })
    }
  }
  assert.equal(world.peers.length, 1)
  assert.equal(subscription.buffered, 2)
})

test('before MQTT 5.0 reading stops at the receive maximum and goes on at half of it', async () => {
  const { world, client, subscription } = await subscribed(
    'a',
    {},
    { receiveMaximum: 4, protocolVersion: 4 },
  )
  for (let id = 1; id <= 3; id++) world.peer.publish('a', `${id}`, 1, id)
  assert.equal(world.peer.paused, false)
  world.peer.publish('a', '4', 1, 4)
  assert.equal(world.peer.paused, true)
  // What was under way waits.
  world.peer.publish('a', '5', 1, 5)
  assert.equal(subscription.buffered, 4)
  for (let i = 0; i < 4; i++) await take(subscription)
  await world.settle()
  assert.equal(client.state, 'connected')
  assert.equal(world.peer.paused, false)
  assert.equal((await take(subscription)).text(), '5')
})

test('leaving the loop acknowledges and unsubscribes [MQTT-3.10.3-2]', async () => {
  const { world, subscription } = await subscribed('a')
  world.peer.publish('a', '1', 1, 1)
  const loop = (async () => {
    for await (const message of subscription) if (message.text() === '1') break
  })()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'UNSUBSCRIBE 2 a'])
  world.peer.unsuback(2, 0)
  await world.settle()
  await loop
  // What comes afterwards belongs to nobody, and is acknowledged.
  world.peer.publish('a', '2', 1, 2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 2'])
})

test('an unsubscribe that the server refuses is thrown', async () => {
  const { world, subscription } = await subscribed('a')
  const left = subscription.unsubscribe()
  left.catch(() => undefined)
  await world.settle()
  world.peer.unsuback(2, 0x87)
  await world.settle()
  await assert.rejects(left, { code: 'unsubscribe-refused', reasonCode: 0x87 })
})

test('an abort signal ends a subscription', async () => {
  const controller = new AbortController()
  const { world, subscription } = await subscribed('a', { signal: controller.signal })
  const next = subscription.next()
  next.catch(() => undefined)
  controller.abort()
  await world.settle()
  await assert.rejects(next, { code: 'aborted' })
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 2 a'])
})

test('a filter that two share is left when the second one leaves', async () => {
  const { world, client, subscription: first } = await subscribed('a')
  const second: Subscription = client.subscribe<string>('a')
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['SUBSCRIBE 2 a'])
  world.peer.suback(2, 1)
  world.peer.publish('a', '1')
  assert.deepEqual([(await take(first)).text(), (await take(second)).text()], ['1', '1'])
  await first.unsubscribe()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  void second.unsubscribe()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 3 a'])
})

test('filters that overlap get identifiers, so that each copy goes where it belongs', async () => {
  const { world, client, subscription: plain } = await subscribed('a/b')
  const wild: Subscription = client.subscribe<string>('a/+')
  await world.settle()
  const packets = world.peer.take() as SubscribePacket[]
  const asked = packets.map(({ subscriptions, properties }) => [
    subscriptions[0]?.filter,
    subscriptions[0]?.retainHandling,
    properties.subscriptionIdentifiers?.[0],
  ])
  // The older one is asked for again without its retained messages.
  assert.deepEqual(asked, [
    ['a/b', 2, 1],
    ['a/+', 0, 2],
  ])
  world.peer.publish('a/b', 'p', 0, 0, { properties: { subscriptionIdentifiers: [1] } })
  world.peer.publish('a/b', 'w', 0, 0, { properties: { subscriptionIdentifiers: [2] } })
  world.peer.publish('a/b', 'both', 0, 0, { properties: { subscriptionIdentifiers: [1, 2] } })
  const texts = async (subscription: Subscription): Promise<string[]> => {
    const seen: string[] = []
    while (subscription.buffered > 0) seen.push((await take(subscription)).text())
    return seen
  }
  assert.deepEqual(await texts(plain), ['p', 'both'])
  assert.deepEqual(await texts(wild), ['w', 'both'])
})

test('filters that overlap get identifiers, and in one turn all retained messages', async () => {
  const world = new World()
  const client = await world.connected()
  client.subscribe('a/+')
  client.subscribe('a/b')
  assert.deepEqual(await handlings(world), [
    ['a/+', 0],
    ['a/b', 0],
  ])
})

test('filters that overlap get identifiers, also beside a second reader of one', async () => {
  for (const filters of [
    ['a/b', 'a/+'],
    ['a/+', 'a/b'],
  ]) {
    const { world, client } = await subscribed('a/+')
    for (const filter of filters) client.subscribe(filter)
    // The second reader has had no retained messages.
    assert.deepEqual((await handlings(world)).sort(), [
      ['a/+', 0],
      ['a/b', 0],
    ])
  }
})

test('filters that overlap get identifiers, and what is retained in a new session', async () => {
  const { world, client } = await subscribed('a/+')
  client.subscribe('a/b')
  world.peer.lose()
  await world.advance(2000)
  world.peer.take()
  world.peer.accept()
  assert.deepEqual(await handlings(world), [
    ['a/+', 0],
    ['a/b', 0],
  ])
})

for (const [name, options, properties] of [
  ['a server of MQTT 5.0', {}, { subscriptionIdentifierAvailable: 0 }],
  ['MQTT 3.1.1', { protocolVersion: 4 }, {}],
] as const) {
  test(`where ${name} knows no identifiers, messages go by their topic`, async () => {
    const world = new World()
    const client = await world.connected(options, { properties })
    const asked: string[] = []
    for (const filter of ['a/+', 'a/b', 'a/c']) {
      client.subscribe(filter)
      await world.settle()
      for (const packet of world.peer.take() as SubscribePacket[]) {
        assert.equal(packet.properties.subscriptionIdentifiers, undefined)
        asked.push(...packet.subscriptions.map(each => each.filter))
        world.peer.suback(packet.packetId, 1)
      }
    }
    // None is asked for again: that would bring its retained messages again.
    assert.deepEqual(asked, ['a/+', 'a/b', 'a/c'])
  })
}

/** What is subscribed to, and how retained messages are to come. */
async function handlings(world: World): Promise<[string, number][]> {
  await world.settle()
  const packets = world.peer.take() as SubscribePacket[]
  return packets.flatMap(({ subscriptions }) =>
    subscriptions.map(({ filter, retainHandling }): [string, number] => [filter, retainHandling]),
  )
}

for (const [name, filter, options, property] of [
  ['wildcards', 'a/#', {}, 'wildcardSubscriptionAvailable'],
  ['shared subscriptions', 'a', { share: 'g' }, 'sharedSubscriptionAvailable'],
] as const) {
  test(`${name} are not asked of a server that has none`, async () => {
    const world = new World()
    const client = await world.connected({}, { properties: { [property]: 0 } })
    const subscription = client.subscribe<string>(filter, options)
    const ready = subscription.ready
    ready.catch(() => undefined)
    await world.settle()
    await assert.rejects(ready, { code: 'not-supported' })
    assert.deepEqual(world.peer.takeShort(), [])
  })
}

test('a refused subscription that nobody reads holds no acknowledgement back', async () => {
  const { world, client, subscription } = await subscribed('x')
  const refused = client.subscribe(['a', 'c'])
  await world.settle()
  world.peer.publish('a', 'early', 1, 7)
  world.peer.take()
  world.peer.suback(2, 1, 0x87)
  await assert.rejects(refused.ready, { code: 'subscribe-refused' })
  world.peer.publish('x', 'y', 1, 8)
  await take(subscription)
  void subscription.next()
  await world.settle()
  const acknowledged = world.peer.takeShort().filter(text => text.startsWith('PUBACK'))
  assert.deepEqual(acknowledged, ['PUBACK 7', 'PUBACK 8'])
  assert.equal((await take(refused)).text(), 'early')
  await assert.rejects(refused.next(), { code: 'subscribe-refused' })
})

test('a loop that is left has dealt with its message, also when nothing follows', async () => {
  const world = new World()
  const client = await world.connected()
  const refused = client.subscribe(['a', 'c'])
  await world.settle()
  world.peer.publish('a', 'early', 1, 7)
  world.peer.take()
  await take(refused)
  world.peer.suback(1, 1, 0x87)
  await world.settle()
  world.peer.take()
  await refused.return()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 7'])
})
