// What pub, sub and rr ask of a connection, and how they get one. It is all that they know of the
// network.

import type { Properties, PublishPacket, QoS, SubscriptionRequest } from '@godwit/packet'
import { encodeUtf8, NO_PROPERTIES, type Will } from '@godwit/packet'
import { BrokerConnection, ConnectionError } from '../connection.ts'
import { type ClientChoice, NOT_SET } from '../options/choice.ts'
import { dial, placeOf } from './dial.ts'
import { fetchPassword } from './password.ts'

/** Why there is no connection, or no more. */
export class LinkError extends Error {
  override readonly name = 'LinkError'
  readonly kind: 'unreachable' | 'refused' | 'lost'
  /** Of CONNACK or DISCONNECT, a return code before MQTT 5.0; 0: the broker has not given one. */
  readonly code: number

  constructor(kind: LinkError['kind'], text: string, code: number, cause?: unknown) {
    super(text, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.code = code
  }
}

/** A message to publish. */
export interface OutgoingMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

export class Link {
  /** Called for each message that comes. */
  onMessage: (message: PublishPacket) => void = () => undefined
  /** Resolves at the end: null after `close`, else why. */
  readonly closed: Promise<LinkError | null>
  private readonly connection: BrokerConnection

  constructor(connection: BrokerConnection) {
    this.connection = connection
    connection.onMessage = message => this.onMessage(message)
    this.closed = connection.closed.then(error => (error === null ? null : wrapped(error)))
  }

  /**
   * Publishes.
   * @returns the reason code of its acknowledgement; 0 for QoS 0, when the network takes more
   * @throws LinkError
   */
  async publish({ topic, payload, qos, retain, properties }: OutgoingMessage): Promise<number> {
    return await this.connection
      .publish(topic, payload, qos, retain, properties)
      .catch((error: unknown) => {
        throw linkError(error)
      })
  }

  /** @returns the reason code of each filter */
  subscribe(
    subscriptions: readonly SubscriptionRequest[],
    properties: Properties,
  ): Promise<readonly number[]> {
    return this.connection.subscribe(subscriptions, properties)
  }

  unsubscribe(filters: readonly string[], properties: Properties): Promise<void> {
    return this.connection.unsubscribe(filters, properties)
  }

  /** Says goodbye and waits until all that was sent has gone. */
  close(reasonCode = 0): Promise<void> {
    return this.connection.disconnect(reasonCode)
  }
}

/** Connects as the options say. @throws LinkError, CommandFailure */
export async function openLink(choice: ClientChoice): Promise<Link> {
  const { passwordPlace, properties, level, cleanSession, sessionExpirySeconds } = choice
  const password =
    passwordPlace === null
      ? choice.password === null
        ? null
        : encodeUtf8(choice.password)
      : await fetchPassword(passwordPlace)
  const expires = level === 5 && sessionExpirySeconds !== NOT_SET
  let socket: Awaited<ReturnType<typeof dial>>
  try {
    socket = await dial(choice, new AbortController().signal)
  } catch (error) {
    throw unreachable(choice, error)
  }
  try {
    return new Link(
      await BrokerConnection.open({
        socket,
        level,
        clientId: choice.id ?? '',
        cleanStart: cleanSession,
        keepAliveSeconds: choice.keepAliveSeconds,
        username: choice.username,
        password,
        will: willOf(choice),
        inflightMax: choice.inflightMax,
        dump: choice.dump ? line => void process.stderr.write(`${line}\n`) : null,
        disconnectProperties: properties.disconnect,
        properties: {
          ...(expires ? { sessionExpiryInterval: sessionExpirySeconds } : {}),
          ...properties.connect,
        },
      }),
    )
  } catch (error) {
    throw linkError(error)
  }
}

function willOf(choice: ClientChoice): Will | null {
  const { willTopic, willPayload, willQos, willRetain, level, properties } = choice
  if (willTopic === null) return null
  return {
    topic: willTopic,
    payload: encodeUtf8(willPayload ?? ''),
    qos: willQos,
    retain: willRetain,
    properties: level === 5 ? properties.will : NO_PROPERTIES,
  }
}

/** In Mosquitto's words where it has some. */
function unreachable(choice: ClientChoice, error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'CommandFailure') return error
  const { code, message } = error as NodeJS.ErrnoException
  const { host, port } = placeOf(choice)
  const where = choice.unix ?? `${host}:${port}`
  if (code === 'ECONNREFUSED') {
    const text = `Error: Connection refused: nothing listens at ${where}`
    return new LinkError('unreachable', text, 0, error)
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const text = `Unable to connect (Lookup error.): there is no host ${host}`
    return new LinkError('unreachable', text, 0, error)
  }
  return new LinkError('unreachable', `Error: ${message || code} (${where})`, 0, error)
}

function linkError(error: unknown): unknown {
  return error instanceof ConnectionError ? wrapped(error) : error
}

function wrapped(error: ConnectionError): LinkError {
  const kind = error.reasonCode === 0 ? 'lost' : 'refused'
  return new LinkError(kind, `Error: ${error.message}`, error.reasonCode, error)
}
