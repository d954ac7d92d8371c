// Statements on a client's transports, TCP and WebSocket, against servers that are byte scripts.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect, MqttError } from '@godwit/client'

const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const BINARY = 2
const TEXT = 1
const CLOSE = 8
const CONNACK = { 4: [0x20, 2, 0, 0], 5: [0x20, 3, 0, 0, 0] } as const
/** PUBLISH of QoS 0, topic "t", payload "m". */
const PUBLISH = { 4: [0x30, 4, 0, 1, 0x74, 0x6d], 5: [0x30, 5, 0, 1, 0x74, 0, 0x6d] } as const
const LEVELS = [4, 5] as const

async function portOf(server: Server, context: TestContext): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The bytes that come until there are so many. */
async function read(socket: Socket, atLeast: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  while (Buffer.concat(chunks).length < atLeast) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** An unmasked frame of a server, of less than 126 bytes. */
function wsFrame(opcode: number, ...payload: number[]): Uint8Array {
  return Uint8Array.from([0x80 | opcode, payload.length, ...payload])
}

interface Upgraded {
  readonly request: IncomingMessage
  readonly socket: Socket
}

/** A WebSocket server that answers the first request with the subprotocol `mqtt`. */
async function webSocketServer(context: TestContext): Promise<{
  readonly url: string
  readonly upgraded: Promise<Upgraded>
}> {
  const server = createHttpServer()
  const upgraded = new Promise<Upgraded>(resolve => {
    server.once('upgrade', (request, socket) => {
      const key = `${request.headers['sec-websocket-key']}${KEY_SUFFIX}`
      const accept = createHash('sha1').update(key).digest('base64')
      const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
      const rest = [`Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: mqtt', '', '']
      socket.write([...head, ...rest].join('\r\n'))
      context.after(() => socket.destroy())
      resolve({ request, socket: socket as Socket })
    })
  })
  const port = await portOf(server, context)
  return { url: `ws://127.0.0.1:${port}/mqtt`, upgraded }
}

test('TCP: packets that come byte by byte are whole [MQTT-4.2-1] [MQTT-7.1.2-1 v3]', async context => {
  for (const protocolVersion of LEVELS) {
    const server = createServer()
    const accepted = once(server, 'connection')
    const port = await portOf(server, context)
    const connecting = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion, reconnect: false })
    const [socket] = (await accepted) as [Socket]
    context.after(() => socket.destroy())
    socket.setNoDelay(true)
    assert.equal((await read(socket, 12))[0], 0x10)
    for (const byte of CONNACK[protocolVersion]) socket.write(Uint8Array.of(byte))
    const client = await connecting
    const messages = client.unclaimed()
    for (const byte of PUBLISH[protocolVersion]) socket.write(Uint8Array.of(byte))
    const message = await messages.next()
    assert.equal(message.done === true ? '' : message.value.text(), 'm')
    const closing = client.close()
    socket.destroy()
    await closing
  }
})

test('WebSocket: the client offers "mqtt" and sends binary frames, that need not be packets \
[MQTT-6.0.0-1] [MQTT-6.0.0-2] [MQTT-6.0.0-3] [MQTT-6.0.0-1 v3] [MQTT-6.0.0-2 v3] \
[MQTT-6.0.0-3 v3]', async context => {
  for (const protocolVersion of LEVELS) {
    const { url, upgraded } = await webSocketServer(context)
    const connecting = connect(url, { protocolVersion, reconnect: false })
    const { request, socket } = await upgraded
    const offered = `${request.headers['sec-websocket-protocol']}`.split(/, */)
    assert.ok(offered.includes('mqtt'), `offered ${offered}`)
    const first = await read(socket, 14)
    assert.equal(first[0], 0x80 | BINARY)
    // Not one packet lies in a frame of its own.
    const [head, ...rest] = CONNACK[protocolVersion]
    socket.write(wsFrame(BINARY, head))
    socket.write(wsFrame(BINARY, ...rest))
    const client = await connecting
    const messages = client.unclaimed()
    const twice = [...PUBLISH[protocolVersion], ...PUBLISH[protocolVersion]]
    socket.write(wsFrame(BINARY, ...twice.slice(0, 4)))
    socket.write(wsFrame(BINARY, ...twice.slice(4)))
    for (let i = 0; i < 2; i++) {
      const message = await messages.next()
      assert.equal(message.done === true ? '' : message.value.text(), 'm')
    }
    const closing = client.close()
    socket.destroy()
    await closing
  }
})

test('WebSocket: a text frame ends the connection [MQTT-6.0.0-1] [MQTT-6.0.0-1 v3]', async context => {
  for (const protocolVersion of LEVELS) {
    const { url, upgraded } = await webSocketServer(context)
    const connecting = connect(url, { protocolVersion, reconnect: false })
    connecting.catch(() => undefined)
    const { socket } = await upgraded
    await read(socket, 14)
    socket.write(wsFrame(TEXT, ...CONNACK[protocolVersion]))
    const answer = await read(socket, 2)
    assert.equal(answer[0], 0x80 | CLOSE)
    socket.end()
    await assert.rejects(connecting, MqttError)
  }
})
