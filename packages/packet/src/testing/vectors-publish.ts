// Vectors of PUBLISH and its four answers.

import { PacketType } from '../constants.ts'
import { type AckPacket, NO_PROPERTIES, type PublishPacket } from '../packets.ts'
import { type BadVector, bad, bytesOf, good, type Vector } from './vectors.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP } = PacketType

function publish(fields: Partial<PublishPacket>): PublishPacket {
  return {
    type: PacketType.PUBLISH,
    topic: '',
    payload: new Uint8Array(0),
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: NO_PROPERTIES,
    ...fields,
  }
}

function ack(type: AckPacket['type'], fields: Partial<AckPacket>): AckPacket {
  return { type, packetId: 1, reasonCode: 0, properties: NO_PROPERTIES, ...fields }
}

export const publishVectors: readonly Vector[] = [
  good(
    'PUBLISH of QoS 0',
    4,
    'client',
    `
    30 07         // PUBLISH
    00 03 "a/b"   // topic
    "on"          // payload
    `,
    publish({ topic: 'a/b', payload: bytesOf('"on"') }),
  ),
  good(
    'PUBLISH of MQTT 3.1',
    3,
    'server',
    `
    31 04         // PUBLISH, retain
    00 01 "t"     // topic
    00            // payload
    `,
    publish({ topic: 't', payload: bytesOf('00'), retain: true }),
  ),
  good(
    'PUBLISH of QoS 1, a retained one for the second time',
    4,
    'client',
    `
    3b 06         // PUBLISH, DUP, QoS 1, retain
    00 01 "/"     // topic
    ff ff         // packet identifier
    ff            // payload
    `,
    publish({
      topic: '/',
      payload: bytesOf('ff'),
      qos: 1,
      retain: true,
      dup: true,
      packetId: 65_535,
    }),
  ),
  good(
    'PUBLISH of QoS 2 without a payload',
    4,
    'server',
    `
    34 06         // PUBLISH, QoS 2
    00 02 "$x"    // topic
    00 01         // packet identifier
    `,
    publish({ topic: '$x', qos: 2, packetId: 1 }),
  ),
  good(
    'PUBLISH to a topic of one to four bytes for each character',
    4,
    'client',
    `
    30 0c             // PUBLISH
    00 0a             // topic
    61                // U+0061
    c3 bc             // U+00FC
    e2 82 ac          // U+20AC
    f0 9f 98 80       // U+1F600
    `,
    publish({ topic: 'aü€😀' }),
  ),
  good(
    'PUBLISH to a topic that begins with a byte order mark [MQTT-1.5.4-3]',
    4,
    'client',
    `
    30 06             // PUBLISH
    00 04 ef bb bf "t" // topic
    `,
    publish({ topic: '\ufefft' }),
  ),
  good(
    'PUBLISH whose remaining length takes two bytes',
    5,
    'client',
    `
    30 90 01         // PUBLISH
    00 01 "t"     // topic
    00            // properties
    "0123456789012345678901234567890123456789012345678901234567890123456789" // payload
    "0123456789012345678901234567890123456789012345678901234567890123456789"
    `,
    publish({ topic: 't', payload: bytesOf(`"${'0123456789'.repeat(14)}"`) }),
  ),
  good(
    'PUBLISH of MQTT 5.0 with all its properties',
    5,
    'client',
    `
    32 34             // PUBLISH, QoS 1
    00 01 "t"         // topic
    01 02             // packet identifier
    2c                // properties
    01 00             // payload format indicator
    02 00 01 51 80    // message expiry interval
    23 00 07          // topic alias
    08 00 02 "r/"     // response topic
    09 00 03 00 01 ff // correlation data
    26 00 01 "k" 00 01 "1" // user property
    26 00 01 "k" 00 01 "2" // user property of the same name
    03 00 06 "text/x" // content type
    "{}"              // payload
    `,
    publish({
      topic: 't',
      payload: bytesOf('"{}"'),
      qos: 1,
      packetId: 258,
      properties: {
        payloadFormatIndicator: 0,
        messageExpiryInterval: 86_400,
        topicAlias: 7,
        responseTopic: 'r/',
        correlationData: bytesOf('00 01 ff'),
        userProperties: [
          ['k', '1'],
          ['k', '2'],
        ],
        contentType: 'text/x',
      },
    }),
  ),
  good(
    'PUBLISH whose topic is an alias',
    5,
    'client',
    `
    30 07         // PUBLISH
    00 00         // topic
    03            // properties
    23 ff ff      // topic alias
    "x"           // payload
    `,
    publish({ payload: bytesOf('"x"'), properties: { topicAlias: 65_535 } }),
  ),
  good(
    'PUBLISH from a server with several subscription identifiers [MQTT-3.3.4-4]',
    5,
    'server',
    `
    30 10             // PUBLISH
    00 01 "t"         // topic
    0c                // properties
    0b 01             // subscription identifier
    0b 80 01          // subscription identifier 128
    0b ff ff ff 7f    // subscription identifier 268,435,455
    0b 01             // the first one again
    `,
    publish({
      topic: 't',
      properties: { subscriptionIdentifiers: [1, 128, 268_435_455, 1] },
    }),
  ),
]

