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
    const text = nameOf(sent, level)
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

/**
 * What the application gave us to call may be `async`: what that rejects with later is told too.
 * @param result what the call has given back
 * @returns whether that is a promise
 */
export function watchResult(result: unknown, failed: (error: MqttError) => void): boolean {
  const promise = result as Partial<Promise<unknown>> | null | undefined
  return promise?.catch?.((cause: unknown) => failed(listenerError(cause))) !== undefined
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
const LEVEL = 5

/** MQTT 5.0's reason code for each return code of MQTT 3.1.1. */
const ReturnCodeReasons: readonly number[] = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87]

let nameOf = (code: number, _level: number): string => `reason code ${code}`

/** Has reason codes and return codes named in texts; without it they are numbers. */
export function nameReasonsWith(name: typeof nameOf): void {
  nameOf = name
}

/** What a reason code is called in texts. */
export function reasonText(reasonCode: number): string {
  return nameOf(reasonCode, LEVEL)
}
