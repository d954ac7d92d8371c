// The bytes of filters are bounded for a session and for all, and counted through all that a
// session goes through: asleep, taken over, ended, and read again by the next process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import { Model } from '../store/testing/model.ts'
import { only } from '../testing/bytes.ts'
import { type TestClient, World } from '../testing/harness.ts'
import { heapBytes } from '../testing/heap-bytes.ts'
import { connectKept, publishPacket, subscribePacket, unsubscribePacket } from '../testing/v5.ts'

const QUOTA = ReasonCode.QUOTA_EXCEEDED
/** One of each kind, of ten bytes in all: the last character has three. */
const TEN = ['abcd', 'a/#', '€']
const EXACT = 'e'.repeat(20)
const WILDCARD = `+/${'w'.repeat(18)}`
const SHARED = `$share/g/${'s'.repeat(11)}`

function codesOf(client: TestClient, filters: readonly string[]): readonly number[] {
  return only(client.ask(subscribePacket(1, filters)), PacketType.SUBACK).reasonCodes
}

test('filterBytesPerSessionMax: filters that fit are taken, the next one gets 0x97', () => {
  const world = new World({ limits: { filterBytesPerSessionMax: 10 } })
  const client = world.connect()
  assert.deepEqual(codesOf(client, ['abcd', 'abcdefg', 'a/#', '€', 'b']), [0, QUOTA, 0, 0, QUOTA])
  // Another session has its own.
  assert.deepEqual(codesOf(world.connect({ clientId: 'd' }), TEN), [0, 0, 0])
})

test('filterBytesPerSessionMax: before MQTT 5.0 what does not fit gets 0x80', () => {
  const world = new World({ limits: { filterBytesPerSessionMax: 9 } })
  const client = world.connect({ protocolLevel: 4 })
  assert.deepEqual(codesOf(client, TEN), [0, 0, 0x80])
})

test('filterBytesMax: what fits into no session any more gets 0x97 in each', () => {
  const world = new World({ limits: { filterBytesMax: 12 } })
  const [first, second] = ['a', 'b'].map(clientId => world.connect({ clientId }))
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(codesOf(first, TEN), [0, 0, 0])
  assert.deepEqual(codesOf(second, ['abc', 'ab', 'a']), [QUOTA, 0, QUOTA])
  assert.equal(world.broker.filterBytes, 12)
  first.cut()
  assert.deepEqual(codesOf(second, TEN), [0, 0, 0])
  assert.equal(world.broker.filterBytes, 12)
})

test('a filter that is there is replaced at the limit and takes nothing more', () => {
  const world = new World({ limits: { filterBytesPerSessionMax: 10, filterBytesMax: 10 } })
  const client = world.connect()
  assert.deepEqual(codesOf(client, TEN), [0, 0, 0])
  for (const filter of TEN) {
    assert.deepEqual(only(client.subscribe(filter, 2), PacketType.SUBACK).reasonCodes, [2])
  }
  assert.equal(world.broker.filterBytes, 10)
})

test('UNSUBSCRIBE makes room for as many bytes as it took', () => {
  const world = new World({ limits: { filterBytesPerSessionMax: 10, filterBytesMax: 10 } })
  const client = world.connect()
  codesOf(client, TEN)
  client.ask(unsubscribePacket(2, ['€', 'never']))
  assert.equal(world.broker.filterBytes, 7)
  assert.deepEqual(codesOf(client, ['wxyz', 'xyz', 'x']), [QUOTA, 0, QUOTA])
})

