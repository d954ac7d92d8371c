// What the commands ask of a connection, and how they get one from @godwit/client. It is all that
// they know of the network.

import {
  type Authenticator,
  type Client,
  ConnectionRefusedError,
  type ConnectOptions,
  connect,
  type Message,
  type MessageProperties,
  MqttError,
  type Subscription,
  type WillOptions,
} from '@godwit/client'
import {
  encodeUtf8,
  PACKET_BYTES_MAX,
  type Packet,
  PacketType,
  type Properties,
  type PublishPacket,
  type QoS,
} from '@godwit/packet'
import { type ClientChoice, INFLIGHT_DEFAULT, NOT_SET } from '../options/choice.ts'
import { tell } from '../output/streams.ts'
import { dial, placeOf } from './dial.ts'
import { fetchPassword } from './password.ts'
import { wantsTls } from './tls-settings.ts'
import { unreachableCode, unreachableText } from './unreachable.ts'
import { webSocketOptions, webSocketUrl } from './web-socket.ts'

/** Why there is no connection, or no more. */
export class LinkError extends Error {
  override readonly name = 'LinkError'
  readonly kind: 'unreachable' | 'refused' | 'lost'
  /**
   * Of CONNACK or DISCONNECT, a return code before MQTT 5.0; 0: the broker has not given one. Of
   * what is unreachable Mosquitto's exit code.
   */
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

/** How to subscribe. */
export interface SubscribeWishes {
  readonly qos: QoS
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  readonly properties: Properties
}

export interface LinkWishes {
  /** Connects again when a connection is lost. */
  readonly reconnects: boolean
  /** The packet identifier of each message is wanted. */
  readonly needsPacketIds: boolean
}

const RECONNECT_MS = 1000
const RECONNECT_MS_MAX = 30_000
const FAILURE_CODE = 0x80
/** As long as every broker takes. */
const ID_LENGTH = 23
const Handlings = ['always', 'new', 'never'] as const
const NOTHING = new Uint8Array(0)

export class Link {
  /**
   * Called for each message that comes. It is acknowledged unless the answer is false; its payload
   * is only valid meanwhile.
   */
  onMessage: (message: PublishPacket) => boolean = () => true
  /** Resolves at the end: null after `close`, else why. */
  readonly closed: Promise<LinkError | null>
  private readonly client: Client
  private readonly choice: ClientChoice
  private readonly watch: PacketIdWatch | null
  /** Subscriptions to one filter. */
  private readonly alone = new Map<string, Subscription>()

  constructor(client: Client, choice: ClientChoice, watch: PacketIdWatch | null) {
    this.client = client
    this.choice = choice
    this.watch = watch
    this.closed = client.closed.then(({ error }) => {
      return error === null ? null : linkError(choice, error)
    })
  }

  /** The client id, also one that the broker has assigned. */
  get clientId(): string {
    return this.client.clientId
  }

  /** Whether messages can have properties. */
  get hasProperties(): boolean {
    return this.client.negotiated.protocolVersion === 5
  }

  /**
   * Publishes.
   * @returns the reason code of its acknowledgement; 0 for QoS 0, when the network takes more
   * @throws LinkError
   */
  async publish({ topic, payload, qos, retain, properties }: OutgoingMessage): Promise<number> {
    try {
      const options = { qos, retain, ...messageProperties(properties) }
      return (await this.client.publish(topic, payload, options)).reasonCode
    } catch (error) {
      if (error instanceof MqttError && error.code === 'publish-refused') return error.reasonCode
      throw linkError(this.choice, error)
    }
  }

  /** Messages of filters that this client has not subscribed to: an earlier one has. */
  takeUnclaimed(): void {
    this.client.unclaimed({ ack: 'manual', listener: message => this.take(message) })
  }

  /** @returns the reason code of each filter @throws LinkError */
  async subscribe(filters: readonly string[], wishes: SubscribeWishes): Promise<number[]> {
    const { qos, retainAsPublished, retainHandling, properties } = wishes
    const [identifier] = properties.subscriptionIdentifiers ?? []
    const { userProperties } = properties
    const subscription: Subscription = this.client.subscribe<string>(filters, {
      qos,
      retainAsPublished,
      retainHandling: Handlings[retainHandling],
      partial: true,
      ...(identifier === undefined ? {} : { identifier }),
      ...(userProperties === undefined ? {} : { userProperties }),
      // Of what the command has not taken the broker must not think that it has arrived.
      ack: qos === 0 ? 'received' : 'manual',
      listener: message => this.take(message),
    })
    const [first] = filters
    if (first !== undefined && filters.length === 1) this.alone.set(first, subscription)
    try {
      return [...(await subscription.ready).reasonCodes]
    } catch (error) {
      const isRefusal = error instanceof MqttError && error.reasonCode >= FAILURE_CODE
      if (isRefusal && error.code === 'subscribe-refused') {
        return filters.map(() => error.reasonCode)
      }
      throw linkError(this.choice, error)
    }
  }

