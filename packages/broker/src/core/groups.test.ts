// Shared groups: turns, queues, limits, and what becomes of messages whose member goes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, ReasonCode } from '@godwit/packet'
import fc from 'fast-check'
import { only, publishesOf, texts } from '../testing/bytes.ts'
import { type TestClient, World } from '../testing/harness.ts'
import { connectKept } from '../testing/v5.ts'
import type { Limits } from './limits.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const FILTER = '$share/g/t'

function member(world: World, clientId: string, receiveMaximum = 65_535): TestClient {
  const client = world.connect({ clientId, properties: { receiveMaximum } })
  client.subscribe(FILTER, 1)
  return client
}

/** Publishes at QoS 1. @returns the reason code */
function publish(publisher: TestClient, payload: string): number {
  const answer = publisher.publish('t', payload, { qos: 1 }).take()
  return only(answer, PacketType.PUBACK).reasonCode
}

test('in a group in which nobody has room, whoever makes some gets what waits', () => {
  const world = new World()
  const members = ['a', 'b', 'c', 'd'].map(id => member(world, id, 1))
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 10; i++) publish(publisher, String(i))
  const held = members.map(client => only(client.take(), PacketType.PUBLISH).packetId)
  for (const [at, payload] of [
    [2, '4'],
    [0, '5'],
    [2, '6'],
  ] as const) {
    const client = members[at] as TestClient
    const got = client.acknowledge(PacketType.PUBACK, held[at] ?? 0)
    assert.deepEqual(texts(got), [payload])
    held[at] = only(got, PacketType.PUBLISH).packetId
  }
  const late = world.connect({ clientId: 'e' })
  assert.deepEqual(texts(late.subscribe(FILTER, 1)), ['7', '8', '9'])
  publish(publisher, '10')
  publish(publisher, '11')
  assert.deepEqual(texts(late.take()), ['10', '11'])
  assert.equal(world.broker.ledger.total, 0)
})

test('a message that is too large for a member goes to another one that has room', () => {
  for (const qos of [0, 1, 2] as const) {
    const world = new World()
    const small = world.connect({ clientId: 'a', properties: { maximumPacketSize: 60 } })
    small.subscribe(FILTER, qos)
    const large = world.connect({ clientId: 'b' })
    large.subscribe(FILTER, qos)
    const publisher = world.connect({ clientId: 'p' })
    const long = (i: number): string => `${i}`.padEnd(100, '.')
    const payloads = [long(0), long(1), '2', long(3), '4', long(5)]
    for (const [i, payload] of payloads.entries()) {
      publisher.publish('t', payload, { qos, packetId: qos === 0 ? 0 : i + 1 }).take()
    }
    const got = [texts(small.take()), texts(large.take())]
    assert.deepEqual(got.flat().sort(), payloads)
    assert.ok(got.every(list => list.length > 0))
    assert.equal(world.broker.ledger.total, 0)
    // Where nobody takes it that is a loss as ever.
    world.connect({ clientId: 'c', properties: { maximumPacketSize: 60 } }).subscribe('$share/h/u')
    publisher.publish('u', long(6)).take()
    assert.equal(world.broker.ledger.totalOf('packet-too-large'), 1)
  }
})

test('a group in which nobody has room is not gone through for every message', () => {
  const world = new World()
  const count = 50
  for (let i = 0; i < count; i++) member(world, `m${i}`, 1)
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i <= count; i++) publish(publisher, String(i))
  const { queues } = world.broker
  const hasRoom = queues.hasRoom.bind(queues)
  let asked = 0
  queues.hasRoom = (...question) => {
    asked++
    return hasRoom(...question)
  }
  for (let i = 0; i < count; i++) publish(publisher, String(i))
  assert.equal(asked, 0)
})

