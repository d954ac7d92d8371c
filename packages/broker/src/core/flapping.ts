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

/** One that is remembered, between those seen before and after it. */
interface Seen {
  readonly client: FlappingClient
  older: Seen | null
  newer: Seen | null
}

export class Flapping {
  private readonly limits: Limits
  /**
   * Whom to forget first is in a list of its own. A map knows the order too, but an iterator that
   * stands at its begin keeps alive all that the map has outgrown since, and a new one steps over
   * the holes of all that were taken out: 20 us with ten thousand clients.
   */
  private readonly byClientId = new Map<string, Seen>()
  private oldest: Seen | null = null
  private newest: Seen | null = null

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** Seconds for which the client is still refused; 0: it may come in. */
  banSecondsLeft(clientId: string, nowMs: number): number {
    const client = this.byClientId.get(clientId)?.client
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
    let seen = this.byClientId.get(clientId)
    if (seen === undefined) {
      if (this.byClientId.size >= this.limits.flappingClientsMax) this.dropOldest()
      const fresh = { connects: 0, sinceMs: nowMs, address, otherAddress: null, bannedUntilMs: 0 }
      seen = { client: { clientId, ...fresh }, older: null, newer: null }
      this.byClientId.set(clientId, seen)
    } else this.takeOut(seen)
    seen.older = this.newest
    if (this.newest === null) this.oldest = seen
    else this.newest.newer = seen
    this.newest = seen
    return seen.client
  }

  private dropOldest(): void {
    const { oldest } = this
    if (oldest === null) return
    this.takeOut(oldest)
    this.byClientId.delete(oldest.client.clientId)
  }

  private takeOut(seen: Seen): void {
    if (seen.older === null) this.oldest = seen.newer
    else seen.older.newer = seen.newer
    if (seen.newer === null) this.newest = seen.older
    else seen.newer.older = seen.older
    seen.older = null
    seen.newer = null
  }
}
