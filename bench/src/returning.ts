// A client returns to 100 000 queued messages on disk: how fast it gets them, and how long another
// client waits for the answers to its pings before and meanwhile.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Decoder, encodePacket, NO_PROPERTIES, type Packet, PacketType } from '@godwit/packet'
import { Subjects } from './store-brokers.ts'

const MESSAGES = 100_000
const PAYLOAD_BYTES = 200
const WINDOW = 1000
const QUIET_MS = 2000
const PINGER = fileURLToPath(new URL('./pinger.js', import.meta.url))

export async function run(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-bench-returning-'))
  const [godwit] = Subjects
  const broker = await godwit?.start(directory)
  if (broker === undefined) throw new Error('there is no broker')
  try {
    await fill(broker.port)
    const pinger = fork(PINGER, [String(broker.port)])
    await once(pinger, 'message')
    await broker.stall()
    await new Promise(resolve => setTimeout(resolve, QUIET_MS))
    console.log(`| ${PAYLOAD_BYTES} bytes each | seconds | messages/s | ping p50 ms | p99 | max |`)
    console.log('|---|---|---|---|---|---|')
    console.log(`| nobody returns | | | ${await pings(pinger)} |`)
    const { seconds, inOrder } = await takeAll(broker.port)
    const rate = Math.round(MESSAGES / seconds)
    const words = `${MESSAGES} messages return${inOrder ? ', in order' : ', OUT OF ORDER'}`
    console.log(`| ${words} | ${seconds.toFixed(2)} | ${rate} | ${await pings(pinger)} |`)
    const stall = await broker.stall()
    if (stall !== null) {
      const { p99Ms, maxMs, storeMs, collectionMs } = stall
      const of = `of it the store ${storeMs.toFixed(1)}, garbage ${collectionMs.toFixed(1)}`
      console.log(`\nevent loop late: p99 ${p99Ms.toFixed(1)}, max ${maxMs.toFixed(1)} ms (${of})`)
    }
    pinger.kill()
  } finally {
    await broker.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function pings(pinger: ChildProcess): Promise<string> {
  pinger.send('report')
  const [times] = (await once(pinger, 'message')) as [number[]]
  return times.map(ms => ms.toFixed(2)).join(' | ')
}

async function fill(port: number): Promise<void> {
  const subscriber = await connected(port, 'away', false)
  const request = { filter: 't', qos: 1, noLocal: false, retainAsPublished: false } as const
  const subscriptions = [{ ...request, retainHandling: 0 } as const]
  const type = PacketType.SUBSCRIBE
  send(subscriber, { type, packetId: 1, subscriptions, properties: NO_PROPERTIES })
  await once(subscriber, 'data')
  subscriber.destroy()
  const publisher = await connected(port, 'publisher', true)
  const payload = Buffer.alloc(PAYLOAD_BYTES)
  let acknowledged = 0
  publisher.on('data', (chunk: Buffer) => {
    acknowledged += chunk.length / 4
  })
  for (let sent = 0; sent < MESSAGES; sent += WINDOW) {
    const packets: Uint8Array[] = []
    for (let i = 0; i < WINDOW; i++) {
      payload.writeUInt32BE(sent + i)
      const words = { topic: 't', payload, qos: 1, retain: false, dup: false } as const
      const rest = { packetId: i + 1, properties: NO_PROPERTIES }
      packets.push(encodePacket({ type: PacketType.PUBLISH, ...words, ...rest }, 4))
    }
    publisher.write(Buffer.concat(packets))
    while (acknowledged < sent + WINDOW) await once(publisher, 'data')
  }
  publisher.destroy()
}

async function takeAll(port: number): Promise<{ seconds: number; inOrder: boolean }> {
  const startedMs = performance.now()
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const decoder = new Decoder(1024 * 1024)
  let received = 0
  let inOrder = true
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', chunk => {
      const acks: number[] = []
      decoder.push(chunk)
      while (decoder.next()) {
        const { first, bytes, bodyStart, end } = decoder
        if (first >> 4 !== PacketType.PUBLISH) continue
        const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        inOrder &&= view.readUInt32BE(end - PAYLOAD_BYTES) === received
        received++
        // Behind the topic of one character.
        acks.push(0x40, 2, view[bodyStart + 3] ?? 0, view[bodyStart + 4] ?? 0)
      }
      if (acks.length > 0) socket.write(Uint8Array.from(acks))
      if (received === MESSAGES) resolve()
    })
  })
  open(socket, 'away', false)
  await done
  socket.destroy()
  return { seconds: (performance.now() - startedMs) / 1000, inOrder }
}

async function connected(port: number, clientId: string, cleanStart: boolean): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  open(socket, clientId, cleanStart)
  await once(socket, 'data')
  return socket
}

function open(socket: Socket, clientId: string, cleanStart: boolean): void {
  const nobody = { will: null, username: null, password: null, bridge: false } as const
  const type = PacketType.CONNECT
  const rest = { protocolLevel: 4, keepAliveSeconds: 0, properties: NO_PROPERTIES } as const
  send(socket, { type, clientId, cleanStart, ...nobody, ...rest })
}

function send(socket: Socket, packet: Packet): void {
  socket.write(encodePacket(packet, 4))
}
