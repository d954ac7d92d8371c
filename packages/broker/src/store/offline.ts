// A store that no broker uses: locked, recovered, and open for this thread, which may wait.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { directoryError } from './errors.ts'
import { type DirectoryLock, lockDirectory } from './lock.ts'
import { STORE_ID_BYTES } from './log-format.ts'
import { makeDirectory } from './make-directory.ts'
import { Replica } from './replica.ts'

const OVERLAY_BYTES_MAX = 256 * 1024 * 1024

export interface OfflineStore {
  readonly replica: Replica
  close(): Promise<void>
}

export function databasePathOf(directory: string): string {
  return join(directory, 'state.db')
}

export function logDirectoryOf(directory: string): string {
  return join(directory, 'log')
}

export function newStoreId(): Uint8Array {
  return new Uint8Array(randomBytes(STORE_ID_BYTES))
}

/**
 * @returns null when there is no store in the directory
 * @throws StoreError `locked`, `corrupt`, `newer-version`, `io`
 */
export async function openOffline(
  directory: string,
  salvage: boolean,
): Promise<OfflineStore | null> {
  if (!fs.existsSync(databasePathOf(directory))) return null
  const lock = await lockDirectory(directory).catch((error: unknown) => {
    throw directoryError(directory, error)
  })
  try {
    const replica = recovered(directory, salvage)
    return { replica, close: () => close(replica, lock) }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Everything that the log has is in the database. The directory must be locked. */
export function recovered(directory: string, salvage: boolean): Replica {
  const logDirectory = logDirectoryOf(directory)
  makeDirectory(logDirectory)
  const replica = new Replica({
    path: databasePathOf(directory),
    logDirectory,
    salvage,
    overlayBytesMax: OVERLAY_BYTES_MAX,
    ballast: { wanted: false, possible: true, take: () => true, release: () => false },
    reached: () => undefined,
    newId: newStoreId,
  })
  try {
    // Who was connected when its process ended has been disconnected now.
    const recover: (wallMs: number) => unknown = replica.recover.bind(replica)
    recover(Date.now())
    return replica
  } catch (error) {
    replica.close()
    throw error
  }
}

async function close(replica: Replica, lock: DirectoryLock): Promise<void> {
  replica.close()
  await lock.release()
}
