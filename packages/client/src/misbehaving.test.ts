// What an application gives the client to call may throw, hang or call back into the client. That
// is told, and neither the protocol nor anybody else's promise suffers.
import assert from 'node:assert/strict'
import type { ConnectOptions } from './options.ts'
import { test } from './testing/kind.ts'
import { collect, take } from './testing/subscribed.ts'
import { World } from './testing/world.ts'

function thrower(): never {
  throw new Error('thrown by the application')
}

async function rejecter(): Promise<never> {
  return thrower()
}

const Throwing: Readonly<Record<string, ConnectOptions>> = {
  onEvent: { onEvent: thrower },
  onPacket: { onPacket: thrower },
  dump: { dump: thrower },
  // An unhandled rejection would fail the test, as it would end a process.
  'an async onEvent': { onEvent: rejecter },
  'an async onPacket': { onPacket: rejecter },
  'an async dump': { dump: rejecter },
}

for (const [name, options] of Object.entries(Throwing)) {
  test(`${name} that throws disturbs nothing`, async () => {
    const world = new World()
    world.describe = () => 'a packet'
    const client = await world.connected({ ...options, clientId: 'a', sessionExpirySeconds: 100 })
    const subscription = client.subscribe('a')
    await world.settle()
    world.peer.suback(1, 1)
    const published = client.publish('b', 'x', { qos: 1 })
    await world.settle()
    world.peer.puback(2)
    await published
    world.peer.publish('a', '1', 1, 1)
    assert.equal((await take(subscription)).text(), '1')
    world.peer.lose()
    await world.advance(1000)
    assert.equal(client.state, 'connecting')
    world.peer.accept({ sessionPresent: true })
    await world.settle()
    assert.equal(client.state, 'connected')
    const closed = client.close()
    await world.settle()
    await closed
    assert.deepEqual(await client.closed, { error: null })
    assert.equal(world.timerCount, 0)
  })
}

for (const [how, fail] of [
  ['throws', thrower],
  ['rejects', rejecter],
] as const) {
  test(`a listener of messages that ${how} is told as an event and gets the next`, async () => {
    const world = new World()
    const errors: unknown[] = []
    const client = await world.connected({
      onEvent: event => {
        if (event.type === 'error') errors.push(event.error.cause)
      },
    })
    const got: string[] = []
    client.subscribe('a', {
      listener: message => {
        got.push(message.text())
        return fail()
      },
    })
    await world.settle()
    world.peer.suback(1, 1)
    world.peer.take()
    for (const [at, text] of ['1', '2'].entries()) world.peer.publish('a', text, 1, at + 1)
    await world.settle()
    assert.deepEqual(got, ['1', '2'])
    assert.deepEqual(errors.map(String), Array(2).fill('Error: thrown by the application'))
    assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'PUBACK 2'])
  })
}

test('an event whose listener rejects is told to those who read events', async () => {
  const world = new World()
  const client = await world.connected({
    onEvent: async ({ type }) => {
      if (type === 'disconnected') thrower()
    },
  })
  const events = collect(client)
  world.peer.lose()
  await world.settle()
  const told = events.filter(event => event.type === 'error')
  assert.equal(told.length, 1)
  assert.match(String(told[0]?.error.cause), /by the application/)
})

test('an event whose listener throws is told to those who read events', async () => {
  const world = new World()
  const client = await world.connected({
    onEvent: ({ type }) => {
      if (type === 'disconnected') thrower()
    },
  })
  const events = collect(client)
  world.peer.lose()
  await world.settle()
  const types = events.map(({ type }) => type)
  assert.deepEqual([...types].sort(), ['disconnected', 'error', 'reconnecting'])
  const told = events.find(event => event.type === 'error')
  assert.match(String((told as { error: Error } | undefined)?.error.cause), /by the application/)
})

for (const [name, delayMs, code] of [
  ['throws', thrower, 'invalid-argument'],
  ['gives NaN', () => Number.NaN, 'connection-lost'],
] as const) {
  test(`a reconnect.delayMs that ${name} ends the client, and says why`, async () => {
    const world = new World()
    const client = await world.connected({ reconnect: { delayMs } })
    const published = client.publish('a', 'x', { qos: 1 })
    published.catch(() => undefined)
    await world.settle()
    world.peer.lose()
    await world.advance(100_000)
    assert.equal(client.state, 'closed')
    const { error } = await client.closed
    assert.equal(error?.code, code)
    await assert.rejects(published, { code })
  })
}

