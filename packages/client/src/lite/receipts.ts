// The receiving half of a session: which messages of QoS 1 and 2 are not acknowledged yet, in the
// order in which they came, and which identifiers of QoS 2 wait for their PUBREL.

import { PacketType } from '@godwit/packet'
import { protocolError } from '../errors.ts'

const { PUBACK, PUBREC, PUBCOMP } = PacketType
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
const PACKET_ID_NOT_FOUND = 0x92

/** Appends an acknowledgement. */
export type Acknowledge = (type: number, packetId: number, reasonCode: number) => void

/** One message of QoS 1 or 2, and how many still hold it. */
export class Receipt {
  /** Whether its PUBLISH came on this connection, so that an acknowledgement is due on it. */
  armed = false
  private pending = 0
  readonly packetId: number
  readonly qos: number
  private readonly owner: Receipts

  constructor(owner: Receipts, packetId: number, qos: number) {
    this.owner = owner
    this.packetId = packetId
    this.qos = qos
  }

  /** One more who must deal with the message. */
  hold(): this {
    this.pending++
    return this
  }

  /** One of them has. */
  taken(): void {
    this.pending--
    if (this.armed) this.owner.advance()
  }

  get isDone(): boolean {
    return this.pending === 0
  }
}

/** The messages of QoS 1 and 2 from the server. MQTT 5.0 sections 4.3 and 4.6. */
export class Receipts {
  /** How many unacknowledged messages the server may send. */
  windowMax: number
  private readonly acknowledge: Acknowledge
  private windowUsed = 0
  /** Unacknowledged messages, those of this connection in the order in which they came. */
  private readonly held = new Map<number, Receipt>()
  /** QoS 2 that wait for PUBREL: whether they count in this connection's window. */
  private readonly unreleased = new Map<number, boolean>()

  constructor(acknowledge: Acknowledge, windowMax: number) {
    this.acknowledge = acknowledge
    this.windowMax = windowMax
  }

  get isEmpty(): boolean {
    return this.held.size + this.unreleased.size === 0
  }

  /**
   * A PUBLISH of QoS 1 or 2 came.
   * @returns its receipt, held once, or null when the message is not to be delivered again
   * @throws PacketError when the server sends more than it may
   */
  begin(packetId: number, qos: number, dup: boolean): Receipt | null {
    const known = this.held.get(packetId)
    // Another QoS than before: the session is a new one, the CONNACK that said so is lost.
    if (known?.armed || (known?.qos === qos && (qos === 2 || dup))) {
      if (!known.armed) {
        this.enter(known)
        this.advance()
      }
      return null // [MQTT-4.3.3-10]
    }
    if (qos === 2 && this.unreleased.has(packetId)) {
      this.acknowledge(PUBREC, packetId, 0)
      return null // [MQTT-4.3.3-10] [MQTT-4.3.3-2 v3]
    }
    if (this.windowUsed >= this.windowMax) {
      protocolError('too many unacknowledged messages', RECEIVE_MAXIMUM_EXCEEDED)
    }
    const receipt = new Receipt(this, packetId, qos)
    this.enter(receipt)
    return receipt.hold()
  }

  /** Nobody has taken it: it must be delivered when it comes again. */
  forget(packetId: number): void {
    this.held.delete(packetId)
  }

  /** Acknowledges from the oldest on, as far as all are done. [MQTT-4.6.0-2] */
  advance(): void {
    for (const { armed, isDone, packetId, qos } of this.held.values()) {
      // The server will send it again, or has forgotten it. Until then it stays known.
      if (!armed) continue
      if (!isDone) return
      this.held.delete(packetId)
      if (qos === 1) {
        this.windowUsed--
        this.acknowledge(PUBACK, packetId, 0) // [MQTT-4.3.2-4]
      } else {
        this.unreleased.set(packetId, true)
        this.acknowledge(PUBREC, packetId, 0) // [MQTT-4.3.3-8] [MQTT-4.6.0-3]
      }
    }
  }

  /** PUBREL: the server will not send this identifier's message again. */
  release(packetId: number): void {
    const counted = this.unreleased.get(packetId)
    if (counted) this.windowUsed--
    this.unreleased.delete(packetId)
    // [MQTT-4.3.3-11]
    this.acknowledge(PUBCOMP, packetId, counted === undefined ? PACKET_ID_NOT_FOUND : 0)
  }

  /**
   * The connection is gone: nothing is due any more, and all may come again. Without a session
   * identifiers start anew. [MQTT-3.2.2-5]
   */
  disconnected(isForgotten: boolean): void {
    this.windowUsed = 0
    for (const receipt of this.held.values()) receipt.armed = false
    for (const packetId of this.unreleased.keys()) this.unreleased.set(packetId, false)
    if (!isForgotten) return
    this.held.clear()
    this.unreleased.clear()
  }

  private enter(receipt: Receipt): void {
    const { packetId } = receipt
    this.windowUsed++
    receipt.armed = true
    this.held.delete(packetId)
    this.held.set(packetId, receipt)
  }
}
