// What a newcomer reads who dials the wrong port, the wrong scheme or the wrong path: what was
// expected, what came and what to try, in one line.
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createBroker, type ListenOptions } from '@godwit/broker'
import { type ConnectOptions, connect, MqttError } from '@godwit/client'
import { Authority, makeCertificates } from '../support/certificates.ts'

const { ca, server, client } = await makeCertificates()
const WithTls: ConnectOptions = { tls: { ca, serverName: 'localhost' } }

type Opens = (context: TestContext) => Promise<number>

function broker(options: ListenOptions): Opens {
  return async context => {
    const made = createBroker({ statsIntervalSeconds: 0 })
    context.after(() => made.close({ drainSeconds: 0 }))
    const { port } = await made.listen({ host: '127.0.0.1', port: 0, ...options })
    return port
  }
}

async function portOf(context: TestContext, listener: Server): Promise<number> {
  context.after(() => listener.close())
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return (listener.address() as AddressInfo).port
}

/** Says this to everybody, and closes when it is told something. */
function speaks(bytes: string | Uint8Array): Opens {
  return context => {
    const listener = createServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.write(bytes)
      socket.on('data', () => socket.end())
    })
    return portOf(context, listener)
  }
}

function answers(status: number, headers: Record<string, string> = {}): Opens {
  return context => {
    const listener = createHttp((_, response) => response.writeHead(status, headers).end())
    return portOf(context, listener)
  }
}

const Ports: Readonly<Record<string, Opens>> = {
  MQTT: broker({}),
  'MQTT over TLS': broker({ tls: server }),
  WebSockets: broker({ ws: true }),
  'WebSockets over TLS': broker({ ws: true, tls: server }),
  'a web server': answers(404),
  'a web server that wants a password': answers(401),
  'a web server that points elsewhere': answers(301, { location: 'http://elsewhere.example/' }),
  SSH: speaks('SSH-2.0-OpenSSH_9.2\r\n'),
  'a server that sends a TLS alert': speaks(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 40)),
}

const TCP = 'expected MQTT without TLS, '
const TLS = 'expected MQTT over TLS, '
const WS = 'expected a WebSocket without TLS, '
const WSS = 'expected a WebSocket over TLS, '
const BEFORE = 'the server closed the connection before CONNACK: '
const BAD_REQUEST = 'got "HTTP/1.1 400 Bad Request": for MQTT over WebSocket use '
const NO_TLS = 'got what is no TLS (wrong version number): is this a port without TLS '
const CUT = 'the server closed in the handshake: is this a port without TLS '
const EMPTY = 'the server closed without an answer: is this a port for MQTT '
const NOTHING =
  'nothing came: is this a port for TLS (mqtts:) or for WebSockets (ws:), ' +
  'or does it take no more clients?'
const SSH = 'got "SSH-2.0-OpenSSH_9.2"'

/** What is dialled, what is there, the path, and what the error says. */
const Cases: readonly (readonly [string, string, string, string])[] = [
  ['mqtt', 'MQTT over TLS', '', `${BEFORE}${TCP}${NOTHING}`],
  ['mqtt', 'WebSockets', '', `${BEFORE}${TCP}${BAD_REQUEST}ws:`],
  ['mqtt', 'WebSockets over TLS', '', `${BEFORE}${TCP}${NOTHING}`],
  ['mqtt', 'a web server', '', `${BEFORE}${TCP}${BAD_REQUEST}ws:`],
  ['mqtt', 'SSH', '', `${BEFORE}${TCP}${SSH}: another service has this port`],
  ['mqtt', 'a server that sends a TLS alert', '', `${BEFORE}${TCP}got TLS: use mqtts:`],
  ['mqtts', 'MQTT', '', `cannot connect: ${TLS}${CUT}(mqtt:)?`],
  ['mqtts', 'WebSockets', '', `cannot connect: ${TLS}${NO_TLS}(mqtt:)?`],
  ['mqtts', 'WebSockets over TLS', '', `${BEFORE}${TLS}${BAD_REQUEST}wss:`],
  ['mqtts', 'SSH', '', `cannot connect: ${TLS}${NO_TLS}(mqtt:)?`],
  ['ws', 'MQTT', '', `cannot connect: ${WS}${EMPTY}(mqtt:) or for TLS (wss:)?`],
  ['ws', 'MQTT over TLS', '', `cannot connect: ${WS}${EMPTY}(mqtt:) or for TLS (wss:)?`],
  ['ws', 'WebSockets over TLS', '', `cannot connect: ${WS}${EMPTY}(mqtt:) or for TLS (wss:)?`],
  ['ws', 'SSH', '', `cannot connect: ${WS}${SSH}, which is no HTTP`],
  ['ws', 'a server that sends a TLS alert', '', `cannot connect: ${WS}got TLS: use wss:`],
  [
    'ws',
    'WebSockets',
    '/other',
    'cannot connect: the server answered 404 and no WebSocket: is its path another one than ' +
      '/other? Often it is /mqtt',
  ],
  [
    'ws',
    'a web server that wants a password',
    '/mqtt',
    'cannot connect: the server answered 401 and no WebSocket: it wants credentials of HTTP, ' +
      'see the option headers',
  ],
  [
    'ws',
    'a web server that points elsewhere',
    '/mqtt',
    'cannot connect: the server answered 301 and no WebSocket, and points to ' +
      'http://elsewhere.example/',
  ],
  ['wss', 'MQTT', '', `cannot connect: ${WSS}${CUT}(ws:)?`],
  ['wss', 'MQTT over TLS', '', `cannot connect: ${WSS}${EMPTY}(mqtts:)?`],
  ['wss', 'WebSockets', '', `cannot connect: ${WSS}${NO_TLS}(ws:)?`],
]

