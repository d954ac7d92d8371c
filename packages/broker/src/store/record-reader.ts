// The reverse of record-writer.ts: bytes of records become calls. An unknown operation is an error,
// never skipped: what follows it could not be understood either.

import { InflightState, type StoredDelivery, type StoredUser } from '../core/ports.ts'
import { StoreError } from './errors.ts'
import { asBuffer } from './log-format.ts'
import { Op, type RecordSink } from './record-writer.ts'

/** Where the reading is. */
export class Cursor {
  bytes: Buffer
  end: number
  at: number
  /** The message that was put last, for the deliveries that do not name theirs. */
  lastMessageId = 0
  lastMessageBytes = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = asBuffer(bytes)
    this.at = start
    this.end = end
  }

  number(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.bytes[this.claim(1)] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
      if (scale > Number.MAX_SAFE_INTEGER) broken('a number is longer than 8 bytes')
    }
  }

  text(): string {
    const at = this.claim(2)
    const byteLength = ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number)
    const start = this.claim(byteLength)
    return this.bytes.toString('utf8', start, start + byteLength)
  }

  /** A copy: what it was read from is reused. */
  data(): Uint8Array {
    const byteLength = this.number()
    const start = this.claim(byteLength)
    return new Uint8Array(this.bytes.subarray(start, start + byteLength))
  }

  /** How many a run has. */
  runCount(): number {
    const at = this.claim(2)
    const count = (this.bytes[at] as number) | ((this.bytes[at + 1] as number) << 8)
    if (count === 0) broken('a run of no records')
    return count
  }

  private claim(byteCount: number): number {
    const at = this.at
    if (at + byteCount > this.end) broken('a record goes beyond the end of its frame')
    this.at = at + byteCount
    return at
  }
}

/**
 * Calls `sink` for each record in `bytes[start, end)`.
 * @returns how many there were
 * @throws StoreError `corrupt`
 */
export function readRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: RecordSink,
): number {
  const cursor = new Cursor(bytes, start, end)
  let count = 0
  while (cursor.at < end) {
    readRecord(cursor, sink)
    count++
  }
  return count
}

/** Calls `sink` for the record at the cursor, several times for a run, and moves behind it. */
export function readRecord(from: Cursor, sink: RecordSink): void {
  const op = from.number()
  switch (op) {
    case Op.PUT_SESSION:
      return readSession(from, sink)
    case Op.REMOVE_SESSION:
      return sink.removeSession(from.number())
    case Op.PUT_SUBSCRIPTION:
      return readSubscription(from, sink)
    case Op.REMOVE_SUBSCRIPTION:
      return sink.removeSubscription(from.number(), from.text())
    case Op.PUT_MESSAGE:
      return readMessage(from, sink)
    case Op.PUT_DELIVERY:
      return sink.putDelivery(readDelivery(from))
    case Op.PUT_DELIVERY_OF_LAST:
      return sink.putDelivery(readDeliveryOfLast(from))
    case Op.REMOVE_DELIVERIES:
      return readRemovals(from, sink)
    case Op.PUT_INFLIGHTS:
      return readInflights(from, sink)
    case Op.PUT_RECEIVED:
      return sink.putReceived(from.number(), from.number())
    case Op.REMOVE_RECEIVED:
      return sink.removeReceived(from.number(), from.number())
    default:
      return readRareRecord(op, from, sink)
  }
}

function readRareRecord(op: number, from: Cursor, sink: RecordSink): void {
  switch (op) {
    case Op.PUT_RETAINED: {
      const messageId = from.number()
      return sink.putRetained(from.text(), messageId)
    }
    case Op.REMOVE_RETAINED:
      return sink.removeRetained(from.text())
    case Op.PUT_WILL:
      return readWill(from, sink, false)
    case Op.PUT_WILL_OF_USER:
      return readWill(from, sink, true)
    case Op.REMOVE_WILL:
      return sink.removeWill(from.number())
    case Op.PUT_GROUP:
      return sink.putGroup(from.number(), from.text(), from.text())
    case Op.REMOVE_GROUP:
      return sink.removeGroup(from.number())
    case Op.PUT_GROUP_DELIVERY:
      return sink.putGroupDelivery(readDelivery(from))
    case Op.REMOVE_GROUP_DELIVERY:
      return sink.removeGroupDelivery(from.number(), from.number())
    default:
      broken(`operation ${op} is unknown to this version`)
  }
}

