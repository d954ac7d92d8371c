// What the core asks its guard, what it does with answers that come late, and what it forgets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, NO_PROPERTIES, PacketType, ReasonCode } from '@godwit/packet'
import { only, texts } from '../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { connectKept, publishPacket, typesOf, watch, willOf } from '../testing/v5.ts'
import { DEFAULT_SHARES, type Limits } from './limits.ts'
import { type AuthenticationVerdict, type Guard, type Identity, LATER } from './ports.ts'

type Question = [kind: string, ...values: unknown[]]

/** Answers what the test says, and writes down what it was asked. */
class AskedGuard extends OpenGuard {
  override checksPermissions = true
  readonly questions: Question[] = []
  asked: Identity | null = null
  ticket = 0
  publish = 0
  subscribe = 0
  login: AuthenticationVerdict | null = { reasonCode: 0 }
  receives: (identity: Identity, topic: string) => boolean = () => true

  override authenticate(
    request: Parameters<Guard['authenticate']>[0],
  ): AuthenticationVerdict | null {
    this.ticket = request.ticket
    return this.login
  }
  override mayPublish(...[identity, topic, qos, retain, ticket]: Parameters<Guard['mayPublish']>) {
    this.questions.push(['publish', identity.clientId, topic, qos, retain])
    this.asked = identity
    this.ticket = ticket
    return this.publish
  }
  override maySubscribe(...[, filter, , ticket]: Parameters<Guard['maySubscribe']>): number {
    this.questions.push(['subscribe', filter])
    this.ticket = ticket
    return this.subscribe
  }
  override mayReceive(identity: Identity, topic: string): boolean {
    return this.receives(identity, topic)
  }
}

const CONNECT = connectPacket({ clientId: 'c', will: willOf('will', 'gone', { qos: 1 }) })

test('a will is a message that the client has to be allowed to publish', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  guard.publish = ReasonCode.NOT_AUTHORIZED
  const connack = only(world.open().ask(CONNECT), PacketType.CONNACK)
  assert.equal(connack.reasonCode, ReasonCode.NOT_AUTHORIZED)
  assert.deepEqual(guard.questions, [['publish', 'c', 'will', 1, false]])
  const old = world.open(4)
  const refused = only(old.ask({ ...CONNECT, protocolLevel: 4 }), PacketType.CONNACK)
  assert.equal(refused.reasonCode, 5)
})

test('a will that may be published late lets the client in late', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  guard.publish = LATER
  const client = world.open()
  assert.deepEqual(client.ask(CONNECT), [])
  world.broker.decided(guard.ticket, 0)
  only(client.take(), PacketType.CONNACK)
  const other = world.open()
  assert.deepEqual(other.ask(CONNECT), [])
  world.broker.decided(guard.ticket, ReasonCode.NOT_AUTHORIZED)
  assert.equal(only(other.take(), PacketType.CONNACK).reasonCode, ReasonCode.NOT_AUTHORIZED)
})

/** Clients with a will, whose permission is withdrawn before it goes out. */
for (const [when, delaySeconds, expirySeconds, pages] of [
  ['with the connection', 0, 0, false],
  ['with the connection of a session that is kept', 0, 3600, true],
  ['after its delay', 5, 3600, false],
  ['after its delay, where sessions sleep', 5, 3600, true],
  ['with the session', 60, 5, true],
] as const) {
  test(`a will that would go out ${when} goes out only if that is still allowed`, () => {
    for (const [verdict, expected] of [
      [0, ['gone']],
      [ReasonCode.NOT_AUTHORIZED, []],
    ] as const) {
      const guard = new AskedGuard()
      const world = new World({ guard })
      world.store.pages = pages
      const watcher = watch(world, 'will')
      const will = willOf('will', 'gone', { properties: { willDelayInterval: delaySeconds } })
      const client = connectKept(
        world,
        'c',
        { sessionExpiryInterval: expirySeconds },
        { username: 'u', will },
      )
      guard.publish = verdict
      guard.questions.length = 0
      client.cut()
      world.advance(10_000)
      assert.deepEqual(guard.questions, [['publish', 'c', 'will', 0, false]])
      assert.deepEqual(texts(watcher.take()), expected)
      assert.equal(world.broker.counters.willsPublished, expected.length)
      assert.equal(world.broker.ledger.total, 1 - expected.length)
      const dropped = world.trace.events.filter(([name]) => name === 'dropped')
      const loss = ['dropped', 'not-authorized', 'c', 'will']
      assert.deepEqual(dropped, expected.length === 0 ? [loss] : [])
      // Then its session sleeps like any other.
      const awake = !pages && expirySeconds === 3600 ? 2 : 1
      assert.equal(world.broker.sessions.byClientId.size, awake)
    }
  })
}

