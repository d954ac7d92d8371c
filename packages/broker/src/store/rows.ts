// Rows of the database as the core's objects.

import type { StoredDelivery, StoredMessage, StoredUser } from '../core/ports.ts'
import type { RecordWriter } from './record-writer.ts'
import type { Row, SqlValue } from './sqlite.ts'

export const MESSAGE_COLUMNS = 'm.id, m.level, m.expires_at, m.publisher, m.frame'

/** @param row with MESSAGE_COLUMNS and the columns of the will */
export function writeWill(to: RecordWriter, row: Row): void {
  const message = messageOf(row)
  to.putMessage(message)
  to.putWill({
    sessionId: Number(row['session']),
    message,
    delaySeconds: Number(row['delay_seconds']),
    expirySeconds: Number(row['expiry_seconds']),
    fireAtMs: Number(row['fire_at']),
    user: userOf(row['user']),
  })
}

/** In the column of a will: a sign that it is known, and the name if there is one. */
export function textOfUser(user: StoredUser | null): string | null {
  if (user === null) return null
  return user.username === null ? '-' : `=${user.username}`
}

export function userOf(text: SqlValue | undefined): StoredUser | null {
  if (typeof text !== 'string') return null
  return { username: text.startsWith('=') ? text.slice(1) : null }
}

export function messageOf(row: Row): StoredMessage {
  const frame = row['frame']
  return {
    id: Number(row['id']),
    frame: frame instanceof Uint8Array ? frame : new Uint8Array(0),
    protocolLevel: levelOf(row['level']) === 5 ? 5 : 4,
    expiresAtMs: Number(row['expires_at']),
    publisher: String(row['publisher']),
  }
}

export function deliveryOf(row: Row): StoredDelivery {
  const identifiers = row['identifiers']
  return {
    ownerId: Number(row['owner']),
    sequence: Number(row['sequence']),
    byteLength: Number(row['bytes']),
    messageId: Number(row['message']),
    flags: Number(row['flags']),
    identifiers: typeof identifiers === 'string' ? identifiers.split(',').map(Number) : null,
  }
}

export function levelOf(value: SqlValue | undefined): 3 | 4 | 5 {
  return value === 3 || value === 5 ? value : 4
}
