// Who may come in at `godwit serve`, and who may do what: its files and certificates as hooks.

import type { AclFile, Hooks, ListenOptions, PasswordFile } from '@godwit/broker'
import { usage } from './failure.ts'
import { openAcl, tellAcl } from './serve-acl.ts'
import type { ReadyConfig } from './serve-flags.ts'
import { openPasswords, tellPasswords } from './serve-passwords.ts'

export interface Access {
  readonly passwords: PasswordFile | null
  readonly acl: AclFile | null
  /** Who brings a certificate has its common name as user name, and needs no password. */
  readonly certificateUserNames: boolean
  /** Whether a user name that a client gives is its own. */
  readonly checksNames: boolean
}

interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
}

/** @throws CommandFailure for a file that cannot be read */
export function openAccess(config: ReadyConfig, log: Log): Access {
  const { passwords: choice, aclFile, certificateUserNames, broker } = config
  const passwords = choice === null ? null : openPasswords(choice)
  const acl = aclFile === null ? null : openAcl(aclFile)
  const checksNames = passwords !== null || certificateUserNames || broker.scram !== undefined
  if (passwords !== null) tellPasswords(passwords, log)
  if (acl !== null) tellAcl(acl, checksNames, log)
  return { passwords, acl, certificateUserNames, checksNames }
}

/** @throws CommandFailure when no listener takes certificates of clients */
export function checkCertificateUsers(listeners: readonly ListenOptions[]): void {
  const takes = ({ tls, proxyProtocol }: ListenOptions): boolean =>
    tls?.caFile !== undefined ||
    (typeof proxyProtocol === 'object' && proxyProtocol.trustCertificate === true)
  if (listeners.some(takes)) return
  usage('user names of certificates need a listener that asks clients for them: see --tls-ca')
}

export function hooksOf({ passwords, acl, certificateUserNames }: Access): Hooks {
  return {
    ...(certificateUserNames ? { authenticate: byCertificate(passwords) } : {}),
    ...(passwords === null || certificateUserNames
      ? {}
      : { authenticate: client => passwords.authenticate(client) }),
    ...(acl === null
      ? {}
      : {
          authorizePublish: (client, topic) => acl.mayPublish(client, topic),
          authorizeReceive: (client, topic) => acl.mayReceive(client, topic),
        }),
  }
}

/** A name that nobody has checked could be that of a certificate: it takes a password then. */
function byCertificate(passwords: PasswordFile | null): NonNullable<Hooks['authenticate']> {
  return client => {
    const username = client.origin.certificate?.commonName ?? ''
    if (username !== '') return { reasonCode: 0, username }
    return passwords === null ? false : passwords.authenticate(client)
  }
}
