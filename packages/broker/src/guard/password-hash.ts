// Hashes of passwords in the forms of Mosquitto's password files: $6$ (salted SHA-512, of 1.6 and
// before), $7$ (PBKDF2 with SHA-512, of 2.0) and argon2id (of 2.1). All can be made and checked.

import { createHash, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { checkArgon } from './argon-thread.ts'

/** How a password is hashed, in the words of `mosquitto_passwd -H`. */
export type PasswordHashKind = 'sha512' | 'sha512-pbkdf2' | 'argon2id'

export const PASSWORD_HASH_KINDS: readonly PasswordHashKind[] = [
  'sha512',
  'sha512-pbkdf2',
  'argon2id',
]

/** What a password file has is no hash that can be checked. */
export class PasswordHashError extends Error {
  override readonly name = 'PasswordHashError'
}

export interface PasswordHashOptions {
  /** Of `sha512-pbkdf2`, 1 to 10 000 000. */
  readonly iterations?: number
}

/** A hash that was read: it can say whether a password is its. */
export interface PasswordHash {
  readonly kind: PasswordHashKind
  /** What a check takes, beside a processor. */
  readonly memoryBytes: number
  verify(password: Uint8Array): Promise<boolean>
}

/** What OWASP asks of PBKDF2 with SHA-512; Mosquitto 2.0 itself takes 101. */
export const DEFAULT_PBKDF2_ITERATIONS = 210_000

const ITERATIONS_MAX = 10_000_000
/** Mosquitto 2.0 reads no other length in $6$ and $7$. */
const SALT_BYTES = 12
const ARGON2_SALT_BYTES = 16
const HASH_BYTES = 64
/** More than a password file may ask of the broker: 1 GiB, 100 passes. */
const ARGON2_KIB_MAX = 1_048_576
const ARGON2_PASSES_MAX = 100

function deriveKey(password: Uint8Array, salt: Uint8Array, iterations: number): Promise<Buffer> {
  return promisify(pbkdf2)(password, salt, iterations, HASH_BYTES, 'sha512')
}

/**
 * Hashes a password for a password file.
 * @throws RangeError for an empty password and for iterations out of range
 */
export async function hashPassword(
  password: Uint8Array,
  kind: PasswordHashKind = 'sha512-pbkdf2',
  options: PasswordHashOptions = {},
): Promise<string> {
  if (password.length === 0) throw new RangeError('the password is empty')
  const salt = randomBytes(kind === 'argon2id' ? ARGON2_SALT_BYTES : SALT_BYTES)
  switch (kind) {
    case 'sha512':
      return `$6$${salt.toString('base64')}$${sha512(password, salt).toString('base64')}`
    case 'sha512-pbkdf2': {
      const iterations = options.iterations ?? DEFAULT_PBKDF2_ITERATIONS
      if (!Number.isInteger(iterations) || iterations < 1 || iterations > ITERATIONS_MAX) {
        throw new RangeError(`iterations: expected 1 to ${ITERATIONS_MAX}, got ${iterations}`)
      }
      const key = await deriveKey(password, salt, iterations)
      return `$7$${iterations}$${salt.toString('base64')}$${key.toString('base64')}`
    }
    default: {
      const { hashArgon } = await import('./argon.ts')
      return hashArgon(password, salt)
    }
  }
}

/** Reads a hash of a password file. @throws PasswordHashError that says what is wrong with it */
export function parsePasswordHash(text: string): PasswordHash {
  const [before, scheme, ...fields] = text.split('$')
  if (before !== '') throw new PasswordHashError('a hash begins with $6$, $7$ or $argon2id$')
  switch (scheme) {
    case '6':
      return parseSha512(fields)
    case '7':
      return parsePbkdf2(fields)
    case 'argon2id':
      return parseArgon2(text)
    default:
      throw new PasswordHashError(`$${scheme}$ is none of $6$, $7$ and $argon2id$`)
  }
}

function parseSha512(fields: readonly string[]): PasswordHash {
  const [salt = '', hash = '', more] = fields
  if (more !== undefined) throw new PasswordHashError('$6$ is followed by a salt and a hash')
  const saltBytes = decode('salt', salt)
  const expected = decode('hash', hash)
  checkLength(expected)
  const verify = (password: Uint8Array): boolean =>
    timingSafeEqual(sha512(password, saltBytes), expected)
  return { kind: 'sha512', memoryBytes: 0, verify: async password => verify(password) }
}

function parsePbkdf2(fields: readonly string[]): PasswordHash {
  const [count = '', salt = '', hash = '', more] = fields
  const iterations = /^\d{1,9}$/.test(count) ? Number(count) : 0
  if (more !== undefined || iterations < 1 || iterations > ITERATIONS_MAX) {
    const range = `1 to ${ITERATIONS_MAX} iterations`
    throw new PasswordHashError(`$7$ is followed by ${range}, a salt and a hash`)
  }
  const saltBytes = decode('salt', salt)
  const expected = decode('hash', hash)
  checkLength(expected)
  return {
    kind: 'sha512-pbkdf2',
    memoryBytes: 0,
    verify: async password => {
      const key = await deriveKey(password, saltBytes, iterations)
      return timingSafeEqual(key, expected)
    },
  }
}

function parseArgon2(text: string): PasswordHash {
  const pattern =
    /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/
  const [, memory = '0', passes = '0'] = pattern.exec(text) ?? []
  if (memory === '0' || Number(memory) > ARGON2_KIB_MAX || Number(passes) > ARGON2_PASSES_MAX) {
    const form = '$argon2id$v=19$m=…,t=…,p=…$salt$hash'
    throw new PasswordHashError(`expected ${form}, at most 1 GiB and ${ARGON2_PASSES_MAX} passes`)
  }
  return {
    kind: 'argon2id',
    memoryBytes: Number(memory) * 1024,
    verify: async password => {
      if (password.length === 0) return false
      return checkArgon(password, text)
    },
  }
}

function sha512(password: Uint8Array, salt: Uint8Array): Buffer {
  return createHash('sha512').update(password).update(salt).digest()
}

function decode(what: string, text: string): Buffer {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new PasswordHashError(`the ${what} is not base64`)
  }
  return Buffer.from(text, 'base64')
}

function checkLength(hash: Uint8Array): void {
  if (hash.length !== HASH_BYTES) {
    throw new PasswordHashError(`the hash has ${hash.length} bytes, expected ${HASH_BYTES}`)
  }
}
