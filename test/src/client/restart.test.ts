// QoS 2 exactly once across restarts: a real process with a file store is killed at each step of
// the exchange, and a server that is a script sees what the next one sends.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import {
  type ClientPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  readClientPacket,
} from '@godwit/packet'

const { CONNECT, CONNACK, PUBLISH, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK } = PacketType
const CHILD = new URL('./restart-child.js', import.meta.url).pathname
const PACKET_BYTES_MAX = 1_000_000

/** A line of things that come, each taken once. */
class Inbox<T> {
  private readonly items: T[] = []
  private waiting: ((item: T) => void) | null = null

  push(item: T): void {
    const { waiting } = this
    this.waiting = null
    if (waiting === null) this.items.push(item)
    else waiting(item)
  }

  next(): Promise<T> {
    const item = this.items.shift()
    if (item !== undefined) return Promise.resolve(item)
    return new Promise(resolve => {
      this.waiting = resolve
    })
  }

  /** What has come and was not taken. */
  get rest(): readonly T[] {
    return this.items
  }
}

/** One life of the process and its connection. */
class Life {
  readonly packets = new Inbox<ClientPacket>()
  readonly lines = new Inbox<string>()
  private readonly child: ChildProcess
  private readonly socket: Socket

  private constructor(child: ChildProcess, socket: Socket) {
    this.child = child
    this.socket = socket
    const decoder = new Decoder(PACKET_BYTES_MAX)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk)
      while (decoder.next()) {
        const { first, bytes, bodyStart, end } = decoder
        this.packets.push(readClientPacket(first, bytes, bodyStart, end, 5))
      }
    })
    assert.ok(child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', line => this.lines.push(line))
  }

  /** Starts the process, and answers CONNECT and SUBSCRIBE. */
  static async begin(server: Server, path: string, sessionPresent: boolean): Promise<Life> {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `mqtt://127.0.0.1:${address.port}`
    const stdio = ['pipe', 'pipe', 'inherit'] as const
    const child = spawn(process.execPath, [CHILD, url, path], { stdio: [...stdio] })
    const [socket] = (await once(server, 'connection')) as [Socket]
    const life = new Life(child, socket)
    const connect = await life.packets.next()
    assert.ok(connect.type === CONNECT)
    assert.equal(connect.cleanStart, false)
    life.send({ type: CONNACK, sessionPresent, reasonCode: 0, properties: NO_PROPERTIES })
    return life
  }

  /** The next packet but SUBSCRIBE, which is answered. */
  async next(): Promise<ClientPacket> {
    for (;;) {
      const packet = await this.packets.next()
      if (packet.type !== SUBSCRIBE) return packet
      const { packetId } = packet
      this.send({ type: SUBACK, packetId, reasonCodes: [2], properties: NO_PROPERTIES })
    }
  }

  /** The client has subscribed; until then a new session has nobody for what comes. */
  async subscribed(): Promise<void> {
    const packet = await this.packets.next()
    assert.ok(packet.type === SUBSCRIBE)
    const { packetId } = packet
    this.send({ type: SUBACK, packetId, reasonCodes: [2], properties: NO_PROPERTIES })
  }

  send(packet: Packet): void {
    this.socket.write(encodePacket(packet, 5))
  }

  answer(type: typeof PUBREC | typeof PUBREL | typeof PUBCOMP, packetId: number): void {
    this.send({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
  }

  deliver(payload: string, packetId: number, dup: boolean): void {
    const bytes = new TextEncoder().encode(payload)
    const common = { type: PUBLISH, topic: 'in', qos: 2, retain: false } as const
    this.send({ ...common, payload: bytes, dup, packetId, properties: NO_PROPERTIES })
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`)
  }

  async kill(): Promise<void> {
    const closed = once(this.child, 'close')
    this.child.kill('SIGKILL')
    await closed
    this.socket.destroy()
  }
}

async function begin(context: TestContext): Promise<{ server: Server; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-restart-'))
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(async () => {
    server.close()
    await rm(folder, { recursive: true })
  })
  return { server, path: join(folder, 'session') }
}

test('what was sent is sent again by the next process until it is done', async context => {
  const { server, path } = await begin(context)
  let life = await Life.begin(server, path, false)
  life.type('first')
  const sent = await life.next()
  assert.ok(sent.type === PUBLISH)
  assert.equal(sent.dup, false)
  const { packetId } = sent
  await life.kill()

  // Killed before PUBREC: PUBLISH again, with its identifier. [MQTT-4.4.0-1] [MQTT-3.1.2-23]
  life = await Life.begin(server, path, true)
  const again = await life.next()
  assert.deepEqual({ ...again }, { ...sent, dup: true })
  life.answer(PUBREC, packetId)
  const release = await life.next()
  assert.ok(release.type === PUBREL)
  await life.kill()

  // Killed before PUBCOMP: PUBREL again, and no PUBLISH. [MQTT-4.3.3-6]
  life = await Life.begin(server, path, true)
  const released = await life.next()
  assert.ok(released.type === PUBREL)
  assert.equal(released.packetId, packetId)
  life.answer(PUBCOMP, packetId)
  // That it has read it is seen by what follows.
  life.type('second')
  const second = await life.next()
  assert.ok(second.type === PUBLISH)
  assert.equal(new TextDecoder().decode(second.payload), 'second')
  await life.kill()

  // What is done is not sent again; what is not, is.
  life = await Life.begin(server, path, true)
  const last = await life.next()
  assert.deepEqual({ ...last }, { ...second, dup: true })
  await life.kill()
})

test('a message that was taken does not come again in the next process', async context => {
  const { server, path } = await begin(context)
  let life = await Life.begin(server, path, false)
  await life.subscribed()
  life.deliver('one', 7, false)
  assert.equal(await life.lines.next(), 'took one')
  const received = await life.next()
  assert.ok(received.type === PUBREC)
  await life.kill()

  // Killed after PUBREC: the repeat is answered and not taken. [MQTT-4.3.3-10]
  life = await Life.begin(server, path, true)
  life.deliver('one', 7, true)
  const repeated = await life.next()
  assert.equal(repeated.type, PUBREC)
  life.answer(PUBREL, 7)
  const complete = await life.next()
  assert.ok(complete.type === PUBCOMP)
  await life.kill()
  // Lines and packets come by different ways: when it has ended all lines are read.
  assert.deepEqual(life.lines.rest, [])

  // Killed after PUBCOMP: the identifier is a new message. [MQTT-4.3.3-12]
  life = await Life.begin(server, path, true)
  life.deliver('two', 7, false)
  assert.equal(await life.lines.next(), 'took two')
  await life.kill()
})

test('a server that has lost the session gets no PUBREL and no repeat', async context => {
  const { server, path } = await begin(context)
  let life = await Life.begin(server, path, false)
  life.type('first')
  const sent = await life.next()
  assert.ok(sent.type === PUBLISH)
  await life.kill()
  life = await Life.begin(server, path, false)
  // Whether the server had it nobody knows: sending it again could make it two. [MQTT-3.2.2-5]
  life.type('second')
  const next = await life.next()
  assert.ok(next.type === PUBLISH)
  assert.equal(new TextDecoder().decode(next.payload), 'second')
  await life.kill()
})
