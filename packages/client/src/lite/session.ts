// A session: what was sent and is not finished, what came and is not acknowledged, and what is
// subscribed to. It survives connections. It has no clock and no socket: what it has to say goes to
// the output of the connection.

import {
  type AckPacket,
  hasWildcard,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PACKET_ID_MAX,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  type SubackPacket,
  topicMatches,
  type UnsubackPacket,
  variableIntegerByteLength,
  type Writer,
} from '@godwit/packet'
import { Deferred, ignore } from '../deferred.ts'
import { type MqttError, protocolError } from '../errors.ts'
import { Limits } from '../limits.ts'
import type { PublishResult } from '../publisher.ts'
import { failure, refusal } from './failure.ts'
import { Receipts } from './receipts.ts'
import { Message, type Subscription } from './subscription.ts'

const { PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK } =
  PacketType
const DUP = 0x08
const FLAGS = 0x02
const REFUSED = 0x80
const NO_MATCHING_SUBSCRIBERS = 0x10
const PACKET_ID_NOT_FOUND = 0x92
const QUOTA_EXCEEDED = 0x97
/** Packet identifiers in use; a few are left for messages. */
const EXCHANGES_MAX = 60_000
const RetainHandlings = { always: 0, new: 0x10, never: 0x20 } as const

/** A message for the server. */
export class Outgoing extends Deferred<PublishResult> {
  /** 0 until it is sent for the first time. */
  packetId = 0
  /** The type of the packet that must come next. */
  expects: number
  /** Whether it takes room in the window of this connection. */
  counted = false
  /** QoS and RETAIN, as they are in the first byte. */
  readonly flags: number
  /** All behind the length: topic, room for the packet identifier, properties, payload. */
  readonly body: Uint8Array
  /** Where the properties begin, which only MQTT 5.0 has. */
  readonly headEnd: number
  readonly payloadAt: number

  constructor(flags: number, body: Uint8Array, headEnd: number, payloadAt: number) {
    super()
    this.flags = flags
    this.body = body
    this.headEnd = headEnd
    this.payloadAt = payloadAt
    this.expects = flags & 4 ? PUBREC : PUBACK
  }

  get qos(): number {
    return this.flags >> 1
  }
}

/** A SUBSCRIBE or UNSUBSCRIBE that waits for its answer. */
class Asked extends Deferred<void> {
  readonly expects: number
  readonly filters: readonly string[]
  readonly subscription: Subscription | null

  constructor(expects: number, filters: readonly string[], subscription: Subscription | null) {
    super()
    this.expects = expects
    this.filters = filters
    this.subscription = subscription
  }
}

/** What a session asks of its client. */
export interface SessionHost {
  /** The output of the connection that stands. */
  readonly out: Writer
  /** Something must be written at the end of the turn. */
  wantsFlush(): void
  /** An operation failed, and nobody may be waiting for it. */
  failed(error: MqttError): void
  /** What waits for an answer to SUBSCRIBE or UNSUBSCRIBE has changed. */
  asked(waiting: boolean): void
}

export class Session {
  connected = false
  /** Whether the transport takes more: false holds back PUBLISH, and nothing else. */
  writable = false
  /** Bytes of acknowledgements since the transport took no more. */
  unreadBytes = 0
  level: ProtocolLevel = 5
  /** Messages that nobody has subscribed to are held for those who will. */
  holdsUnclaimed = false
  readonly subscriptions: Set<Subscription> = new Set()
  private readonly host: SessionHost
  private readonly receipts: Receipts
  private readonly receiveMaximum: number
  private readonly inflight = new Map<number, Outgoing | Asked>()
  /** What is to be sent, or to be sent again, in this order. */
  private line = new Set<Outgoing>()
  /** Filters that the server may still know and nobody wants. */
  private readonly leaving = new Set<string>()
  private unclaimed: Message[] = []
  /** Messages that nobody wanted and that were not held. */
  private missed = 0
  private limits: Properties = NO_PROPERTIES
  private windowUsed = 0
  private askedCount = 0
  private lastId = 0

  constructor(host: SessionHost, receiveMaximum: number) {
    this.host = host
    this.receiveMaximum = receiveMaximum
    this.receipts = new Receipts((...ack) => this.acknowledge(...ack), receiveMaximum)
  }

  /** Whether everything that was published is finished. */
  get isIdle(): boolean {
    return this.line.size + this.inflight.size === this.askedCount
  }

  /** Whether a server that has no session has lost something. */
  get hasState(): boolean {
    return (
      this.inflight.size > this.askedCount ||
      !this.receipts.isEmpty ||
      [...this.subscriptions].some(({ isGranted }) => isGranted)
    )
  }

