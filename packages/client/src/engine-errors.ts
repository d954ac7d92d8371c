// How the end of a connection becomes the error that everybody is told.

import type { DisconnectPacket } from '@godwit/packet'
import { MqttError, reasonText } from './errors.ts'
import { LinkState } from './link.ts'

/** The transport closed. @param state how far the connection was, one of `LinkState` */
export function closeError(state: number, cause: Error | null): MqttError {
  const details = cause === null ? {} : { cause }
  const because = cause === null ? '' : `: ${cause.message || String(cause)}`
  switch (state) {
    case LinkState.CONNECTED:
      return new MqttError('connection-lost', `the connection was lost${because}`, details)
    case LinkState.CONNECTING: {
      const text = `the server closed the connection before CONNACK${because}`
      return new MqttError('connect-failed', text, details)
    }
    default:
      return new MqttError('connect-failed', `cannot connect${because}`, details)
  }
}

/** The server said goodbye. */
export function disconnectError({ reasonCode, properties }: DisconnectPacket): MqttError {
  const { reasonString, serverReference } = properties
  const text = `the server disconnected: ${reasonString ?? reasonText(reasonCode)}`
  const details = { reasonCode, reasonString, serverReference }
  return new MqttError('server-disconnected', text, details)
}

/** An attempt could not even begin. */
export function connectError(error: unknown): MqttError {
  if (error instanceof MqttError) return error
  return new MqttError('connect-failed', `cannot connect: ${messageOf(error)}`, { cause: error })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
