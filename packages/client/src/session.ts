// hot
// A session, pure: what it sent and received, how each exchange of QoS 1 and 2 goes on, and what
// happens to all of it when a connection begins or ends. It survives connections. It has no clock,
// no socket and no promises: bytes go to `ports.writer()`, news to the callbacks of each message.

import {
  type AckPacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  readServerPacket,
  type Writer,
} from '@godwit/packet'
import { MqttError, protocolError, reasonText } from './errors.ts'
import { type AckPort, Incoming } from './incoming.ts'
import { Inflight, Line, Outgoing, Stage } from './outgoing.ts'
import { encodeTopic, publishSize, writeAckFast, writePublishFast } from './publish-writer.ts'
import { RecordKind } from './store.ts'
import { type SubscribeLimits, Subscribing } from './subscribing.ts'

const { PUBLISH, PUBREC, PUBREL, PUBCOMP } = PacketType
const DUP = 0x08
const PACKET_ID_NOT_FOUND = 0x92
/** Aliases cost four bytes, so they are for topics that take more. */
const ALIAS_TOPIC_BYTES_MIN = 16
const NO_BYTES = new Uint8Array(0)
const PUBLISH_OVERHEAD = 16
/** Packet identifiers for messages; the rest is for SUBSCRIBE and UNSUBSCRIBE. */
const EXCHANGES_MAX = 65_000

/** What became of a message that was given to `publish`. */
export const Accepted = { SENT: 0, QUEUED: 1, FULL: 2 } as const

/** What a session asks of the world; all calls are synchronous. */
export interface SessionPorts {
  /** The output of this connection in this turn. Asked anew for each packet. */
  writer(): Writer
  /** Where records go, null when nothing survives the process. */
  readonly store: SessionRecords | null
  /** Told of each packet that is sent, when somebody wants to see them. */
  sent: ((packet: Packet) => void) | null
  /** There may be room again for what was refused. */
  wantsTurnEnd(): void
  /** Reading should stop, or may go on: the application has more than it asked for. */
  holdReading(who: object, hold: boolean): void
}

/** The records of a session; `RecordKind` says what their keys are. */
export interface SessionRecords {
  putMessage(key: number, message: Outgoing): void
  /** The message's PUBREL was sent: only its place in the order is left. */
  putReleased(key: number, sequence: number): void
  /** The identifier is all there is to say. */
  putReceived(key: number): void
  delete(key: number): void
}

/** A record that was read; `message` is null for one of an identifier. */
export interface RestoredRecord {
  readonly key: number
  readonly message: Outgoing | null
}

/** What the server allows on this connection. MQTT 5.0 section 3.2.2.3. */
export interface SendLimits extends SubscribeLimits {
  readonly level: ProtocolLevel
  readonly receiveMaximum: number
  /** Unacknowledged messages that the server may send. */
  readonly incomingMax: number
  readonly maximumQoS: number
  readonly retainAvailable: boolean
  readonly topicAliasMaximum: number
}

/** How much waits, each way. */
export interface SessionOptions {
  readonly receiveMaximum: number
  readonly offline: { readonly messagesMax: number; readonly bytesMax: number }
}

const NOT_CONNECTED: SendLimits = {
  level: 5,
  receiveMaximum: 0,
  incomingMax: 0,
  packetBytesMax: 0,
  maximumQoS: 2,
  retainAvailable: true,
  topicAliasMaximum: 0,
  wildcards: true,
  shared: true,
  identifiers: true,
}

export class Session implements AckPort {
  limits: SendLimits = NOT_CONNECTED
  connected = false
  /** Whether the transport takes more: false holds back PUBLISH, and nothing else. */
  writable = true
  readonly incoming: Incoming
  readonly subscribing: Subscribing
  /** Acknowledgements that nothing waited for. */
  strayAcks = 0
  private readonly ports: SessionPorts
  private readonly options: SessionOptions
  private readonly inflight = new Inflight()
  private readonly queue = new Line<Outgoing>()
  private queueBytes = 0
  /** What must be sent again and has not been, on this connection. */
  private resending: Line<Outgoing> | null = null
  private windowUsed = 0
  private sequence = 0
  private nextStoreKey = 0
  private aliases: Map<string, number> | null = null

