// The store that keeps nothing: sessions, queues and retained messages live in the core's memory
// and end with the process. Each batch is as durable as it will ever be when it is committed.

import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredPage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from '../core/ports.ts'

/** Who is told that a batch is durable, and that nothing is there. */
export interface BatchOwner {
  durable(batch: number): void
  fetched(page: StoredPage): void
}

export class MemoryStore implements Store {
  readonly full = false
  readonly low = false
  readonly freeBytes = null
  /** Sessions stay in the core. */
  readonly pages = false
  readonly congested = false
  openBatch = 1
  dirty = false
  private owner: BatchOwner | null = null
  /** Asked for before what is in the open batch was committed. */
  private tickets: number[] = []

  /** Says who is to be told; before the first commit. */
  attach(owner: BatchOwner): void {
    this.owner = owner
  }

  commit(): void {
    if (!this.dirty) return
    const batch = this.openBatch++
    this.dirty = false
    this.owner?.durable(batch)
    this.answerLater()
  }

  load(_reader: StoreReader): void {
    // There is nothing.
  }

  /** What it was given is nowhere: the page is empty. The core, which has it, does not ask. */
  fetch(ticket: number): void {
    this.tickets.push(ticket)
    if (!this.dirty) this.answerLater()
  }

  private answerLater(): void {
    const tickets = this.tickets
    if (tickets.length === 0) return
    this.tickets = []
    queueMicrotask(() => {
      for (const ticket of tickets) {
        this.owner?.fetched({ ticket, entries: [], received: [], will: null })
      }
    })
  }

  putSession(_session: StoredSession): void {
    this.dirty = true
  }

  removeSession(_sessionId: number): void {
    this.dirty = true
  }

  putSubscription(_subscription: StoredSubscription): void {
    this.dirty = true
  }

  removeSubscription(_sessionId: number, _filter: string): void {
    this.dirty = true
  }

  putMessage(_message: StoredMessage): void {
    this.dirty = true
  }

  putDelivery(_delivery: StoredDelivery): void {
    this.dirty = true
  }

  removeDelivery(_sessionId: number, _sequence: number): void {
    this.dirty = true
  }

  putInflight(_sessionId: number, _packetId: number, _sequence: number, _state: number): void {
    this.dirty = true
  }

  putReceived(_sessionId: number, _packetId: number): void {
    this.dirty = true
  }

  removeReceived(_sessionId: number, _packetId: number): void {
    this.dirty = true
  }

  putRetained(_topic: string, _messageId: number): void {
    this.dirty = true
  }

  removeRetained(_topic: string): void {
    this.dirty = true
  }

  putWill(_will: StoredWill): void {
    this.dirty = true
  }

  removeWill(_sessionId: number): void {
    this.dirty = true
  }

  putGroup(_groupId: number, _shareName: string, _filter: string): void {
    this.dirty = true
  }

  removeGroup(_groupId: number): void {
    this.dirty = true
  }

  putGroupDelivery(_delivery: StoredDelivery): void {
    this.dirty = true
  }

  removeGroupDelivery(_groupId: number, _sequence: number): void {
    this.dirty = true
  }
}
