// Packets of a client made by chance: good ones from a small vocabulary, so that they meet, and
// what becomes of them when bytes are changed, lost, doubled or made up.

import {
  type ConnectPacket,
  encodePacket,
  NO_PROPERTIES,
  type Packet,
  PacketError,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type QoS,
  type Will,
} from '@godwit/packet'
import type { Chance } from './random.ts'

const TOPICS = ['a', 'a/b', 'a/b/c', 'b', '/', 'a//b', '$x/y', 'é/ü', 'x'.repeat(200)] as const
const FILTERS = [...TOPICS, '#', '+', 'a/#', '+/b', 'a/+', '$x/#', '$SYS/#'] as const
const SHARED = ['$share/g/a/#', '$share/g/+', '$share/h/a'] as const
const INTERESTING = [0, 1, 2, 0x0f, 0x10, 0x7f, 0x80, 0xc0, 0xed, 0xfe, 0xff] as const
const PACKET_IDS = [1, 2, 3, 100, 65_535] as const

function qosOf(chance: Chance): QoS {
  return chance.pick([0, 1, 2] as const)
}

function payloadOf(chance: Chance): Uint8Array {
  return chance.oneIn(4) ? new Uint8Array(0) : chance.bytes(chance.oneIn(10) ? 3000 : 20)
}

function willOf(chance: Chance): Will | null {
  if (!chance.oneIn(4)) return null
  const properties: Properties = chance.oneIn(2) ? {} : { willDelayInterval: chance.below(3) }
  return {
    topic: chance.pick(TOPICS),
    payload: payloadOf(chance),
    qos: qosOf(chance),
    retain: chance.oneIn(3),
    properties,
  }
}

export function connectOf(chance: Chance, level: ProtocolLevel): ConnectPacket {
  const properties: Properties =
    level < 5
      ? NO_PROPERTIES
      : {
          ...(chance.oneIn(2)
            ? { sessionExpiryInterval: chance.pick([0, 1, 60, 0xffff_ffff]) }
            : {}),
          ...(chance.oneIn(3) ? { receiveMaximum: chance.pick([1, 2, 65_535]) } : {}),
          ...(chance.oneIn(3) ? { topicAliasMaximum: chance.pick([0, 1, 10]) } : {}),
          ...(chance.oneIn(4) ? { maximumPacketSize: chance.pick([1, 5, 20, 40, 1000]) } : {}),
          ...(chance.oneIn(6) ? { requestResponseInformation: chance.below(2) as 0 | 1 } : {}),
          ...(chance.oneIn(6) ? { requestProblemInformation: chance.below(2) as 0 | 1 } : {}),
          ...(chance.oneIn(9) ? { userProperties: [['k', 'v']] as const } : {}),
        }
  const will = willOf(chance)
  return {
    type: PacketType.CONNECT,
    protocolLevel: level,
    cleanStart: chance.oneIn(2),
    keepAliveSeconds: chance.pick([0, 1, 60, 65_535]),
    clientId: chance.pick(['c0', 'c1', 'c2', 'c3', 'é']),
    will: will === null || level === 5 ? will : { ...will, properties: NO_PROPERTIES },
    username: chance.oneIn(3) ? 'ann' : null,
    password: null,
    bridge: false,
    properties,
  }
}

export function publishOf(chance: Chance, level: ProtocolLevel): Packet {
  const qos = qosOf(chance)
  const properties: Properties =
    level < 5
      ? NO_PROPERTIES
      : {
          ...(chance.oneIn(3) ? { topicAlias: chance.pick([1, 2, 32, 33]) } : {}),
          ...(chance.oneIn(5) ? { messageExpiryInterval: chance.pick([0, 1, 100]) } : {}),
          ...(chance.oneIn(6) ? { contentType: 'text' } : {}),
          ...(chance.oneIn(6) ? { responseTopic: chance.pick(TOPICS) } : {}),
          ...(chance.oneIn(6) ? { correlationData: chance.bytes(5) } : {}),
          ...(chance.oneIn(6) ? { userProperties: [['k', 'v']] as const } : {}),
        }
  const hasAlias = properties.topicAlias !== undefined
  return {
    type: PacketType.PUBLISH,
    topic: hasAlias && chance.oneIn(2) ? '' : chance.pick(TOPICS),
    payload: payloadOf(chance),
    qos,
    retain: chance.oneIn(4),
    dup: qos > 0 && chance.oneIn(5),
    packetId: qos === 0 ? 0 : chance.pick(PACKET_IDS),
    properties,
  }
}

