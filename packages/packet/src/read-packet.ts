// One frame to a packet, and what its sender must not send. What a server sends is a set of its
// own, so that the bundle of a client holds nothing that only a server needs.

import { readAck } from './ack.ts'
import { readAuth } from './auth.ts'
import { readConnack } from './connack.ts'
import { readConnect } from './connect.ts'
import { PacketType, type ProtocolLevel } from './constants.ts'
import { readDisconnect } from './disconnect.ts'
import { malformed, protocolError } from './errors.ts'
import type { AckPacket, AuthPacket, ClientPacket, Packet, ServerPacket } from './packets.ts'
import { readPing } from './ping.ts'
import { readPublish } from './publish.ts'
import { Reader } from './reader.ts'
import { readSuback, readSubscribe } from './subscribe.ts'
import { readUnsuback, readUnsubscribe } from './unsubscribe.ts'

/** Who sent the bytes. */
export type Sender = 'client' | 'server'

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
  return sender === 'client'
    ? readClientPacket(first, bytes, bodyStart, end, level)
    : readServerPacket(first, bytes, bodyStart, end, level)
}

/** `readPacket` for what a client sent. */
export function readClientPacket(
  first: number,
  bytes: Uint8Array,
  bodyStart: number,
  end: number,
  level: ProtocolLevel,
): ClientPacket {
  reader.reset(bytes, bodyStart, end)
  switch (first >> 4) {
    case PacketType.CONNECT:
      return readConnect(reader, first)
    case PacketType.PUBLISH: {
      const packet = readPublish(reader, first, level)
      if (packet.properties.subscriptionIdentifiers !== undefined) {
        protocolError('a subscription identifier from a client') // [MQTT-3.3.4-6]
      }
      return packet
    }
    case PacketType.SUBSCRIBE:
      return readSubscribe(reader, first, level)
    case PacketType.UNSUBSCRIBE:
      return readUnsubscribe(reader, first, level)
    case PacketType.PINGREQ:
      return readPing(reader, first, level)
    case PacketType.DISCONNECT:
      return readDisconnect(reader, first, level)
    default:
      return readEither(first, level)
  }
}

/** `readPacket` for what a server sent; smaller in a bundle. */
export function readServerPacket(
  first: number,
  bytes: Uint8Array,
  bodyStart: number,
  end: number,
  level: ProtocolLevel,
): ServerPacket {
  reader.reset(bytes, bodyStart, end)
  switch (first >> 4) {
    case PacketType.CONNACK:
      return readConnack(reader, first, level)
    case PacketType.PUBLISH:
      return readPublish(reader, first, level)
    case PacketType.SUBACK:
      return readSuback(reader, first, level)
    case PacketType.UNSUBACK:
      return readUnsuback(reader, first, level)
    case PacketType.PINGRESP:
      return readPing(reader, first, level)
    case PacketType.DISCONNECT: {
      if (level < 5) protocolError('a DISCONNECT from a server before MQTT 5.0')
      const packet = readDisconnect(reader, first, level)
      if (packet.properties.sessionExpiryInterval !== undefined) {
        protocolError('a session expiry interval from a server') // [MQTT-3.14.2-2]
      }
      return packet
    }
    default:
      return readEither(first, level)
  }
}

function readEither(first: number, level: ProtocolLevel): AckPacket | AuthPacket {
  const type = first >> 4
  if (type >= PacketType.PUBACK && type <= PacketType.PUBCOMP) {
    return readAck(reader, first, level)
  }
  if (type === PacketType.AUTH) return readAuth(reader, first, level)
  return type === 0
    ? malformed('packet type 0')
    : protocolError(`packet type ${type} from this side`)
}
