// The tables of state.db and the way from one version of them to the next. A database of a newer
// version is refused; one of an older version is copied first, then migrated in one transaction.

import { existsSync, rmSync } from 'node:fs'
import { StoreError } from './errors.ts'
import type { Database } from './sqlite.ts'

/** Keys are integers wherever there can be many rows: text keys make it five times slower. */
const VERSION_1 = `
CREATE TABLE session (
  id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, level INTEGER NOT NULL,
  expiry_seconds INTEGER NOT NULL, disconnected_at INTEGER NOT NULL);
CREATE INDEX session_connected ON session (id) WHERE disconnected_at = 0;
CREATE TABLE subscription (
  session INTEGER NOT NULL, filter TEXT NOT NULL, options INTEGER NOT NULL,
  identifier INTEGER NOT NULL, PRIMARY KEY (session, filter)) WITHOUT ROWID;
CREATE TABLE message (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  publisher TEXT NOT NULL, frame BLOB NOT NULL);
CREATE TABLE queue (
  owner INTEGER NOT NULL, sequence INTEGER NOT NULL, bytes INTEGER NOT NULL,
  message INTEGER NOT NULL, flags INTEGER NOT NULL, identifiers TEXT,
  packet_id INTEGER NOT NULL, state INTEGER NOT NULL,
  PRIMARY KEY (owner, sequence)) WITHOUT ROWID;
CREATE TABLE group_queue (
  owner INTEGER NOT NULL, sequence INTEGER NOT NULL, bytes INTEGER NOT NULL,
  message INTEGER NOT NULL, flags INTEGER NOT NULL, identifiers TEXT,
  PRIMARY KEY (owner, sequence)) WITHOUT ROWID;
CREATE TABLE received (
  session INTEGER NOT NULL, packet_id INTEGER NOT NULL,
  PRIMARY KEY (session, packet_id)) WITHOUT ROWID;
CREATE TABLE retained (topic TEXT PRIMARY KEY, message INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX retained_message ON retained (message);
CREATE TABLE will (
  session INTEGER PRIMARY KEY, message INTEGER NOT NULL, delay_seconds INTEGER NOT NULL,
  expiry_seconds INTEGER NOT NULL, fire_at INTEGER NOT NULL);
CREATE INDEX will_connected ON will (session) WHERE fire_at = 0;
CREATE TABLE share_group (id INTEGER PRIMARY KEY, share_name TEXT NOT NULL, filter TEXT NOT NULL);
CREATE TABLE shared_message (message INTEGER PRIMARY KEY, reference_count INTEGER NOT NULL);
`

/** Whose a will is, see rows.ts; null: it is of version 1. */
const VERSION_2 = 'ALTER TABLE will ADD COLUMN user TEXT'

/** What makes version `i + 1` out of version `i`. Never change one that was released: add one. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2]

/**
 * Brings the tables to the last version.
 * @param newId called for the id of a new store
 * @throws StoreError `newer-version`
 */
export function migrate(
  database: Database,
  path: string,
  newId: () => Uint8Array,
  migrations: readonly string[] = MIGRATIONS,
): void {
  const version = versionOf(database)
  if (version > migrations.length) {
    throw new StoreError(
      'newer-version',
      `${path} has version ${version}, this program knows up to ${migrations.length}. ` +
        'Use the newer program, or export with it and import here',
    )
  }
  if (version === migrations.length) return
  if (version > 0) keepCopy(database, `${path}.v${version}.bak`)
  database.execute('BEGIN')
  if (version === 0) {
    database.execute('CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID')
    const insert = database.prepare('INSERT INTO meta VALUES (?, ?)')
    insert.run(['store_id', newId()])
    insert.run(['applied_sequence', 0])
    insert.run(['schema_version', 0])
    insert.run(['first_segment', 0])
  }
  for (const step of migrations.slice(version)) database.execute(step)
  database.execute(`UPDATE meta SET value = ${migrations.length} WHERE key = 'schema_version'`)
  database.execute('COMMIT')
}

function versionOf(database: Database): number {
  const tables = database.query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'")
  if (tables.length === 0) return 0
  const [row] = database.query("SELECT value FROM meta WHERE key = 'schema_version'")
  const version = row?.['value']
  if (typeof version !== 'number') throw new StoreError('corrupt', 'state.db has no version')
  return version
}

/** The way back, should the new version disappoint. */
function keepCopy(database: Database, path: string): void {
  if (existsSync(path)) rmSync(path)
  database.query('VACUUM INTO ?', [path])
}