test('a will that is asked about late goes out when the answer is there, or is lost', () => {
  for (const verdict of [0, ReasonCode.NOT_AUTHORIZED]) {
    const guard = new AskedGuard()
    const world = new World({ guard })
    const watcher = watch(world, 'will')
    const client = connectKept(world, 'c', {}, { will: willOf('will', 'gone') })
    guard.publish = LATER
    client.cut()
    assert.deepEqual(watcher.take(), [])
    assert.equal(world.broker.openTickets, 1)
    // Its client is back meanwhile, with another will.
    guard.publish = 0
    const { ticket } = guard
    connectKept(world, 'c', {}, { will: willOf('will', 'gone again') })
    world.broker.decided(ticket, verdict)
    assert.deepEqual(texts(watcher.take()), verdict === 0 ? ['gone'] : [])
    assert.equal(world.broker.ledger.total, verdict === 0 ? 0 : 1)
    assert.equal(world.broker.openTickets, 0)
  }
})

for (const username of [null, '', 'ann']) {
  test(`a will of before a restart goes out if ${JSON.stringify(username)} may publish it`, () => {
    for (const verdict of [0, ReasonCode.NOT_AUTHORIZED]) {
      // Nobody was asked then: a guard may have come since.
      const before = new World()
      before.store.pages = true
      const will = willOf('will', 'gone', { properties: { willDelayInterval: 5 } })
      connectKept(before, 'c', {}, { will, username }).cut()
      const guard = new AskedGuard()
      guard.publish = verdict
      const world = new World({ guard, kept: before.store.kept })
      const watcher = watch(world, 'will')
      guard.questions.length = 0
      world.advance(10_000)
      assert.deepEqual(guard.questions, [['publish', 'c', 'will', 0, false]])
      assert.equal(guard.asked?.username, username)
      assert.equal(guard.asked?.origin.transport, 'unknown')
      assert.deepEqual(texts(watcher.take()), verdict === 0 ? ['gone'] : [])
      assert.equal(world.broker.ledger.totalOf('not-authorized'), verdict === 0 ? 0 : 1)
    }
  })
}

test('a will that was stored without its user goes out as CONNECT was told', () => {
  const before = new World()
  before.store.pages = true
  const will = willOf('will', 'gone', { properties: { willDelayInterval: 5 } })
  connectKept(before, 'c', {}, { will }).cut()
  const { kept } = before.store
  for (const stored of kept.wills.values()) kept.putWill({ ...stored, user: null })
  const guard = new AskedGuard()
  const world = new World({ guard, kept })
  const watcher = watch(world, 'will')
  guard.questions.length = 0
  world.advance(10_000)
  assert.deepEqual(guard.questions, [])
  assert.deepEqual(texts(watcher.take()), ['gone'])
})

test('what was allowed without RETAIN is asked again with it', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  const client = world.connect({ clientId: 'c' })
  client.publish('t', 'm').publish('t', 'm').publish('t', 'm', { retain: true })
  client.publish('t', 'm', { qos: 1 })
  assert.deepEqual(guard.questions, [
    ['publish', 'c', 't', 0, false],
    ['publish', 'c', 't', 0, true],
    ['publish', 'c', 't', 1, false],
  ])
})

