// Acknowledged messages per second at QoS 1, each publisher with one message on its way, to a
// persistent session that is away and to one that is there: Godwit on disk and in memory, and
// Mosquitto with its persistence where it is installed. What a PUBACK stands for is beside each.

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodePacket, NO_PROPERTIES, type Packet, PacketType } from '@godwit/packet'

const PUBLISHERS = [1, 64, 1024]
const SECONDS = 3
const PAYLOAD_BYTES = 200
const MOSQUITTO = '/usr/sbin/mosquitto'

interface Running {
  readonly port: number
  /** @returns the longest stall of the event loop since the last call, or null */
  stall(): Promise<number | null>
  stop(): Promise<void>
}

interface Subject {
  readonly name: string
  readonly promise: string
  start(directory: string): Promise<Running>
}

const Subjects: readonly Subject[] = [
  {
    name: 'godwit, on disk',
    promise: 'fsynced before PUBACK',
    start: directory => startGodwit(join(directory, 'data')),
  },
  { name: 'godwit, in memory', promise: 'none', start: () => startGodwit('') },
  {
    name: 'mosquitto, persistence true',
    promise: 'none: a snapshot by timer or at the end',
    start: startMosquitto,
  },
]

/** Prints one line per broker, kind of session and number of publishers. */
export async function run(): Promise<void> {
  const titles = ['broker', 'PUBACK promises', 'session', 'publishers', 'acked/s']
  console.log(`| ${[...titles, 'p50 ms', 'p99 ms', 'stall ms'].join(' | ')} |`)
  console.log('|---|---|---|---|---|---|---|---|')
  for (const subject of Subjects) {
    if (subject.start === startMosquitto && !existsSync(MOSQUITTO)) continue
    for (const isThere of [false, true]) {
      for (const count of PUBLISHERS) await measure(subject, isThere, count)
    }
  }
}

async function measure(subject: Subject, isThere: boolean, count: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-bench-store-'))
  const broker = await subject.start(directory)
  try {
    const subscriber = await subscribe(broker.port, isThere)
    const publishers = await Promise.all(
      Array.from({ length: count }, (_, i) => Publisher.open(broker.port, i)),
    )
    await broker.stall()
    const startedMs = performance.now()
    const endMs = startedMs + SECONDS * 1000
    await Promise.all(publishers.map(publisher => publisher.run(endMs)))
    const seconds = (performance.now() - startedMs) / 1000
    const stallMs = await broker.stall()
    const times = publishers.flatMap(publisher => publisher.times).toSorted((a, b) => a - b)
    const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(2)
    const session = isThere ? 'there' : 'away'
    const rate = Math.round(times.length / seconds)
    const stall = stallMs === null ? '' : stallMs.toFixed(1)
    const cells = [subject.name, subject.promise, session, count, rate, at(0.5), at(0.99), stall]
    console.log(`| ${cells.join(' | ')} |`)
    for (const { socket } of publishers) socket.destroy()
    subscriber?.destroy()
  } finally {
    await broker.stop()
    rmSync(directory, { recursive: true, force: true })
  }
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

async function startGodwit(directory: string): Promise<Running> {
  const program = fileURLToPath(new URL('./store-broker.js', import.meta.url))
  const child = fork(program, [directory])
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const stall = async (): Promise<number> => {
    child.send('stall')
    const [{ stallMs }] = (await once(child, 'message')) as [{ stallMs: number }]
    return stallMs
  }
  return { port, stall, stop: () => ended(child) }
}

async function startMosquitto(directory: string): Promise<Running> {
  const port = await freePort()
  const file = join(directory, 'mosquitto.conf')
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${directory}/`,
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'user root',
  ]
  writeFileSync(file, lines.join('\n'))
  const child = spawn(MOSQUITTO, ['-c', file], { stdio: 'ignore' })
  await listening(port)
  return { port, stall: () => Promise.resolve(null), stop: () => ended(child) }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => setTimeout(() => resolve(false), 25))
    })
    if (isOpen) return
  }
  throw new Error(`nobody listens on port ${port}`)
}
