// Why a command has no connection: one line that says what was expected, what came and what to try,
// whatever listens at the other end.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { Authority } from '../support/certificates.ts'
import { run } from './godwit.ts'

interface World {
  readonly broker: BrokerServer
  readonly folder: string
  readonly ports: Readonly<Record<string, string>>
}

let world: World | null = null

before(async () => {
  const authority = await Authority.create('Test CA')
  const other = await Authority.create('Other CA')
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const caFile = write('ca.pem', authority.cert)
  write('other.pem', other.cert)
  const files = async (name: string, wish: Parameters<Authority['issue']>[0]) => {
    const { cert, key } = await authority.issue(wish)
    return { certFile: write(`${name}.crt`, cert), keyFile: write(`${name}.key`, key) }
  }
  const good = await files('good', { commonName: 'localhost' })
  const far = await files('far', { commonName: 'far.invalid', names: ['far.invalid'] })
  const expired = await files('expired', { commonName: 'localhost', expired: true })
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const listeners = {
    plain: {},
    ws: { ws: true },
    tls: { tls: good },
    wss: { ws: true, tls: good },
    far: { tls: far },
    expired: { tls: expired },
    mutual: { tls: { ...good, caFile } },
  } as const
  const ports: Record<string, string> = {}
  for (const [name, listener] of Object.entries(listeners)) {
    ports[name] = String((await broker.listen({ port: 0, ...listener })).port)
  }
  world = { broker, folder, ports }
})

after(async () => {
  await world?.broker.close({ drainSeconds: 0 })
  if (world !== null) rmSync(world.folder, { recursive: true })
})

/** `{name}` stands for a file, `:name` at the end of a word for a port. */
async function errorOf(words: string, port: string, expected = 1): Promise<string> {
  const { folder = '' } = world ?? {}
  const args = words.split(' ').filter(word => word !== '')
  const filled = args.map(word => word.replace(/\{(.*)\}/, (_, name: string) => join(folder, name)))
  const to = ['-h', 'localhost', '-p', port, '-t', 'a', '-m', 'x']
  const { code, stdout, stderr } = await run(['pub', ...to, ...filled])
  assert.equal(code, expected, stderr)
  assert.equal(stdout, '')
  assert.doesNotMatch(stderr, /error:0|routines|\.c:\d/, 'nothing of OpenSSL')
  return stderr
}

/** With Mosquitto's exit codes: 8 TLS, 7 the connection was lost, 1 anything else. */
for (const [name, options, expected, said] of [
  ['plain', '--cafile {ca.pem}', 8, /expected a TLS handshake from .*closed.*: try without TLS/],
  ['ws', '--cafile {ca.pem}', 8, /expected TLS from .*answered something else: try without TLS/],
  [
    'ws',
    '--ws --cafile {ca.pem}',
    8,
    /expected TLS from .*answered something else: try without TLS/,
  ],
  ['tls', '--tls', 8, /nobody in the certificates that Node trusts has signed .*--cafile/],
  [
    'tls',
    '--cafile {other.pem}',
    8,
    /nobody in .*other\.pem has signed the certificate of localhost/,
  ],
  ['wss', '--ws --cafile {other.pem}', 8, /nobody in .*other\.pem has signed the certificate/],
  [
    'far',
    '--cafile {ca.pem}',
    8,
    /certificate of .* is for DNS:far\.invalid, not for localhost: give/,
  ],
  ['expired', '--cafile {ca.pem}', 8, /the certificate of localhost:\d+ has expired/],
  [
    'mutual',
    '--cafile {ca.pem}',
    7,
    /wants a certificate of this client that it trusts: see --cert/,
  ],
  ['tls', '--psk 00ff --psk-identity me', 8, /nothing in common in the TLS handshake .*--psk/],
  [
    'tls',
    '',
    7,
    /expected CONNACK from .*closed the connection without a word: try --tls .*, --ws/,
  ],
  ['ws', '', 7, /expected CONNACK from .*closed the connection without a word/],
  ['ws', '-V 5', 7, /without a word: try .*, -V 311 if it has no MQTT 5\.0$/],
  ['wss', '--cafile {ca.pem}', 7, /expected CONNACK from .*: try --ws if it has WebSockets$/],
  ['plain', '--ws', 7, /expected a WebSocket at .*closed the connection: try without --ws/],
  ['wss', '--ws', 7, /expected a WebSocket at .*closed the connection: .*wss:\/\/ if it has TLS/],
  ['tls', '--ws --cafile {ca.pem}', 7, /expected a WebSocket at .*: try without --ws/],
  ['ws', '--ws-path /live', 1, /expected a WebSocket at .*\/live, got HTTP status 404: --ws-path/],
] as const) {
  test(`a port for ${name} and pub ${options || 'no options'}: one line says why`, async () => {
    const text = await errorOf(options, world?.ports[name] ?? '', expected)
    assert.match(text, /^Error: [^\n]+\n$/)
    assert.match(text.trimEnd(), said)
  })
}

