// Vectors of all packets but CONNECT, CONNACK, PUBLISH and its answers.

import { PacketType } from '../constants.ts'
import {
  NO_PROPERTIES,
  type Packet,
  type Properties,
  type SubscriptionRequest,
} from '../packets.ts'
import { type BadVector, bad, bytesOf, good, type Vector } from './vectors.ts'

function request(filter: string, fields: Partial<SubscriptionRequest>): SubscriptionRequest {
  const options = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  return { filter, qos: 0, ...options, ...fields }
}

function subscribe(
  packetId: number,
  subscriptions: SubscriptionRequest[],
  properties: Properties = NO_PROPERTIES,
): Packet {
  return { type: PacketType.SUBSCRIBE, packetId, subscriptions, properties }
}

function suback(
  packetId: number,
  reasonCodes: number[],
  properties: Properties = NO_PROPERTIES,
): Packet {
  return { type: PacketType.SUBACK, packetId, reasonCodes, properties }
}

function unsubscribe(
  packetId: number,
  filters: string[],
  properties: Properties = NO_PROPERTIES,
): Packet {
  return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties }
}

function unsuback(
  packetId: number,
  reasonCodes: number[],
  properties: Properties = NO_PROPERTIES,
): Packet {
  return { type: PacketType.UNSUBACK, packetId, reasonCodes, properties }
}

function disconnect(reasonCode: number, properties: Properties = NO_PROPERTIES): Packet {
  return { type: PacketType.DISCONNECT, reasonCode, properties }
}

function auth(reasonCode: number, properties: Properties = NO_PROPERTIES): Packet {
  return { type: PacketType.AUTH, reasonCode, properties }
}

