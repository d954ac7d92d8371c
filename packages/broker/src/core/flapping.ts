// Clients that come again and again: two devices with one client id, or one that fails right after
// each CONNECT. Counted by client id after authentication, so that nobody can name somebody else.

import { FLAPPING_PLACES_MAX, type Limits } from './limits.ts'
import type { Origin } from './ports.ts'

/** So often a client may come before it has an entry of its own, if the limit is not lower. */
const FEW_CONNECTS = 8

/** A client that came more than a few times. */
export class FlappingClient {
  readonly clientId: string
  /** How often it connected since `sinceMs`. */
  connects: number
  sinceMs: number
  /** Where it came from last, and from where else before; not the first times. */
  address = ''
  otherAddress: string | null = null
  /** Refused until then, monotonic milliseconds; 0: not at all. */
  bannedUntilMs = 0
  /** Seen just before and just after it. */
  older: FlappingClient | null = null
  newer: FlappingClient | null = null

  constructor(clientId: string, connects: number, sinceMs: number) {
    this.clientId = clientId
    this.connects = connects
    this.sinceMs = sinceMs
  }
}

export class Flapping {
  private readonly limits: Limits
  /**
   * Whom to forget first is in a list of its own. A map knows the order too, but an iterator that
   * stands at its begin keeps alive all that the map has outgrown since, and a new one steps over
   * the holes of all that were taken out: 20 us with ten thousand clients.
   */
  private readonly byClientId = new Map<string, FlappingClient>()
  private oldest: FlappingClient | null = null
  private newest: FlappingClient | null = null
  /**
   * Who came a few times: a hash at a place that the hash says, since when, and how often. Most
   * clients come no more often than that, and cost no object; nobody asks where they come from.
   * Who comes to the same place later takes it.
   */
  private readonly fewHash: Uint32Array
  private readonly fewSinceMs: Uint32Array
  private readonly fewConnects: Uint8Array

  constructor(limits: Limits) {
    this.limits = limits
    let places = 1
    while (places < limits.flappingClientsMax && places < FLAPPING_PLACES_MAX) places *= 2
    this.fewHash = new Uint32Array(places)
    this.fewSinceMs = new Uint32Array(places)
    this.fewConnects = new Uint8Array(places)
  }

  /** Seconds for which the client is still refused; 0: it may come in. */
  banSecondsLeft(clientId: string, nowMs: number): number {
    if (this.limits.flappingBanSeconds === 0) return 0
    const client = this.byClientId.get(clientId)
    if (client === undefined || client.bannedUntilMs <= nowMs) return 0
    return Math.ceil((client.bannedUntilMs - nowMs) / 1000)
  }

  /**
   * A client has come in.
   * @param wire is asked where it comes from only when it came often
   * @returns the client when it has begun to flap just now
   */
  connected(
    clientId: string,
    wire: { readonly origin: Pick<Origin, 'remoteAddress'> },
    nowMs: number,
  ): FlappingClient | null {
    const { flappingConnectsMax, flappingWindowSeconds, flappingBanSeconds } = this.limits
    if (flappingConnectsMax === 0) return null
    const windowMs = flappingWindowSeconds * 1000
    const client = this.seen(clientId, nowMs, windowMs)
    if (client === null) return null
    const address = wire.origin.remoteAddress
    if (nowMs - client.sinceMs >= windowMs) {
      client.sinceMs = nowMs
      client.connects = 0
      client.otherAddress = null
    }
    client.connects++
    if (client.address !== address && client.address !== '') client.otherAddress = client.address
    client.address = address
    if (client.connects !== flappingConnectsMax + 1) return null
    if (flappingBanSeconds > 0) client.bannedUntilMs = nowMs + flappingBanSeconds * 1000
    return client
  }

  /** @returns null when it did not come often, as far as that is remembered */
  private seen(clientId: string, nowMs: number, windowMs: number): FlappingClient | null {
    let client = this.byClientId.get(clientId)
    if (client === undefined) {
      const place = this.placeOf(clientId, nowMs, windowMs)
      if (this.isOneOfFew(place)) return null
      if (this.byClientId.size >= this.limits.flappingClientsMax) this.dropOldest()
      const sinceMs = nowMs - this.agoMs(place, nowMs)
      client = new FlappingClient(clientId, this.fewConnects[place] as number, sinceMs)
      this.byClientId.set(clientId, client)
    } else this.takeOut(client)
    client.older = this.newest
    if (this.newest === null) this.oldest = client
    else this.newest.newer = client
    this.newest = client
    return client
  }

  /** The place of a client, where it has been before or has come just now. */
  private placeOf(clientId: string, nowMs: number, windowMs: number): number {
    let hash = 0x811c9dc5
    for (let i = 0; i < clientId.length; i++) {
      hash = Math.imul(hash ^ clientId.charCodeAt(i), 0x01000193)
    }
    // 0 is the hash of nobody.
    hash = (hash ^ (hash >>> 15)) >>> 0 || 1
    const place = hash & (this.fewHash.length - 1)
    if (this.fewHash[place] === hash && this.agoMs(place, nowMs) < windowMs) return place
    this.fewHash[place] = hash
    this.fewSinceMs[place] = Math.floor(nowMs)
    this.fewConnects[place] = 0
    return place
  }

  /** Since the first time that is remembered at this place. */
  private agoMs(place: number, nowMs: number): number {
    return (Math.floor(nowMs) - (this.fewSinceMs[place] as number)) >>> 0
  }

  /** Counts it at its place, unless it came too often for that. */
  private isOneOfFew(place: number): boolean {
    const connects = this.fewConnects[place] as number
    const isOne = connects < FEW_CONNECTS && connects < this.limits.flappingConnectsMax
    if (isOne) this.fewConnects[place] = connects + 1
    return isOne
  }

  private dropOldest(): void {
    const { oldest } = this
    if (oldest === null) return
    this.takeOut(oldest)
    this.byClientId.delete(oldest.clientId)
  }

  private takeOut(client: FlappingClient): void {
    if (client.older === null) this.oldest = client.newer
    else client.older.newer = client.newer
    if (client.newer === null) this.newest = client.older
    else client.newer.older = client.older
    client.older = null
    client.newer = null
  }
}
