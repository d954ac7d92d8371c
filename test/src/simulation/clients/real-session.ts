// The session of @godwit/client as that of a simulated client: what it sends goes into the
// simulated network, its acknowledgements wait for a user who takes his time.

import { encodeProperties, Outgoing, Session } from '@godwit/client/protocol'
import {
  type ConnackPacket,
  NO_PROPERTIES,
  type ProtocolLevel,
  type PublishPacket,
  Writer,
} from '@godwit/packet'
import type { NewMessage } from './client.ts'

const RECEIVE_MAXIMUM = 65_535
const PACKET_BYTES_MAX = 268_435_460
const QUEUE_MAX = 1_000_000

export class RealSession {
  readonly #out = new Writer()
  readonly #session: Session
  readonly #send: (bytes: Uint8Array) => void
  /** Calls back after a while, later than all before. */
  readonly #afterThinking: (done: () => void) => void

  constructor(send: (bytes: Uint8Array) => void, afterThinking: (done: () => void) => void) {
    this.#send = send
    this.#afterThinking = afterThinking
    const ignore = (): void => undefined
    this.#session = new Session(
      {
        writer: () => this.#out,
        store: null,
        sent: null,
        wantsTurnEnd: ignore,
        holdReading: ignore,
      },
      {
        receiveMaximum: RECEIVE_MAXIMUM,
        offline: { messagesMax: QUEUE_MAX, bytesMax: QUEUE_MAX },
      },
    )
  }

  /** Messages that are not finished. */
  get outgoingCount(): number {
    return this.#session.inflightCount + this.#session.queuedCount
  }

  /** @param receiveMaximum what CONNECT has said */
  opened(
    level: ProtocolLevel,
    connack: ConnackPacket,
    receiveMaximum: number,
    isPresent: boolean,
  ): void {
    const { properties } = connack
    const limits = {
      level,
      receiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM,
      incomingMax: receiveMaximum,
      packetBytesMax: properties.maximumPacketSize ?? PACKET_BYTES_MAX,
      maximumQoS: properties.maximumQoS ?? 2,
      retainAvailable: properties.retainAvailable !== 0,
      topicAliasMaximum: properties.topicAliasMaximum ?? 0,
      wildcards: true,
      shared: true,
      identifiers: true,
    }
    this.#session.connectionOpened(limits, isPresent)
    this.#flush()
  }

  lost(): void {
    this.#session.connectionLost()
    this.#out.reset()
  }

  publish(message: NewMessage): void {
    const { topic, payload, qos, retain, properties } = message
    const own = properties === NO_PROPERTIES ? null : encodeProperties(properties)
    const bytes = topic.length + payload.length
    const outgoing = new Outgoing(topic, payload, qos, retain, own, bytes, null)
    this.#session.publish(outgoing, qos > 0)
    this.#flush()
  }

  acknowledged(type: number, packetId: number, reasonCode: number): void {
    this.#session.acknowledged(type, packetId, reasonCode, NO_PROPERTIES)
    this.#flush()
  }

  /** A PUBLISH of QoS 1 or 2. @param take hands it to the user */
  received(packet: PublishPacket, take: () => void): void {
    const { incoming } = this.#session
    if (incoming.begin(packet.packetId, packet.qos, packet.dup)) {
      const receipt = incoming.receipt()
      take()
      incoming.end()
      this.#afterThinking(() => {
        receipt.taken()
        this.#flush()
      })
    }
    this.#flush()
  }

  #flush(): void {
    if (this.#out.length === 0) return
    this.#send(this.#out.finish())
    this.#out.reset()
  }
}
