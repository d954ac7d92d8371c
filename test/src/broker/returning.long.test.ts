// A client that returns to a hundred thousand queued messages: page by page, in order, and another
// client is answered meanwhile.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'
import { RawClient } from '../support/raw-client.ts'

const MESSAGES = 100_000
const WINDOW = 1000
const PAYLOAD_BYTES = 64
/** A page is 512 messages, and the client may have 256 in flight. */
const BETWEEN_PINGS_MAX = 4 * 512
const KEPT = { clientId: 'away', cleanStart: false } as const

async function fill(port: number): Promise<void> {
  const subscriber = RawClient.tcp(port, 4)
  await subscriber.connect(KEPT)
  await subscriber.subscribe('t')
  subscriber.send({ type: PacketType.DISCONNECT, reasonCode: 0, properties: NO_PROPERTIES })
  await subscriber.closed
  const publisher = RawClient.tcp(port, 4)
  await publisher.connect({ clientId: 'publisher' })
  const payload = Buffer.alloc(PAYLOAD_BYTES)
  for (let sent = 0; sent < MESSAGES; sent += WINDOW) {
    for (let i = 0; i < WINDOW; i++) {
      payload.writeUInt32BE(sent + i)
      const words = { topic: 't', payload, qos: 1, retain: false, dup: false } as const
      const rest = { packetId: i + 1, properties: NO_PROPERTIES }
      publisher.send(encodePacket({ type: PacketType.PUBLISH, ...words, ...rest }, 4))
    }
    for (let i = 0; i < WINDOW; i++) await publisher.expect(PacketType.PUBACK)
  }
  publisher.destroy()
}

class Returning {
  received = 0
  private readonly client: RawClient

  constructor(client: RawClient) {
    this.client = client
  }

  /** Takes and acknowledges all, and looks at their order. */
  async takeAll(): Promise<void> {
    while (this.received < MESSAGES) {
      const { payload, packetId } = await this.client.expect(PacketType.PUBLISH)
      assert.equal(Buffer.from(payload).readUInt32BE(), this.received)
      this.received++
      const ack = { type: PacketType.PUBACK, packetId, reasonCode: 0 } as const
      this.client.send({ ...ack, properties: NO_PROPERTIES })
    }
  }
}

/** Pings until all have come. @returns how many came at most between a ping and its answer */
async function pingMeanwhile(port: number, returning: Returning): Promise<number> {
  const other = RawClient.tcp(port, 4)
  await other.connect({ clientId: 'other' })
  let most = 0
  let pings = 0
  while (returning.received < MESSAGES) {
    const before = returning.received
    await other.ping()
    most = Math.max(most, returning.received - before)
    pings++
  }
  other.destroy()
  assert.ok(pings > MESSAGES / BETWEEN_PINGS_MAX, `${pings} pings`)
  return most
}

async function withDisk(use: (broker: BrokerServer, port: number) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-returning-'))
  const limits = { queuedMessagesMax: MESSAGES, queuedBytesMax: 1024 ** 3 }
  const broker = createBroker({ store: { directory }, limits, statsIntervalSeconds: 0 })
  try {
    const { port } = await broker.listen({ port: 0 })
    await use(broker, port ?? 0)
  } finally {
    await broker.close({ drainSeconds: 0 })
    rmSync(directory, { recursive: true, force: true })
  }
}

test('who returns to 100 000 messages gets them in order, and others are answered', async t => {
  await withDisk(async (broker, port) => {
    await fill(port)
    const client = RawClient.tcp(port, 4)
    await client.connect(KEPT)
    const returning = new Returning(client)
    const [most] = await Promise.all([pingMeanwhile(port, returning), returning.takeAll()])
    t.diagnostic(`at most ${most} messages between a ping and its answer`)
    assert.ok(most <= BETWEEN_PINGS_MAX, `${most} messages before a ping was answered`)
    await client.ping()
    assert.deepEqual(broker.losses(), [])
    client.destroy()
  })
})
