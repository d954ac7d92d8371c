// A server that allows as little as the standard lets it, a clock that jumps, a store that fails:
// nothing hangs, and whatever cannot be done is told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from './client.ts'
import type { SessionStore } from './store.ts'
import { collect, take } from './testing/subscribed.ts'
import { World } from './testing/world.ts'

for (let maximumPacketSize = 1; maximumPacketSize <= 24; maximumPacketSize++) {
  test(`a Maximum Packet Size of ${maximumPacketSize}: each call settles`, async () => {
    const world = new World()
    const client = await world.connected({}, { properties: { maximumPacketSize } })
    const calls: Promise<unknown>[] = [
      client.publish('a', ''),
      client.publish('topic', 'payload', { qos: 1 }),
      client.publish('topic', 'payload', { qos: 2, contentType: 'text' }),
      client.subscribe('filter').ready,
      client.unsubscribe('filter of another'),
      client.request('a', 'x', { timeoutMs: 10_000 }),
    ]
    const outcomes = calls.map(call =>
      call.then(
        () => 'done',
        ({ code }) => code as string,
      ),
    )
    for (let i = 0; i < 5; i++) {
      await world.settle()
      for (const packet of world.peer.take()) {
        assert.ok(packet.type !== 14, 'the client has given up')
        if (packet.type === 8) {
          world.peer.suback(packet.packetId, ...packet.subscriptions.map(() => 0))
        } else if (packet.type === 10) world.peer.unsuback(packet.packetId, 0)
        else if (packet.type === 3 && packet.qos === 1) world.peer.puback(packet.packetId)
        else if (packet.type === 3 && packet.qos === 2) world.peer.pubrec(packet.packetId)
        else if (packet.type === 6) world.peer.pubcomp(packet.packetId)
      }
    }
    for (const bytes of world.peer.writes.slice(1)) assert.ok(bytes.length > 0)
    await world.advance(20_000)
    const all = await Promise.all(outcomes)
    for (const each of all) assert.ok(['done', 'packet-too-large', 'timeout'].includes(each), each)
    const closed = client.close({ reasonCode: 4, reasonString: 'a long reason' })
    await world.settle()
    await closed
  })
}

test('a Receive Maximum of 1: one message after the other, across reconnects', async () => {
  const world = new World()
  const options = { clientId: 'a', sessionExpirySeconds: 100 }
  const client = await world.connected(options, { properties: { receiveMaximum: 1 } })
  const done: number[] = []
  for (let i = 0; i < 4; i++) {
    void client.publish('a', `${i}`, { qos: i % 2 === 0 ? 2 : 1 }).then(() => done.push(i))
  }
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 1 a 0'])
  world.peer.pubrec(1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 1'])
  await world.reconnected({ sessionPresent: true, properties: { receiveMaximum: 1 } })
  // The quota begins anew with the connection, and PUBREL takes none of it.
  assert.deepEqual(world.peer.takeShort(), ['PUBREL 1', 'PUBLISH 2 a 1'])
  world.peer.pubcomp(1)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  await world.reconnected({ sessionPresent: true, properties: { receiveMaximum: 1 } })
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 2 DUP a 1'])
  world.peer.puback(2)
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBLISH 3 a 2'])
  world.peer.pubrec(3)
  world.peer.pubcomp(3)
  await world.settle()
  world.peer.puback(4)
  await world.settle()
  assert.deepEqual(done, [0, 1, 2, 3])
})

test('our own Receive Maximum of 1: the next message comes after the loop goes on', async () => {
  const world = new World()
  const client = await world.connected({ receiveMaximum: 1 })
  const subscription = client.subscribe('a', { qos: 2 })
  await world.settle()
  world.peer.suback(1, 2)
  world.peer.take()
  for (let i = 1; i <= 3; i++) {
    world.peer.publish('a', `${i}`, 2, i)
    assert.equal((await take(subscription)).text(), `${i}`)
    const next = subscription.next()
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [`PUBREC ${i}`])
    world.peer.pubrel(i)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [`PUBCOMP ${i}`])
    if (i === 3) break
    world.peer.publish('a', `${i}b`, 1, 100 + i)
    assert.equal((await next).value?.text(), `${i}b`)
    void subscription.next().catch(() => undefined)
    await world.settle()
    assert.deepEqual(world.peer.takeShort(), [`PUBACK ${100 + i}`])
    world.peer.publish('a', 'skip', 0)
    await world.settle()
  }
})

