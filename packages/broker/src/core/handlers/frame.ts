// hot
// Sends each frame to the handler of its type, once the connection may send such a packet at all.

import {
  type AckPacket,
  type Packet,
  PacketError,
  PacketType,
  ReasonCode,
  readPacket,
} from '@godwit/packet'
import type { Broker } from '../broker.ts'
import { type Connection, ConnectionState } from '../connection.ts'
import type { Limits } from '../limits.ts'
import { handleAck, handlePlainAck } from './acks.ts'
import { handleAuth } from './auth.ts'
import { handleConnect } from './connect.ts'
import { handleDisconnect } from './disconnect.ts'
import { handlePublish } from './publish.ts'
import { handleSubscribe, handleUnsubscribe } from './subscribe.ts'

const PINGRESP = new Uint8Array([0xd0, 0])
const PLAIN_ACK_BYTES = 2

export function handleFrame(broker: Broker, connection: Connection): void {
  const decoder = connection.decoder
  broker.counters.packetsReceived++
  if (broker.ports.trace.packets) {
    const clientId = connection.clientId
    const { bytes, start, end } = decoder
    broker.ports.trace.received(connection.wire.origin, clientId, bytes, start, end)
  }
  const type = decoder.first >> 4
  if (connection.state === ConnectionState.OPEN) {
    if (type === PacketType.PUBLISH) {
      handlePublish(broker, connection)
      broker.workload.published(connection)
      return
    }
    const flags = decoder.first & 15
    const isAck = type >= PacketType.PUBACK && type <= PacketType.PUBCOMP
    if (isAck && decoder.end - decoder.bodyStart === PLAIN_ACK_BYTES) {
      // [MQTT-3.6.1-1] [MQTT-2.1.3-1]
      if (flags === (type === PacketType.PUBREL ? 2 : 0)) {
        const { bytes, bodyStart } = decoder
        const packetId = ((bytes[bodyStart] as number) << 8) | (bytes[bodyStart + 1] as number)
        handlePlainAck(broker, connection, type, packetId)
        return
      }
    }
    // It is not read: its faults would be answered as those of a first one.
    if (type === PacketType.CONNECT) protocolError('a second CONNECT came') // [MQTT-3.1.0-2]
  } else if (connection.state === ConnectionState.AUTHENTICATING) checkOrder(type)
  handlePacket(broker, connection)
}

/** What may come before CONNACK; that CONNECT is the first is seen by its first byte. */
function checkOrder(type: number): void {
  if (type !== PacketType.AUTH && type !== PacketType.DISCONNECT) {
    protocolError(`a packet of type ${type} came before CONNACK, expected AUTH`) // [MQTT-3.1.2-30]
  }
}

function handlePacket(broker: Broker, connection: Connection): void {
  const { first, bytes, bodyStart, end } = connection.decoder
  const packet = readPacket(first, bytes, bodyStart, end, connection.protocolLevel, 'client')
  // Those of CONNECT are counted with its will's, and refused by CONNACK.
  if (packet.type !== PacketType.CONNECT) checkUserProperties(packet, broker.limits)
  switch (packet.type) {
    case PacketType.CONNECT:
      handleConnect(broker, connection, packet)
      break
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBREL:
    case PacketType.PUBCOMP:
      handleAck(broker, connection, packet as AckPacket)
      break
    case PacketType.SUBSCRIBE:
      handleSubscribe(broker, connection, packet)
      break
    case PacketType.UNSUBSCRIBE:
      handleUnsubscribe(broker, connection, packet)
      break
    case PacketType.PINGREQ:
      broker.sender.packet(connection, PINGRESP, 0) // [MQTT-3.12.4-1]
      break
    case PacketType.DISCONNECT:
      handleDisconnect(broker, connection, packet)
      break
    case PacketType.AUTH:
      handleAuth(broker, connection, packet)
      break
    default:
      protocolError(`a client must not send a packet of type ${packet.type}`)
  }
}

function checkUserProperties(packet: Packet, { userPropertiesMax }: Limits): void {
  if (!('properties' in packet)) return
  const count = packet.properties.userProperties?.length ?? 0
  if (count <= userPropertiesMax) return
  const text = `${count} user properties, the limit is ${userPropertiesMax}`
  throw new PacketError('protocol-error', ReasonCode.QUOTA_EXCEEDED, text)
}

function protocolError(message: string): never {
  throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, message)
}
