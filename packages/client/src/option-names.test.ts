// Options that do not exist are named, wherever they are given; in Node with a guess, and with what
// their values may be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from './client.ts'
import { connect, fileStore } from './index.ts'
import type { ConnectOptions } from './options.ts'
import { World } from './testing/world.ts'

/** What a JavaScript program can give, and the compiler would not let through. */
function wrong<Options>(options: Record<string, unknown>): Options {
  return options as Options
}

const ConnectCases: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ clientID: 'a' }, 'connect: there is no option clientID, did you mean clientId?'],
  [{ clinetId: 'a' }, 'connect: there is no option clinetId, did you mean clientId?'],
  [{ keepalive: 5 }, 'connect: there is no option keepalive, did you mean keepAliveSeconds?'],
  [{ clean: true }, 'connect: there is no option clean, did you mean cleanStart?'],
  [{ user_name: 'a' }, 'connect: there is no option user_name, did you mean username?'],
  [
    { reconnect: { maxDelay: 5 } },
    'reconnect: there is no option maxDelay, did you mean maxDelayMs?',
  ],
  [{ offline: { qos: 1 } }, 'offline: there is no option qos, did you mean qos0?'],
  [{ will: { topic: 'a', reatin: true } }, 'will: there is no option reatin, did you mean retain?'],
  [{ will: { topic: 'a', when: 1 } }, 'will: there is no option when; there are '],
  [{ constructor: 1 }, 'connect: there is no option constructor; there are '],
  [JSON.parse('{"__proto__":1}'), 'connect: there is no option __proto__; there are '],
  [{ oneMore: undefined }, 'connect: there is no option oneMore; there are '],
  [{ cleanStart: 'false' }, 'connect: cleanStart: expected true or false, got "false"'],
  [{ will: null }, 'connect: will: expected an object, got null'],
  [{ onEvent: {} }, 'connect: onEvent: expected a function, got an object'],
  [{ credentials: 5 }, 'connect: credentials: expected a function, got 5'],
  [{ signal: {} }, 'connect: signal: expected an AbortSignal, got an object'],
  [
    { store: './session' },
    'connect: store: expected a store like fileStore(path), got "./session"',
  ],
  [{ reconnect: 'no' }, 'connect: reconnect: expected true, false or an object, got "no"'],
  [{ localAddress: 1 }, 'connect: localAddress: expected a string, got 1'],
  [
    { reconnect: { maxDelayMs: Number.NaN } },
    'reconnect: maxDelayMs: expected a number from 0, got NaN',
  ],
  [
    { reconnect: { initialDelayMs: -1 } },
    'reconnect: initialDelayMs: expected a number from 0, got -1',
  ],
  [{ offline: { qos0: 'keep' } }, "offline: qos0: expected 'drop' or 'queue', got \"keep\""],
  [
    { offline: { whenFull: 'block' } },
    "offline: whenFull: expected 'wait', 'reject' or 'drop-oldest', got \"block\"",
  ],
]

for (const [options, text] of ConnectCases) {
  test(`connect refuses ${JSON.stringify(options)}`, async () => {
    const world = new World()
    await assert.rejects(world.begin(wrong<ConnectOptions>(options)), error => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'invalid-argument')
      assert.equal(error.message.slice(0, text.length), text)
      return true
    })
    assert.equal(world.peers.length, 0, 'nothing was dialled')
  })
}

test('a callback where options belong is refused, as nobody would call it', async () => {
  const world = new World()
  const client = await world.connected()
  const callback = (() => undefined) as unknown as undefined
  const text = 'expected options, got function'
  const code = 'invalid-argument'
  await assert.rejects(client.publish('a', 'x', callback), { code, message: `publish: ${text}` })
  assert.throws(() => client.subscribe('a', callback), { code, message: `subscribe: ${text}` })
  await assert.rejects(world.begin(callback), { code, message: `connect: ${text}` })
  const none = null as unknown as undefined
  assert.throws(() => client.subscribe('a', none), {
    code,
    message: /: expected options, got null/,
  })
  assert.equal(world.peer.take().length, 0)
})

test('a payload that is none says what it is', async () => {
  const client = await new World().connected()
  await assert.rejects(client.publish('a', wrong<string>({ power: 5 })), {
    code: 'invalid-argument',
    message: 'payload: expected a string, Uint8Array or ArrayBuffer, got object',
  })
})

test('connect refuses an option of TLS that does not exist', async () => {
  const options = wrong<ConnectOptions>({ tls: { rejectUnauthorized: false } })
  await assert.rejects(connect('mqtts://127.0.0.1:9', options), {
    message: /^tls: there is no option rejectUnauthorized; there are ca, cert, key, /,
  })
})

test('fileStore refuses an option that does not exist', () => {
  assert.throws(() => fileStore('session', wrong({ salvaged: true })), {
    message: 'fileStore: there is no option salvaged, did you mean salvage?',
  })
})

const Calls: readonly (readonly [string, (client: Client) => unknown])[] = [
  [
    'publish: there is no option reatin, did you mean retain?',
    client => client.publish('a', '', wrong({ reatin: true })),
  ],
  [
    'tryPublish: there is no option Qos, did you mean qos?',
    client => client.tryPublish('a', '', wrong({ Qos: 1 })),
  ],
  [
    'publish: there is no option timeout, did you mean timeoutMs?',
    client => client.publish('a', '', wrong({ timeout: 1 })),
  ],
  [
    'subscribe: there is no option nolocal, did you mean noLocal?',
    client => client.subscribe('a', wrong({ nolocal: true })),
  ],
  [
    'buffer: there is no option messages, did you mean messagesMax?',
    client => client.subscribe('a', wrong({ buffer: { messages: 1 } })),
  ],
  [
    "subscribe: ack: expected 'processed', 'received' or 'manual', got \"recieved\"",
    client => client.subscribe('a', wrong({ ack: 'recieved' })),
  ],
  [
    "subscribe: retainHandling: expected 'always', 'new' or 'never', got 1",
    client => client.subscribe('a', wrong({ retainHandling: 1 })),
  ],
  [
    "buffer: whenFull: expected 'drop-oldest', 'drop-newest', 'latest-per-topic', 'pause' or ",
    client => client.subscribe('a', wrong({ buffer: { whenFull: 'drop' } })),
  ],
  [
    'buffer: messagesMax: expected a number from 0, got NaN',
    client => client.subscribe('a', { buffer: { messagesMax: Number.NaN } }),
  ],
  [
    'concurrency: expected 1 or more, got 0',
    client => client.subscribe('a').forEach(String, { concurrency: 0 }),
  ],
  [
    'request: there is no option timeout, did you mean timeoutMs?',
    client => client.request('a', '', wrong({ timeout: 1 })),
  ],
  [
    'requestMany: there is no option max; there are ',
    client => client.requestMany('a', '', wrong({ max: 1 })).next(),
  ],
]

for (const [text, call] of Calls) {
  test(`a client says: ${text}`, async () => {
    const client = await new World().connected()
    await assert.rejects(
      async () => await call(client),
      error => {
        assert.ok(error instanceof Error && 'code' in error)
        assert.equal(error.code, 'invalid-argument')
        assert.equal(error.message.slice(0, text.length), text)
        return true
      },
    )
    assert.equal(client.state, 'connected')
  })
}

test('options that exist are taken, with undefined for a value too', async () => {
  const world = new World()
  const client = await world.connected(wrong({ clientId: undefined, will: undefined }))
  await client.publish('a', '', wrong({ qos: undefined, retain: true }))
  assert.equal(client.state, 'connected')
})