  constructor(ports: SessionPorts, options: SessionOptions) {
    this.ports = ports
    this.options = options
    this.incoming = new Incoming(this, options.receiveMaximum)
    this.subscribing = new Subscribing(this.inflight, ports)
  }

  /** Messages of QoS 1 and 2 that were sent and are not finished. */
  get inflightCount(): number {
    return this.inflight.count - this.subscribing.askedCount
  }

  get queuedCount(): number {
    return this.queue.length
  }

  get queuedBytes(): number {
    return this.queueBytes
  }

  /** Whether the session knows of anything that a server could know of too. */
  get hasState(): boolean {
    return this.inflight.count > 0 || this.incoming.hasState || this.subscribing.hasActive
  }

  /** Whether a message of QoS 0 would leave at once. Nothing overtakes what waits in the line. */
  get isClear(): boolean {
    return this.connected && this.writable && this.queue.length === 0 && this.resending === null
  }

  /** Whether a message of QoS 1 or 2 would leave at once. */
  get hasRoom(): boolean {
    return this.isClear && this.hasWindow
  }

  private get hasWindow(): boolean {
    // [MQTT-3.3.4-7] [MQTT-4.9.0-2] [MQTT-4.9.0-3]
    return this.windowUsed < this.limits.receiveMaximum && this.inflight.count < EXCHANGES_MAX
  }

  /**
   * Sends a message of QoS 0 without an object for it. The caller has checked `connected`.
   * @returns why the server would not take it, or null
   */
  publishNow(
    topic: string,
    payload: Uint8Array | string,
    retain: boolean,
    properties: Uint8Array | null,
  ): MqttError | null {
    const error = this.check(topic, payload, 0, retain, properties)
    if (error === null) this.write(retain ? 1 : 0, topic, 0, payload, properties)
    return error
  }

  /**
   * Sends a message of any QoS, or puts it in the line.
   * @returns one of `Accepted`; nothing was done when it is FULL
   */
  publish(message: Outgoing, mayQueue: boolean): number {
    if (message.qos === 0 ? this.isClear : this.hasRoom) {
      this.send(message)
      return Accepted.SENT
    }
    if (!mayQueue || !this.queueHasRoom(message.bytes)) return Accepted.FULL
    this.enqueue(message)
    return Accepted.QUEUED
  }

  /** Whether the line takes a message of so many bytes. */
  queueHasRoom(bytes: number): boolean {
    const { messagesMax, bytesMax } = this.options.offline
    if (this.queue.length >= messagesMax) return false
    return this.queue.length === 0 || this.queueBytes + bytes <= bytesMax
  }

  /** Puts a message in the line, whether there is room or not. */
  enqueue(message: Outgoing): void {
    this.queue.push(message)
    this.queueBytes += message.bytes
    if (this.ports.store === null || message.qos === 0) return
    message.storeKey = this.nextStoreKey++
    this.ports.store.putMessage(RecordKind.QUEUED + message.storeKey, message)
  }

  /** Takes the oldest message out of the line, to make room. */
  dropOldest(): Outgoing | undefined {
    const message = this.queue.shift()
    if (message !== undefined) this.unqueued(message)
    return message
  }

  /**
   * Gives up a message. One that waits is taken out of the line; one that was sent goes on without
   * anybody waiting for it, because the server may have it.
   */
  abandon(message: Outgoing): void {
    message.done = null
    if (message.stage === Stage.WAITING && this.queue.remove(message)) this.unqueued(message)
  }

