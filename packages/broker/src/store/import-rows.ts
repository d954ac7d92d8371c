// Lines of an export as rows of a new database. What a line refers to must have come before it, and
// nothing may come twice: a database that is made here is one that a broker could have made.

import { isTopicFilter, isTopicName, type Properties } from '@godwit/packet'
import { textOf } from './errors.ts'
import {
  BYTES_SUFFIX,
  EXPORT_VERSION,
  frameOf,
  messageOf,
  publishOf,
  STATE_NAMES,
} from './export-format.ts'
import type { Fields } from './import-fields.ts'
import { textOfUser } from './rows.ts'
import type { Database, SqlValue, Statement } from './sqlite.ts'

const UINT32_MAX = 0xffff_ffff
const UINT16_MAX = 0xffff
const IDENTIFIER_MAX = 268_435_455
const QOS = [0, 1, 2] as const

const Inserts = {
  session: 'INSERT INTO session VALUES (?, ?, ?, ?, ?)',
  subscription: 'INSERT INTO subscription VALUES (?, ?, ?, ?)',
  message: 'INSERT INTO message VALUES (?, ?, ?, ?, ?)',
  retained: 'INSERT INTO retained VALUES (?, ?)',
  will: 'INSERT INTO will VALUES (?, ?, ?, ?, ?, ?)',
  group: 'INSERT INTO share_group VALUES (?, ?, ?)',
  queue: `INSERT INTO queue
    (owner, sequence, message, flags, identifiers, packet_id, state) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  groupQueue: `INSERT INTO group_queue
    (owner, sequence, message, flags, identifiers) VALUES (?, ?, ?, ?, ?)`,
  received: 'INSERT INTO received VALUES (?, ?)',
} as const

const MESSAGE = 'SELECT id, level, expires_at, publisher, frame FROM message WHERE id = ?'

/** Messages that several records refer to are counted, see State. */
const COUNT_REFERENCES = `
INSERT INTO shared_message SELECT message, count(*) FROM (
  SELECT message FROM queue UNION ALL SELECT message FROM group_queue
  UNION ALL SELECT message FROM retained UNION ALL SELECT message FROM will)
GROUP BY message HAVING count(*) > 1`

/** Nothing refers to them, so nothing would ever remove them. */
const REMOVE_UNUSED = `
DELETE FROM message WHERE id NOT IN (SELECT message FROM queue)
  AND id NOT IN (SELECT message FROM group_queue)
  AND id NOT IN (SELECT message FROM retained) AND id NOT IN (SELECT message FROM will)`

export class ImportRows {
  /** Records that were taken. */
  count = 0
  /** The line that says that all is there has come. */
  complete = false
  private begun = false
  /** Queues tell how many bytes their messages have. */
  private readonly sized: boolean
  private readonly database: Database
  private readonly statements: Record<keyof typeof Inserts, Statement>
  private readonly sessions = new Set<number>()
  private readonly clientIds = new Set<string>()
  private readonly groups = new Set<number>()
  /** Of each message: how many bytes its frame has. */
  private readonly messages = new Map<number, number>()
  private readonly inflight = new Set<string>()

  /** @param database an empty one, in a transaction */
  constructor(database: Database) {
    this.database = database
    const names = Object.keys(Inserts) as (keyof typeof Inserts)[]
    const [sized] = database.query("SELECT 1 FROM pragma_table_info('queue') WHERE name = 'bytes'")
    this.sized = sized !== undefined
    const statements = names.map(name => {
      const isQueue = name === 'queue' || name === 'groupQueue'
      const sql = isQueue && this.sized ? withBytes(Inserts[name]) : Inserts[name]
      return [name, database.prepare(sql)] as const
    })
    this.statements = Object.fromEntries(statements) as Record<keyof typeof Inserts, Statement>
  }

  /** @throws StoreError `invalid-import` */
  take(fields: Fields): void {
    if (this.complete) throw fields.error('expected nothing after the line of type "end"')
    const type = fields.text('type')
    if (this.begun === (type === 'godwit-export')) {
      throw fields.error('expected an export: its first line, and no other, has "godwit-export"')
    }
    if (type === 'godwit-export') this.begin(fields)
    else if (type === 'end') this.end(fields)
    else this.record(type, fields)
    fields.finish()
  }

  /** All has been taken. */
  finish(): void {
    this.database.execute(COUNT_REFERENCES)
    this.database.execute(REMOVE_UNUSED)
  }

  private begin(fields: Fields): void {
    this.begun = true
    fields.text('at')
    const version = fields.integer('version')
    if (version > EXPORT_VERSION) {
      throw fields.error(`version ${version} is newer than ${EXPORT_VERSION}, which this one knows`)
    }
  }

  private end(fields: Fields): void {
    const records = fields.integer('records')
    if (records !== this.count) throw fields.wrong('records', `${this.count}, that came`, records)
    this.complete = true
  }

  private record(type: string, fields: Fields): void {
    this.count++
    switch (type) {
      case 'session':
        return this.session(fields)
      case 'subscription':
        return this.subscription(fields)
      case 'message':
        return this.message(fields)
      case 'retained':
        return this.retained(fields)
      case 'will':
        return this.will(fields)
      case 'group':
        return this.group(fields)
      case 'delivery':
        return this.delivery(fields)
      case 'group-delivery':
        return this.groupDelivery(fields)
      case 'received':
        return this.insert(fields, 'received', [
          this.known(fields, 'session', this.sessions),
          fields.integer('packetId', 1, UINT16_MAX),
        ])
      default:
        throw fields.error(`type "${type}" is unknown`)
    }
  }

  private session(fields: Fields): void {
    const id = fields.integer('id', 1)
    const clientId = fields.text('clientId')
    if (this.clientIds.has(clientId)) throw fields.error(`client id "${clientId}" came twice`)
    this.insert(fields, 'session', [
      id,
      clientId,
      fields.oneOf('protocolLevel', [3, 4, 5]),
      fields.integer('sessionExpirySeconds', 0, UINT32_MAX),
      fields.integer('disconnectedAtMs'),
    ])
    this.sessions.add(id)
    this.clientIds.add(clientId)
  }

  private subscription(fields: Fields): void {
    const session = this.known(fields, 'session', this.sessions)
    const filter = fields.text('filter')
    if (!isTopicFilter(filter)) throw fields.wrong('filter', 'a topic filter', filter)
    const options =
      fields.oneOf('qos', QOS) |
      (fields.flag('noLocal') ? 4 : 0) |
      (fields.flag('retainAsPublished') ? 8 : 0) |
      (fields.oneOf('retainHandling', QOS) << 4)
    const identifier = fields.integer('identifier', 0, IDENTIFIER_MAX)
    this.insert(fields, 'subscription', [session, filter, options, identifier])
  }

  private message(fields: Fields): void {
    const id = fields.integer('id', 1)
    const level = fields.oneOf('protocolLevel', [4, 5] as const)
    const expiresAtMs = fields.integer('expiresAtMs')
    const publisher = fields.text('publisher')
    const frame = frameIn(fields, level)
    this.insert(fields, 'message', [id, level, expiresAtMs, publisher, frame])
    this.messages.set(id, frame.length)
  }

  private retained(fields: Fields): void {
    const topic = fields.text('topic')
    const message = this.known(fields, 'message', this.messages)
    const its = this.topicOf(message)
    if (its !== topic) throw fields.wrong('topic', `that of message ${message}, "${its}"`, topic)
    this.insert(fields, 'retained', [topic, message])
  }

  private topicOf(message: number): string {
    const [row] = this.database.query(MESSAGE, [message])
    if (row === undefined) return ''
    const { frame, protocolLevel } = messageOf(row)
    return publishOf(frame, protocolLevel)?.topic ?? ''
  }

  private will(fields: Fields): void {
    this.insert(fields, 'will', [
      this.known(fields, 'session', this.sessions),
      this.known(fields, 'message', this.messages),
      fields.integer('delaySeconds', 0, UINT32_MAX),
      fields.integer('expirySeconds', -1, UINT32_MAX),
      fields.integer('fireAtMs'),
      textOfUser(fields.has('username') ? { username: fields.textOrNull('username') } : null),
    ])
  }

  private group(fields: Fields): void {
    const id = fields.integer('id', 1)
    const shareName = fields.text('shareName')
    const filter = fields.text('filter')
    const whole = `$share/${shareName}/${filter}`
    if (!isTopicFilter(whole)) throw fields.wrong('filter', 'that of a shared subscription', whole)
    this.insert(fields, 'group', [id, shareName, filter])
    this.groups.add(id)
  }

  private delivery(fields: Fields): void {
    const session = this.known(fields, 'session', this.sessions)
    const begin = this.deliveryIn(fields)
    const packetId = fields.integer('packetId', 0, UINT16_MAX)
    const state = STATE_NAMES.indexOf(fields.oneOf('state', STATE_NAMES))
    if ((packetId === 0) !== (state === 0)) {
      throw fields.error(`a packet identifier (${packetId}) has what is under way, and only that`)
    }
    const name = `${session} ${packetId}`
    if (packetId !== 0 && this.inflight.has(name)) {
      throw fields.error(`packet identifier ${packetId} of session ${session} came twice`)
    }
    if (packetId !== 0) this.inflight.add(name)
    this.insert(fields, 'queue', [session, ...begin, packetId, state, ...this.sizeOf(begin)])
  }

  private groupDelivery(fields: Fields): void {
    const group = this.known(fields, 'group', this.groups)
    const begin = this.deliveryIn(fields)
    this.insert(fields, 'groupQueue', [group, ...begin, ...this.sizeOf(begin)])
  }

  /** @returns the columns from `sequence` to `identifiers` */
  private deliveryIn(fields: Fields): SqlValue[] {
    const sequence = fields.integer('sequence', 1)
    const message = this.known(fields, 'message', this.messages)
    const flags = fields.oneOf('qos', [1, 2] as const) | (fields.flag('retain') ? 4 : 0)
    const identifiers = fields.integers('identifiers', IDENTIFIER_MAX)
    return [sequence, message, flags, identifiers.length === 0 ? null : identifiers.join()]
  }

  private sizeOf([, message]: readonly SqlValue[]): SqlValue[] {
    return this.sized ? [this.messages.get(Number(message)) ?? 0] : []
  }

  private known(
    fields: Fields,
    name: string,
    ids: ReadonlySet<number> | ReadonlyMap<number, number>,
  ): number {
    const id = fields.integer(name, 1)
    if (!ids.has(id)) throw fields.wrong(name, `a ${name} that came before`, id)
    return id
  }

  private insert(fields: Fields, name: keyof typeof Inserts, values: SqlValue[]): void {
    try {
      this.statements[name].run(values)
    } catch (error) {
      throw fields.error(`this record cannot be taken, one like it came before`, error)
    }
  }
}

function withBytes(sql: string): string {
  return sql.replace(') VALUES (', ', bytes) VALUES (?, ')
}

function frameIn(fields: Fields, level: 4 | 5): Uint8Array {
  if (fields.has('frameBase64')) {
    const frame = fields.bytes('frameBase64')
    const packet = attempt(fields, 'frameBase64', () => publishOf(frame, level))
    if (packet === null) throw fields.error('field "frameBase64": expected a PUBLISH packet')
    return frame
  }
  const topic = fields.text('topic')
  if (!isTopicName(topic)) throw fields.wrong('topic', 'a topic name', topic)
  const qos = fields.oneOf('qos', QOS)
  const retain = fields.flag('retain')
  const payload = fields.has('payloadBase64')
    ? fields.bytes('payloadBase64')
    : Buffer.from(fields.text('payload'), 'utf8')
  const properties = fields.has('properties') ? propertiesIn(fields) : {}
  return attempt(fields, 'properties', () =>
    frameOf({ topic, payload, qos, retain, properties }, level),
  )
}

function propertiesIn(fields: Fields): Properties {
  const values = Object.entries(fields.object('properties')).map(([name, value]) => {
    if (!name.endsWith(BYTES_SUFFIX)) return [name, value]
    if (typeof value !== 'string') throw fields.wrong('properties', `${name} as a text`, value)
    return [name.slice(0, -BYTES_SUFFIX.length), Buffer.from(value, 'base64')]
  })
  return Object.fromEntries(values)
}

function attempt<T>(fields: Fields, name: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw fields.error(`field "${name}": ${textOf(error)}`, error)
  }
}
