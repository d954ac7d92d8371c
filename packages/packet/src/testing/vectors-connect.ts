// Vectors of CONNECT and CONNACK.

import { PacketType } from '../constants.ts'
import { type ConnackPacket, type ConnectPacket, NO_PROPERTIES } from '../packets.ts'
import { type BadVector, bad, bytesOf, good, type Vector } from './vectors.ts'

function connect(fields: Partial<ConnectPacket>): ConnectPacket {
  return {
    type: PacketType.CONNECT,
    protocolLevel: 5,
    cleanStart: true,
    keepAliveSeconds: 0,
    clientId: '',
    will: null,
    username: null,
    password: null,
    bridge: false,
    properties: NO_PROPERTIES,
    ...fields,
  }
}

function connack(fields: Partial<ConnackPacket>): ConnackPacket {
  return {
    type: PacketType.CONNACK,
    sessionPresent: false,
    reasonCode: 0,
    properties: NO_PROPERTIES,
    ...fields,
  }
}

export const connectVectors: readonly Vector[] = [
  good(
    'CONNECT of MQTT 3.1',
    3,
    'client',
    `
    10 0f             // CONNECT
    00 06 "MQIsdp" 03 // protocol name and level
    02                // clean session
    00 0a             // keep alive
    00 01 "c"         // client identifier
    `,
    connect({ protocolLevel: 3, keepAliveSeconds: 10, clientId: 'c' }),
  ),
  good(
    'CONNECT of MQTT 3.1 with a client identifier of more than 23 bytes',
    3,
    'client',
    `
    10 26             // CONNECT
    00 06 "MQIsdp" 03 // protocol name and level
    00                // no clean session
    00 00             // keep alive
    00 18 "abcdefghijklmnopqrstuvwx" // client identifier
    `,
    connect({ protocolLevel: 3, cleanStart: false, clientId: 'abcdefghijklmnopqrstuvwx' }),
  ),
  good(
    'CONNECT of MQTT 3.1 that announces a user name and a password and ends without them',
    3,
    'client',
    `
    10 0f             // CONNECT
    00 06 "MQIsdp" 03 // protocol name and level
    c2                // user name, password, clean session
    00 0a             // keep alive
    00 01 "c"         // client identifier
    `,
    connect({ protocolLevel: 3, keepAliveSeconds: 10, clientId: 'c' }),
    `
    10 0f
    00 06 "MQIsdp" 03
    02
    00 0a
    00 01 "c"
    `,
  ),
  good(
    'CONNECT of a bridge in MQTT 3.1',
    3,
    'client',
    `
    10 14             // CONNECT
    00 06 "MQIsdp" 83 // protocol name and level, bridge
    02                // clean session
    00 3c             // keep alive
    00 06 "bridge"    // client identifier
    `,
    connect({ protocolLevel: 3, keepAliveSeconds: 60, clientId: 'bridge', bridge: true }),
  ),
  good(
    'CONNECT of MQTT 3.1.1 without a client identifier',
    4,
    'client',
    `
    10 0c             // CONNECT
    00 04 "MQTT" 04   // protocol name and level
    02                // clean session
    00 3c             // keep alive
    00 00             // client identifier
    `,
    connect({ protocolLevel: 4, keepAliveSeconds: 60 }),
  ),
  good(
    'CONNECT of MQTT 3.1.1 with everything',
    4,
    'client',
    `
    10 24             // CONNECT
    00 04 "MQTT" 04   // protocol name and level
    f4                // user name, password, will retain, will QoS 2, will
    ff ff             // keep alive
    00 07 "zähler"    // client identifier
    00 03 "w/t"       // will topic
    00 02 00 ff       // will payload
    00 01 "u"         // user name
    00 03 01 02 03    // password
    `,
    connect({
      protocolLevel: 4,
      cleanStart: false,
      keepAliveSeconds: 65_535,
      clientId: 'zähler',
      will: {
        topic: 'w/t',
        payload: bytesOf('00 ff'),
        qos: 2,
        retain: true,
        properties: NO_PROPERTIES,
      },
      username: 'u',
      password: bytesOf('01 02 03'),
    }),
  ),
  good(
    'CONNECT of a bridge in MQTT 3.1.1',
    4,
    'client',
    `
    10 0d             // CONNECT
    00 04 "MQTT" 84   // protocol name and level, bridge
    00                // no clean session
    00 00             // keep alive
    00 01 "b"         // client identifier
    `,
    connect({ protocolLevel: 4, cleanStart: false, clientId: 'b', bridge: true }),
  ),
  good(
    'CONNECT of MQTT 5.0 with nothing',
    5,
    'client',
    `
    10 0d             // CONNECT
    00 04 "MQTT" 05   // protocol name and level
    00                // no clean start
    00 00             // keep alive
    00                // properties
    00 00             // client identifier
    `,
    connect({ cleanStart: false }),
  ),
  good(
    'CONNECT of MQTT 5.0 with a password and no user name',
    5,
    'client',
    `
    10 14             // CONNECT
    00 04 "MQTT" 05   // protocol name and level
    42                // password, clean start
    00 00             // keep alive
    00                // properties
    00 00             // client identifier
    00 05 "token"     // password
    `,
    connect({ password: bytesOf('"token"') }),
  ),
  good(
    'CONNECT of MQTT 5.0 with all its properties',
    5,
    'client',
    `
    10 41             // CONNECT
    00 04 "MQTT" 05   // protocol name and level
    02                // clean start
    00 1e             // keep alive
    33                // properties
    11 ff ff ff ff    // session expiry interval: never
    21 00 01          // receive maximum
    27 00 00 00 01    // maximum packet size
    22 00 00          // topic alias maximum
    19 01             // request response information
    17 00             // request problem information
    26 00 01 "a" 00 01 "1" // user property
    26 00 01 "b" 00 00     // user property without a value
    26 00 01 "a" 00 01 "2" // user property of the same name
    15 00 03 "m-1"    // authentication method
    16 00 02 80 00    // authentication data
    00 01 "c"         // client identifier
    `,
    connect({
      keepAliveSeconds: 30,
      clientId: 'c',
      properties: {
        sessionExpiryInterval: 0xffff_ffff,
        receiveMaximum: 1,
        maximumPacketSize: 1,
        topicAliasMaximum: 0,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        userProperties: [
          ['a', '1'],
          ['b', ''],
          ['a', '2'],
        ],
        authenticationMethod: 'm-1',
        authenticationData: bytesOf('80 00'),
      },
    }),
  ),
  good(
    'CONNECT of MQTT 5.0 with a will that has all its properties',
    5,
    'client',
    `
    10 39             // CONNECT
    00 04 "MQTT" 05   // protocol name and level
    0e                // will QoS 1, will, clean start
    00 00             // keep alive
    00                // properties
    00 01 "c"         // client identifier
    22                // will properties
    18 00 00 00 0a    // will delay interval
    01 01             // payload format indicator
    02 00 00 0e 10    // message expiry interval
    03 00 01 "t"      // content type
    08 00 03 "r/s"    // response topic
    09 00 02 01 02    // correlation data
    26 00 01 "k" 00 01 "v" // user property
    00 04 "will"      // will topic
    00 00             // will payload
    `,
    connect({
      clientId: 'c',
      will: {
        topic: 'will',
        payload: bytesOf(''),
        qos: 1,
        retain: false,
        properties: {
          willDelayInterval: 10,
          payloadFormatIndicator: 1,
          messageExpiryInterval: 3600,
          contentType: 't',
          responseTopic: 'r/s',
          correlationData: bytesOf('01 02'),
          userProperties: [['k', 'v']],
        },
      },
    }),
  ),
]

