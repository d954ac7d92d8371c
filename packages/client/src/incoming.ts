// hot
// The receiving half of a session, pure: which messages of QoS 1 and 2 are not acknowledged yet, in
// the order in which they came, and which identifiers of QoS 2 wait for their PUBREL.

import { PacketType } from '@godwit/packet'
import { protocolError } from './errors.ts'

const { PUBACK, PUBREC, PUBCOMP } = PacketType
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
const PACKET_ID_NOT_FOUND = 0x92
const COMPACT_AT = 64
/** Of all who never had a message of QoS 1 or 2. */
const NO_RECEIPTS: Receipt[] = []

/** Where acknowledgements go. */
export interface AckPort {
  acknowledge(type: number, packetId: number, reasonCode: number): void
  /** The application has a message of QoS 2: remembered across a restart. */
  remember(packetId: number): void
  forget(packetId: number): void
  /** There are as many unacknowledged messages as the application takes, or fewer again. */
  crowded(now: boolean): void
}

/** One message of QoS 1 or 2 and how many takers still hold it. */
export class Receipt {
  readonly packetId: number
  readonly qos: number
  /** How many takers have not dealt with it. */
  pending = 0
  /** What to answer when all have. */
  reasonCode = 0
  /** Whether its PUBLISH came on this connection, so that an acknowledgement is due on it. */
  armed = true
  private readonly owner: Incoming

  constructor(owner: Incoming, packetId: number, qos: number) {
    this.owner = owner
    this.packetId = packetId
    this.qos = qos
  }

  /** One taker has dealt with the message. */
  taken(): void {
    if (this.pending > 0 && --this.pending === 0) this.owner.settle(this)
  }

  /** One taker refuses the message; the server is told so in MQTT 5.0. */
  refused(reasonCode: number): void {
    this.reasonCode = reasonCode
    this.taken()
  }
}

/** The messages of QoS 1 and 2 from the server. MQTT 5.0 sections 4.3 and 4.6. */
export class Incoming {
  /** How many unacknowledged messages the server may send. */
  receiveMaximum: number
  /** How many of them this connection has. */
  windowUsed = 0
  /**
   * Beyond how many of them the server has broken its promise. Before MQTT 5.0 nobody has told it
   * the receive maximum: there reading stops instead, and this is where that did not help.
   */
  windowMax: number
  /** Reading has stopped because of that. */
  isCrowded = false
  private readonly port: AckPort
  /** In order of arrival on this connection; what lies before `head` is done. */
  private line: Receipt[] = NO_RECEIPTS
  private head = 0
  /** Unacknowledged messages by identifier; null until there is one. */
  private held: Map<number, Receipt> | null = null
  /** QoS 2 that wait for PUBREL: whether they count in this connection's window. */
  private unreleased: Map<number, boolean> | null = null
  private packetId = 0
  private qos = 0
  private current: Receipt | null = null

  constructor(port: AckPort, receiveMaximum: number) {
    this.port = port
    this.receiveMaximum = receiveMaximum
    this.windowMax = receiveMaximum
  }

  /** Messages that wait for the application. */
  get heldCount(): number {
    return this.held === null ? 0 : this.held.size
  }

  get hasState(): boolean {
    return this.heldCount > 0 || (this.unreleased !== null && this.unreleased.size > 0)
  }

  /**
   * A PUBLISH of QoS 1 or 2 came.
   * @returns whether it is to be delivered; then `end` must follow
   * @throws PacketError when the server sends more than it may
   */
  begin(packetId: number, qos: number, dup: boolean): boolean {
    const known = this.held === null ? undefined : this.held.get(packetId)
    // Another QoS than before: the session is a new one, the CONNACK that said so is lost.
    const isRepeated = known?.qos === qos && (qos === 2 || dup)
    if (known !== undefined && (known.armed || isRepeated)) {
      if (!known.armed) this.rearm(known)
      return false // [MQTT-4.3.3-10]
    }
    if (qos === 2 && this.unreleased?.has(packetId)) {
      this.port.acknowledge(PUBREC, packetId, 0)
      return false // [MQTT-4.3.3-10] [MQTT-4.3.3-2 v3]
    }
    if (this.windowUsed >= this.windowMax) {
      const text = `more than ${this.windowMax} unacknowledged messages`
      protocolError(text, RECEIVE_MAXIMUM_EXCEEDED)
    }
    this.windowUsed++
    this.packetId = packetId
    this.qos = qos
    this.current = null
    return true
  }

