// How the end of a connection becomes the error that everybody is told.

import { type DisconnectPacket, PacketError } from '@godwit/packet'
import { MqttError, reasonText } from './errors.ts'
import { LinkState } from './link.ts'

const UNSPECIFIED = 0x80

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

/** The server broke the rules. */
export function brokenError(cause: unknown): MqttError {
  const reasonCode = cause instanceof PacketError ? cause.reasonCode : UNSPECIFIED
  const text = `the server broke the protocol: ${messageOf(cause)}`
  return new MqttError('protocol-error', text, { reasonCode, cause })
}

/** PINGREQ was sent, and nothing came. */
export function silenceError(): MqttError {
  return new MqttError('keep-alive-timeout', 'the server did not answer PINGREQ')
}

/** An attempt took too long. */
export function slowError(limitMs: number): MqttError {
  return new MqttError('connect-timeout', `not connected within ${limitMs} ms`)
}

/** An attempt could not even begin. */
export function connectError(error: unknown): MqttError {
  if (error instanceof MqttError) return error
  return new MqttError('connect-failed', `cannot connect: ${messageOf(error)}`, { cause: error })
}

export function storeError(what: string, cause: unknown): MqttError {
  return new MqttError('store-failed', `the session store${what}: ${messageOf(cause)}`, { cause })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
