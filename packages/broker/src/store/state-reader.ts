// All of the state as chunks of records, for the start and for exports. The worker makes them from
// the database; the other side turns them into calls of a StoreReader. Neither holds all at once.

import type {
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoreReader,
} from '../core/ports.ts'
import { readRecords } from './record-reader.ts'
import { type RecordSink, RecordWriter } from './record-writer.ts'
import type { Database, Row, SqlValue } from './sqlite.ts'

const CHUNK_BYTES = 256 * 1024

/** What a chunk's records are; sections come in this order. */
export const Section = {
  SESSIONS: 0,
  SUBSCRIPTIONS: 1,
  /** Those that queues refer to and that are neither retained nor wills. */
  MESSAGES: 2,
  /** Each message, then the record that it is retained. */
  RETAINED: 3,
  /** Each message, then the will. */
  WILLS: 4,
  GROUPS: 5,
  /** With what is in flight. */
  DELIVERIES: 6,
  GROUP_DELIVERIES: 7,
  RECEIVED: 8,
} as const

export interface Chunk {
  readonly section: number
  /** Records; the buffer is the receiver's. */
  readonly bytes: Uint8Array
}

const MESSAGE_COLUMNS = 'm.id, m.level, m.expires_at, m.publisher, m.frame'

const Queries: readonly {
  section: number
  sql: string
  write: (to: RecordWriter, row: Row) => void
}[] = [
  {
    section: Section.SESSIONS,
    sql: 'SELECT * FROM session ORDER BY id',
    write: (to, row) => to.putSession(sessionOf(row)),
  },
  {
    section: Section.SUBSCRIPTIONS,
    sql: 'SELECT * FROM subscription',
    write: (to, row) => to.putSubscription(subscriptionOf(row)),
  },
  {
    section: Section.MESSAGES,
    sql: `SELECT ${MESSAGE_COLUMNS} FROM message m
        WHERE m.id NOT IN (SELECT message FROM retained)
        AND m.id NOT IN (SELECT message FROM will)`,
    write: (to, row) => to.putMessage(messageOf(row)),
  },
  {
    section: Section.RETAINED,
    sql: `SELECT ${MESSAGE_COLUMNS}, r.topic FROM retained r JOIN message m ON m.id = r.message`,
    write: (to, row) => {
      to.putMessage(messageOf(row))
      to.putRetained(String(row['topic']), Number(row['id']))
    },
  },
  {
    section: Section.WILLS,
    sql: `SELECT ${MESSAGE_COLUMNS}, w.session, w.delay_seconds, w.expiry_seconds, w.fire_at
        FROM will w JOIN message m ON m.id = w.message`,
    write: writeWill,
  },
  {
    section: Section.GROUPS,
    sql: 'SELECT * FROM share_group ORDER BY id',
    write: (to, row) => {
      to.putGroup(Number(row['id']), String(row['share_name']), String(row['filter']))
    },
  },
  {
    section: Section.DELIVERIES,
    sql: 'SELECT * FROM queue ORDER BY owner, sequence',
    write: writeDelivery,
  },
  {
    section: Section.GROUP_DELIVERIES,
    sql: 'SELECT * FROM group_queue ORDER BY owner, sequence',
    write: (to, row) => to.putGroupDelivery(deliveryOf(row)),
  },
  {
    section: Section.RECEIVED,
    sql: 'SELECT * FROM received',
    write: (to, row) => to.putReceived(Number(row['session']), Number(row['packet_id'])),
  },
]

/** Nothing may be written to the database until the last chunk was taken. */
export function* chunksOf(database: Database): Generator<Chunk> {
  const records = new RecordWriter(0)
  for (const { section, sql, write } of Queries) {
    const statement = database.prepare(sql)
    for (const row of statement.iterate([])) {
      write(records, row)
      if (records.length >= CHUNK_BYTES) yield takeChunk(section, records)
    }
    if (records.length > 0) yield takeChunk(section, records)
  }
}

/** Turns chunks into calls of a reader, section after section. */
export class ChunkReader {
  private readonly reader: StoreReader
  private section: number = Section.SESSIONS
  private readonly sink: RecordSink
  private message: StoredMessage | null = null
  private inflight: (readonly [number, number, number, number])[] = []

