// One connection of a client of a script: it sends what it is told, acknowledges what comes unless
// that is held, and keeps everything that came.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type AckPacket,
  Decoder,
  describePacket,
  encodePacket,
  type Packet,
  PacketType,
  type ProtocolLevel,
  type PublishPacket,
  readPacket,
} from '@godwit/packet'
import type { Address } from '../conformance/wire.ts'
import { limit } from '../support/elapse.ts'
import type { Hold } from './script.ts'

const PACKET_BYTES_MAX = 10_000_000
const PATIENCE_MS = 30_000

/** The broker did not do in time what it has to do. */
export class Stuck extends Error {
  override readonly name = 'Stuck'
}

export class Participant {
  readonly client: string
  readonly level: ProtocolLevel
  /** Packets that came, but for PINGRESP; null stands for the end of the connection. */
  readonly received: (Packet | null)[] = []
  hold: Hold = 'nothing'
  isOver = false
  readonly #socket: Socket
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  readonly #held: AckPacket[] = []
  readonly #aliases = new Map<number, string>()
  readonly #wakes = new Set<() => void>()
  #isLeaving = false
  #pings = 0
  #lastPacketId = 0

  private constructor(client: string, level: ProtocolLevel, socket: Socket) {
    this.client = client
    this.level = level
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#take(chunk))
    // A reset is an end like others.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isOver = true
      if (!this.#isLeaving) this.received.push(null)
      this.#wake()
    })
  }

  static async open(client: string, level: ProtocolLevel, to: Address): Promise<Participant> {
    const socket = connect(to)
    await once(socket, 'connect')
    return new Participant(client, level, socket)
  }

  send(...all: readonly (Packet | Uint8Array)[]): void {
    if (this.isOver) return
    const pieces = all.map(one => (one instanceof Uint8Array ? one : encodePacket(one, this.level)))
    this.#socket.write(Buffer.concat(pieces))
  }

  packetId(): number {
    return ++this.#lastPacketId
  }

  /**
   * A packet of this type with this identifier (0: any), which may have come before.
   * @throws Stuck when neither it nor the end of the connection comes
   */
  async answer(type: number, packetId = 0): Promise<Packet | undefined> {
    const find = (): Packet | null | undefined =>
      this.received.find(packet => {
        if (packet === null || packet.type !== type) return false
        return packetId === 0 || ('packetId' in packet && packet.packetId === packetId)
      })
    await this.until(() => this.isOver || find() !== undefined, `packet ${type} ${packetId}`)
    return find() ?? undefined
  }

  /** PINGREQ and PINGRESP, or the end of the connection. */
  async ping(): Promise<void> {
    if (this.isOver) return
    const before = this.#pings
    this.send({ type: PacketType.PINGREQ })
    await this.until(() => this.isOver || this.#pings > before, 'PINGRESP')
  }

  /** Ends its side of the connection, waits for the other, and looks at nothing any more. */
  async cut(): Promise<void> {
    this.#isLeaving = true
    this.#socket.end()
    await this.until(() => this.isOver, 'the end of the connection')
  }

  /** Waits until the broker has ended the connection. */
  async ended(): Promise<void> {
    await this.until(() => this.isOver, 'the end of the connection by the broker')
  }

  holdNow(hold: Hold): void {
    this.hold = hold
    const held = this.#held.splice(0)
    for (const packet of held) this.#acknowledge(packet)
  }

  /** @throws Stuck */
  async until(isTrue: () => boolean, what: string): Promise<void> {
    let isLate = false
    const stop = limit(PATIENCE_MS, () => {
      isLate = true
      this.#wake()
    })
    while (!isTrue() && !isLate) await this.#change()
    stop()
    if (!isTrue()) throw new Stuck(`client ${this.client} waits for ${what}`)
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      this.#wakes.add(resolve)
    })
  }

  #wake(): void {
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
  }

  #take(chunk: Uint8Array): void {
    if (this.#isLeaving) return
    this.#decoder.push(chunk.slice())
    while (this.#decoder.next()) {
      const { first, bytes, bodyStart, end } = this.#decoder
      this.#receive(readPacket(first, bytes, bodyStart, end, this.level, 'server'))
    }
    this.#wake()
  }

  #receive(packet: Packet): void {
    if (packet.type === PacketType.PINGRESP) {
      this.#pings++
      return
    }
    const known = packet.type === PacketType.PUBLISH ? this.#withTopic(packet) : packet
    this.received.push(known)
    if (known.type === PacketType.PUBLISH && known.qos > 0) {
      const type = known.qos === 1 ? PacketType.PUBACK : PacketType.PUBREC
      this.#acknowledge({ type, packetId: known.packetId, reasonCode: 0, properties: {} })
    }
    if (known.type === PacketType.PUBREL) {
      const { packetId } = known
      this.#acknowledge({ type: PacketType.PUBCOMP, packetId, reasonCode: 0, properties: {} })
    }
  }

  #acknowledge(packet: AckPacket): void {
    const isHeld =
      this.hold === 'all' || (this.hold === 'pubcomp' && packet.type === PacketType.PUBCOMP)
    if (isHeld) this.#held.push(packet)
    else this.send(packet)
  }

  /** Puts the topic in place of the broker's alias. */
  #withTopic(packet: PublishPacket): PublishPacket {
    const { topicAlias, ...properties } = packet.properties
    if (topicAlias === undefined) return packet
    if (packet.topic !== '') this.#aliases.set(topicAlias, packet.topic)
    const topic = this.#aliases.get(topicAlias)
    if (topic === undefined) throw new Stuck(`unknown alias in ${describePacket(packet)}`)
    return { ...packet, topic, properties }
  }
}
