// Shared groups whose members take packets of different sizes: who gets what, what waits for whom,
// and what is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, type Packet, PacketType, type Properties } from '@godwit/packet'
import fc from 'fast-check'
import { only, publishesOf, texts } from '../testing/bytes.ts'
import { OpenGuard, publishPacket, type TestClient, text, World } from '../testing/harness.ts'
import { connectKept } from '../testing/v5.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const FILTER = '$share/g/t'
const SMALL = 60
const LONG = 'long'.padEnd(100, '.')

/** A stranger may have nothing. */
class Reserved extends OpenGuard {
  override checksPermissions = true
  override mayReceive({ clientId }: { readonly clientId: string }): boolean {
    return clientId !== 'stranger'
  }
}

function member(
  world: World,
  clientId: string,
  properties: Properties = {},
  filter = FILTER,
): TestClient {
  const client = world.connect({ clientId, properties })
  client.subscribe(filter, 1)
  return client
}

/** A member that has one message and takes no other until that is acknowledged. */
function busyMember(world: World, clientId: string, properties: Properties = {}): Busy {
  const client = member(world, clientId, { receiveMaximum: 1, ...properties })
  world.connect({ clientId: `for ${clientId}` }).publish('t', 'busy', { qos: 1 })
  const { packetId } = only(client.take(), PacketType.PUBLISH)
  return { client, packetId }
}

interface Busy {
  readonly client: TestClient
  readonly packetId: number
}

/** @returns the packets that follow */
function acknowledge({ client, packetId }: Busy): Packet[] {
  return client.acknowledge(PacketType.PUBACK, packetId)
}

function losses(world: World): [string, string, number][] {
  return world.broker.ledger
    .entries()
    .map(({ reason, clientId, count }) => [reason, clientId, count])
}

test('what only a busy member can take waits for it, and others pass', () => {
  const world = new World()
  const large = busyMember(world, 'large')
  const small = member(world, 'small', { maximumPacketSize: SMALL })
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of [LONG, '1', `${LONG}2`, '3']) publisher.publish('t', payload, { qos: 1 })
  assert.deepEqual(texts(small.take()), ['1', '3'])
  assert.deepEqual(texts(large.client.take()), [])
  const first = only(acknowledge(large), PacketType.PUBLISH)
  assert.equal(text(first), LONG)
  const { packetId } = first
  assert.deepEqual(texts(acknowledge({ client: large.client, packetId })), [`${LONG}2`])
  assert.equal(world.broker.ledger.total, 0)
})

test('what no member can take is lost at once, under the name of the group', () => {
  for (const qos of [0, 1, 2] as const) {
    const world = new World()
    member(world, 'a', { maximumPacketSize: SMALL })
    member(world, 'b', { maximumPacketSize: SMALL, receiveMaximum: 1 })
    const publisher = world.connect({ clientId: 'p' })
    publisher.publish('t', LONG, { qos, packetId: qos === 0 ? 0 : 1 })
    assert.deepEqual(losses(world), [['packet-too-large', FILTER, 1]])
    assert.equal(world.broker.queues.totalBytes, 0)
  }
})

test('a message that is lost or waits is nobody’s turn', () => {
  const world = new World()
  const members = ['a', 'b'].map(id => member(world, id, { maximumPacketSize: SMALL }))
  const publisher = world.connect({ clientId: 'p' })
  for (const qos of [0, 1] as const) {
    for (const payload of ['0', LONG, '1', LONG, '2', '3']) {
      publisher.publish('t', payload, { qos, packetId: qos })
    }
    const got = members.map(client => texts(client.take()))
    assert.deepEqual(got, [
      ['0', '2'],
      ['1', '3'],
    ])
  }
})

test('a packet of exactly the size that a member takes is not too large', () => {
  for (const [level, identifier, expiry] of [
    [5, 0, 0],
    [5, 300, 0],
    [5, 300, 60],
    [4, 0, 60],
  ] as const) {
    for (const qos of [0, 1] as const) {
      const sizeOf = (payload: string, most: number): number => {
        const world = new World()
        const properties = level === 5 ? { maximumPacketSize: most } : {}
        const client = world.connect({ clientId: 'a', protocolLevel: level, properties })
        client.subscribe(FILTER, qos, {}, identifier)
        if (level === 4) client.connection.sendBytesMax = most
        const publisher = world.connect({ clientId: 'p' })
        const own = expiry === 0 ? {} : { messageExpiryInterval: expiry }
        const before = world.broker.counters.publishBytesSent
        publisher.publish('t', payload, { qos: 1, properties: own })
        const { total } = world.broker.ledger
        return total > 0 ? 0 : world.broker.counters.publishBytesSent - before
      }
      const payload = 'x'.repeat(100)
      const exact = sizeOf(payload, 1000)
      assert.ok(exact > 100)
      assert.equal(sizeOf(payload, exact), exact)
      assert.equal(sizeOf(payload, exact - 1), 0)
    }
  }
})