  /** PUBACK, PUBREC, PUBREL or PUBCOMP came. @throws PacketError for one that cannot be */
  acknowledged(type: number, packetId: number, reasonCode: number, properties: Properties): void {
    if (type === PUBREL) {
      this.incoming.release(packetId)
      return
    }
    const item = this.inflight.get(packetId)
    if (item === null) {
      this.strayAcks++
      if (type === PUBREC) this.acknowledge(PUBREL, packetId, PACKET_ID_NOT_FOUND)
      return
    }
    const fits =
      item instanceof Outgoing &&
      (type === PUBCOMP
        ? item.stage === Stage.RELEASED
        : type === PUBREC
          ? item.qos === 2
          : item.qos === 1)
    if (!fits) {
      protocolError(`packet type ${type} for identifier ${packetId}, which waits for another`)
    }
    if (type === PUBREC && reasonCode < 0x80) this.releaseOutgoing(item)
    // A PUBCOMP that knows nothing of it follows one that was lost: the server had the message.
    else if (type === PUBCOMP) this.finish(item, 0, NO_PROPERTIES)
    else this.finish(item, reasonCode, properties)
  }

  /** A connection was accepted. @param present whether the server has kept the session */
  connectionOpened(limits: SendLimits, present: boolean): void {
    this.limits = limits
    this.connected = true
    this.writable = true
    this.windowUsed = 0
    this.incoming.windowMax = limits.incomingMax
    if (present) this.resumeOutgoing()
    else this.sessionLost()
    this.subscribing.connectionOpened(limits, present)
    this.subscribing.flush()
    this.pump()
  }

  connectionLost(): void {
    if (!this.connected) return
    this.connected = false
    this.aliases = null // [MQTT-3.3.2-7]
    this.resending = null
    this.incoming.disconnected()
    this.subscribing.connectionLost()
  }

  /** The client is closed: whoever waits learns it. Records stay for the next one. */
  close(error: MqttError): void {
    this.connectionLost()
    const messages = [...this.inflight.messages(), ...this.queue.takeAll()]
    this.inflight.clear()
    this.queueBytes = 0
    this.subscribing.close(error)
    for (const message of messages) fail(message, error)
  }

  /** Sends what was held back, as far as window and transport allow. */
  pump(): void {
    while (this.connected && this.writable) {
      if (this.resending !== null) {
        this.resendNext(this.resending)
        if (this.resending !== null && this.windowUsed >= this.limits.receiveMaximum) return
        continue
      }
      const message = this.queue.peek()
      if (message === undefined) return
      if (message.qos > 0 && !this.hasWindow) return
      this.queue.shift()
      this.unqueued(message)
      this.send(message)
    }
  }

  /** Takes up what a store has kept of the session. */
  restore(records: readonly RestoredRecord[]): void {
    const queued: [number, Outgoing][] = []
    for (const { key, message } of records) {
      if (message === null) {
        this.incoming.restore(key - RecordKind.INCOMING)
      } else if (key >= RecordKind.QUEUED) {
        message.storeKey = key - RecordKind.QUEUED
        queued.push([key, message])
        this.nextStoreKey = Math.max(this.nextStoreKey, message.storeKey + 1)
      } else {
        this.sequence = Math.max(this.sequence, message.sequence)
        this.inflight.restore(message, key)
      }
    }
    queued.sort((a, b) => a[0] - b[0])
    for (const [, message] of queued) {
      this.queue.push(message)
      this.queueBytes += message.bytes
    }
  }

  /** AckPort: appends an acknowledgement. */
  acknowledge(type: number, packetId: number, reasonCode: number): void {
    if (!this.connected) return
    writeAckFast(this.ports.writer(), this.limits.level, type, packetId, reasonCode)
    this.ports.sent?.({
      type: type as AckPacket['type'],
      packetId,
      reasonCode: this.limits.level === 5 ? reasonCode : 0,
      properties: NO_PROPERTIES,
    })
  }

  /** AckPort: a message of QoS 2 must not be delivered again, whatever happens. */
  remember(packetId: number): void {
    this.ports.store?.putReceived(RecordKind.INCOMING + packetId)
  }

  forget(packetId: number): void {
    this.ports.store?.delete(RecordKind.INCOMING + packetId)
  }

