// The state in SQLite: takes the net effect of many batches in one transaction, and gives all of it
// back at start. It runs in the worker thread and knows nothing of the log.

import type { CrashPoint } from './crash-points.ts'
import { StoreError } from './errors.ts'
import type { Overlay, QueueChanges } from './overlay.ts'
import { REPAIRS } from './repairs.ts'
import { textOfUser } from './rows.ts'
import { MIGRATIONS, migrate } from './schema.ts'
import { Database, type Row, type SqlValue, type Statement } from './sqlite.ts'

/** How a message is referred to by more than one record; by one when it is not in here. */
type SharedMessages = Map<number, number>

const Sql = {
  putSession: 'INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?)',
  removeSession: 'DELETE FROM session WHERE id = ?',
  removeSubscriptions: 'DELETE FROM subscription WHERE session = ?',
  removeAllReceived: 'DELETE FROM received WHERE session = ?',
  removeQueue: 'DELETE FROM queue WHERE owner = ? RETURNING message',
  putSubscription: 'INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?)',
  removeSubscription: 'DELETE FROM subscription WHERE session = ? AND filter = ?',
  putMessage: 'INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?)',
  removeMessage: 'DELETE FROM message WHERE id = ?',
  putDelivery: 'INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  removeDelivery: 'DELETE FROM queue WHERE owner = ? AND sequence = ? RETURNING message',
  putInflight: 'UPDATE queue SET packet_id = ?, state = ? WHERE owner = ? AND sequence = ?',
  putGroupDelivery: 'INSERT OR REPLACE INTO group_queue VALUES (?, ?, ?, ?, ?, ?)',
  removeGroupDelivery: 'DELETE FROM group_queue WHERE owner = ? AND sequence = ? RETURNING message',
  removeGroupQueue: 'DELETE FROM group_queue WHERE owner = ? RETURNING message',
  putReceived: 'INSERT OR REPLACE INTO received VALUES (?, ?)',
  removeReceived: 'DELETE FROM received WHERE session = ? AND packet_id = ?',
  putRetained: 'INSERT INTO retained VALUES (?, ?)',
  removeRetained: 'DELETE FROM retained WHERE topic = ? RETURNING message',
  putWill: 'INSERT INTO will VALUES (?, ?, ?, ?, ?, ?)',
  removeWill: 'DELETE FROM will WHERE session = ? RETURNING message',
  putGroup: 'INSERT OR REPLACE INTO share_group VALUES (?, ?, ?)',
  removeGroup: 'DELETE FROM share_group WHERE id = ?',
  putShared: 'INSERT OR REPLACE INTO shared_message VALUES (?, ?)',
  removeShared: 'DELETE FROM shared_message WHERE message = ?',
  // Of connections that ended with an earlier process.
  disconnectSessions: 'UPDATE session SET disconnected_at = ? WHERE disconnected_at = 0',
  startWills: 'UPDATE will SET fire_at = ? + delay_seconds * 1000 WHERE fire_at = 0',
  setApplied: "UPDATE meta SET value = ? WHERE key = 'applied_sequence'",
  setFirstSegment: "INSERT OR REPLACE INTO meta VALUES ('first_segment', ?)",
} as const

type Statements = { readonly [name in keyof typeof Sql]: Statement }

export interface StateOptions {
  readonly path: string
  readonly newId: () => Uint8Array
  readonly reached: (point: CrashPoint) => void
  /** Go on with pages that are damaged. Default: false. */
  readonly salvage?: boolean
  /** The file was compared with its checksums by this process. Default: false. */
  readonly compared?: boolean
  /** Only tests give others. */
  readonly migrations?: readonly string[]
  /** Only the simulation gives another. */
  readonly openDatabase?: (path: string) => Database
}

export class State {
  readonly database: Database
  readonly storeId: Uint8Array
  /** The last batch of the log that is in here. */
  appliedSequence: number
  /**
   * The segment of the log that the next start begins with; it and those after it have to be there.
   * 0: the log is not needed, everything is in here. Null: written before this was noted.
   */
  firstSegment: number | null
  private readonly statements: Statements
  private readonly options: StateOptions
  private readonly shared: SharedMessages = new Map()
  /** No session with a greater id is in the database. */
  private sessionIdMax: number

