// Packets of a broker made by chance: good ones, those that come at the wrong time, and floods.
// What changes bytes is in packets.ts.

import {
  type ClientPacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type Properties,
  type ProtocolLevel,
} from '@godwit/packet'
import { answersTo } from './hostile-broker.ts'
import { ackOf, encoded, madeUpFrame, mutated, publishOf } from './packets.ts'
import type { Chance } from './random.ts'

const PACKET_IDS = [1, 2, 3, 65_001, 65_002, 65_535] as const
export const FLOOD_PACKETS_MAX = 60
const REASON_CODES = [
  0x80, 0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x97, 0x9c,
] as const

/** The authentication method of clients that have one. */
export const METHOD = 'fuzz'

export function connackOf(chance: Chance, level: ProtocolLevel): Packet {
  const isRefusal = chance.oneIn(10)
  const refusals = level === 5 ? REASON_CODES : ([1, 2, 3, 4, 5] as const)
  return {
    type: PacketType.CONNACK,
    sessionPresent: !isRefusal && level > 3 && chance.oneIn(6),
    reasonCode: isRefusal ? chance.pick(refusals) : 0,
    properties: level === 5 ? connackProperties(chance) : NO_PROPERTIES,
  }
}

function connackProperties(chance: Chance): Properties {
  const zero = (name: string): object => (chance.oneIn(8) ? { [name]: 0 } : {})
  return {
    ...(chance.oneIn(3) ? { receiveMaximum: chance.pick([1, 2, 65_535]) } : {}),
    ...(chance.oneIn(6) ? { maximumQoS: chance.below(2) } : {}),
    ...(chance.oneIn(5) ? { maximumPacketSize: chance.pick([1, 5, 20, 40, 1000]) } : {}),
    ...(chance.oneIn(3) ? { topicAliasMaximum: chance.pick([0, 1, 10]) } : {}),
    ...(chance.oneIn(5) ? { serverKeepAlive: chance.pick([0, 1, 60]) } : {}),
    ...(chance.oneIn(5) ? { sessionExpiryInterval: chance.pick([0, 1, 0xffff_ffff]) } : {}),
    ...(chance.oneIn(6) ? { assignedClientIdentifier: 'assigned' } : {}),
    ...(chance.oneIn(6) ? { responseInformation: 'responses' } : {}),
    ...(chance.oneIn(6) ? { reasonString: 'because', serverReference: 'test://other' } : {}),
    ...(chance.oneIn(20) ? { authenticationMethod: METHOD } : {}),
    ...zero('retainAvailable'),
    ...zero('wildcardSubscriptionAvailable'),
    ...zero('subscriptionIdentifierAvailable'),
    ...zero('sharedSubscriptionAvailable'),
  }
}

/** A packet that is well formed, whether it may come now or not. */
function goodPacket(chance: Chance, level: ProtocolLevel): Packet {
  const packetId = chance.pick(PACKET_IDS)
  const properties = NO_PROPERTIES
  switch (chance.below(40)) {
    case 0:
      return connackOf(chance, level)
    case 1: {
      const reasonCodes = Array.from({ length: 1 + chance.below(2) }, () => {
        return chance.pick([0, 1, 2, 0x80] as const)
      })
      return { type: PacketType.SUBACK, packetId, reasonCodes, properties }
    }
    case 2: {
      const reasonCodes = level === 5 ? [chance.pick([0, 0x11, 0x87] as const)] : []
      return { type: PacketType.UNSUBACK, packetId, reasonCodes, properties }
    }
    case 3:
      return { type: PacketType.PINGRESP }
    case 4: {
      const reasonCode = chance.pick([0, 0x8b, 0x8e, 0x89])
      return { type: PacketType.DISCONNECT, reasonCode, properties }
    }
    case 5: {
      const reasonCode = chance.pick([0, 0x18])
      const authenticationData = chance.bytes(10)
      const more = { authenticationMethod: METHOD, authenticationData }
      return { type: PacketType.AUTH, reasonCode, properties: more }
    }
    case 6:
    case 7:
    case 8:
      return ackOf(chance, level)
    default:
      return messageOf(chance, level)
  }
}

