// A client that sends what the test says and acknowledges nothing by itself, over any stream.

import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ConnackPacket,
  type ConnectPacket,
  Decoder,
  encodePacket,
  type Packet,
  PacketType,
  type ProtocolLevel,
  type PublishPacket,
  readPacket,
} from '@godwit/packet'

const PACKET_BYTES_MAX = 64 * 1024 * 1024

export class RawClient {
  readonly stream: Duplex
  readonly level: ProtocolLevel
  /** Resolves when the connection has closed, for whatever cause. */
  readonly closed: Promise<void>
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  readonly #packets: Packet[] = []
  readonly #waiting: ((packet: Packet | null) => void)[] = []
  #isClosed = false

  constructor(stream: Duplex, level: ProtocolLevel = 5) {
    this.stream = stream
    this.level = level
    stream.on('data', (chunk: Uint8Array) => this.#take(chunk))
    // How a connection ends is what the test looks at; an error is one way.
    stream.on('error', () => undefined)
    this.closed = new Promise(resolve => {
      stream.on('close', () => {
        this.#isClosed = true
        for (const wake of this.#waiting.splice(0)) wake(null)
        resolve()
      })
    })
  }

  /** Over TCP to this machine. */
  static tcp(port: number, level: ProtocolLevel = 5): RawClient {
    return new RawClient(connectTcp(port, '127.0.0.1'), level)
  }

  /** Sends a packet, or bytes as they are. */
  send(what: Packet | Uint8Array | readonly number[]): this {
    if (what instanceof Uint8Array) this.stream.write(what)
    else if ('type' in what) this.stream.write(encodePacket(what, this.level))
    else this.stream.write(Uint8Array.from(what))
    return this
  }

  /** The next packet; null when the connection closes before one comes. */
  next(): Promise<Packet | null> {
    const packet = this.#packets.shift()
    if (packet !== undefined) return Promise.resolve(packet)
    if (this.#isClosed) return Promise.resolve(null)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /**
   * The next packet, which has to be of this type.
   * @throws Error when it is another, or none comes
   */
  async expect<T extends Packet['type']>(type: T): Promise<Packet & { type: T }> {
    const packet = await this.next()
    if (packet?.type === type) return packet as Packet & { type: T }
    throw new Error(`expected a packet of type ${type}, got ${JSON.stringify(packet)}`)
  }

  /** Sends CONNECT. @returns CONNACK, whatever it says */
  async connect(options: Partial<ConnectPacket> = {}): Promise<ConnackPacket> {
    this.send(connectPacket({ protocolLevel: this.level, ...options }))
    return this.expect(PacketType.CONNACK)
  }

  /** Subscribes. @returns the reason codes */
  async subscribe(...filters: readonly string[]): Promise<readonly number[]> {
    const subscriptions = filters.map(filter => ({
      filter,
      qos: 2 as const,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0 as const,
    }))
    this.send({ type: PacketType.SUBSCRIBE, packetId: 1, subscriptions, properties: {} })
    return (await this.expect(PacketType.SUBACK)).reasonCodes
  }

  /** A round trip: what was sent before has been handled. */
  async ping(): Promise<void> {
    this.send([0xc0, 0])
    await this.expect(PacketType.PINGRESP)
  }

  /** The next message as `topic payload`. */
  async message(): Promise<string> {
    const { topic, payload } = await this.expect(PacketType.PUBLISH)
    return `${topic} ${Buffer.from(payload)}`
  }

  destroy(): void {
    this.stream.destroy()
  }

  #take(chunk: Uint8Array): void {
    this.#decoder.push(chunk.slice())
    while (this.#decoder.next()) {
      const { first, bytes, bodyStart, end } = this.#decoder
      const packet = readPacket(first, bytes, bodyStart, end, this.level, 'server')
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#packets.push(packet)
      else waiting(packet)
    }
  }
}

export function connectPacket(options: Partial<ConnectPacket> = {}): ConnectPacket {
  return {
    type: PacketType.CONNECT,
    protocolLevel: 5,
    cleanStart: true,
    keepAliveSeconds: 0,
    clientId: '',
    will: null,
    username: null,
    password: null,
    bridge: false,
    properties: {},
    ...options,
  }
}

export function publishPacket(
  topic: string,
  payload: string | Uint8Array,
  options: Partial<PublishPacket> = {},
): PublishPacket {
  return {
    type: PacketType.PUBLISH,
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: {},
    ...options,
  }
}

/** Writes byte by byte, one each `everyMs`, until the stream is closed or all is written. */
export function dribble(client: RawClient, bytes: Uint8Array, everyMs: number): void {
  let at = 0
  const timer = setInterval(() => {
    if (at === bytes.length || client.stream.destroyed) clearInterval(timer)
    else client.stream.write(bytes.subarray(at, ++at))
  }, everyMs)
  void client.closed.then(() => clearInterval(timer))
}

/** Writes as fast as the stream takes it. Resolves when all is written, or the stream closed. */
export async function pour(client: RawClient, pieces: Iterable<Uint8Array>): Promise<void> {
  const { stream } = client
  for (const piece of pieces) {
    if (stream.destroyed) return
    if (stream.write(piece)) continue
    await Promise.race([new Promise(resolve => stream.once('drain', resolve)), client.closed])
  }
}
