// What outlives the process: one store after the other is opened on it, and one crash after the
// other hits it. Two kinds: a plain model of a store, and the real store on a simulated machine.

import type { Store, StoredPage } from '@godwit/broker/core/ports'

export interface StorageOwner {
  /** Now or later; never after a crash. */
  opened(store: Store): void
  /** There was no room to start. */
  refused(text: string): void
  durable(batch: number): void
  fetched(page: StoredPage): void
  /** The process has to end. */
  failed(cause: Error): void
  /** The process ends here, at a named point of the store. */
  killed(): void
  note(text: string): void
}

/** What a crash takes of all that was not synced: chance says what, or nothing of it is left. */
export type Loss = 'some' | 'all'

export interface Storage {
  /** True: a batch is on its way to the disk. */
  readonly isWriting: boolean
  readonly idle: boolean
  /** The newest batch in which there is anything, and the newest that is durable. */
  readonly newestBatch: number
  readonly durableBatch: number
  /** True: what grows may be refused. */
  readonly mayRefuse: boolean
  open(owner: StorageOwner): void
  crash(loss: Loss): void
  /** Somebody takes the space of the disk, or gives it back. */
  fill(isFull: boolean): void
  /** The next sync fails; nothing when this kind has none. */
  failSync(): void
  /** No process ends at a named point any more. */
  spare(): void
  /** Nothing goes wrong any more. */
  calm(): void
  /** Writes everything and lets go. */
  close(): void
  /** After `close`: how much is kept of each kind. */
  census(): Readonly<Record<string, number>>
  dispose(): void
}
