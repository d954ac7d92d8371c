// Makes a folder and those above it, one at a time: Node's recursive form never returns where the
// system answers ENOENT to who may not make one, as below /proc.

import fs from 'node:fs'
import { dirname, resolve } from 'node:path'

const PERMISSIONS = 0o700

/** @throws the system's error when it cannot be made, or is something else than a folder */
export function makeDirectory(directory: string): void {
  for (const path of missingOf(resolve(directory))) makeOne(path)
}

/** The folder itself is always one of them: it may be something else. */
function missingOf(directory: string): string[] {
  const missing = [directory]
  let above = dirname(directory)
  while (!fs.existsSync(above) && above !== dirname(above)) {
    missing.unshift(above)
    above = dirname(above)
  }
  return missing
}

function makeOne(path: string): void {
  try {
    fs.mkdirSync(path, { mode: PERMISSIONS })
  } catch (error) {
    // There already, or made meanwhile by somebody else.
    if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}
