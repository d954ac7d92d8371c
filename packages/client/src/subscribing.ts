// Subscriptions of a session, pure: it asks the server for what the application wants, in as few
// packets as possible at the end of a turn, and again when a new session does not know of it.

import {
  hasWildcard,
  NO_PROPERTIES,
  type Packet,
  PacketError,
  PacketType,
  type Properties,
  type SubackPacket,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubackPacket,
  type UnsubscribePacket,
  type Writer,
  writeSubscribe,
  writeUnsubscribe,
} from '@godwit/packet'
import { invalidArgument, MqttError, protocolError, reasonText } from './errors.ts'
import { Asked, type Inflight, Stage } from './outgoing.ts'
import { type SubscribeDone, Wanted, WantedState } from './wanted.ts'

const { SUBSCRIBE, UNSUBSCRIBE } = PacketType
const FILTERS_PER_PACKET = 64
/** Bytes of one packet besides its filters, and of one filter besides its text. */
const PACKET_OVERHEAD = 64
const FILTER_OVERHEAD = 3
const BYTES_PER_UNIT_MAX = 3

interface Ports {
  writer(): Writer
  sent: ((packet: Packet) => void) | null
}

/** What the server allows of subscriptions. MQTT 5.0 section 3.2.2.3. */
export interface SubscribeLimits {
  readonly level: 3 | 4 | 5
  readonly packetBytesMax: number
  readonly wildcards: boolean
  readonly shared: boolean
  readonly identifiers: boolean
}

export class Subscribing {
  /** Packets that wait for their answer. */
  askedCount = 0
  private readonly inflight: Inflight
  private readonly ports: Ports
  private wanted: Map<string, Wanted> | null = null
  private limits: SubscribeLimits | null = null
  /** The version of the latest connection. */
  private level = 5
  private dirty = false

  constructor(inflight: Inflight, ports: Ports) {
    this.inflight = inflight
    this.ports = ports
  }

  /** Whether there is something to ask for at the end of the turn. */
  get isDirty(): boolean {
    return this.dirty && this.limits !== null
  }

  get hasActive(): boolean {
    if (this.wanted !== null) {
      for (const wanted of this.wanted.values()) if (wanted.state !== WantedState.NEW) return true
    }
    return false
  }

  /**
   * Wants a filter. It is asked for even when another subscription has it already, because that is
   * how the retained messages come.
   * @param told called with every answer of the server, also after a reconnect
   */
  add(
    request: SubscriptionRequest,
    identifier: number,
    properties: Properties | null,
    told: SubscribeDone,
  ): Wanted {
    this.wanted ??= new Map()
    let wanted = this.wanted.get(request.filter)
    if (wanted === undefined) {
      wanted = new Wanted(request, identifier, properties)
      this.wanted.set(request.filter, wanted)
    } else {
      wanted.request = request
      wanted.properties = properties
      if (identifier > 0) wanted.identifier = identifier
      if (wanted.state === WantedState.LEAVING) this.tellLeft(wanted, null)
    }
    wanted.users++
    wanted.told.push(told)
    wanted.quiet = false
    this.askAnew(wanted)
    return wanted
  }

  /**
   * Gives a subscription an identifier, without having the retained messages sent again.
   * @param now whether the server knows identifiers; else it is told on a connection where it does
   */
  identify(wanted: Wanted, identifier: number, now: boolean): void {
    wanted.identifier = identifier
    if (!now) return
    // What is to be asked for anyway is for somebody who has not had them.
    wanted.quiet ||= wanted.state !== WantedState.NEW && !wanted.changed
    this.askAnew(wanted)
  }

