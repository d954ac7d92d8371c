// More messages in one chunk of bytes than a buffer holds: readers get their turn in the middle of
// it, and nothing that waits is lost or comes in another order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType } from '@godwit/packet'
import type { Message } from './message.ts'
import { subscribed, take } from './testing/subscribed.ts'
import { publishOf, World } from './testing/world.ts'

/** Messages of QoS 0 on the topic `a`, numbered, in one array. */
function chunkOf(count: number, first = 0): Uint8Array {
  const frames: Uint8Array[] = []
  for (let i = 0; i < count; i++) frames.push(encodePacket(publishOf('a', `${first + i}`), 5))
  return Buffer.concat(frames)
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}`)
}

function readAll(subscription: AsyncIterable<Message>): string[] {
  const texts: string[] = []
  void (async () => {
    for await (const message of subscription) texts.push(message.text())
  })()
  return texts
}

for (const [name, canPause] of [
  ['Node', true],
  ['a browser', false],
] as const) {
  test(`${name}: a loop that keeps up loses nothing of a chunk beyond its buffer`, async () => {
    const world = new World()
    world.canPause = canPause
    const client = await world.connected()
    const subscription = client.subscribe('a', { qos: 0 })
    await world.settle()
    world.peer.suback(1, 0)
    const texts = readAll(subscription)
    await world.settle()
    world.peer.sendBytes(chunkOf(9000))
    await world.settle()
    assert.equal(subscription.dropped, 0)
    assert.deepEqual(texts, numbers(9000))
    assert.equal(world.peer.paused, false)
  })

  test(`${name}: what comes while a chunk waits follows it`, async () => {
    const world = new World()
    world.canPause = canPause
    const client = await world.connected()
    const subscription = client.subscribe('a', { qos: 0, buffer: { messagesMax: 10 } })
    await world.settle()
    world.peer.suback(1, 0)
    const texts = readAll(subscription)
    await world.settle()
    const bytes = chunkOf(80)
    // Chunks end within packets, and readers have had their turn before the next one in a browser.
    for (let at = 0; at < bytes.length; at += 100) {
      world.peer.sendBytes(bytes.subarray(at, at + 100))
      for (let i = 0; i < 40; i++) await Promise.resolve()
    }
    await world.settle()
    assert.deepEqual(texts, numbers(80))
  })
}

test('whoever does not keep up gets one turn, then the policy of the buffer holds', async () => {
  const { world, subscription } = await subscribed('a', { qos: 0, buffer: { messagesMax: 10 } })
  world.peer.sendBytes(chunkOf(50))
  assert.deepEqual([subscription.buffered, subscription.dropped], [10, 0])
  await world.settle()
  assert.deepEqual([subscription.buffered, subscription.dropped], [10, 40])
  assert.equal(world.peer.paused, false)
  // Half of it must be taken before reading waits for this buffer again.
  assert.equal((await take(subscription)).text(), '40')
  world.peer.sendBytes(chunkOf(3, 50))
  assert.deepEqual([subscription.buffered, subscription.dropped], [10, 42])
  assert.equal(world.peer.paused, false)
})

test('a buffer full by its bytes gives its reader a turn too', async () => {
  const { world, subscription } = await subscribed('a', { qos: 0, buffer: { bytesMax: 5 } })
  const texts = readAll(subscription)
  await world.settle()
  world.peer.sendBytes(chunkOf(200))
  await world.settle()
  assert.deepEqual(texts, numbers(200))
})

test('`pause` keeps to its limit also within a chunk', async () => {
  const { world, subscription } = await subscribed('a', {
    qos: 0,
    buffer: { messagesMax: 10, whenFull: 'pause' },
  })
  world.peer.sendBytes(chunkOf(35))
  await world.settle()
  assert.deepEqual([subscription.buffered, world.peer.paused], [10, true])
  for (let i = 0; i < 35; i++) {
    assert.equal((await take(subscription)).text(), `${i}`)
    await world.settle()
    assert.ok(subscription.buffered <= 10)
  }
  assert.equal(world.peer.paused, false)
})

test('other subscriptions, and acknowledgements, wait for one turn only', async () => {
  const { world, client } = await subscribed('a', { qos: 0, buffer: { messagesMax: 1 } })
  let done = false
  void client.publish('b', 'x', { qos: 1 }).then(() => {
    done = true
  })
  await world.settle()
  const puback = { type: PacketType.PUBACK, packetId: 2, reasonCode: 0, properties: {} } as const
  world.peer.sendBytes(Buffer.concat([chunkOf(5), encodePacket(puback, 5)]))
  await world.settle()
  assert.equal(done, true)
})

test('what was kept is read before a connection that is lost counts as lost', async () => {
  const { world, client, subscription } = await subscribed('a', {
    qos: 0,
    buffer: { messagesMax: 5 },
  })
  const taken = { type: PacketType.DISCONNECT, reasonCode: 0x8e, properties: {} } as const
  world.peer.sendBytes(Buffer.concat([chunkOf(8), encodePacket(taken, 5)]))
  world.peer.lose()
  assert.equal(subscription.received, 8)
  const { error } = await client.closed
  assert.equal(error?.reasonCode, 0x8e)
})

test('nothing that was kept is read after the client was closed', async () => {
  const { world, client, subscription } = await subscribed('a', {
    qos: 0,
    buffer: { messagesMax: 5 },
  })
  world.peer.sendBytes(chunkOf(20))
  void client.close()
  await world.settle()
  assert.equal(subscription.received, 5)
  assert.equal(client.state, 'closed')
})

test('a violation in what was kept ends the connection with its code', async () => {
  const { world } = await subscribed('a', { qos: 0, buffer: { messagesMax: 2 } })
  world.peer.sendBytes(Buffer.concat([chunkOf(4), Uint8Array.of(0x36, 2, 0, 0)]))
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['DISCONNECT 0x81'])
})

test('nothing is written for what was kept of a connection that is lost', async () => {
  const { world } = await subscribed('a', { qos: 0, buffer: { messagesMax: 2 } })
  world.peer.sendBytes(Buffer.concat([chunkOf(4), Uint8Array.of(0x36, 2, 0, 0)]))
  const { peer } = world
  peer.lose()
  await world.settle()
  assert.deepEqual(peer.takeShort(), [])
})

test('a reader that still does not read holds up the next connection no more', async () => {
  const { world, client } = await subscribed('a', { qos: 0, buffer: { messagesMax: 2 } })
  world.peer.sendBytes(chunkOf(2))
  world.peer.lose()
  await world.advance(1000)
  world.peer.accept()
  await world.settle()
  assert.equal(client.state, 'connected')
  assert.equal(world.peer.paused, false)
})

test('CONNACK is read whatever holds up reading, and what follows it waits', async () => {
  const world = new World()
  const client = await world.connected({ clientId: 'a', sessionExpirySeconds: 100 })
  const subscription = client.subscribe('a', {
    qos: 0,
    buffer: { messagesMax: 1, whenFull: 'pause' },
  })
  await world.settle()
  world.peer.suback(1, 0)
  world.peer.sendBytes(chunkOf(1))
  world.peer.lose()
  await world.advance(1000)
  const connack = { sessionPresent: true, reasonCode: 0, properties: {} }
  const accepted = encodePacket({ type: PacketType.CONNACK, ...connack }, 5)
  world.peer.sendBytes(Buffer.concat([accepted, chunkOf(2, 1)]))
  await world.settle()
  assert.equal(client.state, 'connected')
  assert.deepEqual([subscription.buffered, world.peer.paused], [1, true])
  for (let i = 0; i < 3; i++) {
    assert.equal((await take(subscription)).text(), `${i}`)
    await world.settle()
  }
  assert.equal(world.peer.paused, false)
})

test('a listener beside a full buffer hears everything, in order', async () => {
  const world = new World()
  const client = await world.connected()
  const order: string[] = []
  client.subscribe('a', { qos: 0, listener: message => order.push(message.text()) })
  client.subscribe('+', { qos: 0, buffer: { messagesMax: 3 } })
  await world.settle()
  world.peer.sendBytes(chunkOf(10))
  await world.settle()
  assert.deepEqual(order, numbers(10))
})

test('what is kept of a chunk is copied once, however often reading stops', async context => {
  const world = new World()
  world.canPause = false
  const client = await world.connected()
  const subscription = client.subscribe('a', { qos: 0, buffer: { messagesMax: 1 } })
  await world.settle()
  world.peer.suback(1, 0)
  const texts = readAll(subscription)
  await world.settle()
  const chunk = chunkOf(500)
  let copied = 0
  const { slice } = Uint8Array.prototype
  context.mock.method(Uint8Array.prototype, 'slice', function (this: Uint8Array, start?: number) {
    copied += this.length - (start ?? 0)
    return slice.call(this, start)
  })
  world.peer.sendBytes(chunk)
  await world.settle()
  assert.deepEqual(texts, numbers(500))
  assert.ok(copied < 2 * chunk.length, `${copied} bytes`)
})