function subscribeOf(chance: Chance, level: ProtocolLevel): Packet {
  const shared = level === 5 && chance.oneIn(3)
  const count = 1 + chance.below(3)
  const subscriptions = Array.from({ length: count }, () => ({
    filter: shared ? chance.pick(SHARED) : chance.pick(FILTERS),
    qos: qosOf(chance),
    noLocal: level === 5 && !shared && chance.oneIn(3),
    retainAsPublished: level === 5 && chance.oneIn(3),
    retainHandling: level === 5 ? chance.pick([0, 1, 2] as const) : (0 as const),
  }))
  const identifiers = level === 5 && chance.oneIn(3)
  const properties = identifiers ? { subscriptionIdentifiers: [chance.pick([1, 127, 128])] } : {}
  return {
    type: PacketType.SUBSCRIBE,
    packetId: chance.pick(PACKET_IDS),
    subscriptions,
    properties,
  }
}

export function ackOf(chance: Chance, level: ProtocolLevel): Packet {
  const type = chance.pick([
    PacketType.PUBACK,
    PacketType.PUBREC,
    PacketType.PUBREL,
    PacketType.PUBCOMP,
  ])
  const isLate = type === PacketType.PUBREL || type === PacketType.PUBCOMP
  const failure = isLate ? 0x92 : 0x80
  const reasonCode = level === 5 && chance.oneIn(4) ? failure : 0
  return { type, packetId: chance.pick(PACKET_IDS), reasonCode, properties: NO_PROPERTIES }
}

/** A good packet as a client of this level may send it after CONNECT. */
function goodPacket(chance: Chance, level: ProtocolLevel): Packet {
  switch (chance.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return publishOf(chance, level)
    case 4:
    case 5:
      return subscribeOf(chance, level)
    case 6:
    case 7:
      return ackOf(chance, level)
    case 8: {
      const filters = [chance.pick([...FILTERS, ...SHARED])]
      const packetId = chance.pick(PACKET_IDS)
      return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES }
    }
    case 9:
      return { type: PacketType.PINGREQ }
    case 10: {
      if (!chance.oneIn(3)) return { type: PacketType.PINGREQ }
      const reasonCode = level === 5 ? chance.pick([0, 4, 0x80]) : 0
      return { type: PacketType.DISCONNECT, reasonCode, properties: NO_PROPERTIES }
    }
    default:
      return chance.oneIn(4) ? connectOf(chance, level) : publishOf(chance, level)
  }
}

export function encoded(packet: Packet, level: ProtocolLevel): Uint8Array {
  try {
    return encodePacket(packet, level)
  } catch (error) {
    // What the vocabulary cannot say at this level is left out.
    if (error instanceof PacketError) return new Uint8Array(0)
    throw error
  }
}

/** A frame whose parts are all made up, with a length that is right. */
export function madeUpFrame(chance: Chance): Uint8Array {
  const body = [...chance.bytes(chance.oneIn(5) ? 300 : 30)]
  return framed(chance.below(256), body)
}

function framed(first: number, body: readonly number[]): Uint8Array {
  const { length } = body
  return length < 128
    ? Uint8Array.from([first, length, ...body])
    : Uint8Array.from([first, (length & 127) | 128, length >> 7, ...body])
}

/** Changes a packet at one or several places. */
export function mutated(chance: Chance, packet: Uint8Array): Uint8Array {
  let bytes = [...packet]
  for (let changes = 1 + chance.below(3); changes > 0 && bytes.length > 0; changes--) {
    const at = chance.below(bytes.length)
    switch (chance.below(7)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << chance.below(8))
        break
      case 1:
        bytes[at] = chance.pick(INTERESTING)
        break
      case 2:
        bytes.splice(at, 0, chance.below(256))
        break
      case 3:
        bytes.splice(at, 1)
        break
      case 4:
        bytes.splice(at, 0, ...bytes.slice(at, at + chance.below(20)))
        break
      case 5:
        bytes = bytes.slice(0, at)
        break
      default:
        bytes[at] = chance.below(256)
    }
  }
  // With the right length what follows is still read as packets, and what changed goes deeper.
  const [first = 0] = bytes
  return chance.oneIn(2) ? framed(first, bytes.slice(2, 16_000)) : Uint8Array.from(bytes)
}

/** The next bytes of a hostile client. */
export function nextBytes(chance: Chance, level: ProtocolLevel): Uint8Array {
  const what = chance.below(10)
  if (what === 0) return madeUpFrame(chance)
  if (what === 1 && chance.oneIn(4)) return chance.bytes(60)
  const packet = encoded(goodPacket(chance, level), level)
  return what < 4 ? mutated(chance, packet) : packet
}

/** How a client begins: mostly with a CONNECT that is good. */
export function firstBytes(chance: Chance, level: ProtocolLevel): Uint8Array {
  const connect = encoded(connectOf(chance, level), level)
  if (!chance.oneIn(5)) return connect
  return chance.oneIn(3) ? nextBytes(chance, level) : mutated(chance, connect)
}
