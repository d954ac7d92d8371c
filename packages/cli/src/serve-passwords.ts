// The password file of `godwit serve`: opened before the broker, read again on SIGHUP.

import { PasswordFile } from '@godwit/broker'
import { CommandFailure, USAGE } from './failure.ts'

/** Who may come in. */
export interface PasswordChoice {
  readonly file: string
  readonly allowAnonymous: boolean
}

interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
}

/** @throws CommandFailure for a file that cannot be read */
export function openPasswords({ file, allowAnonymous }: PasswordChoice): PasswordFile {
  try {
    return new PasswordFile(file, { allowAnonymous })
  } catch (error) {
    throw new CommandFailure(`the password file cannot be read: ${textOf(error)}`, USAGE)
  }
}

/** For `--check`. @throws CommandFailure that names each wrong line */
export function checkPasswords({ problems }: PasswordFile): void {
  if (problems.length > 0) throw new CommandFailure(problems.join('\n'), USAGE)
}

export function tellPasswords(passwords: PasswordFile, log: Log): void {
  for (const problem of passwords.problems) log.warn(`${problem}: nobody comes in by this line`)
  log.info(`${passwords.userCount} users have a password`)
}

/** What was read before holds when the file cannot be read. */
export function reloadPasswords(passwords: PasswordFile, log: Log): void {
  try {
    passwords.reload()
    tellPasswords(passwords, log)
  } catch (error) {
    log.error(`the password file cannot be read again: ${textOf(error)}`)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
