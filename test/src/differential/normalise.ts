// What came, without what the standard leaves open. Two brokers that do what it says give the same.
//
// Left out or made equal:
// - packet identifiers, DUP, assigned client ids, what CONNACK tells of the broker, reason strings;
// - the order of what different clients published, or on different topics, or with different QoS
//   (section 4.6), and of acknowledgements among messages;
// - one copy or several where subscriptions overlap (section 3.3.4): copies become one, with the
//   highest QoS, all identifiers, and every RETAIN flag that a copy had;
// - 0x10 in PUBACK and PUBREC (No matching subscribers, may be told, section 3.4.2.1);
// - 0x92 in PUBCOMP for what is released again (section 4.4: no error after a loss of connection);
// - which code a refused subscription has;
// - up to a hundred seconds of Message Expiry Interval.

import { type Packet, PacketType, type Properties, type PublishPacket } from '@godwit/packet'
import type { Received } from './player.ts'
import { shown } from './script.ts'

const EXPIRY_STEP_SECONDS = 100
const NO_MATCHING_SUBSCRIBERS = 0x10
const UNKNOWN_IDENTIFIER = 0x92
const FAILURES = 0x80

/** One thing that a client got. */
export interface Got {
  /** All of it but the RETAIN flag, in words. */
  readonly text: string
  /** RETAIN of all copies; `null` where there is none. */
  readonly retain: ReadonlySet<boolean> | null
}

interface Copies {
  readonly packet: PublishPacket
  readonly identifiers: Set<number>
  readonly retain: Set<boolean>
  qos: number
}

/** Goes through what came step by step, since a PUBREL belongs to a message that came before. */
export class Normaliser {
  readonly #ignored: readonly RegExp[]
  /** Of each client, by packet identifier: the message of QoS 2. */
  readonly #messages = new Map<string, Map<number, string>>()

  /** @param ignored what is left out as well */
  constructor(ignored: readonly RegExp[] = []) {
    this.#ignored = ignored
  }

  /** What came in one step, in an order that is the same wherever the standard is kept. */
  step(received: readonly Received[]): Map<string, readonly Got[]> {
    const all = new Map<string, readonly Got[]>()
    for (const { client, packets } of received) {
      const got = this.#normalise(client, packets).filter(
        ({ text }) => !this.#ignored.some(pattern => pattern.test(text)),
      )
      const name = all.has(client) ? `${client} (the new connection)` : client
      if (got.length > 0) all.set(name, got)
    }
    return all
  }

  #normalise(client: string, packets: readonly (Packet | null)[]): Got[] {
    const others: string[] = []
    const releases = new Set<string>()
    const messages = new Map<string, Copies>()
    const known = this.#messages.get(client) ?? new Map<number, string>()
    this.#messages.set(client, known)
    for (const packet of packets) {
      if (packet === null) others.push('the end')
      else if (packet.type === PacketType.PUBLISH) {
        const key = addCopy(messages, packet)
        if (packet.qos === 2) known.set(packet.packetId, key)
      } else if (packet.type === PacketType.PUBREL) {
        // One for each copy.
        releases.add(`PUBREL ${packet.reasonCode} of ${known.get(packet.packetId)}`)
      } else others.push(describe(packet))
    }
    return [
      ...[...others.sort(), ...[...releases].sort()].map(text => ({ text, retain: null })),
      ...inOrder([...messages.values()]),
    ]
  }
}

/** Whether it is the same for the standard. */
export function isSame(one: Got, other: Got): boolean {
  if (one.text !== other.text) return false
  if (one.retain === null || other.retain === null) return one.retain === other.retain
  for (const flag of one.retain) if (other.retain.has(flag)) return true
  return false
}

export function describeGot({ text, retain }: Got): string {
  return retain === null ? text : `${text} retain ${[...retain].map(Number).join(' or ')}`
}

function addCopy(messages: Map<string, Copies>, packet: PublishPacket): string {
  const key = `${packet.topic} ${Buffer.from(packet.payload).toString('latin1')}`
  const identifiers = packet.properties.subscriptionIdentifiers ?? []
  const known = messages.get(key)
  if (known === undefined) {
    const { qos, retain } = packet
    const sets = { identifiers: new Set(identifiers), retain: new Set([retain]) }
    messages.set(key, { packet, qos, ...sets })
    return key
  }
  known.qos = Math.max(known.qos, packet.qos)
  known.retain.add(packet.retain)
  for (const identifier of identifiers) known.identifiers.add(identifier)
  return key
}

/** By publisher, its QoS and topic; within these as they came. */
function inOrder(messages: readonly Copies[]): Got[] {
  const groups = new Map<string, Got[]>()
  for (const { packet, qos, retain, identifiers } of messages) {
    const payload = Buffer.from(packet.payload).toString()
    // Its QoS may have been lowered on the way.
    const publisher = /^(?:will )?(?:[a-z]\d)?/.exec(payload)?.[0] ?? ''
    const topic = packet.topic
    const group = `${publisher} ${topic}`
    const ids = [...identifiers].sort((one, other) => one - other)
    const what = { topic, payload, qos, ids, ...comparable(packet.properties) }
    const text = `PUBLISH ${shown(what)}`
    const list = groups.get(group) ?? []
    list.push({ text, retain })
    groups.set(group, list)
  }
  return [...groups.keys()].sort().flatMap(key => groups.get(key) ?? [])
}

function comparable(properties: Properties): Properties {
  const { subscriptionIdentifiers: _, messageExpiryInterval, ...rest } = properties
  const sorted = Object.fromEntries(
    Object.entries(rest).sort(([one], [other]) => (one < other ? -1 : 1)),
  ) as Properties
  if (messageExpiryInterval === undefined) return sorted
  const rounded = Math.ceil(messageExpiryInterval / EXPIRY_STEP_SECONDS) * EXPIRY_STEP_SECONDS
  return { ...sorted, messageExpiryInterval: rounded }
}

function describe(packet: Packet): string {
  switch (packet.type) {
    case PacketType.CONNACK:
      return `CONNACK ${packet.reasonCode} session present ${packet.sessionPresent}`
    case PacketType.SUBACK:
      return `SUBACK ${packet.reasonCodes.map(code => (code < FAILURES ? code : 'refused'))}`
    case PacketType.UNSUBACK:
      return `UNSUBACK ${packet.reasonCodes}`
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBCOMP: {
      const { type, reasonCode } = packet
      const isFine = reasonCode === NO_MATCHING_SUBSCRIBERS || reasonCode === UNKNOWN_IDENTIFIER
      return `${nameOf(type)} ${isFine ? 0 : reasonCode}`
    }
    case PacketType.DISCONNECT:
      return `DISCONNECT ${packet.reasonCode}`
    default:
      return nameOf(packet.type)
  }
}

function nameOf(type: number): string {
  return Object.entries(PacketType).find(([, value]) => value === type)?.[0] ?? `type ${type}`
}
