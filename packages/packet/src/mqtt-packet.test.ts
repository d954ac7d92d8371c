// The codec against another one, npm's mqtt-packet, on packets made at random: what either encodes
// the other decodes to the same. Left out is what mqtt-packet is known not to do; see `tame`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import mqttPacket from 'mqtt-packet'
import { PacketType, type ProtocolLevel } from './constants.ts'
import { encodePacket } from './encoder.ts'
import type { Packet, Properties, UserProperty } from './packets.ts'
import { readPacket, type Sender } from './read-packet.ts'
import { packetFrom } from './testing/arbitraries.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

type Fields = Record<string, unknown>

const BITS = [
  'payloadFormatIndicator',
  'requestProblemInformation',
  'requestResponseInformation',
  'retainAvailable',
  'wildcardSubscriptionAvailable',
  'subscriptionIdentifiersAvailable',
  'sharedSubscriptionAvailable',
]

/** Our properties in their names and types; undefined when there are none, as they have it. */
function theirProperties(properties: Properties): Fields | undefined {
  const {
    subscriptionIdentifiers: ids,
    subscriptionIdentifierAvailable: available,
    userProperties,
    ...same
  } = properties
  const fields: Fields = { ...same }
  if (ids !== undefined) fields['subscriptionIdentifier'] = ids.length === 1 ? ids[0] : [...ids]
  if (available !== undefined) fields['subscriptionIdentifiersAvailable'] = available
  if (userProperties !== undefined) fields['userProperties'] = grouped(userProperties)
  for (const name of BITS) if (name in fields) fields[name] = fields[name] === 1
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Uint8Array) fields[name] = Buffer.from(value)
  }
  return Object.keys(fields).length === 0 ? undefined : fields
}

/** They keep user properties by name, and a list only where a name is repeated. */
function grouped(pairs: readonly UserProperty[]): Fields {
  // Without a prototype: a user property may be named "toString".
  const groups: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of pairs) {
    const before = groups[name]
    groups[name] = before === undefined ? value : [before, value].flat()
  }
  return { ...groups }
}

/** Our packet as they would have it. */
function theirs(packet: Packet, level: ProtocolLevel): Fields {
  const names = Object.keys(PacketType) as (keyof typeof PacketType)[]
  const cmd = names.find(name => PacketType[name] === packet.type)?.toLowerCase()
  const fields: Fields = { cmd }
  if ('packetId' in packet && packet.packetId > 0) fields['messageId'] = packet.packetId
  if ('properties' in packet) fields['properties'] = theirProperties(packet.properties)
  switch (packet.type) {
    case PacketType.CONNECT: {
      const { will, username, password } = packet
      return {
        ...fields,
        protocolId: packet.protocolLevel === 3 ? 'MQIsdp' : 'MQTT',
        protocolVersion: packet.protocolLevel,
        bridgeMode: packet.bridge || undefined,
        clean: packet.cleanStart,
        keepalive: packet.keepAliveSeconds,
        clientId: packet.clientId,
        username: username ?? undefined,
        password: password === null ? undefined : Buffer.from(password),
        will:
          will === null
            ? undefined
            : {
                topic: will.topic,
                payload: Buffer.from(will.payload),
                qos: will.qos,
                retain: will.retain,
                properties: theirProperties(will.properties),
              },
      }
    }
    case PacketType.CONNACK:
      fields['sessionPresent'] = packet.sessionPresent
      fields[level === 5 ? 'reasonCode' : 'returnCode'] = packet.reasonCode
      return fields
    case PacketType.PUBLISH: {
      const { topic, payload, qos, retain, dup } = packet
      return { ...fields, topic, payload: Buffer.from(payload), qos, retain, dup }
    }
    case PacketType.SUBSCRIBE: {
      const subscriptions = packet.subscriptions.map(each => {
        const { filter: topic, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh } = each
        return level === 5 ? { topic, qos, nl, rap, rh } : { topic, qos }
      })
      return { ...fields, subscriptions }
    }
    case PacketType.UNSUBSCRIBE:
      return { ...fields, unsubscriptions: packet.filters }
    case PacketType.SUBACK:
      return { ...fields, granted: packet.reasonCodes }
    case PacketType.UNSUBACK:
      return level === 5 ? { ...fields, granted: packet.reasonCodes } : fields
    case PacketType.PINGREQ:
    case PacketType.PINGRESP:
      return fields
    default:
      return level === 5 ? { ...fields, reasonCode: packet.reasonCode } : fields
  }
}

