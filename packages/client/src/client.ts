// The public face of a client. It keeps nothing itself: what happens is in core.ts and behind it.

import { type AbortOptions, orAborted } from './abort.ts'
import { ClientCore, type CloseInfo, type CloseOptions, type DrainOptions } from './core.ts'
import { ignore } from './deferred.ts'
import { invalidArgument, MqttError, nameReasonsWith } from './errors.ts'
import type { ClientEvent } from './events.ts'
import type { Negotiated } from './handshake.ts'
import { LinkState } from './link.ts'
import type { Message } from './message.ts'
import { type ConnectOptions, type Payload, readOptions } from './options.ts'
import type { PublishOptions, PublishResult } from './publisher.ts'
import { textOf } from './reason-texts.ts'
import type { Answer, RequestManyOptions, RequestOptions, Requests } from './requests.ts'
import type { Subscription } from './subscription.ts'
import type { SubscribeOptions, UnclaimedOptions, UnsubscribeOptions } from './subscriptions.ts'
import { type ConnectTarget, resolverOf } from './target.ts'
import type { TopicParams } from './topic-template.ts'
import type { Platform } from './transport.ts'

/** Where a client stands. */
export type ClientState = 'connecting' | 'connected' | 'waiting' | 'draining' | 'closing' | 'closed'

/** Numbers as they are now. */
export interface ClientStats {
  /** QoS 1 and 2 messages that were sent and are not finished. */
  readonly inflight: number
  /** Messages and bytes in the line for a connection or for room. */
  readonly queued: number
  readonly queuedBytes: number
  /** Publishers that wait for room in that line. */
  readonly waiting: number
  /** Bytes that wait to be sent. */
  readonly bufferedBytes: number
  /** Messages that wait for the application's acknowledgement. */
  readonly unacknowledged: number
  readonly subscriptions: number
  /** Acknowledgements from the server that nothing waited for. */
  readonly strayAcks: number
}

/** A handler for requests. */
export interface Responder extends AsyncDisposable {
  /** Resolves when the server has granted the subscription. */
  readonly ready: Promise<unknown>
  /**
   * Resolves at the end; rejects with why there can be none. A handler that fails ends nothing: the
   * server is told so, and it is an event.
   */
  readonly done: Promise<void>
  close(): Promise<void>
}

/** A client of one server. Made by `connect`. */
export class Client {
  private readonly core: ClientCore
  private requests: Promise<Requests> | null = null

  /** @internal */
  constructor(core: ClientCore) {
    this.core = core
  }

  /** The one that was given, assigned by the server, or made up. */
  get clientId(): string {
    return this.core.engine.clientId
  }

  get state(): ClientState {
    const { engine, isDraining } = this.core
    switch (engine.state) {
      case LinkState.CLOSED:
        return 'closed'
      case LinkState.CLOSING:
        return 'closing'
      case LinkState.CONNECTED:
        return isDraining ? 'draining' : 'connected'
      case LinkState.WAITING:
        return 'waiting'
      default:
        return 'connecting'
    }
  }

  /** What was agreed with the server on the latest connection. */
  get negotiated(): Negotiated {
    const { agreed, clientId } = this.core.engine
    if (agreed === null) throw invalidArgument('there has been no connection')
    return { ...agreed, clientId }
  }

  /** Resolves when the client has ended, for whatever reason. Never rejects. */
  get closed(): Promise<CloseInfo> {
    return this.core.closedPromise
  }

  get stats(): ClientStats {
    const { engine, session, publisher, subscriptions } = this.core
    return {
      inflight: session.inflightCount,
      queued: session.queuedCount,
      queuedBytes: session.queuedBytes,
      waiting: publisher.waitingCount,
      bufferedBytes: engine.bufferedBytes,
      unacknowledged: session.incoming.heldCount,
      subscriptions: subscriptions.count,
      strayAcks: session.strayAcks,
    }
  }

  /**
   * Publishes a message. Resolves when its QoS is fulfilled: 0 when the transport has taken it
   * below its bound, 1 on PUBACK, 2 on PUBCOMP. It waits while the line of messages is full. The
   * payload's bytes must not change before it resolves. A rejection that nobody waits for is an
   * event of type `error` and no unhandled rejection.
   * @throws MqttError `publish-refused`, `not-connected`, `packet-too-large`, `timeout`, `aborted`,
   *   `closed` and others, as a rejection
   */
  publish(topic: string, payload: Payload, options?: PublishOptions): Promise<PublishResult> {
    return this.core.publisher.publish(topic, payload, options)
  }

  /**
   * Publishes a message if it can leave at once; no promise is made.
   * @returns false when it would have to wait, see `writable`
   * @throws MqttError for a message that the server does not take
   */
  tryPublish(topic: string, payload: Payload, options?: PublishOptions): boolean {
    return this.core.publisher.tryPublish(topic, payload, options)
  }

  /** Resolves when `tryPublish` would take a message again; rejects when it never will. */
  get writable(): Promise<void> {
    return this.core.publisher.writable
  }

  /**
   * Subscribes. The subscription is its own iterator; leaving the loop unsubscribes:
   *
   *     for await (const message of client.subscribe('site/+site/temperature')) {
   *       console.log(message.params.site, message.text())
   *     }
   *
   * A wildcard may have a name, which the server does not see.
   * @throws MqttError `invalid-argument`
   */
  subscribe<const F extends string>(
    filters: F | readonly F[],
    options: SubscribeOptions<TopicParams<F>> = {},
  ): Subscription<TopicParams<F>> {
    const { core } = this
    if (core.refuses !== null) throw core.refuses
    const all = typeof filters === 'string' ? [filters] : filters
    // The names of the parameters are known to the caller's compiler only.
    const subscription = core.subscriptions.add(all, options as SubscribeOptions)
    return subscription as unknown as Subscription<TopicParams<F>>
  }

