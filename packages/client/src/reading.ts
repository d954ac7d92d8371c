// Whether the connection is read. Anybody may ask that it is not for a while; the link is told,
// since then the server's silence says nothing.

import type { Link } from './link.ts'
import type { Platform, Transport } from './transport.ts'

export class Reading {
  private readonly link: Link
  private readonly platform: Platform
  private transport: Transport | null = null
  private holders: Set<object> | null = null

  constructor(link: Link, platform: Platform) {
    this.link = link
    this.platform = platform
  }

  private get isHeld(): boolean {
    return this.holders !== null && this.holders.size > 0
  }

  /** A connection that stands. */
  attach(transport: Transport | null): void {
    this.transport = transport
    if (this.isHeld) this.apply()
  }

  /** Stops or resumes reading for the sake of one. */
  hold(who: object, hold: boolean): void {
    const before = this.isHeld
    if (hold) {
      this.holders ??= new Set()
      this.holders.add(who)
    } else {
      this.holders?.delete(who)
    }
    if (before !== this.isHeld) this.apply()
  }

  private apply(): void {
    const { transport, isHeld } = this
    if (transport === null || !transport.canPause) return
    if (isHeld) transport.pause()
    else transport.resume()
    this.link.setPaused(isHeld, this.platform.nowMs())
  }
}