test('it waits for a member that is away, until that has come or its session has ended', () => {
  for (const returns of [true, false]) {
    const world = new World()
    const away = connectKept(world, 'away')
    away.subscribe(FILTER, 1)
    away.cut()
    const small = member(world, 'small', { maximumPacketSize: SMALL })
    const publisher = world.connect({ clientId: 'p' })
    for (const payload of [LONG, '1']) publisher.publish('t', payload, { qos: 1 })
    assert.deepEqual(texts(small.take()), ['1'])
    assert.equal(world.broker.ledger.total, 0)
    if (returns) {
      const back = connectKept(world, 'away')
      assert.deepEqual(texts([...back.early, ...back.take()]), [LONG])
      assert.equal(world.broker.ledger.total, 0)
    } else {
      world.advance(3601_000)
      assert.deepEqual(losses(world), [['packet-too-large', FILTER, 1]])
    }
  }
})

test('when the only one that could take it ends, it is lost', () => {
  const world = new World()
  const large = busyMember(world, 'large')
  const small = member(world, 'small', { maximumPacketSize: SMALL })
  world.connect({ clientId: 'p' }).publish('t', LONG, { qos: 1 })
  assert.equal(world.broker.ledger.total, 0)
  large.client.cut()
  world.settle()
  assert.deepEqual(losses(world), [['packet-too-large', FILTER, 1]])
  assert.deepEqual(texts(small.take()), ['busy'])
})

test('with permissions: it waits for who may have it and takes it, and no other', () => {
  const world = new World({ guard: new Reserved() })
  const large = busyMember(world, 'large')
  const stranger = member(world, 'stranger')
  const small = member(world, 'small', { maximumPacketSize: SMALL })
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of [LONG, '1']) publisher.publish('t', payload, { qos: 1 })
  assert.deepEqual(texts(small.take()), ['1'])
  assert.deepEqual(texts(acknowledge(large)), [LONG])
  assert.deepEqual(texts(stranger.take()), [])
  // Who may have it takes none so large: that is why it is lost.
  large.client.cut()
  small.take()
  publisher.publish('t', `${LONG}.`, { qos: 1 })
  const reasons = losses(world).map(([reason]) => reason)
  assert.ok(
    reasons.includes('packet-too-large') && !reasons.includes('not-authorized'),
    `${reasons}`,
  )
})

test('many that nobody can take are looked at over several turns', () => {
  const world = new World()
  for (let i = 0; i < 1000; i++) member(world, `m${i}`, { maximumPacketSize: 30 })
  const publisher = world.connect({ clientId: 'p' })
  const group = world.broker.groups.groupOf('g', 't')
  const packet = publishPacket('t', LONG, { qos: 1 })
  for (let i = 0; i < 500; i++) publisher.connection.bytes(encodePacket(packet, 5))
  world.broker.endTurn()
  const left = group.waitingCount
  assert.ok(left > 0 && left < 500, `${left} after a turn`)
  world.settle()
  assert.equal(world.broker.ledger.totalOf('packet-too-large'), 500)
  assert.equal(group.waitingCount, 0)
})

test('when the only one that might take it comes back and does not, it is lost', () => {
  for (const [guard, clientId, reason] of [
    [new OpenGuard(), 'away', 'packet-too-large'],
    [new Reserved(), 'stranger', 'not-authorized'],
  ] as const) {
    const world = new World({ guard })
    const away = connectKept(world, clientId)
    away.subscribe(FILTER, 1)
    away.cut()
    if (reason === 'packet-too-large') member(world, 'small', { maximumPacketSize: SMALL })
    world.connect({ clientId: 'p' }).publish('t', LONG, { qos: 1 })
    assert.equal(world.broker.ledger.total, 0)
    connectKept(world, clientId, reason === 'packet-too-large' ? { maximumPacketSize: SMALL } : {})
    world.settle()
    assert.deepEqual(losses(world), [[reason, FILTER, 1]])
    assert.equal(world.broker.queues.totalBytes, 0)
  }
})

