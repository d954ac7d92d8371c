// MQTT over WebSocket, plain and over TLS: who may come in, and what ends a connection.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import type { WebSocketChoice } from '@godwit/broker'
import { PacketType } from '@godwit/packet'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { nextEvent, untilEmpty, withBroker } from '../support/brokers.ts'
import { Authority } from '../support/certificates.ts'
import { connectPacket, publishPacket, RawClient } from '../support/raw-client.ts'
import { webSocketStream } from '../support/web-socket.ts'

const authority = await Authority.create('web socket test')
const server = await authority.issue({ commonName: 'broker' })

/** The status that the server answers an upgrade with; 101 is a WebSocket. */
function statusOf(url: string, protocols: string[], options: ClientOptions): Promise<number> {
  const socket = new WebSocket(url, protocols, options)
  return new Promise(resolve => {
    socket.on('open', () => {
      socket.terminate()
      resolve(101)
    })
    socket.on('unexpected-response', (request, response) => {
      request.destroy()
      resolve(response.statusCode ?? 0)
    })
    socket.on('error', () => undefined)
  })
}

async function status(
  ws: boolean | WebSocketChoice,
  path: string,
  protocols: string[],
  options: ClientOptions = {},
): Promise<number> {
  let result = 0
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, ws })
    result = await statusOf(`ws://127.0.0.1:${port}${path}`, protocols, options)
  })
  return result
}

for (const path of ['/', '/mqtt', '/a/b?c']) {
  test(`where every path is taken, ${path} is one`, async () => {
    assert.equal(await status({ path: '*' }, path, ['mqtt']), 101)
  })
}

for (const [path, expected] of [
  ['/mqtt', 101],
  ['/', 101],
  ['/mqtt?token=x', 101],
  ['/other', 404],
  ['/mqtt/', 404],
] as const) {
  test(`the path ${path} gets ${expected}`, async () => {
    assert.equal(await status(true, path, ['mqtt']), expected)
  })
}

test('a path of its own replaces /mqtt', async () => {
  assert.equal(await status({ path: '/ws' }, '/ws', ['mqtt']), 101)
  assert.equal(await status({ path: '/ws' }, '/mqtt', ['mqtt']), 404)
})

for (const [protocols, expected] of [
  [['mqtt'], 101],
  [['mqttv3.1'], 101],
  [['chat', 'mqtt'], 101],
  [['chat'], 400],
  [['MQTT'], 400],
  [[], 400],
] as const) {
  test(`the subprotocols [${protocols}] get ${expected}`, async () => {
    assert.equal(await status(true, '/mqtt', [...protocols]), expected)
  })
}

for (const [origin, expected] of [
  ['https://app.example', 101],
  ['https://evil.example', 403],
  ['https://app.example.evil.example', 403],
  ['http://app.example', 403],
  ['null', 403],
  [undefined, 101],
] as const) {
  test(`a web page of ${origin} gets ${expected} where one origin is allowed`, async () => {
    const choice = { origins: ['https://app.example'] }
    const options = origin === undefined ? {} : { origin }
    assert.equal(await status(choice, '/mqtt', ['mqtt'], options), expected)
  })
}

test('a client comes in over secure WebSocket', async () => {
  await withBroker({}, async broker => {
    const tls = { cert: server.cert, key: server.key }
    const { url } = await broker.listen({ port: 0, ws: true, tls })
    assert.match(url, /^wss:/)
    const socket = new WebSocket(url, ['mqtt'], { ca: authority.cert })
    const client = new RawClient(webSocketStream(socket))
    assert.equal((await client.connect()).reasonCode, 0)
    assert.equal(broker.clients()[0]?.origin.transport, 'wss')
    client.destroy()
  })
})

test('a browser that looks at the port is told what it is', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, ws: true })
    const response = await fetch(`http://127.0.0.1:${port}/mqtt`)
    assert.equal(response.status, 426)
    assert.match(await response.text(), /MQTT broker/)
  })
})

test('what comes behind a text frame is not read any more', async () => {
  await withBroker({}, async broker => {
    const { url } = await broker.listen({ port: 0, ws: true })
    const socket = new WebSocket(url, ['mqtt'])
    const client = new RawClient(webSocketStream(socket))
    await client.connect({ clientId: 'c' })
    const gone = nextEvent(broker, 'clientDisconnected')
    socket.send('text')
    client.send(publishPacket('t', 'm', { retain: true }))
    await gone
    assert.equal(broker.stats().retainedMessages, 0)
    client.destroy()
  })
})

test('a frame larger than any packet ends the connection', async () => {
  const limits = { packetBytesMax: 1000 }
  await withBroker({ limits }, async broker => {
    const { url } = await broker.listen({ port: 0, ws: true })
    const client = new RawClient(webSocketStream(new WebSocket(url, ['mqtt'])))
    await client.connect({ clientId: 'c' })
    const gone = nextEvent(broker, 'clientDisconnected')
    client.send(Buffer.alloc(3 * 1024 * 1024))
    await gone
    await client.closed
    await untilEmpty(broker)
  })
})

test('an upgrade that does not come to an end is cut off in time', async () => {
  await withBroker({ limits: { connectTimeoutMs: 500 } }, async broker => {
    const { port } = await broker.listen({ port: 0, ws: true })
    const silent = connectTcp(port, '127.0.0.1')
    const half = connectTcp(port, '127.0.0.1')
    half.write('GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n')
    const closed = [silent, half].map(socket => {
      socket.resume()
      socket.on('error', () => undefined)
      return new Promise<void>(resolve => socket.on('close', () => resolve()))
    })
    await Promise.all(closed)
  })
})

test('a client that comes and says nothing of MQTT is cut off in time', async () => {
  await withBroker({ limits: { connectTimeoutMs: 300 } }, async broker => {
    const { url } = await broker.listen({ port: 0, ws: true })
    const client = new RawClient(webSocketStream(new WebSocket(url, ['mqtt'])))
    await client.closed
    await untilEmpty(broker)
  })
})

test('a broker that closes says DISCONNECT 0x8B, then closes the WebSocket', async () => {
  await withBroker({}, async broker => {
    const { url } = await broker.listen({ port: 0, ws: true })
    const client = new RawClient(webSocketStream(new WebSocket(url, ['mqtt'])))
    await client.connect()
    const closed = broker.close()
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x8b)
    await client.closed
    await closed
  })
})

test('it serves an HTTP server that was brought along beside what else it does', async () => {
  const http = createServer((_request, response) => response.end('mine'))
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  const address = http.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  await withBroker({}, async broker => {
    await broker.listen({ server: http, ws: { path: '/live' } })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, ['mqtt'])
    const client = new RawClient(webSocketStream(socket))
    client.send(connectPacket())
    await client.expect(PacketType.CONNACK)
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'mine')
    client.destroy()
    const nobodys = new WebSocket(`ws://127.0.0.1:${port}/chat`, ['chat'])
    const [refusal] = await once(nobodys, 'error')
    assert.match(String(refusal), /404/)
    const chat = new WebSocketServer({ noServer: true })
    http.on('upgrade', (request, stream, head) => {
      if (request.url === '/chat') chat.handleUpgrade(request, stream, head, own => own.send('hi'))
    })
    const other = new WebSocket(`ws://127.0.0.1:${port}/chat`, ['chat'])
    const [message] = await once(other, 'message')
    assert.equal(String(message), 'hi')
    other.terminate()
  })
  assert.equal(http.listening, true, 'whoever brought it stops it')
  http.closeAllConnections()
  await new Promise(resolve => http.close(resolve))
})