test('a Server Keep Alive of 1 is kept, and one of 0 asks for nothing', async () => {
  for (const [serverKeepAlive, pings] of [
    [1, 10],
    [0, 0],
  ] as const) {
    const world = new World()
    const client = await world.connected({}, { properties: { serverKeepAlive } })
    let seen = 0
    for (let i = 0; i < 100; i++) {
      await world.advance(100)
      for (const packet of world.peer.takeShort()) {
        assert.equal(packet, 'PINGREQ')
        seen++
        world.peer.sendBytes([0xd0, 0])
      }
    }
    assert.equal(client.state, 'connected')
    assert.ok(seen >= pings && (pings > 0 || seen === 0), `${seen}`)
  }
})

for (const jumpMs of [-3_600_000, 3_600_000, 1e12]) {
  test(`a clock that jumps by ${jumpMs} ms costs at most one connection`, async () => {
    const world = new World()
    const client = await world.connected({ keepAliveSeconds: 60 })
    const published = client.publish('a', 'x', { qos: 1 })
    await world.settle()
    world.now += jumpMs
    await world.advance(100)
    for (let i = 0; i < 200 && client.state !== 'closed'; i++) {
      for (const packet of world.peer.takeShort()) {
        if (packet.startsWith('CONNECT')) world.peer.accept()
        else if (packet.startsWith('PINGREQ')) world.peer.sendBytes([0xd0, 0])
        else if (packet.startsWith('PUBLISH')) world.peer.puback(1)
      }
      await world.advance(500)
    }
    assert.equal(client.state, 'connected')
    assert.ok(world.peers.length <= 2, `${world.peers.length} connections`)
    if (world.peers.length === 1) world.peer.puback(1)
    await published
    const closed = client.close()
    await world.settle()
    await closed
  })
}

/** A store of which one method fails, in one of the ways that it can. */
function failing(kind: keyof SessionStore, how: 'throws' | 'rejects'): SessionStore {
  const error = new Error('ENOSPC: no space left on device')
  const store: SessionStore = {
    open: async () => [],
    put: () => undefined,
    delete: () => undefined,
    commit: done => done(null),
    close: async () => undefined,
  }
  const fails = (): never => {
    throw error
  }
  if (how === 'throws') return { ...store, [kind]: fails }
  if (kind === 'commit') return { ...store, commit: done => done(error) }
  return { ...store, [kind]: () => Promise.reject(error) }
}

const Work: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  publish: client => client.publish('a', 'x', { qos: 2 }),
  drain: async client => {
    client.publish('a', 'x', { qos: 2 }).catch(() => undefined)
    await client.drain({ timeoutMs: 1000 })
  },
}

function works<K>(kind: K): [string, (client: Client) => Promise<unknown>, K][] {
  return Object.entries(Work).map(([name, work]) => [name, work, kind])
}

for (const how of ['throws', 'rejects'] as const) {
  test(`a store whose open ${how} fails connect`, async () => {
    const world = new World()
    const opening = world.begin({ clientId: 'a', store: failing('open', how) })
    await assert.rejects(opening, { code: 'store-failed' })
    assert.equal(world.timerCount, 0)
  })

  const kinds = how === 'throws' ? (['commit', 'put'] as const) : (['commit'] as const)
  for (const [name, work, kind] of kinds.flatMap(kind => works(kind))) {
    test(`a store whose ${kind} ${how} ends the client: ${name}`, async () => {
      const world = new World()
      const client = await world.connected({ clientId: 'a', store: failing(kind, how) })
      const events = collect(client)
      const outcome = assert.rejects(work(client), { code: 'store-failed' })
      await world.settle()
      await outcome
      const { error } = await client.closed
      assert.equal(error?.code, 'store-failed')
      assert.match(error?.message ?? '', /ENOSPC/)
      assert.deepEqual(world.peer.takeShort(), [])
      assert.equal(events.at(-1)?.type, 'closed')
      assert.equal(world.timerCount, 0)
    })
  }

  test(`a store whose close ${how} is told by \`closed\``, async () => {
    const world = new World()
    const client = await world.connected({ clientId: 'a', store: failing('close', how) })
    const closed = client.close()
    await world.settle()
    await closed
    const { error } = await client.closed
    assert.equal(error?.code, 'store-failed')
  })
}
