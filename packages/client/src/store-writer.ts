// A session store as the engine uses it: it knows whether anything has to be committed before the
// output of a turn may leave, and lets one commit run at a time.

import type { Outgoing } from './outgoing.ts'
import { decodeRecord, encodeRecord, encodeReleased } from './records.ts'
import type { RestoredRecord, SessionRecords } from './session.ts'
import { RecordKind, type SessionStore, type StoredRecord } from './store.ts'

const NO_BYTES = new Uint8Array(0)

export class StoreWriter implements SessionRecords {
  /** Something was put or deleted since the last commit began. */
  isDirty = false
  /** A commit runs. */
  isBusy = false
  private isOpening = false
  private closesLater = false
  private readonly store: SessionStore
  private readonly changed: () => void
  /** What the store has thrown. */
  private failure: Error | null = null

  constructor(store: SessionStore, changed: () => void) {
    this.store = store
    this.changed = changed
  }

  /** Rejects when the store or one of its records cannot be read. */
  async open(): Promise<readonly RestoredRecord[]> {
    this.isOpening = true
    try {
      return (await this.store.open()).map(restored)
    } finally {
      this.isOpening = false
      if (this.closesLater) await this.store.close()
    }
  }

  putMessage(key: number, message: Outgoing): void {
    this.put(key, encodeRecord(message))
  }

  putReleased(key: number, sequence: number): void {
    this.put(key, encodeReleased(sequence))
  }

  putReceived(key: number): void {
    this.put(key, NO_BYTES)
  }

  delete(key: number): void {
    this.change(() => this.store.delete(key))
  }

  /** Must not be called while `isBusy`. */
  commit(done: (error: Error | null) => void): void {
    this.isDirty = false
    this.isBusy = true
    const committed = (error: Error | null): void => {
      this.isBusy = false
      done(error)
    }
    if (this.failure === null) this.guard(() => this.store.commit(committed))
    if (this.failure !== null) committed(this.failure)
  }

  /** What is still being opened is closed when it is open; nobody waits for that. */
  async close(): Promise<void> {
    if (this.isOpening) this.closesLater = true
    else await this.store.close()
  }

  private put(key: number, value: Uint8Array): void {
    this.change(() => this.store.put(key, value))
  }

  private change(apply: () => void): void {
    this.guard(apply)
    this.isDirty = true
    this.changed()
  }

  /** What is thrown in the middle of a packet is told with the next commit. */
  private guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.failure ??= error as Error
    }
  }
}

function restored({ key, value }: StoredRecord): RestoredRecord {
  const isIdentifier = key >= RecordKind.INCOMING && key < RecordKind.QUEUED
  return { key, message: isIdentifier ? null : decodeRecord(value) }
}
