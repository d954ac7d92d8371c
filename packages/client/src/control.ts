// The packets about the connection itself, written: CONNECT, PINGREQ, DISCONNECT. AUTH is in
// authentication.ts.

import {
  type ConnectPacket,
  type Packet,
  PacketType,
  type Properties,
  writeConnect,
  writeDisconnect,
  writePing,
} from '@godwit/packet'
import type { Connection } from './connection.ts'
import { messageOf } from './engine-errors.ts'
import { invalidArgument } from './errors.ts'

const { PINGREQ, DISCONNECT } = PacketType

/** Sees every packet, null when nobody looks. */
export interface Watched {
  readonly sent: ((packet: Packet) => void) | null
}

/** @throws MqttError `invalid-argument`: the options hold what no packet can */
export function sendConnect(to: Connection, packet: ConnectPacket, watched: Watched): void {
  try {
    writeConnect(to.writer(), packet)
  } catch (cause) {
    throw invalidArgument(`CONNECT: ${messageOf(cause)}`, cause)
  }
  watched.sent?.(packet)
}

export function sendPing(to: Connection, watched: Watched): void {
  const packet = { type: PINGREQ } as const
  writePing(to.writer(), packet)
  watched.sent?.(packet)
}

/** @throws PacketError `invalid-packet`, and nothing was written */
export function sendDisconnect(
  to: Connection,
  reasonCode: number,
  properties: Properties,
  watched: Watched,
): void {
  const packet = { type: DISCONNECT, reasonCode, properties } as const
  const writer = to.writer()
  const start = writer.length
  try {
    writeDisconnect(writer, packet, to.level)
  } catch (error) {
    writer.length = start
    throw error
  }
  watched.sent?.(packet)
}
