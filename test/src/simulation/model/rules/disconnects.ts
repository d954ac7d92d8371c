// A server that ends the connection of a client of MQTT 5.0 says why: one DISCONNECT with the code
// of the cause, and nothing behind it. Before MQTT 5.0 it says nothing, and it does not answer
// the DISCONNECT of a client. MQTT 5.0 sections 3.14, 4.13 and 3.1.4.

import { type ConnectionRecord, type Facts, NEVER } from '../facts.ts'
import { broken } from '../failure.ts'

const NOT_AUTHORIZED = 0x87
const KEEP_ALIVE_TIMEOUT = 0x8d
const TAKEN_OVER = 0x8e
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
const ADMINISTRATIVE_ACTION = 0x98

/** The broker writes DISCONNECT. */
export function write(facts: Facts, connection: ConnectionRecord, reasonCode: number): void {
  const { clientId, protocolLevel } = connection.connect
  const what = `${clientId} gets DISCONNECT ${hex(reasonCode)}`
  if (protocolLevel < 5) broken('disconnect', `${what}, and MQTT ${protocolLevel} has none`)
  if (connection.farewell !== null) {
    broken('disconnect', `${what} after its own`) // [MQTT-3.14.4-2]
  }
  const expected = causesOf(facts, connection)
  if (!expected.includes(reasonCode)) {
    broken('disconnect', `${what}, expected ${expected.map(hex).join(' or ') || 'none'}`)
  }
  connection.dismissedWith = reasonCode
  facts.coverage.dismissed(reasonCode)
}

/** Something else is written. */
export function checkSilence({ connect, dismissedWith }: ConnectionRecord, type: number): void {
  if (dismissedWith === 0) return
  broken('disconnect', `${connect.clientId} gets a packet of type ${type} after DISCONNECT`)
}

/** The broker ends a network connection that was there. */
export function end(connection: ConnectionRecord): void {
  const { connect, openAt, farewell, dismissedWith } = connection
  if (connect.protocolLevel < 5 || openAt === NEVER || connection.isRefused) return
  if (farewell !== null || dismissedWith !== 0) return
  broken('disconnect', `${connect.clientId} is cut off without DISCONNECT`) // [MQTT-4.13.1-1]
}

/** The reason codes that what happened may have. */
function causesOf(facts: Facts, connection: ConnectionRecord): number[] {
  const { clientId } = connection.connect
  const { fault } = connection
  // The last message of too many may end nothing, and a takeover the connection in the same turn.
  if (fault !== 0 && fault !== RECEIVE_MAXIMUM_EXCEEDED) return [fault]
  const causes: number[] = fault === 0 ? [] : [fault]
  if ((facts.welcomeAt.get(clientId) ?? 0) > connection.arrivedAt) causes.push(TAKEN_OVER)
  // That it was silent for long enough is looked at when it is detached.
  if (connection.isSilenced) causes.push(KEEP_ALIVE_TIMEOUT)
  if (connection.isExpelled) causes.push(ADMINISTRATIVE_ACTION)
  if (connection.hasLied) causes.push(NOT_AUTHORIZED)
  return causes
}

function hex(code: number): string {
  return `0x${code.toString(16)}`
}
