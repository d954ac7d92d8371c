// Certificates: where they come from, and what those of clients say.

import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createSecureContext,
  type SecureContextOptions,
  type SecureVersion,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import type { Origin } from '../core/ports.ts'

const HASHED_NAME = /^[0-9a-f]{8}\.\d+$/

/** Certificate and key, as files that `reload` reads again or as their contents. All in PEM. */
export interface CertificateOptions {
  readonly certFile?: string
  readonly keyFile?: string
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  readonly passphrase?: string
  /** Who may have signed the certificates of clients. */
  readonly caFile?: string
  readonly ca?: string | Uint8Array
  /** The same as a directory that `openssl rehash` has made: files such as `5ed36f99.0`. */
  readonly caDirectory?: string
  /** Which of them are revoked. */
  readonly crlFile?: string
  readonly crl?: string | Uint8Array
  /**
   * `required` (mutual TLS) lets nobody in without a certificate that `ca` has signed, `optional`
   * takes note of one. Default: `required` when there is a `ca`, else `none`.
   */
  readonly clientCertificate?: 'none' | 'optional' | 'required'
  /** Default: TLSv1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  readonly ciphers?: string
}

/**
 * Reads the files and looks whether they hold what they have to.
 * @throws Error that names the file, or the option
 */
export function readSecureContext(options: CertificateOptions): SecureContextOptions {
  const { cert, certFile, key, keyFile, crl, crlFile } = options
  const minVersion: SecureVersion = options.minVersion ?? 'TLSv1.2'
  const context: SecureContextOptions = {
    ...part('cert', cert, certFile),
    ...part('key', key, keyFile),
    ...authorities(options),
    ...part('crl', crl, crlFile),
    ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
    ...(options.ciphers === undefined ? {} : { ciphers: options.ciphers }),
    minVersion,
  }
  checkContext(context, options)
  return context
}

/** OpenSSL says what is wrong, and not with which file. */
function checkContext(context: SecureContextOptions, options: CertificateOptions): void {
  const { cert, key, ca, crl, ciphers, passphrase } = context
  const certName = nameOf('cert', options.certFile)
  const keyName = nameOf('key', options.keyFile)
  checkPart({ cert }, `${certName}: expected a certificate in PEM`)
  checkPart({ key, passphrase }, `${keyName}: expected a private key in PEM`)
  checkPart({ cert, key, passphrase }, `${keyName}: expected the private key of ${certName}`)
  checkPart({ crl }, `${nameOf('crl', options.crlFile)}: expected a list of revoked certificates`)
  checkPart({ ciphers }, `ciphers: expected names that OpenSSL knows, got ${ciphers}`)
  if (ca === undefined) return
  const [first] = Array.isArray(ca) ? ca : [ca]
  try {
    // OpenSSL takes one without a certificate for nobody, and then nobody could come in.
    new X509Certificate(first as string | Buffer)
  } catch {
    const isFile = options.ca !== undefined || options.caFile !== undefined
    const name = isFile ? nameOf('ca', options.caFile) : `caDirectory ${options.caDirectory}`
    throw new Error(`${name}: expected certificates in PEM, got none`)
  }
}

function checkPart(
  part: { readonly [Name in keyof SecureContextOptions]: SecureContextOptions[Name] | undefined },
  expected: string,
): void {
  const given = Object.entries(part).filter(([, value]) => value !== undefined)
  try {
    createSecureContext(Object.fromEntries(given))
  } catch (error) {
    const { reason, message } = error as Error & { readonly reason?: string }
    throw new Error(`${expected} (${reason ?? message})`, { cause: error })
  }
}

function nameOf(option: string, file: string | undefined): string {
  return file === undefined ? option : `${option}File ${file}`
}

/** Whether there is somebody who may have signed certificates of clients. */
export function hasAuthority({ ca, caFile, caDirectory }: CertificateOptions): boolean {
  return ca !== undefined || caFile !== undefined || caDirectory !== undefined
}

/** From a file and a directory together, where both are given. */
function authorities({ ca, caFile, caDirectory }: CertificateOptions): SecureContextOptions {
  const one = part('ca', ca, caFile)
  if (caDirectory === undefined) return one
  const found = hashedCertificates(caDirectory)
  return { ca: 'ca' in one ? [one.ca as string | Buffer, ...found] : found }
}

/** As OpenSSL does it: what has no name of a hash is not trusted. */
function hashedCertificates(directory: string): Buffer[] {
  const name = `caDirectory ${directory}`
  let found: string[]
  try {
    found = readdirSync(directory).filter(file => HASHED_NAME.test(file))
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error })
  }
  if (found.length === 0) {
    throw new Error(`${name}: expected files such as 5ed36f99.0, got none; run openssl rehash`)
  }
  return found.sort().map(file => readFile('ca', join(directory, file)))
}

/** What a TLS server is created with. */
export function tlsServerOptions(
  options: CertificateOptions,
  handshakeTimeoutMs: number,
): TlsOptions {
  const wanted = options.clientCertificate ?? (hasAuthority(options) ? 'required' : 'none')
  return {
    ...readSecureContext(options),
    requestCert: wanted !== 'none',
    rejectUnauthorized: wanted === 'required',
    handshakeTimeout: handshakeTimeoutMs,
  }
}

/** The names in a client certificate that was verified; null when there is none. */
export function certificateOf(socket: TLSSocket): Origin['certificate'] {
  if (!socket.authorized) return null
  const certificate = socket.getPeerCertificate()
  if (certificate?.subject === undefined) return null
  // With several common names the first one counts, as in Mosquitto. The types know only one.
  const { CN: name }: { CN?: string | string[] } = certificate.subject
  const commonName = Array.isArray(name) ? (name[0] ?? '') : (name ?? '')
  const names = alternativeNames(certificate.subjectaltname ?? '')
  return { commonName, names, subject: subjectOf(socket.getPeerX509Certificate()?.subject ?? '') }
}

/**
 * `CN=device,O=Example`, as RFC 2253 and Mosquitto write it.
 * @param lines as Node has it: a part in each, the most general first
 */
export function subjectOf(lines: string): string {
  const parts = lines.split('\n').reverse()
  const text = parts.map(part => part.replaceAll(' + ', '+')).join(',')
  return text.replaceAll(/[\u0080-\uffff]+/g, wide =>
    [...Buffer.from(wide)].map(byte => `\\${byte.toString(16).toUpperCase()}`).join(''),
  )
}

/** `DNS:a.example, IP Address:192.0.2.1, URI:"x, y"`: Node quotes what holds a comma. */
export function alternativeNames(text: string): string[] {
  const names: string[] = []
  for (const match of text.matchAll(/(?:^|, )[A-Za-z ]+:("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const value = match[1] ?? ''
    const name: unknown = value.startsWith('"') ? JSON.parse(value) : value
    if (typeof name === 'string') names.push(name)
  }
  return names
}

function part(
  name: 'cert' | 'key' | 'ca' | 'crl',
  content: string | Uint8Array | undefined,
  file: string | undefined,
): SecureContextOptions {
  if (file !== undefined) return { [name]: readFile(name, file) }
  if (content === undefined) return {}
  return { [name]: typeof content === 'string' ? content : Buffer.from(content) }
}

function readFile(option: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new Error(`${nameOf(option, file)}: ${(error as Error).message}`, { cause: error })
  }
}
