// CONNACK of a client that is let in. MQTT 5.0 section 3.2.

import {
  type ConnackPacket,
  type ConnectPacket,
  encodePacket,
  NO_PROPERTIES,
  PacketType,
  type Properties,
  type ProtocolLevel,
} from '@godwit/packet'
import type { Connection } from './connection.ts'
import type { Limits } from './limits.ts'
import type { AuthenticationVerdict } from './ports.ts'

export class Connacks {
  private readonly limits: Limits
  private readonly responseTopicPrefix: string | null
  /** What most clients get: that nothing is otherwise than they asked. Nobody changes it. */
  private readonly plain: Uint8Array
  private readonly plain5: Uint8Array

  constructor(limits: Limits, responseTopicPrefix: string | null) {
    this.limits = limits
    this.responseTopicPrefix = responseTopicPrefix
    this.plain = bytesOf(NO_PROPERTIES, 4)
    this.plain5 = bytesOf(this.always(), 5)
  }

  /** Without a session: see `withSessionPresent`. It may be shared with others. */
  bytesFor(
    connection: Connection,
    packet: ConnectPacket,
    expirySeconds: number,
    verdict: AuthenticationVerdict,
  ): Uint8Array {
    if (!connection.level5) return this.plain
    const asked = packet.properties
    const clientId = connection.clientId
    const prefix = this.responseTopicPrefix
    const wantsResponses = asked.requestResponseInformation === 1 && prefix !== null
    const method = connection.authenticationMethod
    const isPlain =
      expirySeconds === (asked.sessionExpiryInterval ?? 0) &&
      packet.clientId === clientId &&
      connection.keepAliveSeconds === packet.keepAliveSeconds &&
      !wantsResponses &&
      method === null &&
      verdict.authenticationData === undefined
    if (isPlain) return this.plain5
    const properties: Properties = {
      ...(expirySeconds === (asked.sessionExpiryInterval ?? 0)
        ? {}
        : { sessionExpiryInterval: expirySeconds }),
      ...this.always(),
      ...(packet.clientId === '' ? { assignedClientIdentifier: clientId } : {}),
      ...(connection.keepAliveSeconds === packet.keepAliveSeconds
        ? {}
        : { serverKeepAlive: connection.keepAliveSeconds }),
      // [MQTT-3.1.2-28]
      ...(wantsResponses ? { responseInformation: `${prefix}/${clientId}` } : {}),
      // [MQTT-4.12.0-5] [MQTT-4.12.0-6]
      ...(method === null ? {} : { authenticationMethod: method }),
      ...(verdict.authenticationData === undefined
        ? {}
        : { authenticationData: verdict.authenticationData }),
    }
    return bytesOf(properties, 5)
  }

  /** What the broker tells every client of MQTT 5.0. */
  private always(): Properties {
    const { limits } = this
    return {
      receiveMaximum: limits.receiveMaximum,
      ...(limits.maximumQoS === 2 ? {} : { maximumQoS: limits.maximumQoS }), // [MQTT-3.2.2-9]
      ...(limits.retainAvailable ? {} : { retainAvailable: 0 }),
      maximumPacketSize: limits.packetBytesMax,
      ...(limits.topicAliasMaximum > 0 ? { topicAliasMaximum: limits.topicAliasMaximum } : {}),
    }
  }
}

function bytesOf(properties: Properties, level: ProtocolLevel): Uint8Array {
  const packet: ConnackPacket = {
    type: PacketType.CONNACK,
    sessionPresent: false,
    reasonCode: 0,
    properties,
  }
  return encodePacket(packet, level)
}

/** A copy that says so; before MQTT 3.1.1 it cannot be said. Section 3.2.2.1. */
export function withSessionPresent(connack: Uint8Array, connection: Connection): Uint8Array {
  if (connection.protocolLevel === 3) return connack
  const bytes = connack.slice()
  let at = 1
  while ((bytes[at] as number) > 127) at++
  bytes[at + 1] = 1
  return bytes
}