  /** AckPort: too much waits for the application. */
  crowded(now: boolean): void {
    this.ports.holdReading(this, now)
  }

  private send(message: Outgoing): void {
    const { topic, payload, qos, retain, properties } = message
    const error = this.check(topic, payload, qos, retain, properties)
    if (error !== null) {
      fail(message, error)
      return
    }
    if (qos === 0) {
      this.write(retain ? 1 : 0, topic, 0, payload, properties)
      succeed(message, 0, NO_PROPERTIES)
      return
    }
    this.inflight.add(message)
    message.stage = Stage.PUBLISHED
    message.sequence = ++this.sequence
    message.counted = true
    this.windowUsed++
    this.ports.store?.putMessage(RecordKind.OUTGOING + message.packetId, message)
    const flags = (qos << 1) | (retain ? 1 : 0)
    // [MQTT-4.3.2-2] [MQTT-4.3.3-2]
    this.write(flags, topic, message.packetId, payload, properties)
  }

  /** Whether the server has said that it would not take such a message. @returns why, or null */
  check(
    topic: string,
    payload: Uint8Array | string,
    qos: number,
    retain: boolean,
    properties: Uint8Array | null,
  ): MqttError | null {
    const { level, maximumQoS, retainAvailable, packetBytesMax } = this.limits
    if (typeof topic !== 'string') encodeTopic(topic) // throws
    if (qos > maximumQoS) {
      // [MQTT-3.2.2-11]
      return new MqttError('qos-not-supported', `the server takes QoS up to ${maximumQoS}`)
    }
    if (retain && !retainAvailable) {
      // [MQTT-3.2.2-14]
      return new MqttError('retain-not-supported', 'the server keeps no retained messages')
    }
    // Most are far below, whatever their characters.
    const bytesMax = (topic.length + payload.length) * 3 + PUBLISH_OVERHEAD
    if (properties === null && bytesMax <= packetBytesMax) return null
    const size = publishSize(level, encodeTopic(topic), payload, qos, properties, 0)
    if (size <= packetBytesMax) return null
    // [MQTT-3.2.2-15]
    const text = `a packet of ${size} bytes, the server takes ${packetBytesMax}`
    return new MqttError('packet-too-large', text)
  }

  private write(
    flags: number,
    topic: string,
    packetId: number,
    payload: Uint8Array | string,
    properties: Uint8Array | null,
  ): void {
    const { level, topicAliasMaximum } = this.limits
    const encoded = encodeTopic(topic)
    let alias = 0
    let topicBytes = encoded
    if (topicAliasMaximum > 0 && encoded.length >= ALIAS_TOPIC_BYTES_MIN) {
      const known = this.aliases?.get(topic)
      if (known !== undefined) {
        alias = known
        topicBytes = NO_BYTES
      } else {
        alias = this.newAlias(topic, encoded, payload, flags, properties)
      }
    }
    const out = this.ports.writer()
    const start = out.length
    const body = writePublishFast(
      out,
      level,
      flags,
      topicBytes,
      packetId,
      payload,
      properties,
      alias,
    )
    if (this.ports.sent === null) return
    const frame = out.bytes.slice(start, out.length)
    const first = (PUBLISH << 4) | flags
    const packet = readServerPacket(first, frame, body - start, frame.length, level)
    this.ports.sent({ ...(packet as PublishPacket), topic })
  }

  /** @returns 0 when there is none, or it would make the packet too large */
  private newAlias(
    topic: string,
    encoded: Uint8Array,
    payload: Uint8Array | string,
    flags: number,
    properties: Uint8Array | null,
  ): number {
    const { level, packetBytesMax, topicAliasMaximum } = this.limits
    this.aliases ??= new Map()
    const alias = this.aliases.size + 1
    if (alias > topicAliasMaximum) return 0 // [MQTT-3.2.2-17] [MQTT-3.3.2-8] [MQTT-3.3.2-9]
    const size = publishSize(level, encoded, payload, (flags >> 1) & 3, properties, alias)
    if (size > packetBytesMax) return 0 // [MQTT-3.2.2-15]
    this.aliases.set(topic, alias)
    return alias
  }

