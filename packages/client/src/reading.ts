// Whether the connection is read. Anybody may ask that it is not for a while; the link is told,
// since then the server's silence says nothing. Reading goes on at the end of a turn, never in the
// middle of what an application calls.

import type { Connection } from './connection.ts'
import type { Link } from './link.ts'
import type { Platform } from './transport.ts'

/** What reading asks of its client. */
interface Port {
  readonly platform: Platform
  wantsTurnEnd(): void
}

export class Reading {
  private readonly link: Link
  private readonly port: Port
  private connection: Connection | null = null
  private holders: Set<object> | null = null
  private stopped = false

  constructor(link: Link, port: Port) {
    this.link = link
    this.port = port
  }

  /** A connection that stands. */
  attach(connection: Connection | null): void {
    this.connection = connection
    this.stopped = false
    this.stop()
  }

  /** Stops reading for the sake of one, or lets it go on as far as that one is concerned. */
  hold(who: object, hold: boolean): void {
    this.holders ??= new Set()
    if (hold) this.holders.add(who)
    else this.holders.delete(who)
    this.stop()
    if (this.stopped) this.port.wantsTurnEnd()
  }

  turnEnded(): void {
    // Whoever stopped it for one turn has had that turn.
    this.holders?.delete(this)
    const { connection } = this
    if (!this.stopped || this.isHeld || connection === null) return
    this.stopped = false
    connection.resume()
    // What was kept may have stopped it again.
    if (this.stopped as boolean) return
    connection.transport?.resume()
    this.link.setPaused(false, this.port.platform.nowMs())
  }

  private stop(): void {
    const { connection } = this
    if (!this.isHeld || connection === null) return
    // Also when it has stopped: what cannot pause may have gone on since.
    connection.hold()
    if (this.stopped) return
    this.stopped = true
    connection.transport?.pause()
    this.link.setPaused(true, this.port.platform.nowMs())
  }

  /** What cannot pause reads on, but for the one turn. */
  private get isHeld(): boolean {
    const { holders, connection } = this
    if (holders === null) return false
    return connection?.transport?.canPause === true ? holders.size > 0 : holders.has(this)
  }
}