/** The error of a connection that does not come about. */
async function failureOf(url: string, options: ConnectOptions = {}): Promise<MqttError> {
  try {
    await connect(url, options)
  } catch (error) {
    assert.ok(error instanceof MqttError)
    assert.doesNotMatch(error.message, /\n|openssl|SSL routines|0[A-F0-9]{7}/)
    return error
  }
  assert.fail('it connected')
}

for (const [scheme, there, path, text] of Cases) {
  test(`${scheme}: dials ${there}${path === '' ? '' : ` at ${path}`}: ${text}`, async context => {
    const port = await (Ports[there] as Opens)(context)
    const options = scheme === 'mqtts' || scheme === 'wss' ? WithTls : {}
    const { code, message } = await failureOf(`${scheme}://127.0.0.1:${port}${path}`, options)
    assert.equal(code, 'connect-failed')
    assert.equal(message, text)
  })
}

test('a certificate that is not trusted, or for another name, says what to give', async context => {
  const port = await broker({ tls: server })(context)
  const url = `mqtts://127.0.0.1:${port}`
  const untrusted = await failureOf(url)
  assert.match(untrusted.message, /certificate is not trusted, .*: give its CA as tls: \{ ca \}$/)
  const other = await failureOf(url, { tls: { ca, serverName: 'other.example' } })
  assert.match(other.message, /other\.example.*: give the name .* tls: \{ serverName \}$/)
})

test('a server that wants a certificate of the client says so', async context => {
  const port = await broker({ tls: { ...server, ca } })(context)
  const { message } = await failureOf(`mqtts://127.0.0.1:${port}`, WithTls)
  assert.match(message, /refused the TLS handshake \(.*\): it may want tls: \{ cert, key \}$/)
})

const Stranger = await (await Authority.create('Another CA')).issue({ commonName: 'client-1' })

for (const scheme of ['mqtts', 'wss'] as const) {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${scheme}: a certificate that is not taken is named, ${maxVersion}`, async context => {
      const port = await broker({ tls: { ...server, ca }, ws: scheme === 'wss' })(context)
      const tls = { ...WithTls.tls, ...Stranger, maxVersion }
      const { code, message } = await failureOf(`${scheme}://127.0.0.1:${port}/mqtt`, { tls })
      assert.equal(code, 'connect-failed')
      assert.match(message, /does the server trust the certificate in tls: \{ cert \}\?/)
    })
  }
}

test('a server that says what is wrong with the certificate of the client', async context => {
  const expired = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 45)
  const unknown = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 48)
  const options = { tls: { ...WithTls.tls, ...client } }
  const old = await failureOf(`mqtts://127.0.0.1:${await speaks(expired)(context)}`, options)
  assert.match(
    old.message,
    /refused .* \(.*expired\): it does not take the certificate in tls: \{ cert/,
  )
  const port = await speaks(unknown)(context)
  const { message } = await failureOf(`mqtts://127.0.0.1:${port}`, options)
  assert.match(
    message,
    /refused .* \(.*unknown ca\): it does not take the certificate in tls: \{ cert/,
  )
})

