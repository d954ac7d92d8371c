// Parts that have to be loaded: what waits for them, what does not, and what becomes of a client
// that ends meanwhile or cannot have them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { MqttError } from './errors.ts'
import { AllParts, type Parts } from './parts.ts'
import type { SessionStore } from './store.ts'
import { World } from './testing/world.ts'

const NOT_LOADED = new MqttError('connect-failed', 'a part of the client cannot be loaded')

/** A world where parts are loaded when the test says so. */
class SlowWorld extends World {
  asked = 0
  loaded: (parts: Parts) => void = () => undefined
  failed: (error: MqttError) => void = () => undefined
  private readonly loading = new Promise<Parts>((resolve, reject) => {
    this.loaded = resolve
    this.failed = reject
  })

  override parts(): Parts | Promise<Parts> {
    this.asked++
    return this.loading
  }
}

class Store implements SessionStore {
  opened = 0
  closed = 0

  /** Resolves `open` when it is not null. */
  until: Promise<void> | null = null

  async open(): Promise<[]> {
    if (this.until !== null) await this.until
    this.opened++
    return []
  }

  put(): void {
    // Nothing outlives the test.
  }

  delete(): void {
    // As above.
  }

  commit(done: (error: Error | null) => void): void {
    done(null)
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }
}

test('a client that needs no part asks for none', async () => {
  const world = new SlowWorld()
  const client = await world.connected()
  void client.publish('a', 'b', { qos: 2 })
  client.subscribe('a')
  await world.settle()
  assert.equal(world.asked, 0)
})

test('nothing is dialled before the parts are there that the options need', async () => {
  const store = new Store()
  const world = new SlowWorld()
  const client = world.begin({ clientId: 'one', store })
  await world.settle()
  assert.deepEqual([world.peers.length, store.opened], [0, 0])
  world.loaded(AllParts)
  await world.settle()
  world.peer.accept()
  await (await client).close()
  assert.deepEqual([world.asked, store.opened, store.closed], [1, 1, 1])
})

test('a client that ended while parts were loaded does not open its store', async () => {
  const store = new Store()
  const world = new SlowWorld()
  const client = world.begin({ clientId: 'one', store, signal: world.signal })
  await world.settle()
  world.abort()
  await assert.rejects(client, { code: 'aborted' })
  world.loaded(AllParts)
  await world.settle()
  assert.deepEqual([world.peers.length, store.opened, store.closed], [0, 0, 0])
})

test('a client that ended while its store was opening closes it, once it is open', async () => {
  const store = new Store()
  let open = (): void => undefined
  store.until = new Promise(resolve => {
    open = resolve
  })
  const world = new World()
  const client = world.begin({ clientId: 'one', store, signal: world.signal })
  await world.settle()
  world.abort()
  await assert.rejects(client, { code: 'aborted' })
  assert.deepEqual([store.opened, store.closed], [0, 0])
  open()
  await world.settle()
  assert.deepEqual([world.peers.length, store.opened, store.closed], [0, 1, 1])
})

test('parts that cannot be loaded end the client that needs them', async () => {
  const world = new SlowWorld()
  const client = world.begin({ onPacket: () => undefined })
  world.failed(NOT_LOADED)
  await assert.rejects(client, { code: 'connect-failed' })
  assert.equal(world.peers.length, 0)
})

test('requests wait for their part, in their order', async () => {
  const world = new SlowWorld()
  const client = await world.connected()
  const topics = ['one', 'two']
  for (const topic of topics) void client.request(topic, '').catch(() => undefined)
  await world.settle()
  assert.deepEqual(world.peer.take(), [])
  world.loaded(AllParts)
  await world.settle()
  const [subscribe] = world.peer.take()
  assert.ok(subscribe?.type === PacketType.SUBSCRIBE)
  world.peer.suback(subscribe.packetId, 1)
  await world.settle()
  const sent = world.peer.take().map(packet => ('topic' in packet ? packet.topic : ''))
  assert.deepEqual([world.asked, sent], [1, topics])
})

test('a request whose part cannot be loaded fails, and the next one loads again', async () => {
  const world = new SlowWorld()
  const client = await world.connected()
  const first = client.request('a', '')
  world.failed(NOT_LOADED)
  await assert.rejects(first, { code: 'connect-failed' })
  await assert.rejects(client.request('a', ''), { code: 'connect-failed' })
  assert.equal(world.asked, 2)
})

test('a responder whose part cannot be loaded unsubscribes and says so', async () => {
  const world = new SlowWorld()
  const client = await world.connected()
  const responder = client.respond('a', () => '')
  world.failed(NOT_LOADED)
  await assert.rejects(responder.done, { code: 'connect-failed' })
  assert.equal(client.stats.subscriptions, 0)
})