test('others pass what is too large for them, also when they get room only later', () => {
  const world = new World({ guard: new Reserved() })
  const large = busyMember(world, 'large')
  const small = busyMember(world, 'small', { maximumPacketSize: SMALL })
  // It has room, so that the messages go aside.
  member(world, 'stranger')
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of [LONG, '1']) publisher.publish('t', payload, { qos: 1 })
  assert.deepEqual(texts(acknowledge(small)), ['1'])
  assert.deepEqual(texts(acknowledge(large)), [LONG])
})

test('nothing waits behind what is a little larger and waits for somebody else', () => {
  for (const isBusy of [false, true]) {
    const world = new World()
    const away = connectKept(world, 'away')
    away.subscribe(FILTER, 1)
    away.cut()
    const limits = { maximumPacketSize: 200, receiveMaximum: isBusy ? 1 : 10 }
    const middle = isBusy ? busyMember(world, 'middle', limits) : null
    const client = middle?.client ?? member(world, 'middle', limits)
    member(world, 'small', { maximumPacketSize: SMALL })
    const publisher = world.connect({ clientId: 'p' })
    // All of them have from 128 to 255 bytes.
    const sizes = [220, 150, 221, 151]
    for (const size of sizes) publisher.publish('t', String(size).padEnd(size), { qos: 1 })
    const got: string[] = []
    for (let packets = middle === null ? client.take() : acknowledge(middle); ; ) {
      got.push(...texts(packets).map(payload => payload.trimEnd()))
      const [packet] = publishesOf(packets)
      if (packet === undefined) break
      packets = isBusy ? acknowledge({ client, packetId: packet.packetId }) : []
    }
    assert.deepEqual(got, ['150', '151'])
    assert.equal(world.broker.ledger.total, 0)
    const back = connectKept(world, 'away')
    assert.deepEqual(
      texts([...back.early, ...back.take()]).map(payload => payload.trimEnd()),
      ['220', '221'],
    )
  }
})

test('a member gets what waits for it of a topic in its order, of whatever size', () => {
  const world = new World()
  const large = busyMember(world, 'large')
  member(world, 'small', { maximumPacketSize: SMALL })
  const publisher = world.connect({ clientId: 'p' })
  for (const [i, length] of [100, 101, 300, 102, 301, 600, 103].entries()) {
    publisher.publish('t', String(i).padEnd(length, '.'), { qos: 1 })
  }
  const got: string[] = []
  let packets = acknowledge(large)
  while (packets.length > 0) {
    got.push(...texts(packets).map(([first = '']) => first))
    const { packetId } = only(packets, PacketType.PUBLISH)
    packets = acknowledge({ client: large.client, packetId })
  }
  assert.equal(got.join(''), '0123456')
})

test('what comes while many wait does not overtake those of its topic', () => {
  const world = new World()
  const filter = '$share/g/#'
  const most = { receiveMaximum: 1 }
  const large = member(world, 'large', most, filter)
  const middle = member(world, 'middle', { ...most, maximumPacketSize: 250 }, filter)
  member(world, 'small', { ...most, maximumPacketSize: SMALL }, filter)
  const publisher = world.connect({ clientId: 'p' })
  for (const client of ['large', 'middle']) publisher.publish(client, LONG, { qos: 1 })
  only(large.take(), PacketType.PUBLISH)
  const { packetId } = only(middle.take(), PacketType.PUBLISH)
  // For the large one alone: more than are looked at in one turn. Then one for both.
  for (let i = 0; i < 100; i++) publisher.publish(`t${i}`, LONG.repeat(4), { qos: 1 })
  publisher.publish('t', `first ${LONG}`, { qos: 1 })
  publisher.publish('small', '', { qos: 1 })
  const later = publishPacket('t', `later ${LONG}`, { qos: 1 })
  publisher.connection.bytes(encodePacket(later, 5))
  const got = texts(acknowledge({ client: middle, packetId }))
  assert.deepEqual(got, [`first ${LONG}`])
})

test('a group that is looked at without end holds up no other', () => {
  const world = new World()
  for (let i = 0; i < 2000; i++) member(world, `m${i}`, { maximumPacketSize: 30 })
  member(world, 'other', {}, '$share/h/u')
  const publisher = world.connect({ clientId: 'p' })
  const publish = (topic: string, payload: string, count: number): void => {
    const packet = encodePacket(publishPacket(topic, payload, { qos: 1 }), 5)
    for (let i = 0; i < count; i++) publisher.connection.bytes(packet)
  }
  const busy = world.broker.groups.groupOf('g', 't')
  const waits = world.broker.groups.groupOf('h', 'u')
  publish('t', LONG, 200)
  publish('u', 'hello', 1)
  const waiting: number[] = []
  for (let turn = 0; turn < 4; turn++) {
    world.broker.endTurn()
    assert.ok(busy.waitingCount > 0)
    waiting.push(waits.waitingCount)
    publish('t', LONG, 60)
  }
  assert.deepEqual(waiting, [1, 0, 0, 0])
})

