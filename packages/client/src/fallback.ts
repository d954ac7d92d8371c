// Whether a server that has not accepted MQTT 5.0 is tried with 3.1.1 at once, and what is told
// when it takes neither. Pure; both clients use it.

import type { ProtocolLevel } from '@godwit/packet'
import type { MqttError } from './errors.ts'
import { LinkState } from './link.ts'

const UNSUPPORTED_VERSION = 0x84

/** What was agreed on with the server on the latest connection, null before the first. */
type Before = { readonly protocolVersion: ProtocolLevel } | null

/** What an attempt begins with. */
export function usualLevel(wanted: ProtocolLevel | 'auto', agreed: Before): ProtocolLevel {
  return agreed?.protocolVersion ?? (wanted === 'auto' ? 5 : wanted)
}

/**
 * Whether the server may only know earlier versions: it has said so, or it has answered CONNECT
 * with nothing, or with what is not MQTT 5.0. Who has once spoken 5.0 has to say so.
 * @param state how far the attempt was, one of `LinkState`
 */
export function mayBeOlder(
  state: number,
  { code, reasonCode }: MqttError,
  agreed: Before,
): boolean {
  if (state !== LinkState.CONNECTING) return false
  const isNoAnswer = code === 'connect-failed' || code === 'protocol-error'
  return reasonCode === UNSUPPORTED_VERSION || (agreed === null && isNoAnswer)
}

/**
 * Of a server that took neither: that it does not take 3.1.1 says less than what it did before. An
 * outage must not look as if nothing could help.
 */
export function moreTelling(before: MqttError | null, error: MqttError): MqttError {
  const saysLess = error.code === 'invalid-argument' || error.reasonCode === UNSUPPORTED_VERSION
  return saysLess && before !== null ? before : error
}
