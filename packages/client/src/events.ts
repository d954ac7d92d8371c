// What a client tells about itself, and a bounded line for those who read it as an async iterable.

import type { MqttError } from './errors.ts'
import { Limits } from './limits.ts'
import { Line } from './outgoing.ts'

/** What happened to a client, told apart by `type`. */
export type ClientEvent =
  | { readonly type: 'connected'; readonly sessionPresent: boolean }
  | { readonly type: 'disconnected'; readonly error: MqttError }
  | {
      readonly type: 'reconnecting'
      readonly delayMs: number
      /** Of the attempt to come. */
      readonly attempt: number
      /** Why there is no connection. */
      readonly error: MqttError
    }
  /** The server has no session any more: what it kept for this client is gone. */
  | { readonly type: 'session-lost' }
  /** A subscription had to drop messages of QoS 0. */
  | { readonly type: 'overflow'; readonly filter: string; readonly dropped: number }
  /** Messages of a resumed session that nobody subscribed to in time; they are acknowledged. */
  | { readonly type: 'unclaimed'; readonly dropped: number }
  /** An operation failed and nobody may be waiting for it. */
  | { readonly type: 'error'; readonly error: MqttError }
  | { readonly type: 'closed'; readonly error: MqttError | null }

/** One reader's events; the oldest give way when it does not keep up. */
export class EventReader implements AsyncIterableIterator<ClientEvent> {
  private readonly line = new Line<ClientEvent>()
  private readonly leave: (reader: EventReader) => void
  private waiting: ((result: IteratorResult<ClientEvent>) => void)[] = []
  private ended = false

  constructor(leave: (reader: EventReader) => void) {
    this.leave = leave
  }

  push(event: ClientEvent): void {
    const waiting = this.waiting.shift()
    if (waiting !== undefined) {
      waiting({ value: event, done: false })
    } else {
      if (this.line.length === Limits.events) this.line.shift()
      this.line.push(event)
    }
    if (event.type === 'closed') this.end()
  }

  next(): Promise<IteratorResult<ClientEvent>> {
    const event = this.line.shift()
    if (event !== undefined) return Promise.resolve({ value: event, done: false })
    if (this.ended) return Promise.resolve({ value: undefined, done: true })
    return new Promise(resolve => this.waiting.push(resolve))
  }

  return(): Promise<IteratorResult<ClientEvent>> {
    this.line.takeAll()
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    this.leave(this)
    for (const waiting of this.waiting.splice(0)) waiting({ value: undefined, done: true })
  }
}
