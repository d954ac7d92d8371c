// hot
// Messages from the application to the session: the promise of each, and the publishers that wait
// until there is room. Nothing waits without bound.

import { NO_PROPERTIES, PacketError, type Properties, type QoS } from '@godwit/packet'
import { aborted, limited } from './abort.ts'
import { Deferred, ignore } from './deferred.ts'
import { invalidArgument, MqttError } from './errors.ts'
import { Limits } from './limits.ts'
import { readMessageProperties } from './message-properties.ts'
import { checkNames, type OptionNames } from './option-names.ts'
import {
  MessageNames,
  type MessageProperties,
  type Payload,
  readPayload,
  readQoS,
} from './options.ts'
import { Line, Outgoing, type PublishDone } from './outgoing.ts'
import { encodeProperties, encodeTopic, payloadByteLength } from './publish-writer.ts'
import { Accepted, type Session } from './session.ts'
import type { Platform } from './transport.ts'

const NO_MATCHING_SUBSCRIBERS = 0x10
/** What a message costs besides its topic and payload. */
const MESSAGE_OVERHEAD = 64

/** How a message is published. */
export interface PublishOptions extends MessageProperties {
  /** Default: 0. */
  readonly qos?: QoS
  readonly retain?: boolean
  /** Gives up waiting; a message that was sent goes on. */
  readonly signal?: AbortSignal
  /** The same after a time. Default: none. */
  readonly timeoutMs?: number
}

/** How a message ended. */
export interface PublishResult {
  readonly reasonCode: number
  /** The server says that nobody has subscribed to the topic; not all servers do. */
  readonly noMatchingSubscribers: boolean
  /** Of the acknowledgement. */
  readonly properties: Properties
}

/** What a publisher asks of its client. */
export interface PublisherPort {
  readonly session: Session
  readonly platform: Platform
  readonly queuesQos0: boolean
  readonly whenFull: 'wait' | 'reject' | 'drop-oldest'
  /** Null while messages are taken. */
  readonly refuses: MqttError | null
  wantsTurnEnd(): void
  /** A publish failed; its caller may not be waiting. */
  reportError(error: MqttError): void
  watched(topic: string, qos: QoS): void
}

const PublishNames: OptionNames<PublishOptions> = {
  ...MessageNames,
  qos: 1,
  retain: 1,
  signal: 1,
  timeoutMs: 1,
}
const PLAIN: PublishOptions = Object.freeze({})
const SUCCESS: PublishResult = Object.freeze({
  reasonCode: 0,
  noMatchingSubscribers: false,
  properties: NO_PROPERTIES,
})
const DONE = Promise.resolve(SUCCESS)

type Resolve = (result: PublishResult) => void
type Reject = (error: MqttError) => void

let lastResolve: Resolve = ignore
let lastReject: Reject = ignore

// One executor for all promises, so that each costs no closure of ours.
function execute(resolve: Resolve, reject: Reject): void {
  lastResolve = resolve
  lastReject = reject
}

/** One message and the promise of its publisher. */
class Publication implements PublishDone {
  readonly promise: Promise<PublishResult>
  message: Outgoing | null = null
  release: (() => void) | null = null
  private readonly resolve: Resolve
  private readonly reject: Reject
  private readonly port: PublisherPort

  constructor(port: PublisherPort) {
    this.port = port
    this.promise = new Promise(execute)
    this.resolve = lastResolve
    this.reject = lastReject
  }

  settled(error: MqttError | null, reasonCode: number, properties: Properties): void {
    if (this.release !== null) this.release()
    if (error === null) {
      this.resolve(
        reasonCode === 0 && properties === NO_PROPERTIES ? SUCCESS : result(reasonCode, properties),
      )
      return
    }
    // Who does not wait must not be told of an unhandled rejection; there is an event for it.
    this.promise.catch(ignore)
    this.reject(error)
    this.port.reportError(error)
  }
}

export class Publisher {
  private readonly port: PublisherPort
  /** Messages that the session's line has no room for. */
  private readonly waiting = new Line<Outgoing>()
  private writers: Deferred<void> | null = null

  constructor(port: PublisherPort) {
    this.port = port
  }

  get waitingCount(): number {
    return this.waiting.length
  }

  /**
   * Resolves when the message's QoS is fulfilled; for QoS 0 when the transport has it. The
   * payload's bytes must not change before that.
   */
  publish(
    topic: string,
    payload: Payload,
    options: PublishOptions = PLAIN,
  ): Promise<PublishResult> {
    const { port } = this
    const { session } = port
    session.subscribing.flush()
    try {
      if (port.refuses !== null) return this.refused(port.refuses)
      checkNames('publish', options, PublishNames)
      const body = readPayload(payload)
      const qos = readQoS(options.qos)
      const properties = propertiesOf(options)
      port.watched(topic, qos)
      if (qos === 0 && session.isClear && this.waiting.length === 0) {
        const error = session.publishNow(topic, body, options.retain === true, properties)
        return error === null ? DONE : this.refused(error)
      }
      return this.publishLater(topic, body, qos, properties, options)
    } catch (error) {
      return this.refused(argumentError(error))
    }
  }

  /**
   * Publishes if the message can leave at once.
   * @returns false when it would have to wait
   * @throws MqttError when the message is one that this server or no server takes
   */
  tryPublish(topic: string, payload: Payload, options: PublishOptions = PLAIN): boolean {
    const { port } = this
    const { session } = port
    checkNames('tryPublish', options, PublishNames)
    const qos = readQoS(options.qos)
    session.subscribing.flush()
    if (port.refuses !== null || this.waiting.length > 0) return false
    if (qos === 0 ? !session.isClear : !session.hasRoom) return false
    try {
      return this.sendNow(topic, readPayload(payload), qos, options)
    } catch (error) {
      throw argumentError(error)
    }
  }

