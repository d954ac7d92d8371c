// The loss ledger: every message that is dropped is counted, by reason, client and topic.
// It only counts; who wants to be told listens to the trace.

/** Why a message was lost. */
export type DropReason =
  | 'outgoing-full'
  | 'queue-full'
  | 'total-queue-full'
  | 'expired'
  | 'packet-too-large'
  | 'session-ended'
  | 'not-authorized'
  | 'refused-by-client'
  | 'no-member-online'
  | 'storage-full'
  | 'retained-full'
  | 'discarded-by-hook'

export interface LedgerEntry {
  readonly reason: DropReason
  readonly clientId: string
  readonly topic: string
  count: number
  bytes: number
}

const OTHERS = '(others)'

export class Ledger {
  private readonly byKey = new Map<string, LedgerEntry>()
  private readonly totals = new Map<DropReason, number>()
  private readonly entriesMax: number
  /** Messages lost, for whatever reason. */
  total = 0

  constructor(entriesMax: number) {
    this.entriesMax = entriesMax
  }

  /** @returns true when this is the first of its kind */
  count(reason: DropReason, clientId: string, topic: string, bytes: number): boolean {
    this.total++
    this.totals.set(reason, (this.totals.get(reason) ?? 0) + 1)
    const entry = this.byKey.get(`${reason}\0${clientId}\0${topic}`)
    if (entry !== undefined) {
      entry.count++
      entry.bytes += bytes
      return false
    }
    if (this.byKey.size < this.entriesMax) {
      this.byKey.set(`${reason}\0${clientId}\0${topic}`, {
        reason,
        clientId,
        topic,
        count: 1,
        bytes,
      })
      return true
    }
    return this.countOthers(reason, bytes)
  }

  totalOf(reason: DropReason): number {
    return this.totals.get(reason) ?? 0
  }

  /** All that was counted, in the order in which it first happened. */
  entries(): readonly LedgerEntry[] {
    return [...this.byKey.values()]
  }

  /** One entry per reason takes what no longer has room; there are only so many reasons. */
  private countOthers(reason: DropReason, bytes: number): boolean {
    const key = `${reason}\0\0`
    const others = this.byKey.get(key)
    if (others === undefined) {
      this.byKey.set(key, { reason, clientId: OTHERS, topic: OTHERS, count: 1, bytes })
      return true
    }
    others.count++
    others.bytes += bytes
    return false
  }
}