  /**
   * Messages that match no subscription: of a resumed session, before anybody has subscribed. They
   * are held for a while (`unclaimedTimeoutMs`) even if nobody asks.
   * @throws MqttError `closed`, or why the client ended
   */
  unclaimed(options: UnclaimedOptions = {}): Subscription {
    const { core } = this
    if (core.refuses !== null) throw core.refuses
    return core.subscriptions.addFallback(options)
  }

  /**
   * Unsubscribes from filters that an earlier client has left in this session; a subscription of
   * this one is ended by its own `unsubscribe`. Resolves when the server has answered.
   * @throws MqttError `unsubscribe-refused`, `invalid-argument`
   */
  async unsubscribe(
    filters: string | readonly string[],
    options: UnsubscribeOptions = {},
  ): Promise<void> {
    const { core } = this
    if (core.refuses !== null) throw core.refuses
    const all = typeof filters === 'string' ? [filters] : filters
    await orAborted(() => core.subscriptions.forget(all, options), options)
  }

  /**
   * Publishes a request and resolves with its answer. MQTT 5.0.
   * @throws MqttError `no-responders` when the server says that nobody listens, `timeout`,
   *   `aborted`, `not-supported` before MQTT 5.0
   */
  async request(topic: string, payload: Payload, options: RequestOptions = {}): Promise<Message> {
    return (await this.loadRequests()).request(topic, payload, options)
  }

  /** The answers of several responders to one request. MQTT 5.0. */
  async *requestMany(
    topic: string,
    payload: Payload,
    options: RequestManyOptions = {},
  ): AsyncGenerator<Message, void, void> {
    yield* (await this.loadRequests()).requestMany(topic, payload, options)
  }

  /**
   * Answers requests: what the handler gives back goes to the response topic of each. MQTT 5.0.
   * @throws MqttError `not-supported` before MQTT 5.0, `invalid-argument`
   */
  respond(
    filter: string,
    handler: (request: Message) => Answer | Promise<Answer>,
    options: SubscribeOptions = {},
  ): Responder {
    const loading = this.loadRequests()
    const subscription: Subscription = this.subscribe<string>(filter, options)
    const done = loading.then(requests => requests.respond(subscription, handler))
    // Whoever looks at `done` is told; for others it is an event, as the end of a subscription is
    // already. Nobody reads any more.
    loading.catch((error: MqttError) => {
      this.core.subscriptions.failed(error)
      return subscription.return()
    })
    done.catch(ignore)
    return {
      ready: subscription.ready,
      done,
      close: () => subscription.unsubscribe(),
      [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose](),
    }
  }

  /**
   * What happens to the client, from now on. The oldest give way when the reader is slow. The
   * signal ends it.
   */
  events(options: AbortOptions = {}): AsyncIterableIterator<ClientEvent> {
    return this.core.openReader(options)
  }

  /**
   * Authenticates anew on the connection that stands. MQTT 5.0 section 4.12.1. When the
   * authenticator cannot even start, the connection stays as it is; a refusal ends it.
   * @throws MqttError `authentication-failed`, `not-connected`, `not-supported`, `timeout`,
   *   `aborted`
   */
  reauthenticate(options: AbortOptions = {}): Promise<void> {
    return orAborted(() => this.core.engine.reauthenticate(), options)
  }

  /** Tries at once instead of waiting for the next attempt. Does nothing while connected. */
  reconnect(): void {
    this.core.engine.reconnect()
  }

  /**
   * Ends in good order: no further messages are taken, readers finish what they have, everything
   * that was published is acknowledged, then the client closes. It does not unsubscribe.
   * @throws MqttError `timeout`, `aborted`: then it has closed without all of that
   */
  drain(options: DrainOptions = {}): Promise<void> {
    return this.core.drain(options)
  }

  /**
   * Closes now: resolves when DISCONNECT was sent and the connection is closed. Publishes that are
   * under way reject with `closed`; with a session they are taken up by the next client.
   */
  close(options: CloseOptions = {}): Promise<void> {
    return this.core.close(options)
  }

  /** Waits for what was published and for running handlers, for `closeTimeoutMs`, then closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.core.dispose()
  }

  /**
   * Before MQTT 5.0 a message cannot say where its answer goes.
   * @throws MqttError `not-supported`, at once
   */
  private loadRequests(): Promise<Requests> {
    const { core } = this
    if (core.engine.agreed?.protocolVersion !== 5) {
      throw new MqttError('not-supported', 'requests and answers need MQTT 5.0')
    }
    if (this.requests === null) {
      const parts = Promise.resolve(core.platform.parts())
      this.requests = parts.then(loaded => new loaded.Requests(core))
      // What failed once is tried again.
      this.requests.catch(() => {
        this.requests = null
      })
    }
    return this.requests
  }
}

nameReasonsWith(textOf)

/** `connect` for a platform. Resolves when the server has accepted. */
export function openClient(
  platform: Platform,
  target: ConnectTarget,
  options: ConnectOptions,
): Promise<Client> {
  return new Promise((resolve, reject) => {
    const settings = readOptions(options)
    const resolver = resolverOf(platform, target, settings.packetBytesMax, options)
    const core = new ClientCore(
      platform,
      resolver,
      typeof target === 'function',
      settings,
      options,
      {
        resolve: () => resolve(new Client(core)),
        reject,
      },
    )
    core.start()
  })
}
