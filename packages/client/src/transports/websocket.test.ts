// The WebSocket of the client in Node against servers that are scripts over real sockets: what they
// may answer, and what they may do afterwards.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { DialOptions, Transport } from '../transport.ts'
import { openWebSocket } from './websocket.ts'

const SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const Options: DialOptions = { tls: {}, headers: {}, localAddress: '', packetBytesMax: 1000 }

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>(yes => {
    resolve = yes
  })
  return { promise, resolve }
}

interface Observed {
  readonly transport: Transport
  readonly received: number[]
  readonly opened: Promise<void>
  readonly closed: Promise<Error | null>
}

function open(url: string, options: DialOptions = Options): Observed {
  const received: number[] = []
  const opened = deferred<void>()
  const closed = deferred<Error | null>()
  const transport = openWebSocket(new URL(url), options, {
    opened: opened.resolve,
    received: bytes => received.push(...bytes),
    drained: () => undefined,
    closed: closed.resolve,
  })
  return { transport, received, opened: opened.promise, closed: closed.promise }
}

/** A server that answers the upgrade as `answer` says. */
async function serve(
  context: TestContext,
  answer: (request: IncomingMessage, socket: Duplex) => void,
): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(404)
    response.end('nothing here')
  })
  const sockets = new Set<Duplex>()
  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    answer(request, socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `ws://127.0.0.1:${address.port}/mqtt?x=1`
}

function accept(
  { headers }: IncomingMessage,
  socket: Duplex,
  changes: Readonly<Record<string, string | null>> = {},
): void {
  const key = headers['sec-websocket-key'] ?? ''
  const lines: Record<string, string | null> = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': createHash('sha1')
      .update(key + SUFFIX)
      .digest('base64'),
    'sec-websocket-protocol': 'mqtt',
    ...changes,
  }
  const text = Object.entries(lines).map(([name, value]) =>
    value === null ? '' : `${name}: ${value}\r\n`,
  )
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${text.join('')}\r\n`)
}

/** Unmasks the frames of the client that lie in one chunk. */
function frames(bytes: Uint8Array): [number, number[]][] {
  const found: [number, number[]][] = []
  for (let at = 0; at < bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) & 0x7f
    assert.ok(length < 126)
    const mask = bytes.subarray(at + 2, at + 6)
    const payload = bytes.subarray(at + 6, at + 6 + length)
    found.push([(bytes[at] ?? 0) & 15, [...payload].map((byte, i) => byte ^ (mask[i & 3] ?? 0))])
    at += 6 + length
  }
  return found
}

test('the request asks for mqtt, with the headers of the caller [MQTT-6.0.0-3]', async context => {
  const seen = deferred<IncomingMessage>()
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    seen.resolve(request)
  })
  const { opened, transport } = open(url, { ...Options, headers: { authorization: 'Bearer t' } })
  await opened
  const { url: path, headers } = await seen.promise
  assert.equal(path, '/mqtt?x=1')
  // [MQTT-6.0.0-3 v3]
  assert.equal(headers['sec-websocket-protocol'], 'mqtt')
  assert.equal(headers['sec-websocket-version'], '13')
  assert.equal(headers.authorization, 'Bearer t')
  transport.destroy()
})

test('bytes that come with the answer are not lost', async context => {
  const url = await serve(context, (request, socket) => {
    socket.cork()
    accept(request, socket)
    socket.write(Uint8Array.of(0x82, 2, 7, 8))
    socket.uncork()
  })
  const { opened, received, transport, closed } = open(url)
  await opened
  transport.destroy()
  await closed
  assert.deepEqual(received, [7, 8])
})

test('bytes go out in masked binary frames [MQTT-6.0.0-1] [MQTT-6.0.0-1 v3]', async context => {
  const chunks = deferred<Uint8Array>()
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    socket.once('data', chunks.resolve)
  })
  const { opened, transport } = open(url)
  await opened
  assert.equal(transport.write(Uint8Array.of(1, 2, 3)), true)
  assert.deepEqual(frames(await chunks.promise), [[2, [1, 2, 3]]])
  transport.destroy()
})

test('a ping is answered with its bytes', async context => {
  const chunks = deferred<Uint8Array>()
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    socket.once('data', chunks.resolve)
    socket.write(Uint8Array.of(0x89, 2, 5, 6))
  })
  const { opened, transport } = open(url)
  await opened
  assert.deepEqual(frames(await chunks.promise), [[10, [5, 6]]])
  transport.destroy()
})

test('a close from the server is answered, and the connection is over', async context => {
  const chunks = deferred<Uint8Array>()
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    socket.once('data', chunks.resolve)
    socket.write(Uint8Array.of(0x88, 2, 3, 233))
  })
  const { closed } = open(url)
  assert.deepEqual(frames(await chunks.promise), [[8, [3, 232]]])
  assert.equal(await closed, null)
})

test('end() sends what was written, then a close frame', async context => {
  const all: number[] = []
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    socket.on('data', (chunk: Uint8Array) => {
      all.push(...chunk)
      if (frames(Uint8Array.from(all)).at(-1)?.[0] === 8) socket.end()
    })
  })
  const { opened, transport, closed } = open(url)
  await opened
  transport.write(Uint8Array.of(9))
  transport.end()
  assert.equal(await closed, null)
  assert.deepEqual(frames(Uint8Array.from(all)), [
    [2, [9]],
    [8, [3, 232]],
  ])
})

test('a server that breaks RFC 6455 is closed with the status for it', async context => {
  const chunks = deferred<Uint8Array>()
  const url = await serve(context, (request, socket) => {
    accept(request, socket)
    socket.once('data', chunks.resolve)
    socket.write(Uint8Array.of(0x81, 1, 65, 0x82, 1, 1))
  })
  const { closed, received } = open(url)
  assert.deepEqual(frames(await chunks.promise), [[8, [3, 235]]])
  const error = await closed
  assert.match(error?.message ?? '', /text frame/)
  assert.deepEqual(received, [])
})

const Refusals: readonly (readonly [string, Readonly<Record<string, string | null>>, RegExp])[] = [
  ['a wrong key', { 'sec-websocket-accept': 'AAAA' }, /does not fit the request/],
  ['no key', { 'sec-websocket-accept': null }, /does not fit the request/],
  ['another subprotocol', { 'sec-websocket-protocol': 'chat' }, /subprotocol chat, not mqtt/],
  ['no subprotocol', { 'sec-websocket-protocol': null }, /subprotocol none, not mqtt/],
]

for (const [name, changes, message] of Refusals) {
  test(`an answer with ${name} is refused`, async context => {
    const url = await serve(context, (request, socket) => accept(request, socket, changes))
    const error = await open(url).closed
    assert.match(error?.message ?? '', message)
  })
}

test('an answer that is no upgrade says its status', async context => {
  const url = await serve(context, (_request, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
  })
  const error = await open(url).closed
  assert.match(error?.message ?? '', /answered 403 and no WebSocket/)
})

test('a header that never ends is refused', async context => {
  const url = await serve(context, (_request, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nx: ${'y'.repeat(100_000)}`)
  })
  const error = await open(url).closed
  assert.match(error?.message ?? '', /Header overflow/i)
})

test('a connection that is destroyed before the answer is over at once', async context => {
  const url = await serve(context, () => undefined)
  const { transport, closed } = open(url)
  transport.destroy()
  await closed
})