test('an answer to a client that has gone leaves nothing, whatever it was about', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  const before = world.broker.openTickets
  guard.publish = LATER
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('t', 'm')
  publisher.cut()
  world.broker.decided(guard.ticket, 0)
  guard.publish = 0
  guard.subscribe = LATER
  const subscriber = world.connect({ clientId: 's' })
  subscriber.subscribe('t')
  subscriber.cut()
  world.broker.decided(guard.ticket, 0)
  guard.login = null
  const newcomer = world.open()
  newcomer.send(connectPacket({ clientId: 'n' }))
  newcomer.cut()
  world.broker.decided(guard.ticket, { reasonCode: 0 })
  assert.equal(world.broker.openTickets, before)
  assert.equal(world.broker.sessions.byClientId.size, 0)
})

test('of a client that has gone all that came is handled when the answer is there', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  const { connectionsNow } = world.broker.counters
  const will = willOf('w', 'gone')
  const publisher = world.connect(connectPacket({ clientId: 'p', will }))
  guard.publish = LATER
  const two = [publishPacket('t', 'one'), publishPacket('t', 'two')].map(p => encodePacket(p, 5))
  publisher.connection.bytes(Buffer.concat([...two, Uint8Array.of(0xe0, 0)]))
  publisher.cut()
  world.broker.decided(guard.ticket, 0)
  world.broker.decided(guard.ticket, 0)
  world.settle()
  assert.deepEqual(texts(watcher.take()), ['one', 'two'])
  assert.equal(world.broker.counters.connectionsNow, connectionsNow)
  assert.equal(world.broker.openTickets, 0)
})

test('a late answer lets what waited behind it through in order', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  guard.publish = LATER
  const client = world.connect({ clientId: 'p' })
  const bytes = ['one', 'two'].map(payload => encodePacket(publishPacket('t', payload), 5))
  client.send(Buffer.concat([...bytes, Uint8Array.of(0xc0, 0)]))
  assert.deepEqual(texts(watcher.take()), [])
  assert.equal(client.reading, false)
  const first = guard.ticket
  world.broker.decided(first, 0)
  world.settle()
  assert.deepEqual(texts(watcher.take()), ['one'])
  assert.notEqual(guard.ticket, first)
  world.broker.decided(first, 0)
  assert.deepEqual(texts(watcher.take()), [])
  world.broker.decided(guard.ticket, 0)
  assert.deepEqual(texts(watcher.take()), ['two'])
  assert.deepEqual(typesOf(client.take()), [PacketType.PINGRESP])
  assert.equal(client.reading, true)
})

test('a receiver that may not have a topic gets none of its messages', () => {
  const guard = new AskedGuard()
  guard.receives = (identity, topic) => identity.clientId !== 'barred' || topic !== 'secret'
  const world = new World({ guard })
  const clients = ['barred', 'free'].map(id => connectKept(world, id))
  for (const client of clients) client.subscribe('#', 2)
  const publisher = world.connect({ clientId: 'p' })
  for (const qos of [0, 1, 2] as const) {
    publisher.publish('secret', `s${qos}`, { qos, packetId: 10 + qos })
    publisher.publish('open', `o${qos}`, { qos, packetId: 20 + qos })
  }
  assert.deepEqual(
    clients.map(client => texts(client.take()).sort()),
    [
      ['o0', 'o1', 'o2'],
      ['o0', 'o1', 'o2', 's0', 's1', 's2'],
    ],
  )
  // What was refused takes no room in its window either.
  const [barred] = clients
  assert.equal(barred?.connection.session?.queuedMessages, 2)
})

