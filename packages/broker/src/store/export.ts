// Writes all that a store keeps as lines of JSON, while no broker uses it.

import { StoreError } from './errors.ts'
import {
  EXPORT_VERSION,
  flagWords,
  type Line,
  messageLine,
  messageOf,
  optionWords,
  STATE_NAMES,
} from './export-format.ts'
import { openOffline } from './offline.ts'
import { userOf } from './rows.ts'
import type { Database, Row } from './sqlite.ts'

export interface ExportOptions {
  /** Of the store. */
  readonly directory: string
  /** Leave out what cannot be read of a damaged log. Default: false. */
  readonly salvage?: boolean
  /** Takes one line, without its end; what it returns is waited for. */
  readonly write: (line: string) => void | Promise<void>
}

const Sections: readonly { readonly sql: string; readonly line: (row: Row) => Line }[] = [
  {
    sql: 'SELECT * FROM session ORDER BY id',
    line: row => ({
      type: 'session',
      id: row['id'],
      clientId: row['client_id'],
      protocolLevel: row['level'],
      sessionExpirySeconds: row['expiry_seconds'],
      disconnectedAtMs: row['disconnected_at'],
    }),
  },
  {
    sql: 'SELECT * FROM subscription ORDER BY session, filter',
    line: row => ({
      type: 'subscription',
      session: row['session'],
      filter: row['filter'],
      ...optionWords(Number(row['options'])),
      identifier: row['identifier'],
    }),
  },
  {
    sql: 'SELECT id, level, expires_at, publisher, frame FROM message ORDER BY id',
    line: row => messageLine(messageOf(row)),
  },
  {
    sql: 'SELECT * FROM retained ORDER BY topic',
    line: row => ({ type: 'retained', topic: row['topic'], message: row['message'] }),
  },
  {
    sql: 'SELECT * FROM will ORDER BY session',
    line: row => ({
      type: 'will',
      session: row['session'],
      message: row['message'],
      delaySeconds: row['delay_seconds'],
      expirySeconds: row['expiry_seconds'],
      fireAtMs: row['fire_at'],
      ...(userOf(row['user']) ?? {}),
    }),
  },
  {
    sql: 'SELECT * FROM share_group ORDER BY id',
    line: row => ({
      type: 'group',
      id: row['id'],
      shareName: row['share_name'],
      filter: row['filter'],
    }),
  },
  {
    sql: 'SELECT * FROM queue ORDER BY owner, sequence',
    line: row => ({
      type: 'delivery',
      session: row['owner'],
      ...deliveryWords(row),
      packetId: row['packet_id'],
      state: STATE_NAMES[Number(row['state'])],
    }),
  },
  {
    sql: 'SELECT * FROM group_queue ORDER BY owner, sequence',
    line: row => ({ type: 'group-delivery', group: row['owner'], ...deliveryWords(row) }),
  },
  {
    sql: 'SELECT * FROM received ORDER BY session, packet_id',
    line: row => ({ type: 'received', session: row['session'], packetId: row['packet_id'] }),
  },
]

/**
 * @returns how many records there were
 * @throws StoreError `locked`, `corrupt`, `newer-version`, `io`
 */
export async function writeExport(options: ExportOptions): Promise<number> {
  const offline = await openOffline(options.directory, options.salvage ?? false)
  if (offline === null) {
    throw new StoreError('io', `there is no store in ${options.directory}`)
  }
  try {
    return await writeAll(offline.replica.state.database, options.write)
  } finally {
    await offline.close()
  }
}

async function writeAll(database: Database, write: ExportOptions['write']): Promise<number> {
  const at = new Date().toISOString()
  await write(JSON.stringify({ type: 'godwit-export', version: EXPORT_VERSION, at }))
  let records = 0
  for (const { sql, line } of Sections) {
    for (const row of database.prepare(sql).iterate([])) {
      records++
      await write(JSON.stringify(line(row)))
    }
  }
  // An export that was cut off must not look like a small one.
  await write(JSON.stringify({ type: 'end', records }))
  return records
}

function deliveryWords(row: Row): Line {
  const identifiers = row['identifiers']
  return {
    sequence: row['sequence'],
    message: row['message'],
    ...flagWords(Number(row['flags'])),
    identifiers: typeof identifiers === 'string' ? identifiers.split(',').map(Number) : [],
  }
}