  /** @throws StoreError `newer-version`, `corrupt` */
  constructor(options: StateOptions) {
    this.options = options
    this.database = open(options)
    migrate(this.database, options.path, options.newId, options.migrations ?? MIGRATIONS)
    this.statements = statementsOf(this.database)
    this.storeId = this.meta('store_id') as Uint8Array
    this.appliedSequence = Number(this.meta('applied_sequence'))
    this.firstSegment = this.firstSegmentOf()
    const [row] = this.database.query('SELECT max(id) AS id FROM session')
    this.sessionIdMax = Number(row?.['id'] ?? 0)
    this.readShared()
  }

  /**
   * Writes the net effect of all batches up to `sequence`, all or nothing. The overlay is not
   * changed: after an error the same call can be made again on a new State.
   * @param segment that of the log which has the last of them
   */
  apply(overlay: Overlay, sequence: number, segment: number): void {
    const changes = new Map(overlay.referenceChanges)
    this.database.execute('BEGIN')
    this.applyRemovals(overlay, changes)
    this.applySessions(overlay, changes)
    this.applyQueues(overlay, changes)
    this.applyRetained(overlay, changes)
    this.options.reached('mid_checkpoint')
    const shared = this.applyMessages(overlay, changes)
    this.statements.setApplied.run([sequence])
    this.statements.setFirstSegment.run([segment])
    this.options.reached('mid_checkpoint')
    this.database.execute('COMMIT')
    this.appliedSequence = sequence
    this.firstSegment = segment
    for (const [id, count] of shared) {
      if (count > 1) this.shared.set(id, count)
      else this.shared.delete(id)
    }
    for (const id of overlay.sessions.keys()) this.sessionIdMax = Math.max(this.sessionIdMax, id)
  }

  /** Nobody is connected any more, as of now; and the log is not needed until it begins anew. */
  disconnectAll(wallMs: number): void {
    this.database.execute('BEGIN')
    this.statements.disconnectSessions.run([wallMs])
    this.statements.startWills.run([wallMs])
    this.statements.setFirstSegment.run([0])
    this.database.execute('COMMIT')
    this.firstSegment = 0
  }

  setFirstSegment(segment: number): void {
    this.statements.setFirstSegment.run([segment])
    this.firstSegment = segment
  }

  /**
   * Something was lost: what refers to something that is not there goes, or it would be taken for a
   * part of whatever gets the same id next.
   */
  repair(): void {
    this.database.execute('BEGIN')
    for (const sql of REPAIRS) this.database.execute(sql)
    this.database.execute('COMMIT')
    this.readShared()
  }

  close(): void {
    this.database.close()
  }

  private readShared(): void {
    this.shared.clear()
    for (const shared of this.database.query('SELECT * FROM shared_message')) {
      this.shared.set(Number(shared['message']), Number(shared['reference_count']))
    }
  }

  private firstSegmentOf(): number | null {
    const [row] = this.database.query("SELECT value FROM meta WHERE key = 'first_segment'")
    const value = row?.['value']
    return typeof value === 'number' ? value : null
  }

  private meta(key: string): SqlValue {
    const [row] = this.database.query('SELECT value FROM meta WHERE key = ?', [key])
    const value = row?.['value']
    if (value === undefined) throw new StoreError('corrupt', `${this.options.path} has no ${key}`)
    return value
  }

  private applyRemovals(overlay: Overlay, changes: Map<number, number>): void {
    const { statements } = this
    for (const id of overlay.removedSessions) {
      if (id > this.sessionIdMax) continue
      release(statements.removeQueue.all([id]), changes)
      release(statements.removeWill.all([id]), changes)
      statements.removeSubscriptions.run([id])
      statements.removeAllReceived.run([id])
      statements.removeSession.run([id])
    }
    for (const id of overlay.removedGroups) {
      release(statements.removeGroupQueue.all([id]), changes)
      statements.removeGroup.run([id])
    }
  }

  private applySessions(overlay: Overlay, changes: Map<number, number>): void {
    const { statements } = this
    for (const one of overlay.sessions.values()) {
      const { id, clientId, protocolLevel, sessionExpirySeconds, disconnectedAtMs } = one
      const row = [id, clientId, protocolLevel, sessionExpirySeconds, disconnectedAtMs]
      statements.putSession.run(row)
    }
    for (const [sessionId, filters] of overlay.subscriptions) {
      for (const [filter, one] of filters) {
        if (one === null) statements.removeSubscription.run([sessionId, filter])
        else statements.putSubscription.run([sessionId, filter, one.options, one.identifier])
      }
    }
    for (const [sessionId, packetIds] of overlay.received) {
      for (const [packetId, present] of packetIds) {
        const statement = present ? statements.putReceived : statements.removeReceived
        statement.run([sessionId, packetId])
      }
    }
    for (const [sessionId, will] of overlay.wills) {
      release(statements.removeWill.all([sessionId]), changes)
      if (will === null) continue
      const { message, delaySeconds, expirySeconds, fireAtMs, user } = will
      const numbers = [sessionId, message.id, delaySeconds, expirySeconds, fireAtMs]
      statements.putWill.run([...numbers, textOfUser(user)])
    }
  }