/** Without what mqtt-packet cannot do. */
function tame(packet: Packet): Packet {
  if (packet.type === PacketType.CONNECT) {
    const { protocolLevel, will, username } = packet
    return {
      ...packet,
      // Its bridges are of MQTT 3 only, it wants an identifier with every old session, and a user
      // name with every password.
      bridge: packet.bridge && protocolLevel < 5,
      clientId: packet.clientId || 'c',
      password: username === null ? null : packet.password,
      properties: tameProperties(packet.properties),
      will: will && { ...will, properties: tameProperties(will.properties) },
    }
  }
  return 'properties' in packet
    ? { ...packet, properties: tameProperties(packet.properties) }
    : packet
}

/** It forgets an empty value when its name is repeated. */
function tameProperties(properties: Properties): Properties {
  const { userProperties: pairs } = properties
  if (pairs === undefined) return properties
  const userProperties = pairs.map(([name, value]) => [name, value || '-'] as const)
  return { ...properties, userProperties }
}

function parse(bytes: Uint8Array, level: ProtocolLevel): Fields {
  const parser = mqttPacket.parser({ protocolVersion: level })
  const packets: Fields[] = []
  parser.on('packet', packet => packets.push(packet as unknown as Fields))
  parser.on('error', error => {
    throw error
  })
  assert.equal(parser.parse(Buffer.from(bytes)), 0)
  assert.equal(packets.length, 1)
  return packets[0] ?? {}
}

/** Of what they parsed only the fields that were asked for: they add flags to every packet. */
function picked(parsed: Fields, wanted: Fields): Fields {
  const fields: Fields = {}
  for (const [name, value] of Object.entries(wanted)) {
    const found = parsed[name]
    fields[name] =
      isObject(value) && isObject(found) ? { ...found, ...picked(found, value) } : found
  }
  return fields
}

function isObject(value: unknown): value is Fields {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
  )
}

for (const level of [3, 4, 5] as const) {
  for (const sender of ['client', 'server'] as const) {
    const packets = packetFrom(sender, level).map(tame)

    test(`mqtt-packet decodes what a ${sender} encodes at level ${level}`, () => {
      fc.assert(
        fc.property(packets, packet => {
          const wanted = theirs(packet, level)
          const parsed = parse(longForm(encodePacket(packet, level), packet, level), level)
          assert.deepEqual(picked(parsed, wanted), wanted)
        }),
        { numRuns: 500 },
      )
    })

    test(`what mqtt-packet encodes for a ${sender} at level ${level} is decoded`, () => {
      fc.assert(
        fc.property(packets, packet => {
          const wanted = theirs(packet, level)
          const bytes = mqttPacket.generate(wanted as unknown as mqttPacket.Packet, {
            protocolVersion: level,
          })
          assert.deepEqual(theirs(decode(bytes, level, sender), level), wanted)
        }),
        { numRuns: 500 },
      )
    })
  }
}

function decode(bytes: Uint8Array, level: ProtocolLevel, sender: Sender): Packet {
  let at = 1
  while ((bytes[at] ?? 0) >= 128) at++
  return readPacket(bytes[0] ?? 0, bytes, at + 1, bytes.length, level, sender)
}

/** It does not know the short forms of DISCONNECT and AUTH. */
function longForm(bytes: Uint8Array, packet: Packet, level: ProtocolLevel): Uint8Array {
  const { type } = packet
  if (level < 5 || (type !== PacketType.DISCONNECT && type !== PacketType.AUTH)) return bytes
  return bytes.length > 3 ? bytes : Uint8Array.of(type << 4, 2, packet.reasonCode, 0)
}
