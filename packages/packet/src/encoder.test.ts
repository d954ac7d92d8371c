// What the encoder refuses, and what it leaves out in levels that do not have it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PacketType, type ProtocolLevel, ReasonCode } from './constants.ts'
import { encodeClientPacket, encodePacket, packetByteLength, writePacket } from './encoder.ts'
import { PacketError } from './errors.ts'
import { NO_PROPERTIES, type Packet, type Properties } from './packets.ts'
import { propertiesByteLength, writeProperties } from './properties.ts'
import { packetFrom } from './testing/arbitraries.ts'
import { bytesOf } from './testing/vectors.ts'
import { Writer } from './writer.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

/** Whether `packet`, which breaks the types on purpose, is refused with this message. */
function refused(packet: object, level: ProtocolLevel, message: RegExp): void {
  const reasonCode = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
  const error = { name: 'PacketError', code: 'invalid-packet', reasonCode, message }
  assert.throws(() => encodePacket(packet as Packet, level), error)
  assert.throws(() => writePacket(new Writer(), packet as Packet, level), error)
}

const connect = {
  type: PacketType.CONNECT,
  protocolLevel: 5,
  cleanStart: true,
  keepAliveSeconds: 0,
  clientId: 'c',
  will: null,
  username: null,
  password: null,
  bridge: false,
  properties: NO_PROPERTIES,
} as const
const will = {
  topic: 'w',
  payload: new Uint8Array(0),
  qos: 0,
  retain: false,
  properties: NO_PROPERTIES,
} as const
const publish = {
  type: PacketType.PUBLISH,
  topic: 't',
  payload: new Uint8Array(0),
  qos: 1,
  retain: false,
  dup: false,
  packetId: 1,
  properties: NO_PROPERTIES,
} as const
const subscription = {
  filter: 'a',
  qos: 0,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
} as const
const subscribe = {
  type: PacketType.SUBSCRIBE,
  packetId: 1,
  subscriptions: [subscription],
  properties: NO_PROPERTIES,
} as const

test('what the examples below spoil is valid', () => {
  for (const packet of [connect, { ...connect, will }, publish, subscribe]) {
    assert.ok(encodePacket(packet, 5).length > 0)
  }
})

test('a CONNECT is refused that no server may accept', () => {
  refused({ ...connect, protocolLevel: 6 }, 5, /protocol level 3, 4 or 5, got 6/)
  refused({ ...connect, protocolLevel: 3, clientId: '' }, 3, /client identifier, got ""/)
  refused({ ...connect, protocolLevel: 4, cleanStart: false, clientId: '' }, 4, /identifier/)
  refused({ ...connect, protocolLevel: 4, password: new Uint8Array(1) }, 4, /user name/)
  refused({ ...connect, keepAliveSeconds: 65_536 }, 5, /from 0 to 65535, got 65536/)
  refused({ ...connect, keepAliveSeconds: 1.5 }, 5, /keep alive in seconds .* got 1.5/)
  refused({ ...connect, will: { ...will, topic: 'w/#' } }, 5, /without wildcards .* got "w\/#"/)
  refused({ ...connect, will: { ...will, topic: '' } }, 5, /not empty, got ""/)
  refused({ ...connect, will: { ...will, qos: 3 } }, 5, /QoS of 0, 1 or 2, got 3/)
  refused({ ...connect, username: 7 }, 5, /user name that is a string, got 7/)
  refused({ ...connect, password: 'secret' }, 5, /password that is a Uint8Array/)
})

test('a PUBLISH is refused that no receiver may accept', () => {
  refused({ ...publish, topic: 'a/+' }, 4, /topic without wildcards/) // [MQTT-3.3.2-2]
  refused({ ...publish, topic: '' }, 4, /topic without wildcards and not empty, got ""/)
  refused({ ...publish, topic: '' }, 5, /topic without wildcards and not empty, got ""/)
  refused({ ...publish, topic: '', properties: { topicAlias: 1 } }, 4, /topic without wildcards/)
  refused({ ...publish, topic: 'a'.repeat(65_536) }, 5, /topic/)
  refused({ ...publish, qos: 3 }, 5, /QoS/) // [MQTT-3.3.1-4]
  refused({ ...publish, qos: 0, dup: true }, 5, /DUP only with QoS 1 or 2/) // [MQTT-3.3.1-2]
  refused({ ...publish, packetId: 0 }, 5, /identifier from 1 to 65535, got 0/)
  refused({ ...publish, packetId: 65_536 }, 4, /got 65536/)
  refused({ ...publish, payload: 'text' }, 4, /payload that is a Uint8Array, got "text"/)
})

