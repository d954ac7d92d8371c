// One connection's life with a clock that the test turns.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fullJitter, isWorthRetrying, Link, LinkAction, LinkState } from './link.ts'

const Options = {
  connectTimeoutMs: 30_000,
  closeTimeoutMs: 5000,
  reconnect: { initialDelayMs: 1000, maxDelayMs: 60_000, stableAfterMs: 10_000 },
}

function connected(keepAliveSeconds: number, nowMs = 0): Link {
  const link = new Link(Options)
  link.opening(nowMs)
  link.connecting()
  link.connected(nowMs, keepAliveSeconds)
  return link
}

test('an attempt that takes too long is given up', () => {
  const link = new Link(Options)
  link.opening(100)
  link.connecting()
  assert.equal(link.tick(100 + 29_999), LinkAction.NONE)
  assert.equal(link.tick(100 + 30_000), LinkAction.CONNECT_TIMEOUT)
})

test('PINGREQ is due before the keep alive is over [MQTT-3.1.2-20] [MQTT-3.1.2-23 v3]', () => {
  const link = connected(60)
  assert.equal(link.tick(57_000), LinkAction.NONE)
  assert.ok(link.dueMs < 60_000)
  assert.equal(link.tick(link.dueMs), LinkAction.SEND_PING)
})

test('the smallest keep alive leaves room for PINGREQ too', () => {
  const link = connected(1)
  assert.equal(link.tick(900), LinkAction.SEND_PING)
})

test('a client that sends needs no PINGREQ as long as the server is heard', () => {
  const link = connected(60)
  for (let nowMs = 10_000; nowMs < 300_000; nowMs += 10_000) {
    link.sent(nowMs)
    link.received(nowMs)
    assert.equal(link.tick(nowMs), LinkAction.NONE)
  }
})

test('a client that only sends still asks whether the server lives', () => {
  const link = connected(60)
  link.sent(50_000)
  assert.equal(link.tick(58_000), LinkAction.SEND_PING)
})

test('a client that only receives still sends PINGREQ [MQTT-3.1.2-20]', () => {
  const link = connected(60)
  link.received(50_000)
  assert.equal(link.tick(58_000), LinkAction.SEND_PING)
})

test('without keep alive there is no PINGREQ and no time limit', () => {
  const link = connected(0)
  assert.equal(link.dueMs, Number.POSITIVE_INFINITY)
  assert.equal(link.tick(1e9), LinkAction.NONE)
})

test('a PINGREQ without an answer ends the connection', () => {
  const link = connected(60)
  assert.equal(link.tick(58_000), LinkAction.SEND_PING)
  link.pinged(58_000)
  assert.equal(link.dueMs, 88_000)
  assert.equal(link.tick(87_999), LinkAction.NONE)
  assert.equal(link.tick(88_000), LinkAction.KEEP_ALIVE_TIMEOUT)
})

test('any byte is an answer to PINGREQ', () => {
  const link = connected(60)
  link.pinged(58_000)
  link.received(60_000)
  assert.equal(link.tick(88_000), LinkAction.NONE)
})

test('a process that slept looks once more before it gives the server up', () => {
  const link = connected(60)
  link.pinged(58_000)
  // The answer lies in the socket: the timer runs before it is read.
  assert.equal(link.tick(500_000), LinkAction.NONE)
  link.received(500_001)
  assert.equal(link.tick(link.dueMs), LinkAction.SEND_PING)
})

test('a process that slept gives a silent server up all the same', () => {
  const link = connected(60)
  link.pinged(58_000)
  assert.equal(link.tick(500_000), LinkAction.NONE)
  assert.equal(link.tick(link.dueMs), LinkAction.KEEP_ALIVE_TIMEOUT)
})

test('while we do not read, silence says nothing, but PINGREQ goes on', () => {
  const link = connected(60)
  link.pinged(58_000)
  link.setPaused(true, 59_000)
  assert.equal(link.tick(1_000_000), LinkAction.SEND_PING)
  link.pinged(1_000_000)
  assert.notEqual(link.tick(1_040_000), LinkAction.KEEP_ALIVE_TIMEOUT)
  link.setPaused(false, 1_041_000)
  assert.equal(link.tick(1_042_000), LinkAction.NONE)
})

test('closing has its own time limit', () => {
  const link = connected(60)
  link.closing(1000)
  assert.equal(link.tick(5999), LinkAction.NONE)
  assert.equal(link.tick(6000), LinkAction.CLOSE_TIMEOUT)
})

test('delays double up to their bound and are random below it', () => {
  const bounds = [1, 2, 3, 4, 5, 6, 7, 8, 100].map(attempt =>
    fullJitter(Options.reconnect, attempt, 1),
  )
  assert.deepEqual(bounds, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  assert.equal(fullJitter(Options.reconnect, 5, 0), 0)
  assert.equal(fullJitter(Options.reconnect, 5, 0.25), 4000)
})

test('attempts that fail wait longer and longer', () => {
  const link = new Link(Options)
  const delays: number[] = []
  for (let nowMs = 0, i = 0; i < 4; i++) {
    link.opening(nowMs)
    delays.push(link.waiting(nowMs, 1))
    nowMs = link.dueMs
    assert.equal(link.tick(nowMs), LinkAction.RECONNECT)
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 8000])
})

test('a connection that lasted starts the delays anew', () => {
  const link = new Link(Options)
  for (let i = 0; i < 5; i++) link.opening(0)
  link.connected(0, 60)
  link.lost(10_000)
  assert.equal(link.waiting(10_000, 1), 1000)
})

test('a connection that did not last goes on with the delays', () => {
  const link = new Link(Options)
  for (let i = 0; i < 5; i++) link.opening(0)
  link.connected(0, 60)
  assert.equal(link.waiting(9999, 1), 16_000)
})

test('a closed link wants nothing any more', () => {
  const link = connected(60)
  link.closed()
  assert.equal(link.state, LinkState.CLOSED)
  assert.equal(link.tick(1e12), LinkAction.NONE)
})

const Final = [
  0x81, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x8e, 0x90, 0x95, 0x98, 0x99, 0x9a, 0x9b,
] as const
const Passing = [
  0x80, 0x83, 0x88, 0x89, 0x8b, 0x8d, 0x93, 0x96, 0x97, 0x9f, 0xa0, 0x00, 0x94, 0x8f,
] as const
const Nothing = { credentials: false, url: false }

for (const code of Final) {
  test(`after reason code 0x${code.toString(16)} there is no further attempt`, () => {
    assert.equal(isWorthRetrying(code, { credentials: true, url: true }), false)
  })
}

for (const code of Passing) {
  test(`reason code 0x${code.toString(16)} may pass: there is another attempt`, () => {
    assert.equal(isWorthRetrying(code, Nothing), true)
  })
}

for (const code of [0x86, 0x87]) {
  test(`reason code 0x${code.toString(16)} is tried again with new credentials only`, () => {
    assert.equal(isWorthRetrying(code, Nothing), false)
    assert.equal(isWorthRetrying(code, { credentials: true, url: false }), true)
  })
}

for (const code of [0x9c, 0x9d]) {
  test(`reason code 0x${code.toString(16)} is tried again with a new URL only`, () => {
    assert.equal(isWorthRetrying(code, Nothing), false)
    assert.equal(isWorthRetrying(code, { credentials: false, url: true }), true)
  })
}
