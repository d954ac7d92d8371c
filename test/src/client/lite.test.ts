// The lite client as pages load it, over WebSocket: `ws` stands for the platform's own.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { type ClientEvent, type ConnectOptions, connect } from '@godwit/client/lite'
import { WebSocket } from 'ws'

/** As a platform's: nobody has to listen to its errors. */
class PageSocket extends WebSocket {
  constructor(url: string, protocol: string) {
    super(url, protocol)
    this.on('error', () => undefined)
  }
}

Object.assign(globalThis, { WebSocket: PageSocket })

interface World {
  readonly broker: BrokerServer
  readonly url: string
}

async function open(context: TestContext): Promise<World> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  await broker.ready
  const { url } = await broker.listen({ port: 0, ws: true })
  return { broker, url }
}

for (const protocolVersion of [5, 4] as const) {
  test(`lite: messages of every QoS over WebSocket, level ${protocolVersion}`, async context => {
    const { url } = await open(context)
    const client = await connect(url, { protocolVersion })
    const subscription = client.subscribe('a/+', { qos: 2 })
    await subscription.ready
    const large = new Uint8Array(300_000).fill(7)
    const sent = Promise.all([
      client.publish('a/0', 'zero', { contentType: 'text', userProperties: [['k', 'v']] }),
      client.publish('a/1', '{"n":1}', { qos: 1 }),
      client.publish('a/2', large, { qos: 2 }),
    ])
    const got: unknown[] = []
    for await (const { topic, qos, payload, properties } of subscription) {
      got.push([topic, qos, payload.length, properties])
      if (got.length === 3) break
    }
    await sent
    const properties =
      protocolVersion === 5 ? { contentType: 'text', userProperties: [['k', 'v']] } : {}
    assert.deepEqual(got, [
      ['a/0', 0, 4, properties],
      ['a/1', 1, 7, {}],
      ['a/2', 2, 300_000, {}],
    ])
    await client.close()
    assert.deepEqual([client.state, await client.closed], ['closed', { error: null }])
  })
}

test('lite: a lost connection comes back with its subscriptions', async context => {
  const { broker, url } = await open(context)
  const events: ClientEvent[] = []
  const options: ConnectOptions = {
    clientId: 'one',
    reconnect: { initialDelayMs: 1 },
    credentials: async ({ attempt }) => ({ username: 'ann', password: `${attempt}` }),
    onEvent: event => events.push(event),
  }
  await using client = await connect(async () => url, options)
  const texts: string[] = []
  const subscription = client.subscribe('kept', { listener: message => texts.push(message.text()) })
  await subscription.ready
  const back = new Promise(resolve => broker.once('clientConnected', resolve))
  broker.disconnectClient('one', 0x8b)
  await back
  await client.publish('kept', 'still here', { qos: 2 })
  assert.deepEqual(texts, ['still here'])
  const types = events.map(({ type }) => type)
  assert.deepEqual(types, ['connected', 'disconnected', 'reconnecting', 'connected'])
})

test('lite: the server publishes the will, and says why it refuses', async context => {
  const { broker, url } = await open(context)
  await using watcher = await connect(url)
  const wills = watcher.subscribe('will')
  await wills.ready
  const client = await connect(url, { will: { topic: 'will', payload: 'gone', qos: 1 } })
  await client.close({ reasonCode: 4 })
  const { value } = await wills.next()
  assert.equal(value?.text(), 'gone')
  const { url: guarded } = await broker.listen({ port: 0, ws: { path: '/other' } })
  const wrong = connect(guarded.replace('/other', '/none'), { reconnect: false })
  await assert.rejects(wrong, { code: 'connect-failed' })
})

test('lite: a URL that no page can dial is refused', async () => {
  for (const url of ['mqtt://127.0.0.1', 'no url']) {
    await assert.rejects(connect(url), { code: 'invalid-argument' })
  }
  const signal = AbortSignal.abort('no')
  await assert.rejects(connect('ws://127.0.0.1', { signal }), { code: 'aborted' })
})

test('lite: mistakes of the caller fail with their code, though not with a text', async context => {
  const { url } = await open(context)
  await using client = await connect(url)
  await assert.rejects(client.publish('a/#', ''), { code: 'invalid-argument' })
  await assert.rejects(client.publish('a', '', { contentType: '\0' }), {
    code: 'invalid-argument',
    message: 'invalid-packet',
  })
  assert.throws(() => client.subscribe('a#'), { code: 'invalid-argument' })
  await client.publish('a', 'fine', { qos: 1 })
})
