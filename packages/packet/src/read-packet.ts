// One frame to a packet of any type, and what its sender must not send.

import { readAck } from './ack.ts'
import { readAuth } from './auth.ts'
import { readConnack } from './connack.ts'
import { readConnect } from './connect.ts'
import { PacketType, type ProtocolLevel } from './constants.ts'
import { readDisconnect } from './disconnect.ts'
import { malformed, protocolError } from './errors.ts'
import type { Packet } from './packets.ts'
import { readPing } from './ping.ts'
import { readPublish } from './publish.ts'
import { Reader } from './reader.ts'
import { readSuback, readSubscribe } from './subscribe.ts'
import { readUnsuback, readUnsubscribe } from './unsubscribe.ts'

/** Who sent the bytes. */
export type Sender = 'client' | 'server'

/** The packet types that only one side sends, as bits. MQTT 5.0 table 2-1. */
const CLIENT_ONLY: number =
  (1 << PacketType.CONNECT) |
  (1 << PacketType.SUBSCRIBE) |
  (1 << PacketType.UNSUBSCRIBE) |
  (1 << PacketType.PINGREQ)
const SERVER_ONLY: number =
  (1 << PacketType.CONNACK) |
  (1 << PacketType.SUBACK) |
  (1 << PacketType.UNSUBACK) |
  (1 << PacketType.PINGRESP)

const reader: Reader = /* @__PURE__ */ new Reader()

/**
 * Decodes the frame whose first byte is `first` and whose body is `bytes[bodyStart, end)`.
 * Payloads and binary fields are views on `bytes`.
 * @throws PacketError with every code but `packet-too-large` and `invalid-packet`
 */
export function readPacket(
  first: number,
  bytes: Uint8Array,
  bodyStart: number,
  end: number,
  level: ProtocolLevel,
  sender: Sender,
): Packet {
  reader.reset(bytes, bodyStart, end)
  const others = sender === 'client' ? SERVER_ONLY : CLIENT_ONLY
  if (((others >> (first >> 4)) & 1) === 1) {
    protocolError(`packet type ${first >> 4} from a ${sender}`)
  }
  const packet = readAny(first, level)
  if (packet.type === PacketType.PUBLISH) {
    if (sender === 'client' && packet.properties.subscriptionIdentifiers !== undefined) {
      protocolError('a subscription identifier from a client') // [MQTT-3.3.4-6]
    }
  } else if (packet.type === PacketType.DISCONNECT && sender === 'server') {
    if (level < 5) protocolError('a DISCONNECT from a server before MQTT 5.0')
    if (packet.properties.sessionExpiryInterval !== undefined) {
      protocolError('a session expiry interval from a server') // [MQTT-3.14.2-2]
    }
  }
  return packet
}

function readAny(first: number, level: ProtocolLevel): Packet {
  switch (first >> 4) {
    case PacketType.CONNECT:
      return readConnect(reader, first)
    case PacketType.CONNACK:
      return readConnack(reader, first, level)
    case PacketType.PUBLISH:
      return readPublish(reader, first, level)
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBREL:
    case PacketType.PUBCOMP:
      return readAck(reader, first, level)
    case PacketType.SUBSCRIBE:
      return readSubscribe(reader, first, level)
    case PacketType.SUBACK:
      return readSuback(reader, first, level)
    case PacketType.UNSUBSCRIBE:
      return readUnsubscribe(reader, first, level)
    case PacketType.UNSUBACK:
      return readUnsuback(reader, first, level)
    case PacketType.PINGREQ:
    case PacketType.PINGRESP:
      return readPing(reader, first, level)
    case PacketType.DISCONNECT:
      return readDisconnect(reader, first, level)
    case PacketType.AUTH:
      return readAuth(reader, first, level)
    default:
      return malformed('packet type 0')
  }
}
