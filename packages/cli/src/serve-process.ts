// What `godwit serve` does with its own process: the file that tells its number, and the user that
// it goes on as.

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { CommandFailure, USAGE } from './failure.ts'

const FAILED = 1

/** Node has it where there are users; its types do not. */
interface Unix {
  initgroups?(user: string, group: number): void
}

interface Account {
  readonly name: string
  readonly user: number
  readonly group: number
}

/**
 * Writes the number of this process, and takes the file away at its end.
 * @throws CommandFailure when it cannot be written
 */
export function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`)
  } catch (error) {
    throw new CommandFailure(`the pid file cannot be written: ${(error as Error).message}`, FAILED)
  }
  process.once('exit', () => removePidFile(path))
}

/** Only if it is still this process's own: another one may have started meanwhile. */
function removePidFile(path: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() === String(process.pid)) rmSync(path, { force: true })
  } catch {
    // Somebody has taken it away, or it may not be: that is no reason to end otherwise.
  }
}

/**
 * Goes on as another user, with that user's groups. Who is not root stays who it is.
 * @param candidates the first that the system knows
 * @throws CommandFailure when there is none, or it may not be
 */
export function becomeUser(...candidates: readonly string[]): void {
  if (process.getuid === undefined || process.getuid() !== 0) return
  const account = candidates.map(accountOf).find(found => found !== null) ?? null
  if (account === null) {
    const names = candidates.join(' or ')
    throw new CommandFailure(`user: expected a user of this machine, got ${names}`, USAGE)
  }
  if (account.user === 0) return
  try {
    // The groups first: afterwards it may no longer.
    const unix = process as NodeJS.Process & Unix
    unix.initgroups?.(account.name, account.group)
    process.setgid?.(account.group)
    process.setuid?.(account.user)
  } catch (error) {
    throw new CommandFailure(`user ${account.name}: ${(error as Error).message}`, FAILED)
  }
}

/** Null: the system knows no such user. */
function accountOf(name: string): Account | null {
  if (name.startsWith('-')) return null
  try {
    return { name, user: idOf('-u', name), group: idOf('-g', name) }
  } catch {
    return null
  }
}

function idOf(flag: string, name: string): number {
  return Number(
    execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  )
}