  /** Sends a message, or puts it in line. */
  publish(message: Outgoing): void {
    this.line.add(message)
    this.pump()
  }

  /** Asks for a subscription, now or on the next connection. */
  subscribe(subscription: Subscription): void {
    this.subscriptions.add(subscription)
    for (const filter of subscription.filters) this.leaving.delete(filter)
    const held = this.unclaimed
    const isMine = ({ topic }: Message): boolean => matches(subscription, topic)
    // Before any is handed over: a listener may subscribe to what is left.
    this.unclaimed = held.filter(message => !isMine(message))
    for (const message of held.filter(isMine)) subscription.offer(message)
    if (this.connected) this.join(subscription)
  }

  /** Gives up filters, as far as nobody else wants them; resolves when the server has answered. */
  unsubscribe(filters: readonly string[]): Promise<void> {
    const wanted = [...this.subscriptions].flatMap(subscription => subscription.filters)
    const unwanted = filters.filter(filter => !wanted.includes(filter))
    for (const filter of unwanted) this.leaving.add(filter)
    return this.connected && unwanted.length > 0 ? this.leave(unwanted) : Promise.resolve()
  }

  /** A connection was accepted. @param present whether the server has kept the session */
  opened(limits: Properties, level: ProtocolLevel, present: boolean): void {
    this.limits = limits
    // What was granted before MQTT 5.0 was granted without its options.
    const isRenewed = this.level < level
    this.level = level
    this.connected = this.writable = true
    this.windowUsed = this.unreadBytes = 0
    // Before MQTT 5.0 nobody tells the server the receive maximum.
    this.receipts.windowMax = level < 5 ? Limits.unannouncedMessages : this.receiveMaximum
    const again = new Set<Outgoing>()
    for (const item of this.inflight.values()) {
      if (item instanceof Outgoing && (present || this.mayRepeat(item))) again.add(item)
    }
    for (const item of this.line) again.add(item)
    this.line = again
    if (!present) {
      this.receipts.disconnected(true)
      this.inflight.clear()
      this.leaving.clear()
      this.unclaimed = []
    }
    // Each for itself: all in one packet may be more than the server takes.
    for (const filter of this.leaving) this.leave([filter]).catch(ignore)
    for (const subscription of this.subscriptions) {
      subscription.isGranted &&= present
      if (isRenewed || !subscription.isGranted) this.join(subscription)
    }
    this.pump()
  }

  lost(): void {
    this.connected = false
    this.receipts.disconnected(false)
    for (const [packetId, item] of this.inflight) {
      if (item instanceof Outgoing) {
        item.counted = false
        continue
      }
      // A subscription is asked for anew, and so is leaving one.
      this.inflight.delete(packetId)
      item.resolve()
    }
    this.askedCount = 0
  }

  /** Nothing goes on: whoever waits learns why. */
  close(error: MqttError): void {
    this.lost()
    const all = new Set(this.line)
    for (const item of this.inflight.values()) if (item instanceof Outgoing) all.add(item)
    this.inflight.clear()
    this.line.clear()
    for (const item of all) this.fail(item, error)
  }

  /** Acknowledges what nobody wanted. @returns how many messages were dropped */
  release(): number {
    const { unclaimed } = this
    this.holdsUnclaimed = false
    this.unclaimed = []
    for (const message of unclaimed) message.settle()
    return this.missed + unclaimed.length
  }

  /** A message came. @throws PacketError */
  received(packet: PublishPacket): void {
    const { qos, packetId, topic, dup } = packet
    const receipt = qos > 0 ? this.receipts.begin(packetId, qos, dup) : null
    if (qos > 0 && receipt === null) return
    const takers = [...this.subscriptions].filter(each => matches(each, topic))
    if (takers.some(each => qos > 0 && each.isOverrun(this.receiveMaximum))) {
      this.receipts.forget(packetId)
      protocolError('more messages than are read', QUOTA_EXCEEDED)
    }
    for (const taker of takers) taker.offer(new Message(packet, receipt))
    if (takers.length === 0 && this.holdsUnclaimed) {
      if (receipt !== null && this.unclaimed.length < Limits.unclaimedMessages) {
        const message = new Message(packet, receipt)
        message.hold()
        this.unclaimed.push(message)
      } else this.missed++
    }
    receipt?.taken()
  }