export const connackVectors: readonly Vector[] = [
  good('CONNACK of MQTT 3.1', 3, 'server', '20 02 00 00', connack({})),
  good(
    'CONNACK of MQTT 3.1 whose reserved byte is not 0',
    3,
    'server',
    '20 02 ff 02',
    connack({ reasonCode: 2 }),
    '20 02 00 02',
  ),
  good(
    'CONNACK of MQTT 3.1.1 with a session',
    4,
    'server',
    `
    20 02 // CONNACK
    01    // session present
    00    // accepted
    `,
    connack({ sessionPresent: true }),
  ),
  good(
    'CONNACK of MQTT 3.1.1 that refuses',
    4,
    'server',
    `
    20 02 // CONNACK
    00    // no session
    05    // not authorized
    `,
    connack({ reasonCode: 5 }),
  ),
  good(
    'CONNACK of MQTT 5.0 without properties',
    5,
    'server',
    `
    20 03 // CONNACK
    00    // no session
    00    // success
    00    // properties
    `,
    connack({}),
  ),
  good(
    'CONNACK of MQTT 5.0 that refuses with a reason',
    5,
    'server',
    `
    20 09         // CONNACK
    00            // no session
    8c            // bad authentication method
    06            // properties
    1f 00 03 "no!" // reason string
    `,
    connack({ reasonCode: 0x8c, properties: { reasonString: 'no!' } }),
  ),
  good(
    'CONNACK of MQTT 5.0 with all its properties',
    5,
    'server',
    `
    20 49               // CONNACK
    01                  // session present
    00                  // success
    46                  // properties
    11 00 00 00 00      // session expiry interval
    21 ff ff            // receive maximum
    24 01               // maximum QoS
    25 00               // retain available
    27 ff ff ff ff      // maximum packet size
    12 00 02 "id"       // assigned client identifier
    22 00 10            // topic alias maximum
    1f 00 02 "ok"       // reason string
    26 00 01 "k" 00 01 "v" // user property
    28 01               // wildcard subscription available
    29 00               // subscription identifier available
    2a 01               // shared subscription available
    13 00 3c            // server keep alive
    1a 00 02 "r/"       // response information
    1c 00 07 "there:1"  // server reference
    15 00 02 "am"       // authentication method
    16 00 01 00         // authentication data
    `,
    connack({
      sessionPresent: true,
      properties: {
        sessionExpiryInterval: 0,
        receiveMaximum: 65_535,
        maximumQoS: 1,
        retainAvailable: 0,
        maximumPacketSize: 0xffff_ffff,
        assignedClientIdentifier: 'id',
        topicAliasMaximum: 16,
        reasonString: 'ok',
        userProperties: [['k', 'v']],
        wildcardSubscriptionAvailable: 1,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 1,
        serverKeepAlive: 60,
        responseInformation: 'r/',
        serverReference: 'there:1',
        authenticationMethod: 'am',
        authenticationData: bytesOf('00'),
      },
    }),
  ),
]

