// A connection of pub and sub to a broker: one CONNECT, messages both ways with their QoS, pings,
// one DISCONNECT. It does not reconnect: a script sees each loss in the exit code.

import type { Socket } from 'node:net'
import {
  type AckPacket,
  type ConnackPacket,
  Decoder,
  describePacket,
  encodePacket,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  type Packet,
  PacketIds,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  type QoS,
  ReasonCode,
  readServerPacket,
  type SubscriptionRequest,
  type Will,
} from '@godwit/packet'

export interface ConnectOptions {
  /** Open already. */
  readonly socket: Socket
  readonly properties: Properties
  readonly disconnectProperties: Properties
  readonly level: ProtocolLevel
  readonly clientId: string
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  readonly username: string | null
  readonly password: Uint8Array | null
  readonly will: Will | null
  /** QoS 1 and 2 messages that wait for their acknowledgement. */
  readonly inflightMax: number
  readonly dump: ((line: string) => void) | null
}

/** Why there is no connection: the network's words, or the code of CONNACK or DISCONNECT. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** 0: the broker has not given one. */
  readonly reasonCode: number

  constructor(text: string, reasonCode: number, cause?: unknown) {
    super(text, cause === undefined ? undefined : { cause })
    this.reasonCode = reasonCode
  }
}

interface Waiting {
  readonly settle: (packet: Packet) => void
  readonly fail: (error: Error) => void
}

const CONNACK_TIMEOUT_MS = 30_000

export class BrokerConnection {
  /** What the broker said on connecting. */
  connack: ConnackPacket | null = null
  onMessage: (packet: PublishPacket) => void = () => undefined
  /** Resolves at the end: null after `disconnect`, else why. */
  readonly closed: Promise<ConnectionError | null>
  private readonly socket: Socket
  private readonly options: ConnectOptions
  private readonly decoder = new Decoder(PACKET_BYTES_MAX)
  private readonly ids = new PacketIds()
  private readonly waiting = new Map<number, Waiting>()
  private readonly received = new Set<number>()
  private room: (() => void)[] = []
  private inflight = 0
  private inflightMax: number
  private failure: ConnectionError | null = null
  private leaving = false
  private pingSent = false
  private pinger: NodeJS.Timeout | null = null
  private opened: Waiting | null = null

  /** @throws ConnectionError */
  static async open(options: ConnectOptions): Promise<BrokerConnection> {
    const connection = new BrokerConnection(options)
    await connection.handshake()
    return connection
  }

  private constructor(options: ConnectOptions) {
    this.options = options
    this.inflightMax = options.inflightMax
    this.socket = options.socket
    this.socket.setNoDelay(true)
    this.closed = new Promise(resolve => {
      this.socket.on('close', () => resolve(this.finish()))
    })
    this.socket.on('error', error => {
      this.failure ??= new ConnectionError(error.message || String(error), 0, error)
    })
    this.socket.on('data', chunk => this.bytes(chunk))
  }

  /**
   * Publishes.
   * @returns the reason code of its acknowledgement, 0 for QoS 0
   * @throws ConnectionError when the connection ends before that
   */
  async publish(
    topic: string,
    payload: Uint8Array,
    qos: QoS,
    retain: boolean,
    properties: Properties,
  ): Promise<number> {
    const type = PacketType.PUBLISH
    const common = { type, topic, payload, qos, retain, dup: false, properties }
    if (qos === 0) {
      if (!this.send({ ...common, packetId: 0 })) await this.drained()
      return 0
    }
    while (this.inflight >= this.inflightMax) await this.freed()
    this.inflight++
    const packetId = this.ids.take()
    const answer = await this.ask(packetId, { ...common, packetId })
    this.ids.release(packetId)
    this.inflight--
    this.room.shift()?.()
    return 'reasonCode' in answer ? answer.reasonCode : 0
  }

  /** @returns the reason code of each filter */
  async subscribe(
    subscriptions: readonly SubscriptionRequest[],
    properties: Properties,
  ): Promise<readonly number[]> {
    const packetId = this.ids.take()
    const packet = { type: PacketType.SUBSCRIBE, packetId, subscriptions, properties }
    const answer = await this.ask(packetId, packet)
    this.ids.release(packetId)
    return answer.type === PacketType.SUBACK ? answer.reasonCodes : []
  }

  async unsubscribe(filters: readonly string[], properties: Properties): Promise<void> {
    const packetId = this.ids.take()
    await this.ask(packetId, { type: PacketType.UNSUBSCRIBE, packetId, filters, properties })
    this.ids.release(packetId)
  }

  /** Says goodbye and waits until all that was written has gone. */
  async disconnect(reasonCode: number = ReasonCode.NORMAL_DISCONNECTION): Promise<void> {
    if (this.leaving) return
    this.leaving = true
    const properties = this.options.disconnectProperties
    this.send({ type: PacketType.DISCONNECT, reasonCode, properties })
    this.socket.end()
    await this.closed
  }