test('a SUBSCRIBE is refused that no server may accept', () => {
  const with1 = (fields: object): object => ({
    ...subscribe,
    subscriptions: [{ ...subscription, ...fields }],
  })
  refused({ ...subscribe, subscriptions: [] }, 4, /list of subscriptions, not empty/)
  refused(with1({ filter: 'a#' }), 4, /topic filter, got "a#"/)
  refused(with1({ filter: '$share/g' }), 5, /topic filter/)
  refused(with1({ filter: '$share/g/a', noLocal: true }), 5, /no local/) // [MQTT-3.8.3-4]
  refused(with1({ qos: 3 }), 4, /QoS/)
  refused(with1({ retainHandling: 3 }), 5, /retain handling of 0, 1 or 2, got 3/)
  refused({ ...subscribe, packetId: -1 }, 5, /packet identifier/)
  refused({ ...subscribe, properties: { subscriptionIdentifiers: [1, 2] } }, 5, /one subscription/)
})

test('reason codes are refused that the packet type does not have', () => {
  const ack = { packetId: 1, reasonCode: 0x92, properties: NO_PROPERTIES }
  refused({ type: PacketType.PUBACK, ...ack }, 5, /reason code of this packet type, got 146/)
  const codes = { packetId: 1, reasonCodes: [0x87], properties: NO_PROPERTIES }
  refused({ type: PacketType.SUBACK, ...codes }, 4, /reason code/)
  refused({ type: PacketType.SUBACK, ...codes, reasonCodes: [] }, 5, /not empty/)
  refused({ type: PacketType.UNSUBACK, ...codes, reasonCodes: [1] }, 5, /reason code/)
  const connack = { type: PacketType.CONNACK, properties: NO_PROPERTIES }
  refused({ ...connack, sessionPresent: false, reasonCode: 0x87 }, 4, /reason code/)
  refused({ ...connack, sessionPresent: true, reasonCode: 0x87 }, 5, /no session/)
  const end = { reasonCode: 0x84, properties: NO_PROPERTIES }
  refused({ type: PacketType.DISCONNECT, ...end }, 5, /reason code/)
})

test('an AUTH is refused before MQTT 5.0 and without a method', () => {
  const auth = { type: PacketType.AUTH, reasonCode: 0x18, properties: NO_PROPERTIES }
  refused(auth, 5, /authentication method/)
  refused({ ...auth, properties: { authenticationMethod: 'm' } }, 4, /MQTT 5.0/)
})

test('properties are refused that the packet does not have or that are out of range', () => {
  const props = (properties: object): object => ({ ...publish, properties })
  refused(props({ reasonString: 'x' }), 5, /property of this packet, got "reasonString"/)
  refused(props({ colour: 'red' }), 5, /known property, got "colour"/)
  refused(props({ topicAlias: 0 }), 5, /topicAlias from 1 to 65535, got 0/) // [MQTT-3.3.2-8]
  refused(props({ payloadFormatIndicator: 2 }), 5, /from 0 to 1, got 2/)
  refused(props({ messageExpiryInterval: 4_294_967_296 }), 5, /from 0 to 4294967295/)
  refused(props({ messageExpiryInterval: '60' }), 5, /got "60"/)
  refused(props({ responseTopic: 'a/#' }), 5, /responseTopic without wildcards/) // [MQTT-3.3.2-14]
  refused(props({ correlationData: 'x' }), 5, /Uint8Array/)
  refused(props({ subscriptionIdentifiers: 1 }), 5, /that are an array, got 1/)
  refused(props({ subscriptionIdentifiers: [0] }), 5, /from 1 to 268435455, got 0/)
  refused(props({ userProperties: [['name']] }), 5, /pair of name and value/)
  refused(props({ userProperties: { name: 'value' } }), 5, /pair of name and value|an array/)
  const data = { authenticationData: new Uint8Array(1) }
  refused({ ...connect, properties: data }, 5, /authentication method/)
})

test('what is no packet at all is refused', () => {
  refused({}, 5, /packet type, got undefined/)
  refused({ type: 16 }, 5, /packet type, got 16/)
  assert.throws(() => encodePacket(null as unknown as Packet, 5), { code: 'invalid-packet' })
})

