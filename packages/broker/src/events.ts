// What an embedder can listen to, and the core's trace that tells of it.

import type { EventEmitter } from 'node:events'
import type { QoS } from '@godwit/packet'
import type { FlappingClient } from './core/flapping.ts'
import type { ClientView, Origin, Trace } from './core/ports.ts'
import type { PacketDump } from './dump.ts'
import type { ListeningAddress } from './listeners/listener.ts'

/** The events of a broker with their arguments. */
export interface BrokerEvents {
  clientConnected: [client: ClientView]
  /** `reasonCode` is 0 when the client said goodbye. */
  clientDisconnected: [event: { clientId: string; reasonCode: number; text: string }]
  /** Somebody was not let in, or went before CONNECT. The user name is not known to be theirs. */
  refused: [event: RefusedEvent]
  /** A client connects again and again: two devices with one client id, or one that fails. */
  flapping: [event: FlappingEvent]
  subscribe: [event: { clientId: string; filter: string; qos: QoS }]
  unsubscribe: [event: { clientId: string; filter: string }]
  /** A client has published. The payload is a copy. */
  published: [message: PublishedEvent]
  /** A message was lost; the first of its kind. All are counted in the ledger. */
  dropped: [event: { reason: string; clientId: string; topic: string }]
  /** The disk of the store has little space left, is full, or has enough again. */
  space: [event: { space: StoreSpace; freeBytes: number | null }]
  listening: [address: ListeningAddress]
  /** A hook, a listener or the store has failed. Without a listener it goes to the log only. */
  error: [error: Error]
  closed: []
}

/** `low`: everything is taken still. `full`: nothing that grows is. */
export type StoreSpace = 'enough' | 'low' | 'full'

export interface PublishedEvent {
  readonly clientId: string
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
}

export interface RefusedEvent {
  readonly origin: Origin
  /** Empty before CONNECT. */
  readonly clientId: string
  /** The one that it gave. */
  readonly username: string | null
  /** 0: the connection ended by itself. */
  readonly reasonCode: number
  readonly text: string
}

export interface FlappingEvent {
  readonly clientId: string
  /** Within `limits.flappingWindowSeconds`. */
  readonly connects: number
  /** One or two of the addresses that it came from. */
  readonly addresses: readonly string[]
}

/**
 * Tells listeners of what happens. They are called in a turn of their own: whatever they do, the
 * core is not in the middle of something.
 */
export class EventTrace implements Trace {
  readonly packets: boolean
  messages = false
  clients = false
  private readonly events: EventEmitter<BrokerEvents>
  private readonly dump: PacketDump | null
  private queue: (() => void)[] = []

  constructor(events: EventEmitter<BrokerEvents>, dump: PacketDump | null) {
    this.events = events
    this.dump = dump
    this.packets = dump !== null
    // The core asks for each message: a field is quicker than a count of listeners.
    const raw: EventEmitter = events
    raw.on('newListener', name => {
      if (name === 'published') this.messages = true
      if (name === 'clientConnected') this.clients = true
    })
    raw.on('removeListener', name => {
      if (name === 'published') this.messages = events.listenerCount(name) > 0
      if (name === 'clientConnected') this.clients = events.listenerCount(name) > 0
    })
  }

  received(origin: Origin, clientId: string, bytes: Uint8Array, start: number, end: number): void {
    this.dump?.received(origin, clientId, bytes, start, end)
  }

  sent(origin: Origin, clientId: string, pieces: readonly Uint8Array[]): void {
    this.dump?.sent(origin, clientId, pieces)
  }

  published(clientId: string, topic: string, payload: Uint8Array, qos: QoS, retain: boolean): void {
    const message = { clientId, topic, payload: payload.slice(), qos, retain }
    this.later(() => this.events.emit('published', message))
  }

  connected(client: ClientView): void {
    this.later(() => this.events.emit('clientConnected', client))
  }

  disconnected(clientId: string, reasonCode: number, text: string): void {
    if (this.events.listenerCount('clientDisconnected') === 0) return
    this.later(() => this.events.emit('clientDisconnected', { clientId, reasonCode, text }))
  }

  refused(
    origin: Origin,
    clientId: string,
    username: string | null,
    reasonCode: number,
    text: string,
  ): void {
    if (this.events.listenerCount('refused') === 0) return
    const event = { origin, clientId, username, reasonCode, text }
    this.later(() => this.events.emit('refused', event))
  }

  flapping({ clientId, connects, address, otherAddress }: FlappingClient): void {
    if (this.events.listenerCount('flapping') === 0) return
    const addresses = otherAddress === null ? [address] : [address, otherAddress]
    this.later(() => this.events.emit('flapping', { clientId, connects, addresses }))
  }

  subscribed(clientId: string, filter: string, qos: QoS): void {
    if (this.events.listenerCount('subscribe') === 0) return
    this.later(() => this.events.emit('subscribe', { clientId, filter, qos }))
  }

  unsubscribed(clientId: string, filter: string): void {
    if (this.events.listenerCount('unsubscribe') === 0) return
    this.later(() => this.events.emit('unsubscribe', { clientId, filter }))
  }

  dropped(reason: string, clientId: string, topic: string): void {
    if (this.events.listenerCount('dropped') === 0) return
    this.later(() => this.events.emit('dropped', { reason, clientId, topic }))
  }

  private later(emit: () => void): void {
    this.queue.push(emit)
    if (this.queue.length === 1) queueMicrotask(() => this.emitAll())
  }

  private emitAll(): void {
    const queue = this.queue
    this.queue = []
    for (const emit of queue) this.emitOne(emit)
  }

  /** A listener that throws ends the process, as Node has it; the others hear of theirs first. */
  private emitOne(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