  private applyQueues(overlay: Overlay, changes: Map<number, number>): void {
    const { statements } = this
    for (const [ownerId, queue] of overlay.queues) {
      removeRows(statements.removeDelivery, ownerId, queue, changes)
      for (const entry of queue.values()) {
        if (entry === null) continue
        const { sequence, byteLength, messageId, flags, identifiers } = entry.delivery
        const { packetId, state } = entry
        const names = identifiers === null ? null : identifiers.join()
        const row = [ownerId, sequence, byteLength, messageId, flags, names, packetId, state]
        statements.putDelivery.run(row)
      }
    }
    for (const [sessionId, sequences] of overlay.inflight) {
      for (const [sequence, { packetId, state }] of sequences) {
        statements.putInflight.run([packetId, state, sessionId, sequence])
      }
    }
    for (const [id, { shareName, filter }] of overlay.groups) {
      statements.putGroup.run([id, shareName, filter])
    }
    for (const [ownerId, queue] of overlay.groupQueues) {
      removeRows(statements.removeGroupDelivery, ownerId, queue, changes)
      for (const entry of queue.values()) {
        if (entry === null) continue
        const { sequence, byteLength, messageId, flags, identifiers } = entry.delivery
        const names = identifiers === null ? null : identifiers.join()
        const row = [ownerId, sequence, byteLength, messageId, flags, names]
        statements.putGroupDelivery.run(row)
      }
    }
  }

  private applyRetained(overlay: Overlay, changes: Map<number, number>): void {
    const { statements } = this
    for (const [topic, messageId] of overlay.retained) {
      release(statements.removeRetained.all([topic]), changes)
      if (messageId !== 0) statements.putRetained.run([topic, messageId])
    }
  }

  /** @returns the new reference counts of those messages that have one in `shared`, or had */
  private applyMessages(overlay: Overlay, changes: ReadonlyMap<number, number>): SharedMessages {
    const { statements } = this
    const shared: SharedMessages = new Map()
    for (const [id, { message, references }] of overlay.messages) {
      if (references <= 0) continue
      const { protocolLevel, expiresAtMs, publisher, frame } = message
      statements.putMessage.run([id, protocolLevel, expiresAtMs, publisher, frame])
      if (references > 1) shared.set(id, references)
    }
    for (const [id, by] of changes) {
      if (by === 0) continue
      const count = (this.shared.get(id) ?? 1) + by
      if (count <= 0) statements.removeMessage.run([id])
      shared.set(id, count)
    }
    for (const [id, count] of shared) {
      if (count > 1) statements.putShared.run([id, count])
      else if (this.shared.has(id)) statements.removeShared.run([id])
    }
    return shared
  }
}

/** Each is prepared when it is first used: a start uses few. */
function statementsOf(database: Database): Statements {
  const statements = {}
  for (const [name, sql] of Object.entries(Sql)) {
    const get = (): Statement => {
      const value = database.prepare(sql)
      Object.defineProperty(statements, name, { value })
      return value
    }
    Object.defineProperty(statements, name, { configurable: true, get })
  }
  return statements as Statements
}

/** @throws StoreError `corrupt` also with `salvage`, when the tables cannot be read any more */
function open({ path, salvage, compared, openDatabase }: StateOptions): Database {
  if (openDatabase !== undefined) return openDatabase(path)
  const options = { salvage: salvage ?? false, compared: compared ?? false }
  const database = new Database(path, options)
  const faults = database.damaged.length > 0 ? database.faults() : ''
  if (faults === '') return database
  database.close()
  throw new StoreError(
    'corrupt',
    `${path} cannot be salvaged: ${faults}. Put back a copy, or begin with an empty directory`,
  )
}

function removeRows(
  statement: Statement,
  ownerId: number,
  queue: QueueChanges,
  changes: Map<number, number>,
): void {
  for (const [sequence, entry] of queue) {
    if (entry === null) release(statement.all([ownerId, sequence]), changes)
  }
}

/** These rows were deleted: each referred to a message. */
function release(rows: readonly Row[], changes: Map<number, number>): void {
  for (const row of rows) {
    const id = Number(row['message'])
    changes.set(id, (changes.get(id) ?? 0) - 1)
  }
}
