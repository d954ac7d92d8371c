// Loaded into a broker before anything else: after the signal SIGUSR2 the next sync of the log
// fails as Linux lets it fail: with EIO, once, and what was written before is not on the disk.

import fs from 'node:fs'
import { isMainThread } from 'node:worker_threads'

type Callback = (error: NodeJS.ErrnoException | null) => void
type Write = (
  descriptor: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  at: number,
  callback: (error: NodeJS.ErrnoException | null, count: number) => void,
) => void

let failing = false
/** What was written to a file since its last sync. */
const unsynced = new Map<number, { at: number; length: number }[]>()
const original = { write: fs.write as unknown as Write, fdatasync: fs.fdatasync }

const write: Write = (descriptor, bytes, from, length, at, callback) => {
  const writes = unsynced.get(descriptor) ?? []
  writes.push({ at, length })
  unsynced.set(descriptor, writes)
  original.write(descriptor, bytes, from, length, at, callback)
}

const fdatasync = (descriptor: number, callback: Callback): void => {
  const writes = unsynced.get(descriptor) ?? []
  unsynced.delete(descriptor)
  if (!failing || writes.length === 0) {
    original.fdatasync(descriptor, callback)
    return
  }
  for (const { at, length } of writes)
    fs.writeSync(descriptor, new Uint8Array(length), 0, length, at)
  const error = new Error('EIO: i/o error, fdatasync')
  setImmediate(() => callback(Object.assign(error, { code: 'EIO', syscall: 'fdatasync' })))
}

// The thread of the database has its own copy of the module, and its own errors.
if (isMainThread) {
  Object.assign(fs, { write, fdatasync })
  process.on('SIGUSR2', () => {
    failing = true
  })
}