test('nothing is lost that a member takes, whoever is busy, away or small', () => {
  const Step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('publish' as const), size: fc.nat(3) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('take' as const), who: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), who: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('come' as const), who: fc.nat(2) }) },
  )
  const sizes = [60, 120, 240, 10_000]
  fc.assert(
    fc.property(fc.array(Step, { maxLength: 60 }), steps => {
      const world = new World()
      const publisher = world.connect({ clientId: 'p' })
      const come = (who: number): TestClient => {
        const maximumPacketSize = sizes[who] ?? 0
        const client = connectKept(world, `m${who}`, { receiveMaximum: 2, maximumPacketSize })
        client.subscribe(FILTER, 1)
        return client
      }
      // The one that takes all stays.
      const members: (TestClient | null)[] = [null, null, null, come(3)]
      const taken: string[] = []
      const takeOne = (client: TestClient): void => {
        const waiting = client.takePublishes()
        for (let packet = waiting.shift(); packet !== undefined; packet = waiting.shift()) {
          taken.push(Buffer.from(packet.payload).toString().trimEnd())
          const more = client.acknowledge(PacketType.PUBACK, packet.packetId)
          waiting.push(...publishesOf(more))
        }
      }
      let published = 0
      for (const step of steps) {
        if (step.kind === 'publish') {
          const length = [10, 80, 150, 500][step.size] ?? 0
          publisher.publish('t', String(published++).padEnd(length), { qos: 1 }).take()
        } else if (step.kind === 'come') members[step.who] ??= come(step.who)
        else if (step.kind === 'take') {
          const client = members[step.who] ?? null
          if (client !== null) takeOne(client)
        } else {
          members[step.who]?.cut()
          members[step.who] = null
        }
      }
      for (const client of members.slice(0, 3)) client?.cut()
      for (let round = 0; round <= published; round++) takeOne(members[3] as TestClient)
      const all = Array.from({ length: published }, (_, i) => String(i))
      assert.deepEqual(taken.sort(), all.sort())
      assert.equal(world.broker.ledger.total, 0)
    }),
    { numRuns: 150 },
  )
})

test('a member gets the messages of a topic in order, whoever else is busy or small', () => {
  const Step = fc.oneof(
    fc.record({ kind: fc.constant('publish' as const), size: fc.nat(4), topic: fc.nat(1) }),
    fc.record({ kind: fc.constant('take' as const), who: fc.nat(2) }),
  )
  const limits = [60, 240, 10_000]
  fc.assert(
    fc.property(fc.array(Step, { minLength: 20, maxLength: 100 }), steps => {
      const world = new World()
      const publisher = world.connect({ clientId: 'p' })
      const members = limits.map((maximumPacketSize, who) =>
        member(world, `m${who}`, { receiveMaximum: 1, maximumPacketSize }, '$share/g/#'),
      )
      const got = members.map(() => new Map<string, number[]>())
      const takeOne = (who: number): number => {
        const client = members[who] as TestClient
        const packets = client.takePublishes()
        for (const packet of packets) {
          const { topic, packetId } = packet
          const numbers = got[who]?.get(topic) ?? []
          got[who]?.set(topic, [...numbers, Number(text(packet))])
          client.send({ type: PacketType.PUBACK, packetId, reasonCode: 0, properties: {} })
        }
        return packets.length
      }
      let published = 0
      for (const step of steps) {
        if (step.kind === 'take') takeOne(step.who)
        else {
          const length = [5, 80, 150, 300, 700][step.size] ?? 0
          const topic = `t${step.topic}`
          publisher.publish(topic, String(published++).padEnd(length), { qos: 1 }).take()
        }
      }
      while (members.some((_, who) => takeOne(who) > 0));
      const lists = got.flatMap(topics => [...topics.values()])
      assert.equal(lists.flat().length, published)
      for (const list of lists)
        assert.deepEqual(
          list,
          list.toSorted((a, b) => a - b),
        )
    }),
    { numRuns: 150 },
  )
})