  /** Wants a filter no more. @param left called when the server has answered or need not */
  remove(wanted: Wanted, told: SubscribeDone, left: SubscribeDone): void {
    const at = wanted.told.indexOf(told)
    if (at >= 0) {
      wanted.told.splice(at, 1)
      wanted.users--
    }
    const gone = this.wanted?.get(wanted.filter) !== wanted
    const never = wanted.state === WantedState.NEW && !wanted.known
    if (wanted.users > 0 || gone || never) {
      if (wanted.users === 0 && !gone) this.wanted?.delete(wanted.filter)
      left(null, 0, NO_PROPERTIES)
      return
    }
    wanted.leaving.push(left)
    if (wanted.state === WantedState.ASKED || wanted.state === WantedState.LEFT) {
      wanted.changed = true
    } else {
      wanted.state = WantedState.LEAVING
    }
    this.dirty = true
  }

  /** Whether somebody here wants this filter. */
  isUsed(filter: string): boolean {
    return (this.wanted?.get(filter)?.users ?? 0) > 0
  }

  /** Gives up a filter that nobody here wants, but an earlier client of the session may have. */
  forget(filter: string, properties: Properties | null, left: SubscribeDone): void {
    this.wanted ??= new Map()
    let wanted = this.wanted.get(filter)
    if (wanted === undefined) {
      const request = { filter, qos: 0, noLocal: false, retainAsPublished: false } as const
      wanted = new Wanted({ ...request, retainHandling: 0 }, 0, null)
      wanted.known = true
      wanted.state = WantedState.LEAVING
      this.wanted.set(filter, wanted)
    }
    wanted.leaveProperties = properties
    wanted.leaving.push(left)
    this.dirty = true
  }

  connectionOpened(limits: SubscribeLimits, present: boolean): void {
    // What was granted before MQTT 5.0 was granted without its options.
    const isRenewed = this.level < limits.level && limits.level === 5
    this.level = limits.level
    this.limits = limits
    if (this.wanted === null) return
    for (const wanted of this.wanted.values()) {
      if (present && isRenewed && wanted.state === WantedState.ACTIVE) {
        wanted.quiet = true
        wanted.state = WantedState.NEW
      }
      if (present) continue
      wanted.known = wanted.quiet = false
      if (wanted.state === WantedState.ACTIVE) wanted.state = WantedState.NEW
      if (wanted.state === WantedState.LEAVING) {
        this.wanted.delete(wanted.filter)
        this.tellLeft(wanted, null)
      }
    }
    this.dirty = true
  }

  connectionLost(): void {
    this.limits = null
    this.askedCount = 0
    for (const asked of this.inflight.takeAsked()) {
      for (const wanted of asked.wanted) {
        const leave = wanted.users === 0
        wanted.changed = false
        wanted.state = leave ? WantedState.LEAVING : WantedState.NEW
        this.dirty = true
      }
    }
  }

  close(error: MqttError): void {
    const all = this.wanted
    this.wanted = null
    if (all === null) return
    for (const wanted of all.values()) {
      for (const told of wanted.told.slice()) told(error, error.reasonCode, NO_PROPERTIES)
      this.tellLeft(wanted, null)
    }
  }

  /**
   * Asks for all that has changed: at the end of the turn, or before a message that is published
   * after that.
   */
  flush(): void {
    if (this.isDirty) this.askAll()
  }

  private askAll(): void {
    const limits = this.limits
    if (limits === null || this.wanted === null) return
    this.dirty = false
    const joining: Wanted[] = []
    const leaving: Wanted[] = []
    for (const wanted of this.wanted.values()) {
      if (wanted.state === WantedState.NEW && this.isAllowed(wanted, limits)) joining.push(wanted)
      else if (wanted.state === WantedState.LEAVING) leaving.push(wanted)
    }
    this.ask(joining, Stage.SUBSCRIBED, limits)
    this.ask(leaving, Stage.UNSUBSCRIBED, limits)
  }

  /** @throws PacketError when it answers nothing that was asked */
  subscribed(packet: SubackPacket): void {
    const asked = this.take(packet.packetId, Stage.SUBSCRIBED)
    const { wanted: all } = asked
    if (packet.reasonCodes.length !== all.length) mismatch('SUBACK', packet, all.length)
    all.forEach((wanted, index) => {
      this.answered(wanted, packet.reasonCodes[index] ?? 0x80, packet.properties)
    })
  }