test('who may have QoS 0 that came together is asked once, who may not has none', () => {
  const guard = new AskedGuard()
  const asked: string[] = []
  guard.receives = ({ clientId }, topic) => {
    asked.push(`${clientId} ${topic}`)
    return clientId !== 'barred'
  }
  const world = new World({ guard })
  const clients = ['barred', 'free'].map(id => watch(world, '#', id))
  const publisher = world.connect({ clientId: 'p' })
  const send = (...messages: string[]): void => {
    publisher.send(Buffer.concat(messages.map(one => encodePacket(publishPacket('t', one), 5))))
  }
  send('1', '2', '3')
  // The first one is allowed by itself, the others are its run.
  assert.deepEqual(asked, ['barred t', 'free t', 'barred t', 'free t'])
  send('4', '5', '6')
  assert.equal(asked.length, 6)
  assert.deepEqual(guard.questions.filter(([kind]) => kind === 'publish').length, 1)
  assert.deepEqual(
    clients.map(client => texts(client.take())),
    [[], ['1', '2', '3', '4', '5', '6']],
  )
  assert.equal(world.broker.counters.unmatched, 0)
  guard.publish = ReasonCode.NOT_AUTHORIZED
  guard.generation++
  send('7', '8')
  assert.deepEqual(texts(clients[1]?.take() ?? []), [])
})

test('messages of QoS 0 that nobody may have are counted as such, one by one or in a run', () => {
  const guard = new AskedGuard()
  guard.receives = () => false
  const world = new World({ guard })
  watch(world, '#')
  const publisher = world.connect({ clientId: 'p' })
  publisher.send(
    Buffer.concat(['1', '2', '3'].map(one => encodePacket(publishPacket('t', one), 5))),
  )
  assert.equal(world.broker.counters.unmatched, 3)
})

test('a member of a group that may not have a message leaves it to one that may', () => {
  const guard = new AskedGuard()
  guard.receives = identity => identity.clientId !== 'barred'
  const world = new World({ guard })
  const barred = world.connect({ clientId: 'barred' })
  const free = world.connect({ clientId: 'free' })
  for (const client of [barred, free]) client.subscribe('$share/g/t', 1)
  const publisher = world.connect({ clientId: 'p' })
  for (const payload of ['1', '2', '3', '4']) {
    publisher.publish('t', payload, { qos: Number(payload) > 2 ? 1 : 0, packetId: Number(payload) })
  }
  assert.deepEqual(texts(barred.take()), [])
  assert.deepEqual(texts(free.take()).sort(), ['1', '2', '3', '4'])
})

test('a group is asked as a whole only when the member in turn may not have a message', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  let asked = 0
  guard.receives = ({ clientId }) => {
    asked++
    return clientId !== 'm0'
  }
  const members = Array.from({ length: 20 }, (_, i) => {
    const client = world.connect({ clientId: `m${i}`, properties: { receiveMaximum: 1 } })
    client.subscribe('$share/g/t', 1)
    return client
  })
  const publisher = world.connect({ clientId: 'p' })
  for (let i = 1; i <= 19; i++) publisher.publish('t', `${i}`, { qos: 1, packetId: i })
  const got = members.flatMap(client => texts(client.take()))
  assert.equal(got.length, 19)
  // m0 leaves its turn to another, and each message is asked about at its member.
  assert.ok(asked < 60, `${asked} questions`)
  members[0]?.cut()
  asked = 0
  for (let i = 20; i <= 100; i++) publisher.publish('t', `${i}`, { qos: 1, packetId: i })
  assert.equal(asked, 0, 'nobody has room, nobody is asked')
})

test('a group whose members may not have a message does not wait with it', () => {
  const guard = new AskedGuard()
  guard.receives = (_identity, topic) => topic !== 'a/secret'
  const world = new World({ guard })
  const member = world.connect({ clientId: 'm' })
  member.subscribe('$share/g/a/+', 1)
  const publisher = world.connect({ clientId: 'p' })
  publisher.publish('a/secret', 'no', { qos: 1, packetId: 1 })
  publisher.publish('a/open', 'yes', { qos: 1, packetId: 2 })
  assert.deepEqual(texts(member.take()), ['yes'])
  assert.equal(world.broker.queues.totalBytes, member.connection.session?.queuedBytes)
  assert.equal(world.broker.ledger.totalOf('not-authorized'), 1)
})

