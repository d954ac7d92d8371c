// A world that the test turns by hand: its clock, its turns and its network. Servers are scripts:
// they decode what the client wrote and send what the test says.

import {
  type AckPacket,
  type ClientPacket,
  type ConnackPacket,
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  type QoS,
  readClientPacket,
} from '@godwit/packet'
import type { Client } from '../client.ts'
import type { ConnectOptions } from '../options.ts'
import { AllParts, type Parts } from '../parts.ts'
import type { Channels, Dial, Platform, Transport, TransportHandler } from '../transport.ts'
import { kind } from './kind.ts'

const PACKET_BYTES_MAX = 300_000_000
const { PUBLISH, CONNACK, SUBACK, UNSUBACK, PUBACK, PUBREC, PUBREL, PUBCOMP } = PacketType

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

/** The platform of a client under test. */
export class World implements Platform {
  now = 1000
  /** What `random` gives. */
  chance = 0.5
  canPause = true
  /** Every connection that was dialled, oldest first. */
  readonly peers: Peer[] = []
  readonly urls: string[] = []
  /** Whether a new connection opens by itself. */
  opensAtOnce = true
  describe: Platform['describe'] = null
  channels: Channels | null = null
  private readonly controller = new AbortController()
  private readonly timers = new Set<Timer>()
  private turn: (() => void)[] = []
  private ids = 0

  /** Fires at `abort`. */
  get signal(): AbortSignal {
    return this.controller.signal
  }

  abort(): void {
    this.controller.abort()
  }

  nowMs = (): number => this.now
  random = (): number => this.chance

  randomBytes(length: number): Uint8Array {
    this.ids++
    return new Uint8Array(length).fill(this.ids)
  }

  atTurnEnd(task: () => void): void {
    this.turn.push(task)
  }

  after(delayMs: number, task: () => void): unknown {
    const timer = { dueMs: this.now + delayMs, task }
    this.timers.add(timer)
    return timer
  }

  cancel(timer: unknown): void {
    this.timers.delete(timer as Timer)
  }

  dial(url: URL): Dial {
    return handler => {
      this.urls.push(url.href)
      const peer = new Peer(handler, this)
      this.peers.push(peer)
      if (this.opensAtOnce) queueMicrotask(() => peer.open())
      return peer
    }
  }

  adopt(): null {
    return null
  }

  parts(): Parts | Promise<Parts> {
    return AllParts
  }

  /** How many timers are set. */
  get timerCount(): number {
    return this.timers.size
  }

  /** The connection dialled last. */
  get peer(): Peer {
    const peer = this.peers.at(-1)
    if (peer === undefined) throw new Error('nothing was dialled')
    return peer
  }

  /** Runs promises and turns until nothing moves. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise(resolve => setImmediate(resolve))
      const due = this.turn
      this.turn = []
      if (due.length > 0) quiet = -1
      for (const task of due) task()
    }
  }

  /** Turns the clock, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    await this.settle()
    for (;;) {
      let next: Timer | null = null
      for (const timer of this.timers) {
        if (timer.dueMs <= end && (next === null || timer.dueMs < next.dueMs)) next = timer
      }
      if (next === null) break
      this.timers.delete(next)
      this.now = Math.max(this.now, next.dueMs)
      next.task()
      await this.settle()
    }
    this.now = end
  }

  /** Begins to connect. */
  begin(options: ConnectOptions = {}): Promise<Client> {
    const client = kind.open(this, 'test://server', options)
    // A test that waits for the failure does so later.
    client.catch(() => undefined)
    return client
  }

  /** Connects, as far as a client that was accepted. */
  async connected(
    options: ConnectOptions = {},
    connack: Partial<ConnackPacket> = {},
  ): Promise<Client> {
    const client = this.begin(options)
    await this.settle()
    const { protocolVersion } = options
    this.peer.level = typeof protocolVersion === 'number' ? protocolVersion : 5
    this.peer.accept(connack)
    await this.settle()
    this.peer.take()
    return client
  }

  /** Loses the connection, waits, and lets the next one be accepted. */
  async reconnected(connack: Partial<ConnackPacket> = {}): Promise<void> {
    const { level } = this.peer
    this.peer.lose()
    const count = this.peers.length
    while (this.peers.length === count) await this.advance(100)
    this.peer.level = level
    this.peer.take()
    this.peer.accept(connack)
    await this.settle()
  }
}

/** The server's end of one connection. */
export class Peer implements Transport {
  readonly canPause: boolean
  level: ProtocolLevel = 5
  bufferedBytes = 0
  paused = false
  /** The client ended its side, or destroyed the connection. */
  ended = false
  destroyed = false
  /** Each write of the client, as bytes. */
  readonly writes: Uint8Array[] = []
  /** Whether the end of the client's side closes the connection by itself. */
  closesAtEnd = true
  private readonly handler: TransportHandler
  private readonly world: World
  private readonly decoder = new Decoder(PACKET_BYTES_MAX)
  private readonly packets: ClientPacket[] = []
  private closed = false