export const subscribeVectors: readonly Vector[] = [
  good(
    'SUBSCRIBE of MQTT 3.1.1 with two filters',
    4,
    'client',
    `
    82 0c         // SUBSCRIBE
    00 0a         // packet identifier
    00 03 "a/+"   // filter
    01            // QoS 1
    00 01 "#"     // filter
    02            // QoS 2
    `,
    subscribe(10, [request('a/+', { qos: 1 }), request('#', { qos: 2 })]),
  ),
  good(
    'SUBSCRIBE of MQTT 3.1 for the second time, with DUP',
    3,
    'client',
    `
    8a 06         // SUBSCRIBE, DUP
    00 01         // packet identifier
    00 01 "a"     // filter
    00            // QoS 0
    `,
    subscribe(1, [request('a', {})]),
    '82 06 00 01 00 01 "a" 00',
  ),
  good(
    'SUBSCRIBE of MQTT 5.0 with all its options and properties',
    5,
    'client',
    `
    82 21             // SUBSCRIBE
    ff ff             // packet identifier
    0c                // properties
    0b ff ff ff 7f    // subscription identifier 268,435,455
    26 00 01 "k" 00 01 "v" // user property
    00 01 "+"         // filter
    2e                // retain handling 2, retain as published, no local, QoS 2
    00 0b "$share/g/a/" // shared filter
    19                // retain handling 1, retain as published, QoS 1
    `,
    subscribe(
      65_535,
      [
        request('+', { qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }),
        request('$share/g/a/', { qos: 1, retainAsPublished: true, retainHandling: 1 }),
      ],
      { subscriptionIdentifiers: [268_435_455], userProperties: [['k', 'v']] },
    ),
  ),
  good('SUBACK of MQTT 3.1', 3, 'server', '90 03 00 01 02', suback(1, [2])),
  good(
    'SUBACK of MQTT 3.1.1 with every code',
    4,
    'server',
    `
    90 06         // SUBACK
    00 0a         // packet identifier
    00 01 02 80   // granted QoS 0, 1, 2, failure
    `,
    suback(10, [0, 1, 2, 0x80]),
  ),
  good(
    'SUBACK of MQTT 5.0 with every code',
    5,
    'server',
    `
    90 14         // SUBACK
    00 0a         // packet identifier
    05            // properties
    1f 00 02 "ok" // reason string
    00 01 02 80 83 87 8f 91 97 9e a1 a2 // reason codes
    `,
    suback(10, [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2], {
      reasonString: 'ok',
    }),
  ),
  good(
    'UNSUBSCRIBE of MQTT 3.1.1 with two filters',
    4,
    'client',
    `
    a2 0d         // UNSUBSCRIBE
    00 02         // packet identifier
    00 03 "a/b"   // filter
    00 04 "c/+/"  // filter
    `,
    unsubscribe(2, ['a/b', 'c/+/']),
  ),
  good(
    'UNSUBSCRIBE of MQTT 5.0',
    5,
    'client',
    `
    a2 16             // UNSUBSCRIBE
    00 02             // packet identifier
    07                // properties
    26 00 01 "k" 00 01 "v" // user property
    00 0a "$share/g/#" // shared filter
    `,
    unsubscribe(2, ['$share/g/#'], { userProperties: [['k', 'v']] }),
  ),
  good('UNSUBACK of MQTT 3.1.1', 4, 'server', 'b0 02 00 02', unsuback(2, [])),
  good(
    'UNSUBACK of MQTT 5.0 with every code',
    5,
    'server',
    `
    b0 0a         // UNSUBACK
    00 02         // packet identifier
    00            // properties
    00 11 80 83 87 8f 91 // reason codes
    `,
    unsuback(2, [0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  ),
]

export const controlVectors: readonly Vector[] = [
  good('PINGREQ', 4, 'client', 'c0 00', { type: PacketType.PINGREQ }),
  good('PINGREQ of MQTT 5.0', 5, 'client', 'c0 00', { type: PacketType.PINGREQ }),
  good('PINGRESP', 4, 'server', 'd0 00', { type: PacketType.PINGRESP }),
  good('PINGRESP of MQTT 3.1', 3, 'server', 'd0 00', { type: PacketType.PINGRESP }),
  good('DISCONNECT of MQTT 3.1.1', 4, 'client', 'e0 00', disconnect(0)),
  good('DISCONNECT of MQTT 5.0 without a reason code', 5, 'client', 'e0 00', disconnect(0)),
  good(
    'DISCONNECT of MQTT 5.0 that says "normal" though it need not',
    5,
    'client',
    'e0 01 00',
    disconnect(0),
    'e0 00',
  ),
  good(
    'DISCONNECT of MQTT 5.0 with a reason code and no property length',
    5,
    'client',
    `
    e0 01 // DISCONNECT
    04    // with will message
    `,
    disconnect(4),
  ),
  good(
    'DISCONNECT of MQTT 5.0 with an empty property length',
    5,
    'server',
    'e0 02 8b 00',
    disconnect(0x8b),
    'e0 01 8b',
  ),
  good(
    'DISCONNECT from a client that changes its session expiry interval',
    5,
    'client',
    `
    e0 07          // DISCONNECT
    00             // normal
    05             // properties
    11 00 00 00 3c // session expiry interval
    `,
    disconnect(0, { sessionExpiryInterval: 60 }),
  ),
  good(
    'DISCONNECT from a server that names another one',
    5,
    'server',
    `
    e0 13              // DISCONNECT
    9d                 // server moved
    11                 // properties
    1c 00 01 "b"       // server reference
    1f 00 00           // reason string
    26 00 02 "ke" 00 03 "val" // user property
    `,
    disconnect(0x9d, { serverReference: 'b', reasonString: '', userProperties: [['ke', 'val']] }),
  ),
  good('AUTH with nothing', 5, 'server', 'f0 00', auth(0)),
  good(
    'AUTH with all its properties',
    5,
    'client',
    `
    f0 17             // AUTH
    18                // continue authentication
    15                // properties
    15 00 03 "am1"    // authentication method
    16 00 02 ff 00    // authentication data
    1f 00 01 "r"      // reason string
    26 00 00 00 01 "v" // user property without a name
    `,
    auth(0x18, {
      authenticationMethod: 'am1',
      authenticationData: bytesOf('ff 00'),
      reasonString: 'r',
      userProperties: [['', 'v']],
    }),
  ),
]

export const badSubscribeVectors: readonly BadVector[] = [
  bad(
    'SUBSCRIBE without its flags [MQTT-3.8.1-1]',
    4,
    'client',
    '80 06 00 01 00 01 "a" 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with DUP in MQTT 5.0 [MQTT-3.8.1-1]',
    5,
    'client',
    '8a 07 00 01 00 00 01 "a" 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with packet identifier 0 [MQTT-2.3.1-1 v3]',
    4,
    'client',
    '82 06 00 00 00 01 "a" 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE without a filter in MQTT 3.1.1 [MQTT-3.8.3-3 v3]',
    4,
    'client',
    '82 02 00 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE without a filter in MQTT 5.0 [MQTT-3.8.3-2]',
    5,
    'client',
    '82 03 00 01 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE whose filter has no options',
    4,
    'client',
    '82 05 00 01 00 01 "a"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with QoS 3 in MQTT 3.1.1 [MQTT-3.8.3-4 v3]',
    4,
    'client',
    '82 06 00 01 00 01 "a" 03',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE with QoS 3 in MQTT 5.0',
    5,
    'client',
    '82 07 00 01 00 00 01 "a" 03',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE with options in MQTT 3.1.1 [MQTT-3.8.3-4 v3]',
    4,
    'client',
    '82 06 00 01 00 01 "a" 04',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with the lower reserved option bit [MQTT-3.8.3-5]',
    5,
    'client',
    '82 07 00 01 00 00 01 "a" 40',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with the upper reserved option bit [MQTT-3.8.3-5]',
    5,
    'client',
    '82 07 00 01 00 00 01 "a" 80',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with retain handling 3',
    5,
    'client',
    '82 07 00 01 00 00 01 "a" 30',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE with no local on a shared filter [MQTT-3.8.3-4]',
    5,
    'client',
    '82 10 00 01 00 00 0a "$share/g/a" 04',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE to an empty filter [MQTT-4.7.3-1]',
    4,
    'client',
    '82 05 00 01 00 00 00',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'SUBSCRIBE to "a/#/b" [MQTT-4.7.1-1]',
    4,
    'client',
    '82 0a 00 01 00 05 "a/#/b" 00',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'SUBSCRIBE to "a+" [MQTT-4.7.1-2]',
    5,
    'client',
    '82 08 00 01 00 00 02 "a+" 00',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'SUBSCRIBE to a shared filter without a share name [MQTT-4.8.2-1]',
    5,
    'client',
    '82 0f 00 01 00 00 09 "$share//a" 00',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'SUBSCRIBE to a share name with a wildcard [MQTT-4.8.2-2]',
    5,
    'client',
    '82 10 00 01 00 00 0a "$share/+/a" 00',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'SUBSCRIBE to a filter that is not UTF-8 [MQTT-3.8.3-1]',
    4,
    'client',
    '82 06 00 01 00 01 ff 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'SUBSCRIBE with two subscription identifiers',
    5,
    'client',
    '82 0b 00 01 04 0b 01 0b 02 00 01 "a" 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE with subscription identifier 0',
    5,
    'client',
    '82 09 00 01 02 0b 00 00 01 "a" 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBSCRIBE with a reason string',
    5,
    'client',
    '82 0a 00 01 03 1f 00 00 00 01 "a" 00',
    'malformed-packet',
    0x81,
  ),
  bad('SUBSCRIBE from a server', 4, 'server', '82 06 00 01 00 01 "a" 00', 'protocol-error', 0x82),
  bad(
    'SUBACK with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'server',
    '92 03 00 01 00',
    'malformed-packet',
    0x81,
  ),
  bad('SUBACK with packet identifier 0', 4, 'server', '90 03 00 00 00', 'protocol-error', 0x82),
  bad('SUBACK without codes', 4, 'server', '90 02 00 01', 'malformed-packet', 0x81),
  bad('SUBACK without codes in MQTT 5.0', 5, 'server', '90 03 00 01 00', 'malformed-packet', 0x81),
  bad(
    'SUBACK with code 3 [MQTT-3.9.3-2]',
    5,
    'server',
    '90 04 00 01 00 03',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBACK with a code of MQTT 5.0 in MQTT 3.1.1 [MQTT-3.9.3-2 v3]',
    4,
    'server',
    '90 03 00 01 87',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBACK with a code of UNSUBACK [MQTT-3.9.3-2]',
    5,
    'server',
    '90 04 00 01 00 11',
    'protocol-error',
    0x82,
  ),
  bad(
    'SUBACK with a subscription identifier',
    5,
    'server',
    '90 06 00 01 02 0b 01 00',
    'malformed-packet',
    0x81,
  ),
  bad('SUBACK from a client', 4, 'client', '90 03 00 01 00', 'protocol-error', 0x82),
  bad(
    'UNSUBSCRIBE without its flags [MQTT-3.10.1-1]',
    4,
    'client',
    'a0 05 00 01 00 01 "a"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'UNSUBSCRIBE with packet identifier 0',
    5,
    'client',
    'a2 06 00 00 00 00 01 "a"',
    'protocol-error',
    0x82,
  ),
  bad(
    'UNSUBSCRIBE without a filter [MQTT-3.10.3-2]',
    4,
    'client',
    'a2 02 00 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'UNSUBSCRIBE without a filter in MQTT 5.0 [MQTT-3.10.3-2]',
    5,
    'client',
    'a2 03 00 01 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'UNSUBSCRIBE from "#a" [MQTT-4.7.1-1]',
    4,
    'client',
    'a2 06 00 01 00 02 "#a"',
    'topic-filter-invalid',
    0x8f,
  ),
  bad(
    'UNSUBSCRIBE whose filter is not UTF-8 [MQTT-3.10.3-1]',
    5,
    'client',
    'a2 07 00 01 00 00 02 c1 80',
    'malformed-packet',
    0x81,
  ),
  bad(
    'UNSUBSCRIBE with a subscription identifier',
    5,
    'client',
    'a2 08 00 01 02 0b 01 00 01 "a"',
    'malformed-packet',
    0x81,
  ),
  bad('UNSUBSCRIBE from a server', 5, 'server', 'a2 06 00 01 00 00 01 "a"', 'protocol-error', 0x82),
  bad(
    'UNSUBACK with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'server',
    'b2 02 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'UNSUBACK of MQTT 3.1.1 with a code',
    4,
    'server',
    'b0 03 00 01 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'UNSUBACK of MQTT 5.0 without codes',
    5,
    'server',
    'b0 03 00 01 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'UNSUBACK with a code of SUBACK [MQTT-3.11.3-2]',
    5,
    'server',
    'b0 04 00 01 00 01',
    'protocol-error',
    0x82,
  ),
  bad('UNSUBACK from a client', 5, 'client', 'b0 04 00 01 00 00', 'protocol-error', 0x82),
]

export const badControlVectors: readonly BadVector[] = [
  bad('packet type 0', 4, 'client', '00 00', 'malformed-packet', 0x81),
  bad('packet type 0 from a server', 5, 'server', '0f 00', 'malformed-packet', 0x81),
  bad(
    'PINGREQ with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'client',
    'c1 00',
    'malformed-packet',
    0x81,
  ),
  bad('PINGREQ with a body', 5, 'client', 'c0 01 00', 'malformed-packet', 0x81),
  bad('PINGREQ from a server', 4, 'server', 'c0 00', 'protocol-error', 0x82),
  bad(
    'PINGRESP with flags in the fixed header [MQTT-2.1.3-1]',
    5,
    'server',
    'd8 00',
    'malformed-packet',
    0x81,
  ),
  bad('PINGRESP with a body', 4, 'server', 'd0 01 00', 'malformed-packet', 0x81),
  bad('PINGRESP from a client', 5, 'client', 'd0 00', 'protocol-error', 0x82),
  bad(
    'DISCONNECT with flags in the fixed header [MQTT-3.14.1-1]',
    5,
    'client',
    'e1 00',
    'malformed-packet',
    0x81,
  ),
  bad('DISCONNECT of MQTT 3.1.1 with a body', 4, 'client', 'e0 01 00', 'malformed-packet', 0x81),
  bad('DISCONNECT from a server before MQTT 5.0', 4, 'server', 'e0 00', 'protocol-error', 0x82),
  bad(
    'DISCONNECT with a reason code of CONNACK [MQTT-3.14.2-1]',
    5,
    'server',
    'e0 01 84',
    'protocol-error',
    0x82,
  ),
  bad(
    'DISCONNECT with reason code 1 [MQTT-3.14.2-1]',
    5,
    'client',
    'e0 01 01',
    'protocol-error',
    0x82,
  ),
  bad(
    'DISCONNECT from a server with a session expiry interval [MQTT-3.14.2-2]',
    5,
    'server',
    'e0 07 00 05 11 00 00 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'DISCONNECT with two server references',
    5,
    'server',
    'e0 08 9c 06 1c 00 00 1c 00 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'DISCONNECT with a receive maximum',
    5,
    'client',
    'e0 05 00 03 21 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'DISCONNECT with bytes after the properties',
    5,
    'client',
    'e0 03 00 00 00',
    'malformed-packet',
    0x81,
  ),
  bad('AUTH in MQTT 3.1.1', 4, 'client', 'f0 00', 'malformed-packet', 0x81),
  bad('AUTH in MQTT 3.1', 3, 'server', 'f0 00', 'malformed-packet', 0x81),
  bad(
    'AUTH with flags in the fixed header [MQTT-3.15.1-1]',
    5,
    'client',
    'f2 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'AUTH with reason code 0x80 [MQTT-3.15.2-1]',
    5,
    'server',
    'f0 06 80 04 15 00 01 "m"',
    'protocol-error',
    0x82,
  ),
  bad('AUTH without an authentication method', 5, 'client', 'f0 02 18 00', 'protocol-error', 0x82),
  bad(
    'AUTH with data and no method',
    5,
    'client',
    'f0 06 18 04 16 00 01 00',
    'protocol-error',
    0x82,
  ),
  bad('AUTH without a property length', 5, 'client', 'f0 01 18', 'malformed-packet', 0x81),
  bad(
    'AUTH with two methods',
    5,
    'client',
    'f0 0a 18 08 15 00 01 "m" 15 00 01 "m"',
    'protocol-error',
    0x82,
  ),
]
