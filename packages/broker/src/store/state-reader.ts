// What the core has to know at start, as chunks of records. The worker makes them from the
// database; the other side turns them into calls of a StoreReader. Neither holds all at once.

import type { StoredMessage, StoredSession, StoreReader } from '../core/ports.ts'
import { readRecords } from './record-reader.ts'
import { type RecordSink, RecordWriter, UNEXPECTED } from './record-writer.ts'
import { deliveryOf, levelOf, MESSAGE_COLUMNS, messageOf } from './rows.ts'
import type { Database, Row, SqlValue } from './sqlite.ts'

const CHUNK_BYTES = 256 * 1024

/** What a chunk's records are; sections come in this order. */
export const Section = {
  SESSIONS: 0,
  SUBSCRIPTIONS: 1,
  /** How many messages wait in each queue. */
  BACKLOGS: 2,
  /** When each will is due. */
  WILLS: 3,
  /** Each message, then the record that it is retained. */
  RETAINED: 4,
  GROUPS: 5,
  /** Each message, then its delivery. */
  GROUP_DELIVERIES: 6,
  /** One received packet: its id is the greatest of all messages. */
  LAST_MESSAGE: 7,
} as const

export type Chunk =
  /** Records; the buffer is the receiver's. */
  | { readonly section: number; readonly bytes: Uint8Array }
  /** Rows as lines of JSON, which the database makes and the engine reads faster than values. */
  | { readonly section: number; readonly rows: string }

const ROWS_PER_CHUNK = 2000
/** So many are parsed at a time, so that few are alive whenever garbage is collected. */
const ROWS_PER_PARSE = 32
/** Between rows. Within JSON a line never ends. */
const SEPARATOR = ',\n'
/** Behind every id. */
const END = Number.MAX_SAFE_INTEGER

/** SQL for rows as text. */
function lines(columns: string): string {
  return `group_concat(json_array(${columns}), ',' || char(10))`
}

/** Of each table with many rows: a part of it, and the last id in it. By ascending id. */
const Tables: readonly { section: number; sql: string }[] = [
  {
    section: Section.SESSIONS,
    sql: `SELECT ${lines('id, client_id, level, expiry_seconds, disconnected_at')} AS rows,
        max(id) AS last
        FROM (SELECT * FROM session WHERE id > ? ORDER BY id LIMIT ${ROWS_PER_CHUNK})`,
  },
  {
    section: Section.BACKLOGS,
    sql: `SELECT ${lines('owner, messages, total, latest')} AS rows, max(owner) AS last
        FROM (SELECT owner, count(*) AS messages, sum(bytes) AS total, max(sequence) AS latest
        FROM queue WHERE owner > ? GROUP BY owner ORDER BY owner LIMIT ${ROWS_PER_CHUNK})`,
  },
  {
    section: Section.WILLS,
    sql: `SELECT ${lines('session, fire_at, bytes')} AS rows, max(session) AS last
        FROM (SELECT w.session, w.fire_at, coalesce(length(m.frame), 0) AS bytes
        FROM will w LEFT JOIN message m ON m.id = w.message
        WHERE w.session > ? ORDER BY w.session LIMIT ${ROWS_PER_CHUNK})`,
  },
]

/** A session may have any number of subscriptions: the parts end at a session and a filter. */
const Subscriptions = {
  end: `SELECT session, filter FROM subscription WHERE (session, filter) > (?, ?)
    ORDER BY session, filter LIMIT 1 OFFSET ${ROWS_PER_CHUNK - 1}`,
  rows: `SELECT ${lines('session, filter, options, identifier')} AS rows
    FROM subscription WHERE (session, filter) > (?, ?) AND (session, filter) <= (?, ?)`,
} as const

const Queries: readonly {
  section: number
  sql: string
  write: (to: RecordWriter, row: Row) => void
}[] = [
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
  for (const { section, sql } of Tables) yield* tableChunks(database, section, sql)
  yield* subscriptionChunks(database)
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

function* tableChunks(database: Database, section: number, sql: string): Generator<Chunk> {
  for (let from = 0; ; ) {
    const [row] = database.query(sql, [from])
    if (row === undefined || typeof row['last'] !== 'number') return
    from = row['last']
    yield { section, rows: String(row['rows']) }
  }
}

function* subscriptionChunks(database: Database): Generator<Chunk> {
  const section = Section.SUBSCRIPTIONS
  let from: SqlValue[] = [0, '']
  for (;;) {
    const [end] = database.query(Subscriptions.end, from)
    const until = [end?.['session'] ?? END, end?.['filter'] ?? '']
    const [row] = database.query(Subscriptions.rows, [...from, ...until])
    yield { section, rows: String(row?.['rows'] ?? '') }
    if (end === undefined) return
    from = until
  }
}

/** Turns chunks into calls of a reader, section after section. */
export class ChunkReader {
  private readonly reader: StoreReader
  private readonly sink: RecordSink
  private message: StoredMessage | null = null

  constructor(reader: StoreReader) {
    this.reader = reader
    this.sink = this.makeSink()
  }

  read(chunk: Chunk): void {
    if ('rows' in chunk) this.readLines(chunk.section, chunk.rows)
    else readRecords(chunk.bytes, 0, chunk.bytes.length, this.sink)
  }

  private readLines(section: number, text: string): void {
    for (let start = 0; start < text.length; ) {
      let end = start
      for (let i = 0; i < ROWS_PER_PARSE && end >= 0; i++) {
        end = text.indexOf(SEPARATOR, end === start ? end : end + SEPARATOR.length)
      }
      if (end < 0) end = text.length
      this.readRows(section, JSON.parse(`[${text.slice(start, end)}]`))
      start = end + SEPARATOR.length
    }
  }

  private readRows(section: number, rows: readonly RowValues[]): void {
    const { reader } = this
    switch (section) {
      case Section.SESSIONS:
        for (const row of rows) reader.session(sessionOf(row))
        return
      case Section.SUBSCRIPTIONS:
        for (const [sessionId, filter, options, identifier] of rows as SubscriptionRow[]) {
          reader.subscription({ sessionId, filter, options, identifier })
        }
        return
      case Section.BACKLOGS:
        for (const row of rows as BacklogRow[]) reader.backlog(...row)
        return
      default:
        for (const row of rows as WillRow[]) reader.will(...row)
    }
  }

  private makeSink(): RecordSink {
    const { reader } = this
    return {
      ...UNEXPECTED,
      putReceived: (_nobody, id) => reader.messageIdMax(id),
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

type RowValues = readonly (string | number)[]
type SubscriptionRow = readonly [number, string, number, number]
type BacklogRow = readonly [number, number, number, number]
type WillRow = readonly [number, number, number]

function sessionOf(row: RowValues): StoredSession {
  const [id, clientId, level, sessionExpirySeconds, disconnectedAtMs] = row as SessionRow
  const protocolLevel = levelOf(level)
  return { id, clientId, protocolLevel, sessionExpirySeconds, disconnectedAtMs }
}

type SessionRow = readonly [number, string, number, number, number]

function takeChunk(section: number, records: RecordWriter): Chunk {
  const bytes = records.toBytes()
  records.reset()
  return { section, bytes }
}