/** Only "free" may have what is below `secret`; it takes one message at a time. */
function unequalGroup(limits: Partial<Limits> = {}): {
  world: World
  guard: AskedGuard
  free: TestClient
  barred: TestClient
  publisher: TestClient
} {
  const guard = new AskedGuard()
  guard.receives = ({ clientId }, topic) => clientId !== 'barred' || !topic.startsWith('secret')
  const world = new World({ guard, limits })
  const free = world.connect({ clientId: 'free', properties: { receiveMaximum: 1 } })
  const barred = world.connect({ clientId: 'barred' })
  for (const client of [free, barred]) client.subscribe('$share/g/#', 1)
  return { world, guard, free, barred, publisher: world.connect({ clientId: 'p' }) }
}

test('a message waits in the group for the member that may have it, and others pass', () => {
  const { world, free, barred, publisher } = unequalGroup()
  const send = (topic: string, packetId: number): unknown =>
    publisher.publish(topic, `${packetId}`, { qos: 1, packetId })
  for (const [i, topic] of ['secret', 'secret', 'other', 'secret/b', 'secret'].entries()) {
    send(topic, i + 1)
  }
  const first = only(free.take(), PacketType.PUBLISH)
  assert.deepEqual(texts([first]), ['1'])
  assert.deepEqual(texts(barred.take()), ['3'])
  assert.equal(world.broker.ledger.total, 0)
  const got: string[] = []
  for (let held = first; ; ) {
    const next = free.acknowledge(PacketType.PUBACK, held.packetId)
    if (next.length === 0) break
    held = only(next, PacketType.PUBLISH)
    got.push(...texts([held]))
  }
  assert.deepEqual(got.toSorted(), ['2', '4', '5'])
  assert.ok(got.indexOf('2') < got.indexOf('5'), 'order of a topic')
  assert.equal(world.broker.ledger.total, 0)
  assert.equal(world.broker.queues.totalBytes, barred.connection.session?.queuedBytes)
})

test('what is held back is lost when nobody is left who may have it, and counted', () => {
  const { world, guard, free, publisher } = unequalGroup()
  for (let i = 1; i <= 3; i++) publisher.publish('secret', `${i}`, { qos: 1, packetId: i })
  assert.deepEqual(texts(free.take()), ['1'])
  guard.receives = ({ clientId }) => clientId !== 'barred'
  free.cut()
  world.settle()
  assert.equal(world.broker.ledger.totalOf('not-authorized'), 3)
  const [group] = world.broker.groups.all()
  assert.deepEqual([group?.waitingCount, group?.queuedBytes], [0, 0])
})

test('what is held back counts for the limit of the group, and the oldest of it goes first', () => {
  const { world, free, publisher } = unequalGroup({ queuedMessagesMax: 3 })
  for (let i = 1; i <= 6; i++) publisher.publish('secret', `${i}`, { qos: 1, packetId: i })
  assert.equal(world.broker.ledger.totalOf('queue-full'), 2)
  const [group] = world.broker.groups.all()
  assert.equal(group?.waitingCount, 3)
  const first = only(free.take(), PacketType.PUBLISH)
  assert.deepEqual(texts(free.acknowledge(PacketType.PUBACK, first.packetId)), ['4'])
})

test('a member that comes back gets first what it had, then what was held back', () => {
  const { world, free, publisher } = unequalGroup()
  for (let i = 1; i <= 3; i++) publisher.publish('secret', `${i}`, { qos: 1, packetId: i })
  assert.deepEqual(texts(free.take()), ['1'])
  const second = world.connect({ clientId: 'second' })
  assert.deepEqual(texts(second.subscribe('$share/g/#', 1)), ['2', '3'])
  free.cut()
  assert.deepEqual(texts(second.take()), ['1'])
})

