// The one error class of the codec: what the peer did wrong, with the reason code to answer.

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

// Reason codes are numbers here: naming `ReasonCode` would bring all its names into a bundle.

/** @throws PacketError */
export function refuse(code: PacketErrorCode, reasonCode: number, what: string): never {
  throw new PacketError(code, reasonCode, what)
}

/** @throws PacketError `malformed-packet`: the bytes cannot be read */
export function malformed(what: string): never {
  refuse('malformed-packet', 0x81, what)
}

/** @throws PacketError `protocol-error`: the bytes can be read and say what is not allowed */
export function protocolError(what: string): never {
  refuse('protocol-error', 0x82, what)
}

/** @throws PacketError `invalid-packet`: the caller asked to write what no packet can hold */
export function invalidPacket(expected: string, got: unknown): never {
  refuse('invalid-packet', 0x83, `expected ${expected}, got ${show(got)}`)
}

/** @throws PacketError `invalid-packet` unless `value` is a whole number from `low` to `high` */
export function checkInteger(value: number, low: number, high: number, what: string): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    invalidPacket(`${what} from ${low} to ${high}`, value)
  }
}

/** @throws PacketError `invalid-packet` unless `value` has fields */
export function checkObject(value: object, what: string): void {
  if (typeof value !== 'object' || value === null) invalidPacket(what, value)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_LENGTH_MAX))
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value).slice(0, SHOWN_LENGTH_MAX)
}