/** A PUBLISH, at times for subscriptions that are not there. */
function messageOf(chance: Chance, level: ProtocolLevel): Packet {
  const packet = publishOf(chance, level)
  if (level < 5 || packet.type !== PacketType.PUBLISH || chance.oneIn(5)) return packet
  // An alias is out of range most of the time.
  if (!chance.oneIn(5)) return { ...packet, topic: packet.topic || 'a', properties: NO_PROPERTIES }
  const subscriptionIdentifiers = [chance.pick([1, 2, 268_435_455] as const)]
  return { ...packet, properties: { ...packet.properties, subscriptionIdentifiers } }
}

function flood(chance: Chance, level: ProtocolLevel): Uint8Array {
  const packet = goodPacket(chance, level)
  const pieces: Uint8Array[] = []
  const isSame = chance.oneIn(3)
  for (let i = chance.below(FLOOD_PACKETS_MAX); i > 0; i--) {
    const one: Packet = isSame ? packet : messageOf(chance, level)
    // Identifiers that were not there before fill windows.
    const isNew = 'qos' in one && one.qos > 0 && chance.oneIn(2)
    pieces.push(encoded(isNew ? { ...one, packetId: 1000 + i } : one, level))
  }
  return Buffer.concat(pieces)
}

/**
 * The next bytes of a hostile broker.
 * @param unanswered packets of the client, taken out
 * @param isCalm whether it breaks the rules only now and then, which fills queues instead
 */
export function nextServerBytes(
  chance: Chance,
  level: ProtocolLevel,
  unanswered: ClientPacket[],
  isCalm: boolean,
): Uint8Array {
  if (isCalm && !chance.oneIn(20)) {
    const packet = chance.oneIn(2) ? unanswered.shift() : undefined
    if (packet === undefined) return encoded(messageOf(chance, level), level)
    return Buffer.concat(answersTo(packet, level).map(answer => encoded(answer, level)))
  }
  const what = chance.below(16)
  if (what === 0) return chance.oneIn(3) ? chance.bytes(60) : madeUpFrame(chance)
  if (what === 1) return flood(chance, level)
  if (what < 7) {
    // Mostly the right answer, so that exchanges go on; some are lost, or come in another order.
    const at = chance.oneIn(4) ? chance.below(unanswered.length + 1) : 0
    const [packet] = unanswered.splice(at, 1)
    if (packet !== undefined && !chance.oneIn(8)) {
      const pieces = answersTo(packet, level).map(answer => encoded(answer, level))
      const bytes = Buffer.concat(pieces)
      return chance.oneIn(8) ? mutated(chance, bytes) : bytes
    }
  }
  const bytes = encoded(goodPacket(chance, level), level)
  return chance.oneIn(8) ? mutated(chance, bytes) : bytes
}

/** On a connection that stands each of these is a fault, whatever came before. */
export function certainFault(chance: Chance, level: ProtocolLevel): Uint8Array {
  const connack = level === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]
  const aliased = [0x30, 8, 0, 1, 0x61, 3, 0x23, 0xff, 0xff, 0]
  return Uint8Array.from(
    chance.pick<readonly number[]>([
      connack,
      level === 5 ? aliased : [0x30, 3, 0, 1, 0x23],
      [0xc0, 0], // PINGREQ
      [0x36, 7, 0, 1, 0x61, 0, 1, 0, 0], // QoS 3
      [0x40, 2, 0, 0], // packet identifier 0
      [0x30, 0xff, 0xff, 0x7f], // too large
      [0x30, 0xff, 0xff, 0xff, 0xff], // no length
      // PUBREL with wrong flags, which MQTT 3.1 leaves open.
      level === 3 ? [0, 0] : [0x60, 2, 0, 1],
      [0, 0],
    ]),
  )
}
