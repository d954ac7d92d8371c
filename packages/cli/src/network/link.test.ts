// The ways to a broker that the options name: sockets, WebSockets, a proxy, a pre-shared key. With
// certificates it is in test/src/cli.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type BrokerServer, createBroker, type ListenOptions } from '@godwit/broker'
import { ClientChoice, type SocksProxy } from '../options/choice.ts'
import { type Link, LinkError, openLink } from './link.ts'

const WISHES = { reconnects: false, needsPacketIds: false }

async function serve(
  context: TestContext,
  options: ListenOptions = { port: 0 },
): Promise<{ broker: BrokerServer; port: number }> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen(options)
  context.after(() => broker.close({ drainSeconds: 0 }))
  return { broker, port }
}

async function listening(context: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  return (server.address() as { port: number }).port
}

function choiceOf(port: number, more: Partial<ClientChoice> = {}): ClientChoice {
  const choice = new ClientChoice('pub')
  choice.host = '127.0.0.1'
  choice.port = port
  return Object.assign(choice, more)
}

/** A message goes there and comes back. */
async function works(link: Link): Promise<void> {
  const came = new Promise<string>(resolve => {
    link.onMessage = ({ payload }) => {
      resolve(Buffer.from(payload).toString())
      return true
    }
  })
  const wishes = { qos: 1, retainAsPublished: false, retainHandling: 0, properties: {} } as const
  assert.deepEqual(await link.subscribe(['a'], wishes), [1])
  const message = { topic: 'a', payload: Buffer.from('x'), retain: false, properties: {} }
  assert.equal(await link.publish({ ...message, qos: 1 }), 0)
  assert.equal(await came, 'x')
  await link.close()
  assert.equal(await link.closed, null)
}

for (const level of [3, 4, 5] as const) {
  test(`a connection by TCP, level ${level}`, async context => {
    const { port } = await serve(context)
    await works(await openLink(choiceOf(port, { level, id: 'me' }), WISHES))
  })
}

test('a connection by WebSocket', async context => {
  const { port } = await serve(context, { port: 0, ws: true })
  await works(await openLink(choiceOf(port, { webSocket: true }), WISHES))
})

test('a connection by a Unix socket', async context => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const unix = join(folder, 'socket')
  await serve(context, { unix })
  await works(await openLink(choiceOf(1, { unix }), WISHES))
})

test('a connection from an address of this machine', async context => {
  const { broker, port } = await serve(context)
  const origin = new Promise<string>(resolve => {
    broker.once('clientConnected', ({ origin: from }) => resolve(from.remoteAddress))
  })
  await works(await openLink(choiceOf(port, { bindAddress: '127.0.0.7' }), WISHES))
  assert.match(await origin, /127\.0\.0\.7/)
})

test('a connection with a pre-shared key, and its keys for Wireshark', async context => {
  const { port: inner } = await serve(context)
  const key = Buffer.from('0123456789abcdef', 'hex')
  const server = createTlsServer({
    ciphers: 'PSK',
    maxVersion: 'TLSv1.2',
    pskCallback: (_socket, identity) => (identity === 'me' ? key : null),
  })
  server.on('secureConnection', socket => {
    const broker = connect(inner, '127.0.0.1')
    socket.pipe(broker).pipe(socket)
    for (const each of [socket, broker]) each.on('error', () => undefined)
  })
  const port = await listening(context, server)
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const tlsKeylog = join(folder, 'keys')
  const given = { psk: '0123456789ABCDEF', pskIdentity: 'me', tlsKeylog }
  await works(await openLink(choiceOf(port, given), WISHES))
  assert.match(readFileSync(tlsKeylog, 'latin1'), /^CLIENT_RANDOM /)
  const wrong = openLink(choiceOf(port, { ...given, pskIdentity: 'you' }), WISHES)
  await assert.rejects(wrong, { kind: 'unreachable' })
})

/** SOCKS 5, as much of it as a client may ask for. */
function socksServer(target: number, expected: string | null, reply: number): Server {
  return createServer(socket => {
    socket.on('error', () => undefined)
    void answerSocks(socket, target, expected, reply)
  })
}

