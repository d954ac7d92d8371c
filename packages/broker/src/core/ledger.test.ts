// The loss ledger, and that every way to lose a message leads into it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeUtf8, encodeUtf8, PacketType } from '@godwit/packet'
import fc from 'fast-check'
import { World } from '../testing/harness.ts'
import { heapBytes } from '../testing/heap-bytes.ts'
import { connectKept, watch, willOf } from '../testing/v5.ts'
import { type DropReason, Ledger } from './ledger.ts'
import { LEDGER_TEXT_MAX } from './limits.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

test('what it counts adds up: in all, by reason, and by entry', () => {
  const Loss = fc.record({
    reason: fc.constantFrom<DropReason>('expired', 'queue-full', 'offline'),
    client: fc.constantFrom('a', 'b', '(others)', ''),
    topic: fc.constantFrom('t', 'u', 'a\0b', ''),
    count: fc.integer({ min: 1, max: 5 }),
    bytes: fc.nat(100),
  })
  fc.assert(
    fc.property(fc.array(Loss), fc.integer({ min: 1, max: 6 }), (losses, most) => {
      const ledger = new Ledger(most)
      let total = 0
      for (const { reason, client, topic, count, bytes } of losses) {
        ledger.count(reason, client, topic, bytes, count)
        total += count
      }
      assert.equal(ledger.total, total)
      const entries = ledger.entries()
      assert.equal(sum(entries.map(entry => entry.count)), total)
      assert.equal(sum(entries.map(entry => entry.bytes)), sum(losses.map(loss => loss.bytes)))
      for (const reason of ledger.reasons()) {
        const own = entries.filter(entry => entry.reason === reason)
        assert.equal(sum(own.map(entry => entry.count)), ledger.totalOf(reason))
        assert.ok(own.length <= most + 1)
      }
    }),
  )
})

test('the first of each kind is told, those beyond the room for entries once for all', () => {
  const ledger = new Ledger(1)
  assert.equal(ledger.count('expired', 'a', 't', 1), true)
  assert.equal(ledger.count('expired', 'a', 't', 1), false)
  assert.equal(ledger.count('expired', 'b', 't', 1), true)
  assert.equal(ledger.count('expired', 'c', 't', 1), false)
  assert.equal(ledger.count('queue-full', 'c', 't', 1), true, 'each reason has room of its own')
  assert.equal(ledger.totalOf('discarded-by-hook'), 0)
})

test('of a long topic or client id the beginning is kept, as a text of its own', () => {
  const ledger = new Ledger(10)
  const at = 'x'.repeat(LEDGER_TEXT_MAX)
  assert.equal(ledger.count('expired', at, at, 1), true)
  assert.equal(ledger.count('expired', `${at}a`, `${at}a`, 1), true)
  // What differs behind the bound is counted together.
  assert.equal(ledger.count('expired', `${at}bc`, `${at}bc`, 1), false)
  const long = `${'x'.repeat(LEDGER_TEXT_MAX - 1)}…`
  const texts = ledger.entries().map(({ clientId, topic, count }) => [clientId, topic, count])
  assert.deepEqual(texts, [
    [at, at, 1],
    [long, long, 2],
  ])
})

test('no character is cut in two', () => {
  const ledger = new Ledger(10)
  const before = 'x'.repeat(LEDGER_TEXT_MAX - 2)
  ledger.count('expired', 'c', `${before}😀a`, 1)
  assert.equal(ledger.entries()[0]?.topic, `${before}…`)
})

test('a ledger full of the longest topics takes a few kilobytes for each', () => {
  const ledger = new Ledger(100)
  const before = heapBytes()
  for (let i = 0; i < 100; i++) {
    // Numbers in front, since those are kept; a character of two bytes makes all of them so.
    ledger.count('expired', 'c', decodeUtf8(encodeUtf8(`${i}π`.padEnd(60_000, 'x')), 0, 60_000), 1)
  }
  const grown = heapBytes() - before
  assert.equal(ledger.entries().length, 100)
  assert.ok(grown < 400_000, `${grown} bytes`)
})

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0)
}

