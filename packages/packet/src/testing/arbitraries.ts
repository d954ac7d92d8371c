// Packets made at random: all that a sender may send in a protocol level. It lists by itself what
// the standard allows, so that it does not repeat a mistake of the codec's tables.

import type { Arbitrary } from 'fast-check'
import fc from 'fast-check'
import { PacketType, type ProtocolLevel, type QoS } from '../constants.ts'
import { NO_PROPERTIES, type Packet, type Properties, type Will } from '../packets.ts'
import type { Sender } from '../read-packet.ts'

/** Objects like those of the decoder, with a prototype. */
function record<T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

const qos: Arbitrary<QoS> = fc.constantFrom(0, 1, 2)
const packetId: Arbitrary<number> = fc.integer({ min: 1, max: 65_535 })
const bit: Arbitrary<number> = fc.constantFrom(0, 1)
const uint16: Arbitrary<number> = fc.integer({ min: 0, max: 0xffff })
const uint32: Arbitrary<number> = fc.integer({ min: 0, max: 0xffff_ffff })
const identifier: Arbitrary<number> = fc.oneof(
  fc.integer({ min: 1, max: 268_435_455 }),
  fc.constantFrom(127, 128, 16_383, 16_384, 2_097_151, 2_097_152),
)

/** Any string that MQTT can carry. */
export const text: Arbitrary<string> = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map(any => any.replaceAll('\0', '-'))

export const topicName: Arbitrary<string> = text.map(any => any.replace(/[+#]/g, '/') || '/')

const level: Arbitrary<string> = fc.oneof(
  fc.constantFrom('+', 'a', 'b', ''),
  topicName.map(topic => topic.replaceAll('/', '_')),
)

const plainFilter: Arbitrary<string> = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => (all ? [...levels, '#'] : levels).join('/') || '#')

const sharedFilter: Arbitrary<string> = fc
  .tuple(fc.constantFrom('g', 'group 2'), plainFilter)
  .map(([name, filter]) => `$share/${name}/${filter}`)

export const topicFilter: Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: plainFilter },
  { weight: 1, arbitrary: sharedFilter },
)

export const payload: Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ minLength: 100, maxLength: 200 }),
)

const values: { readonly [name in keyof Properties]-?: Arbitrary<unknown> } = {
  payloadFormatIndicator: bit,
  messageExpiryInterval: uint32,
  contentType: text,
  responseTopic: topicName,
  correlationData: payload,
  subscriptionIdentifiers: fc.array(identifier, { minLength: 1, maxLength: 3 }),
  sessionExpiryInterval: uint32,
  assignedClientIdentifier: text,
  serverKeepAlive: uint16,
  authenticationMethod: text,
  authenticationData: payload,
  requestProblemInformation: bit,
  willDelayInterval: uint32,
  requestResponseInformation: bit,
  responseInformation: text,
  serverReference: text,
  reasonString: text,
  receiveMaximum: packetId,
  topicAliasMaximum: uint16,
  topicAlias: packetId,
  maximumQoS: bit,
  retainAvailable: bit,
  userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
  maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
  wildcardSubscriptionAvailable: bit,
  subscriptionIdentifierAvailable: bit,
  sharedSubscriptionAvailable: bit,
}

type Name = keyof Properties

const MESSAGE_NAMES: readonly Name[] = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
]
const WILL_NAMES: readonly Name[] = [...MESSAGE_NAMES, 'willDelayInterval']
const REASON_NAMES: readonly Name[] = ['reasonString', 'userProperties']
const CONNECT_NAMES: readonly Name[] = [
  'sessionExpiryInterval',
  'receiveMaximum',
  'maximumPacketSize',
  'topicAliasMaximum',
  'requestResponseInformation',
  'requestProblemInformation',
  'userProperties',
  'authenticationMethod',
  'authenticationData',
]
const CONNACK_NAMES: readonly Name[] = [
  'sessionExpiryInterval',
  'receiveMaximum',
  'maximumQoS',
  'retainAvailable',
  'maximumPacketSize',
  'assignedClientIdentifier',
  'topicAliasMaximum',
  'reasonString',
  'userProperties',
  'wildcardSubscriptionAvailable',
  'subscriptionIdentifierAvailable',
  'sharedSubscriptionAvailable',
  'serverKeepAlive',
  'responseInformation',
  'serverReference',
  'authenticationMethod',
  'authenticationData',
]

