// A session store in a browser's IndexedDB: one database for each session, one object store of
// records by number, one strict transaction for each commit. It knows nothing of what they mean.

import type { SessionStore, StoredRecord } from '../store.ts'

/** What is used of the platform's IndexedDB. The types of browsers are not those of Node. */
interface Request {
  readonly result: unknown
  readonly error: Error | null
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}

interface OpenRequest extends Request {
  onupgradeneeded: (() => void) | null
  onblocked: (() => void) | null
}

interface Records {
  put(value: Uint8Array, key: number): unknown
  delete(key: number): unknown
  getAll(): Request
  getAllKeys(): Request
}

interface Transaction {
  readonly error: Error | null
  oncomplete: (() => void) | null
  onabort: (() => void) | null
  objectStore(name: string): Records
}

interface Database {
  createObjectStore(name: string): unknown
  transaction(
    name: string,
    mode: 'readonly' | 'readwrite',
    options?: { readonly durability: 'strict' },
  ): Transaction
  close(): void
  onversionchange: (() => void) | null
  onclose: (() => void) | null
}

interface Locks {
  request(
    name: string,
    options: { readonly signal: AbortSignal },
    held: () => Promise<void>,
  ): Promise<void>
}

interface Browser {
  readonly indexedDB?: { open(name: string, version: number): OpenRequest }
  readonly navigator?: { readonly locks?: Locks }
}

const RECORDS = 'records'
const VERSION = 1
/** So long may a page that is being left keep the session from the one that follows it. */
const LOCK_TIMEOUT_MS = 5000

/**
 * Keeps a session in IndexedDB, so that it survives a reload of the page and a restart of the
 * browser. One tab at a time has it.
 *
 *     const store = indexedDbStore('orders')
 *     const client = await connect(url, { clientId: 'till', store, sessionExpirySeconds: 86_400 })
 *
 * @param name of the database; two sessions of one page need two names
 */
export function indexedDbStore(name: string): SessionStore {
  return new IndexedDbStore(`godwit ${name}`)
}

class IndexedDbStore implements SessionStore {
  private readonly name: string
  /** What the next commit writes: null deletes. */
  private changes = new Map<number, Uint8Array | null>()
  private database: Database | null = null
  private lost: Error | null = null
  private release: () => void = () => undefined

  constructor(name: string) {
    this.name = name
  }

  async open(): Promise<readonly StoredRecord[]> {
    this.lost = null
    this.changes.clear()
    await this.lock()
    try {
      const database = await this.openDatabase()
      this.database = database
      const records = database.transaction(RECORDS, 'readonly').objectStore(RECORDS)
      const [keys, values] = await Promise.all([
        resultOf(records.getAllKeys()) as Promise<number[]>,
        resultOf(records.getAll()) as Promise<Uint8Array[]>,
      ])
      return keys.map((key, index) => ({ key, value: values[index] ?? new Uint8Array(0) }))
    } catch (error) {
      await this.close()
      throw error
    }
  }

  put(key: number, value: Uint8Array): void {
    this.changes.set(key, value)
  }

  delete(key: number): void {
    this.changes.set(key, null)
  }

  commit(done: (error: Error | null) => void): void {
    const { database, changes } = this
    if (database === null || this.lost !== null) {
      done(this.lost ?? new Error(`the database "${this.name}" is not open`))
      return
    }
    this.changes = new Map()
    let transaction: Transaction
    try {
      // Strict: the transaction is complete when the disk has it, not when the system has it.
      transaction = database.transaction(RECORDS, 'readwrite', { durability: 'strict' })
      transaction.oncomplete = () => done(null)
      transaction.onabort = () =>
        done(transaction.error ?? new Error('the transaction was aborted'))
    } catch (error) {
      done(error as Error)
      return
    }
    const records = transaction.objectStore(RECORDS)
    for (const [key, value] of changes) {
      if (value === null) records.delete(key)
      else records.put(value, key)
    }
  }

  close(): Promise<void> {
    this.database?.close()
    this.database = null
    this.release()
    return Promise.resolve()
  }

  /** Two clients on one session would each undo what the other has kept. */
  private async lock(): Promise<void> {
    const locks = browser().navigator?.locks
    // A page that is not secure has no locks; it is on its own.
    if (locks === undefined) return
    const signal = AbortSignal.timeout(LOCK_TIMEOUT_MS)
    await new Promise<void>((resolve, reject) => {
      const held = (): Promise<void> => {
        resolve()
        return new Promise(release => {
          this.release = release
        })
      }
      locks.request(this.name, { signal }, held).catch(cause => {
        reject(new Error(`the session "${this.name}" is open in another tab`, { cause }))
      })
    })
  }

  private openDatabase(): Promise<Database> {
    const { indexedDB } = browser()
    if (indexedDB === undefined) throw new Error('this platform has no IndexedDB')
    const request = indexedDB.open(this.name, VERSION)
    return new Promise((resolve, reject) => {
      request.onupgradeneeded = () => (request.result as Database).createObjectStore(RECORDS)
      request.onerror = () => reject(request.error)
      request.onblocked = () => reject(new Error(`"${this.name}" is being deleted by another tab`))
      request.onsuccess = () => {
        const database = request.result as Database
        database.onversionchange = () => this.lose(database, 'another page wants it gone')
        database.onclose = () => this.lose(database, 'the browser has closed it')
        resolve(database)
      }
    })
  }

  private lose(database: Database, why: string): void {
    database.close()
    this.lost = new Error(`the database "${this.name}" is gone: ${why}`)
  }
}

function browser(): Browser {
  return globalThis as unknown as Browser
}

function resultOf(request: Request): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
