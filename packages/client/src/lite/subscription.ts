// One subscription of the application: a bounded buffer that is read as an async iterator, or a
// listener. A message of QoS 1 or 2 counts as taken when the next one is asked for.

import type { Properties, PublishPacket, QoS } from '@godwit/packet'
import { Deferred, ignore } from '../deferred.ts'
import { listenerError, type MqttError, watchResult } from '../errors.ts'
import { Limits } from '../limits.ts'
import type { Grant } from '../subscription.ts'
import { failure } from './failure.ts'
import type { Receipt } from './receipts.ts'
import type * as Public from './types.ts'

const textDecoder = new TextDecoder()

/** A message; its bytes are its own. */
export class Message implements Public.Message {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly dup: boolean
  readonly properties: Properties
  /** Null for QoS 0. */
  private readonly receipt: Receipt | null
  private isHeld = false

  constructor(packet: PublishPacket, receipt: Receipt | null) {
    this.receipt = receipt
    this.topic = packet.topic
    this.payload = packet.payload
    this.qos = packet.qos
    this.retain = packet.retain
    this.dup = packet.dup
    this.properties = packet.properties
  }

  text(): string {
    return textDecoder.decode(this.payload)
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T
  }

  /** @internal Its acknowledgement waits until it is settled. */
  hold(): void {
    if (!this.isHeld) this.receipt?.hold()
    this.isHeld = true
  }

  /** @internal It has been dealt with. */
  settle(): void {
    if (this.isHeld) this.receipt?.taken()
    this.isHeld = false
  }
}

/** What a subscription asks of its client. */
export interface SubscriptionHost {
  overflowed(filter: string, dropped: number): void
  failed(error: MqttError): void
  /** The application has left. */
  leave(subscription: Subscription): Promise<void>
}

type Result = IteratorResult<Message>

export class Subscription implements Public.Subscription {
  dropped = 0
  /** @internal */
  isGranted = false
  /** @internal */
  ended = false
  /** Nobody reads what still comes. */
  private drops = false
  /** @internal */
  readonly filters: readonly string[]
  /** @internal */
  readonly options: Public.SubscribeOptions
  private readonly host: SubscriptionHost
  private readonly grant = new Deferred<Grant>()
  private readonly line: Message[] = []
  private waiting: Deferred<Result>[] = []
  private current: Message | null = null
  private error: MqttError | null = null
  /** Of QoS 0, which are the ones that may be dropped. */
  private looseCount = 0
  private looseBytes = 0

  constructor(
    host: SubscriptionHost,
    filters: readonly string[],
    options: Public.SubscribeOptions,
  ) {
    this.host = host
    this.filters = filters
    this.options = options
    this.grant.promise.catch(ignore)
  }

  get filter(): string {
    return this.filters.join(' ')
  }

  get ready(): Promise<Grant> {
    return this.grant.promise
  }

  get buffered(): number {
    return this.line.length
  }

  next(): Promise<Result> {
    this.settleCurrent()
    const message = this.line.shift()
    if (message !== undefined) {
      if (message.qos === 0) this.loosened(-1, message)
      return Promise.resolve(this.handOver(message))
    }
    const { error } = this
    this.error = null
    if (error !== null) return Promise.reject(error)
    if (this.ended) return Promise.resolve({ value: undefined, done: true })
    const waiter = new Deferred<Result>()
    this.waiting.push(waiter)
    return waiter.promise
  }

  async return(): Promise<Result> {
    await this.unsubscribe()
    return { value: undefined, done: true }
  }

  async unsubscribe(): Promise<void> {
    // A loop that is left has dealt with its message, also when nothing further would come.
    this.settleCurrent()
    if (this.ended) return
    this.end(null, true)
    await this.host.leave(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unsubscribe()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** @internal A server that begins anew with each connection has a new window each time. */
  isOverrun(receiveMaximum: number): boolean {
    const { messagesMax = Limits.bufferMessages } = this.options.buffer ?? {}
    const max = messagesMax + receiveMaximum * Limits.unreadWindows
    return this.line.length - this.looseCount >= max
  }

  /** @internal A message came. */
  offer(message: Message): void {
    const { listener, buffer = {} } = this.options
    // An application may leave it from within another one's listener.
    if (this.drops) {
      message.settle()
      return
    }
    if (listener !== undefined) {
      try {
        watchResult(listener(message), error => this.host.failed(error))
      } catch (cause) {
        this.host.failed(listenerError(cause))
      }
      message.settle()
      return
    }
    message.hold()
    const waiter = this.waiting.shift()
    if (waiter !== undefined) {
      waiter.resolve(this.handOver(message))
      return
    }
    this.line.push(message)
    if (message.qos > 0) return
    const { messagesMax = Limits.bufferMessages, bytesMax = Limits.bufferBytes } = buffer
    this.loosened(1, message)
    while (this.looseCount > messagesMax || (this.looseCount > 1 && this.looseBytes > bytesMax)) {
      const at = this.line.findIndex(({ qos }) => qos === 0)
      for (const oldest of this.line.splice(at, 1)) this.loosened(-1, oldest)
      const dropped = ++this.dropped
      // Told at 1, 2, 4, 8, ...: a flood of messages must not become a flood of events.
      if ((dropped & (dropped - 1)) === 0) this.host.overflowed(this.filter, dropped)
    }
  }

  /** @internal The server has granted it. */
  granted(reasonCodes: readonly number[]): void {
    this.grant.resolve({ qos: Math.min(...reasonCodes) as QoS, reasonCodes })
  }

  /** @internal Nothing further comes. @param discard whether what waits is dropped, not read */
  end(error: MqttError | null, discard: boolean): void {
    if (this.ended) return
    this.ended = true
    this.drops = discard || error !== null
    this.error = error
    this.grant.reject(error ?? failure('closed'))
    // Perhaps nobody reads what waits: no other acknowledgement may wait for that.
    if (this.drops) for (const message of this.line) message.settle()
    if (discard) {
      this.settleCurrent()
      this.line.length = 0
    }
    const { waiting } = this
    this.waiting = []
    for (const { resolve, reject } of waiting) {
      if (error !== null) reject(error)
      else resolve({ value: undefined, done: true })
    }
  }

  private handOver(message: Message): Result {
    // With several `next` under way the one before counts as taken.
    this.settleCurrent()
    this.current = message
    return { value: message, done: false }
  }

  private settleCurrent(): void {
    this.current?.settle()
    this.current = null
  }

  private loosened(by: number, { payload }: Message): void {
    this.looseCount += by
    this.looseBytes += by * payload.length
  }
}
