// What is said of who may come in and do what: for all listeners, or for one.

/** As a file has it; at a listener what is not there is as for all. */
export interface AccessFields {
  /** `none` at a listener: not for this one. */
  readonly passwordFile?: string | undefined
  readonly allowAnonymous?: boolean | undefined
  readonly aclFile?: string | undefined
  readonly certificateUserNames?: boolean | 'subject' | undefined
}

export interface AccessChoice {
  readonly passwordFile: string | null
  /** Null: those without a user name come in where there is no password file. */
  readonly allowAnonymous: boolean | null
  /** Null: everybody may publish and read everything. */
  readonly aclFile: string | null
  /** Which name of a client's certificate is its user name; null: none. */
  readonly certificateUserNames: 'common-name' | 'subject' | null
}

const NONE = 'none'

/** @param base what holds where the fields say nothing */
export function accessOf(fields: AccessFields, base: AccessChoice = EVERYBODY): AccessChoice {
  const { passwordFile, allowAnonymous, aclFile, certificateUserNames } = fields
  return {
    passwordFile: fileOf(passwordFile, base.passwordFile),
    allowAnonymous: allowAnonymous ?? base.allowAnonymous,
    aclFile: fileOf(aclFile, base.aclFile),
    certificateUserNames: namesOf(certificateUserNames, base.certificateUserNames),
  }
}

export function isOwnAccess(fields: AccessFields): boolean {
  return Object.values(fields).some(value => value !== undefined)
}

const EVERYBODY: AccessChoice = {
  passwordFile: null,
  allowAnonymous: null,
  aclFile: null,
  certificateUserNames: null,
}

function fileOf(given: string | undefined, base: string | null): string | null {
  if (given === undefined) return base
  return given === NONE ? null : given
}

function namesOf(
  given: boolean | 'subject' | undefined,
  base: AccessChoice['certificateUserNames'],
): AccessChoice['certificateUserNames'] {
  if (given === undefined) return base
  if (given === 'subject') return 'subject'
  return given ? 'common-name' : null
}
