// What the store on disk asks of the world. The production form is real files, a worker and a lock
// of the directory; testing/simulated-world.ts is the other one.

import {
  type CheckpointSettings,
  type CheckpointThread,
  type ThreadEvents,
  WorkerThread,
} from './checkpoint-thread.ts'
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

export function nodeWorld(): StoreWorld {
  const crash = process.env['GODWIT_CRASH'] ?? ''
  return {
    fileSystem: nodeFileSystem,
    lock: lockDirectory,
    startThread: (settings, events) => new WorkerThread(settings, crash, events),
    reached: crashPoints(crash),
  }
}