  private sendNow(
    topic: string,
    body: Uint8Array | string,
    qos: QoS,
    options: PublishOptions,
  ): boolean {
    const { port } = this
    const { session } = port
    const properties = propertiesOf(options)
    port.watched(topic, qos)
    if (qos === 0) {
      const error = session.publishNow(topic, body, options.retain === true, properties)
      if (error !== null) throw error
      return true
    }
    const retain = options.retain === true
    const error = session.check(topic, body, qos, retain, properties)
    if (error !== null) throw error
    const done = new Unwatched(port)
    const bytes = bytesOf(topic, body)
    const message = new Outgoing(topic, body, qos, retain, properties, bytes, done)
    return session.publish(message, false) === Accepted.SENT
  }

  /** Resolves when `tryPublish` would take a message again. */
  get writable(): Promise<void> {
    const { refuses, session } = this.port
    if (refuses !== null) return Promise.reject(refuses)
    if (session.hasRoom && this.waiting.length === 0) return Promise.resolve()
    if (this.writers === null) {
      this.writers = new Deferred()
      this.writers.promise.catch(ignore)
    }
    return this.writers.promise
  }

  /** Room may have been freed: who waits moves up. */
  admit(): void {
    const { waiting } = this
    const { session } = this.port
    for (;;) {
      const message = waiting.peek()
      if (message === undefined || session.publish(message, true) === Accepted.FULL) break
      waiting.shift()
    }
    if (this.writers === null || waiting.length > 0 || !session.hasRoom) return
    this.writers.resolve()
    this.writers = null
  }

  close(error: MqttError): void {
    this.writers?.reject(error)
    this.writers = null
    for (const message of this.waiting.takeAll()) settle(message, error)
  }

  private publishLater(
    topic: string,
    body: Uint8Array | string,
    qos: QoS,
    properties: Uint8Array | null,
    options: PublishOptions,
  ): Promise<PublishResult> {
    const { port } = this
    const { session } = port
    if (qos === 0 && !session.connected && !port.queuesQos0) {
      return this.refused(new MqttError('not-connected', 'QoS 0 without a connection is dropped'))
    }
    const { signal, timeoutMs } = options
    if (signal?.aborted === true) return this.refused(aborted(signal))
    const bytes = bytesOf(topic, body)
    const publication = new Publication(port)
    const retain = options.retain === true
    const message = new Outgoing(topic, body, qos, retain, properties, bytes, publication)
    const accepted = this.waiting.length > 0 ? Accepted.FULL : session.publish(message, true)
    if (accepted === Accepted.FULL) this.wait(message)
    if (message.done !== null && (signal !== undefined || timeoutMs !== undefined)) {
      this.limit(publication, message, signal, timeoutMs)
    }
    return publication.promise
  }

  /** The line is full. */
  private wait(message: Outgoing): void {
    const { port } = this
    const { session, whenFull } = port
    if (whenFull === 'drop-oldest') {
      while (!session.queueHasRoom(message.bytes)) {
        const oldest = session.dropOldest()
        if (oldest === undefined) break
        settle(oldest, new MqttError('queue-full', 'a newer message took its place'))
      }
      session.publish(message, true)
    } else if (whenFull === 'reject' || this.waiting.length >= Limits.waitingMax) {
      settle(message, new MqttError('queue-full', 'too many messages wait to be sent'))
    } else {
      this.waiting.push(message)
    }
  }

  /** Lets go of a message when the time is over or the signal says so. */
  private limit(
    publication: Publication,
    message: Outgoing,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ): void {
    const { platform, session } = this.port
    publication.release = limited(platform, signal, timeoutMs, 'not acknowledged', error => {
      this.waiting.remove(message)
      session.abandon(message)
      publication.settled(error, error.reasonCode, NO_PROPERTIES)
    })
  }

  private refused(error: MqttError): Promise<never> {
    const promise = Promise.reject(error)
    promise.catch(ignore)
    this.port.reportError(error)
    return promise
  }
}

/** For a message of QoS 1 or 2 that nobody waits for: only its failure is told. */
class Unwatched implements PublishDone {
  private readonly port: PublisherPort

  constructor(port: PublisherPort) {
    this.port = port
  }

  settled(error: MqttError | null): void {
    if (error !== null) this.port.reportError(error)
  }
}

/** @throws PacketError `invalid-packet`: now, and not when half of the packet is written */
function propertiesOf(options: PublishOptions): Uint8Array | null {
  if (options === PLAIN) return null
  const properties = readMessageProperties(options)
  return properties === null ? null : encodeProperties(properties)
}

function bytesOf(topic: string, body: Uint8Array | string): number {
  return encodeTopic(topic).length + payloadByteLength(body) + MESSAGE_OVERHEAD
}

/** What the codec cannot write was wrong already when we got it. */
function argumentError(error: unknown): MqttError {
  if (error instanceof MqttError) return error
  if (error instanceof PacketError) return invalidArgument(error.message, error)
  throw error
}

function settle(message: Outgoing, error: MqttError): void {
  const { done } = message
  message.done = null
  done?.settled(error, error.reasonCode, NO_PROPERTIES)
}

function result(reasonCode: number, properties: Properties): PublishResult {
  const noMatchingSubscribers = reasonCode === NO_MATCHING_SUBSCRIBERS
  return { reasonCode, noMatchingSubscribers, properties }
}
