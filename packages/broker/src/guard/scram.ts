// SCRAM-SHA-256 as MQTT's enhanced authentication: RFC 5802 and RFC 7677, without channel binding.
// It knows the exchange and its arithmetic; who waits for it and when is the caller's.

import {
  createHash,
  createHmac,
  pbkdf2,
  pbkdf2Sync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

export const SCRAM_SHA_256 = 'SCRAM-SHA-256'
export const DEFAULT_SCRAM_ITERATIONS = 15_000

const HASH_BYTES = 32
const SALT_BYTES = 16
const NONCE_BYTES = 18
const NAME_BYTES_MAX = 1024
const NONCE_CHARS_MAX = 256

/** What the server keeps of a user instead of the password. RFC 5802 section 3. */
export interface ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** Finds a user; null when there is none. */
export type ScramLookup = (username: string) => ScramKeys | null | Promise<ScramKeys | null>

/** Why an exchange failed; the client is told the word of RFC 5802 section 7. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

/** @returns what to keep of a password; slow on purpose */
export function scramKeys(
  password: string,
  iterations: number = DEFAULT_SCRAM_ITERATIONS,
  salt: Uint8Array = randomBytes(SALT_BYTES),
): ScramKeys {
  const salted = pbkdf2Sync(prepared(password), salt, iterations, HASH_BYTES, 'sha256')
  return keysOf(salted, salt, iterations)
}

/** The same, on another thread. */
export function scramKeysLater(
  password: string,
  iterations: number = DEFAULT_SCRAM_ITERATIONS,
  salt: Uint8Array = randomBytes(SALT_BYTES),
): Promise<ScramKeys> {
  return new Promise((resolve, reject) => {
    pbkdf2(prepared(password), salt, iterations, HASH_BYTES, 'sha256', (error, salted) => {
      if (error === null) resolve(keysOf(salted, salt, iterations))
      else reject(error)
    })
  })
}

/** The client's first message, taken apart. */
export interface ClientFirst {
  readonly username: string
  readonly nonce: string
  /** `n,,` or the like, which the client repeats at the end. */
  readonly header: string
  /** The message without that header. */
  readonly bare: string
}

/** @throws ScramError */
export function readClientFirst(data: Uint8Array): ClientFirst {
  const text = textOf(data)
  const match = /^(n|y),(a=[^,]+)?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/.exec(text)
  if (match === null) {
    if (text.startsWith('p=')) throw new ScramError('channel-binding-not-supported')
    throw new ScramError('invalid-encoding')
  }
  const [, flag = '', authority = '', bare = '', name = '', nonce = ''] = match
  const username = unescaped(name)
  if (authority !== '' && unescaped(authority.slice(2)) !== username) {
    throw new ScramError('other-error')
  }
  if (nonce.length > NONCE_CHARS_MAX) throw new ScramError('other-error')
  return { username, nonce, header: `${flag},${authority},`, bare }
}

/** One exchange after the client's first message, for a user whose keys are known. */
export class ScramExchange {
  readonly username: string
  /** The server's first message, to be sent. */
  readonly challenge: Uint8Array
  private readonly first: ClientFirst
  private readonly serverFirst: string
  private readonly nonce: string
  private readonly keys: ScramKeys
  private readonly known: boolean

  /** @param known false: `keys` are made up, and nobody gets in with them */
  constructor(
    first: ClientFirst,
    keys: ScramKeys,
    known: boolean,
    serverNonce: string = randomBytes(NONCE_BYTES).toString('base64'),
  ) {
    this.username = first.username
    this.first = first
    this.keys = keys
    this.known = known
    this.nonce = first.nonce + serverNonce
    const salt = Buffer.from(keys.salt).toString('base64')
    this.serverFirst = `r=${this.nonce},s=${salt},i=${keys.iterations}`
    this.challenge = Buffer.from(this.serverFirst)
  }

  /**
   * Checks the client's proof.
   * @returns the server's proof
   * @throws ScramError
   */
  finish(data: Uint8Array): Uint8Array {
    const text = textOf(data)
    const match = /^(c=([^,]*),r=([^,]*)(?:,[^,]*)*?),p=([A-Za-z0-9+/]+=*)$/.exec(text)
    if (match === null) throw new ScramError('invalid-encoding')
    const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match
    if (Buffer.from(binding, 'base64').toString() !== this.first.header) {
      throw new ScramError('channel-bindings-dont-match')
    }
    if (nonce !== this.nonce) throw new ScramError('other-error')
    const message = `${this.first.bare},${this.serverFirst},${withoutProof}`
    const { storedKey, serverKey } = this.keys
    const signature = hmac(storedKey, message)
    const given = Buffer.from(proof, 'base64')
    const clientKey = Buffer.alloc(HASH_BYTES)
    for (let i = 0; i < HASH_BYTES; i++) {
      clientKey[i] = (given[i] ?? 0) ^ (signature[i] as number)
    }
    const matches = timingSafeEqual(sha256(clientKey), storedKey)
    if (!matches || !this.known || given.length !== HASH_BYTES) {
      throw new ScramError('invalid-proof')
    }
    return Buffer.from(`v=${hmac(serverKey, message).toString('base64')}`)
  }
}

/**
 * Keys for a user that does not exist: always the same for one name, so that nobody learns from
 * the salt who exists.
 */
export function inventedKeys(secret: Uint8Array, username: string, iterations: number): ScramKeys {
  const salt = hmac(secret, `salt ${username}`).subarray(0, SALT_BYTES)
  const storedKey = hmac(secret, `stored ${username}`)
  return { salt, iterations, storedKey, serverKey: hmac(secret, `server ${username}`) }
}

function keysOf(salted: Uint8Array, salt: Uint8Array, iterations: number): ScramKeys {
  const storedKey = sha256(hmac(salted, 'Client Key'))
  return { salt, iterations, storedKey, serverKey: hmac(salted, 'Server Key') }
}

/** SASLprep (RFC 4013) as far as Unicode's own tables give it. */
function prepared(text: string): string {
  const mapped = text.replace(/\p{Default_Ignorable_Code_Point}/gu, '')
  const normal = mapped.replace(/\p{Zs}/gu, ' ').normalize('NFKC')
  if (/\p{Cc}/u.test(normal)) throw new ScramError('invalid-encoding')
  return normal
}

function unescaped(name: string): string {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX || /=(?!2C|3D)/.test(name)) {
    throw new ScramError('invalid-username-encoding')
  }
  return prepared(name.replaceAll('=2C', ',').replaceAll('=3D', '='))
}

function textOf(data: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
  } catch (error) {
    throw new ScramError('invalid-encoding', { cause: error })
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