export const ackVectors: readonly Vector[] = [
  good(
    'PUBACK of MQTT 3.1.1',
    4,
    'client',
    `
    40 02 // PUBACK
    01 00 // packet identifier
    `,
    ack(PUBACK, { packetId: 256 }),
  ),
  good('PUBREC of MQTT 3.1.1', 4, 'server', '50 02 00 01', ack(PUBREC, {})),
  good('PUBREL of MQTT 3.1.1', 4, 'client', '62 02 00 01', ack(PUBREL, {})),
  good('PUBCOMP of MQTT 3.1.1', 4, 'server', '70 02 00 01', ack(PUBCOMP, {})),
  good(
    'PUBREL of MQTT 3.1 for the second time, with DUP',
    3,
    'client',
    '6a 02 00 01',
    ack(PUBREL, {}),
    '62 02 00 01',
  ),
  good('PUBACK of MQTT 5.0 without a reason code', 5, 'server', '40 02 00 01', ack(PUBACK, {})),
  good(
    'PUBREC of MQTT 5.0 with a reason code and no property length',
    5,
    'server',
    `
    50 03 // PUBREC
    00 01 // packet identifier
    10    // no matching subscribers
    `,
    ack(PUBREC, { reasonCode: 0x10 }),
  ),
  good(
    'PUBACK of MQTT 5.0 that says success though it need not',
    5,
    'client',
    '40 03 00 01 00',
    ack(PUBACK, {}),
    '40 02 00 01',
  ),
  good(
    'PUBCOMP of MQTT 5.0 with an empty property length',
    5,
    'client',
    '70 04 00 01 92 00',
    ack(PUBCOMP, { reasonCode: 0x92 }),
    '70 03 00 01 92',
  ),
  good(
    'PUBREL of MQTT 5.0 with properties',
    5,
    'server',
    `
    62 13               // PUBREL
    ff ff               // packet identifier
    92                  // packet identifier not found
    0f                  // properties
    1f 00 02 "eh"       // reason string
    26 00 02 "ab" 00 03 "cde" // user property
    `,
    ack(PUBREL, {
      packetId: 65_535,
      reasonCode: 0x92,
      properties: { reasonString: 'eh', userProperties: [['ab', 'cde']] },
    }),
  ),
  good(
    'PUBACK of MQTT 5.0 with properties and success',
    5,
    'client',
    `
    40 08         // PUBACK
    00 01         // packet identifier
    00            // success
    04            // properties
    1f 00 01 "y"  // reason string
    `,
    ack(PUBACK, { properties: { reasonString: 'y' } }),
  ),
]

