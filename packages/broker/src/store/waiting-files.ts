// Files as the thread of the database reads them: its calls wait. file-system.ts is what the main
// thread has, whose calls do not.

import fs from 'node:fs'
import { join } from 'node:path'

/** Reads a file from `offset`. @returns how many bytes: fewer only at its end */
export type ReadAt = (into: Uint8Array, offset: number) => number

export interface WaitingFiles {
  exists(path: string): boolean
  /** What is in the directory, by name. */
  list(directory: string): (readonly [name: string, byteCount: number])[]
  /** Calls back with what reads the file, which is open as long. */
  read(path: string, use: (readAt: ReadAt) => void): void
  remove(path: string): void
}

export const nodeWaitingFiles: WaitingFiles = {
  exists: path => fs.existsSync(path),
  list: directory =>
    fs
      .readdirSync(directory)
      .toSorted()
      .map(name => [name, fs.statSync(join(directory, name)).size] as const),
  read: (path, use) => {
    const descriptor = fs.openSync(path, 'r')
    try {
      use((into, offset) => fs.readSync(descriptor, into, 0, into.length, offset))
    } finally {
      fs.closeSync(descriptor)
    }
  },
  remove: path => fs.rmSync(path),
}