/** What of the ledger is for this reason, as `client topic count`. */
function losses(world: World, reason: DropReason): string[] {
  return world.broker.ledger
    .entries()
    .filter(entry => entry.reason === reason)
    .map(({ clientId, topic, count }) => `${clientId} ${topic} ${count}`)
}

test('QoS 0 for a session whose client is away is counted, and not told one by one', () => {
  const world = new World()
  const away = connectKept(world, 'away')
  away.subscribe('t', 1)
  away.cut()
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 3; i++) publisher.publish('t', 'm')
  publisher.publish('t', 'm', { properties: { contentType: 'x' } })
  assert.deepEqual(losses(world, 'offline'), ['away t 4'])
  assert.deepEqual(
    world.trace.events.filter(([name]) => name === 'dropped'),
    [],
  )
})

test('the numbers of the broker itself are no loss for who is away', () => {
  const world = new World({ core: { statsIntervalSeconds: 1 } })
  const away = connectKept(world, 'away')
  away.subscribe('$SYS/#', 1)
  away.cut()
  world.advance(3000)
  assert.equal(world.broker.ledger.total, 0)
})

test('a run of QoS 0 beyond the bound of a slow receiver is counted to the last message', () => {
  const world = new World({ limits: { outgoingBytesMax: 1024 } })
  const slow = world.connect({ clientId: 'slow' })
  slow.subscribe('t')
  slow.flowing = false
  const publisher = world.connect({ clientId: 'p' })
  const payload = 'x'.repeat(100)
  for (let i = 0; i < 50; i++) publisher.publish('t', payload)
  slow.flow()
  const got = slow.takePublishes().length
  assert.ok(got > 0 && got < 50)
  assert.deepEqual(losses(world, 'outgoing-full'), [`slow t ${50 - got}`])
})

test('messages in flight to a session that ends are counted, without their topics', () => {
  const world = new World()
  const client = world.connect({ clientId: 'c' })
  client.subscribe('t', 1)
  const publisher = world.connect({ clientId: 'p' })
  for (const packetId of [1, 2, 3]) publisher.publish('t', 'm', { qos: 1, packetId })
  const [first] = client.takePublishes()
  client.acknowledge(PacketType.PUBACK, first?.packetId ?? 0)
  client.cut()
  assert.deepEqual(losses(world, 'session-ended'), ['c  2'])
})

test('messages that wait for a session that ends are counted', () => {
  const world = new World()
  world.store.pages = false
  const away = connectKept(world, 'away')
  away.subscribe('t', 1)
  away.cut()
  const publisher = world.connect({ clientId: 'p' })
  for (const packetId of [1, 2]) publisher.publish('t', 'm', { qos: 1, packetId })
  world.connect({ clientId: 'away' })
  assert.deepEqual(losses(world, 'session-ended'), ['away t 2'])
})

test('a will that cannot be retained is counted', () => {
  const world = new World({ limits: { retainedMessagesMax: 0 } })
  world.connect({ clientId: 'c', will: willOf('w', 'gone', { retain: true }) }).cut()
  assert.deepEqual(losses(world, 'retained-full'), ['c w 1'])
})

test('a message that is larger than its receiver takes is counted on every way', () => {
  const world = new World()
  const properties = { maximumPacketSize: 60 }
  const small = world.connect({ clientId: 'small', properties })
  small.subscribe('t', 1)
  const kept = connectKept(world, 'kept', properties)
  kept.subscribe('t', 1, {}, 5)
  const publisher = world.connect({ clientId: 'p' })
  const payload = 'x'.repeat(100)
  publisher.publish('t', payload).publish('t', payload, { qos: 1 })
  assert.deepEqual(losses(world, 'packet-too-large'), ['small t 2', 'kept t 2'])
  assert.deepEqual(small.take(), [])
  assert.deepEqual(kept.take(), [])
  // What was too large takes no room in the window.
  publisher.publish('t', 'small', { qos: 1, packetId: 2 })
  assert.equal(kept.takePublishes().length, 1)
})

test('a message that nobody has subscribed to is no loss', () => {
  const world = new World()
  watch(world, 'other')
  world.connect({ clientId: 'p' }).publish('t', 'm')
  assert.equal(world.broker.ledger.total, 0)
  assert.equal(world.broker.counters.unmatched, 1)
})