test('members take turns again when what waited has gone', () => {
  const world = new World()
  const members = ['a', 'b'].map(id => member(world, id, 1))
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 3; i++) publish(publisher, String(i))
  const held = members.map(client => only(client.take(), PacketType.PUBLISH).packetId)
  const [a, b] = members as [TestClient, TestClient]
  const third = only(a.acknowledge(PacketType.PUBACK, held[0] ?? 0), PacketType.PUBLISH)
  a.acknowledge(PacketType.PUBACK, third.packetId)
  b.acknowledge(PacketType.PUBACK, held[1] ?? 0)
  for (let i = 3; i < 5; i++) publish(publisher, String(i))
  assert.deepEqual([...texts(a.take()), ...texts(b.take())].toSorted(), ['3', '4'])
})

test('members take turns', () => {
  const world = new World()
  const members = ['a', 'b', 'c'].map(id => member(world, id))
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 6; i++) publish(publisher, String(i))
  assert.deepEqual(
    members.map(client => texts(client.take())),
    [
      ['0', '3'],
      ['1', '4'],
      ['2', '5'],
    ],
  )
})

test('a member whose window is full is passed over, and nothing waits in it', () => {
  const world = new World()
  const stuck = member(world, 'stuck', 1)
  const quick = member(world, 'quick')
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 6; i++) publish(publisher, String(i))
  assert.deepEqual(texts(stuck.take()), ['0'])
  assert.deepEqual(texts(quick.take()), ['1', '2', '3', '4', '5'])
  assert.equal(stuck.connection.session?.queue?.length ?? 0, 0)
})

test('each member gets its own subscription identifier, or none', () => {
  const world = new World()
  const first = world.connect({ clientId: 'a' })
  first.subscribe(FILTER, 1, {}, 7)
  const second = world.connect({ clientId: 'b' })
  second.subscribe(FILTER, 1)
  const third = world.connect({ clientId: 'c' })
  third.subscribe(FILTER, 0, {}, 9)
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 0; i < 3; i++) publish(publisher, String(i))
  publisher.publish('t', 'zero')
  const identifiers = [first, second, third].map(client =>
    client.takePublishes().map(({ qos, properties }) => [qos, properties.subscriptionIdentifiers]),
  )
  assert.deepEqual(identifiers, [
    [
      [1, [7]],
      [0, [7]],
    ],
    [[1, undefined]],
    [[0, [9]]],
  ])
})

function full(limits: Partial<Limits>): { world: World; stuck: TestClient; publisher: TestClient } {
  const world = new World({ limits })
  const stuck = member(world, 'stuck', 1)
  return { world, stuck, publisher: world.connect({ clientId: 'p' }) }
}

test('queuedMessagesMax holds for a group: the oldest go, and are counted', () => {
  const { world, stuck, publisher } = full({ queuedMessagesMax: 2 })
  for (let i = 0; i < 5; i++) assert.equal(publish(publisher, String(i)), 0)
  assert.equal(world.broker.ledger.totalOf('queue-full'), 2)
  const [first] = stuck.takePublishes()
  const more = stuck.acknowledge(PacketType.PUBACK, first?.packetId ?? 0)
  assert.deepEqual(texts(more), ['3'])
})

test('fullQueue refuse holds for a group: the publisher is told', () => {
  const { world, publisher } = full({ queuedMessagesMax: 2, fullQueue: 'refuse' })
  const codes = ['0', '1', '2', '3', '4'].map(payload => publish(publisher, payload))
  assert.deepEqual(codes, [0, 0, 0, ReasonCode.QUOTA_EXCEEDED, ReasonCode.QUOTA_EXCEEDED])
  // The two that were refused were the publisher's to keep; they are in the ledger all the same.
  assert.equal(world.broker.ledger.totalOf('queue-full'), 2)
})

test('a message larger than queuedBytesMax is lost for a group and takes no other along', () => {
  const { world, stuck, publisher } = full({ queuedBytesMax: 100 })
  for (const payload of ['0', '1', 'x'.repeat(101), '2']) publish(publisher, payload)
  assert.equal(world.broker.ledger.totalOf('queue-full'), 1)
  const [first] = stuck.takePublishes()
  const more = stuck.acknowledge(PacketType.PUBACK, first?.packetId ?? 0)
  assert.deepEqual(texts(more), ['1'])
})

