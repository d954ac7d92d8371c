// What the store on disk asks of the world. The production form is real files, a worker and a lock
// of the directory; testing/simulated-world.ts is the other one.

import type { CheckpointSettings, CheckpointThread, ThreadEvents } from './checkpoint-thread.ts'
import { type CrashPoint, crashPoints } from './crash-points.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'
import { type DirectoryLock, lockDirectory } from './lock.ts'

export interface StoreWorld {
  readonly fileSystem: FileSystem
  /** @throws StoreError `locked` */
  lock(directory: string): Promise<DirectoryLock>
  /** Begins the thread of the database. */
  startThread(settings: CheckpointSettings, events: ThreadEvents): CheckpointThread
  readonly reached: (point: CrashPoint) => void
}

export async function nodeWorld(): Promise<StoreWorld> {
  // On demand, so that who starts the thread ahead has the same module, in a bundle too.
  const { WorkerThread } = await import('./worker-thread.ts')
  const crash = process.env['GODWIT_CRASH'] ?? ''
  return {
    fileSystem: nodeFileSystem,
    lock: lockDirectory,
    startThread: (settings, events) => new WorkerThread(settings, crash, events),
    reached: crashPoints(crash),
  }
}
