// A takeover while the old connection is behind: what came before it is handled first.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket, PacketType, ReasonCode } from '@godwit/packet'
import { only, texts } from '../testing/bytes.ts'
import { bush, DEEP, messagesOf } from '../testing/dear.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { connectKept, publishPacket, typesOf, watch, willOf } from '../testing/v5.ts'
import { LATER, type AuthenticationVerdict as Verdict } from './ports.ts'

const COUNT = 60
const TOPICS = Array.from({ length: COUNT }, (_, i) => `${DEEP}y${i}`)
const NUMBERS = TOPICS.map((_, i) => `${i}`)

/** Asks about each message of a topic that begins with "slow". */
class SlowGuard extends OpenGuard {
  override checksPermissions = true
  tickets: number[] = []
  override mayPublish(...[, topic, , , ticket]: Parameters<OpenGuard['mayPublish']>): number {
    if (!topic.startsWith('slow')) return 0
    this.tickets.push(ticket)
    return LATER
  }
}

/** Asks about each client as well, while it is slow. */
class SlowLogins extends SlowGuard {
  readonly logins: number[] = []
  isSlow = false
  override authenticate(request: Parameters<OpenGuard['authenticate']>[0]): Verdict | null {
    if (!this.isSlow) return super.authenticate(request)
    this.logins.push(request.ticket)
    return null
  }
}

/** Answers all questions, also those that come of it. */
function answerAll(world: World, guard: SlowGuard): void {
  for (let next = guard.tickets.shift(); next !== undefined; next = guard.tickets.shift()) {
    world.broker.decided(next, 0)
  }
}

/** CONNECT without ending the turn. */
function come(world: World, clientId: string, cleanStart = true): TestClient {
  const client = world.open()
  const properties = cleanStart ? {} : { sessionExpiryInterval: 3600 }
  const packet = connectPacket({ clientId, cleanStart, properties })
  client.connection.bytes(encodePacket(packet, 5))
  return client
}

for (const qos of [0, 1, 2] as const) {
  test(`what a resting publisher sent at QoS ${qos} is handled before it is taken over`, () => {
    const world = new World()
    bush(world.connect({ clientId: 'bush' }))
    const watcher = watch(world, '#')
    const old = world.connect({ clientId: 'p' })
    old.connection.bytes(messagesOf(TOPICS, qos))
    assert.equal(world.broker.workload.waits, true)
    const next = come(world, 'p')
    assert.deepEqual(texts(watcher.take()), NUMBERS)
    const answer = [0, PacketType.PUBACK, PacketType.PUBREC][qos]
    const answers = qos === 0 ? [] : TOPICS.map(() => answer)
    const packets = old.take()
    assert.deepEqual(typesOf(packets), [...answers, PacketType.DISCONNECT])
    const last = packets.at(-1)
    assert.ok(last?.type === PacketType.DISCONNECT)
    assert.equal(last.reasonCode, ReasonCode.SESSION_TAKEN_OVER)
    assert.equal(only(next.take(), PacketType.CONNACK).reasonCode, 0)
    assert.equal(world.broker.counters.takeovers, 1)
    assert.equal(world.broker.takeovers.wait, false)
  })
}

test('QoS 2 that is taken over half way is delivered once when it comes again', () => {
  const world = new World()
  bush(world.connect({ clientId: 'bush' }))
  const watcher = watch(world, '#')
  const old = connectKept(world, 'p')
  old.connection.bytes(messagesOf(TOPICS, 2))
  const next = come(world, 'p', false)
  // The old one learns nothing of it.
  old.connection.closed('the network failed')
  assert.equal(only(next.take(), PacketType.CONNACK).sessionPresent, true)
  next.send(messagesOf(TOPICS, 2))
  assert.equal(next.take().length, COUNT)
  assert.deepEqual(texts(watcher.take()), NUMBERS)
})

