// What can go wrong, as one class and a closed union of codes. It decides nothing: whether a
// connection is tried again is in link.ts.

import { PacketError } from '@godwit/packet'

/** Every reason why an operation of the client fails. */
export type MqttErrorCode =
  | 'connection-refused'
  | 'connect-failed'
  | 'connect-timeout'
  | 'connection-lost'
  | 'keep-alive-timeout'
  | 'protocol-error'
  | 'server-disconnected'
  | 'authentication-failed'
  | 'session-lost'
  | 'publish-refused'
  | 'subscribe-refused'
  | 'unsubscribe-refused'
  | 'no-responders'
  | 'not-connected'
  | 'queue-full'
  | 'packet-too-large'
  | 'qos-not-supported'
  | 'retain-not-supported'
  | 'not-supported'
  | 'buffer-full'
  | 'store-failed'
  | 'timeout'
  | 'aborted'
  | 'closed'
  | 'invalid-payload'
  | 'invalid-argument'

/** What an error carries besides its code and text. */
export interface MqttErrorDetails {
  readonly reasonCode?: number
  readonly reasonString?: string | undefined
  readonly cause?: unknown
  readonly serverReference?: string | undefined
}

/** The one error class of the client; `code` tells what happened. */
export class MqttError extends Error {
  override readonly name: string = 'MqttError'
  readonly code: MqttErrorCode
  /** The reason code of the packet that brought the news, -1 when there was none. */
  readonly reasonCode: number
  /** The server's own words, empty when it had none. */
  readonly reasonString: string
  /** Another server that the client may use, empty when none was named. */
  readonly serverReference: string

  constructor(code: MqttErrorCode, message: string, details: MqttErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.reasonCode = details.reasonCode ?? -1
    this.reasonString = details.reasonString ?? ''
    this.serverReference = details.serverReference ?? ''
  }
}

/**
 * The server answered CONNECT with a refusal. MQTT 5.0 section 3.2.2.2, MQTT 3.1.1 section 3.2.2.3.
 * `reasonCode` is MQTT 5.0's for both; `returnCode` is what a server before MQTT 5.0 sent, else -1.
 */
export class ConnectionRefusedError extends MqttError {
  override readonly name = 'ConnectionRefusedError'
  readonly returnCode: number

  constructor(sent: number, level: number, details: MqttErrorDetails = {}) {
    const reasonCode = level === 5 ? sent : (ReturnCodeReasons[sent] ?? UNSPECIFIED)
    const text = level === 5 ? reasonText(sent) : ReturnTexts[sent]
    const more = details.reasonString ? `: ${details.reasonString}` : ''
    super('connection-refused', `connection refused: ${text}${more}`, { ...details, reasonCode })
    this.returnCode = level === 5 ? -1 : sent
  }
}

/** An error of a caller: an argument that no server could satisfy. */
export function invalidArgument(message: string, cause?: unknown): MqttError {
  return new MqttError('invalid-argument', message, cause === undefined ? {} : { cause })
}

/** What the application gave us to call has thrown. */
export function listenerError(cause: unknown): MqttError {
  return invalidArgument('a listener has thrown', cause)
}

export function closedError(): MqttError {
  return new MqttError('closed', 'the client is closed')
}

/** @throws PacketError for what a server must not send; with the reason code to answer */
export function protocolError(what: string, reasonCode: number = PROTOCOL_ERROR): never {
  throw new PacketError('protocol-error', reasonCode, what)
}

const PROTOCOL_ERROR = 0x82
const UNSPECIFIED = 0x80

/** MQTT 5.0's reason code for each return code of MQTT 3.1.1. */
const ReturnCodeReasons: readonly number[] = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87]

const ReturnTexts: readonly string[] = [
  'accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'server unavailable',
  'bad user name or password',
  'not authorized',
]

/** The name of a reason code, e.g. `not authorized`. MQTT 5.0 section 2.4. */
export function reasonText(reasonCode: number): string {
  const text = reasonCode < UNSPECIFIED ? Answers[reasonCode] : Refusals[reasonCode - UNSPECIFIED]
  return text ?? `reason code ${reasonCode}`
}

const Answers: { readonly [code: number]: string } = {
  0: 'success',
  4: 'disconnect with will message',
  16: 'no matching subscribers',
  17: 'no subscription existed',
}

/** From 0x80 on, without a gap. */
const Refusals: readonly string[] = `unspecified error
malformed packet
protocol error
implementation specific error
unsupported protocol version
client identifier not valid
bad user name or password
not authorized
server unavailable
server busy
banned
server shutting down
bad authentication method
keep alive timeout
session taken over
topic filter invalid
topic name invalid
packet identifier in use
packet identifier not found
receive maximum exceeded
topic alias invalid
packet too large
message rate too high
quota exceeded
administrative action
payload format invalid
retain not supported
QoS not supported
use another server
server moved
shared subscriptions not supported
connection rate exceeded
maximum connect time
subscription identifiers not supported
wildcard subscriptions not supported`.split('\n')
