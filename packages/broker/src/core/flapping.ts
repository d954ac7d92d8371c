// Clients that come again and again: two devices with one client id, or one that fails right after
// each CONNECT. Counted by client id after authentication, so that nobody can name somebody else.

import type { Limits } from './limits.ts'

/** What was seen of one client id. */
export interface FlappingClient {
  readonly clientId: string
  /** How often it connected since `sinceMs`. */
  connects: number
  sinceMs: number
  /** Where it came from last, and from where else before. */
  address: string
  otherAddress: string | null
  /** Refused until then, monotonic milliseconds; 0: not at all. */
  bannedUntilMs: number
}

export class Flapping {
  private readonly limits: Limits
  /** The one that was seen longest ago comes first. */
  private readonly clients = new Map<string, FlappingClient>()
  /**
   * Stands before the one that comes first. A new iterator would step over the holes of all that
   * were dropped since the map was last made anew: 20 us with ten thousand clients.
   */
  private oldest: Iterator<string>

  constructor(limits: Limits) {
    this.limits = limits
    this.oldest = this.clients.keys()
  }

  /** Seconds for which the client is still refused; 0: it may come in. */
  banSecondsLeft(clientId: string, nowMs: number): number {
    const client = this.clients.get(clientId)
    if (client === undefined || client.bannedUntilMs <= nowMs) return 0
    return Math.ceil((client.bannedUntilMs - nowMs) / 1000)
  }

  /** A client has come in. @returns the client when it has begun to flap just now */
  connected(clientId: string, address: string, nowMs: number): FlappingClient | null {
    const { flappingConnectsMax, flappingWindowSeconds, flappingBanSeconds } = this.limits
    if (flappingConnectsMax === 0) return null
    const client = this.seen(clientId, address, nowMs)
    if (nowMs - client.sinceMs >= flappingWindowSeconds * 1000) {
      client.sinceMs = nowMs
      client.connects = 0
      client.otherAddress = null
    }
    client.connects++
    if (client.address !== address) client.otherAddress = client.address
    client.address = address
    if (client.connects !== flappingConnectsMax + 1) return null
    if (flappingBanSeconds > 0) client.bannedUntilMs = nowMs + flappingBanSeconds * 1000
    return client
  }

  private seen(clientId: string, address: string, nowMs: number): FlappingClient {
    const known = this.clients.get(clientId)
    const fresh = { connects: 0, sinceMs: nowMs, address, otherAddress: null, bannedUntilMs: 0 }
    const client = known ?? { clientId, ...fresh }
    if (known !== undefined) this.clients.delete(clientId)
    else if (this.clients.size >= this.limits.flappingClientsMax) this.dropOldest()
    this.clients.set(clientId, client)
    return client
  }

  private dropOldest(): void {
    let next = this.oldest.next()
    if (next.done === true) {
      // It has been at the end: what came since is not seen by it any more.
      this.oldest = this.clients.keys()
      next = this.oldest.next()
    }
    if (next.done !== true) this.clients.delete(next.value)
  }
}
