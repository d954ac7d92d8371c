// The one error class of the codec: what the peer did wrong, with the reason code to answer.

import { ReasonCode } from './constants.ts'

const SHOWN_LENGTH_MAX = 40

/** Why bytes or a packet were refused. */
export type PacketErrorCode =
  | 'malformed-packet'
  | 'protocol-error'
  | 'packet-too-large'
  | 'unsupported-protocol-version'
  | 'client-identifier-not-valid'
  | 'topic-name-invalid'
  | 'topic-filter-invalid'
  | 'topic-alias-invalid'
  | 'invalid-packet'

/**
 * Thrown by every reader and writer of this package.
 * From a reader it is the peer's fault and `reasonCode` is what MQTT 5.0 section 4.13 asks to
 * answer; from a writer it is the caller's (`invalid-packet`) and nothing was written.
 */
export class PacketError extends Error {
  override readonly name = 'PacketError'
  readonly code: PacketErrorCode
  readonly reasonCode: number

  constructor(code: PacketErrorCode, reasonCode: number, message: string) {
    super(message)
    this.code = code
    this.reasonCode = reasonCode
  }
}

/** @throws PacketError `malformed-packet`: the bytes cannot be read */
export function malformed(what: string): never {
  throw new PacketError('malformed-packet', ReasonCode.MALFORMED_PACKET, what)
}

/** @throws PacketError `protocol-error`: the bytes can be read and say what is not allowed */
export function protocolError(what: string): never {
  throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, what)
}

/** @throws PacketError `invalid-packet`: the caller asked to write what no packet can hold */
export function invalidPacket(expected: string, got: unknown): never {
  const message = `expected ${expected}, got ${show(got)}`
  throw new PacketError('invalid-packet', ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, message)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_LENGTH_MAX))
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
