// The pages for machines over real HTTP: what is asked for by the book, and by who means no good.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { dribble } from '../testing/dribble.ts'
import { type AdminHost, listenAdmin, wantsOpenMetrics } from './http.ts'
import type { Readiness } from './readings.ts'

const SHORT_MS = 200

interface Rig {
  readonly url: string
  readonly port: number
  readiness: Readiness
  text: string
  failure: Error | null
  readonly failures: Error[]
  readonly asked: boolean[]
}

async function open(t: TestContext, timeoutMs = 60_000): Promise<Rig> {
  const failures: Error[] = []
  const asked: boolean[] = []
  const state = {
    readiness: { reason: null, space: 'enough' } as Readiness,
    text: 'metrics 1\n',
    failure: null as Error | null,
    failures,
    asked,
  }
  const host: AdminHost = {
    metrics: openMetrics => {
      asked.push(openMetrics)
      if (state.failure !== null) return Promise.reject(state.failure)
      return Promise.resolve({ contentType: 'text/plain', text: state.text })
    },
    readiness: () => state.readiness,
    failed: error => failures.push(error),
  }
  const listener = await listenAdmin(host, { host: '127.0.0.1', port: 0, timeoutMs })
  t.after(() => listener.close())
  const { url, port } = listener.address
  return Object.assign(state, { url, port })
}

async function rawSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Resolves when it has closed, with an error or without. */
function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()))
}

test('each page answers GET with its type, and HEAD without a body', async t => {
  const rig = await open(t)
  const types = { '/metrics': 'text/plain', '/healthz': 'application/json' }
  for (const [path, type] of Object.entries({ ...types, '/readyz': 'application/json' })) {
    const got = await fetch(rig.url + path)
    assert.equal(got.status, 200, path)
    assert.equal(got.headers.get('content-type'), type, path)
    const text = await got.text()
    const head = await fetch(rig.url + path, { method: 'HEAD' })
    assert.equal(head.status, 200, path)
    assert.equal(head.headers.get('content-length'), String(text.length), path)
    assert.equal(await head.text(), '', path)
  }
  assert.equal(await (await fetch(`${rig.url}/metrics?name=x`)).text(), 'metrics 1\n')
  assert.deepEqual(await (await fetch(`${rig.url}/healthz`)).json(), { status: 'alive' })
})

test('a page that is not there is 404 and says which are', async t => {
  const rig = await open(t)
  for (const path of ['/', '/metric', '/metrics/', '/METRICS', '/../metrics/x', '/%00']) {
    const got = await fetch(rig.url + path)
    assert.equal(got.status, 404, path)
    assert.match(await got.text(), /\/metrics, \/healthz and \/readyz/, path)
  }
  assert.deepEqual(rig.asked, [])
})

test('another method is 405 and says which are taken', async t => {
  const rig = await open(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const got = await fetch(`${rig.url}/metrics`, { method })
    assert.equal(got.status, 405, method)
    assert.equal(got.headers.get('allow'), 'GET, HEAD', method)
    assert.equal(await got.text(), `/metrics takes GET and HEAD, not ${method}\n`)
  }
  assert.deepEqual(rig.asked, [])
})

test('why it is not ready is said in a word and in words', async t => {
  const rig = await open(t)
  rig.readiness = { reason: null, space: 'low' }
  const low = await fetch(`${rig.url}/readyz`)
  assert.equal(low.status, 200)
  assert.deepEqual(await low.json(), { status: 'ready', space: 'low' })
  for (const reason of ['starting', 'failed', 'draining', 'full'] as const) {
    rig.readiness = { reason, space: 'full' }
    const got = await fetch(`${rig.url}/readyz`)
    assert.equal(got.status, 503, reason)
    const body = (await got.json()) as Record<string, string>
    assert.deepEqual([body['status'], body['reason']], ['not ready', reason])
    assert.ok((body['text'] ?? '').length > 10)
    assert.equal((await fetch(`${rig.url}/healthz`)).status, 200)
  }
})

