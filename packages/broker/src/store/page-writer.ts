// Reads a part of a session's queue where it lies: rows of the database, with what has changed
// since the checkpoint, then what has come since. With the first part come its other states.

import type { StoredDelivery, StoredMessage } from '../core/ports.ts'
import { StoreError } from './errors.ts'
import type { Overlay } from './overlay.ts'
import { RecordWriter } from './record-writer.ts'
import { deliveryOf, MESSAGE_COLUMNS, messageOf, writeWill } from './rows.ts'
import type { Database, Row } from './sqlite.ts'

export interface PageRequest {
  readonly sessionId: number
  readonly fromSequence: number
  readonly messagesMax: number
  readonly bytesMax: number
}

const Sql = {
  queue: `SELECT q.owner, q.sequence, q.bytes, q.message, q.flags, q.identifiers, q.packet_id,
    q.state, ${MESSAGE_COLUMNS} FROM queue q JOIN message m ON m.id = q.message
    WHERE q.owner = ? AND q.sequence >= ? ORDER BY q.sequence LIMIT ?`,
  message: `SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.id = ?`,
  received: 'SELECT packet_id FROM received WHERE session = ?',
  will: `SELECT ${MESSAGE_COLUMNS}, w.session, w.delay_seconds, w.expiry_seconds, w.fire_at,
    w.user
    FROM will w JOIN message m ON m.id = w.message WHERE w.session = ?`,
} as const

/** @returns records: each message, its delivery, and its state in flight where it has one */
export function readPage(
  database: Database,
  overlay: Overlay,
  request: PageRequest,
): Uint8Array<ArrayBuffer> {
  const page = new Page(database, overlay, request)
  page.readQueue()
  if (request.fromSequence === 0) page.readOthers()
  return page.bytes()
}

class Page {
  private readonly records = new RecordWriter(0)
  private readonly database: Database
  private readonly overlay: Overlay
  private readonly request: PageRequest
  private readonly isNew: boolean
  private messages = 0
  private byteCount = 0

  constructor(database: Database, overlay: Overlay, request: PageRequest) {
    this.database = database
    this.overlay = overlay
    this.request = request
    this.isNew = overlay.removedSessions.has(request.sessionId)
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.records.toBytes()
  }

  readQueue(): void {
    if (!this.isNew && !this.readRows()) return
    const queue = this.overlay.queues.get(this.request.sessionId)
    if (queue === undefined) return
    for (const [sequence, entry] of queue) {
      if (entry === null || sequence < this.request.fromSequence) continue
      const { delivery, packetId, state } = entry
      if (!this.write(delivery, this.messageOf(delivery.messageId), packetId, state)) return
    }
  }

  readOthers(): void {
    const { sessionId } = this.request
    const changes = this.overlay.received.get(sessionId)
    const rows = this.isNew ? [] : this.database.query(Sql.received, [sessionId])
    for (const row of rows) {
      const packetId = Number(row['packet_id'])
      if (changes?.has(packetId) !== true) this.records.putReceived(sessionId, packetId)
    }
    for (const [packetId, present] of changes ?? []) {
      if (present) this.records.putReceived(sessionId, packetId)
    }
    const will = this.overlay.wills.get(sessionId)
    if (will === null) return
    if (will !== undefined) {
      const message = this.messageOf(will.message.id)
      this.records.putMessage(message)
      this.records.putWill({ ...will, message })
      return
    }
    const [row] = this.isNew ? [] : this.database.query(Sql.will, [sessionId])
    if (row !== undefined) writeWill(this.records, row)
  }

  /** @returns false when the page is full */
  private readRows(): boolean {
    const { sessionId, messagesMax } = this.request
    const removed = this.overlay.queues.get(sessionId)
    const inflight = this.overlay.inflight.get(sessionId)
    const limit = messagesMax + 1
    for (let from = this.request.fromSequence; ; ) {
      const rows = this.database.query(Sql.queue, [sessionId, from, limit])
      for (const row of rows) {
        const delivery = deliveryOf(row)
        from = delivery.sequence + 1
        if (removed?.get(delivery.sequence) === null) continue
        const change = inflight?.get(delivery.sequence)
        const packetId = change?.packetId ?? Number(row['packet_id'])
        const state = change?.state ?? Number(row['state'])
        if (!this.write(delivery, messageOf(row), packetId, state)) return false
      }
      if (rows.length < limit) return true
    }
  }

  /** @returns false when there is no room for it */
  private write(
    delivery: StoredDelivery,
    message: StoredMessage,
    packetId: number,
    state: number,
  ): boolean {
    const { messagesMax, bytesMax } = this.request
    if (packetId === 0) {
      if (this.messages >= messagesMax) return false
      if (this.messages > 0 && this.byteCount >= bytesMax) return false
      this.messages++
    }
    this.byteCount += delivery.byteLength
    this.records.putMessage(message)
    this.records.putDelivery(delivery)
    if (packetId !== 0) {
      this.records.putInflight(delivery.ownerId, packetId, delivery.sequence, state)
    }
    return true
  }

  private messageOf(id: number): StoredMessage {
    const known = this.overlay.messages.get(id)
    if (known !== undefined) return known.message
    const row: Row | undefined = this.database.query(Sql.message, [id])[0]
    if (row === undefined) throw new StoreError('corrupt', `message ${id} is missing`)
    return messageOf(row)
  }
}
