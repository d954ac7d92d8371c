// Acknowledged messages per second at QoS 1, each publisher with one message on its way, to a
// persistent session that is away and to one that is there: Godwit on disk and in memory, Mosquitto
// with its persistence and NATS with its file store where they are installed.
//
//   npm run bench -- store [seconds per line] [part of a broker's name]

import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { encodePacket, NO_PROPERTIES, type Packet, PacketType } from '@godwit/packet'
import type { Stall } from './store-broker.ts'
import { isThere, type Subject, Subjects } from './store-brokers.ts'

const PUBLISHERS = [1, 64, 1024]
const SECONDS = 10
const PAYLOAD_BYTES = 200
const IDLE_MS = 3000

/** Prints one line per broker, kind of session and number of publishers. */
export async function run(): Promise<void> {
  const [, , , seconds = String(SECONDS), part = ''] = process.argv
  const titles = ['broker', 'when PUBACK comes', 'session', 'publishers', 'acked/s', 'p50 ms']
  titles.push('p99 ms', 'loop p99 ms', 'loop max ms', 'of it store', 'of it gc', 'segments')
  console.log(`${PAYLOAD_BYTES} bytes of payload, ${seconds} s per line. ${await idleLoop()}\n`)
  console.log(`| ${titles.join(' | ')} |`)
  console.log(`|${'---|'.repeat(titles.length)}`)
  for (const subject of Subjects.filter(({ name }) => name.includes(part))) {
    if (!isThere(subject)) continue
    for (const stays of [false, true]) {
      for (const count of PUBLISHERS) await measure(subject, stays, count, Number(seconds))
    }
  }
}

async function measure(
  subject: Subject,
  stays: boolean,
  count: number,
  seconds: number,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-bench-store-'))
  const broker = await subject.start(directory)
  try {
    const subscriber = await subscribe(broker.port, stays)
    const publishers = await Promise.all(
      Array.from({ length: count }, (_, i) => Publisher.open(broker.port, i)),
    )
    await broker.stall()
    const startedMs = performance.now()
    const endMs = startedMs + seconds * 1000
    await Promise.all(publishers.map(publisher => publisher.run(endMs)))
    const elapsed = (performance.now() - startedMs) / 1000
    const stall = await broker.stall()
    const times = publishers.flatMap(publisher => publisher.times).toSorted((a, b) => a - b)
    const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(2)
    const session = stays ? 'there' : 'away'
    const rate = Math.round(times.length / elapsed)
    const loop = stall === null ? ['', '', '', ''] : wordsOf(stall)
    const cells = [subject.name, subject.promise, session, count, rate, at(0.5), at(0.99), ...loop]
    console.log(`| ${[...cells, segmentsIn(directory)].join(' | ')} |`)
    for (const { socket } of publishers) socket.destroy()
    subscriber?.destroy()
  } finally {
    await broker.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What the machine alone does to an event loop that has nothing to do: no broker can be better. */
async function idleLoop(): Promise<string> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  await new Promise(resolve => setTimeout(resolve, IDLE_MS))
  const [p99, max] = [delays.percentile(99), delays.max].map(ns => (ns / 1e6 - 1).toFixed(1))
  return `An idle event loop on this machine: p99 ${p99}, max ${max} ms late.`
}

function wordsOf({ p99Ms, maxMs, storeMs, collectionMs }: Stall): string[] {
  return [p99Ms, maxMs, storeMs, collectionMs].map(ms => ms.toFixed(1))
}

/** How many segments the log has begun, if it is a store of Godwit. */
function segmentsIn(directory: string): string {
  const log = join(directory, 'data', 'log')
  if (!existsSync(log)) return ''
  const numbers = readdirSync(log).map(name => Number(/^(\d+)\.log$/.exec(name)?.[1] ?? 0))
  return String(Math.max(...numbers))
}

class Publisher {
  readonly socket: Socket
  /** Milliseconds from each PUBLISH to its PUBACK. */
  readonly times: number[] = []
  private readonly packet: Uint8Array

  constructor(socket: Socket) {
    this.socket = socket
    const payload = new Uint8Array(PAYLOAD_BYTES)
    const packet = { type: PacketType.PUBLISH, topic: 'bench', payload, qos: 1 } as const
    const rest = { retain: false, dup: false, packetId: 1, properties: NO_PROPERTIES }
    this.packet = encodePacket({ ...packet, ...rest }, 4)
  }

  static async open(port: number, index: number): Promise<Publisher> {
    return new Publisher(await connected(port, `publisher-${index}`, true))
  }

  /** One message after the other, until the time is over. */
  run(endMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let sentMs = performance.now()
      this.socket.on('error', reject)
      this.socket.on('data', () => {
        const nowMs = performance.now()
        this.times.push(nowMs - sentMs)
        sentMs = nowMs
        if (nowMs >= endMs) resolve()
        else this.socket.write(this.packet)
      })
      this.socket.write(this.packet)
    })
  }
}

/** A persistent session for all messages. @returns its connection, when it stays there */
async function subscribe(port: number, stays: boolean): Promise<Socket | null> {
  const socket = await connected(port, 'subscriber', false)
  const request = { filter: 'bench', qos: 1, noLocal: false, retainAsPublished: false } as const
  const subscriptions = [{ ...request, retainHandling: 0 } as const]
  const type = PacketType.SUBSCRIBE
  send(socket, { type, packetId: 1, subscriptions, properties: NO_PROPERTIES })
  await once(socket, 'data')
  if (stays) {
    acknowledgeAll(socket)
    return socket
  }
  send(socket, { type: PacketType.DISCONNECT, reasonCode: 0, properties: NO_PROPERTIES })
  await once(socket, 'close')
  return null
}

/** Answers each PUBLISH of the benchmark, whose frames all have one length. */
function acknowledgeAll(socket: Socket): void {
  const topicBytes = 'bench'.length
  const frameBytes = 3 + 2 + topicBytes + 2 + PAYLOAD_BYTES
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    const count = Math.floor(rest.length / frameBytes)
    const acks = Buffer.alloc(count * 4)
    for (let i = 0; i < count; i++) {
      acks.writeUInt16BE(0x4002, i * 4)
      acks.writeUInt16BE(rest.readUInt16BE(i * frameBytes + 5 + topicBytes), i * 4 + 2)
    }
    rest = rest.subarray(count * frameBytes)
    if (count > 0) socket.write(acks)
  })
}

async function connected(port: number, clientId: string, cleanStart: boolean): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const nobody = { will: null, username: null, password: null, bridge: false } as const
  const type = PacketType.CONNECT
  const rest = { protocolLevel: 4, keepAliveSeconds: 0, properties: NO_PROPERTIES } as const
  send(socket, { type, clientId, cleanStart, ...nobody, ...rest })
  await once(socket, 'data')
  return socket
}

function send(socket: Socket, packet: Packet): void {
  socket.write(encodePacket(packet, 4))
}
