// One MQTT connection of a command: CONNECT, the packets that come, keep alive, the end. It
// neither reconnects nor keeps messages; the client package does that.

import type { Duplex } from 'node:stream'
import {
  type ConnackPacket,
  type ConnectPacket,
  Decoder,
  describePacket,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type ProtocolLevel,
  ReasonCode,
  readPacket,
} from '@godwit/packet'
import { CommandFailure } from './failure.ts'

const PACKET_BYTES_MAX = 268_435_460
const FAILED = 1

/** Mosquitto's words for CONNACK's return codes before MQTT 5.0. */
const ReturnTexts: readonly string[] = [
  'connection accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'broker unavailable',
  'bad user name or password',
  'not authorised',
]

export class MqttConnection {
  readonly level: ProtocolLevel
  /** Rejects when the connection ends before `disconnect`; never resolves. */
  readonly failed: Promise<never>
  private readonly stream: Duplex
  private readonly decoder = new Decoder(PACKET_BYTES_MAX)
  private readonly dump: boolean
  private onPacket: (packet: Packet) => void = () => undefined
  private fail: (error: Error) => void = () => undefined
  private timer: NodeJS.Timeout | null = null
  private ending = false
  private idle = true

  constructor(stream: Duplex, level: ProtocolLevel, dump: boolean) {
    this.stream = stream
    this.level = level
    this.dump = dump
    this.failed = new Promise<never>((_resolve, reject) => {
      this.fail = reject
    })
    // Somebody waits for it, or the command has ended already.
    this.failed.catch(() => undefined)
    stream.on('data', (chunk: Buffer) => this.take(chunk))
    stream.on('error', error => this.fail(new CommandFailure(error.message, FAILED)))
    stream.on('close', () => {
      if (this.timer !== null) clearInterval(this.timer)
      if (!this.ending) this.fail(new CommandFailure('the broker closed the connection', FAILED))
    })
  }

  /**
   * Sends CONNECT and waits for CONNACK.
   * @throws CommandFailure whose exit code is CONNACK's reason or return code
   */
  async open(connect: ConnectPacket, onPacket: (packet: Packet) => void): Promise<ConnackPacket> {
    const answered = new Promise<ConnackPacket>((resolve, reject) => {
      this.onPacket = packet => {
        if (packet.type !== PacketType.CONNACK) {
          reject(new CommandFailure(`expected CONNACK, got ${describePacket(packet)}`, FAILED))
          return
        }
        this.onPacket = onPacket
        if (packet.reasonCode === 0) resolve(packet)
        else reject(refusal(packet, this.level))
      }
    })
    this.send(connect)
    const connack = await Promise.race([answered, this.failed])
    const seconds = connack.properties.serverKeepAlive ?? connect.keepAliveSeconds
    if (seconds > 0) this.timer = setInterval(() => this.keepAlive(), seconds * 750)
    return connack
  }

  /** @returns false when more should wait for `drained` */
  send(packet: Packet): boolean {
    if (this.dump) process.stderr.write(`-> ${describePacket(packet)}\n`)
    this.idle = false
    return this.stream.write(encodePacket(packet, this.level))
  }

  /** The network has taken what was written. */
  drained(): Promise<void> {
    if (this.stream.writableLength === 0) return Promise.resolve()
    return new Promise(resolve => this.stream.once('drain', resolve))
  }

  /** Sends DISCONNECT and waits until the connection is closed. */
  async disconnect(): Promise<void> {
    if (this.ending) return
    this.send({ type: PacketType.DISCONNECT, reasonCode: 0, properties: NO_PROPERTIES })
    this.ending = true
    if (this.timer !== null) clearInterval(this.timer)
    const closed = new Promise<void>(resolve => this.stream.once('close', () => resolve()))
    this.stream.end()
    await closed
  }

  /** Lets go of the connection at once. */
  destroy(): void {
    this.ending = true
    this.stream.destroy()
  }

  private take(chunk: Uint8Array): void {
    try {
      this.decoder.push(chunk)
      while (this.decoder.next()) {
        const { first, bytes, bodyStart, end } = this.decoder
        const packet = readPacket(first, bytes, bodyStart, end, this.level, 'server')
        if (this.dump) process.stderr.write(`<- ${describePacket(packet)}\n`)
        this.handle(packet)
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
      this.stream.destroy()
    }
  }

  private handle(packet: Packet): void {
    if (packet.type === PacketType.PINGRESP) return
    if (packet.type === PacketType.DISCONNECT) {
      const { reasonCode, properties } = packet
      const text = properties.reasonString ?? `reason code ${reasonCode}`
      this.fail(new CommandFailure(`the broker disconnected: ${text}`, FAILED))
      return
    }
    this.onPacket(packet)
  }

  private keepAlive(): void {
    if (this.idle) this.send({ type: PacketType.PINGREQ })
    this.idle = true
  }
}

function refusal({ reasonCode, properties }: ConnackPacket, level: ProtocolLevel): CommandFailure {
  const name =
    level === 5
      ? Object.entries(ReasonCode).find(([, code]) => code === reasonCode)?.[0]
      : ReturnTexts[reasonCode]
  const words = (name ?? `code ${reasonCode}`).toLowerCase().replaceAll('_', ' ')
  const why = properties.reasonString === undefined ? '' : ` (${properties.reasonString})`
  return new CommandFailure(`connection refused: ${words}${why}`, reasonCode)
}
