// MQTT 5.0 and 3.1.1 chapter 6: MQTT over WebSocket, seen by a client of `ws`.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { Decoder, encodePacket, PacketType } from '@godwit/packet'
import { WebSocket } from 'ws'
import type { BrokerOptions } from '../options.ts'
import { type BrokerServer, createBroker } from '../server.ts'
import { connectPacket } from '../testing/harness.ts'

const CONNECT = encodePacket(connectPacket(), 5)
const PINGREQ = Uint8Array.of(0xc0, 0)

/** A client of a broker that listens on WebSocket, while `use` runs. */
async function withClient(
  protocols: string[],
  use: (socket: WebSocket, broker: BrokerServer) => Promise<void>,
  options: BrokerOptions = {},
): Promise<void> {
  const broker = createBroker(options)
  const { port } = await broker.listen({ port: 0, ws: true })
  const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, protocols)
  try {
    await use(socket, broker)
  } finally {
    socket.terminate()
    await broker.close({ drainSeconds: 0 })
  }
}

/** Resolves with the types of the first `count` packets. */
function packetTypes(socket: WebSocket, count: number): Promise<number[]> {
  const decoder = new Decoder(1000)
  const types: number[] = []
  return new Promise(resolve => {
    socket.on('message', (data: Buffer, isBinary) => {
      assert.equal(isBinary, true)
      decoder.push(data)
      while (decoder.next()) types.push(decoder.first >> 4)
      if (types.length >= count) resolve(types)
    })
  })
}

for (const protocol of ['mqtt', 'mqttv3.1']) {
  test(`the server selects the subprotocol ${protocol} [MQTT-6.0.0-4] [MQTT-6.0.0-4 v3]`, async () => {
    await withClient(['other', protocol], async socket => {
      await once(socket, 'open')
      assert.equal(socket.protocol, protocol)
    })
  })
}

test('packets need not align with frames [MQTT-6.0.0-2] [MQTT-6.0.0-2 v3]', async () => {
  await withClient(['mqtt'], async socket => {
    await once(socket, 'open')
    const types = packetTypes(socket, 3)
    for (const byte of CONNECT) socket.send(Uint8Array.of(byte))
    socket.send(Uint8Array.of(...PINGREQ, ...PINGREQ))
    assert.deepEqual(await types, [PacketType.CONNACK, PacketType.PINGRESP, PacketType.PINGRESP])
  })
})

test('a text frame closes the connection [MQTT-6.0.0-1] [MQTT-6.0.0-1 v3]', async () => {
  await withClient(['mqtt'], async socket => {
    await once(socket, 'open')
    const connected = packetTypes(socket, 1)
    socket.send(CONNECT)
    await connected
    const closed = once(socket, 'close')
    socket.send('text')
    await closed
  })
})

test('what is kept of a message that is not whole counts', async () => {
  const limits = { totalIncomingBytesMax: 20_000 }
  await withClient(
    ['mqtt'],
    async (socket, broker) => {
      await once(socket, 'open')
      const types = packetTypes(socket, 2)
      socket.send(CONNECT)
      // More than one read brings; as packets each of them is whole.
      const pings = new Uint8Array(200_000)
      for (let at = 0; at < pings.length; at += PINGREQ.length) pings.set(PINGREQ, at)
      socket.send(pings)
      assert.deepEqual((await types).slice(0, 2), [PacketType.CONNACK, PacketType.DISCONNECT])
      assert.equal(broker.stats().clientsConnected, 0)
    },
    { limits },
  )
})

test('what comes behind the end of a WebSocket is kept by nobody and does not count', async () => {
  const limits = { totalIncomingBytesMax: 20_000 }
  await withClient(
    ['mqtt'],
    async (socket, broker) => {
      await once(socket, 'open')
      const connected = packetTypes(socket, 1)
      socket.send(CONNECT)
      await connected
      const gone = once(broker, 'clientDisconnected')
      const { _socket: raw } = socket as unknown as { _socket: Socket }
      const closed = once(socket, 'close')
      socket.close()
      raw.write(new Uint8Array(200_000))
      await closed
      const [{ text }] = await gone
      assert.equal(text, 'the WebSocket was closed')
    },
    { limits },
  )
})