function readSession(from: Cursor, sink: RecordSink): void {
  const id = from.number()
  const protocolLevel = from.number()
  if (protocolLevel !== 3 && protocolLevel !== 4 && protocolLevel !== 5) {
    broken(`protocol level ${protocolLevel} of a session`)
  }
  const sessionExpirySeconds = from.number()
  const disconnectedAtMs = from.number()
  const clientId = from.text()
  sink.putSession({ id, clientId, protocolLevel, sessionExpirySeconds, disconnectedAtMs })
}

function readSubscription(from: Cursor, sink: RecordSink): void {
  const sessionId = from.number()
  const options = from.number()
  const identifier = from.number()
  sink.putSubscription({ sessionId, filter: from.text(), options, identifier })
}

function readMessage(from: Cursor, sink: RecordSink): void {
  const id = from.number()
  const protocolLevel = from.number()
  if (protocolLevel !== 4 && protocolLevel !== 5) {
    broken(`protocol level ${protocolLevel} of a message`)
  }
  const expiresAtMs = from.number()
  const publisher = from.text()
  const frame = from.data()
  from.lastMessageId = id
  from.lastMessageBytes = frame.length
  sink.putMessage({ id, protocolLevel, expiresAtMs, publisher, frame })
}

function readDelivery(from: Cursor): StoredDelivery {
  const ownerId = from.number()
  const sequence = from.number()
  const byteLength = from.number()
  const messageId = from.number()
  const flags = from.number()
  const identifiers = readIdentifiers(from)
  return { ownerId, sequence, byteLength, messageId, flags, identifiers }
}

function readDeliveryOfLast(from: Cursor): StoredDelivery {
  const { lastMessageId: messageId, lastMessageBytes: byteLength } = from
  if (messageId === 0) broken('a delivery came before its message')
  const ownerId = from.number()
  const sequence = from.number()
  const flags = from.number()
  const identifiers = readIdentifiers(from)
  return { ownerId, sequence, byteLength, messageId, flags, identifiers }
}

function readIdentifiers(from: Cursor): number[] | null {
  const count = from.number()
  if (count === 0) return null
  const identifiers: number[] = []
  for (let i = 0; i < count; i++) identifiers.push(from.number())
  return identifiers
}

function readRemovals(from: Cursor, sink: RecordSink): void {
  const ownerId = from.number()
  const sequence = from.number()
  const count = from.runCount()
  for (let i = 0; i < count; i++) sink.removeDelivery(ownerId, sequence + i)
}

function readInflights(from: Cursor, sink: RecordSink): void {
  const ownerId = from.number()
  const packetId = from.number()
  const sequence = from.number()
  const state = readState(from)
  const count = from.runCount()
  for (let i = 0; i < count; i++) sink.putInflight(ownerId, packetId + i, sequence + i, state)
}

/** Of the message only the id is known here. */
function readWill(from: Cursor, sink: RecordSink, hasUser: boolean): void {
  const sessionId = from.number()
  const message = messageReference(from.number())
  const delaySeconds = from.number()
  const expirySeconds = from.number() - 1
  const fireAtMs = from.number()
  const user = hasUser ? readUser(from) : null
  sink.putWill({ sessionId, message, delaySeconds, expirySeconds, fireAtMs, user })
}

function readUser(from: Cursor): StoredUser {
  const isNamed = from.number() === 1
  const username = from.text()
  return { username: isNamed ? username : null }
}

function messageReference(id: number): {
  id: number
  frame: Uint8Array
  protocolLevel: 4
  expiresAtMs: number
  publisher: string
} {
  return { id, frame: new Uint8Array(0), protocolLevel: 4, expiresAtMs: 0, publisher: '' }
}

function readState(from: Cursor): number {
  const state = from.number()
  if (state > InflightState.RELEASED) broken(`state ${state} of a message in flight`)
  return state
}

function broken(what: string): never {
  throw new StoreError('corrupt', what)
}