for (const pages of [false, true]) {
  const where = pages ? 'asleep in the store' : 'in memory'

  test(`a session without a connection, ${where}, keeps its bytes until it ends`, () => {
    const world = new World({ limits: { filterBytesMax: 70 }, ...kept(pages) })
    const client = connectKept(world, 's', { sessionExpiryInterval: 60 })
    codesOf(client, [EXACT, WILDCARD, SHARED])
    client.cut()
    assert.equal(world.broker.filterBytes, 60)
    const other = world.connect({ clientId: 'o' })
    assert.deepEqual(codesOf(other, ['elevenbytes']), [QUOTA])
    world.advance(62_000)
    assert.equal(world.broker.filterBytes, 0)
    assert.deepEqual(codesOf(other, ['elevenbytes']), [0])
  })

  test(`a session that was ${where} goes on with the bytes it had`, () => {
    const limits = { filterBytesPerSessionMax: 70, filterBytesMax: 70 }
    const world = new World({ limits, ...kept(pages) })
    const first = connectKept(world, 's')
    codesOf(first, [EXACT, WILDCARD, SHARED])
    for (let i = 0; i < 2; i++) {
      connectKept(world, 's').cut()
      assert.equal(world.broker.filterBytes, 60)
    }
    const again = connectKept(world, 's')
    assert.deepEqual(codesOf(again, ['elevenbytes', 'ten bytes!']), [QUOTA, 0])
    again.ask(unsubscribePacket(2, [EXACT, WILDCARD, SHARED]))
    assert.equal(world.broker.filterBytes, 10)
  })

  test(`clean start ends a session that was ${where}, and its bytes`, () => {
    const world = new World({ limits: { filterBytesMax: 60 }, ...kept(pages) })
    const client = connectKept(world, 's')
    codesOf(client, [EXACT, WILDCARD, SHARED])
    client.cut()
    const anew = connectKept(world, 's', {}, { cleanStart: true })
    assert.equal(world.broker.filterBytes, 0)
    codesOf(anew, [EXACT])
    // The same while it is connected.
    connectKept(world, 's', {}, { cleanStart: true })
    assert.equal(world.broker.filterBytes, 0)
  })
}

function kept(pages: boolean): { kept?: Model } {
  return pages ? { kept: new Model() } : {}
}

test('what was stored is loaded whatever the limit is now, and counts', () => {
  const model = new Model()
  const before = new World({ kept: model })
  const client = connectKept(before, 's')
  codesOf(client, [EXACT, WILDCARD, SHARED])
  client.cut()
  const limits = { filterBytesPerSessionMax: 30, filterBytesMax: 30 }
  const world = new World({ kept: model, limits })
  assert.equal(world.broker.filterBytes, 60)
  assert.equal(world.broker.subscriptionCount, 3)
  const again = connectKept(world, 's')
  assert.deepEqual(codesOf(again, ['a']), [QUOTA])
  // What it has it may replace.
  assert.deepEqual(codesOf(again, [EXACT, WILDCARD, SHARED]), [0, 0, 0])
  again.ask(unsubscribePacket(2, [WILDCARD, SHARED]))
  assert.deepEqual(codesOf(again, ['ten bytes!', 'a']), [0, QUOTA])
})

/** What the test writes down, and routes: a few of long topics are remembered. */
function forget(world: World): void {
  world.trace.events.length = 0
  world.store.records.length = 0
  for (let i = 0; i < 2000; i++) world.broker.router.findTopic(`${i}`.padEnd(600, 'x'))
}

test('a level of a filter keeps no filter alive that is gone', () => {
  const world = new World()
  const [first, second] = ['a', 'b'].map(clientId => world.connect({ clientId }))
  assert.ok(first !== undefined && second !== undefined)
  const levels = Array.from({ length: 200 }, (_, i) => `a level with a long name ${i}`)
  const before = heapBytes()
  for (const level of levels) {
    const long = `${level}/${'x'.repeat(60_000)}/+`
    codesOf(first, [long])
    codesOf(second, [`${level}/+`])
    first.ask(unsubscribePacket(2, [long]))
  }
  forget(world)
  const each = (heapBytes() - before) / levels.length
  assert.equal(world.broker.subscriptionCount, levels.length)
  assert.ok(each < 10_000, `${each} bytes for each`)
})

test('a level of a retained topic keeps no topic alive that is gone', () => {
  const world = new World()
  const client = world.connect()
  const levels = Array.from({ length: 200 }, (_, i) => `a level with a long name ${i}`)
  const before = heapBytes()
  for (const level of levels) {
    const long = `${level}/${'x'.repeat(60_000)}`
    client.send(publishPacket(long, 'm', { retain: true }))
    client.send(publishPacket(`${level}/a`, 'm', { retain: true }))
    client.send(publishPacket(long, '', { retain: true }))
  }
  forget(world)
  const each = (heapBytes() - before) / levels.length
  assert.equal(world.broker.retainer.messages.count, levels.length)
  assert.ok(each < 10_000, `${each} bytes for each`)
})
