// Files of zeros, as long as a segment: writing into one later changes nothing but its contents,
// which syncs faster. The first is written while the database of a new store is made.

import { join } from 'node:path'
import type { File, FileSystem } from './file-system.ts'

const ZEROS = new Uint8Array(1024 * 1024)

/** What a spare is called until it has a header. */
export const SPARE_PATTERN: RegExp = /^spare-\d+\.tmp$/

/** A file that is being written. */
export interface FirstSpare {
  readonly name: string
  readonly path: string
  /** Never rejects. False: it could not be made, and is not there. */
  readonly made: Promise<boolean>
}

/**
 * Begins the first, if the directory is empty.
 * @throws what the system says
 */
export async function beginSpare(
  fileSystem: FileSystem,
  directory: string,
  byteCount: number,
): Promise<FirstSpare | null> {
  if ((await fileSystem.list(directory)).length > 0) return null
  const name = 'spare-0.tmp'
  const path = join(directory, name)
  const file = await fileSystem.open(path, 'create')
  const made = fill(fileSystem, file, byteCount).then(
    () => true,
    () => false,
  )
  return { name, path, made }
}

/** @throws what the system says, and the file is gone */
export async function makeSpare(
  fileSystem: FileSystem,
  path: string,
  byteCount: number,
): Promise<void> {
  await fill(fileSystem, await fileSystem.open(path, 'create'), byteCount)
}

async function fill(fileSystem: FileSystem, file: File, byteCount: number): Promise<void> {
  try {
    for (let at = 0; at < byteCount; at += ZEROS.length) {
      await writeFully(file, ZEROS.subarray(0, Math.min(ZEROS.length, byteCount - at)), at)
    }
    await file.sync()
  } catch (error) {
    await file.close()
    await fileSystem.unlink(file.path)
    throw error
  }
  await file.close()
}

/**
 * Writes all of it, in several calls when the system takes less.
 * @throws what the system says, ENOSPC when it takes nothing more
 */
export async function writeFully(file: File, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const count = await file.write(bytes.subarray(done), offset + done)
    if (count === 0) throw outOfSpace(file.path)
    done += count
  }
}

function outOfSpace(path: string): Error {
  return Object.assign(new Error(`${path}: no byte could be written`), { code: 'ENOSPC' })
}
