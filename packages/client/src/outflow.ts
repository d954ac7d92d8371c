// What leaves at the end of a turn: first the store has what the output depends on, then everything
// goes to the transport in one write. It also says when the transport wants no more.

import type { Connection } from './connection.ts'
import { HIGH_WATER_BYTES, Limits } from './limits.ts'
import type { Session } from './session.ts'
import type { StoreWriter } from './store-writer.ts'

/** What happens on the way out. */
export interface OutflowPort {
  /** The connection that is written to, null when there is none. */
  readonly connection: Connection | null
  /** Something is about to be written. */
  writing(): void
  /** All that was collected is with the transport. */
  written(connection: Connection): void
  storeFailed(cause: Error): void
  /** The server does not read what it is sent, or does so again. */
  unread(now: boolean): void
  wantsTurnEnd(): void
}

export class Outflow {
  private readonly session: Session
  private readonly port: OutflowPort
  /** Null when nothing outlives the process. */
  store: StoreWriter | null = null
  /** The server does not read its answers. */
  isUnread = false

  constructor(session: Session, port: OutflowPort) {
    this.session = session
    this.port = port
  }

  /** Whether what is to be sent depends on what is not stored yet. */
  get isBehind(): boolean {
    return this.store !== null && (this.store.isBusy || this.store.isDirty)
  }

  /** Writes what there is, after what it depends on is stored. */
  flush(): void {
    const { store } = this
    if (store === null || !this.isBehind) {
      this.write()
      return
    }
    if (store.isBusy) return
    store.commit(error => {
      if (error !== null) this.port.storeFailed(error)
      else this.flush()
    })
  }

  /** The output of this turn has grown large. */
  full(connection: Connection): void {
    if (!this.isBehind) this.write()
    // It waits for the store; then at least nobody adds to it without need.
    else if (connection.bufferedBytes > HIGH_WATER_BYTES) this.session.writable = false
  }

  /** The transport may take more than before. */
  resume(): void {
    const { session, port } = this
    const { connection } = port
    if (connection === null || !session.connected) return
    if (connection.bufferedBytes > HIGH_WATER_BYTES) return
    this.mark(false)
    session.writable = true
    session.pump()
    port.wantsTurnEnd()
  }

  /** The connection is gone, and what it had not sent with it. */
  reset(): void {
    this.mark(false)
  }

  private write(): void {
    const { session, port } = this
    const { connection } = port
    if (connection === null || connection.transport === null) return
    if (connection.hasOutput) {
      port.writing()
      const takesMore = connection.flush()
      if (takesMore !== session.writable) {
        if (takesMore) this.resume()
        else session.writable = false
      }
    }
    // PUBLISH waits for room; these are answers to what the server goes on to send.
    if (connection.bufferedBytes > Limits.unreadBytes) this.mark(true)
    port.written(connection)
  }

  private mark(unread: boolean): void {
    if (this.isUnread === unread) return
    this.isUnread = unread
    this.port.unread(unread)
  }
}