export const badPublishVectors: readonly BadVector[] = [
  bad(
    'PUBLISH of QoS 3 [MQTT-3.3.1-4]',
    4,
    'client',
    '36 05 00 01 "t" 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH of QoS 0 with DUP [MQTT-3.3.1-2]',
    5,
    'client',
    '38 04 00 01 "t" 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH of QoS 1 with packet identifier 0 [MQTT-2.2.1-3]',
    5,
    'client',
    '32 06 00 01 "t" 00 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH of QoS 2 with packet identifier 0 [MQTT-2.3.1-1 v3]',
    4,
    'server',
    '34 05 00 01 "t" 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH of QoS 1 without a packet identifier',
    4,
    'client',
    '32 03 00 01 "t"',
    'malformed-packet',
    0x81,
  ),
  bad('PUBLISH without a topic', 4, 'client', '30 00', 'malformed-packet', 0x81),
  bad(
    'PUBLISH to an empty topic in MQTT 3.1.1 [MQTT-4.7.3-1]',
    4,
    'client',
    '30 03 00 00 "x"',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH to an empty topic without an alias in MQTT 5.0 [MQTT-4.7.3-1]',
    5,
    'client',
    '30 04 00 00 00 "x"',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH to a topic with "#" [MQTT-3.3.2-2]',
    4,
    'client',
    '30 05 00 03 "a/#"',
    'topic-name-invalid',
    0x90,
  ),
  bad(
    'PUBLISH to a topic with "+" [MQTT-3.3.2-2]',
    5,
    'client',
    '30 06 00 03 "+/a" 00',
    'topic-name-invalid',
    0x90,
  ),
  bad(
    'PUBLISH to a topic with "#" and an alias',
    5,
    'client',
    '30 07 00 01 "#" 03 23 00 01',
    'topic-name-invalid',
    0x90,
  ),
  bad(
    'PUBLISH to a topic with U+0000 [MQTT-1.5.4-2]',
    4,
    'client',
    '30 05 00 03 "a" 00 "b"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH to a topic with a surrogate [MQTT-1.5.4-1]',
    4,
    'client',
    '30 05 00 03 ed a0 80',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH to a topic in an overlong form [MQTT-1.5.4-1]',
    4,
    'client',
    '30 04 00 02 c0 af',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH to a topic that ends within a character',
    5,
    'client',
    '30 05 00 02 e2 82 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH whose topic goes past its end',
    4,
    'client',
    '30 04 00 03 "ab"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH of MQTT 5.0 without a property length',
    5,
    'client',
    '30 03 00 01 "t"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH with topic alias 0 [MQTT-3.3.2-8]',
    5,
    'client',
    '30 07 00 01 "t" 03 23 00 00',
    'topic-alias-invalid',
    0x94,
  ),
  bad(
    'PUBLISH with two topic aliases',
    5,
    'client',
    '30 0a 00 01 "t" 06 23 00 01 23 00 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH with payload format indicator 2',
    5,
    'client',
    '30 06 00 01 "t" 02 01 02',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH with two message expiry intervals',
    5,
    'client',
    '30 0e 00 01 "t" 0a 02 00 00 00 01 02 00 00 00 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH whose response topic has a wildcard [MQTT-3.3.2-14]',
    5,
    'client',
    '30 0a 00 01 "t" 06 08 00 03 "r/+"',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH whose response topic is empty',
    5,
    'client',
    '30 07 00 01 "t" 03 08 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH whose content type is not UTF-8 [MQTT-3.3.2-19]',
    5,
    'client',
    '30 08 00 01 "t" 04 03 00 01 ff',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH whose user property has a value that is not UTF-8 [MQTT-1.5.7-1]',
    5,
    'client',
    '30 0b 00 01 "t" 07 26 00 01 "k" 00 01 80',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH with a user property that lacks its value',
    5,
    'client',
    '30 0a 00 01 "t" 04 26 00 01 "k" 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH with a reason string',
    5,
    'server',
    '30 08 00 01 "t" 04 1f 00 01 "r"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH with a subscription identifier from a client [MQTT-3.3.4-6]',
    5,
    'client',
    '30 06 00 01 "t" 02 0b 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH with subscription identifier 0',
    5,
    'server',
    '30 06 00 01 "t" 02 0b 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBLISH with a property identifier in more bytes than it needs [MQTT-1.5.5-1]',
    5,
    'server',
    '30 07 00 01 "t" 03 81 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBLISH with a subscription identifier of five bytes',
    5,
    'server',
    '30 0a 00 01 "t" 06 0b ff ff ff ff 01',
    'malformed-packet',
    0x81,
  ),
]

export const badAckVectors: readonly BadVector[] = [
  bad(
    'PUBACK with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'client',
    '42 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBREC with flags in the fixed header [MQTT-2.1.3-1]',
    5,
    'client',
    '51 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBREL without its flags [MQTT-3.6.1-1]',
    4,
    'client',
    '60 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBREL with DUP in MQTT 3.1.1 [MQTT-3.6.1-1 v3]',
    4,
    'client',
    '6a 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBCOMP with flags in the fixed header [MQTT-2.1.3-1]',
    5,
    'server',
    '78 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad('PUBACK with packet identifier 0', 4, 'client', '40 02 00 00', 'protocol-error', 0x82),
  bad('PUBREL with packet identifier 0', 5, 'server', '62 02 00 00', 'protocol-error', 0x82),
  bad('PUBACK without a packet identifier', 4, 'server', '40 00', 'malformed-packet', 0x81),
  bad('PUBREC of one byte', 5, 'server', '50 01 00', 'malformed-packet', 0x81),
  bad(
    'PUBACK of MQTT 3.1.1 with a reason code',
    4,
    'client',
    '40 03 00 01 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBACK with a reason code of PUBREL [MQTT-3.4.2-1]',
    5,
    'client',
    '40 03 00 01 92',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBREC with a reason code of SUBACK [MQTT-3.5.2-1]',
    5,
    'client',
    '50 03 00 01 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBREL with a reason code of PUBACK [MQTT-3.6.2-1]',
    5,
    'client',
    '62 03 00 01 10',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBCOMP with a reason code of PUBREC [MQTT-3.7.2-1]',
    5,
    'client',
    '70 03 00 01 80',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBACK with two reason strings',
    5,
    'client',
    '40 0a 00 01 00 06 1f 00 00 1f 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'PUBACK with a topic alias',
    5,
    'client',
    '40 07 00 01 00 03 23 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'PUBACK with bytes after the properties',
    5,
    'client',
    '40 05 00 01 00 00 00',
    'malformed-packet',
    0x81,
  ),
]
