// The client over every kind of transport in Node, against our broker over real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type BrokerServer, createBroker, type ListenOptions } from '@godwit/broker'
import {
  type Client,
  type ConnectOptions,
  connect,
  MqttError,
  type TlsOptions,
} from '@godwit/client'
import { makeCertificates } from '../support/certificates.ts'

const certificates = await makeCertificates()
const { ca, server } = certificates
const own = { cert: certificates.client.cert, key: certificates.client.key }

const FOREVER_MS = 0x7fff_ffff

async function brokerFor(context: TestContext): Promise<BrokerServer> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  await broker.ready
  return broker
}

async function listening(context: TestContext, options: ListenOptions): Promise<string> {
  const broker = await brokerFor(context)
  const { url } = await broker.listen({ port: 0, ...options })
  return url
}

/** Sends one message of each QoS, small and large, to itself. */
async function exchange(client: Client): Promise<void> {
  const subscription = client.subscribe('echo/+size', { qos: 2 })
  await subscription.ready
  const large = new Uint8Array(300_000).map((_, i) => i)
  const sent = [
    client.publish('echo/small', 'zero'),
    client.publish('echo/small', 'one', { qos: 1 }),
    client.publish('echo/large', large, { qos: 2 }),
    client.publish('echo/none', '', { qos: 2 }),
  ]
  const got: [string, number, Uint8Array][] = []
  for await (const message of subscription) {
    got.push([message.params.size, message.qos, message.payload])
    if (got.length === sent.length) break
  }
  await Promise.all(sent)
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  assert.deepEqual(got, [
    ['small', 0, bytes('zero')],
    ['small', 1, bytes('one')],
    ['large', 2, large],
    ['none', 2, new Uint8Array(0)],
  ])
}

const Kinds: readonly (readonly [string, ListenOptions, ConnectOptions])[] = [
  ['TCP', {}, {}],
  ['TLS', { tls: server }, { tls: { ca } }],
  ['mutual TLS', { tls: { ...server, ca } }, { tls: { ca, ...own } }],
  ['WebSocket', { ws: true }, {}],
  ['secure WebSocket', { ws: true, tls: server }, { tls: { ca } }],
  ['secure WebSocket, mutual TLS', { ws: true, tls: { ...server, ca } }, { tls: { ca, ...own } }],
]

for (const [name, listen, options] of Kinds) {
  for (const protocolVersion of [5, 4, 3] as const) {
    test(`messages go both ways over ${name}, protocol level ${protocolVersion}`, async context => {
      const url = await listening(context, listen)
      const client = await connect(url, { ...options, protocolVersion })
      await exchange(client)
      await client.close()
      assert.deepEqual(await client.closed, { error: null })
    })
  }
}

test('messages go both ways over a Unix socket', async context => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const broker = await brokerFor(context)
  const path = join(folder, 'mqtt.sock')
  await broker.listen({ unix: path })
  await using client = await connect(`unix:${path}`)
  await exchange(client)
})

test('messages go both ways over a duplex stream [MQTT-4.2-1] [MQTT-7.1.2-1 v3]', async context => {
  const broker = await brokerFor(context)
  const client = await connect(broker.connect(), { closeTimeoutMs: FOREVER_MS })
  await exchange(client)
  // The stream ends because the broker ends its side, not because the time is over.
  await client.close()
})

test('messages go both ways over a pair of web streams', async context => {
  const broker = await brokerFor(context)
  await using client = await connect(Duplex.toWeb(broker.connect()))
  await exchange(client)
})

/** A server that knows no MQTT 5.0: it hands over to our broker whoever speaks 3.1.1. */
async function old(context: TestContext, refuse: (socket: Socket) => void): Promise<string> {
  const broker = await brokerFor(context)
  const listener = createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.once('data', chunk => {
      // Behind the header, the name of the protocol and its length.
      if (chunk[8] !== 4) {
        refuse(socket)
        return
      }
      const stream = broker.connect()
      stream.write(chunk)
      stream.pipe(socket).pipe(stream)
    })
  })
  context.after(() => listener.close())
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return `mqtt://127.0.0.1:${(listener.address() as AddressInfo).port}`
}

const Refusals: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['closes', socket => socket.end()],
  ['resets', socket => socket.resetAndDestroy()],
  ['sends what is no MQTT and closes', socket => socket.end('no')],
]

for (const [name, refuse] of Refusals) {
  test(`a server that ${name} on MQTT 5.0 gets 3.1.1`, async context => {
    const client = await connect(await old(context, refuse))
    assert.equal(client.negotiated.protocolVersion, 4)
    await exchange(client)
    await client.close()
  })
}

test('a stream that its server closes has no second attempt: the first is told', async () => {
  const [stream, server] = duplexPair()
  server.once('data', () => server.end())
  await assert.rejects(connect(stream), { code: 'connect-failed', message: /before CONNACK/ })
})