  /** One more taker for the message that `begin` announced. */
  receipt(): Receipt {
    let receipt = this.current
    if (receipt === null) {
      receipt = this.current = new Receipt(this, this.packetId, this.qos)
      this.held ??= new Map()
      this.held.set(this.packetId, receipt)
    }
    receipt.pending++
    return receipt
  }

  /** All takers have been asked: who needs no receipt is done. */
  end(): void {
    let receipt = this.current
    this.current = null
    if (receipt === null) {
      if (this.head === this.line.length) {
        this.answer(this.packetId, this.qos, 0)
        return
      }
      // Its acknowledgement waits for those before it. [MQTT-4.6.0-2]
      receipt = new Receipt(this, this.packetId, this.qos)
      this.held ??= new Map()
      this.held.set(this.packetId, receipt)
    }
    this.enqueue(receipt)
    if (receipt.pending === 0) this.advance()
  }

  /** @internal called by a receipt that nobody holds any more */
  settle(receipt: Receipt): void {
    if (receipt.armed) this.advance()
    // The server will send it again, or has forgotten it. Until then it stays known.
  }

  /** PUBREL: the server will not send this identifier's message again. */
  release(packetId: number): void {
    const counted = this.unreleased === null ? undefined : this.unreleased.get(packetId)
    if (counted === undefined) {
      this.port.acknowledge(PUBCOMP, packetId, PACKET_ID_NOT_FOUND)
      return
    }
    this.unreleased?.delete(packetId)
    if (counted) this.windowUsed--
    this.port.forget(packetId)
    this.port.acknowledge(PUBCOMP, packetId, 0) // [MQTT-4.3.3-11]
  }

  /** The connection is gone: nothing is due any more, and all may come again. */
  disconnected(): void {
    this.line = NO_RECEIPTS
    this.head = 0
    this.windowUsed = 0
    this.current = null
    if (this.isCrowded) this.crowd(false)
    if (this.held !== null) for (const receipt of this.held.values()) receipt.armed = false
    if (this.unreleased !== null) {
      for (const packetId of this.unreleased.keys()) this.unreleased.set(packetId, false)
    }
  }

  /** The server has no session: identifiers start anew. [MQTT-3.2.2-5] */
  sessionLost(): void {
    this.disconnected()
    this.held = null
    if (this.unreleased !== null) {
      for (const packetId of this.unreleased.keys()) this.port.forget(packetId)
      this.unreleased = null
    }
  }

  /** An identifier that a store remembered. */
  restore(packetId: number): void {
    this.unreleased ??= new Map()
    this.unreleased.set(packetId, false)
  }

  private crowd(now: boolean): void {
    this.isCrowded = now
    this.port.crowded(now)
  }

  private rearm(receipt: Receipt): void {
    receipt.armed = true
    this.windowUsed++
    this.enqueue(receipt)
    this.advance()
  }

  private enqueue(receipt: Receipt): void {
    if (this.line === NO_RECEIPTS) this.line = []
    this.line.push(receipt)
    // QoS 2 that waits for PUBREL does not count: that would never be read.
    if (this.waiting === this.receiveMaximum && this.windowMax > this.receiveMaximum) {
      this.crowd(true)
    }
  }

  /** Messages of this connection that are not acknowledged. */
  private get waiting(): number {
    return this.line.length - this.head
  }

  /** Acknowledges from the head of the line as far as all takers are done. */
  private advance(): void {
    const line = this.line
    while (this.head < line.length) {
      const receipt = line[this.head] as Receipt
      if (receipt.pending > 0) break
      this.head++
      this.held?.delete(receipt.packetId)
      this.answer(receipt.packetId, receipt.qos, receipt.reasonCode)
    }
    if (this.isCrowded && this.waiting * 2 <= this.receiveMaximum) this.crowd(false)
    if (this.head === line.length) {
      line.length = 0
      this.head = 0
    } else if (this.head >= COMPACT_AT && this.head * 2 > line.length) {
      line.splice(0, this.head)
      this.head = 0
    }
  }

  private answer(packetId: number, qos: number, reasonCode: number): void {
    if (qos === 1) {
      this.windowUsed--
      this.port.acknowledge(PUBACK, packetId, reasonCode) // [MQTT-4.3.2-4] [MQTT-4.6.0-2]
      return
    }
    if (reasonCode >= 0x80) {
      this.windowUsed-- // [MQTT-4.3.3-9]
    } else {
      this.unreleased ??= new Map()
      this.unreleased.set(packetId, true)
      this.port.remember(packetId)
    }
    this.port.acknowledge(PUBREC, packetId, reasonCode) // [MQTT-4.3.3-8] [MQTT-4.6.0-3]
  }
}