export const badConnectVectors: readonly BadVector[] = [
  bad(
    'CONNECT with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'client',
    '11 0c 00 04 "MQTT" 04 02 00 00 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with an unknown protocol name [MQTT-3.1.2-1]',
    5,
    'client',
    '10 0d 00 04 "mqtt" 05 02 00 00 00 00 00',
    'unsupported-protocol-version',
    0x84,
  ),
  bad(
    'CONNECT with the name of 3.1 and the level of 3.1.1 [MQTT-3.1.2-2]',
    4,
    'client',
    '10 0f 00 06 "MQIsdp" 04 02 00 00 00 01 "c"',
    'unsupported-protocol-version',
    0x84,
  ),
  bad(
    'CONNECT with the name of 3.1.1 and the level of 3.1 [MQTT-3.1.2-2]',
    4,
    'client',
    '10 0d 00 04 "MQTT" 03 02 00 00 00 01 "c"',
    'unsupported-protocol-version',
    0x84,
  ),
  bad(
    'CONNECT of level 6 [MQTT-3.1.2-2]',
    5,
    'client',
    '10 0d 00 04 "MQTT" 06 02 00 00 00 00 00',
    'unsupported-protocol-version',
    0x84,
  ),
  bad(
    'CONNECT with the reserved flag [MQTT-3.1.2-3]',
    4,
    'client',
    '10 0c 00 04 "MQTT" 04 03 00 00 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with will QoS 3 [MQTT-3.1.2-12]',
    5,
    'client',
    '10 14 00 04 "MQTT" 05 1e 00 00 00 00 01 "c" 00 00 01 "w" 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with will QoS and no will [MQTT-3.1.2-11]',
    5,
    'client',
    '10 0e 00 04 "MQTT" 05 0a 00 00 00 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with will retain and no will [MQTT-3.1.2-13] [MQTT-3.1.2-15 v3]',
    4,
    'client',
    '10 0d 00 04 "MQTT" 04 22 00 00 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT of MQTT 3.1.1 with a password and no user name [MQTT-3.1.2-22 v3]',
    4,
    'client',
    '10 10 00 04 "MQTT" 04 42 00 00 00 01 "c" 00 01 "p"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT of MQTT 3.1.1 without client identifier and clean session [MQTT-3.1.3-8 v3]',
    4,
    'client',
    '10 0c 00 04 "MQTT" 04 00 00 00 00 00',
    'client-identifier-not-valid',
    0x85,
  ),
  bad(
    'CONNECT of MQTT 3.1 without a client identifier',
    3,
    'client',
    '10 0e 00 06 "MQIsdp" 03 02 00 00 00 00',
    'client-identifier-not-valid',
    0x85,
  ),
  bad(
    'CONNECT that announces a user name and has none [MQTT-3.1.2-17]',
    4,
    'client',
    '10 0d 00 04 "MQTT" 04 82 00 00 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT that announces a password and has none [MQTT-3.1.2-19]',
    5,
    'client',
    '10 11 00 04 "MQTT" 05 c2 00 00 00 00 01 "c" 00 01 "u"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with a user name that it does not announce [MQTT-3.1.2-16]',
    5,
    'client',
    '10 11 00 04 "MQTT" 05 02 00 00 00 00 01 "c" 00 01 "u"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT without a client identifier at all [MQTT-3.1.3-3]',
    4,
    'client',
    '10 0a 00 04 "MQTT" 04 02 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose client identifier is not UTF-8 [MQTT-3.1.3-4]',
    4,
    'client',
    '10 0e 00 04 "MQTT" 04 02 00 00 00 02 c3 28',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose user name contains U+0000 [MQTT-1.5.4-2]',
    5,
    'client',
    '10 13 00 04 "MQTT" 05 82 00 00 00 00 01 "c" 00 03 "a" 00 "b"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose will has no payload [MQTT-3.1.2-9]',
    4,
    'client',
    '10 10 00 04 "MQTT" 04 06 00 00 00 01 "c" 00 01 "w"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose will topic has a wildcard [MQTT-4.7.0-1]',
    5,
    'client',
    '10 16 00 04 "MQTT" 05 06 00 00 00 00 01 "c" 00 00 03 "w/#" 00 00',
    'topic-name-invalid',
    0x90,
  ),
  bad(
    'CONNECT whose will topic is empty [MQTT-4.7.3-1]',
    4,
    'client',
    '10 11 00 04 "MQTT" 04 06 00 00 00 01 "c" 00 00 00 00',
    'topic-name-invalid',
    0x90,
  ),
  bad(
    'CONNECT with a will delay outside the will',
    5,
    'client',
    '10 13 00 04 "MQTT" 05 02 00 00 05 18 00 00 00 01 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose will has a session expiry interval',
    5,
    'client',
    '10 19 00 04 "MQTT" 05 06 00 00 00 00 01 "c" 05 11 00 00 00 01 00 01 "w" 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with an unknown property',
    5,
    'client',
    '10 10 00 04 "MQTT" 05 02 00 00 02 7f 01 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT with two receive maximums',
    5,
    'client',
    '10 14 00 04 "MQTT" 05 02 00 00 06 21 00 01 21 00 01 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT with receive maximum 0',
    5,
    'client',
    '10 11 00 04 "MQTT" 05 02 00 00 03 21 00 00 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT with maximum packet size 0',
    5,
    'client',
    '10 13 00 04 "MQTT" 05 02 00 00 05 27 00 00 00 00 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT with request problem information 2',
    5,
    'client',
    '10 10 00 04 "MQTT" 05 02 00 00 02 17 02 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT with request response information 2',
    5,
    'client',
    '10 10 00 04 "MQTT" 05 02 00 00 02 19 02 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT with authentication data and no authentication method',
    5,
    'client',
    '10 12 00 04 "MQTT" 05 02 00 00 04 16 00 01 00 00 01 "c"',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNECT whose property length ends within a property',
    5,
    'client',
    '10 13 00 04 "MQTT" 05 02 00 00 03 11 00 00 00 01 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose property length goes past its end',
    5,
    'client',
    '10 10 00 04 "MQTT" 05 02 00 00 09 11 00 00 00 01',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT whose property length is longer than it needs to be [MQTT-1.5.5-1]',
    5,
    'client',
    '10 0f 00 04 "MQTT" 05 02 00 00 80 00 00 01 "c"',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNECT from a server',
    5,
    'server',
    '10 0d 00 04 "MQTT" 05 00 00 00 00 00 00',
    'protocol-error',
    0x82,
  ),
]

