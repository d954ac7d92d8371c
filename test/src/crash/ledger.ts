// The ledger of a round: what clients tried, what the broker acknowledged, what came. One process
// writes it, which outlives the broker, so the order of its lines is the order of events there.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** A will is a message whose attempt is CONNECT. */
export interface LedgerWill {
  readonly id: string
  readonly topic: string
  readonly qos: number
  readonly delaySeconds: number
}

export interface ConnectEntry {
  readonly op: 'connect'
  readonly client: string
  /** Of this client's connections, growing over all rounds. */
  readonly connection: number
  readonly clean: boolean
  /** 0xffffffff and more than a day are "never" here. */
  readonly expirySeconds: number
  readonly will: LedgerWill | null
}

export interface ConnackEntry {
  readonly op: 'connack'
  readonly client: string
  readonly connection: number
  readonly present: boolean
  readonly code: number
}

/** DISCONNECT 0x00 is about to be sent. */
export interface DisconnectEntry {
  readonly op: 'disconnect'
  readonly client: string
  readonly connection: number
}

export interface ClosedEntry {
  readonly op: 'closed'
  readonly client: string
  readonly connection: number
}

export interface SubscribeEntry {
  readonly op: 'subscribe'
  readonly client: string
  readonly filter: string
  readonly qos: number
}

export interface SubackEntry {
  readonly op: 'suback'
  readonly client: string
  readonly filter: string
  readonly code: number
}

export interface UnsubscribeEntry {
  readonly op: 'unsubscribe' | 'unsuback'
  readonly client: string
  readonly filter: string
}

/** PUBLISH is about to be sent; again when it goes out once more after a broken connection. */
export interface TryEntry {
  readonly op: 'try'
  readonly id: string
  readonly client: string
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
  /** Removes the retained message of the topic: the payload is empty. */
  readonly clears: boolean
  /** -1: none. */
  readonly expirySeconds: number
  readonly again: boolean
}

/** PUBACK or PUBREC. */
export interface AckEntry {
  readonly op: 'ack'
  readonly id: string
  readonly code: number
}

/** The first PUBLISH with a QoS 2 packet identifier, or any of QoS 0 or 1. */
export interface GotEntry {
  readonly op: 'got'
  readonly client: string
  readonly connection: number
  /** '' when the payload is not what anybody sent. */
  readonly id: string
  readonly topic: string
  readonly qos: number
  readonly dup: boolean
  readonly retain: boolean
  readonly packetId: number
}

/** A QoS 2 PUBLISH again, before PUBREL: it does not count. */
export interface RepeatEntry {
  readonly op: 'repeat'
  readonly client: string
  readonly id: string
  readonly dup: boolean
  /** What came with this packet identifier first. */
  readonly firstId: string
}

/** The broker has died, or is up again. */
export interface BrokerEntry {
  readonly op: 'crash' | 'up'
}

/** A fresh client looks at all retained messages: from `audit` over `kept` to `audited`. */
export interface AuditEntry {
  readonly op: 'audit' | 'audited'
}

export interface KeptEntry {
  readonly op: 'kept'
  readonly topic: string
  readonly id: string
}

/** Something that no round may have: a protocol error, a client that waited in vain. */
export interface OddEntry {
  readonly op: 'odd'
  readonly text: string
}

/** The last line: a ledger without it is one whose writer died. */
export interface EndEntry {
  readonly op: 'end'
  readonly lines: number
}

export type AnyEntry =
  | ConnectEntry
  | ConnackEntry
  | DisconnectEntry
  | ClosedEntry
  | SubscribeEntry
  | SubackEntry
  | UnsubscribeEntry
  | TryEntry
  | AckEntry
  | GotEntry
  | RepeatEntry
  | BrokerEntry
  | AuditEntry
  | KeptEntry
  | OddEntry
  | EndEntry

/** With the time at which it was written, in milliseconds. */
export type Entry = AnyEntry & { readonly ms: number }

export interface LedgerSink {
  add(entry: AnyEntry): void
}

/** Appends entries to a file; `close` adds the line that says that all is there. */
export class Ledger implements LedgerSink {
  private readonly descriptor: number
  private waiting: string[] = []
  private lines = 0

  constructor(path: string) {
    this.descriptor = openSync(path, 'w')
  }

  add(entry: AnyEntry): void {
    this.lines++
    this.waiting.push(JSON.stringify({ ...entry, ms: Date.now() }))
    if (this.waiting.length >= 256) this.flush()
  }

  close(): void {
    this.add({ op: 'end', lines: this.lines + 1 })
    this.flush()
    closeSync(this.descriptor)
  }

  /** To a file and synchronously: a pipe may take only a part (EAGAIN), and lines would be lost. */
  private flush(): void {
    if (this.waiting.length === 0) return
    const bytes = Buffer.from(`${this.waiting.join('\n')}\n`)
    this.waiting = []
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.descriptor, bytes, done, bytes.length - done)
    }
  }
}

/** @throws Error when the last line is not there or lines are missing */
export function readLedger(path: string): Entry[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  const entries = lines.map(line => JSON.parse(line) as Entry)
  const last = entries.at(-1)
  if (last?.op !== 'end') throw new Error(`${path} has no end: its writer died`)
  if (last.lines !== entries.length) {
    throw new Error(`${path} has ${entries.length} lines, ${last.lines} were written`)
  }
  return entries
}
