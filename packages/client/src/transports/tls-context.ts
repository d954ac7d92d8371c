// The certificates and keys of this side, as TLS takes them. What is wrong with them is said before
// anything is dialled, in words; it is not tried again, for nothing would change.

import { createSecureContext, type SecureContext } from 'node:tls'
import { invalidArgument } from '../errors.ts'
import { shown } from '../option-values.ts'
import type { TlsOptions } from '../transport.ts'

const BEGIN = '-----BEGIN'

/** @throws MqttError `invalid-argument` */
export function secureContextOf(tls: TlsOptions): SecureContext {
  const { ca, cert, key, passphrase, ciphers, minVersion, maxVersion } = tls
  needsPem('ca', ca)
  needsPem('cert', cert)
  needsPem('key', key)
  if (cert !== undefined && key === undefined) throw invalidArgument('tls: cert needs key')
  if (key !== undefined && cert === undefined) throw invalidArgument('tls: key needs cert')
  const given = { ca, cert, key, passphrase, ciphers, minVersion, maxVersion }
  try {
    return createSecureContext(given as object)
  } catch (cause) {
    throw invalidArgument(`tls: ${textOf(cause)}`, cause)
  }
}

function needsPem(name: string, value: TlsOptions['ca']): void {
  if (value === undefined) return
  for (const part of Array.isArray(value) ? value : [value]) {
    if (!(typeof part === 'string' || part instanceof Uint8Array)) {
      throw invalidArgument(`tls: ${name}: expected PEM as a string or bytes, got ${shown(part)}`)
    }
    // Node takes any text as `ca` and then trusts nobody.
    if (Buffer.from(part).includes(BEGIN)) continue
    throw invalidArgument(`tls: ${name}: expected PEM, with ${BEGIN} in it: a path is not read`)
  }
}

/** Of an error of OpenSSL. Never what was given: it may be a key. */
function textOf(cause: unknown): string {
  const { code = '', message = '' } = cause as { readonly code?: string; readonly message?: string }
  if (/BAD_DECRYPT|BAD_PASSWORD|PASSPHRASE|INTERRUPTED/.test(code)) {
    return 'key: the passphrase is missing or wrong'
  }
  if (code.includes('KEY_VALUES_MISMATCH')) return 'key is not the one of cert'
  return message.replace(/^error:[0-9A-F]+:/, '')
}