  /** @throws PacketError when it answers nothing that was asked */
  unsubscribed(packet: UnsubackPacket): void {
    const { wanted: all } = this.take(packet.packetId, Stage.UNSUBSCRIBED)
    const level = this.limits?.level
    if (level === 5 && packet.reasonCodes.length !== all.length) {
      mismatch('UNSUBACK', packet, all.length)
    }
    all.forEach((wanted, index) => {
      const code = packet.reasonCodes[index] ?? 0
      wanted.known = false
      if (wanted.users > 0) {
        wanted.state = WantedState.NEW
        this.dirty = true
      } else if (this.wanted?.get(wanted.filter) === wanted) {
        this.wanted.delete(wanted.filter)
      }
      const text = `unsubscribe refused: ${wanted.filter}: ${reasonText(code)}`
      const details = { reasonCode: code, reasonString: packet.properties.reasonString }
      const error = code < 0x80 ? null : new MqttError('unsubscribe-refused', text, details)
      this.tellLeft(wanted, error)
    })
  }

  private askAnew(wanted: Wanted): void {
    if (wanted.state === WantedState.ASKED || wanted.state === WantedState.LEFT) {
      wanted.changed = true
    } else {
      wanted.state = WantedState.NEW
      this.dirty = true
    }
  }

  private answered(wanted: Wanted, code: number, properties: Properties): void {
    if (code >= 0x80) {
      this.refuse(wanted, code, properties)
      return
    }
    wanted.known = true
    wanted.state = WantedState.ACTIVE
    if (wanted.users === 0) {
      wanted.state = WantedState.LEAVING
      this.dirty = true
    } else if (wanted.changed) {
      wanted.state = WantedState.NEW
      this.dirty = true
    }
    wanted.changed = false
    for (const told of wanted.told.slice()) told(null, code, properties)
  }

  private refuse(wanted: Wanted, reasonCode: number, properties: Properties): void {
    const { reasonString } = properties
    const why = reasonString ?? reasonText(reasonCode)
    const text = `subscribe refused: ${wanted.filter}: ${why}`
    this.give(wanted, new MqttError('subscribe-refused', text, { reasonCode, reasonString }))
  }

  private give(wanted: Wanted, error: MqttError): void {
    this.wanted?.delete(wanted.filter)
    for (const told of wanted.told.slice()) told(error, error.reasonCode, NO_PROPERTIES)
    this.tellLeft(wanted, null)
  }

  private isAllowed(wanted: Wanted, limits: SubscribeLimits): boolean {
    let what = ''
    if (!limits.shared && wanted.filter.startsWith('$share/')) what = 'shared subscriptions'
    else if (!limits.wildcards && hasWildcard(wanted.filter)) what = 'wildcard subscriptions'
    if (what === '') return true
    this.give(wanted, new MqttError('not-supported', `the server has no ${what}`))
    return false
  }

  /** Packets for as many filters as fit in each; those of one packet share its properties. */
  private ask(all: readonly Wanted[], stage: number, limits: SubscribeLimits): void {
    let group: Wanted[] = []
    let bytes = PACKET_OVERHEAD
    for (const wanted of all) {
      const first = group[0]
      const size = wanted.filter.length * BYTES_PER_UNIT_MAX + FILTER_OVERHEAD
      const alike =
        first === undefined ||
        (stage === Stage.UNSUBSCRIBED
          ? first.leaveProperties === wanted.leaveProperties
          : identifierOf(first, limits) === identifierOf(wanted, limits) &&
            first.properties === wanted.properties)
      const full = bytes + size > limits.packetBytesMax || group.length === FILTERS_PER_PACKET
      if (group.length > 0 && (full || !alike)) {
        this.askGroup(group, stage, limits)
        group = []
        bytes = PACKET_OVERHEAD
      }
      group.push(wanted)
      bytes += size
    }
    if (group.length > 0) this.askGroup(group, stage, limits)
  }