test('a stable connection makes the attempts begin anew, also those that are counted', async () => {
  const world = new World()
  const attempts: number[] = []
  const delayMs = ({ attempt }: { attempt: number }): number => {
    attempts.push(attempt)
    return 10
  }
  const client = await world.connected({
    keepAliveSeconds: 0,
    reconnect: { attemptsMax: 2, delayMs },
  })
  for (let days = 0; days < 3; days++) {
    await world.advance(86_400_000)
    await world.reconnected()
    assert.equal(client.state, 'connected')
  }
  assert.deepEqual(attempts, [0, 0, 0])
})

test('a message that an async listener has got lasts, with all that belongs to it', async () => {
  const world = new World()
  const client = await world.connected()
  const got: string[] = []
  const goOn: (() => void)[] = []
  client.subscribe('a', {
    listener: async message => {
      assert.equal(message.payload.length, 1)
      await new Promise<void>(resolve => goOn.push(resolve))
      got.push(message.text(), String(message.properties.correlationData?.[0]))
    },
  })
  await world.settle()
  const properties = { correlationData: new Uint8Array([7]) }
  // The world writes over what it has given.
  world.peer.publish('a', '1', 0, 0, { properties })
  for (const resolve of goOn) resolve()
  await world.settle()
  assert.deepEqual(got, ['1', '7'])
})

for (const type of ['connected', 'disconnected', 'reconnecting', 'session-lost'] as const) {
  test(`close() within the event ${type} closes, once`, async () => {
    const world = new World()
    const events: string[] = []
    let closes: Promise<void> | null = null
    let close: () => Promise<void> = async () => undefined
    let armed = false
    const client = await world.connected({
      clientId: 'a',
      sessionExpirySeconds: 100,
      onEvent: event => {
        events.push(event.type)
        if (armed && event.type === type && closes === null) closes = close()
      },
    })
    close = () => client.close()
    client.subscribe('a')
    const published = client.publish('a', 'x', { qos: 1 })
    published.catch(() => undefined)
    await world.settle()
    armed = true
    world.peer.lose()
    await world.advance(1000)
    if (world.peers.length > 1) world.peer.accept()
    await world.advance(10_000)
    assert.notEqual(closes, null, 'the event never came')
    await closes
    assert.equal(client.state, 'closed')
    assert.equal(events.filter(name => name === 'closed').length, 1)
    await assert.rejects(published, { code: 'closed' })
    assert.equal(world.timerCount, 0)
    assert.ok(world.peers.every(peer => peer.isClosed))
  })
}

test('close() within a listener of messages delivers nothing further', async () => {
  const world = new World()
  const client = await world.connected()
  const got: string[] = []
  client.subscribe('a', {
    qos: 0,
    listener: message => {
      got.push(message.text())
      void client.close()
    },
  })
  await world.settle()
  world.peer.suback(1, 0)
  world.peer.publish('a', '1')
  world.peer.publish('a', '2')
  await world.settle()
  assert.deepEqual(got, ['1'])
  assert.equal(client.state, 'closed')
})

test('unsubscribing within a listener, and subscribing anew, is in order', async () => {
  const world = new World()
  const client = await world.connected()
  const got: string[] = []
  const first = client.subscribe('a', {
    listener: message => {
      got.push(`first ${message.text()}`)
      void first.unsubscribe()
      client.subscribe('a', { listener: again => got.push(`second ${again.text()}`) })
    },
  })
  await world.settle()
  world.peer.suback(1, 1)
  world.peer.publish('a', '1', 1, 1)
  world.peer.publish('a', '2', 1, 2)
  await world.settle()
  assert.deepEqual(got, ['first 1', 'second 2'])
  assert.equal(client.state, 'connected')
})

test('credentials that hang do not outlive a close', async () => {
  const world = new World()
  let ask = 0
  const client = await world.connected({
    credentials: () => (++ask === 1 ? {} : new Promise(() => undefined)),
  })
  world.peer.lose()
  await world.advance(1000)
  assert.equal(ask, 2)
  await client.close()
  assert.equal(client.state, 'closed')
  assert.equal(world.timerCount, 0)
})

test('credentials that are asked for and come too late open nothing', async () => {
  const world = new World()
  let give: (value: object) => void = () => undefined
  let ask = 0
  const client = await world.connected({
    connectTimeoutMs: 5000,
    credentials: () => {
      if (++ask !== 2) return {}
      return new Promise(resolve => {
        give = resolve
      })
    },
  })
  world.peer.lose()
  await world.advance(1000)
  assert.equal(ask, 2)
  await world.advance(5000)
  assert.equal(client.state, 'waiting')
  give({})
  await world.settle()
  assert.equal(world.peers.length, 1)
})