test('a hook is answered before its publisher is taken over, what is behind handled', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  const old = world.connect({ clientId: 'p', will: willOf('will', 'gone') })
  old.send(messagesOf(['slow/0', 'slow/1', 'quick'], 1))
  const next = come(world, 'p')
  assert.deepEqual(next.take(), [])
  answerAll(world, guard)
  assert.deepEqual(texts(watcher.take()), ['0', '1', '2', 'gone'])
  only(next.take(), PacketType.CONNACK)
  assert.equal(world.broker.openTickets, 0)
})

test('who is taken over is not read again meanwhile', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const old = world.connect({ clientId: 'p' })
  old.send(messagesOf(['slow/0'], 0))
  come(world, 'p')
  answerAll(world, guard)
  assert.equal(old.reading, false)
  world.settle()
  assert.equal(old.ended, true)
})

test('a DISCONNECT among what came before a takeover counts, asleep or awake', () => {
  for (const pages of [false, true]) {
    const guard = new SlowGuard()
    const world = new World({ guard })
    world.store.pages = pages
    const watcher = watch(world, '#')
    const will = willOf('will', 'gone')
    const old = connectKept(world, 'p', {}, { will })
    old.subscribe('mine', 1)
    old.send(Buffer.concat([messagesOf(['slow/0'], 0), Uint8Array.of(0xe0, 0)]))
    const next = come(world, 'p', false)
    answerAll(world, guard)
    assert.equal(only(next.take(), PacketType.CONNACK).sessionPresent, true)
    assert.deepEqual(texts(watcher.take()), ['0'])
    watcher.publish('mine', 'm', { qos: 1 })
    assert.deepEqual(texts(next.take()), ['m'])
    assert.equal(old.ended, true)
  }
})

test('several that come for one session follow one another, if they sent more than CONNECT', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  const old = world.connect({ clientId: 'p' })
  old.send(messagesOf(['slow/0'], 0))
  const second = come(world, 'p')
  second.connection.bytes(encodePacket(publishPacket('slow/1', '1'), 5))
  const third = come(world, 'p')
  answerAll(world, guard)
  world.settle()
  answerAll(world, guard)
  world.settle()
  assert.deepEqual(texts(watcher.take()), ['0', '1'])
  assert.deepEqual(typesOf(second.take()), [PacketType.CONNACK, PacketType.DISCONNECT])
  assert.deepEqual(typesOf(third.take()), [PacketType.CONNACK])
  assert.equal(third.ended, false)
})

test('of several that sent no more than CONNECT only the last one is let in [MQTT-3.1.4-3]', () => {
  for (const isClean of [false, true]) {
    const guard = new SlowGuard()
    const world = new World({ guard })
    const watcher = watch(world, '#')
    connectKept(world, 'p').send(messagesOf(['slow/0'], 0))
    const properties = isClean ? {} : { sessionExpiryInterval: 3600 }
    const will = willOf('will', 'for nothing')
    const impatient = [1, 2, 3].map(() => world.open())
    for (const client of impatient) {
      client.send(connectPacket({ clientId: 'p', cleanStart: isClean, properties, will }))
    }
    answerAll(world, guard)
    world.settle()
    const last = impatient.pop()
    assert.deepEqual(
      impatient.map(client => [client.ended, client.take().length]),
      [
        [true, 0],
        [true, 0],
      ],
    )
    assert.equal(only(last?.take() ?? [], PacketType.CONNACK).sessionPresent, !isClean)
    assert.deepEqual(texts(watcher.take()), ['0'])
    assert.equal(world.broker.counters.takeovers, 3)
    assert.equal(world.broker.counters.connectionsNow, 2)
    assert.equal(world.broker.openTickets, 0)
  }
})

