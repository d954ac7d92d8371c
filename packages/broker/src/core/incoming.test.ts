// Packets that never come to their end, and CONNECT packets that a guard thinks about: all of them
// together are bounded, and of those that hold much the oldest make room.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { only } from '../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { publishPacket, watch } from '../testing/v5.ts'
import { INCOMING_SHARE_BYTES } from './limits.ts'
import type { AuthenticationVerdict as Verdict } from './ports.ts'

const LARGE = 30_000
const PUBLISH = encodePacket(publishPacket('a', 'x'.repeat(LARGE)), 5)
const BIG_CONNECT = connectPacket({
  clientId: 'big',
  username: 'u',
  password: new Uint8Array(LARGE),
})
const CONNECT = encodePacket(BIG_CONNECT, 5)

/** Room for three that are begun. */
const limits = { totalIncomingBytesMax: 3 * LARGE }

class ThinkingGuard extends OpenGuard {
  readonly tickets: number[] = []
  override authenticate(request: Parameters<OpenGuard['authenticate']>[0]): Verdict | null {
    this.tickets.push(request.ticket)
    return null
  }
}

function connected(world: World, count: number): TestClient[] {
  return Array.from({ length: count }, (_, i) => world.connect({ clientId: `c${i}` }))
}

function endedOf(clients: readonly TestClient[]): boolean[] {
  return clients.map(client => client.ended)
}

test('totalIncomingBytesMax: at the limit all may go on', () => {
  const world = new World({ limits })
  const watcher = watch(world, 'a')
  const clients = connected(world, 3)
  for (const client of clients) client.send(PUBLISH.subarray(0, LARGE))
  assert.equal(world.broker.incoming.byteCount, 3 * LARGE)
  assert.deepEqual(endedOf(clients), [false, false, false])
  for (const client of clients) client.send(PUBLISH.subarray(LARGE))
  assert.equal(watcher.takePublishes().length, 3)
  assert.equal(world.broker.incoming.byteCount, 0)
})

test('totalIncomingBytesMax: beyond it the packet that began first is given up with 0x97', () => {
  const world = new World({ limits })
  const watcher = watch(world, 'a')
  const clients = connected(world, 4)
  const [first, second] = clients
  for (const client of clients.slice(0, 3)) client.send(PUBLISH.subarray(0, 20_000))
  // It grows, and is no younger for it.
  first?.send(PUBLISH.subarray(20_000, LARGE))
  assert.deepEqual(endedOf(clients), [false, false, false, false])
  clients[3]?.send(PUBLISH.subarray(0, 20_001))
  assert.deepEqual(endedOf(clients), [true, false, false, false])
  const packets = first?.take() ?? []
  const { reasonCode, properties } = only(packets, PacketType.DISCONNECT)
  assert.equal(reasonCode, ReasonCode.QUOTA_EXCEEDED)
  const sizes = `${LARGE} of ${3 * LARGE + 1} bytes, the limit is ${3 * LARGE}`
  assert.equal(properties.reasonString, `unfinished packets have ${sizes}`)
  assert.equal(world.broker.incoming.byteCount, 60_001)
  second?.send(PUBLISH.subarray(20_000))
  assert.equal(watcher.takePublishes().length, 1)
})

test('who ends one large packet and begins another is no longer the first', () => {
  const world = new World({ limits })
  const clients = connected(world, 4)
  const [first] = clients
  for (const client of clients.slice(0, 3)) client.send(PUBLISH.subarray(0, 29_000))
  first?.send(Buffer.concat([PUBLISH.subarray(29_000), PUBLISH.subarray(0, 28_000)]))
  clients[3]?.send(PUBLISH.subarray(0, 29_000))
  assert.deepEqual(endedOf(clients), [false, true, false, false])
})

test('totalIncomingBytesMax: who has no more than a share is never given up', () => {
  const world = new World({ limits: { totalIncomingBytesMax: 2 * INCOMING_SHARE_BYTES } })
  const clients = connected(world, 4)
  for (const client of clients) client.send(PUBLISH.subarray(0, INCOMING_SHARE_BYTES))
  assert.deepEqual(endedOf(clients), [false, false, false, false])
  clients[1]?.send(PUBLISH.subarray(INCOMING_SHARE_BYTES, INCOMING_SHARE_BYTES + 1))
  assert.deepEqual(endedOf(clients), [false, true, false, false])
})

test('a CONNECT that never ends counts, and goes without a word', () => {
  const world = new World({ limits })
  const clients = Array.from({ length: 4 }, () => world.open())
  for (const client of clients) client.send(CONNECT.subarray(0, LARGE))
  assert.deepEqual(endedOf(clients), [true, false, false, false])
  assert.deepEqual(clients[0]?.take(), [])
  clients[1]?.cut()
  assert.equal(world.broker.incoming.byteCount, 2 * LARGE)
  world.advance(11_000)
  assert.equal(world.broker.incoming.byteCount, 0)
})

