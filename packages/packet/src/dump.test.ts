// Packets as lines of text: all that matters is there, no secret is, and no control character.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType } from './constants.ts'
import { describePacket } from './dump.ts'
import { NO_PROPERTIES, type Packet, type PublishPacket } from './packets.ts'
import { bytesOf } from './testing/vectors.ts'

function publish(payload: Uint8Array, fields: Partial<PublishPacket> = {}): string {
  return describePacket({
    type: PacketType.PUBLISH,
    topic: 'a/b',
    payload,
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: NO_PROPERTIES,
    ...fields,
  })
}

const lines: readonly (readonly [line: string, packet: Packet])[] = [
  ['PINGREQ', { type: PacketType.PINGREQ }],
  ['PINGRESP', { type: PacketType.PINGRESP }],
  [
    'CONNACK SUCCESS sessionPresent {receiveMaximum=5 userProperties=[["k","v"]]}',
    {
      type: PacketType.CONNACK,
      sessionPresent: true,
      reasonCode: 0,
      properties: { receiveMaximum: 5, userProperties: [['k', 'v']] },
    },
  ],
  [
    'CONNACK NOT_AUTHORIZED',
    {
      type: PacketType.CONNACK,
      sessionPresent: false,
      reasonCode: 0x87,
      properties: NO_PROPERTIES,
    },
  ],
  [
    'CONNACK IDENTIFIER_REJECTED',
    { type: PacketType.CONNACK, sessionPresent: false, reasonCode: 2, properties: NO_PROPERTIES },
  ],
  [
    'PUBACK id=7',
    { type: PacketType.PUBACK, packetId: 7, reasonCode: 0, properties: NO_PROPERTIES },
  ],
  [
    'PUBREC id=7 QUOTA_EXCEEDED {reasonString="full"}',
    {
      type: PacketType.PUBREC,
      packetId: 7,
      reasonCode: 0x97,
      properties: { reasonString: 'full' },
    },
  ],
  [
    'SUBSCRIBE id=1 "a/#" qos=1, "b" qos=0 noLocal retainAsPublished retainHandling=2',
    {
      type: PacketType.SUBSCRIBE,
      packetId: 1,
      subscriptions: [
        { filter: 'a/#', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        { filter: 'b', qos: 0, noLocal: true, retainAsPublished: true, retainHandling: 2 },
      ],
      properties: NO_PROPERTIES,
    },
  ],
  [
    'SUBACK id=1 GRANTED_QOS_0, GRANTED_QOS_1, TOPIC_FILTER_INVALID',
    {
      type: PacketType.SUBACK,
      packetId: 1,
      reasonCodes: [0, 1, 0x8f],
      properties: NO_PROPERTIES,
    },
  ],
  [
    'UNSUBSCRIBE id=2 "a", "b/+"',
    {
      type: PacketType.UNSUBSCRIBE,
      packetId: 2,
      filters: ['a', 'b/+'],
      properties: NO_PROPERTIES,
    },
  ],
  [
    'UNSUBACK id=2 SUCCESS, NO_SUBSCRIPTION_EXISTED',
    { type: PacketType.UNSUBACK, packetId: 2, reasonCodes: [0, 0x11], properties: NO_PROPERTIES },
  ],
  [
    'UNSUBACK id=2',
    { type: PacketType.UNSUBACK, packetId: 2, reasonCodes: [], properties: NO_PROPERTIES },
  ],
  [
    'DISCONNECT NORMAL_DISCONNECTION',
    { type: PacketType.DISCONNECT, reasonCode: 0, properties: NO_PROPERTIES },
  ],
  [
    'DISCONNECT SESSION_TAKEN_OVER',
    { type: PacketType.DISCONNECT, reasonCode: 0x8e, properties: NO_PROPERTIES },
  ],
  [
    'AUTH CONTINUE_AUTHENTICATION {authenticationMethod="m" authenticationData=***}',
    {
      type: PacketType.AUTH,
      reasonCode: 0x18,
      properties: { authenticationMethod: 'm', authenticationData: bytesOf('"secret"') },
    },
  ],
]
for (const [line, packet] of lines) {
  test(line, () => assert.equal(describePacket(packet), line))
}

test('a CONNECT is described without its password', () => {
  const line = describePacket({
    type: PacketType.CONNECT,
    protocolLevel: 4,
    cleanStart: true,
    keepAliveSeconds: 60,
    clientId: 'c',
    will: {
      topic: 'w',
      payload: bytesOf('"gone"'),
      qos: 1,
      retain: true,
      properties: { willDelayInterval: 5 },
    },
    username: 'u',
    password: bytesOf('"secret"'),
    bridge: true,
    properties: NO_PROPERTIES,
  })
  const will = 'will=("w" qos=1 retain payload="gone" {willDelayInterval=5})'
  assert.equal(
    line,
    `CONNECT "c" level=4 bridge clean keepAlive=60s username="u" password=*** ${will}`,
  )
})

test('a PUBLISH is described with all its flags', () => {
  assert.equal(
    publish(bytesOf('"on"'), { qos: 2, retain: true, dup: true, packetId: 9 }),
    'PUBLISH "a/b" qos=2 id=9 retain dup payload="on"',
  )
})

test('a payload that can be printed is text, any other hexadecimal', () => {
  assert.equal(publish(bytesOf('')), 'PUBLISH "a/b" qos=0 payload=""')
  assert.match(publish(bytesOf('"süß €" 0a')), /payload="süß €\\n"$/)
  assert.match(publish(bytesOf('00 ff 10')), /payload=0x00ff10$/)
  assert.match(publish(bytesOf('c3')), /payload=0xc3$/)
  assert.match(publish(bytesOf('1b "[2J"')), /payload=0x1b5b324a$/)
})

test('a payload is cut at 64 bytes and not within a character', () => {
  assert.match(publish(bytesOf(`"${'a'.repeat(64)}"`)), /payload="a{64}"$/)
  assert.match(publish(bytesOf(`"${'a'.repeat(65)}"`)), /payload="a{64}"\.\.\. \(65 bytes\)$/)
  assert.match(publish(bytesOf(`"${'a'.repeat(63)}üü"`)), /payload="a{63}"\.\.\. \(67 bytes\)$/)
  const faces = publish(bytesOf(`"${'😀'.repeat(30)}"`))
  assert.match(faces, /payload="(😀){16}"\.\.\. \(120 bytes\)$/u)
  assert.match(publish(new Uint8Array(70)), /payload=0x(00){64}\.\.\. \(70 bytes\)$/)
  assert.match(publish(new Uint8Array(70).fill(0x80)), /payload=0x(80){61,64}\.\.\. \(70 bytes\)$/)
})

test('a topic cannot forge a line or move the cursor', () => {
  const line = publish(bytesOf(''), { topic: 'a\nb\u009b2J\u202e"' })
  assert.equal(line, 'PUBLISH "a\\nb\\u{9b}2J\\u{202e}\\"" qos=0 payload=""')
})

test('an unknown reason code is shown as a number', () => {
  const packet: Packet = { type: PacketType.DISCONNECT, reasonCode: 0xff, properties: {} }
  assert.equal(describePacket(packet), 'DISCONNECT 0xff')
})