export const badConnackVectors: readonly BadVector[] = [
  bad(
    'CONNACK with flags in the fixed header [MQTT-2.1.3-1]',
    4,
    'server',
    '22 02 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNACK with reserved acknowledge flags [MQTT-3.2.2-1]',
    4,
    'server',
    '20 02 02 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNACK with a session and a refusal in MQTT 3.1.1 [MQTT-3.2.2-4 v3]',
    4,
    'server',
    '20 02 01 05',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNACK with a session and a refusal in MQTT 5.0 [MQTT-3.2.2-6]',
    5,
    'server',
    '20 03 01 87 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNACK with return code 6 in MQTT 3.1.1',
    4,
    'server',
    '20 02 00 06',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNACK with a reason code of DISCONNECT [MQTT-3.2.2-8]',
    5,
    'server',
    '20 03 00 8e 00',
    'protocol-error',
    0x82,
  ),
  bad(
    'CONNACK of MQTT 3.1.1 with properties',
    4,
    'server',
    '20 03 00 00 00',
    'malformed-packet',
    0x81,
  ),
  bad(
    'CONNACK of MQTT 5.0 without a property length',
    5,
    'server',
    '20 02 00 00',
    'malformed-packet',
    0x81,
  ),
  bad('CONNACK of one byte', 4, 'server', '20 01 00', 'malformed-packet', 0x81),
  bad('CONNACK with bytes behind', 5, 'server', '20 04 00 00 00 00', 'malformed-packet', 0x81),
  bad('CONNACK with maximum QoS 2', 5, 'server', '20 05 00 00 02 24 02', 'protocol-error', 0x82),
  bad(
    'CONNACK with a topic alias',
    5,
    'server',
    '20 06 00 00 03 23 00 01',
    'malformed-packet',
    0x81,
  ),
  bad('CONNACK from a client', 5, 'client', '20 03 00 00 00', 'protocol-error', 0x82),
]