  constructor(reader: StoreReader) {
    this.reader = reader
    this.sink = this.makeSink()
  }

  read(chunk: Chunk): void {
    // The queues of sessions are complete before anything in flight is told.
    if (chunk.section > Section.GROUP_DELIVERIES) this.tellInflight()
    this.section = chunk.section
    readRecords(chunk.bytes, 0, chunk.bytes.length, this.sink)
  }

  finish(): void {
    this.tellInflight()
  }

  private tellInflight(): void {
    for (const one of this.inflight) this.reader.inflight(...one)
    this.inflight = []
  }

  private makeSink(): RecordSink {
    const { reader } = this
    return {
      putSession: session => reader.session(session),
      putSubscription: subscription => reader.subscription(subscription),
      putMessage: message => {
        if (this.section === Section.MESSAGES) reader.message(message)
        else this.message = message
      },
      putRetained: () => {
        if (this.message !== null) reader.retained(this.message)
      },
      putWill: will => {
        if (this.message !== null) reader.will({ ...will, message: this.message })
      },
      putGroup: (groupId, shareName, filter) => reader.group(groupId, shareName, filter),
      putDelivery: delivery => reader.delivery(delivery),
      putInflight: (...values) => this.inflight.push(values),
      putGroupDelivery: delivery => reader.groupDelivery(delivery),
      putReceived: (sessionId, packetId) => reader.received(sessionId, packetId),
      removeSession: never,
      removeSubscription: never,
      removeDelivery: never,
      removeReceived: never,
      removeRetained: never,
      removeWill: never,
      removeGroup: never,
      removeGroupDelivery: never,
    }
  }
}

function takeChunk(section: number, records: RecordWriter): Chunk {
  const bytes = new Uint8Array(records.bytes.subarray(0, records.length))
  records.reset()
  return { section, bytes }
}

function writeDelivery(to: RecordWriter, row: Row): void {
  const delivery = deliveryOf(row)
  to.putDelivery(delivery)
  const packetId = Number(row['packet_id'])
  if (packetId === 0) return
  to.putInflight(delivery.ownerId, packetId, delivery.sequence, Number(row['state']))
}

function writeWill(to: RecordWriter, row: Row): void {
  const message = messageOf(row)
  to.putMessage(message)
  to.putWill({
    sessionId: Number(row['session']),
    message,
    delaySeconds: Number(row['delay_seconds']),
    expirySeconds: Number(row['expiry_seconds']),
    fireAtMs: Number(row['fire_at']),
  })
}

function sessionOf(row: Row): StoredSession {
  return {
    id: Number(row['id']),
    clientId: String(row['client_id']),
    protocolLevel: levelOf(row['level']),
    sessionExpirySeconds: Number(row['expiry_seconds']),
    disconnectedAtMs: Number(row['disconnected_at']),
  }
}

function subscriptionOf(row: Row): StoredSubscription {
  return {
    sessionId: Number(row['session']),
    filter: String(row['filter']),
    options: Number(row['options']),
    identifier: Number(row['identifier']),
  }
}

function messageOf(row: Row): StoredMessage {
  const frame = row['frame']
  return {
    id: Number(row['id']),
    frame: frame instanceof Uint8Array ? frame : new Uint8Array(0),
    protocolLevel: levelOf(row['level']) === 5 ? 5 : 4,
    expiresAtMs: Number(row['expires_at']),
    publisher: String(row['publisher']),
  }
}

function deliveryOf(row: Row): StoredDelivery {
  const identifiers = row['identifiers']
  return {
    ownerId: Number(row['owner']),
    sequence: Number(row['sequence']),
    messageId: Number(row['message']),
    flags: Number(row['flags']),
    identifiers: typeof identifiers === 'string' ? identifiers.split(',').map(Number) : null,
  }
}

function levelOf(value: SqlValue | undefined): 3 | 4 | 5 {
  return value === 3 || value === 5 ? value : 4
}

function never(): void {
  throw new Error('a stored state holds no removals')
}
