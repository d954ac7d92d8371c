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
    const text = level === 5 ? ReasonTexts[sent] : ReturnTexts[sent]
    const more = details.reasonString ? `: ${details.reasonString}` : ''
    super('connection-refused', `connection refused: ${text ?? `reason code ${sent}`}${more}`, {
      ...details,
      reasonCode,
    })
    this.returnCode = level === 5 ? -1 : sent
  }
}

/** An error of a caller: an argument that no server could satisfy. */
export function invalidArgument(message: string, cause?: unknown): MqttError {
  return new MqttError('invalid-argument', message, cause === undefined ? {} : { cause })
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
  return ReasonTexts[reasonCode] ?? `reason code ${reasonCode}`
}

const ReasonTexts: { readonly [code: number]: string } = {
  0: 'success',
  4: 'disconnect with will message',
  16: 'no matching subscribers',
  17: 'no subscription existed',
  128: 'unspecified error',
  129: 'malformed packet',
  130: 'protocol error',
  131: 'implementation specific error',
  132: 'unsupported protocol version',
  133: 'client identifier not valid',
  134: 'bad user name or password',
  135: 'not authorized',
  136: 'server unavailable',
  137: 'server busy',
  138: 'banned',
  139: 'server shutting down',
  140: 'bad authentication method',
  141: 'keep alive timeout',
  142: 'session taken over',
  143: 'topic filter invalid',
  144: 'topic name invalid',
  145: 'packet identifier in use',
  146: 'packet identifier not found',
  147: 'receive maximum exceeded',
  148: 'topic alias invalid',
  149: 'packet too large',
  150: 'message rate too high',
  151: 'quota exceeded',
  152: 'administrative action',
  153: 'payload format invalid',
  154: 'retain not supported',
  155: 'QoS not supported',
  156: 'use another server',
  157: 'server moved',
  158: 'shared subscriptions not supported',
  159: 'connection rate exceeded',
  160: 'maximum connect time',
  161: 'subscription identifiers not supported',
  162: 'wildcard subscriptions not supported',
}