  private releaseOutgoing(item: Outgoing): void {
    if (item.stage === Stage.PUBLISHED) {
      item.stage = Stage.RELEASED
      // From now on it has its place among the PUBRELs. [MQTT-4.6.0-4]
      item.sequence = ++this.sequence
      const key = RecordKind.OUTGOING + item.packetId
      this.ports.store?.putReleased(key, item.sequence)
    }
    this.acknowledge(PUBREL, item.packetId, 0) // [MQTT-4.3.3-4]
  }

  private finish(item: Outgoing, reasonCode: number, properties: Properties): void {
    this.inflight.remove(item)
    if (item.counted) this.windowUsed--
    this.ports.store?.delete(RecordKind.OUTGOING + item.packetId)
    if (reasonCode < 0x80) {
      succeed(item, reasonCode, properties)
    } else {
      const { reasonString } = properties
      const text = `publish refused: ${reasonString ?? reasonText(reasonCode)}`
      // [MQTT-4.4.0-2]
      fail(item, new MqttError('publish-refused', text, { reasonCode, reasonString }))
    }
    this.pump()
    this.ports.wantsTurnEnd()
  }

  private unqueued(message: Outgoing): void {
    this.queueBytes -= message.bytes
    if (message.storeKey >= 0) {
      this.ports.store?.delete(RecordKind.QUEUED + message.storeKey)
      message.storeKey = -1
    }
    this.ports.wantsTurnEnd()
  }

  private resumeOutgoing(): void {
    const messages = this.inflight.messages()
    if (messages.length === 0) return
    this.resending = new Line()
    for (const message of messages) {
      message.counted = false
      this.resending.push(message)
    }
  }

  /** Sends one message again, or its PUBREL. [MQTT-4.4.0-1] [MQTT-3.3.1-1] */
  private resendNext(line: Line<Outgoing>): void {
    const message = line.peek()
    if (message === undefined) {
      this.resending = null
      return
    }
    // Answered in the meantime, out of order.
    const gone = this.inflight.get(message.packetId) !== message
    if (!gone && message.stage === Stage.RELEASED) {
      this.acknowledge(PUBREL, message.packetId, 0) // [MQTT-4.3.3-6]
    } else if (!gone) {
      if (this.windowUsed >= this.limits.receiveMaximum) return
      message.counted = true
      this.windowUsed++
      const flags = DUP | (message.qos << 1) | (message.retain ? 1 : 0)
      this.write(flags, message.topic, message.packetId, message.payload, message.properties)
    }
    line.shift()
    if (line.length === 0) this.resending = null
  }

  /**
   * The server has no session, so what it has not acknowledged must be decided here. [MQTT-3.2.2-5]
   * QoS 1 may be repeated and goes first in line as a new message. QoS 2 may not: after PUBREC the
   * server had it, before that nobody knows.
   */
  private sessionLost(): void {
    this.incoming.sessionLost()
    const again: Outgoing[] = []
    for (const message of this.inflight.messages()) {
      this.inflight.remove(message)
      this.ports.store?.delete(RecordKind.OUTGOING + message.packetId)
      if (message.stage === Stage.RELEASED) {
        succeed(message, 0, NO_PROPERTIES)
      } else if (message.qos === 2) {
        const text = 'the server lost the session: whether it has this message is unknown'
        fail(message, new MqttError('session-lost', text))
      } else {
        message.stage = Stage.WAITING
        message.packetId = 0
        this.queueBytes += message.bytes
        again.push(message)
      }
    }
    this.queue.unshift(again)
  }
}

function succeed(message: Outgoing, reasonCode: number, properties: Properties): void {
  const done = message.done
  message.done = null
  if (done !== null) done.settled(null, reasonCode, properties)
}

function fail(message: Outgoing, error: MqttError): void {
  const done = message.done
  message.done = null
  if (done !== null) done.settled(error, error.reasonCode, NO_PROPERTIES)
}