for (const [options, said] of [
  ['--ciphers nonsense --tls', /--ciphers: OpenSSL knows none of nonsense/],
  ['--cafile {good.key}', /--cafile: there is no certificate in PEM in .*good\.key/],
  ['--cert {good.key} --key {good.crt} --tls', /--cert: there is no certificate .*good\.key/],
  ['--cert {good.crt} --key {far.key}', /--key: .*far\.key is not the key of .*good\.crt/],
  ['--cert {good.crt} --key {good.crt}', /--key: there is no usable private key in .*good\.crt/],
  ['--cafile {nothing}', /--cafile: ENOENT.*nothing/],
] as const) {
  test(`the option and the file that are wrong are named: ${options}`, async () => {
    assert.match(await errorOf(options, '1'), said)
  })
}

async function portOf(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>(resolve => {
    server.listen(0, 'localhost', resolve)
  })
  context.after(() => server.close())
  return String((server.address() as { port: number }).port)
}

test('a web server is none for MQTT, and says so as the first line it is', async context => {
  const port = await portOf(
    context,
    createServer((_request, response) => response.end('hello')),
  )
  assert.match(await errorOf('--ws', port), /expected a WebSocket at .*, got HTTP status 200\n$/)
})

test('what answers neither HTTP nor TLS is not taken for it', async context => {
  const port = await portOf(
    context,
    createTcpServer(socket => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end('220 mail.example ESMTP\r\n'))
    }),
  )
  assert.match(await errorOf('--ws', port), /expected a WebSocket at .*answered something else/)
  assert.match(await errorOf('--tls', port, 8), /expected TLS from .*answered something else/)
})

test('a server with another version of TLS is told from one without any', async context => {
  const { folder = '' } = world ?? {}
  const [cert = '', key = ''] = ['good.crt', 'good.key'].map(name => {
    return readFileSync(join(folder, name), 'latin1')
  })
  const server = createTlsServer({ maxVersion: 'TLSv1.2', cert, key })
  server.on('tlsClientError', () => undefined)
  const port = await portOf(context, server)
  const text = await errorOf('--cafile {ca.pem} --tls-version tlsv1.3', port, 8)
  assert.match(text, /does not do tlsv1\.3: try another --tls-version/)
})

test('a Unix socket that is not there is said to be so', async () => {
  const { code, stderr } = await run(['pub', 'unix:/nonexistent/socket', 'a', 'x'])
  assert.deepEqual([code, stderr], [1, 'Error: there is no Unix socket at /nonexistent/socket\n'])
})

test('check takes URLs of WebSockets and of Unix sockets', async context => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'socket')
  await world?.broker.listen({ unix: path })
  const ca = join(world?.folder ?? '', 'ca.pem')
  const checked = await Promise.all([
    run(['check', `ws://localhost:${world?.ports['ws']}/mqtt`, '--json']),
    run(['check', `wss://localhost:${world?.ports['wss']}`, '--cafile', ca, '--json']),
    run(['check', `unix:${path}`, '--json']),
  ])
  for (const { code, stdout, stderr } of checked) {
    assert.equal(code, 0, stderr)
    const { features, contradictions } = JSON.parse(stdout)
    assert.deepEqual(contradictions, [])
    assert.equal(features.wills.works, true)
    assert.equal(features.qos2.works, true)
  }
})
