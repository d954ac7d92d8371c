// The AUTH packet that the server sends. MQTT 5.0 section 3.15.

import { encodePacket, PacketType } from '@godwit/packet'
import type { Broker } from '../broker.ts'
import type { Connection } from '../connection.ts'
import type { AuthenticationVerdict } from '../ports.ts'
import { NO_BATCH } from '../sender.ts'

/** [MQTT-4.12.0-5] */
export function sendAuth(
  broker: Broker,
  connection: Connection,
  reasonCode: number,
  verdict: AuthenticationVerdict,
): void {
  const method = connection.authenticationMethod ?? ''
  const data = verdict.authenticationData
  const properties = {
    authenticationMethod: method,
    ...(data === undefined ? {} : { authenticationData: data }),
  }
  const packet = encodePacket({ type: PacketType.AUTH, reasonCode, properties }, 5)
  broker.answer(connection, packet, NO_BATCH)
}
