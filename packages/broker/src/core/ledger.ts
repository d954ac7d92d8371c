// The loss ledger: every message that is dropped is counted, by reason, client and topic.
// It only counts; who wants to be told listens to the trace.

import { LEDGER_TEXT_MAX } from './limits.ts'
import { ownText } from './own-text.ts'

/** Why a message was lost. `offline`: QoS 0 for a session whose client is not connected. */
export const DROP_REASONS = [
  'offline',
  'outgoing-full',
  'queue-full',
  'total-queue-full',
  'expired',
  'packet-too-large',
  'session-ended',
  'not-authorized',
  'refused-by-client',
  'no-member-online',
  'storage-full',
  'retained-full',
  'discarded-by-hook',
] as const

export type DropReason = (typeof DROP_REASONS)[number]

export interface LedgerEntry {
  readonly reason: DropReason
  readonly clientId: string
  readonly topic: string
  count: number
  bytes: number
}

const OTHERS = '(others)'

/** What was lost for one reason. */
class Losses {
  total = 0
  readonly entries: LedgerEntry[] = []
  readonly byClient = new Map<string, Map<string, LedgerEntry>>()
  /** Takes what no longer has room. */
  others: LedgerEntry | null = null
}

export class Ledger {
  private readonly byReason = new Map<DropReason, Losses>()
  private readonly entriesMax: number
  /** Messages lost, for whatever reason. */
  total = 0

  /** @param entriesMax different clients and topics per reason */
  constructor(entriesMax: number) {
    this.entriesMax = entriesMax
  }

  /**
   * @param of the client's id, or the name of a group
   * @param about the topic
   * @param bytes of all the messages together
   * @returns true when these are the first of their kind
   */
  count(reason: DropReason, of: string, about: string, bytes: number, count = 1): boolean {
    const clientId = shortened(of)
    const topic = shortened(about)
    this.total += count
    const losses = this.lossesOf(reason)
    losses.total += count
    const known = losses.byClient.get(clientId)?.get(topic)
    const entry = known ?? this.newEntry(losses, reason, clientId, topic)
    const isFirst = entry.count === 0
    entry.count += count
    entry.bytes += bytes
    return isFirst
  }

  totalOf(reason: DropReason): number {
    return this.byReason.get(reason)?.total ?? 0
  }

  /** The reasons for which anything was lost. */
  reasons(): Iterable<DropReason> {
    return this.byReason.keys()
  }

  /** All that was counted, reason by reason, in the order in which it first happened. */
  entries(): readonly LedgerEntry[] {
    const all: LedgerEntry[] = []
    for (const { entries, others } of this.byReason.values()) {
      all.push(...entries)
      if (others !== null) all.push(others)
    }
    return all
  }

  private lossesOf(reason: DropReason): Losses {
    let losses = this.byReason.get(reason)
    if (losses === undefined) {
      losses = new Losses()
      this.byReason.set(reason, losses)
    }
    return losses
  }

  private newEntry(
    losses: Losses,
    reason: DropReason,
    clientId: string,
    topic: string,
  ): LedgerEntry {
    if (losses.entries.length >= this.entriesMax) {
      losses.others ??= { reason, clientId: OTHERS, topic: OTHERS, count: 0, bytes: 0 }
      return losses.others
    }
    const entry = { reason, clientId, topic, count: 0, bytes: 0 }
    losses.entries.push(entry)
    const byTopic = losses.byClient.get(clientId)
    if (byTopic === undefined) losses.byClient.set(clientId, new Map([[topic, entry]]))
    else byTopic.set(topic, entry)
    return entry
  }
}

/** As much of a text as the ledger has. */
export function shortened(text: string): string {
  if (text.length <= LEDGER_TEXT_MAX) return text
  let end = LEDGER_TEXT_MAX - 1
  const last = text.charCodeAt(end - 1)
  // The first half of a character of two.
  if (last >= 0xd800 && last < 0xdc00) end--
  return ownText(`${text.slice(0, end)}…`)
}
