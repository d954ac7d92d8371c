// The one error class of the codec: what the peer did wrong, with the reason code to answer.

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
 * From a reader it is the peer's fault and `reasonCode` is what MQTT 5.0 section 4.13 asks to answer;
 * from a writer it is the caller's (`invalid-packet`) and nothing was written.
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
