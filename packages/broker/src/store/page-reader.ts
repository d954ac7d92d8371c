// A page of a session as the thread of the database wrote it, for the core. page-writer.ts is the
// other end.

import type {
  StoredDelivery,
  StoredEntry,
  StoredMessage,
  StoredPage,
  StoredWill,
} from '../core/ports.ts'
import { StoreError } from './errors.ts'
import { readRecords } from './record-reader.ts'
import { type RecordSink, UNEXPECTED } from './record-writer.ts'

interface Entry extends StoredEntry {
  packetId: number
  state: number
}

export function pageOf(ticket: number, records: Uint8Array): StoredPage {
  const reader = new PageReader()
  readRecords(records, 0, records.length, reader.sink)
  return { ticket, entries: reader.entries, received: reader.received, will: reader.will }
}

class PageReader {
  readonly entries: Entry[] = []
  readonly received: number[] = []
  will: StoredWill | null = null
  readonly sink: RecordSink = {
    ...UNEXPECTED,
    putMessage: message => {
      this.message = message
    },
    putDelivery: delivery => {
      this.entries.push(this.entryOf(delivery))
    },
    putInflight: (_sessionId, packetId, _sequence, state) => {
      const last = this.entries.at(-1)
      if (last === undefined) return
      last.packetId = packetId
      last.state = state
    },
    putReceived: (_sessionId, packetId) => this.received.push(packetId),
    putWill: will => {
      if (this.message !== null) this.will = { ...will, message: this.message }
    },
  }
  private message: StoredMessage | null = null

  private entryOf(delivery: StoredDelivery): Entry {
    const message = this.message
    if (message === null || message.id !== delivery.messageId) {
      throw new StoreError('corrupt', `message ${delivery.messageId} of a queue is missing`)
    }
    return { delivery, message, packetId: 0, state: 0 }
  }
}
