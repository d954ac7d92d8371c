// The bytes of all wills are bounded, and counted through all lives of a will: connected, taken
// back, published, delayed in memory and in the store, asked about, and read by the next process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectPacket, PacketType, ReasonCode } from '@godwit/packet'
import { Model } from '../store/testing/model.ts'
import { only, texts } from '../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { connectKept, typesOf, watch, willOf } from '../testing/v5.ts'
import { LATER } from './ports.ts'

const PAYLOAD = 'p'.repeat(100)
const WILL = willOf('will', PAYLOAD)
const DELAYED = { ...WILL, properties: { willDelayInterval: 60 } }
/** Of its frame. */
const ONE = 109
/** Room for two. */
const TWO = { willBytesMax: 2 * ONE }

/** The code of CONNACK. */
function codeOf(world: World, options: Partial<ConnectPacket>): number {
  const client = world.open(options.protocolLevel)
  const [connack] = client.ask(connectPacket(options))
  assert.ok(connack?.type === PacketType.CONNACK)
  return connack.reasonCode
}

/** Asks about each will when it goes out, and about those of slow clients when they come. */
class SlowGuard extends OpenGuard {
  override checksPermissions = true
  isSlow = false
  readonly tickets: number[] = []
  override mayPublish(...[, , , , ticket]: Parameters<OpenGuard['mayPublish']>): number {
    if (!this.isSlow) return 0
    this.tickets.push(ticket)
    return LATER
  }
}

test('willBytesMax: wills that fit are taken, the next client is refused with 0x97', () => {
  const world = new World({ limits: { willBytesMax: 2 * ONE + 1 } })
  for (const clientId of ['a', 'b']) world.connect({ clientId, will: WILL })
  assert.equal(world.broker.wills.byteCount, 2 * ONE)
  assert.equal(codeOf(world, { clientId: 'c', will: WILL }), ReasonCode.QUOTA_EXCEEDED)
  const [, , , , reasonCode, text] = world.trace.events.find(([name]) => name === 'refused') ?? []
  assert.equal(reasonCode, ReasonCode.QUOTA_EXCEEDED)
  assert.equal(text, 'the will does not fit: 109 bytes of 219 for all wills, which have 218')
  // Without a will there is room.
  world.connect({ clientId: 'c' })
  assert.equal(world.broker.wills.byteCount, 2 * ONE)
})

test('willBytesMax: before MQTT 5.0 the answer is 3, server unavailable', () => {
  const world = new World({ limits: { willBytesMax: ONE - 1 } })
  for (const protocolLevel of [3, 4] as const) {
    assert.equal(codeOf(world, { clientId: 'c', protocolLevel, will: WILL }), 3)
  }
  assert.equal(world.broker.wills.byteCount, 0)
})

test('a client whose will does not fit takes over nothing', () => {
  const world = new World({ limits: TWO })
  const watcher = watch(world, '#')
  world.connect({ clientId: 'full', will: WILL })
  const old = connectKept(world, 's')
  old.subscribe('a', 1)
  const large = willOf('will', PAYLOAD.repeat(3))
  for (const cleanStart of [false, true]) {
    const code = codeOf(world, { clientId: 's', cleanStart, will: large })
    assert.equal(code, ReasonCode.QUOTA_EXCEEDED)
  }
  assert.deepEqual(old.take(), [])
  assert.deepEqual([old.ended, world.broker.counters.takeovers], [false, 0])
  world.connect({ clientId: 'p' }).publish('a', 'm', { qos: 1 })
  assert.deepEqual(texts(old.takePublishes()), ['m'])
  assert.deepEqual(texts(watcher.takePublishes()), ['m'])
})

test('a client whose will does not fit wakes no session that sleeps', () => {
  const world = new World({ limits: TWO, kept: new Model() })
  connectKept(world, 's').cut()
  const large = willOf('will', PAYLOAD.repeat(3))
  for (const cleanStart of [false, true]) {
    assert.equal(codeOf(world, { clientId: 's', cleanStart, will: large }), 0x97)
  }
  assert.equal(connectKept(world, 's').connack?.sessionPresent, true)
})

test('in place of its own will a client always has room for one as large', () => {
  const world = new World({ limits: TWO })
  for (const clientId of ['a', 'b']) world.connect({ clientId, will: WILL })
  for (let i = 0; i < 3; i++) world.connect({ clientId: 'a', will: WILL })
  assert.equal(world.broker.wills.byteCount, 2 * ONE)
  const larger = willOf('will', `${PAYLOAD}x`)
  assert.equal(codeOf(world, { clientId: 'a', will: larger }), ReasonCode.QUOTA_EXCEEDED)
})

test('a will that was published or taken back makes room', () => {
  const world = new World({ limits: { willBytesMax: ONE } })
  const Ends: readonly ((client: TestClient) => void)[] = [
    client => client.cut(),
    client => client.disconnect(0),
    client => client.disconnect(4),
    client => client.send([0xc1, 0]),
  ]
  for (const end of Ends) {
    const client = world.connect({ clientId: 'c', will: WILL })
    assert.equal(world.broker.wills.byteCount, ONE)
    end(client)
    assert.equal(world.broker.wills.byteCount, 0)
  }
})

