// hot
// One subscription of the application: a bounded buffer that is read as an async iterator, or a
// listener that is called at once. It decides when a message counts as taken.

import type { QoS } from '@godwit/packet'
import { type AbortOptions, orAborted } from './abort.ts'
import { Deferred, ignore } from './deferred.ts'
import { invalidArgument, listenerError, MqttError, watchResult } from './errors.ts'
import type { Incoming } from './incoming.ts'
import { Limits } from './limits.ts'
import { Message } from './message.ts'
import { Line } from './outgoing.ts'
import type { PublishReader } from './publish-reader.ts'
import type { Taker } from './router.ts'
import type { TopicTemplate } from './topic-template.ts'
import type { Wanted } from './wanted.ts'

/** What happens to a message of QoS 0 when the buffer is full. QoS 1 and 2 are never dropped. */
export type WhenFull = 'drop-oldest' | 'drop-newest' | 'latest-per-topic' | 'pause' | 'error'

/** When the server is told that a message has arrived. */
export type AckMode = 'processed' | 'received' | 'manual'

export interface BufferOptions {
  /** Messages of QoS 0 that wait; QoS 1 and 2 are bounded by the receive maximum. */
  readonly messagesMax: number
  readonly bytesMax: number
  readonly whenFull: WhenFull
}

/** What the server granted. */
export interface Grant {
  readonly qos: QoS
  /** One for each filter, in their order. */
  readonly reasonCodes: readonly number[]
}

/** What a subscription asks of its client. */
export interface SubscriptionHost {
  /** Messages of QoS 0 must not come faster than they are taken. */
  holdReading(subscription: object, hold: boolean): void
  /** No message comes before readers had a turn. */
  giveTurn(): void
  overflowed(filter: string, dropped: number): void
  failed(error: MqttError): void
  /** The application has left. @param done called when the server has answered or need not */
  leave(subscription: object, done: (error: MqttError | null) => void): void
  /** Resolves with `left`, or as soon as there is no connection on which the answer could come. */
  orLost(left: Promise<void>): Promise<void>
  /** Something was taken. */
  consumed(): void
}

export interface ForEachOptions {
  /** Handlers that run at the same time. */
  readonly concurrency?: number
  /** `topic` runs the handlers of one topic one after the other, in order. */
  readonly order?: 'none' | 'topic'
}

type Waiter<P> = (result: IteratorResult<Message<P>>) => void
type Failer = (error: unknown) => void

/** What the server is told of a message whose handler has failed. */
export const REFUSED = 0x83
const EARLIER_WINDOWS = Limits.unreadWindows - 1
const NOTHING: readonly TopicTemplate[] = []

/** How a subscription was asked for. */
export interface SubscriptionSettings<P> {
  readonly templates: readonly TopicTemplate[]
  readonly ack: AckMode
  readonly buffer: BufferOptions
  readonly listener: ((message: Message<P>) => void) | null
}

/**
 * The messages of one or several filters. `for await` takes them one by one; leaving the loop
 * unsubscribes. With `ack: 'processed'` a message of QoS 1 or 2 is acknowledged when the loop asks
 * for the next one, with `received` when it is in the buffer, with `manual` by `message.ack()`.
 */
