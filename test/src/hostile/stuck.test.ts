// A subscriber that stops reading, over each transport: its bytes are bounded, what it does not get
// is counted, and when it reads again it finds whole packets.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { BrokerServer } from '@godwit/broker'
import { encodePacket, PacketType } from '@godwit/packet'
import { WebSocket } from 'ws'
import { withBroker } from '../support/brokers.ts'
import { makeCertificates } from '../support/certificates.ts'
import { pour, publishPacket, RawClient } from '../support/raw-client.ts'
import { webSocketStream } from '../support/web-socket.ts'

const MIB = 1024 * 1024
const COUNT = 2000
const PAYLOAD = Buffer.alloc(20_000, 'x')

interface Stuck {
  readonly client: RawClient
  pause(): void
  resume(): void
}

type Open = (broker: BrokerServer, folder: string) => Promise<Stuck>

function ofStream(client: RawClient): Stuck {
  const { stream } = client
  return { client, pause: () => stream.pause(), resume: () => stream.resume() }
}

const Transports: Record<string, Open> = {
  memory: async broker => ofStream(new RawClient(broker.connect())),
  unix: async (broker, folder) => {
    const path = join(folder, 'mqtt.sock')
    await broker.listen({ unix: path })
    return ofStream(new RawClient(connectTcp(path)))
  },
  tls: async broker => {
    const { ca, server } = await makeCertificates()
    const { port } = await broker.listen({ port: 0, tls: { cert: server.cert, key: server.key } })
    return ofStream(new RawClient(connectTls({ port, host: '127.0.0.1', ca })))
  },
  ws: async broker => {
    const { url } = await broker.listen({ port: 0, ws: true })
    const webSocket = new WebSocket(url, ['mqtt'])
    const client = new RawClient(webSocketStream(webSocket))
    return { client, pause: () => webSocket.pause(), resume: () => webSocket.resume() }
  },
}

for (const [name, open] of Object.entries(Transports)) {
  test(`a subscriber that stops reading costs little and stops nobody: ${name}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-stuck-'))
    try {
      await withBroker({ limits: { outgoingBytesMax: MIB } }, async broker => {
        const { port } = await broker.listen({ port: 0 })
        const stuck = await open(broker, folder)
        const { client } = stuck
        await client.connect({ clientId: 'stuck' })
        await client.subscribe('flood')
        stuck.pause()
        const publisher = RawClient.tcp(port)
        await publisher.connect({ clientId: 'p' })
        await pour(publisher, Array(COUNT).fill(encodePacket(publishPacket('flood', PAYLOAD), 5)))
        await publisher.ping()
        const [entry] = broker.losses()
        assert.equal(entry?.reason, 'outgoing-full')
        assert.ok(entry.count > COUNT / 2)
        stuck.resume()
        for (let got = 0; got < COUNT - entry.count; got++) {
          const { payload } = await client.expect(PacketType.PUBLISH)
          assert.equal(payload.length, PAYLOAD.length)
        }
        await client.ping()
        publisher.send(publishPacket('flood', 'served again'))
        assert.equal(await client.message(), 'flood served again')
        for (const one of [client, publisher]) one.destroy()
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}
