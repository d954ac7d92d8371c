// DISCONNECT from a client. MQTT 5.0 section 3.14.

import { type DisconnectPacket, PacketError, ReasonCode } from '@godwit/packet'
import type { Broker } from '../broker.ts'
import { type Connection, ConnectionState } from '../connection.ts'

export function handleDisconnect(
  broker: Broker,
  connection: Connection,
  packet: DisconnectPacket,
): void {
  const session = connection.session
  const wasOpen = connection.state === ConnectionState.OPEN
  const expiry = packet.properties.sessionExpiryInterval
  if (expiry !== undefined && session !== null) {
    // Where the server keeps none CONNECT may have had another one, and nothing comes of it.
    const keepsNone = broker.limits.sessionExpirySecondsMax === 0
    if (session.expirySeconds === 0 && expiry > 0 && !keepsNone) {
      const text = 'DISCONNECT sets a session expiry interval, CONNECT had 0'
      throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text)
    }
    broker.sessions.setExpiry(session, expiry)
  }
  const withWill = connection.level5 && packet.reasonCode !== ReasonCode.NORMAL_DISCONNECTION
  broker.endConnection(connection)
  if (wasOpen) broker.detach(connection, withWill, packet.reasonCode, 'the client disconnected')
}