test('a certificate whose time is over, or for another address', async context => {
  const authority = await Authority.create('Test CA')
  const own = { tls: { ca: authority.cert } }
  const expired = await authority.issue({ commonName: 'localhost', expired: true })
  const port = await broker({ tls: expired })(context)
  const { message } = await failureOf(`mqtts://127.0.0.1:${port}`, own)
  assert.equal(
    message,
    "cannot connect: the server's certificate has expired, by the clock of this machine",
  )
  const other = await authority.issue({ commonName: 'other', names: ['other.example'] })
  const otherPort = await broker({ tls: other })(context)
  const named = await failureOf(`mqtts://127.0.0.1:${otherPort}`, own)
  assert.match(named.message, /127\.0\.0\.1 is not in the cert's list: give the name/)
})

const { cert, key } = client
const Locked = createPrivateKey(key)
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'right' })
  .toString()
const PEM = 'expected PEM, with -----BEGIN in it: a path is not read'

/** TLS options that no server could do anything with, and what is said of them. */
const WrongTls: readonly (readonly [string, ConnectOptions['tls'] & object, string])[] = [
  ['a path as ca', { ca: '/etc/ssl/ca.pem' }, `ca: ${PEM}`],
  ['DER among the ca', { ca: [ca, Uint8Array.of(0x30, 0x82)] }, `ca: ${PEM}`],
  ['a path as cert', { cert: 'client.crt', key }, `cert: ${PEM}`],
  ['a path as key', { cert, key: 'client.key' }, `key: ${PEM}`],
  ['nothing as ca', { ca: JSON.parse('null') }, 'ca: expected PEM as a string or bytes, got null'],
  [
    'a number among the ca',
    { ca: [ca, JSON.parse('5')] },
    'ca: expected PEM as a string or bytes, got 5',
  ],
  [
    'a key with its passphrase in it',
    { cert, key: JSON.parse('{"pem":""}') },
    'key: expected PEM as a string or bytes, got an object',
  ],
  ['a text for verify', { verify: JSON.parse('"no"') }, 'verify: expected true or false, got "no"'],
  ['cert without key', { cert }, 'cert needs key'],
  ['key without cert', { key }, 'key needs cert'],
  ["another certificate's key", { cert, key: Stranger.key }, 'key is not the one of cert'],
  ['no passphrase', { cert, key: Locked }, 'key: the passphrase is missing or wrong'],
  [
    'a wrong passphrase',
    { cert, key: Locked, passphrase: 'wrong' },
    'key: the passphrase is missing or wrong',
  ],
]

for (const [name, tls, text] of WrongTls) {
  test(`TLS options: ${name}: ${text}`, async () => {
    for (const scheme of ['mqtts', 'wss']) {
      // It is not tried again: nothing would change.
      const options = { tls, reconnect: { first: true, attemptsMax: 2 } }
      const { code, message } = await failureOf(`${scheme}://127.0.0.1:1`, options)
      assert.equal(message, `tls: ${text}`)
      assert.equal(code, 'invalid-argument')
    }
  })
}

test('a key with its passphrase is taken', async context => {
  const port = await broker({ tls: { ...server, ca } })(context)
  const tls = { ...WithTls.tls, cert, key: Locked, passphrase: 'right' }
  const connected = await connect(`mqtts://127.0.0.1:${port}`, { tls })
  await connected.close()
})

test('a port that nobody listens to, a host and a socket that are not there', async context => {
  const listener = createServer()
  const port = await portOf(context, listener)
  listener.close()
  await once(listener, 'close')
  const refused = await failureOf(`mqtt://127.0.0.1:${port}`)
  assert.equal(
    refused.message,
    `cannot connect: nothing listens on 127.0.0.1:${port} (ECONNREFUSED)`,
  )
  assert.ok(refused.cause instanceof Error && refused.cause.cause instanceof Error)
  const both = await failureOf(`mqtt://localhost:${port}`)
  assert.match(both.message, /^cannot connect: nothing listens on \S+:\d+ \(ECONNREFUSED\)$/)
  const missing = await failureOf('unix:///nowhere/socket')
  assert.equal(missing.message, 'cannot connect: there is no socket /nowhere/socket (ENOENT)')
})

test('a URL of another kind, or none, says which there are', async () => {
  const other = await failureOf('localhost:1883')
  assert.equal(other.code, 'invalid-argument')
  assert.match(other.message, /no transport for localhost: URLs: expected mqtt:\/\/, mqtts:/)
  const none = await failureOf('127.0.0.1:1883')
  assert.equal(none.message, 'not a URL like wss://host/mqtt: 127.0.0.1:1883')
})
