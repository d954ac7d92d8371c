// Whether a server that has not accepted MQTT 5.0 is tried with 3.1.1 at once, and what is told
// when it takes neither. Pure; both clients use it.

import type { ProtocolLevel } from '@godwit/packet'
import type { MqttError } from './errors.ts'
import { LinkState } from './link.ts'

const UNSUPPORTED_VERSION = 0x84

/** What was agreed on with the server on the latest connection; null before the first. */
interface Agreed {
  readonly protocolVersion: ProtocolLevel
}

/**
 * What attempts begin with, until a server has said that it does not know it. One that said nothing
 * may be busy: what was concluded from silence holds for one connection.
 */
export function firstLevel(wanted: ProtocolLevel | 'auto'): ProtocolLevel {
  return wanted === 'auto' ? 5 : wanted
}

/** Whether a server has said that it does not know the version. */
export function isVersionRefused(error: MqttError | null): boolean {
  return error?.reasonCode === UNSUPPORTED_VERSION
}

/** Whether the latest connection was one of MQTT 5.0. */
export function hasSpoken5<T extends Agreed>(agreed: T | null): agreed is T {
  return agreed?.protocolVersion === 5
}

/**
 * Whether the server may only know earlier versions: it has said so, or it has answered CONNECT
 * with nothing, or with what is not MQTT 5.0. Who has once spoken 5.0 has to say so.
 * @param state how far the attempt was, one of `LinkState`
 */
export function mayBeOlder(state: number, error: MqttError, agreed: Agreed | null): boolean {
  if (state !== LinkState.CONNECTING) return false
  const isNoAnswer = error.code === 'connect-failed' || error.code === 'protocol-error'
  return isVersionRefused(error) || (isNoAnswer && !hasSpoken5(agreed))
}

/**
 * Of a server that took neither: that it does not take 3.1.1 says less than what it did before. An
 * outage must not look as if nothing could help.
 */
export function moreTelling(before: MqttError | null, error: MqttError): MqttError {
  const saysLess = error.code === 'invalid-argument' || isVersionRefused(error)
  return saysLess && before !== null ? before : error
}
