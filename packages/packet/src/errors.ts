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

/** What to answer. Numbers, because naming `ReasonCode` would bring all its names into a bundle. */
const ReasonCodes: Readonly<Record<PacketErrorCode, number>> = {
  'malformed-packet': 0x81,
  'protocol-error': 0x82,
  'packet-too-large': 0x95,
  'unsupported-protocol-version': 0x84,
  'client-identifier-not-valid': 0x85,
  'topic-name-invalid': 0x90,
  'topic-filter-invalid': 0x8f,
  'topic-alias-invalid': 0x94,
  'invalid-packet': 0x83,
}

/** @throws PacketError `code` with its reason code */
export function refuse(code: PacketErrorCode, what: string): never {
  throw new PacketError(code, ReasonCodes[code], what)
}

/** @throws PacketError `malformed-packet`: the bytes cannot be read */
export function malformed(what: string): never {
  refuse('malformed-packet', what)
}

/** @throws PacketError `protocol-error`: the bytes can be read and say what is not allowed */
export function protocolError(what: string): never {
  refuse('protocol-error', what)
}

/** @throws PacketError `invalid-packet`: the caller asked to write what no packet can hold */
export function invalidPacket(expected: string, got: unknown): never {
  refuse('invalid-packet', `expected ${expected}, got ${show(got)}`)
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
