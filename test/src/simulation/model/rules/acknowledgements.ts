// Each PUBACK, PUBREC and PUBCOMP answers something that has come, in the order in which it came,
// and comes once. MQTT 5.0 section 4.6.

import type { ConnectionRecord, PendingAck, Publication } from '../facts.ts'
import { broken } from '../failure.ts'

/** @returns what is acknowledged */
export function takePending(
  connection: ConnectionRecord,
  pending: PendingAck[],
  name: string,
  packetId: number,
): Publication {
  const who = `${connection.connect.clientId}: ${name} ${packetId}`
  const first = pending.shift()
  if (first === undefined) broken('acknowledgement', `${who} answers nothing`)
  if (first.packetId !== packetId) {
    broken('order', `${who} comes before that of ${first.packetId}, which was first`)
  }
  return first.publication
}

export function takeReleased(connection: ConnectionRecord, packetId: number): void {
  const first = connection.pubcomp.shift()
  if (first === packetId) return
  const who = `${connection.connect.clientId}: PUBCOMP ${packetId}`
  broken('acknowledgement', `${who} came, PUBREL was of ${first ?? 'none'}`)
}