test('one whose login took long, and that of the one before it, give way as well', () => {
  const guard = new SlowLogins()
  const world = new World({ guard })
  const watcher = watch(world, '#')
  connectKept(world, 'p').send(messagesOf(['slow/0'], 0))
  guard.isSlow = true
  const will = willOf('will', 'for nothing')
  const connect = connectPacket({ clientId: 'p', cleanStart: false, will })
  const first = world.open().send(connect)
  const second = world.open().send(connect)
  const [ofFirst = 0, ofSecond = 0] = guard.logins
  world.broker.decided(ofSecond, { reasonCode: 0 })
  world.broker.decided(ofFirst, { reasonCode: 0 })
  guard.isSlow = false
  const last = come(world, 'p', false)
  answerAll(world, guard)
  world.settle()
  assert.deepEqual(texts(watcher.take()), ['0'])
  assert.equal(first.ended && second.ended, true)
  assert.equal(only(last.take(), PacketType.CONNACK).sessionPresent, true)
  assert.equal(world.broker.openTickets, 0)
})

test('a clean start among them ends the session that there was [MQTT-3.1.2-4]', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const old = connectKept(world, 'p')
  old.subscribe('mine', 1)
  old.send(messagesOf(['slow/0'], 0))
  come(world, 'p')
  const last = come(world, 'p', false)
  answerAll(world, guard)
  world.settle()
  assert.equal(only(last.take(), PacketType.CONNACK).sessionPresent, false)
  assert.equal(world.broker.subscriptionCount, 0)
})

test('who comes again and again gives a hook that does not answer no more time', () => {
  const guard = new SlowGuard()
  const world = new World({ guard, limits: { connectTimeoutMs: 1000 } })
  const old = connectKept(world, 'p')
  old.send(messagesOf(['slow/0'], 1))
  come(world, 'p', false)
  world.advance(600)
  const last = come(world, 'p', false)
  world.advance(600)
  assert.equal(only(last.take(), PacketType.CONNACK).sessionPresent, true)
  assert.equal(old.ended, true)
  world.advance(3000)
  assert.equal(last.ended, false)
})

test('a newcomer that goes again has ended the old connection all the same [MQTT-3.1.4-3]', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const old = connectKept(world, 'p')
  old.send(messagesOf(['slow/0'], 0))
  const next = come(world, 'p', false)
  next.cut()
  assert.equal(old.ended, false)
  answerAll(world, guard)
  world.settle()
  assert.equal(old.ended, true)
  assert.equal(world.broker.counters.clientsConnected, 0)
  assert.equal(world.broker.counters.connectionsNow, 0)
  assert.equal(world.broker.takeovers.wait, false)
})

test('a hook that does not answer holds a takeover up no longer than a CONNECT may take', () => {
  const guard = new SlowGuard()
  const world = new World({ guard, limits: { connectTimeoutMs: 1000 } })
  const old = connectKept(world, 'p')
  old.send(messagesOf(['slow/0'], 1))
  const next = come(world, 'p', false)
  world.advance(800)
  assert.deepEqual(next.take(), [])
  world.advance(400)
  assert.equal(only(next.take(), PacketType.CONNACK).sessionPresent, true)
  assert.deepEqual(typesOf(old.take()), [PacketType.DISCONNECT])
  assert.equal(world.broker.openTickets, 0)
  // Its keep alive is what it asked for.
  world.advance(3000)
  assert.equal(next.ended, false)
})

test('the keep alive of a newcomer that waited begins with its CONNACK [MQTT-3.1.2-22]', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  world.connect({ clientId: 'p' }).send(messagesOf(['slow/0'], 1))
  const next = world.open()
  next.send(connectPacket({ clientId: 'p', keepAliveSeconds: 2 }))
  answerAll(world, guard)
  only(next.take(), PacketType.CONNACK)
  world.advance(2800)
  assert.equal(next.ended, false)
  world.advance(400)
  assert.equal(next.ended, true)
})

test('a stop ends those that wait for a takeover', () => {
  const guard = new SlowGuard()
  const world = new World({ guard })
  const old = world.connect({ clientId: 'p' })
  old.send(messagesOf(['slow/0'], 0))
  const next = come(world, 'p')
  world.broker.drain(ReasonCode.SERVER_SHUTTING_DOWN, null)
  world.settle()
  assert.equal(old.ended, true)
  assert.equal(next.ended, true)
  assert.equal(world.broker.takeovers.wait, false)
  assert.equal(world.broker.openTickets, 0)
})
