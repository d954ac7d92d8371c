// The real SQLite, in memory, as a database file that outlives simulated processes. What it
// guarantees of a file is what happens here: a transaction is there after its COMMIT, whole, and
// without it nothing of it is. Its own write-ahead log is tried with real processes (test/crash).

import { Database, IN_MEMORY, type Row, type SqlValue, type Statement } from '../sqlite.ts'

/** A process ends where it is: everything that is called after it fails, and changes nothing. */
export class Killed extends Error {
  constructor() {
    super('the process is dead')
    this.name = 'Killed'
  }
}

export class SimulatedDatabase extends Database {
  /** Asked before each change; what it returns is thrown. */
  fault: () => Error | null = () => null
  private isDead = false
  private readonly prepared = new Map<string, Statement>()

  constructor() {
    super(IN_MEMORY)
  }

  override execute(sql: string): void {
    this.check(sql === 'COMMIT')
    super.execute(sql)
  }

  /** Statements are kept: another process prepares the same ones. */
  override prepare(sql: string): Statement {
    let statement = this.prepared.get(sql)
    if (statement === undefined) {
      statement = this.guarded(super.prepare(sql), sql.startsWith('SELECT'))
      this.prepared.set(sql, statement)
    }
    return statement
  }

  override query(sql: string, values: readonly SqlValue[] = []): Row[] {
    this.check(false)
    return super.query(sql, values)
  }

  override settle(): void {
    this.check(true)
    super.settle()
  }

  override giveBack(): void {
    this.check(true)
    super.giveBack()
  }

  /** The process lets go of it; what it had not committed is gone. */
  override close(): void {
    if (!this.isDead && this.inTransaction) super.execute('ROLLBACK')
  }

  kill(): void {
    this.isDead = true
  }

  /** Another process opens it. */
  open(): this {
    this.isDead = false
    this.close()
    return this
  }

  /** Its memory is free again. */
  dispose(): void {
    super.close()
  }

  private guarded(statement: Statement, isReading: boolean): Statement {
    return {
      run: values => {
        this.check(!isReading)
        statement.run(values)
      },
      all: values => {
        this.check(!isReading)
        return statement.all(values)
      },
      iterate: values => {
        this.check(false)
        return statement.iterate(values)
      },
    }
  }

  private check(isChange: boolean): void {
    if (this.isDead) throw new Killed()
    if (!isChange) return
    const error = this.fault()
    if (error !== null) throw error
  }
}
