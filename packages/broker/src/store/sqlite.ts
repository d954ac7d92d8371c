// The one place that knows the SQLite library: opens a database so that it survives a crash.

import { rmSync } from 'node:fs'
import sqlite from 'node-sqlite3-wasm'
import { StoreError, textOf } from './errors.ts'
import { PageSums, type PageSumsOptions } from './page-sums.ts'

export type SqlValue = number | bigint | string | Uint8Array | null
export type Row = Record<string, SqlValue>

export interface Statement {
  run(values: readonly SqlValue[]): void
  /** All rows; the statement is finished then, so that a transaction can end. */
  all(values: readonly SqlValue[]): Row[]
  /** Row by row; must be taken to the end before a transaction ends. */
  iterate(values: readonly SqlValue[]): IterableIterator<Row>
}

/** As a path: a database that ends with its process; for tests. */
export const IN_MEMORY = ':memory:'
/** `PRAGMA auto_vacuum`. */
const INCREMENTAL = 2
const FREE_PAGES_MIN = 1024
const PAGES_PER_STEP = 128
const STEPS_PER_CALL = 32

/**
 * A database that only this thread uses; the caller has locked its directory.
 *
 * The library has no locks that the system frees: it makes a directory, which outlives a killed
 * process. Worse, it takes that directory for another process's lock when it looks for an
 * unfinished transaction in a rollback journal, and then does not roll back. A write-ahead log
 * under an exclusive lock needs neither; so nothing else may be used here.
 */
export class Database {
  private readonly database: sqlite.Database
  private readonly statements: { finalize(): void }[] = []
  private readonly sums: PageSums | null

  /** @throws StoreError `corrupt`, `io` */
  constructor(path: string, options: PageSumsOptions = { salvage: false, compared: false }) {
    this.sums = path === IN_MEMORY ? null : new PageSums(path, options)
    rmSync(`${path}.lock`, { recursive: true, force: true })
    this.sums?.verify()
    try {
      this.database = new sqlite.Database(path)
    } catch (error) {
      throw new StoreError('io', `${path} cannot be opened: ${textOf(error)}`, error)
    }
    try {
      this.configure(path)
    } catch (error) {
      this.database.close()
      const code = /not a database|malformed/.test(textOf(error)) ? 'corrupt' : 'io'
      throw new StoreError(code, `${path} cannot be used: ${textOf(error)}`, error)
    }
  }

  private configure(path: string): void {
    this.database.exec('PRAGMA locking_mode = EXCLUSIVE')
    this.database.exec('PRAGMA page_size = 8192')
    // Setting what it is already would write, sync twice, and take as long as reading all tables.
    if (this.pragma('auto_vacuum') !== INCREMENTAL) {
      this.database.exec(`PRAGMA auto_vacuum = ${INCREMENTAL}`)
    }
    const mode = this.database.get('PRAGMA journal_mode = WAL')
    const wanted = path === IN_MEMORY ? 'memory' : 'wal'
    if (mode?.['journal_mode'] !== wanted) throw new Error(`${path} has no write-ahead log`)
    this.database.exec('PRAGMA synchronous = FULL')
    this.database.exec('PRAGMA cache_size = -8000')
    this.database.exec('PRAGMA journal_size_limit = 67108864')
    // `settle` does it: the checksums of the pages come first.
    this.database.exec('PRAGMA wal_autocheckpoint = 0')
  }

  execute(sql: string): void {
    this.database.exec(sql)
  }

  prepare(sql: string): Statement {
    const statement = this.database.prepare(sql)
    this.statements.push(statement)
    return statement as Statement
  }

  /** Rows of a statement that is used once. */
  query(sql: string, values: readonly SqlValue[] = []): Row[] {
    return this.database.all(sql, values as SqlValue[]) as Row[]
  }

  /** Gives room that many deletes have left back to the file system, a part at a time. */
  giveBack(): void {
    for (let step = 0; step < STEPS_PER_CALL; step++) {
      const free = this.pragma('freelist_count')
      if (free < FREE_PAGES_MIN || free * 2 < this.pragma('page_count')) return
      // Little by little: it needs some room itself.
      this.database.exec(`PRAGMA incremental_vacuum(${PAGES_PER_STEP})`)
      this.settle()
    }
  }

  /** Moves what was committed out of the write-ahead log into the file. */
  settle(): void {
    this.sums?.take()
    this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  /** Offsets of pages that are not what was written, when that was let pass. */
  get damaged(): readonly number[] {
    return this.sums?.damaged ?? []
  }

  /** @returns what the library finds wrong with its structure, or '' */
  faults(): string {
    const [row] = this.query('PRAGMA integrity_check(1)')
    const text = String(row?.['integrity_check'] ?? '')
    return text === 'ok' ? '' : text
  }

  private pragma(name: string): number {
    return Number(this.database.get(`PRAGMA ${name}`)?.[name] ?? 0)
  }

  get inTransaction(): boolean {
    return this.database.inTransaction
  }

  close(): void {
    // Closing moves what is left in the write-ahead log.
    this.sums?.take()
    for (const statement of this.statements) statement.finalize()
    this.database.close()
  }
}
