// The small build of the client for web pages against the compiled one: whatever an application can
// see, it sees the same. In the small one most names are shortened, so a name that should have been
// kept would show here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import type * as Web from '@godwit/client/browser'

// A page's end of turn without a message port, which would keep this process alive.
class Channel {
  readonly port1: { onmessage: (() => void) | null } = { onmessage: null }
  readonly port2 = { postMessage: () => setImmediate(() => this.port1.onmessage?.()) }
}
Object.assign(globalThis, { MessageChannel: Channel })

const small: typeof Web = await import('@godwit/client/browser')
const compiled: typeof Web = await import(
  new URL('../../../packages/client/dist/browser.js', import.meta.url).href
)

const SCRAM = { users: { ann: 'right' }, iterations: 4096 }
const LIMITS = { clientId: 'one', operationTimeoutMs: 600_000, connectTimeoutMs: 600_000 }

/** Notes what happens, without what chance is in. */
class Notes {
  readonly lines: unknown[] = []

  add(what: string, value: unknown): void {
    this.lines.push([what, plain(value)])
  }

  async fails(what: string, call: () => unknown): Promise<void> {
    try {
      await call()
      this.add(what, 'no error')
    } catch (error) {
      this.add(what, error)
    }
  }
}

/** A value without classes, and errors with all their fields. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const own = value instanceof Error ? { name: value.name, message: value.message } : {}
  const fields = Object.entries(value).map(([name, field]) => [name, plain(field)])
  return { ...own, ...Object.fromEntries(fields) }
}

function memoryStore(): Web.SessionStore & { readonly records: Map<number, Uint8Array> } {
  const records = new Map<number, Uint8Array>()
  return {
    records,
    open: async () => [...records].map(([key, value]) => ({ key, value })),
    put: (key, value) => void records.set(key, value),
    delete: key => void records.delete(key),
    commit: done => done(null),
    close: async () => undefined,
  }
}

type Scenario = (web: typeof Web, broker: BrokerServer, notes: Notes) => Promise<void>

const Scenarios: Readonly<Record<string, Scenario>> = {
  async 'messages of every QoS, with all their properties'(web, broker, notes) {
    const onPacket = (direction: string, packet: unknown): void => notes.add(direction, packet)
    const client = await web.connect(broker.connect(), {
      ...LIMITS,
      onPacket,
      will: { topic: 'will', payload: 'gone', qos: 1, delaySeconds: 1, contentType: 'text' },
      userProperties: [['who', 'me']],
      sessionExpirySeconds: 10,
    })
    notes.add('negotiated', client.negotiated)
    const subscription = client.subscribe(['a/+name', 'b/#rest'], { qos: 2, identifier: 7 })
    notes.add('granted', await subscription.ready)
    const properties = {
      messageExpirySeconds: 9,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: new Uint8Array([1, 2]),
      userProperties: [['k', 'v']],
      utf8: true,
    } as const
    for (const qos of [0, 1, 2] as const) {
      notes.add('result', await client.publish(`a/${qos}`, 'text', { ...properties, qos }))
    }
    notes.add('result', await client.publish('b/c/d', '{"n":1}', { qos: 1, retain: true }))
    for await (const message of subscription) {
      const { topic, qos, retain, dup, payload, payloadLength, params } = message
      const seen = { topic, qos, retain, dup, payload, payloadLength, params }
      notes.add('message', { ...seen, properties: message.properties, text: message.text() })
      if (topic !== 'b/c/d') continue
      notes.add('json', message.json())
      notes.add('kept', message.keep().text())
      break
    }
    notes.add('stats', client.stats)
    notes.add('state', client.state)
    await client.close({ reasonCode: 4, reasonString: 'enough' })
    notes.add('closed', await client.closed)
  },

  async 'a lost connection, and what was stored'(web, broker, notes) {
    const store = memoryStore()
    const events: Web.ClientEvent[] = []
    const client = await web.connect(() => broker.connect(), {
      ...LIMITS,
      store,
      sessionExpirySeconds: 10,
      reconnect: { initialDelayMs: 1 },
      onEvent: event => events.push(event),
    })
    const subscription = client.subscribe('kept', { qos: 1, ack: 'manual' })
    await subscription.ready
    await client.publish('kept', 'first', { qos: 2 })
    const first = (await subscription.next()).value
    const back = new Promise(resolve => broker.once('clientConnected', resolve))
    broker.disconnectClient('one', 0x8b)
    await back
    await client.publish('kept', 'second', { qos: 1 })
    const second = (await subscription.next()).value
    notes.add('both', [first?.text(), first?.dup, second?.text(), second?.dup])
    notes.add('held', client.stats.unacknowledged)
    notes.add('records', [...store.records])
    first?.ack()
    second?.ack()
    await client.drain({ timeoutMs: 600_000 })
    notes.add('records', [...store.records])
    // How long it waits is chance.
    notes.add(
      'events',
      events.map(event => ({ ...event, delayMs: 0 })),
    )
  },

  async 'requests and answers'(web, broker, notes) {
    const client = await web.connect(broker.connect(), LIMITS)
    const responder = client.respond('ask', request => `${request.text()}!`)
    await responder.ready
    notes.add('answer', (await client.request('ask', 'one')).text())
    for await (const answer of client.requestMany('ask', 'two', { answersMax: 1 })) {
      notes.add('answers', answer.text())
    }
    await notes.fails('nobody', () => client.request('nobody', ''))
    await responder.close()
    await client.close()
    await notes.fails('closed', () => client.request('ask', ''))
  },

  async 'payloads that a schema takes or refuses'(web, broker, notes) {
    const schema: Web.PayloadSchema<number> = {
      '~standard': {
        validate: value =>
          typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] },
      },
    }
    const client = await web.connect(broker.connect(), LIMITS)
    const subscription = client.subscribe('value/+name')
    await subscription.ready
    await client.publish('value/a', '"text"')
    await client.publish('value/b', '2')
    const invalid = (error: unknown): void => notes.add('invalid', error)
    for await (const message of web.decoded(subscription, web.json(schema), { invalid })) {
      notes.add('value', [message.topic, message.params, message.value])
      break
    }
    await client.close()
  },

  async 'a transport of your own'(web, broker, notes) {
    const dial: Web.Dial = handler => {
      const stream = broker.connect()
      stream.on('data', (bytes: Uint8Array) => handler.received(new Uint8Array(bytes)))
      stream.on('close', () => handler.closed(null))
      queueMicrotask(() => handler.opened())
      return {
        bufferedBytes: 0,
        canPause: false,
        write: bytes => stream.write(bytes.slice()),
        pause: () => undefined,
        resume: () => undefined,
        end: () => void stream.end(),
        destroy: () => void stream.destroy(),
      }
    }
    const client = await web.connect({ dial }, { ...LIMITS, protocolVersion: 4 })
    notes.add('negotiated', client.negotiated)
    const listened: string[] = []
    const listener = (message: Web.Message): void => void listened.push(message.text())
    const subscription = client.subscribe('own/#', { listener })
    notes.add('granted', await subscription.ready)
    await Promise.all(['a', 'b'].map(text => client.publish('own/topic', text, { qos: 2 })))
    notes.add('tried', client.tryPublish('own/topic', 'c', { qos: 1 }))
    await client.drain({ timeoutMs: 600_000 })
    notes.add('listened', listened)
  },

  async 'mistakes of the caller'(web, broker, notes) {
    const wrong: readonly (readonly [unknown, unknown])[] = [
      ['no url', {}],
      ['mqtt://localhost', {}],
      [{}, {}],
      [broker.connect(), { keepAliveSeconds: -1 }],
      [broker.connect(), { protocolVersion: 7 }],
      [broker.connect(), { cleanStart: false }],
      [broker.connect(), { will: { topic: '#' } }],
      [broker.connect(), { dump: () => undefined, onPacket: () => undefined }],
    ]
    for (const [target, options] of wrong) {
      await notes.fails('connect', () => web.connect(target as string, options as object))
    }
    const client = await web.connect(broker.connect(), LIMITS)
    await notes.fails('publish', () => client.publish('a/#', ''))
    await notes.fails('publish', () => client.publish('a', '', { contentType: '\0' }))
    await notes.fails('publish', () => client.publish('a', 7 as unknown as string))
    await notes.fails('publish', () => client.publish('a', '', { signal: AbortSignal.abort('no') }))
    await notes.fails('subscribe', () => client.subscribe('a#'))
    await notes.fails('subscribe', () => client.subscribe('a', { share: '+' }))
    await notes.fails('unsubscribe', () => client.unsubscribe('#/a'))
    await notes.fails('reauthenticate', () => client.reauthenticate())
    await client.close()
    await notes.fails('closed', () => client.publish('a', ''))
  },

  async 'enhanced authentication'(web, broker, notes) {
    for (const password of ['right', 'wrong']) {
      const authenticator = web.scramSha256({ username: 'ann', password })
      const options = { ...LIMITS, authenticator, reconnect: false }
      await notes.fails(password, async () => {
        const client = await web.connect(broker.connect(), options)
        await client.reauthenticate()
        notes.add('state', client.state)
        await client.close()
      })
    }
  },

  async 'refusals of the server'(web, broker, notes) {
    const authenticator = {
      method: 'NONE',
      start: () => new Uint8Array([1]),
      next: () => undefined,
    }
    await notes.fails('method', () => {
      return web.connect(broker.connect(), { ...LIMITS, authenticator, reconnect: false })
    })
    const client = await web.connect(broker.connect(), LIMITS)
    const other = await web.connect(broker.connect(), { ...LIMITS, reconnect: false })
    await other.close()
    notes.add('taken over', await client.closed)
  },
}

for (const [name, scenario] of Object.entries(Scenarios)) {
  test(`the small build shows what the compiled one does: ${name}`, async () => {
    const [expected, got] = [new Notes(), new Notes()]
    for (const [web, notes] of [[compiled, expected] as const, [small, got] as const]) {
      const scram = name === 'enhanced authentication' ? { scram: SCRAM } : {}
      const broker = createBroker({ statsIntervalSeconds: 0, ...scram })
      await broker.ready
      await scenario(web, broker, notes)
      await broker.close({ drainSeconds: 0 })
    }
    assert.deepEqual(got.lines, expected.lines)
    assert.ok(expected.lines.length > 0)
  })
}

test('the small build is another one, with the same names', () => {
  assert.notEqual(small.connect, compiled.connect)
  assert.deepEqual(Object.keys(small).sort(), Object.keys(compiled).sort())
  const fields = Object.keys(new compiled.MqttError('closed', ''))
  assert.deepEqual(Object.keys(new small.MqttError('closed', '')).sort(), fields.sort())
})