  /** PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK or UNSUBACK came. @throws PacketError */
  answered(packet: AckPacket | SubackPacket | UnsubackPacket): void {
    const { type, packetId, properties } = packet
    if (type === PUBREL) {
      this.receipts.release(packetId)
      return
    }
    const item = this.inflight.get(packetId)
    if (item === undefined && type < SUBACK) {
      // Of a message that is done: after a connection was lost both sides may say things twice.
      if (type === PUBREC) this.acknowledge(PUBREL, packetId, PACKET_ID_NOT_FOUND)
      return
    }
    const isRepeated = type === PUBREC && item?.expects === PUBCOMP
    if (item === undefined || !(item.expects === type || isRepeated)) {
      protocolError(`packet type ${type} for identifier ${packetId}, which waits for another`)
    }
    if (item instanceof Asked) {
      this.settle(item, packet as SubackPacket)
      return
    }
    this.inflight.delete(packetId)
    const { reasonCode } = packet as AckPacket
    if (type === PUBREC && reasonCode < REFUSED) {
      // From now on it has its place among the PUBRELs. [MQTT-4.6.0-4]
      this.inflight.set(packetId, item)
      item.expects = PUBCOMP
      this.acknowledge(PUBREL, packetId, 0) // [MQTT-4.3.3-4]
      return
    }
    if (item.counted) this.windowUsed--
    this.line.delete(item)
    // A PUBCOMP that knows nothing of it follows one that was lost: the server had the message.
    if (reasonCode < REFUSED || type === PUBCOMP) succeed(item, reasonCode, properties)
    else this.fail(item, refusal('publish-refused', reasonCode, properties)) // [MQTT-4.4.0-2]
    this.pump()
  }

  /** Sends what was held back, as far as window and transport allow. */
  pump(): void {
    const { receiveMaximum = PACKET_ID_MAX } = this.limits
    const windowMax = Math.min(receiveMaximum, Limits.inflightMax)
    for (const item of this.line) {
      if (!this.connected || !this.writable) return
      const isReleased = item.expects === PUBCOMP
      // [MQTT-3.3.4-7] [MQTT-4.9.0-2] [MQTT-4.9.0-3]
      const isFull =
        this.windowUsed >= windowMax || (item.packetId === 0 && this.inflight.size >= EXCHANGES_MAX)
      if (item.qos > 0 && !isReleased && isFull) return
      this.line.delete(item)
      if (isReleased)
        this.acknowledge(PUBREL, item.packetId, 0) // [MQTT-4.3.3-6]
      else this.send(item)
    }
  }

  private acknowledge(type: number, packetId: number, reasonCode: number): void {
    if (!this.connected) return
    const { out } = this.host
    const hasCode = this.level === 5 && reasonCode > 0
    out.uint8((type << 4) | (type === PUBREL ? FLAGS : 0))
    out.uint8(hasCode ? 3 : 2)
    out.uint16(packetId)
    if (hasCode) out.uint8(reasonCode)
    if (!this.writable) this.unreadBytes += 4
    this.host.wantsFlush()
  }

  private send(item: Outgoing): void {
    const { flags, body, headEnd, qos } = item
    const { limits, host } = this
    const { out } = host
    // It may have been published on a connection of another version.
    const rest = body.subarray(this.level === 5 ? headEnd : item.payloadAt)
    const length = headEnd + rest.length
    // [MQTT-3.2.2-11] [MQTT-3.2.2-14]
    const refused =
      qos > (limits.maximumQoS ?? 2)
        ? failure('qos-not-supported')
        : flags & 1 && limits.retainAvailable === 0
          ? failure('retain-not-supported')
          : this.tooLarge(1 + variableIntegerByteLength(length) + length)
    if (refused !== null) {
      this.inflight.delete(item.packetId)
      this.fail(item, refused)
      return
    }
    const first = (PUBLISH << 4) | flags
    out.uint8(item.packetId > 0 ? first | DUP : first) // [MQTT-3.3.1-1]
    out.variableInteger(length)
    if (qos > 0) {
      if (item.packetId === 0) item.packetId = this.newId(item)
      body[headEnd - 2] = item.packetId >> 8
      body[headEnd - 1] = item.packetId
      item.counted = true
      this.windowUsed++
    }
    out.raw(body.subarray(0, headEnd), '')
    out.raw(rest, '')
    host.wantsFlush()
    if (qos === 0) succeed(item, 0, NO_PROPERTIES)
  }

  /** @returns why the server would not take a packet of this size, or null [MQTT-3.2.2-15] */
  private tooLarge(bytes: number): MqttError | null {
    const { maximumPacketSize = PACKET_BYTES_MAX } = this.limits
    return bytes > maximumPacketSize ? failure('packet-too-large') : null
  }

  /** [MQTT-2.2.1-3] [MQTT-2.3.1-2 v3] */
  private newId(item: Outgoing | Asked): number {
    do this.lastId = (this.lastId % PACKET_ID_MAX) + 1
    while (this.inflight.has(this.lastId))
    this.inflight.set(this.lastId, item)
    return this.lastId
  }