export class Subscription<P = Readonly<Record<string, string>>>
  implements Taker, AsyncIterableIterator<Message<P>>
{
  /** @internal */
  templates: readonly TopicTemplate[] = NOTHING
  /** @internal */
  wanted: Wanted[] = []
  /** Messages that came, and those of QoS 0 that were dropped. */
  received = 0
  dropped = 0
  private readonly host: SubscriptionHost
  private readonly settings: SubscriptionSettings<P>
  private readonly listener: ((message: Message<P>) => void) | null
  private line: Line<Message<P>> | null = null
  private looseCount = 0
  private looseBytes = 0
  private current: Message<P> | null = null
  private waiters: { resolve: Waiter<P>; reject: Failer }[] | null = null
  private latest: Map<string, Message<P>> | null = null
  private finishing = false
  private ended = false
  /** @internal The application does not want it any more. */
  left = false
  private error: MqttError | null = null
  /** Reading has stopped for this buffer: for a turn, or until half of it is taken. */
  private held = false
  private running = 0
  /** Somebody reads. */
  private read = false
  private grant: Grant | null = null
  private readiness: Deferred<Grant> | null = null

  /** @internal use `client.subscribe` */
  constructor(host: SubscriptionHost, settings: SubscriptionSettings<P>) {
    this.host = host
    this.settings = settings
    this.templates = settings.templates
    this.listener = settings.listener
  }

  /** The filters as the server sees them, joined by a space. */
  get filter(): string {
    return this.templates.map(({ filter }) => filter).join(' ')
  }

  /** Messages that wait for their reader. */
  get buffered(): number {
    return this.line === null ? 0 : this.line.length
  }

  /** Resolves when the server has granted the subscription, rejects when it never will. */
  get ready(): Promise<Grant> {
    let { readiness } = this
    if (readiness === null) {
      readiness = this.readiness = new Deferred()
      // Who never asks must not be told of an unhandled rejection.
      readiness.promise.catch(ignore)
      if (this.grant !== null) readiness.resolve(this.grant)
      else if (this.ended) readiness.reject(this.error ?? new MqttError('closed', 'unsubscribed'))
    }
    return readiness.promise
  }

  /**
   * The next message; it acknowledges the one before.
   * @throws MqttError with the reason why no further message can come
   */
  next(): Promise<IteratorResult<Message<P>>> {
    this.settleCurrent()
    return this.take()
  }

  /**
   * Ends the loop: acknowledges what was taken and unsubscribes. Without a connection it does not
   * wait for the server, which is told on the next one.
   */
  async return(): Promise<IteratorResult<Message<P>>> {
    await this.host.orLost(this.unsubscribe())
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /**
   * Unsubscribes, and resolves when the server has answered: without a connection, on the next
   * one. No message is delivered from now on; those that still wait are acknowledged and dropped.
   * With the signal the answer is not waited for any longer.
   * @throws MqttError `unsubscribe-refused`, `aborted`, as a rejection
   */
  async unsubscribe(options: AbortOptions = {}): Promise<void> {
    // A loop that is left has dealt with its message, also when nothing further would come.
    this.settleCurrent()
    this.host.consumed()
    if (this.ended) return
    const left = new Promise<void>((resolve, reject) => {
      this.host.leave(this, error => (error === null ? resolve() : reject(error)))
    })
    left.catch(ignore)
    this.end(null, true)
    await orAborted(() => left, options)
  }

  /** As the end of a loop does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /**
   * Calls `handler` for each message until the subscription ends. A message is acknowledged when
   * its handler has resolved. One that fails is refused with a reason code (before MQTT 5.0 it is
   * acknowledged: the acknowledgements after it would otherwise have to wait for ever), the
   * subscription ends, and the failure is thrown.
   */
  async forEach(
    handler: (message: Message<P>) => unknown,
    options: ForEachOptions = {},
  ): Promise<void> {
    const { concurrency = 1, order = 'none' } = options
    if (!(concurrency >= 1))
      throw invalidArgument(`concurrency: expected 1 or more, got ${concurrency}`)
    const topics = new Map<string, Promise<void>>()
    const failure: { error: unknown; some: boolean } = { error: null, some: false }
    let freed: (() => void) | null = null
    let left: Promise<void> | null = null
    const run = async (message: Message<P>, before: Promise<void> | undefined): Promise<void> => {
      if (before !== undefined) await before
      const { receipt } = message
      try {
        await handler(message)
        this.settle(message)
      } catch (error) {
        if (!failure.some) failure.error = error
        failure.some = true
        message.receipt = null
        receipt?.refused(REFUSED)
        // Now, and not when the next message comes.
        left = this.unsubscribe().catch(ignore)
      }
      this.running--
      this.host.consumed()
      freed?.()
    }
    while (!failure.some) {
      if (this.running >= concurrency) {
        await new Promise<void>(resolve => {
          freed = resolve
        })
        continue
      }
      const { value: message, done } = await this.take()
      if (done) break
      if (this.current === message) this.current = null
      this.running++
      const { topic } = message
      const task = run(message, order === 'topic' ? topics.get(topic) : undefined)
      if (order !== 'topic') continue
      topics.set(topic, task)
      void task.then(() => topics.get(topic) === task && topics.delete(topic))
    }
    while (this.running > 0) {
      await new Promise<void>(resolve => {
        freed = resolve
      })
    }
    await left
    if (failure.some) throw failure.error
  }

  /** @internal Whether no reader has anything left to do. */
  get idle(): boolean {
    const drained = this.buffered === 0 || !this.read
    return drained && this.current === null && this.running === 0
  }

  /** @internal Whether handlers of `forEach` run. */
  get isHandling(): boolean {
    return this.running > 0
  }

  /** @internal A server that begins anew with each connection has a new window each time. */
  isOverrun({ windowMax, receiveMaximum }: Incoming): boolean {
    const max = this.settings.buffer.messagesMax + windowMax + EARLIER_WINDOWS * receiveMaximum
    return this.buffered - this.looseCount >= max
  }

  /** @internal A message came that belongs here. */
  offer(
    source: PublishReader,
    topic: string,
    incoming: Incoming,
    template: TopicTemplate | null,
  ): void {
    this.received++
    if (this.finishing || this.ended) {
      // Not acknowledged: the server keeps it for the next connection. But what an application
      // leaves while this message is given to others must not hold up all acknowledgements.
      if (source.qos > 0 && !this.left) incoming.receipt()
      return
    }
    if (this.listener !== null) {
      this.call(this.listener, source, topic, incoming, template)
      return
    }
    const awaited = this.waiters !== null && this.waiters.length > 0
    if (!awaited && source.qos === 0 && !this.makeRoom(source, topic)) return
    const message = new Message<P>(source, topic, template)
    message.own(source)
    if (source.qos > 0) {
      const tight = this.buffered >= this.settings.buffer.messagesMax
      if (this.settings.ack !== 'received' || tight) message.receipt = incoming.receipt()
    }
    if (this.place(message) || source.qos > 0) return
    const bytes = message.payloadLength
    this.looseCount++
    this.looseBytes += bytes
    this.latest?.set(topic, message)
    // A chunk may hold more messages than the buffer: a loop that keeps up must not lose any.
    if (this.isFull(bytes)) this.hold(true)
  }

  /** @internal Takes over a message that came before anybody wanted it; it has its receipt. */
  adopt(message: Message<P>, template: TopicTemplate | null): void {
    this.received++
    message.template = template
    if (this.finishing || this.ended) {
      if (this.left) this.settle(message)
      return
    }
    if (this.listener !== null) {
      const { receipt } = message
      if (this.settings.ack !== 'manual') message.receipt = null
      this.tell(this.listener, message)
      if (this.settings.ack !== 'manual') receipt?.taken()
      return
    }
    this.place(message)
  }

  /** @internal Nothing further comes; what waits can still be read. */
  finish(): void {
    this.finishing = true
    if (this.buffered === 0) this.end(null, false)
  }

  /** @internal The server has granted it. */
  granted(grant: Grant): void {
    this.grant = grant
    this.readiness?.resolve(grant)
  }

  /**
   * @internal Nothing further comes.
   * @param discard whether what waits is dropped instead of read
   */
  end(error: MqttError | null, discard: boolean): void {
    if (this.ended) return
    this.ended = true
    this.error = error
    this.readiness?.reject(error ?? new MqttError('closed', 'unsubscribed'))
    this.hold(false)
    if (discard) this.settleCurrent()
    this.latest = null
    for (const message of this.line?.takeAll() ?? []) {
      // After an error perhaps nobody reads it: no other acknowledgement may wait for that.
      if (discard || error !== null) this.settle(message)
      if (!discard) this.line?.push(message)
    }
    const waiters = this.waiters
    this.waiters = null
    for (const { resolve, reject } of waiters ?? []) {
      if (error === null) resolve({ value: undefined, done: true })
      else reject(error)
    }
    this.host.consumed()
  }

  private take(): Promise<IteratorResult<Message<P>>> {
    this.read = true
    const message = this.line === null ? undefined : this.line.shift()
    if (message !== undefined) {
      if (message.qos === 0) this.taken(message)
      this.handOver(message)
      if (this.finishing && this.buffered === 0) this.end(null, false)
      return Promise.resolve({ value: message, done: false })
    }
    this.host.consumed()
    if (this.ended) {
      const error = this.error
      this.error = null
      if (error !== null) return Promise.reject(error)
      return Promise.resolve({ value: undefined, done: true })
    }
    return new Promise((resolve, reject) => {
      this.waiters ??= []
      this.waiters.push({ resolve, reject })
    })
  }

  /** @returns whether a reader has waited for it */
  private place(message: Message<P>): boolean {
    const waiter = this.waiters === null ? undefined : this.waiters.shift()
    if (waiter === undefined) {
      this.line ??= new Line()
      this.line.push(message)
      return false
    }
    this.handOver(message)
    waiter.resolve({ value: message, done: false })
    return true
  }

  private handOver(message: Message<P>): void {
    if (this.settings.ack === 'manual') return
    if (this.settings.ack === 'received') {
      this.settle(message)
      return
    }
    // With several `next` under way the one before counts as taken.
    this.settleCurrent()
    this.current = message
  }

  private settleCurrent(): void {
    const { current } = this
    this.current = null
    if (current !== null) this.settle(current)
  }

  private settle(message: Message<P>): void {
    const receipt = message.receipt
    if (receipt === null) return
    message.receipt = null
    receipt.taken()
  }

  private call(
    listener: (message: Message<P>) => void,
    source: PublishReader,
    topic: string,
    incoming: Incoming,
    template: TopicTemplate | null,
  ): void {
    const message = new Message<P>(source, topic, template)
    if (this.settings.ack === 'manual') {
      if (source.qos > 0) message.receipt = incoming.receipt()
      message.own(source)
    }
    // An async listener goes on when the chunk is read over.
    if (this.tell(listener, message)) message.outlive()
  }

  /** @returns whether the listener goes on later */
  private tell(listener: (message: Message<P>) => void, message: Message<P>): boolean {
    try {
      const result: unknown = listener(message)
      if (result === undefined) return false
      return watchResult(result, error => this.host.failed(error))
    } catch (cause) {
      this.host.failed(listenerError(cause))
      return false
    }
  }

  private taken(message: Message<P>): void {
    this.loosened(message)
    const { messagesMax, bytesMax } = this.settings.buffer
    if (this.looseCount * 2 <= messagesMax && this.looseBytes * 2 <= bytesMax) this.hold(false)
  }

  private loosened(message: Message<P>): void {
    this.looseCount--
    this.looseBytes -= message.payloadLength
    if (this.latest?.get(message.topic) === message) this.latest.delete(message.topic)
  }

  /** Whether a message of QoS 0 can be put into the buffer. */
  private makeRoom(source: PublishReader, topic: string): boolean {
    const { whenFull } = this.settings.buffer
    const bytes = source.end - source.payloadStart
    if (whenFull === 'latest-per-topic') {
      this.latest ??= new Map()
      const older = this.latest.get(topic)
      if (older !== undefined) this.discard(older)
    }
    if (!this.isFull(bytes)) return true
    switch (whenFull) {
      case 'drop-newest':
        this.countDropped()
        return false
      case 'pause':
        return true
      case 'error':
        this.overrun()
        return false
      default:
        while (this.isFull(bytes)) {
          const oldest = this.line?.find(message => message.qos === 0)
          if (oldest === undefined) break
          this.discard(oldest)
        }
        return true
    }
  }

  private isFull(bytes: number): boolean {
    const { messagesMax, bytesMax } = this.settings.buffer
    if (this.looseCount >= messagesMax) return true
    return this.looseCount > 0 && this.looseBytes + bytes > bytesMax
  }

  private overrun(): void {
    const { messagesMax } = this.settings.buffer
    const text = `the reader of ${this.filter} is ${messagesMax} messages behind`
    this.dropped++
    this.host.leave(this, ignore)
    this.end(new MqttError('buffer-full', text), false)
  }

  private discard(message: Message<P>): void {
    if (this.line?.remove(message)) this.loosened(message)
    this.countDropped()
  }

  private countDropped(): void {
    const dropped = ++this.dropped
    // Told at 1, 2, 4, 8, ...: a flood of messages must not become a flood of events.
    if ((dropped & (dropped - 1)) === 0) this.host.overflowed(this.filter, dropped)
  }

  private hold(held: boolean): void {
    if (this.held === held) return
    this.held = held
    if (this.settings.buffer.whenFull === 'pause') this.host.holdReading(this, held)
    else if (held) this.host.giveTurn()
  }
}