const CONNACK_REFUSALS: readonly number[] = [
  ...[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c],
  ...[0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
]

function properties(level: ProtocolLevel, names: readonly Name[]): Arbitrary<Properties> {
  if (level < 5) return fc.constant(NO_PROPERTIES)
  const record = fc.record(Object.fromEntries(names.map(name => [name, values[name]])), {
    requiredKeys: [],
    noNullPrototype: true,
  })
  return record.map(some => {
    const { authenticationData, ...others } = some as Properties
    return others.authenticationMethod === undefined ? others : (some as Properties)
  })
}

function connect(protocolLevel: ProtocolLevel): Arbitrary<Packet> {
  const will: Arbitrary<Will> = record({
    topic: topicName,
    payload,
    qos,
    retain: fc.boolean(),
    properties: properties(protocolLevel, WILL_NAMES),
  })
  const any = record({
    type: fc.constant(PacketType.CONNECT),
    protocolLevel: fc.constant(protocolLevel),
    cleanStart: fc.boolean(),
    keepAliveSeconds: uint16,
    clientId: text,
    will: fc.option(will),
    username: fc.option(text),
    password: fc.option(payload),
    bridge: fc.boolean(),
    properties: properties(protocolLevel, CONNECT_NAMES),
  })
  return any.map(packet => {
    if (protocolLevel === 5) return packet
    const clientId = packet.clientId || 'c'
    return { ...packet, clientId, password: packet.username === null ? null : packet.password }
  })
}

function connack(level: ProtocolLevel): Arbitrary<Packet> {
  const refusals = level === 5 ? CONNACK_REFUSALS : [1, 2, 3, 4, 5]
  const any = record({
    type: fc.constant(PacketType.CONNACK),
    sessionPresent: level === 3 ? fc.constant(false) : fc.boolean(),
    reasonCode: fc.oneof(fc.constant(0), fc.constantFrom(...refusals)),
    properties: properties(level, CONNACK_NAMES),
  })
  return any.map(packet => ({
    ...packet,
    reasonCode: packet.sessionPresent ? 0 : packet.reasonCode,
  }))
}

/** A PUBLISH that this side may send in this level. */
export function publishFrom(sender: Sender, level: ProtocolLevel): Arbitrary<Packet> {
  const names: Name[] = [...MESSAGE_NAMES, 'topicAlias']
  if (sender === 'server') names.push('subscriptionIdentifiers')
  const any = record({
    type: fc.constant(PacketType.PUBLISH),
    topic: topicName,
    payload,
    qos,
    retain: fc.boolean(),
    dup: fc.boolean(),
    packetId,
    properties: properties(level, names),
  })
  return fc.tuple(any, fc.boolean()).map(([packet, byAlias]) => ({
    ...packet,
    topic: byAlias && packet.properties.topicAlias !== undefined ? '' : packet.topic,
    dup: packet.dup && packet.qos > 0,
    packetId: packet.qos > 0 ? packet.packetId : 0,
  }))
}

function ack(level: ProtocolLevel): Arbitrary<Packet> {
  const { PUBACK, PUBREC, PUBREL, PUBCOMP } = PacketType
  return fc.constantFrom(PUBACK, PUBREC, PUBREL, PUBCOMP).chain(type => {
    const codes =
      type === PUBACK || type === PUBREC
        ? [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
        : [0, 0x92]
    return record({
      type: fc.constant(type),
      packetId,
      reasonCode: level === 5 ? fc.constantFrom(...codes) : fc.constant(0),
      properties: properties(level, REASON_NAMES),
    })
  })
}

function subscribe(level: ProtocolLevel): Arbitrary<Packet> {
  const no = fc.constant(false)
  const subscription = record({
    filter: topicFilter,
    qos,
    noLocal: level === 5 ? fc.boolean() : no,
    retainAsPublished: level === 5 ? fc.boolean() : no,
    retainHandling: level === 5 ? fc.constantFrom(0, 1, 2) : fc.constant(0),
  }).map(made => ({ ...made, noLocal: made.noLocal && !made.filter.startsWith('$share/') }))
  const some = properties(level, ['subscriptionIdentifiers', 'userProperties'])
  return record({
    type: fc.constant(PacketType.SUBSCRIBE),
    packetId,
    subscriptions: fc.array(subscription, { minLength: 1, maxLength: 4 }),
    properties: some.map(({ subscriptionIdentifiers: ids, ...others }) =>
      ids === undefined ? others : { ...others, subscriptionIdentifiers: ids.slice(0, 1) },
    ),
  })
}

function unsubscribe(level: ProtocolLevel): Arbitrary<Packet> {
  return record({
    type: fc.constant(PacketType.UNSUBSCRIBE),
    packetId,
    filters: fc.array(topicFilter, { minLength: 1, maxLength: 4 }),
    properties: properties(level, ['userProperties']),
  })
}

function codes(level: ProtocolLevel, type: 9 | 11): Arbitrary<Packet> {
  const failures = [0x80, 0x83, 0x87, 0x8f, 0x91]
  const listed =
    type === PacketType.UNSUBACK
      ? [0, 0x11, ...failures]
      : level === 5
        ? [0, 1, 2, ...failures, 0x97, 0x9e, 0xa1, 0xa2]
        : [0, 1, 2, 0x80]
  const none = level < 5 && type === PacketType.UNSUBACK
  return record({
    type: fc.constant(type),
    packetId,
    reasonCodes: none
      ? fc.constant([])
      : fc.array(fc.constantFrom(...listed), { minLength: 1, maxLength: 5 }),
    properties: properties(level, REASON_NAMES),
  })
}

function disconnect(level: ProtocolLevel, sender: Sender): Arbitrary<Packet> {
  const names: Name[] = [...REASON_NAMES, 'serverReference']
  if (sender === 'client') names.push('sessionExpiryInterval')
  return record({
    type: fc.constant(PacketType.DISCONNECT),
    reasonCode: level === 5 ? fc.constantFrom(0, 4, 0x80, 0x8e, 0x9d, 0xa2) : fc.constant(0),
    properties: properties(level, names),
  })
}

function auth(): Arbitrary<Packet> {
  const names: Name[] = [...REASON_NAMES, 'authenticationMethod', 'authenticationData']
  return record({
    type: fc.constant(PacketType.AUTH),
    reasonCode: fc.constantFrom(0, 0x18, 0x19),
    properties: properties(5, names).map(some => ({ authenticationMethod: 'm', ...some })),
  })
}

/** Every packet that this side may send in this level. */
export function packetFrom(sender: Sender, level: ProtocolLevel): Arbitrary<Packet> {
  const { PINGREQ, PINGRESP, SUBACK, UNSUBACK } = PacketType
  const all: Arbitrary<Packet>[] = [publishFrom(sender, level), ack(level)]
  if (sender === 'client') {
    all.push(connect(level), subscribe(level), unsubscribe(level))
    all.push(disconnect(level, sender), fc.constant({ type: PINGREQ }))
  } else {
    all.push(connack(level), codes(level, SUBACK), codes(level, UNSUBACK))
    all.push(fc.constant({ type: PINGRESP }))
    if (level === 5) all.push(disconnect(level, sender))
  }
  if (level === 5) all.push(auth())
  return fc.oneof(...all)
}
