// Who may come in by a password file in Mosquitto's format: lines of `name:hash`. It is read as a
// whole, again on `reload`; what a client may do once it is in is not decided here.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ReasonCode } from '@godwit/packet'
import { CHECKS_AT_ONCE, CheckLine } from './check-line.ts'
import { type PasswordHash, PasswordHashError, parsePasswordHash } from './password-hash.ts'

export interface PasswordFileOptions {
  /** Whether clients without a user name may come in. Default: false. */
  readonly allowAnonymous?: boolean
}

/** What is asked of a client that wants to come in. */
export interface Credentials {
  readonly username: string | null
  readonly password: Uint8Array | null
}

interface User {
  readonly hash: PasswordHash
  /** A digest of the password that was right last: the next time it costs next to nothing. */
  lastRight: Uint8Array | null
}

/** Passwords that are checked or wait for it: each may cost a hash that is slow on purpose. */
const CHECKS_MAX = 100
/** A hash that takes more is checked alone. */
const SHARED_MEMORY_BYTES = 64 * 1024 * 1024
/** Of a file without users. */
const NOBODY = `$7$101$${'A'.repeat(16)}$${'A'.repeat(86)}==`

export class PasswordFile {
  /** Lines that could not be read: nobody comes in by them. */
  problems: readonly string[] = []
  private readonly path: string
  private readonly allowAnonymous: boolean
  /** Of this process only, so that the digests are worth nothing elsewhere. */
  private readonly key = randomBytes(32)
  /** Somebody who does not exist takes as long as somebody who does. */
  private nobody = parsePasswordHash(NOBODY)
  private users = new Map<string, User>()
  private checking = 0
  private readonly line = new CheckLine()
  /** Passwords whose hash had to be made. */
  hashesMade = 0

  /** @throws Error of the file system */
  constructor(path: string, options: PasswordFileOptions = {}) {
    this.path = path
    this.allowAnonymous = options.allowAnonymous === true
    this.reload()
  }

  get userCount(): number {
    return this.users.size
  }

  /** Reads the file again; when that fails, what was read before holds. @throws Error */
  reload(): void {
    const users = new Map<string, User>()
    const problems: string[] = []
    for (const [index, text] of readFileSync(this.path, 'utf8').split('\n').entries()) {
      const line = text.trimEnd()
      if (line === '' || line.startsWith('#')) continue
      const colon = line.indexOf(':')
      const name = line.slice(0, Math.max(0, colon))
      try {
        if (name === '') throw new PasswordHashError('expected name:hash')
        const hash = parsePasswordHash(line.slice(colon + 1))
        users.set(name, { hash, lastRight: null })
      } catch (error) {
        if (!(error instanceof PasswordHashError)) throw error
        problems.push(`${this.path}:${index + 1}: ${error.message}`)
      }
    }
    this.users = users
    for (const { hash } of users.values()) {
      this.nobody = hash
      break
    }
    this.problems = problems
  }

  /**
   * An authenticate hook: 0, or the reason code of the refusal. It tells nobody whether a user name
   * exists.
   */
  async authenticate({ username, password }: Credentials): Promise<number> {
    if (username === null && password === null) {
      return this.allowAnonymous ? 0 : ReasonCode.NOT_AUTHORIZED
    }
    const user = username === null ? undefined : this.users.get(username)
    const digest = createHmac('sha256', this.key)
      .update(password ?? '')
      .digest()
    if (wasRight(user, digest)) return 0
    if (this.checking >= CHECKS_MAX) return ReasonCode.SERVER_BUSY
    const hash = user?.hash ?? this.nobody
    const check = async (): Promise<boolean> => {
      // One of the same user before it may have been right.
      if (wasRight(user, digest)) return true
      this.hashesMade++
      const isRight = await hash.verify(password ?? new Uint8Array(0))
      if (isRight && user !== undefined) user.lastRight = digest
      return isRight && user !== undefined
    }
    this.checking++
    try {
      const isRight = await this.line.run(username ?? '', weightOf(hash), check)
      return isRight ? 0 : ReasonCode.NOT_AUTHORIZED
    } finally {
      this.checking--
    }
  }
}

function wasRight(user: User | undefined, digest: Uint8Array): boolean {
  return user?.lastRight != null && timingSafeEqual(user.lastRight, digest)
}

/**
 * PBKDF2 is made in the threads that write the store's log as well: half of these stay free for it.
 */
function weightOf({ kind, memoryBytes }: PasswordHash): number {
  if (memoryBytes > SHARED_MEMORY_BYTES) return CHECKS_AT_ONCE
  return kind === 'sha512-pbkdf2' ? Math.ceil(CHECKS_AT_ONCE / 2) : 1
}
