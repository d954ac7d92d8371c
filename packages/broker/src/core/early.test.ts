// Packets that clients send without waiting for CONNACK, which they may (MQTT 5.0 section 3.1.4),
// also if they have gone when they are let in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectPacket, encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { only, texts } from '../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { connectKept, publishPacket, typesOf, watch, willOf } from '../testing/v5.ts'
import type { AuthenticationVerdict } from './ports.ts'

/** Asks about each client whose id begins with "slow". */
class SlowLogin extends OpenGuard {
  readonly tickets: number[] = []
  override authenticate({
    clientId,
    ticket,
  }: Parameters<OpenGuard['authenticate']>[0]): AuthenticationVerdict | null {
    if (!clientId.startsWith('slow')) return { reasonCode: 0 }
    this.tickets.push(ticket)
    return null
  }
}

const DISCONNECT = Uint8Array.of(0xe0, 0)
const WITH_WILL = Uint8Array.of(0xe0, 1, 4)

function hasty(
  world: World,
  options: Partial<ConnectPacket>,
  messages: readonly string[],
  last: Uint8Array,
): TestClient {
  const client = world.open()
  const connect = connectPacket({ clientId: 'slow', will: willOf('w', 'gone'), ...options })
  const packets = messages.map(message => encodePacket(publishPacket('t', message), 5))
  client.send(Buffer.concat([encodePacket(connect, 5), ...packets, last]))
  return client
}

for (const [what, last, will] of [
  ['DISCONNECT', DISCONNECT, []],
  ['DISCONNECT with will', WITH_WILL, ['gone']],
  ['the end of the network connection', Uint8Array.of(), ['gone']],
] as const) {
  test(`CONNECT, messages and ${what} at once are handled when the login is there`, () => {
    const guard = new SlowLogin()
    const world = new World({ guard })
    const watcher = watch(world, '#')
    hasty(world, {}, ['one', 'two'], last).cut()
    assert.deepEqual(texts(watcher.take()), [])
    world.broker.decided(guard.tickets[0] ?? 0, { reasonCode: 0 })
    assert.deepEqual(texts(watcher.take()), ['one', 'two', ...will])
    assert.equal(world.broker.counters.connectionsNow, 1)
    assert.equal(world.broker.counters.clientsConnected, 1)
    assert.equal(world.broker.openTickets, 0)
  })
}

test('nothing that came behind a refused CONNECT is handled [MQTT-3.1.4-6]', () => {
  const guard = new SlowLogin()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  hasty(world, {}, ['one'], DISCONNECT).cut()
  world.broker.decided(guard.tickets[0] ?? 0, { reasonCode: ReasonCode.NOT_AUTHORIZED })
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.broker.counters.connectionsNow, 1)
  assert.equal(world.broker.sessions.count, 1)
})

test('of who has gone before the login and sent no more than CONNECT nothing is left', () => {
  const guard = new SlowLogin()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  hasty(world, {}, [], Uint8Array.of()).cut()
  assert.equal(world.broker.counters.connectionsNow, 1)
  assert.equal(world.broker.openTickets, 0)
  world.broker.decided(guard.tickets[0] ?? 0, { reasonCode: 0 })
  assert.deepEqual(watcher.take(), [])
})

test('a login that is never decided keeps who has gone no longer than a CONNECT may take', () => {
  const guard = new SlowLogin()
  const world = new World({ guard, limits: { connectTimeoutMs: 1000 } })
  hasty(world, {}, ['one'], DISCONNECT).cut()
  assert.equal(world.broker.counters.connectionsNow, 1)
  world.advance(1200)
  assert.equal(world.broker.counters.connectionsNow, 0)
  assert.equal(world.broker.openTickets, 0)
})

test('who has gone before its session was awake is heard, and who follows it comes behind', () => {
  for (const isClean of [false, true]) {
    const world = new World()
    world.store.pages = true
    const watcher = watch(world, '#')
    connectKept(world, 'p').subscribe('mine', 1)
    world.broker.disconnect('p', 0, 'test')
    world.settle()
    world.store.late = true
    const properties = { sessionExpiryInterval: 3600 }
    const first = hasty(
      world,
      { clientId: 'p', cleanStart: false, properties },
      ['one'],
      DISCONNECT,
    )
    first.cut()
    const second = world.open()
    second.send(connectPacket({ clientId: 'p', cleanStart: isClean, properties }))
    second.send(publishPacket('t', 'two'))
    world.store.late = false
    assert.equal(only(second.take(), PacketType.CONNACK).sessionPresent, !isClean)
    assert.deepEqual(texts(watcher.take()), ['one', 'two'])
    watcher.publish('mine', 'm', { qos: 1 })
    assert.deepEqual(texts(second.take()), isClean ? [] : ['m'])
    assert.equal(world.broker.counters.connectionsNow, 2)
  }
})

test('a CONNECT whose login took longer than that of a later one ends nothing [MQTT-3.1.4-3]', () => {
  const guard = new SlowLogin()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  const first = hasty(world, {}, ['one'], DISCONNECT)
  first.cut()
  const alive = world.open()
  alive.send(connectPacket({ clientId: 'slow' }))
  const last = world.open()
  last.send(connectPacket({ clientId: 'slow', cleanStart: false }))
  const [ofFirst = 0, ofAlive = 0, ofLast = 0] = guard.tickets
  world.broker.decided(ofLast, { reasonCode: 0 })
  world.broker.decided(ofFirst, { reasonCode: 0 })
  world.broker.decided(ofAlive, { reasonCode: 0 })
  assert.deepEqual(typesOf(last.take()), [PacketType.CONNACK])
  assert.equal(last.ended, false)
  assert.equal(alive.ended, true)
  assert.deepEqual(alive.take(), [])
  assert.deepEqual(watcher.take(), [])
  assert.equal(world.broker.counters.connectionsNow, 2)
})

test('it brings no messages of a session that has gone on, also when the later one is gone', () => {
  const guard = new SlowLogin()
  const world = new World({ guard })
  const watcher = watch(world, 't')
  const message = encodePacket({ ...publishPacket('t', 'once'), qos: 2, packetId: 1 }, 5)
  const properties = { sessionExpiryInterval: 3600 }
  const connect = connectPacket({ clientId: 'slow', cleanStart: false, properties })
  const packets = Buffer.concat([encodePacket(connect, 5), message])
  const first = world.open().send(packets)
  const second = world.open().send(packets)
  const [ofFirst = 0, ofSecond = 0] = guard.tickets
  world.broker.decided(ofSecond, { reasonCode: 0 })
  second.send(Uint8Array.of(0x62, 2, 0, 1))
  assert.deepEqual(typesOf(second.take()), [
    PacketType.CONNACK,
    PacketType.PUBREC,
    PacketType.PUBCOMP,
  ])
  second.cut()
  world.broker.decided(ofFirst, { reasonCode: 0 })
  world.settle()
  assert.equal(first.ended, true)
  assert.deepEqual(texts(watcher.take()), ['once'])
  assert.equal(world.broker.openTickets, 0)
})
