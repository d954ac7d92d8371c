// Enhanced authentication: the exchange of AUTH packets before CONNACK and, at the client's wish,
// later on. The method itself is the caller's `Authenticator`. MQTT 5.0 section 4.12.

import { type AuthPacket, PacketType, type Properties, writeAuth } from '@godwit/packet'
import type { Connection } from './connection.ts'
import type { Watched } from './control.ts'
import { Deferred } from './deferred.ts'
import { MqttError, protocolError } from './errors.ts'
import { Limits } from './limits.ts'
import type { Authenticator } from './options.ts'

const SUCCESS = 0x00
const CONTINUE = 0x18
const AGAIN = 0x19
const BAD_METHOD = 0x8c
const EMPTY = new Uint8Array(0)

/** Where the exchange goes. */
export interface AuthenticationPort extends Watched {
  readonly connection: Connection | null
  /** The exchange cannot succeed. */
  authenticationFailed(error: MqttError): void
  /** Nothing is waited for any more. */
  answered(): void
  /** Changes with each attempt: an answer that took its time may belong to an older one. */
  readonly epoch: number
}

export class Authentication {
  private readonly authenticator: Authenticator
  private readonly port: AuthenticationPort
  private steps = 0
  private renewal: Deferred<void> | null = null

  constructor(authenticator: Authenticator, port: AuthenticationPort) {
    this.authenticator = authenticator
    this.port = port
  }

  get isRenewing(): boolean {
    return this.renewal !== null
  }

  /** @returns the data of CONNECT; rejects with what the authenticator has thrown */
  async start(): Promise<Uint8Array | undefined> {
    this.steps = 0
    return await this.authenticator.start()
  }

  /** @throws PacketError for an AUTH that cannot come here */
  received(packet: AuthPacket, connected: boolean): void {
    const { reasonCode, properties } = packet
    this.checkMethod(properties)
    if (connected && this.renewal === null) protocolError('an AUTH that was not asked for')
    if (reasonCode === CONTINUE) {
      this.answer(properties.authenticationData ?? EMPTY)
    } else if (reasonCode === SUCCESS && this.renewal !== null) {
      // If it is not, the connection ends, and the promise with it.
      if (!this.isGenuine(properties)) return
      this.renewal.resolve()
      this.renewal = null
    } else {
      protocolError(`an AUTH with reason code ${reasonCode}`)
    }
  }

  /** CONNACK came. @throws PacketError when it is not the end of this exchange */
  accepted(properties: Properties): void {
    this.checkMethod(properties)
    if (!this.isGenuine(properties)) protocolError(UNPROVEN, BAD_METHOD)
  }

  /** Authenticates anew on a connection that stands; a second call waits for the first. */
  renew(): Promise<void> {
    if (this.renewal !== null) return this.renewal.promise
    const renewal = new Deferred<void>()
    this.renewal = renewal
    const { epoch } = this.port
    this.start().then(
      data => {
        if (epoch === this.port.epoch) this.send(AGAIN, data)
      },
      (cause: unknown) => {
        // Nothing was sent: the connection stands as it did.
        if (epoch !== this.port.epoch) return
        this.cancel(failure('the authenticator could not start', cause))
        this.port.answered()
      },
    )
    return renewal.promise
  }

  /** The connection is gone. */
  cancel(error: MqttError): void {
    const { renewal } = this
    this.renewal = null
    renewal?.reject(error)
  }

  private answer(data: Uint8Array): void {
    if (++this.steps > Limits.authenticationSteps) {
      const text = `more than ${Limits.authenticationSteps} steps of authentication`
      this.port.authenticationFailed(new MqttError('authentication-failed', text))
      return
    }
    const { epoch } = this.port
    // The data lies in a chunk that is gone when an asynchronous authenticator goes on.
    this.next(data.slice()).then(
      answer => {
        if (epoch === this.port.epoch) this.send(CONTINUE, answer)
      },
      (cause: unknown) => {
        if (epoch !== this.port.epoch) return
        this.port.authenticationFailed(failure('the authenticator refused the server', cause))
      },
    )
  }

  private async next(data: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.authenticator.next(data)
  }

  private send(reasonCode: number, data: Uint8Array | undefined): void {
    const { port } = this
    const { connection } = port
    if (connection === null || connection.over) return
    const properties = {
      authenticationMethod: this.authenticator.method,
      ...(data !== undefined && { authenticationData: data }),
    }
    const packet = { type: PacketType.AUTH, reasonCode, properties } as const
    writeAuth(connection.writer(), packet, connection.level) // MQTT 5.0 section 3.15
    port.sent?.(packet)
  }

  private isGenuine(properties: Properties): boolean {
    try {
      this.authenticator.finish?.(properties.authenticationData?.slice())
      return true
    } catch (cause) {
      this.port.authenticationFailed(failure(UNPROVEN, cause))
      return false
    }
  }

  private checkMethod(properties: Properties): void {
    const { method } = this.authenticator
    const got = properties.authenticationMethod
    // [MQTT-4.12.0-5]
    if (got !== method)
      protocolError(`the authentication method ${got ?? 'none'} instead of ${method}`)
  }
}

const UNPROVEN = 'the server did not prove who it is'

function failure(what: string, cause: unknown): MqttError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new MqttError('authentication-failed', `${what}: ${why}`, { cause })
}
