// Messages with typed payloads: a loop over values instead of bytes. It only reads a subscription;
// when a message counts as taken is the subscription's business.

import { MqttError } from './errors.ts'
import type { Message } from './message.ts'

/** Makes a value of a message; what it throws says that the payload is not valid. */
export type PayloadDecoder<T> = (message: Message<unknown>) => T | Promise<T>

/** What is used of a schema that follows https://standardschema.dev: Zod, Valibot, ArkType, … */
export interface PayloadSchema<T> {
  readonly '~standard': {
    validate(value: unknown): SchemaResult<T> | Promise<SchemaResult<T>>
  }
}

type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] }

export interface DecodedOptions<P> {
  /**
   * Told of a message whose payload is not valid; the loop goes on with the next one when this is
   * done. Without it the loop throws `invalid-payload`.
   */
  readonly invalid?: (error: MqttError, message: Message<P>) => unknown
}

/** A message and what its payload means. */
export class DecodedMessage<P, T> {
  readonly message: Message<P>
  readonly value: T

  constructor(message: Message<P>, value: T) {
    this.message = message
    this.value = value
  }

  get topic(): string {
    return this.message.topic
  }

  /** What the named wildcards of the subscription stand for. */
  get params(): P {
    return this.message.params
  }
}

/**
 * The messages of a subscription with their values:
 *
 *     const readings = client.subscribe('site/+site/meter/+meter')
 *     for await (const { params, value } of decoded(readings, json(Reading))) {
 *       console.log(params.site, value.power)
 *     }
 *
 * Leaving the loop unsubscribes.
 * @throws MqttError `invalid-payload`, and what the subscription throws
 */
export async function* decoded<P, T>(
  messages: AsyncIterable<Message<P>>,
  decoder: PayloadDecoder<T>,
  { invalid }: DecodedOptions<P> = {},
): AsyncGenerator<DecodedMessage<P, T>, void, void> {
  for await (const message of messages) {
    let value: T
    try {
      value = await decoder(message as Message<unknown>)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const error = new MqttError('invalid-payload', `${message.topic}: ${why}`, { cause })
      if (invalid === undefined) throw error
      await invalid(error, message)
      continue
    }
    yield new DecodedMessage(message, value)
  }
}

/** Payloads of JSON. Without a schema `T` is taken on trust. */
export function json<T = unknown>(schema?: PayloadSchema<T>): PayloadDecoder<T> {
  return async message => {
    const value = message.json<T>()
    if (schema === undefined) return value
    const result = await schema['~standard'].validate(value)
    if (result.issues === undefined) return result.value
    throw new Error(result.issues.map(issue => issue.message).join('; '))
  }
}