test('what is held back goes to an idle member as soon as it may have it', () => {
  const { world, guard, barred, free, publisher } = unequalGroup()
  for (let i = 1; i <= 3; i++) publisher.publish('secret', `${i}`, { qos: 1, packetId: i })
  assert.deepEqual(texts(free.take()), ['1'])
  assert.deepEqual(barred.take(), [])
  guard.receives = () => true
  world.broker.groups.permissionsChanged()
  assert.deepEqual(texts(barred.take()), ['2', '3'])
})

test('when a member of many has room, only it is asked about what is held back', () => {
  const { world, guard, free, barred, publisher } = unequalGroup()
  const many = Array.from({ length: 50 }, (_, i) => world.connect({ clientId: `barred${i}` }))
  for (const client of many) client.subscribe('$share/g/#', 1)
  let asked = 0
  guard.receives = ({ clientId }, topic) => {
    asked++
    return clientId === 'free' || !topic.startsWith('secret')
  }
  const count = 100
  for (let i = 1; i <= count; i++) publisher.publish(`secret/${i}`, '', { qos: 1, packetId: i })
  const first = only(free.take(), PacketType.PUBLISH)
  publisher.publish('other', '', { qos: 1, packetId: 1000 })
  asked = 0
  for (const client of [barred, ...many]) {
    for (const { packetId } of client.takePublishes()) {
      client.acknowledge(PacketType.PUBACK, packetId)
    }
  }
  assert.ok(asked >= count - 1 && asked < 2 * count, `asked ${asked} times`)
  const next = only(free.acknowledge(PacketType.PUBACK, first.packetId), PacketType.PUBLISH)
  assert.equal(next.topic, 'secret/2')
})

test('many topics that are held back are looked at over several turns, and all come', () => {
  const { world, free, publisher } = unequalGroup()
  const count = 3 * DEFAULT_SHARES.heldLooks
  for (let i = 1; i <= count; i++) publisher.publish(`secret/${i}`, `${i}`, { qos: 1, packetId: i })
  free.take()
  const second = world.connect({ clientId: 'second' })
  assert.equal(texts(second.subscribe('$share/g/#', 1)).length, count - 1)
  const [group] = world.broker.groups.all()
  assert.equal(group?.waitingCount, 0)
})

test('a permission that goes while a message waits keeps it back', () => {
  const guard = new AskedGuard()
  const world = new World({ guard })
  const before = connectKept(world, 'kept')
  before.subscribe('t', 1)
  before.cut()
  world.connect({ clientId: 'p' }).publish('t', 'm', { qos: 1 })
  guard.receives = () => false
  const again = connectKept(world, 'kept')
  assert.deepEqual(texts([...again.early, ...again.take()]), [])
  assert.equal(again.connection.session?.queuedMessages, 0)
  assert.equal(world.broker.ledger.totalOf('not-authorized'), 1)
})

test('a hook that looks at another topic takes no receivers from the one it is asked about', () => {
  const guard = new OpenGuard()
  guard.checksPermissions = true
  // All topics have the same two places.
  const world = new World({ guard, limits: { routesMax: 2 } })
  const subscriber = world.connect({ clientId: 'subscriber' })
  subscriber.subscribe('a', 1)
  const publisher = world.connect()
  guard.mayPublish = () => {
    const payload = new Uint8Array(0)
    for (const topic of ['b', 'c', 'd']) {
      world.broker.check({ topic, payload, qos: 0, retain: false, properties: NO_PROPERTIES })
    }
    return 0
  }
  const [puback] = publisher.ask(publishPacket('a', 'x', { qos: 1, packetId: 1 }))
  assert.ok(puback?.type === PacketType.PUBACK)
  assert.equal(puback.reasonCode, 0)
  assert.equal(only(subscriber.take(), PacketType.PUBLISH).topic, 'a')
})