async function answerSocks(
  socket: Socket,
  target: number,
  expected: string | null,
  reply: number,
): Promise<void> {
  const [hello] = (await once(socket, 'data')) as [Buffer]
  assert.deepEqual([...hello], [5, 1, expected === null ? 0 : 2])
  socket.write(Buffer.from([5, expected === null ? 0 : 2]))
  if (expected !== null) {
    const [login] = (await once(socket, 'data')) as [Buffer]
    const length = login[1] ?? 0
    const user = login.subarray(2, 2 + length).toString()
    const right = `${user}:${login.subarray(3 + length).toString()}` === expected
    socket.write(Buffer.from([1, right ? 0 : 1]))
    if (!right) return
  }
  const [request] = (await once(socket, 'data')) as [Buffer]
  assert.equal(request.subarray(5, -2).toString(), 'broker.invalid', 'the proxy resolves names')
  // In pieces, as a network may bring it.
  socket.write(Buffer.from([5, reply, 0, 1, 127]))
  setImmediate(() => {
    socket.write(Buffer.from([0, 0, 1, 0, 0]))
    if (reply !== 0) return
    const broker = connect(target, '127.0.0.1')
    broker.on('error', () => undefined)
    socket.pipe(broker).pipe(socket)
  })
}

function proxyAt(port: number, username: string | null, password: string | null): SocksProxy {
  return { host: '127.0.0.1', port, username, password }
}

for (const user of [null, 'joe:secret']) {
  test(`a connection through a proxy, for ${user ?? 'anybody'}`, async context => {
    const { port } = await serve(context)
    const at = await listening(context, socksServer(port, user, 0))
    const [name = null, password = null] = user?.split(':') ?? []
    const proxy = proxyAt(at, name, password)
    await works(await openLink(choiceOf(1883, { host: 'broker.invalid', proxy }), WISHES))
  })
}

test('a proxy that refuses says why', async context => {
  const at = await listening(context, socksServer(1, null, 5))
  const given = { host: 'broker.invalid', proxy: proxyAt(at, null, null) }
  await assert.rejects(openLink(choiceOf(1883, given), WISHES), /connection refused/)
  const strict = await listening(context, socksServer(1, 'joe:secret', 0))
  const wrong = { host: 'broker.invalid', proxy: proxyAt(strict, 'joe', 'wrong') }
  await assert.rejects(openLink(choiceOf(1883, wrong), WISHES), /did not accept user name/)
  const silent = await listening(
    context,
    createServer(socket => socket.end()),
  )
  const closed = { host: 'broker.invalid', proxy: proxyAt(silent, null, null) }
  await assert.rejects(openLink(choiceOf(1883, closed), WISHES), /the proxy closed/)
})

test('a broker that cannot be reached is told from one that refuses', async context => {
  const server = createServer()
  const port = await listening(context, server)
  server.close()
  await once(server, 'close')
  const unreachable = openLink(choiceOf(port), WISHES)
  await assert.rejects(unreachable, {
    kind: 'unreachable',
    message: `Error: Connection refused: nothing listens at 127.0.0.1:${port}`,
  })
  const broker = createBroker({ statsIntervalSeconds: 0, hooks: { authenticate: () => 0x86 } })
  context.after(() => broker.close({ drainSeconds: 0 }))
  const { port: refusing } = await broker.listen({ port: 0 })
  for (const [level, code] of [[4, 4] as const, [5, 0x86] as const]) {
    const refused = openLink(choiceOf(refusing, { level }), WISHES)
    await assert.rejects(refused, (error: unknown) => {
      return error instanceof LinkError && error.kind === 'refused' && error.code === code
    })
  }
})

test('a file of certificates that is not there is a mistake of the user', async () => {
  const choice = choiceOf(1, { cafile: '/nonexistent/ca.pem' })
  await assert.rejects(openLink(choice, WISHES), { name: 'CommandFailure', exitCode: 1 })
})