for (const pages of [false, true]) {
  const where = pages ? 'in the store' : 'in memory'
  const keptWorld = (): World => {
    return new World({ limits: TWO, ...(pages ? { kept: new Model() } : {}) })
  }

  test(`a will whose delay runs ${where} counts until it goes out`, () => {
    const world = keptWorld()
    const watcher = watch(world, 'will')
    connectKept(world, 's', {}, { will: DELAYED }).cut()
    assert.equal(world.broker.wills.byteCount, ONE)
    world.connect({ clientId: 'a', will: WILL })
    assert.equal(codeOf(world, { clientId: 'b', will: WILL }), ReasonCode.QUOTA_EXCEEDED)
    world.advance(61_000)
    assert.equal(watcher.takePublishes().length, 1)
    world.connect({ clientId: 'b', will: WILL })
    assert.equal(world.broker.wills.byteCount, 2 * ONE)
  })

  test(`a client that returns ends the will whose delay runs ${where}`, () => {
    const world = keptWorld()
    connectKept(world, 's', {}, { will: DELAYED }).cut()
    world.connect({ clientId: 'full', will: WILL })
    const again = connectKept(world, 's', {}, { will: DELAYED })
    assert.equal(world.broker.wills.byteCount, 2 * ONE)
    again.cut()
    connectKept(world, 's')
    assert.equal(world.broker.wills.byteCount, ONE)
  })

  test(`a will whose delay runs ${where} goes with its session`, () => {
    for (const end of [
      (world: World) => world.advance(11_000),
      (world: World) => void connectKept(world, 's', {}, { cleanStart: true }),
    ]) {
      const world = keptWorld()
      const watcher = watch(world, 'will')
      connectKept(world, 's', { sessionExpiryInterval: 10 }, { will: DELAYED }).cut()
      assert.equal(world.broker.wills.byteCount, ONE)
      end(world)
      assert.equal(world.broker.wills.byteCount, 0)
      assert.equal(watcher.takePublishes().length, 1)
    }
  })
}

test('wills that were stored are loaded whatever the limit is now, and count', () => {
  const model = new Model()
  const before = new World({ kept: model })
  for (const clientId of ['a', 'b']) connectKept(before, clientId, {}, { will: DELAYED }).cut()
  const world = new World({ kept: model, limits: { willBytesMax: ONE } })
  assert.equal(world.broker.wills.byteCount, 2 * ONE)
  assert.equal(codeOf(world, { clientId: 'c', will: WILL }), ReasonCode.QUOTA_EXCEEDED)
  connectKept(world, 'a')
  assert.equal(world.broker.wills.byteCount, ONE)
  const watcher = watch(world, 'will')
  world.advance(61_000)
  assert.equal(watcher.takePublishes().length, 1)
  assert.equal(world.broker.wills.byteCount, 0)
  world.connect({ clientId: 'c', will: WILL })
})

for (const pages of [false, true]) {
  test(`a will that a guard is asked about counts until the answer, pages ${pages}`, () => {
    const guard = new SlowGuard()
    const world = new World({ guard, limits: TWO, ...(pages ? { kept: new Model() } : {}) })
    const first = world.connect({ clientId: 'a', will: WILL })
    const second = connectKept(world, 's', {}, { will: DELAYED })
    guard.isSlow = true
    first.cut()
    second.cut()
    world.advance(61_000)
    guard.isSlow = false
    assert.equal(guard.tickets.length, 2)
    assert.equal(world.broker.wills.byteCount, 2 * ONE)
    assert.equal(codeOf(world, { clientId: 'b', will: WILL }), ReasonCode.QUOTA_EXCEEDED)
    for (const code of [0, ReasonCode.NOT_AUTHORIZED]) {
      world.broker.decided(guard.tickets.shift() ?? 0, code)
    }
    assert.equal(world.broker.wills.byteCount, 0)
    assert.equal(world.broker.counters.willsPublished, 1)
  })
}

test('the will of who waits for its session counts, and no longer when it has gone', () => {
  const world = new World({ limits: TWO, kept: new Model() })
  connectKept(world, 's').cut()
  world.store.late = true
  const options = { clientId: 's', cleanStart: false, will: WILL }
  const waiting = world.open().send(connectPacket(options))
  assert.equal(world.broker.wills.byteCount, ONE)
  // The later one stays.
  const second = world.open().send(connectPacket(options))
  assert.equal(world.broker.wills.byteCount, ONE)
  assert.equal(waiting.ended, true)
  second.cut()
  assert.equal(world.broker.wills.byteCount, 0)
  const third = world.open().send(connectPacket(options))
  world.store.late = false
  world.settle()
  assert.deepEqual(typesOf(third.take()), [PacketType.CONNACK])
  assert.equal(world.broker.wills.byteCount, ONE)
})

test('a client that is refused for something else leaves no will behind', () => {
  const limits = { ...TWO, sessionsMax: 1, clientIdBytesMax: 23 }
  const world = new World({ limits })
  world.connect({ clientId: 'a' })
  for (const [clientId, code] of [
    ['b', ReasonCode.QUOTA_EXCEEDED],
    ['x'.repeat(24), ReasonCode.CLIENT_IDENTIFIER_NOT_VALID],
  ] as const) {
    const answer = world.open().ask(connectPacket({ clientId, will: WILL }))
    assert.equal(only(answer, PacketType.CONNACK).reasonCode, code)
  }
  assert.equal(world.broker.wills.byteCount, 0)
})
