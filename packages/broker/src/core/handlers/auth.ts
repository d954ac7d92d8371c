// AUTH: the steps of enhanced authentication and re-authentication. MQTT 5.0 section 4.12.

import { type AuthPacket, PacketError, ReasonCode } from '@godwit/packet'
import type { Broker } from '../broker.ts'
import { type Connection, ConnectionState } from '../connection.ts'
import type { AuthenticationVerdict } from '../ports.ts'
import { sendAuth } from './auth-packet.ts'
import { settleConnect } from './connect.ts'

export function handleAuth(broker: Broker, connection: Connection, packet: AuthPacket): void {
  const method = packet.properties.authenticationMethod ?? null
  if (connection.authenticationMethod === null || method !== connection.authenticationMethod) {
    const text = `AUTH has method ${method}, CONNECT had ${connection.authenticationMethod}`
    throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text) // [MQTT-4.12.0-5]
  }
  if (packet.reasonCode === ReasonCode.SUCCESS) {
    const text = 'AUTH has reason code 0, which is the word of a server'
    throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text) // [MQTT-4.12.0-3]
  }
  const again = packet.reasonCode === ReasonCode.RE_AUTHENTICATE
  if (again !== (connection.state === ConnectionState.OPEN && !connection.reauthenticating)) {
    const text = `AUTH has reason code ${packet.reasonCode}, which is not its turn`
    throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text)
  }
  if (again) {
    connection.reauthenticating = true
    broker.ports.guard.abandon(connection.ticket)
    connection.ticket = broker.newTicket()
  }
  const { identity } = connection
  const data = packet.properties.authenticationData ?? null
  const { ticket } = connection
  const verdict = broker.ports.guard.proceed(ticket, identity, method, data, again)
  if (verdict !== null) settleAuth(broker, connection, verdict)
  else broker.waitFor(connection, ticket, final => settleAuth(broker, connection, final))
}

function settleAuth(broker: Broker, connection: Connection, final: unknown): void {
  const verdict = final as AuthenticationVerdict
  const pending = connection.resumeConnect
  if (connection.state === ConnectionState.AUTHENTICATING && pending !== null) {
    settleConnect(broker, connection, pending, verdict)
    return
  }
  if (connection.state !== ConnectionState.OPEN) return
  if (verdict.reasonCode >= 0x80) {
    const text = verdict.reasonString ?? 're-authentication failed'
    broker.close(connection, verdict.reasonCode, text) // [MQTT-4.12.1-2]
    return
  }
  if (verdict.reasonCode === ReasonCode.SUCCESS) connection.reauthenticating = false
  sendAuth(broker, connection, verdict.reasonCode, verdict)
}