test('a field of any wrong type is refused, and never anything but PacketError', () => {
  const junk = fc.constantFrom<unknown>(undefined, null, -1, 0.5, 'x', [], {}, [null], [{}], 1n)
  for (const sender of ['client', 'server'] as const) {
    const any = fc.tuple(packetFrom(sender, 5), fc.nat(), junk)
    fc.assert(
      fc.property(any, ([packet, place, value]) => {
        const names = Object.keys(packet)
        const spoiled = { ...packet, [names[place % names.length] ?? '']: value }
        for (const encode of [encodePacket, packetByteLength, encodeAppending]) {
          try {
            encode(spoiled, 5)
          } catch (error) {
            assert.ok(error instanceof PacketError, `${error}`)
            assert.equal(error.code, 'invalid-packet')
          }
        }
      }),
      { numRuns: 1000 },
    )
  }
})

function encodeAppending(packet: Packet, level: ProtocolLevel): number {
  const writer = new Writer()
  writePacket(writer, packet, level)
  return writer.length
}

test('before MQTT 5.0 properties, reason codes and options are left out', () => {
  const properties = { reasonString: 'x' }
  const ack = { type: PacketType.PUBACK, packetId: 1, reasonCode: 0x87, properties } as const
  assert.deepEqual(encodePacket(ack, 4), bytesOf('40 02 00 01'))
  const end = { type: PacketType.DISCONNECT, reasonCode: 4, properties } as const
  assert.deepEqual(encodePacket(end, 4), bytesOf('e0 00'))
  const unsuback = {
    type: PacketType.UNSUBACK,
    packetId: 1,
    reasonCodes: [0x11],
    properties,
  } as const
  assert.deepEqual(encodePacket(unsuback, 3), bytesOf('b0 02 00 01'))
  const options = { noLocal: true, retainAsPublished: true, retainHandling: 2 } as const
  const subscriptions = [{ ...subscription, ...options }]
  assert.deepEqual(
    encodePacket({ ...subscribe, subscriptions }, 4),
    bytesOf('82 06 00 01 00 01 "a" 00'),
  )
  const message = { ...publish, properties: { contentType: 'x' } }
  assert.deepEqual(encodePacket(message, 4), bytesOf('32 05 00 01 "t" 00 01'))
  const connack = { type: PacketType.CONNACK, sessionPresent: true, reasonCode: 0 } as const
  assert.deepEqual(encodePacket({ ...connack, properties }, 3), bytesOf('20 02 00 00'))
})

test('a property that is undefined is left out', () => {
  const properties = { topicAlias: undefined, contentType: 'x' } as unknown as Properties
  const bytes = encodePacket({ ...publish, properties }, 5)
  assert.deepEqual(bytes, bytesOf('32 0a 00 01 "t" 00 01 04 03 00 01 "x"'))
  assert.equal(packetByteLength({ ...publish, properties }, 5), bytes.length)
})

test('what a client sends is encoded the same by the client part alone', () => {
  for (const packet of [connect, publish, subscribe]) {
    assert.deepEqual(encodeClientPacket(packet, 5), encodePacket(packet, 5))
  }
})

test('one packet after another leaves the earlier bytes alone, small after large', () => {
  const filters = Array.from({ length: 2000 }, (_, at) => `${'x'.repeat(50)}/${at}`)
  const large = { type: PacketType.UNSUBSCRIBE, packetId: 1, filters, properties: NO_PROPERTIES }
  const first = encodePacket(large as Packet, 4)
  const copy = first.slice()
  assert.deepEqual(encodePacket({ type: PacketType.PINGREQ }, 4), bytesOf('c0 00'))
  assert.deepEqual(first, copy)
})

test('the length of properties is that of their bytes', () => {
  const properties: Properties = {
    messageExpiryInterval: 1,
    contentType: 'ü',
    correlationData: new Uint8Array(200),
    subscriptionIdentifiers: [1, 128],
    userProperties: [['€', '']],
  }
  const writer = new Writer()
  writeProperties(writer, properties, PacketType.PUBLISH, 5)
  assert.equal(propertiesByteLength(properties, 5), writer.length)
  assert.equal(propertiesByteLength(NO_PROPERTIES, 5), 1)
  assert.equal(propertiesByteLength(properties, 4), 0)
})