for (const [level, code] of [
  [5, ReasonCode.QUOTA_EXCEEDED],
  [4, 3],
] as const) {
  test(`a CONNECT that a guard thinks about counts until the answer, level ${level}`, () => {
    const guard = new ThinkingGuard()
    const world = new World({ guard, limits })
    const clients = Array.from({ length: 3 }, () => world.open(level))
    for (const [i, client] of clients.entries()) {
      client.send({ ...BIG_CONNECT, protocolLevel: level, clientId: `big${i}` })
    }
    assert.deepEqual(endedOf(clients), [true, false, false])
    const [connack] = clients[0]?.take() ?? []
    assert.ok(connack?.type === PacketType.CONNACK)
    assert.equal(connack.reasonCode, code)
    for (const ticket of guard.tickets) world.broker.decided(ticket, { reasonCode: 0 })
    for (const client of clients.slice(1)) {
      assert.equal(only(client.take(), PacketType.CONNACK).reasonCode, 0)
    }
    assert.equal(world.broker.incoming.byteCount, 0)
  })
}

test('of who has been ended nothing unfinished is kept', () => {
  const world = new World()
  const client = world.connect()
  client.send(PUBLISH.subarray(0, LARGE))
  assert.equal(client.connection.decoder.pendingBytes, LARGE)
  world.broker.disconnect('client', ReasonCode.NOT_AUTHORIZED, 'by hand')
  assert.equal(client.connection.decoder.pendingBytes, 0)
  assert.equal(world.broker.incoming.byteCount, 0)
})

test('what comes behind a CONNECT that a guard thinks about counts as well', () => {
  const guard = new ThinkingGuard()
  const world = new World({ guard, limits })
  const client = world.open()
  client.send(Buffer.concat([CONNECT, PUBLISH]))
  assert.equal(world.broker.incoming.byteCount, CONNECT.length + PUBLISH.length)
  for (const ticket of guard.tickets) world.broker.decided(ticket, { reasonCode: 0 })
  assert.equal(only(client.take(), PacketType.CONNACK).reasonCode, 0)
  assert.equal(world.broker.incoming.byteCount, 0)
})

test('what a transport keeps of a frame counts, and ends with the connection', () => {
  const world = new World({ limits })
  const [first, second] = connected(world, 2)
  first?.connection.collected(2 * LARGE)
  second?.connection.collected(LARGE)
  assert.deepEqual([first?.ended, second?.ended], [false, false])
  second?.send(PUBLISH.subarray(0, 1))
  assert.deepEqual([first?.ended, second?.ended], [true, false])
  assert.equal(world.broker.incoming.byteCount, LARGE + 1)
  first?.connection.collected(LARGE)
  second?.connection.collected(0)
  assert.equal(world.broker.incoming.byteCount, 1)
})

test('who is not let in yet costs those that are nothing, as long as these have half', () => {
  const guard = new ThinkingGuard()
  const world = new World({ guard, limits })
  const clients = Array.from({ length: 2 }, () => world.open())
  for (const [i, client] of clients.entries()) client.send(connectPacket({ clientId: `c${i}` }))
  for (const ticket of guard.tickets) world.broker.decided(ticket, { reasonCode: 0 })
  for (const client of clients) client.send(PUBLISH.subarray(0, 20_000))
  const strangers = Array.from({ length: 2 }, () => world.open())
  for (const stranger of strangers) stranger.send(CONNECT.subarray(0, LARGE))
  assert.deepEqual(endedOf([...clients, ...strangers]), [false, false, true, false])
  // These have more than half now.
  clients[1]?.send(PUBLISH.subarray(20_000, LARGE))
  strangers[1]?.send(CONNECT.subarray(LARGE))
  assert.deepEqual(endedOf([...clients, ...strangers]), [false, false, true, false])
  clients[0]?.send(PUBLISH.subarray(20_000, LARGE))
  assert.deepEqual(endedOf([...clients, ...strangers]), [true, false, true, false])
})

test('a stranger that is let in with much behind its CONNECT is none any more', () => {
  const world = new World({ limits })
  const [client] = connected(world, 1)
  client?.send(PUBLISH.subarray(0, LARGE))
  const other = world.open()
  other.send(CONNECT.subarray(0, 20_000))
  other.send(Buffer.concat([CONNECT.subarray(20_000), PUBLISH.subarray(0, 25_000)]))
  assert.equal(world.broker.incoming.byteCount, LARGE + 25_000)
  const stranger = world.open()
  stranger.send(CONNECT.subarray(0, LARGE))
  other.send(PUBLISH.subarray(25_000, LARGE))
  assert.deepEqual(endedOf([client as TestClient, other, stranger]), [false, false, false])
  client?.send(PUBLISH.subarray(LARGE, LARGE + 1))
  assert.deepEqual(endedOf([client as TestClient, other, stranger]), [true, false, false])
})