test('totalQueuedBytesMax holds for groups too', () => {
  const { world, publisher } = full({ totalQueuedBytesMax: 1000, packetBytesMax: 200 })
  const payload = 'x'.repeat(100)
  const codes = Array.from({ length: 20 }, () => publish(publisher, payload))
  assert.ok(codes.includes(ReasonCode.QUOTA_EXCEEDED))
  assert.ok(world.broker.queues.totalBytes <= 1000)
})

test('a group that nobody is left in is gone, and what waited in it is counted', () => {
  const { world, stuck, publisher } = full({})
  for (let i = 0; i < 3; i++) publish(publisher, String(i))
  assert.equal(world.broker.groups.count, 1)
  stuck.ask({ type: PacketType.UNSUBSCRIBE, packetId: 1, filters: [FILTER], properties: {} })
  assert.equal(world.broker.groups.count, 0)
  assert.equal(world.broker.ledger.totalOf('session-ended'), 2)
  publish(publisher, 'nobody')
  // The one that was sent to the member before is still under way.
  assert.equal(world.broker.queues.totalBytes, stuck.connection.session?.queuedBytes)
  assert.equal(stuck.connection.session?.queuedMessages, 1)
})

test('QoS 0 for a group whose members are all away is counted', () => {
  const world = new World()
  const away = connectKept(world, 'away')
  away.subscribe(FILTER, 1)
  away.cut()
  world.connect({ clientId: 'p' }).publish('t', 'm')
  const [entry] = world.broker.ledger.entries()
  assert.equal(entry?.reason, 'no-member-online')
  assert.equal(entry?.clientId, FILTER)
})

/** Random lives of members; each message that was acknowledged to the publisher is acknowledged
 * by exactly one member, or is still waiting, or is in the ledger. */
test('no message of a group is lost or taken twice, whatever its members do', () => {
  const Step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), who: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), who: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('come' as const), who: fc.nat(2) }) },
  )
  fc.assert(
    fc.property(fc.array(Step, { maxLength: 60 }), fc.boolean(), (steps, kept) => {
      const world = new World()
      const publisher = world.connect({ clientId: 'p' })
      // One member stays: a group that all have left is gone.
      const anchor = connectKept(world, 'anchor', { receiveMaximum: 2 })
      anchor.subscribe(FILTER, 1)
      const members: (TestClient | null)[] = [null, null, null]
      const taken: string[] = []
      // What was not acknowledged when the client goes was not taken.
      const takeOne = (client: TestClient): void => {
        const waiting = client.takePublishes()
        for (let packet = waiting.shift(); packet !== undefined; packet = waiting.shift()) {
          taken.push(Buffer.from(packet.payload).toString())
          const more = client.acknowledge(PacketType.PUBACK, packet.packetId)
          waiting.push(...publishesOf(more))
        }
      }
      let published = 0
      for (const step of steps) {
        if (step.kind === 'publish') assert.equal(publish(publisher, String(published++)), 0)
        else if (step.kind === 'come') {
          if (members[step.who] !== null) continue
          const properties = { receiveMaximum: 3, ...(kept ? { sessionExpiryInterval: 60 } : {}) }
          const client = world.connect({ clientId: `m${step.who}`, cleanStart: !kept, properties })
          client.early.length = 0
          client.subscribe(FILTER, 1)
          members[step.who] = client
        } else {
          const client = members[step.who]
          if (client === undefined || client === null) continue
          if (step.kind === 'take') takeOne(client)
          else {
            client.cut()
            members[step.who] = null
          }
        }
      }
      for (const client of members) client?.cut()
      for (let round = 0; round <= published; round++) takeOne(anchor)
      const all = Array.from({ length: published }, (_, i) => String(i))
      assert.deepEqual([...taken].sort(), all.sort())
      assert.equal(world.broker.ledger.total, 0)
    }),
    { numRuns: 150 },
  )
})
