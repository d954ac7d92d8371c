// What the tests of `serve`'s files of passwords and rights share: a file, and a log to look at.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A file in a folder that goes when the test is over. @returns its path */
export function fileOf(context: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

export interface NotingLog {
  /** What was logged; warnings and errors begin with their level. */
  readonly lines: string[]
  info(text: string): void
  warn(text: string): void
  error(first: string | object, text?: string): void
}

export function noting(): NotingLog {
  const lines: string[] = []
  return {
    lines,
    info: text => void lines.push(text),
    warn: text => void lines.push(`warn ${text}`),
    error: (first, text) => void lines.push(`error ${text ?? String(first)}`),
  }
}
