// A session store in memory: a session that survives its client within one process, and the
// simplest thing that keeps the contract.

import type { SessionStore, StoredRecord } from '../store.ts'

/** A store whose records live as long as the object. */
export function memoryStore(): SessionStore {
  return new MemoryStore()
}

class MemoryStore implements SessionStore {
  private readonly records = new Map<number, Uint8Array>()
  private changes: (readonly [number, Uint8Array | null])[] = []

  open(): Promise<readonly StoredRecord[]> {
    // What a client before has not committed never was.
    this.changes = []
    return Promise.resolve([...this.records].map(([key, value]) => ({ key, value })))
  }

  put(key: number, value: Uint8Array): void {
    this.changes.push([key, value])
  }

  delete(key: number): void {
    this.changes.push([key, null])
  }

  commit(done: (error: Error | null) => void): void {
    for (const [key, value] of this.changes) {
      if (value === null) this.records.delete(key)
      else this.records.set(key, value)
    }
    this.changes = []
    done(null)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
