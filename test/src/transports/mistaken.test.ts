// Who has mistaken the port: the connection ends at once, and the log says what it looked like.

import assert from 'node:assert/strict'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { BrokerServer, ListenOptions } from '@godwit/broker'
import { encodePacket } from '@godwit/packet'
import { nextEvent, untilEmpty, withBroker } from '../support/brokers.ts'
import { Authority } from '../support/certificates.ts'
import { connectPacket } from '../support/raw-client.ts'

const authority = await Authority.create('mistaken ports')
const { cert, key } = await authority.issue({ commonName: 'broker' })

const HTTP = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
const CONNECT = encodePacket(connectPacket(), 5)
/** The log would come too late if it waited for this. */
const NEVER = { limits: { connectTimeoutMs: 1_000_000 } }

/** What the broker says of these bytes, once the connection has ended. */
async function refusalOf(broker: BrokerServer, port: number, bytes: Uint8Array): Promise<string> {
  const refused = nextEvent(broker, 'refused')
  const socket = connectTcp(port, '127.0.0.1', () => socket.write(bytes))
  socket.on('error', () => undefined)
  socket.resume()
  await new Promise<void>(resolve => socket.on('close', () => resolve()))
  return (await refused).text
}

const mistakes: readonly (readonly [
  what: string,
  where: ListenOptions,
  bytes: Uint8Array,
  text: RegExp,
])[] = [
  ['HTTP on a plain port', {}, HTTP, /looks like HTTP; this listener speaks MQTT/],
  ['a PROXY header on a plain port', {}, Buffer.from('PROXY TCP4 '), /looks like a PROXY header/],
  ['what nobody knows', {}, Buffer.from('hello'), /has type 6, expected CONNECT$/],
  ['one byte of it', {}, Buffer.from('G'), /has type 4, expected CONNECT$/],
  [
    'plain MQTT on a TLS port',
    { tls: { cert, key } },
    CONNECT,
    /not TLS, maybe plain MQTT; this listener speaks TLS only/,
  ],
  ['HTTP on a TLS port', { tls: { cert, key } }, HTTP, /looks like HTTP; .* speaks TLS only/],
  ['plain MQTT on a WebSocket port', { ws: true }, CONNECT, /looks like MQTT without WebSocket/],
  ['nonsense on a WebSocket port', { ws: true }, Buffer.from('\0\r\n\r\n'), /is not HTTP: HPE_/],
  [
    'a request with headers that are too large',
    { ws: true },
    Buffer.from(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    /^the headers of an HTTP request are too large: HPE_HEADER_OVERFLOW$/,
  ],
  [
    'plain MQTT on a secure WebSocket port',
    { ws: true, tls: { cert, key } },
    CONNECT,
    /not TLS, maybe plain MQTT/,
  ],
]

for (const [what, where, bytes, text] of mistakes) {
  test(`${what} ends at once and is named`, async () => {
    await withBroker(NEVER, async broker => {
      const { port } = await broker.listen({ port: 0, ...where })
      assert.match(await refusalOf(broker, port, bytes), text)
      await untilEmpty(broker)
    })
  })
}

test('TLS on a plain port ends at once and is named', async () => {
  await withBroker(NEVER, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const refused = nextEvent(broker, 'refused')
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert })
    await new Promise<void>(resolve => socket.on('error', () => resolve()))
    assert.match((await refused).text, /looks like TLS; this listener is plain/)
  })
})
