// What the core has to know at start, as chunks of records. The worker makes them from the
// database; the other side turns them into calls of a StoreReader. Neither holds all at once.

import type { StoredMessage, StoreReader } from '../core/ports.ts'
import { readRecords } from './record-reader.ts'
import { type RecordSink, RecordWriter, UNEXPECTED } from './record-writer.ts'
import { deliveryOf, MESSAGE_COLUMNS, messageOf, sessionOf, subscriptionOf } from './rows.ts'
import type { Database, Row } from './sqlite.ts'

const CHUNK_BYTES = 256 * 1024

/** What a chunk's records are; sections come in this order. */
export const Section = {
  SESSIONS: 0,
  SUBSCRIPTIONS: 1,
  /** One delivery for each queue: its sequence is the last, its message id their count. */
  BACKLOGS: 2,
  /** One received packet for each will: its id is the time. */
  WILLS: 3,
  /** Each message, then the record that it is retained. */
  RETAINED: 4,
  GROUPS: 5,
  /** Each message, then its delivery. */
  GROUP_DELIVERIES: 6,
  /** One received packet: its id is the greatest of all messages. */
  LAST_MESSAGE: 7,
} as const

export interface Chunk {
  readonly section: number
  /** Records; the buffer is the receiver's. */
  readonly bytes: Uint8Array
}

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
    section: Section.BACKLOGS,
    sql: `SELECT owner, max(sequence) AS sequence, sum(bytes) AS bytes, count(*) AS message,
        0 AS flags, NULL AS identifiers FROM queue GROUP BY owner`,
    write: (to, row) => to.putDelivery(deliveryOf(row)),
  },
  {
    section: Section.WILLS,
    sql: 'SELECT session, fire_at FROM will',
    write: (to, row) => to.putReceived(Number(row['session']), Number(row['fire_at'])),
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
    section: Section.GROUPS,
    sql: 'SELECT * FROM share_group ORDER BY id',
    write: (to, row) => {
      to.putGroup(Number(row['id']), String(row['share_name']), String(row['filter']))
    },
  },
  {
    section: Section.GROUP_DELIVERIES,
    sql: `SELECT q.*, ${MESSAGE_COLUMNS} FROM group_queue q JOIN message m ON m.id = q.message
        ORDER BY q.owner, q.sequence`,
    write: (to, row) => {
      to.putMessage(messageOf(row))
      to.putGroupDelivery(deliveryOf(row))
    },
  },
  {
    section: Section.LAST_MESSAGE,
    sql: 'SELECT coalesce(max(id), 0) AS id FROM message',
    write: (to, row) => to.putReceived(0, Number(row['id'])),
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

  constructor(reader: StoreReader) {
    this.reader = reader
    this.sink = this.makeSink()
  }

  read(chunk: Chunk): void {
    this.section = chunk.section
    readRecords(chunk.bytes, 0, chunk.bytes.length, this.sink)
  }

  private makeSink(): RecordSink {
    const { reader } = this
    return {
      ...UNEXPECTED,
      putSession: session => reader.session(session),
      putSubscription: subscription => reader.subscription(subscription),
      putDelivery: ({ ownerId, messageId, byteLength, sequence }) => {
        reader.backlog(ownerId, messageId, byteLength, sequence)
      },
      putReceived: (sessionId, value) => {
        if (this.section === Section.WILLS) reader.will(sessionId, value)
        else reader.messageIdMax(value)
      },
      putMessage: message => {
        this.message = message
      },
      putRetained: () => {
        if (this.message !== null) reader.retained(this.message)
      },
      putGroup: (groupId, shareName, filter) => reader.group(groupId, shareName, filter),
      putGroupDelivery: delivery => {
        if (this.message !== null) reader.groupDelivery(delivery, this.message)
      },
    }
  }
}

function takeChunk(section: number, records: RecordWriter): Chunk {
  const bytes = new Uint8Array(records.bytes.subarray(0, records.length))
  records.reset()
  return { section, bytes }
}