  private askGroup(group: readonly Wanted[], stage: number, limits: SubscribeLimits): void {
    const asked = new Asked(stage, group)
    const packetId = this.inflight.add(asked)
    if (packetId === 0) {
      this.dirty = true
      return
    }
    this.askedCount++
    const leaving = stage === Stage.UNSUBSCRIBED
    const packet = leaving
      ? unsubscribeOf(packetId, group, limits)
      : subscribeOf(packetId, group, limits)
    const error = this.write(packet, limits)
    if (error !== null) {
      this.inflight.remove(asked)
      this.askedCount--
      for (const wanted of group) {
        if (leaving) this.tellLeft(wanted, error)
        this.give(wanted, error)
      }
      return
    }
    for (const wanted of group) {
      wanted.state = leaving ? WantedState.LEFT : WantedState.ASKED
      wanted.known = true
      wanted.quiet = false
    }
    this.ports.sent?.(packet)
  }

  /** @returns why it cannot be sent, or null; then nothing was written */
  private write(
    packet: SubscribePacket | UnsubscribePacket,
    limits: SubscribeLimits,
  ): MqttError | null {
    const writer = this.ports.writer()
    const start = writer.length
    try {
      if (packet.type === UNSUBSCRIBE) writeUnsubscribe(writer, packet, limits.level)
      else writeSubscribe(writer, packet, limits.level)
    } catch (cause) {
      writer.length = start
      if (!(cause instanceof PacketError)) throw cause
      return invalidArgument(cause.message, cause)
    }
    const size = writer.length - start
    if (size <= limits.packetBytesMax) return null
    writer.length = start
    // [MQTT-3.2.2-15]
    const text = `a packet of ${size} bytes, the server takes ${limits.packetBytesMax}`
    return new MqttError('packet-too-large', text)
  }

  private take(packetId: number, stage: number): Asked {
    const asked = this.inflight.get(packetId)
    if (asked instanceof Asked && asked.stage === stage) {
      this.inflight.remove(asked)
      this.askedCount--
      return asked
    }
    protocolError(`an answer for identifier ${packetId}, which was not asked`)
  }

  private tellLeft(wanted: Wanted, error: MqttError | null): void {
    const leaving = wanted.leaving
    wanted.leaving = []
    for (const left of leaving) left(error, error === null ? 0 : error.reasonCode, NO_PROPERTIES)
  }
}

/** As far as this server knows identifiers. */
function identifierOf(wanted: Wanted, limits: SubscribeLimits): number {
  return limits.identifiers ? wanted.identifier : 0
}

function subscribeOf(
  packetId: number,
  group: readonly Wanted[],
  limits: SubscribeLimits,
): SubscribePacket {
  const first = group[0]
  const identifier = first === undefined ? 0 : identifierOf(first, limits)
  const own = first?.properties ?? NO_PROPERTIES
  const properties = identifier > 0 ? { ...own, subscriptionIdentifiers: [identifier] } : own
  const subscriptions = group.map(({ request, quiet }) => {
    return quiet ? { ...request, retainHandling: 2 as const } : request
  })
  const used = limits.level === 5 ? properties : NO_PROPERTIES
  return { type: SUBSCRIBE, packetId, subscriptions, properties: used }
}

function unsubscribeOf(
  packetId: number,
  group: readonly Wanted[],
  limits: SubscribeLimits,
): UnsubscribePacket {
  const filters = group.map(({ filter }) => filter)
  const own = group[0]?.leaveProperties ?? NO_PROPERTIES
  const properties = limits.level === 5 ? own : NO_PROPERTIES
  return { type: UNSUBSCRIBE, packetId, filters, properties }
}

function mismatch(name: string, packet: { reasonCodes: readonly number[] }, asked: number): never {
  protocolError(`${name} with ${packet.reasonCodes.length} reason codes for ${asked} filters`)
}