  /** From a filter that an earlier client has left, or that has been subscribed to alone. */
  async unsubscribe(filter: string, { userProperties }: Properties): Promise<void> {
    const own = this.alone.get(filter)
    try {
      if (own !== undefined) await own.unsubscribe()
      else {
        const options = userProperties === undefined ? {} : { userProperties }
        await this.client.unsubscribe(filter, options)
      }
    } catch (error) {
      const isRefusal = error instanceof MqttError && error.code === 'unsubscribe-refused'
      if (!isRefusal) throw linkError(this.choice, error)
    }
  }

  /**
   * Says goodbye and waits until all that was sent has gone. Before MQTT 5.0 a goodbye has no
   * reason code, and the broker publishes no will.
   */
  async close(reasonCode = 0): Promise<void> {
    const { sessionExpiryInterval, userProperties } = this.choice.properties
      .disconnect as Properties
    await this.client.close({
      reasonCode: this.hasProperties ? reasonCode : 0,
      ...(sessionExpiryInterval === undefined
        ? {}
        : { sessionExpirySeconds: sessionExpiryInterval }),
      ...(userProperties === undefined ? {} : { userProperties }),
    })
  }

  private take(message: Message): void {
    const { topic, payload, qos, retain, dup, properties } = message
    const packetId = qos === 0 ? 0 : (this.watch?.last ?? 0)
    const type = PacketType.PUBLISH
    const taken = this.onMessage({ type, topic, payload, qos, retain, dup, properties, packetId })
    if (taken) message.ack()
  }
}

/** The packet identifier of the message that is being delivered: the client keeps it to itself. */
class PacketIdWatch {
  last = 0

