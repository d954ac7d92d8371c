// A connection that we have ended and whose transport has not closed yet: it has a while to send
// what was written. There is at most one, or a server that never closes would gather them.

import type { Connection } from './connection.ts'

const NEVER = Number.POSITIVE_INFINITY

export class Retired {
  dueMs: number = NEVER
  private connection: Connection | null = null

  /** Takes the place of the one before. */
  add(connection: Connection, dueMs: number): void {
    this.destroy()
    this.connection = connection
    this.dueMs = dueMs
    const { transport } = connection
    if (connection.established) transport?.end()
    else transport?.destroy()
  }

  /** @returns whether it is the one that has closed */
  closed(connection: Connection): boolean {
    if (connection !== this.connection) return false
    this.connection = null
    this.dueMs = NEVER
    return true
  }

  /** Its time is over. */
  destroy(): void {
    const { connection } = this
    this.connection = null
    this.dueMs = NEVER
    connection?.transport?.destroy()
  }
}
