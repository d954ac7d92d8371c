// Makes a store from the lines of an export. It is made beside the one that may be there and takes
// its place when all is on disk: an import that fails changes nothing.

import fs from 'node:fs'
import { directoryError, StoreError } from './errors.ts'
import { Fields } from './import-fields.ts'
import { ImportRows } from './import-rows.ts'
import { lockDirectory } from './lock.ts'
import { makeDirectory } from './make-directory.ts'
import { databasePathOf, logDirectoryOf, newStoreId, recovered } from './offline.ts'
import { sumsPathOf } from './page-sums.ts'
import { MIGRATIONS, migrate } from './schema.ts'
import { Database } from './sqlite.ts'

export interface ImportOptions {
  /** Of the store; made when it is not there. */
  readonly directory: string
  /** Of an export, in their order, without their ends. */
  readonly lines: AsyncIterable<string> | Iterable<string>
  /** What the store holds now goes. Default: false. */
  readonly replace?: boolean
}

/**
 * @returns how many records there were
 * @throws StoreError `invalid-import` with line and field, `not-empty`, `locked`, `corrupt`
 */
export async function readImport(options: ImportOptions): Promise<number> {
  const { directory } = options
  try {
    makeDirectory(directory)
  } catch (error) {
    throw directoryError(directory, error)
  }
  const lock = await lockDirectory(directory)
  const path = `${databasePathOf(directory)}.import`
  try {
    if (options.replace !== true) refuseIfUsed(directory)
    removeDatabase(path)
    const records = await fill(path, options.lines)
    if (fs.existsSync(`${path}-wal`)) throw new StoreError('io', `${path} was not closed in order`)
    takePlace(directory, path)
    return records
  } finally {
    removeDatabase(path)
    await lock.release()
  }
}

function refuseIfUsed(directory: string): void {
  if (!fs.existsSync(databasePathOf(directory))) return
  const replica = recovered(directory, false)
  try {
    const tables = ['session', 'message', 'share_group', 'received']
    const used = tables.find(
      table => replica.state.database.query(`SELECT 1 FROM ${table} LIMIT 1`).length > 0,
    )
    if (used === undefined) return
    throw new StoreError('not-empty', `the store in ${directory} is not empty`)
  } finally {
    replica.close()
  }
}

async function fill(path: string, lines: ImportOptions['lines']): Promise<number> {
  const database = new Database(path)
  try {
    migrate(database, path, newStoreId, MIGRATIONS)
    database.execute('BEGIN')
    const rows = new ImportRows(database)
    let number = 0
    let last = new Fields(1, '{}')
    for await (const line of lines) {
      number++
      if (line === '') continue
      last = new Fields(number, line)
      rows.take(last)
    }
    if (!rows.complete) throw last.error('expected a line of type "end": the export is cut off')
    rows.finish()
    database.execute('COMMIT')
    database.close()
    return rows.count
  } catch (error) {
    abandon(database)
    throw error
  }
}

/** What was not committed is gone with it. */
function abandon(database: Database): void {
  try {
    database.close()
  } catch (error) {
    // A statement that has failed says so once more when it is closed; the file is removed anyway.
    if (!(error instanceof Error)) throw error
  }
}

/** One rename decides. The log of the old store must not be read into the new one. */
function takePlace(directory: string, path: string): void {
  const target = databasePathOf(directory)
  fs.rmSync(logDirectoryOf(directory), { recursive: true, force: true })
  fs.rmSync(`${target}-wal`, { force: true })
  // A database without checksums gets them; one with those of another would be refused.
  fs.rmSync(sumsPathOf(target), { force: true })
  syncPath(directory)
  syncPath(path)
  fs.renameSync(path, target)
  fs.renameSync(sumsPathOf(path), sumsPathOf(target))
  syncPath(directory)
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-journal', '.lock', '.sums']) {
    fs.rmSync(`${path}${suffix}`, { recursive: true, force: true })
  }
}

function syncPath(path: string): void {
  if (process.platform === 'win32') return
  const descriptor = fs.openSync(path, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
