// The public shapes of the lite client. Each is a part of what the full client has under the same
// name, so that an application can change the import and go on.

import type { Client as FullClient } from '../client.ts'
import type { CloseOptions as FullCloseOptions } from '../core.ts'
import type { Negotiated as FullNegotiated } from '../handshake.ts'
import type { Message as FullMessage } from '../message.ts'
import type { Attempt, ConnectOptions as FullConnectOptions, Payload } from '../options.ts'
import type { PublishOptions as FullPublishOptions, PublishResult } from '../publisher.ts'
import type { BufferOptions, Subscription as FullSubscription } from '../subscription.ts'
import type { SubscribeOptions as FullSubscribeOptions } from '../subscriptions.ts'
import type { Dial, Platform as FullPlatform } from '../transport.ts'

/** A `ws:` or `wss:` URL, or a transport of your own. */
export type ConnectTo = string | URL | { readonly dial: Dial }

/** Where to connect to; a function is asked at each attempt. */
export type ConnectTarget = ConnectTo | ((attempt: Attempt) => ConnectTo | Promise<ConnectTo>)

/** The options of `connect` that the lite client has. Unknown ones are ignored. */
export type ConnectOptions = Pick<
  FullConnectOptions,
  | 'clientId'
  | 'protocolVersion'
  | 'cleanStart'
  | 'sessionExpirySeconds'
  | 'keepAliveSeconds'
  | 'receiveMaximum'
  | 'packetBytesMax'
  | 'topicAliasMaximum'
  | 'will'
  | 'username'
  | 'password'
  | 'credentials'
  | 'userProperties'
  | 'reconnect'
  | 'connectTimeoutMs'
  | 'closeTimeoutMs'
  | 'operationTimeoutMs'
  | 'unclaimedTimeoutMs'
  | 'onEvent'
  | 'signal'
>

/** What was agreed on with the server; the rest is in the `properties` of its CONNACK. */
export type Negotiated = Pick<
  FullNegotiated,
  | 'protocolVersion'
  | 'clientId'
  | 'sessionPresent'
  | 'keepAliveSeconds'
  | 'sessionExpirySeconds'
  | 'properties'
>

export type CloseOptions = Pick<FullCloseOptions, 'reasonCode'>

export type PublishOptions = Omit<FullPublishOptions, 'signal' | 'timeoutMs'>

/** A message from the server. It owns its bytes and stays valid. */
export type Message = Pick<
  FullMessage,
  'topic' | 'payload' | 'qos' | 'retain' | 'dup' | 'properties' | 'text' | 'json'
>

/** How messages are subscribed to. When a buffer is full the oldest messages of QoS 0 go. */
export interface SubscribeOptions
  extends Pick<FullSubscribeOptions, 'qos' | 'noLocal' | 'retainAsPublished' | 'retainHandling'> {
  readonly buffer?: Partial<Pick<BufferOptions, 'messagesMax' | 'bytesMax'>>
  /** Called at once for each message, instead of a buffer and an iterator. */
  readonly listener?: (message: Message) => void
}

/**
 * The messages of one or several filters. `for await` takes them one by one; leaving the loop
 * unsubscribes. A message of QoS 1 or 2 is acknowledged when the loop asks for the next one.
 */
export interface Subscription
  extends Pick<FullSubscription, 'filter' | 'ready' | 'buffered' | 'dropped' | 'unsubscribe'>,
    AsyncIterableIterator<Message>,
    AsyncDisposable {
  return(): Promise<IteratorResult<Message>>
}

/** A client of one server. Made by `connect`. */
export interface Client
  extends Pick<FullClient, 'clientId' | 'state' | 'closed' | 'unsubscribe' | 'reconnect'>,
    AsyncDisposable {
  /** What was agreed with the server on the latest connection. */
  readonly negotiated: Negotiated
  /**
   * Publishes a message. Resolves when its QoS is fulfilled: 0 when the transport has taken it
   * below its bound, 1 on PUBACK, 2 on PUBCOMP. Without room or connection QoS 1 and 2 wait.
   * @throws MqttError as a rejection
   */
  publish(topic: string, payload: Payload, options?: PublishOptions): Promise<PublishResult>
  /**
   * Subscribes. The subscription is its own iterator; leaving the loop unsubscribes.
   * @throws MqttError `invalid-argument`
   */
  subscribe(filters: string | readonly string[], options?: SubscribeOptions): Subscription
  /** Closes now: publishes that are under way reject with `closed`. */
  close(options?: CloseOptions): Promise<void>
}

/** All that the lite client asks of the world it runs in. */
export interface Platform
  extends Pick<
    FullPlatform,
    'nowMs' | 'random' | 'randomBytes' | 'atTurnEnd' | 'after' | 'cancel'
  > {
  /** @throws MqttError `invalid-argument` for a URL that this platform cannot dial */
  dial(url: URL): Dial
}
