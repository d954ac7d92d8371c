// Connections that come through a proxy which says for whom, over TCP, TLS and WebSocket.

import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { ListenOptions } from '@godwit/broker'
import { WebSocket } from 'ws'
import { nextEvent, untilEmpty, withBroker } from '../support/brokers.ts'
import { Authority } from '../support/certificates.ts'
import { connectPacket, RawClient } from '../support/raw-client.ts'
import { webSocketStream } from '../support/web-socket.ts'

const V1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n')
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const IPV4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb]

/** A header of version 2, with a certificate's name that the proxy has verified. */
function v2(commonName: string): Buffer {
  const name = [...Buffer.from(commonName)]
  const inner = [0x07, 0, 0, 0, 0, 0x22, 0, name.length, ...name]
  const body = commonName === '' ? IPV4 : [...IPV4, 0x20, 0, inner.length, ...inner]
  return Buffer.from([...SIGNATURE, 0x21, 0x11, 0, body.length, ...body])
}

const authority = await Authority.create('proxy test')
const server = await authority.issue({ commonName: 'broker' })

/** Opens a connection as the listener wants it, behind the header. */
function open(listener: ListenOptions, port: number, header: Buffer): RawClient {
  const socket = connectTcp(port, '127.0.0.1')
  socket.write(header)
  const secure = (): Socket => connectTls({ socket, ca: authority.cert, servername: 'localhost' })
  if (listener.ws !== true) return new RawClient(listener.tls === undefined ? socket : secure())
  const scheme = listener.tls === undefined ? 'ws' : 'wss'
  const webSocket = new WebSocket(`${scheme}://localhost:${port}/mqtt`, ['mqtt'], {
    createConnection: listener.tls === undefined ? () => socket : secure,
  })
  return new RawClient(webSocketStream(webSocket))
}

const tls = { cert: server.cert, key: server.key }
const Listeners: ListenOptions[] = [{}, { tls }, { ws: true }, { ws: true, tls }]

for (const listener of Listeners) {
  const how = `${listener.ws === true ? 'WebSocket' : 'MQTT'}${listener.tls ? ' over TLS' : ''}`
  for (const [version, header] of [
    [1, V1],
    [2, v2('')],
  ] as const) {
    test(`a PROXY header of version ${version} names the client: ${how}`, async () => {
      await withBroker({}, async broker => {
        const { port } = await broker.listen({ port: 0, proxyProtocol: true, ...listener })
        const client = open(listener, port, header)
        const { reasonCode } = await client.connect({ clientId: 'c' })
        assert.equal(reasonCode, 0)
        const [view] = broker.clients()
        assert.equal(view?.origin.remoteAddress, '192.0.2.1')
        assert.equal(view?.origin.remotePort, 56_324)
        client.destroy()
      })
    })
  }

  test(`a client without a header is turned away: ${how}`, async () => {
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0, proxyProtocol: true, ...listener })
      const refused = nextEvent(broker, 'refused')
      const client = RawClient.tcp(port).send(connectPacket())
      assert.match((await refused).text, /does not begin with a PROXY header/)
      await client.closed
      await untilEmpty(broker)
    })
  })
}

test('header and CONNECT may come in one piece, or byte by byte', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, proxyProtocol: true })
    const whole = RawClient.tcp(port).send(V1)
    assert.equal((await whole.connect()).reasonCode, 0)
    const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    const slow = new RawClient(socket)
    for (const byte of V1) slow.send([byte])
    assert.equal((await slow.connect()).reasonCode, 0)
    for (const client of [whole, slow]) client.destroy()
  })
})

test('a header that does not come to an end is cut off in time', async () => {
  await withBroker({ limits: { connectTimeoutMs: 300 } }, async broker => {
    const { port } = await broker.listen({ port: 0, proxyProtocol: true })
    const refused = nextEvent(broker, 'refused')
    const client = RawClient.tcp(port).send(V1.subarray(0, 10))
    await client.closed
    assert.match((await refused).text, /took too long/)
  })
})

for (const trustCertificate of [false, true]) {
  test(`the name of a certificate that the proxy saw counts: ${trustCertificate}`, async () => {
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0, proxyProtocol: { trustCertificate } })
      const client = RawClient.tcp(port).send(v2('device-7'))
      await client.connect()
      const certificate = trustCertificate
        ? { commonName: 'device-7', names: [], subject: '' }
        : null
      assert.deepEqual(broker.clients()[0]?.origin.certificate, certificate)
      client.destroy()
    })
  })
}

test('a broker that closes ends those that have not said who they are', async () => {
  let waiting: RawClient | null = null
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, proxyProtocol: true })
    const known = RawClient.tcp(port).send(V1)
    await known.connect()
    // This one came before, and says nothing.
    waiting = RawClient.tcp(port).send(V1.subarray(0, 3))
    const other = RawClient.tcp(port).send(V1)
    await other.connect()
  })
  await (waiting as RawClient | null)?.closed
})
