// The store that keeps nothing: sessions, queues and retained messages live in the core's memory
// and end with the process. Each batch is as durable as it will ever be when it is committed.

import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from '../core/ports.ts'

/** Who is told that a batch is durable. */
export interface BatchOwner {
  durable(batch: number): void
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

  /** Says who is to be told; before the first commit. */
  attach(owner: BatchOwner): void {
    this.owner = owner
  }

  commit(): void {
    const batch = this.openBatch++
    this.dirty = false
    this.owner?.durable(batch)
  }

  load(_reader: StoreReader): void {
    // There is nothing.
  }

  fetch(): void {
    throw new Error('the store in memory has nothing that could be fetched')
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
