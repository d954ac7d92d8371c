// The client's side of SCRAM-SHA-256, straight from RFC 5802: an implementation of its own, so that
// the broker's is not checked against itself.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

export class ScramClient {
  readonly first: Buffer
  readonly #bare: string
  readonly #nonce: string
  readonly #password: string
  #serverSignature = ''

  constructor(username: string, password: string) {
    this.#password = password
    this.#nonce = randomBytes(12).toString('base64')
    this.#bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.#nonce}`
    this.first = Buffer.from(`n,,${this.#bare}`)
  }

  /** The answer to the server's first message. */
  final(challenge: Uint8Array): Buffer {
    const text = Buffer.from(challenge).toString()
    const fields = new Map(text.split(',').map(part => [part.slice(0, 1), part.slice(2)]))
    const nonce = fields.get('r') ?? ''
    if (!nonce.startsWith(this.#nonce)) throw new Error('the server changed the nonce')
    const salt = Buffer.from(fields.get('s') ?? '', 'base64')
    const salted = pbkdf2Sync(this.#password, salt, Number(fields.get('i')), 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const stored = createHash('sha256').update(clientKey).digest()
    const withoutProof = `c=biws,r=${nonce}`
    const message = `${this.#bare},${text},${withoutProof}`
    const signature = hmac(stored, message)
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message).toString('base64')
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)
  }

  /** Whether the server has proven that it knows the password too. */
  accepts(last: Uint8Array): boolean {
    return Buffer.from(last).toString() === `v=${this.#serverSignature}`
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