  private handshake(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.end(new ConnectionError('the broker did not answer CONNECT', 0))
      }, CONNACK_TIMEOUT_MS)
      this.opened = {
        settle: () => {
          clearTimeout(timer)
          resolve()
        },
        fail: error => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.sendConnect()
    })
  }

  private sendConnect(): void {
    const { level, clientId, cleanStart, keepAliveSeconds } = this.options
    const { username, password, will, properties } = this.options
    this.send({
      type: PacketType.CONNECT,
      protocolLevel: level,
      cleanStart,
      keepAliveSeconds,
      clientId,
      will,
      username,
      password,
      bridge: false,
      properties,
    })
  }

  private bytes(chunk: Uint8Array): void {
    const { decoder } = this
    try {
      decoder.push(chunk)
      while (decoder.next()) {
        const { first, bytes, bodyStart, end } = decoder
        const packet = readServerPacket(first, bytes, bodyStart, end, this.options.level)
        this.options.dump?.(`in  ${describePacket(packet)}`)
        this.handle(packet)
      }
    } catch (error) {
      const text = `the broker sent what it must not: ${(error as Error).message}`
      this.end(new ConnectionError(text, 0, error))
    }
  }

  private handle(packet: Packet): void {
    switch (packet.type) {
      case PacketType.CONNACK:
        this.handleConnack(packet)
        break
      case PacketType.PUBLISH:
        this.handlePublish(packet)
        break
      case PacketType.PUBREL:
        this.received.delete(packet.packetId)
        this.acknowledge(PacketType.PUBCOMP, packet.packetId)
        break
      case PacketType.PUBREC:
        if (packet.reasonCode >= ReasonCode.UNSPECIFIED_ERROR) this.settle(packet.packetId, packet)
        else this.acknowledge(PacketType.PUBREL, packet.packetId)
        break
      case PacketType.PUBACK:
      case PacketType.PUBCOMP:
      case PacketType.SUBACK:
      case PacketType.UNSUBACK:
        this.settle(packet.packetId, packet)
        break
      case PacketType.PINGRESP:
        this.pingSent = false
        break
      case PacketType.DISCONNECT: {
        const { reasonString } = packet.properties
        const text = `the broker disconnected: ${reasonString ?? describePacket(packet)}`
        this.end(new ConnectionError(text, packet.reasonCode))
        break
      }
      default:
    }
  }

  private handleConnack(packet: ConnackPacket): void {
    if (packet.reasonCode !== 0) {
      const { reasonString } = packet.properties
      const text = `connection refused: ${reasonString ?? describePacket(packet).slice(8)}`
      this.end(new ConnectionError(text, packet.reasonCode))
      return
    }
    this.connack = packet
    this.inflightMax = Math.min(this.inflightMax, packet.properties.receiveMaximum ?? 65_535)
    const seconds = packet.properties.serverKeepAlive ?? this.options.keepAliveSeconds
    if (seconds > 0) this.pinger = setInterval(() => this.ping(), seconds * 1000)
    this.opened?.settle(packet)
    this.opened = null
  }

  private handlePublish(packet: PublishPacket): void {
    const repeated = packet.qos === 2 && this.received.has(packet.packetId)
    if (packet.qos === 2) this.received.add(packet.packetId)
    // After goodbye nothing is acknowledged: what was not printed comes again.
    if (!repeated && !this.leaving) this.onMessage(packet)
    if (packet.qos === 1) this.acknowledge(PacketType.PUBACK, packet.packetId)
    if (packet.qos === 2) this.acknowledge(PacketType.PUBREC, packet.packetId)
  }

  private acknowledge(type: AckPacket['type'], packetId: number): void {
    this.send({ type, packetId, reasonCode: ReasonCode.SUCCESS, properties: NO_PROPERTIES })
  }

  private ask(packetId: number, packet: Packet): Promise<Packet> {
    return new Promise((resolve, reject) => {
      if (this.failure !== null) {
        reject(this.failure)
        return
      }
      this.waiting.set(packetId, { settle: resolve, fail: reject })
      this.send(packet)
    })
  }

  private settle(packetId: number, packet: Packet): void {
    const waiting = this.waiting.get(packetId)
    this.waiting.delete(packetId)
    waiting?.settle(packet)
  }

  /** @returns false when the network is slower */
  private send(packet: Packet): boolean {
    if (this.failure !== null) throw this.failure
    this.options.dump?.(`out ${describePacket(packet)}`)
    return this.socket.write(encodePacket(packet, this.options.level))
  }

  private ping(): void {
    if (this.pingSent) {
      this.end(new ConnectionError('the broker no longer answers', 0))
      return
    }
    this.pingSent = true
    this.send({ type: PacketType.PINGREQ })
  }

  private drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const onClose = (): void => reject(this.failure ?? lost())
      this.socket.once('close', onClose)
      this.socket.once('drain', () => {
        this.socket.off('close', onClose)
        resolve()
      })
    })
  }

  private freed(): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure)
    return new Promise(resolve => {
      this.room.push(resolve)
    })
  }

  private end(error: ConnectionError): void {
    this.failure ??= error
    this.socket.destroy()
  }

  private finish(): ConnectionError | null {
    if (this.pinger !== null) clearInterval(this.pinger)
    if (!this.leaving) this.failure ??= lost()
    const error = this.failure ?? lost()
    this.failure = error
    this.opened?.fail(error)
    for (const { fail } of this.waiting.values()) fail(error)
    for (const resume of this.room) resume()
    return this.leaving ? null : error
  }
}

function lost(): ConnectionError {
  return new ConnectionError('the connection was lost', 0)
}