  /**
   * The server has no session. QoS 1 may be repeated as a new message; QoS 2 may not: after PUBREC
   * the server had it, before that nobody knows. [MQTT-3.2.2-5]
   */
  private mayRepeat(item: Outgoing): boolean {
    item.packetId = 0
    if (item.qos === 1) return true
    this.line.delete(item)
    if (item.expects === PUBCOMP) succeed(item, 0, NO_PROPERTIES)
    else this.fail(item, failure('session-lost'))
    return false
  }

  private join(subscription: Subscription): void {
    const { limits } = this
    const { filters, options } = subscription
    const { qos = 1, noLocal, retainAsPublished, retainHandling = 'always' } = options
    const isUnknown = filters.some(filter => {
      return (
        (limits.wildcardSubscriptionAvailable === 0 && hasWildcard(filter)) ||
        (limits.sharedSubscriptionAvailable === 0 && filter.startsWith('$share/'))
      )
    })
    if (isUnknown) {
      this.refuse(subscription, failure('not-supported'))
      return
    }
    // Who has had the retained messages does not get them again.
    const handling = RetainHandlings[subscription.isGranted ? 'never' : retainHandling] ?? 0
    const more = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | handling
    subscription.isGranted = false
    const asked = new Asked(SUBACK, filters, subscription)
    this.ask(SUBSCRIBE, asked, this.level === 5 ? qos | more : qos)
  }

  private leave(filters: readonly string[]): Promise<void> {
    const asked = new Asked(UNSUBACK, filters, null)
    this.ask(UNSUBSCRIBE, asked, -1)
    return asked.promise
  }

  private ask(type: number, asked: Asked, options: number): void {
    const { out } = this.host
    const start = out.length
    if (this.inflight.size >= EXCHANGES_MAX) {
      this.give(asked, failure('queue-full'))
      return
    }
    const packetId = this.newId(asked)
    out.uint8((type << 4) | FLAGS)
    const mark = out.open()
    out.uint16(packetId)
    if (this.level === 5) out.uint8(0) // no properties
    for (const filter of asked.filters) {
      out.string(filter, 'a topic filter')
      if (options >= 0) out.uint8(options)
    }
    out.close(mark)
    const error = this.tooLarge(out.length - start)
    if (error !== null) {
      out.length = start
      this.inflight.delete(packetId)
      for (const filter of asked.filters) this.leaving.delete(filter)
      this.give(asked, error)
      return
    }
    if (this.askedCount++ === 0) this.host.asked(true)
    this.host.wantsFlush()
  }

  /** @throws PacketError when it does not answer what was asked */
  private settle(asked: Asked, packet: SubackPacket | UnsubackPacket): void {
    const { filters, subscription } = asked
    const { reasonCodes, properties } = packet
    const isSilent = subscription === null && this.level < 5
    if (!isSilent && reasonCodes.length !== filters.length) {
      protocolError(`${reasonCodes.length} reason codes for ${filters.length} filters`)
    }
    this.inflight.delete(packet.packetId)
    this.host.asked(--this.askedCount > 0)
    if (subscription === null) for (const filter of filters) this.leaving.delete(filter)
    const code = Math.max(0, ...reasonCodes)
    if (code >= REFUSED) {
      const what = subscription === null ? 'unsubscribe-refused' : 'subscribe-refused'
      this.give(asked, refusal(what, code, properties))
      if (subscription === null) return
      // All or nothing.
      const granted = filters.filter((_, index) => (reasonCodes[index] ?? REFUSED) < REFUSED)
      this.unsubscribe(granted).catch(ignore)
    } else if (subscription !== null) {
      subscription.isGranted = true
      subscription.granted(reasonCodes)
    }
    asked.resolve()
  }

  private give(asked: Asked, error: MqttError): void {
    if (asked.subscription === null) asked.reject(error)
    else this.refuse(asked.subscription, error)
  }

  private refuse(subscription: Subscription, error: MqttError): void {
    if (subscription.ended) return
    this.subscriptions.delete(subscription)
    subscription.end(error, false)
    this.host.failed(error)
  }

  /** Tells the publisher, who may not be waiting. */
  fail(item: Outgoing, error: MqttError): void {
    item.promise.catch(ignore)
    item.reject(error)
    this.host.failed(error)
  }
}

function succeed(item: Outgoing, reasonCode: number, properties: Properties): void {
  const noMatchingSubscribers = reasonCode === NO_MATCHING_SUBSCRIBERS
  item.resolve({ reasonCode, noMatchingSubscribers, properties })
}

function matches({ filters }: Subscription, topic: string): boolean {
  return filters.some(filter => {
    // A shared filter has two levels that no topic has.
    return topicMatches(filter.replace(/^\$share\/[^/]*\//, ''), topic)
  })
}
