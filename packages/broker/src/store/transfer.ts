// Exports and imports of a store. What they need is loaded when they are called: a broker that
// keeps nothing on disk never needs it.

import type { ExportOptions } from './export.ts'
import type { ImportOptions } from './import.ts'

/**
 * Writes all that a store keeps as lines of JSON; no broker may use it meanwhile.
 * @returns how many records there were
 * @throws StoreError `locked`, `corrupt`, `newer-version`, `io`
 */
export async function exportStore(options: ExportOptions): Promise<number> {
  const { writeExport } = await import('./export.ts')
  return writeExport(options)
}

/**
 * Makes a store from the lines of an export. When it fails, nothing has changed.
 * @returns how many records there were
 * @throws StoreError `invalid-import` with line and field, `not-empty`, `locked`, `corrupt`
 */
export async function importStore(options: ImportOptions): Promise<number> {
  const { readImport } = await import('./import.ts')
  return readImport(options)
}
