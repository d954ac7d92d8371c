// A session store as the engine uses it: it knows whether anything has to be committed before the
// output of a turn may leave, and lets one commit run at a time.

import type { SessionStore, StoredRecord } from './store.ts'

export class StoreWriter {
  /** Something was put or deleted since the last commit began. */
  isDirty = false
  /** A commit runs. */
  isBusy = false
  private readonly store: SessionStore
  private readonly changed: () => void

  constructor(store: SessionStore, changed: () => void) {
    this.store = store
    this.changed = changed
  }

  open(): Promise<readonly StoredRecord[]> {
    return this.store.open()
  }

  put(key: number, value: Uint8Array): void {
    this.store.put(key, value)
    this.touch()
  }

  delete(key: number): void {
    this.store.delete(key)
    this.touch()
  }

  /** Must not be called while `isBusy`. */
  commit(done: (error: Error | null) => void): void {
    this.isDirty = false
    this.isBusy = true
    this.store.commit(error => {
      this.isBusy = false
      done(error)
    })
  }

  async close(): Promise<void> {
    await this.store.close()
  }

  private touch(): void {
    this.isDirty = true
    this.changed()
  }
}