  see(direction: 'sent' | 'received', packet: Packet): void {
    if (direction === 'received' && packet.type === PacketType.PUBLISH) this.last = packet.packetId
  }
}

/** Connects as the options say. @throws LinkError, CommandFailure */
export async function openLink(choice: ClientChoice, wishes: LinkWishes): Promise<Link> {
  const password = await passwordOf(choice)
  const watch = wishes.needsPacketIds ? new PacketIdWatch() : null
  const stop = new AbortController()
  const options = {
    ...connectOptions(choice),
    ...(password === null ? {} : { password }),
    reconnect: wishes.reconnects
      ? { initialDelayMs: RECONNECT_MS, maxDelayMs: RECONNECT_MS_MAX }
      : false,
    ...(watch === null
      ? {}
      : {
          onPacket: (direction: 'sent' | 'received', packet: Packet) =>
            watch.see(direction, packet),
        }),
  }
  try {
    const target = choice.webSocket ? webSocketUrl(choice) : () => dial(choice, stop.signal)
    const client = await connect(target, options)
    return new Link(client, choice, watch)
  } catch (error) {
    stop.abort()
    throw linkError(choice, error)
  }
}

function connectOptions(choice: ClientChoice): ConnectOptions {
  const { level, fallsBack, properties, sessionExpirySeconds } = choice
  const given = properties.connect as Properties
  const will = willOf(choice)
  const expiry =
    sessionExpirySeconds === NOT_SET ? given.sessionExpiryInterval : sessionExpirySeconds
  const authenticator = authenticatorOf(given)
  // As many as are wanted, so that what comes after them stays with the broker.
  const few = choice.count > 0 && choice.count < INFLIGHT_DEFAULT
  const receiveMaximum = given.receiveMaximum ?? (few ? choice.count : receivedAtOnce(choice))
  return {
    protocolVersion: fallsBack ? 'auto' : level,
    clientId: clientIdOf(choice),
    cleanStart: choice.cleanSession,
    keepAliveSeconds: choice.keepAliveSeconds,
    inflightMax: choice.inflightMax,
    responseInformation: given.requestResponseInformation === 1,
    problemInformation: given.requestProblemInformation !== 0,
    ...(choice.username === null ? {} : { username: choice.username }),
    ...(expiry === undefined || level < 5 ? {} : { sessionExpirySeconds: expiry }),
    ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
    // As Mosquitto's clients, which take what the standard allows.
    packetBytesMax: given.maximumPacketSize ?? PACKET_BYTES_MAX,
    ...(given.topicAliasMaximum === undefined
      ? {}
      : { topicAliasMaximum: given.topicAliasMaximum }),
    ...(given.userProperties === undefined ? {} : { userProperties: given.userProperties }),
    ...(authenticator === null ? {} : { authenticator }),
    ...(will === null ? {} : { will }),
    ...(choice.webSocket ? webSocketOptions(choice) : {}),
    ...(choice.dump ? { dump: tell } : {}),
  }
}

/** -M is for both directions; without it the client knows how many it takes. */
function receivedAtOnce({ inflightMax, level }: ClientChoice): number | undefined {
  return inflightMax === INFLIGHT_DEFAULT || level < 5 ? undefined : inflightMax
}

/** In MQTT 5.0 the broker gives one to who has none; before, a random one is the client's. */
function clientIdOf({ id, level }: ClientChoice): string {
  if (id !== null) return id
  return level === 5 ? '' : randomId()
}

/** It is no secret, and to load Node's crypto for it takes 10 ms. [MQTT-3.1.3-5] */
function randomId(): string {
  let id = ''
  while (id.length < ID_LENGTH) id += Math.random().toString(36).slice(2)
  return id.slice(0, ID_LENGTH)
}

function willOf(choice: ClientChoice): WillOptions | null {
  const { willTopic, willPayload, willQos, willRetain, properties } = choice
  if (willTopic === null) return null
  const { willDelayInterval } = properties.will as Properties
  return {
    topic: willTopic,
    payload: willPayload ?? NOTHING,
    qos: willQos,
    retain: willRetain,
    ...messageProperties(properties.will as Properties),
    ...(willDelayInterval === undefined ? {} : { delaySeconds: willDelayInterval }),
  }
}

/** `-D connect authentication-method`: its data goes as it is, and no challenge can be answered. */
function authenticatorOf({
  authenticationMethod,
  authenticationData,
}: Properties): Authenticator | null {
  if (authenticationMethod === undefined) return null
  return {
    method: authenticationMethod,
    start: () => authenticationData,
    next: () => {
      throw new Error(`the broker wants a further step of ${authenticationMethod}`)
    },
  }
}

function messageProperties(properties: Properties): MessageProperties {
  const { payloadFormatIndicator, messageExpiryInterval, contentType } = properties
  const { responseTopic, correlationData, userProperties } = properties
  return {
    ...(payloadFormatIndicator === undefined ? {} : { utf8: payloadFormatIndicator === 1 }),
    ...(messageExpiryInterval === undefined ? {} : { messageExpirySeconds: messageExpiryInterval }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(userProperties === undefined ? {} : { userProperties }),
  }
}

async function passwordOf(choice: ClientChoice): Promise<Uint8Array | null> {
  if (choice.passwordPlace !== null) return fetchPassword(choice.passwordPlace)
  return choice.password === null ? null : encodeUtf8(choice.password)
}

/** In Mosquitto's words where it has some. What is not about the connection stays as it is. */
export function linkError(choice: ClientChoice, error: unknown): LinkError {
  if (error instanceof ConnectionRefusedError) {
    const code = error.returnCode >= 0 ? error.returnCode : error.reasonCode
    return new LinkError('refused', error.message, code, error)
  }
  if (!(error instanceof MqttError)) throw error
  const cause = rootOf(error)
  if (cause instanceof Error && cause.name === 'CommandFailure') throw cause
  switch (error.code) {
    case 'connect-failed':
      return unreachable(choice, cause instanceof Error ? cause : null)
    case 'connect-timeout':
      return unreachable(choice, cause instanceof Error ? cause : error)
    case 'server-disconnected':
      return new LinkError('lost', `Error: ${error.message}`, error.reasonCode, error)
    case 'connection-lost':
      return new LinkError('lost', 'Error: The connection was lost.', 0, error)
    default:
      return new LinkError('lost', `Error: ${error.message}`, 0, error)
  }
}

/** The client's words are for programs; ours are made of the errors that they come from. */
function rootOf({ cause }: Error): unknown {
  return cause instanceof Error && cause.cause instanceof Error ? rootOf(cause) : cause
}

function unreachable(choice: ClientChoice, error: Error | null): LinkError {
  const { host, port } = placeOf(choice)
  const where = choice.unix ?? `${host}:${port}`
  const attempt = { where, host, secure: wantsTls(choice) }
  const text = unreachableText(error, attempt, choice)
  return new LinkError('unreachable', text, unreachableCode(error, attempt), error)
}