test('a stream is not used for a second connection', async context => {
  const broker = await brokerFor(context)
  const stream = broker.connect()
  const client = await connect(stream)
  stream.destroy()
  const { error } = await client.closed
  assert.equal(error?.code, 'invalid-argument')
})

test('a function gives a new stream for each connection', async context => {
  const broker = await brokerFor(context)
  const streams: Duplex[] = []
  const target = (): Duplex => {
    const stream = broker.connect()
    streams.push(stream)
    return stream
  }
  await using client = await connect(target, { reconnect: { initialDelayMs: 1 } })
  const events = client.events()
  streams[0]?.destroy()
  for await (const event of events) if (event.type === 'connected') break
  assert.equal(streams.length, 2)
  await exchange(client)
})

const Refused: readonly (readonly [string, ListenOptions, ConnectOptions])[] = [
  ['a certificate that nobody has vouched for', { tls: server }, {}],
  ['no certificate where one is required', { tls: { ...server, ca } }, { tls: { ca } }],
  [
    'a certificate for another name',
    { tls: server },
    { tls: { ca, serverName: 'another.example' } },
  ],
  ['a secure WebSocket whose certificate nobody has vouched for', { ws: true, tls: server }, {}],
]

for (const [name, listen, options] of Refused) {
  test(`${name} is a connection that fails`, async context => {
    const url = await listening(context, listen)
    await assert.rejects(connect(url, options), { name: 'MqttError', code: 'connect-failed' })
  })
}

test('a certificate is not checked when the caller says so', async context => {
  const url = await listening(context, { tls: server })
  await using client = await connect(url, { tls: { verify: false } })
  await exchange(client)
})

test('a port that nobody listens to is a connection that fails', async () => {
  const listener = createServer()
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  await new Promise(resolve => listener.close(resolve))
  assert.ok(typeof address === 'object' && address !== null)
  const failed = connect(`mqtt://127.0.0.1:${address.port}`)
  await assert.rejects(failed, { code: 'connect-failed', message: /ECONNREFUSED/ })
})

const Invalid: readonly (readonly [string, string])[] = [
  ['no URL', 'broker.example'],
  ['a protocol that nobody speaks', 'gopher://broker.example'],
  ['no host', 'mqtt:'],
  ['no path of a Unix socket', 'unix:'],
]

for (const [name, url] of Invalid) {
  test(`${name} is refused before anything is opened`, async () => {
    await assert.rejects(connect(url), { code: 'invalid-argument' })
  })
}

test('what is neither a URL nor a stream is refused', async () => {
  const isInvalid = (error: unknown): boolean => {
    return error instanceof MqttError && error.code === 'invalid-argument'
  }
  await assert.rejects(connect({}), isInvalid)
  await assert.rejects(
    connect(() => ({ write: 1 })),
    isInvalid,
  )
})

const Plain: readonly (readonly [string, string])[] = [
  ['mqtt://127.0.0.1:9', 'mqtts:'],
  ['tcp://127.0.0.1:9', 'mqtts:'],
  ['ws://127.0.0.1:9/mqtt', 'wss:'],
]

for (const [url, use] of Plain) {
  const { protocol } = new URL(url)
  test(`${protocol} together with tls is refused, and nothing is sent in plain text`, async () => {
    const given: readonly TlsOptions[] = [{ ca }, { ...own }, { verify: false }]
    for (const tls of given) {
      const names = Object.keys(tls).join(', ')
      const message = `${protocol} has no TLS, and there is tls: { ${names} }: use ${use}`
      await assert.rejects(connect(url, { tls }), { code: 'invalid-argument', message })
      const later = connect(() => url, { tls, reconnect: { first: true } })
      await assert.rejects(later, { code: 'invalid-argument', message })
    }
  })
}

test('a unix: URL together with tls is refused', async () => {
  await assert.rejects(connect('unix:/none', { tls: { ca } }), {
    code: 'invalid-argument',
    message: 'unix: has no TLS, and there is tls: { ca }: give a stream of node:tls instead',
  })
})

test('tls without anything in it asks for nothing', async context => {
  for (const ws of [false, true]) {
    const url = await listening(context, { ws })
    for (const tls of [undefined, {}, { ca: undefined }]) {
      const client = await connect(url, { tls } as ConnectOptions)
      await client.close()
    }
  }
})

for (const scheme of ['mqtts', 'wss'] as const) {
  test(`${scheme}: the server name and the protocol go with the TLS handshake`, async context => {
    const seen: unknown[] = []
    const listener = createTlsServer({ ...server, ALPNProtocols: ['mqtt', 'http/1.1'] }, socket => {
      seen.push((socket as { servername?: unknown }).servername, socket.alpnProtocol)
      socket.destroy()
    })
    context.after(() => listener.close())
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    const tls = { ca, serverName: 'localhost', alpn: ['mqtt'] }
    const options = { tls, protocolVersion: 5 } as const
    await assert.rejects(connect(`${scheme}://127.0.0.1:${port}/mqtt`, options), MqttError)
    assert.deepEqual(seen, ['localhost', 'mqtt'])
  })
}
