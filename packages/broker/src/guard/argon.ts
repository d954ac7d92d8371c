// argon2id, as password files have it: makes and checks hashes in the thread that calls.

import { argon2id, argon2Verify } from 'hash-wasm'

/** What OWASP asks of argon2id. */
const Parameters = { parallelism: 1, iterations: 2, memorySize: 19_456, hashLength: 32 } as const

/** @returns a hash in the form of password files */
export function hashArgon(password: Uint8Array, salt: Uint8Array): Promise<string> {
  return argon2id({ ...Parameters, password, salt, outputType: 'encoded' })
}

export function isArgonOf(password: Uint8Array, hash: string): Promise<boolean> {
  return argon2Verify({ password, hash })
}