test('metrics that cannot be collected are 500, are told, and come again', async t => {
  const rig = await open(t)
  rig.failure = new Error('no')
  assert.equal((await fetch(`${rig.url}/metrics`)).status, 500)
  assert.deepEqual(rig.failures, [rig.failure])
  rig.failure = null
  assert.equal((await fetch(`${rig.url}/metrics`)).status, 200)
})

test('OpenMetrics is for who names it and likes nothing else more', () => {
  const prometheus =
    'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'
  for (const accept of [
    prometheus,
    'application/openmetrics-text',
    'a/b, Application/OpenMetrics-Text',
  ]) {
    assert.equal(wantsOpenMetrics(accept), true, accept)
  }
  const plain = 'text/plain;q=0.7,application/openmetrics-text;q=0.3'
  const never = 'application/openmetrics-text;q=0'
  for (const accept of [undefined, '', '*/*', 'text/plain', plain, never, 'application/json']) {
    assert.equal(wantsOpenMetrics(accept), false, accept)
  }
})

test('who connects and says nothing is cut off', async t => {
  const rig = await open(t, SHORT_MS)
  const socket = await rawSocket(t, rig.port)
  socket.resume()
  await closed(socket)
})

test('who asks byte by byte is cut off', async t => {
  const rig = await open(t, SHORT_MS)
  const socket = await rawSocket(t, rig.port)
  socket.resume()
  socket.write('GET /metrics HTTP/1.1\r\n')
  await dribble(socket, 'a: b\r\n', SHORT_MS / 10)
  assert.deepEqual(rig.asked, [])
})

test('who asks and does not read the answer is cut off, whatever it says meanwhile', async t => {
  const rig = await open(t, SHORT_MS)
  rig.text = 'x'.repeat(64 * 1024 * 1024)
  const socket = await rawSocket(t, rig.port)
  socket.pause()
  const request = 'GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n'
  socket.write(request)
  // Who does not read learns of the end by writing.
  await dribble(socket, request, SHORT_MS / 10)
})

test('more at a time than anybody needs are turned away, the others are served', async t => {
  const rig = await open(t)
  const sockets: Socket[] = []
  for (let i = 0; i < 32; i++) sockets.push(await rawSocket(t, rig.port))
  const [first] = sockets
  assert.ok(first !== undefined)
  first.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')
  const [answer] = (await once(first, 'data')) as [Buffer]
  assert.match(String(answer), /^HTTP\/1\.1 200 OK/)
  const late = connect(rig.port, '127.0.0.1')
  t.after(() => late.destroy())
  late.on('error', () => undefined)
  late.resume()
  await closed(late)
  first.destroy()
})

test('headers without end are refused', async t => {
  const rig = await open(t)
  const socket = await rawSocket(t, rig.port)
  socket.write(`GET /metrics HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(String(answer), /^HTTP\/1\.1 431 /)
  assert.deepEqual(rig.asked, [])
})

test('closing ends who is connected and who waits for an answer', async t => {
  const host: AdminHost = {
    metrics: () => new Promise(() => undefined),
    readiness: () => ({ reason: null, space: 'enough' }),
    failed: () => undefined,
  }
  const listener = await listenAdmin(host, { host: '127.0.0.1', port: 0, timeoutMs: 60_000 })
  const idle = await rawSocket(t, listener.address.port)
  const waiting = await rawSocket(t, listener.address.port)
  waiting.write('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n')
  for (const socket of [idle, waiting]) socket.resume()
  const bothClosed = Promise.all([idle, waiting].map(closed))
  await listener.close()
  await bothClosed
})

test('a port that is taken is said by the system, and nothing is left open', async t => {
  const rig = await open(t)
  const host: AdminHost = {
    metrics: () => Promise.reject(new Error('never')),
    readiness: () => rig.readiness,
    failed: () => undefined,
  }
  const again = listenAdmin(host, { host: '127.0.0.1', port: rig.port, timeoutMs: 1000 })
  await assert.rejects(again, { code: 'EADDRINUSE' })
})
