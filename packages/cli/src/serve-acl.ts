// The ACL file of `godwit serve`: opened before the broker, read again on SIGHUP.

import { AclFile, AclFileError } from '@godwit/broker'
import { CommandFailure, USAGE } from './failure.ts'

interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
}

/** @throws CommandFailure for a file that cannot be read, or names each wrong line */
export function openAcl(file: string): AclFile {
  try {
    return new AclFile(file)
  } catch (error) {
    throw new CommandFailure(textOf(error), USAGE)
  }
}

/** @param checksNames whether somebody asks for a password before a user name is believed */
export function tellAcl(acl: AclFile, checksNames: boolean, log: Log): void {
  log.info(`${acl.ruleCount} lines of the ACL file say who may publish and read what`)
  if (checksNames || !acl.hasUsers) return
  log.warn('nobody checks the user names of the ACL file: give a --password-file as well')
}

/** What was read before holds when the file cannot be read. @returns whether it was read */
export function reloadAcl(acl: AclFile, checksNames: boolean, log: Log): boolean {
  try {
    acl.reload()
  } catch (error) {
    log.error(`${textOf(error)}\nthe ACL file stays as it was read before`)
    return false
  }
  tellAcl(acl, checksNames, log)
  return true
}

function textOf(error: unknown): string {
  if (error instanceof AclFileError) return error.message
  return `the ACL file cannot be read: ${error instanceof Error ? error.message : String(error)}`
}