  constructor(handler: TransportHandler, world: World) {
    this.handler = handler
    this.world = world
    this.canPause = world.canPause
  }

  // Transport

  write(bytes: Uint8Array): boolean {
    const copy = bytes.slice()
    this.writes.push(copy)
    this.decoder.push(copy)
    while (this.decoder.next()) {
      const { first, bytes: frame, bodyStart, end } = this.decoder
      this.packets.push(readClientPacket(first, frame, bodyStart, end, this.level))
    }
    // What is kept may be overwritten by a client that thinks it is free.
    return true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  end(): void {
    this.ended = true
    if (this.closesAtEnd) queueMicrotask(() => this.lose())
  }

  destroy(): void {
    this.destroyed = true
    queueMicrotask(() => this.lose())
  }

  // The script

  open(): void {
    if (!this.closed) this.handler.opened()
  }

  /** The packets that came since the last call. */
  take(): ClientPacket[] {
    return this.packets.splice(0)
  }

  /** The same in short: `PUBLISH 1 a/b`. */
  takeShort(): string[] {
    return this.take().map(short)
  }

  send(...packets: Packet[]): void {
    for (const packet of packets) this.sendBytes(encodePacket(packet, this.level))
  }

  /** @param chunk the array that they come in, as long as they are */
  sendBytes(
    bytes: Uint8Array | readonly number[],
    chunk: Uint8Array = new Uint8Array(bytes.length),
  ): void {
    chunk.set(bytes)
    if (!this.closed) this.handler.received(chunk)
    // A transport reads the next chunk into the same buffer.
    chunk.fill(0xee)
  }

  accept(connack: Partial<ConnackPacket> = {}): void {
    const { sessionPresent = false, reasonCode = 0, properties = NO_PROPERTIES } = connack
    this.send({ type: CONNACK, sessionPresent, reasonCode, properties })
  }

  publish(
    topic: string,
    payload: string,
    qos: QoS = 0,
    packetId = 0,
    more: PublishMore = {},
  ): void {
    this.send(publishOf(topic, payload, qos, packetId, more))
  }

  puback(packetId: number, reasonCode = 0, properties: Properties = NO_PROPERTIES): void {
    this.send({ type: PUBACK, packetId, reasonCode, properties })
  }

  pubrec(packetId: number, reasonCode = 0): void {
    this.send(ackOf(PUBREC, packetId, reasonCode))
  }

  pubrel(packetId: number, reasonCode = 0): void {
    this.send(ackOf(PUBREL, packetId, reasonCode))
  }

  pubcomp(packetId: number, reasonCode = 0): void {
    this.send(ackOf(PUBCOMP, packetId, reasonCode))
  }

  suback(packetId: number, ...reasonCodes: number[]): void {
    this.send({ type: SUBACK, packetId, reasonCodes, properties: NO_PROPERTIES })
  }

  unsuback(packetId: number, ...reasonCodes: number[]): void {
    this.send({ type: UNSUBACK, packetId, reasonCodes, properties: NO_PROPERTIES })
  }

  /** All that was written is sent. */
  drain(): void {
    this.bufferedBytes = 0
    this.handler.drained()
  }

  lose(error: Error | null = null): void {
    if (this.closed) return
    this.closed = true
    this.handler.closed(error)
  }

  get isClosed(): boolean {
    return this.closed
  }

  get nowMs(): number {
    return this.world.now
  }
}

interface PublishMore {
  readonly dup?: boolean
  readonly retain?: boolean
  readonly properties?: Properties
}

export function publishOf(
  topic: string,
  payload: string,
  qos: QoS = 0,
  packetId = 0,
  { dup = false, retain = false, properties = NO_PROPERTIES }: PublishMore = {},
): PublishPacket {
  const bytes = new TextEncoder().encode(payload)
  return { type: PUBLISH, topic, payload: bytes, qos, retain, dup, packetId, properties }
}

function ackOf(type: AckPacket['type'], packetId: number, reasonCode: number): AckPacket {
  return { type, packetId, reasonCode, properties: NO_PROPERTIES }
}

const Names: ReadonlyMap<number, string> = new Map(
  Object.entries(PacketType).map(([name, type]) => [type, name]),
)

/** A packet in a few words. */
export function short(packet: Packet): string {
  const words: (string | number)[] = [Names.get(packet.type) ?? packet.type]
  if ('packetId' in packet && packet.packetId > 0) words.push(packet.packetId)
  if (packet.type === PUBLISH) {
    if (packet.dup) words.push('DUP')
    words.push(packet.topic, new TextDecoder().decode(packet.payload).slice(0, 20))
  }
  if ('subscriptions' in packet) words.push(...packet.subscriptions.map(({ filter }) => filter))
  if ('filters' in packet) words.push(...packet.filters)
  if ('reasonCode' in packet && packet.reasonCode !== 0) {
    words.push(`0x${packet.reasonCode.toString(16)}`)
  }
  return words.join(' ').trim()
}
