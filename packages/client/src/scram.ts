// SCRAM-SHA-256 as an authenticator: RFC 5802 and RFC 7677, without channel binding. The password
// never leaves the client, and the server proves that it knows it too.

import { decodeUtf8, encodeUtf8 } from '@godwit/packet'
import { invalidArgument } from './errors.ts'
import { Limits } from './limits.ts'
import type { Authenticator } from './options.ts'

const NONCE_BYTES = 15
const HASH_BYTES = 32
/** RFC 7677 section 4. */
const ITERATIONS_MIN = 4096
const HEADER = 'n,,'

/** Who authenticates. */
export interface ScramOptions {
  readonly username: string
  readonly password: string
}

/**
 * An authenticator for SCRAM-SHA-256. One object serves one client.
 * @throws MqttError `invalid-argument` for text that SCRAM forbids
 */
export function scramSha256(options: ScramOptions): Authenticator {
  return new ScramClient(options)
}

class ScramClient implements Authenticator {
  readonly method = 'SCRAM-SHA-256'
  private readonly name: string
  private readonly password: Uint8Array
  private nonce = ''
  /** What the server has to prove, null when it has not been asked yet. */
  private expected: string | null = null

  constructor({ username, password }: ScramOptions) {
    this.name = prepared(username).replaceAll('=', '=3D').replaceAll(',', '=2C')
    this.password = encodeUtf8(prepared(password))
  }

  start(): Uint8Array {
    this.nonce = toBase64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)))
    this.expected = null
    return encodeUtf8(HEADER + this.bare)
  }

  async next(data: Uint8Array): Promise<Uint8Array> {
    if (this.expected !== null) throw new Error('asked twice')
    const serverFirst = decodeUtf8(data, 0, data.length)
    const match = /^r=([^,]+),s=([A-Za-z0-9+/]+=*),i=([1-9]\d{0,8})(?:,|$)/.exec(serverFirst)
    if (match === null) throw new Error('expected nonce, salt and iterations')
    const [, nonce = '', salt = '', count = ''] = match
    const iterations = Number(count)
    if (!nonce.startsWith(this.nonce) || nonce.length === this.nonce.length) {
      throw new Error('not our nonce, or only ours')
    }
    if (iterations < ITERATIONS_MIN || iterations > Limits.scramIterations) {
      throw new Error(`${iterations} iterations are too few or too many`)
    }
    const salted = await saltedPassword(this.password, fromBase64(salt), iterations)
    const clientKey = await hmac(salted, 'Client Key')
    const storedKey = new Uint8Array(await crypto.subtle.digest('SHA-256', clientKey))
    const withoutProof = `c=${toBase64(encodeUtf8(HEADER))},r=${nonce}`
    const message = `${this.bare},${serverFirst},${withoutProof}`
    const signature = await hmac(storedKey, message)
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
    const serverKey = await hmac(salted, 'Server Key')
    this.expected = `v=${toBase64(await hmac(serverKey, message))}`
    return encodeUtf8(`${withoutProof},p=${toBase64(proof)}`)
  }

  finish(data: Uint8Array | undefined): void {
    const { expected } = this
    this.expected = null
    const given = data === undefined ? '' : decodeUtf8(data, 0, data.length)
    if (expected === null || given !== expected) {
      throw new Error('the server does not know the password')
    }
  }

  private get bare(): string {
    return `n=${this.name},r=${this.nonce}`
  }
}

async function saltedPassword(
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): Promise<Uint8Array> {
  const { subtle } = crypto
  const key = await subtle.importKey('raw', password, 'PBKDF2', false, ['deriveBits'])
  const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations }
  return new Uint8Array(await subtle.deriveBits(algorithm, key, HASH_BYTES * 8))
}

async function hmac(key: Uint8Array, text: string): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const imported = await crypto.subtle.importKey('raw', key, algorithm, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, encodeUtf8(text)))
}

/** SASLprep (RFC 4013) as far as Unicode's own tables give it. */
function prepared(text: string): string {
  const mapped = text.replace(/\p{Default_Ignorable_Code_Point}/gu, '')
  const normal = mapped.replace(/\p{Zs}/gu, ' ').normalize('NFKC')
  if (/\p{Cc}/u.test(normal)) throw invalidArgument('SCRAM: a name or password with a control')
  return normal
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0))
}
