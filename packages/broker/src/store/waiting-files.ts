// Files as the thread of the database reads them: its calls wait. file-system.ts is what the main
// thread has, whose calls do not.

import fs from 'node:fs'
import { join } from 'node:path'
import { StoreError } from './errors.ts'

export interface WaitingFiles {
  /** What is in the directory, by name. */
  list(directory: string): (readonly [name: string, byteCount: number])[]
  /** @throws StoreError `corrupt` when the file ends before `end` */
  read(path: string, start: number, end: number): Uint8Array
  remove(path: string): void
}

export const nodeWaitingFiles: WaitingFiles = {
  list: directory =>
    fs
      .readdirSync(directory)
      .toSorted()
      .map(name => [name, fs.statSync(join(directory, name)).size] as const),
  read: (path, start, end) => {
    const bytes = Buffer.allocUnsafeSlow(end - start)
    const descriptor = fs.openSync(path, 'r')
    try {
      for (let done = 0; done < bytes.length; ) {
        const count = fs.readSync(descriptor, bytes, done, bytes.length - done, start + done)
        if (count === 0) throw new StoreError('corrupt', `${path} ends at ${start + done}`)
        done += count
      }
    } finally {
      fs.closeSync(descriptor)
    }
    return bytes
  },
  remove: path => fs.rmSync(path),
}
