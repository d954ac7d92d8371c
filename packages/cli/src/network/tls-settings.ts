// What the TLS options of pub, sub and rr come to in Node's words.

import { X509Certificate } from 'node:crypto'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ConnectionOptions,
  createSecureContext,
  rootCertificates,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import { usage } from '../failure.ts'
import type { ClientChoice } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'

const TLS_PORT = 8883

/** Where systems keep the certificates that they trust. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
]

/** Whether the connection is to be encrypted. */
export function wantsTls(choice: ClientChoice): boolean {
  if (choice.noTls || choice.unix !== null) return false
  const { tls, secureUrl, cafile, capath, psk, port, tlsUseOsCerts, cert } = choice
  return (
    tls ||
    secureUrl ||
    tlsUseOsCerts ||
    cafile !== null ||
    capath !== null ||
    psk !== null ||
    cert !== null ||
    port === TLS_PORT
  )
}

/** @throws CommandFailure for a file that cannot be read, or is not what it has to be */
export function tlsSettings(choice: ClientChoice): ConnectionOptions {
  const { ciphers, tlsAlpn, tlsVersion, insecure, psk, pskIdentity } = choice
  if (ciphers !== null) checkPart({ ciphers }, () => `--ciphers: OpenSSL knows none of ${ciphers}`)
  return {
    ...authorities(choice),
    ...ownCertificate(choice),
    ...(ciphers === null ? {} : { ciphers }),
    ...(tlsAlpn === null ? {} : { ALPNProtocols: [tlsAlpn] }),
    ...(tlsVersion === null ? {} : oldest(tlsVersion)),
    // As in Mosquitto: the certificate must be signed, but may be another host's.
    ...(insecure ? { checkServerIdentity: () => undefined } : {}),
    ...(psk === null ? {} : preSharedKey(psk, pskIdentity ?? '', ciphers)),
  }
}

/** Writes the keys of a connection where Wireshark finds them. */
export function logKeys(socket: TLSSocket, path: string | null): void {
  if (path !== null) socket.on('keylog', (line: Buffer) => appendFileSync(path, line))
}

function authorities({ cafile, capath, tlsUseOsCerts }: ClientChoice): ConnectionOptions {
  if (cafile === null && capath === null && !tlsUseOsCerts) return {}
  const certificates: (string | Buffer)[] = []
  if (cafile !== null) certificates.push(readAuthority(cafile, WRONG))
  if (capath !== null) certificates.push(...readFolder(capath))
  if (tlsUseOsCerts) {
    const bundle = SYSTEM_BUNDLES.find(path => existsSync(path))
    certificates.push(...rootCertificates)
    if (bundle !== undefined) certificates.push(readFileSync(bundle))
  }
  return { ca: certificates }
}

/** @throws CommandFailure with that exit code */
export function readAuthority(path: string, exitCode: number): Buffer {
  const content = read('--cafile', path, exitCode)
  try {
    // OpenSSL takes a file without any as one that trusts nobody.
    new X509Certificate(content)
  } catch {
    usage(`--cafile: there is no certificate in PEM in ${path}`, exitCode)
  }
  return content
}

function ownCertificate({ cert, key }: ClientChoice): SecureContextOptions {
  return cert === null || key === null ? {} : readIdentity(cert, key, WRONG)
}

/** @throws CommandFailure with that exit code, which names the file that is none or does not fit */
export function readIdentity(
  certPath: string,
  keyPath: string,
  exitCode: number,
): { readonly cert: Buffer; readonly key: Buffer } {
  const cert = read('--cert', certPath, exitCode)
  const key = read('--key', keyPath, exitCode)
  const check = (part: SecureContextOptions, explain: (why: string) => string): void =>
    checkPart(part, explain, exitCode)
  check({ cert }, () => `--cert: there is no certificate in PEM in ${certPath}`)
  check({ key }, why => `--key: there is no usable private key in ${keyPath} (${why})`)
  check({ cert, key }, () => `--key: ${keyPath} is not the key of ${certPath}`)
  return { cert, key }
}

/** OpenSSL says what is wrong and not with which file. */
function checkPart(
  part: SecureContextOptions,
  explain: (why: string) => string,
  exitCode: number = WRONG,
): void {
  try {
    createSecureContext(part)
  } catch (error) {
    usage(explain((error as Error).message.replace(/^error:[^:]*:[^:]*::?/, '')), exitCode)
  }
}

function readFolder(path: string): Buffer[] {
  let names: string[]
  try {
    names = readdirSync(path)
  } catch (error) {
    return usage(`--capath: ${(error as Error).message}`, WRONG)
  }
  return names
    .filter(name => /\.(?:crt|pem|\d)$/.test(name))
    .map(name => read('--capath', join(path, name)))
}

/** As in Mosquitto the oldest that is allowed. */
function oldest(version: string): ConnectionOptions {
  const name = version === 'tlsv1.3' ? 'TLSv1.3' : version === 'tlsv1.2' ? 'TLSv1.2' : 'TLSv1.1'
  return { minVersion: name }
}

function preSharedKey(key: string, identity: string, ciphers: string | null): ConnectionOptions {
  return {
    pskCallback: () => ({ psk: Buffer.from(key, 'hex'), identity }),
    // Without a certificate there is no name to check; pre-shared keys of Node are TLS 1.2's.
    checkServerIdentity: () => undefined,
    maxVersion: 'TLSv1.2',
    ciphers: ciphers ?? 'PSK',
  }
}

function read(name: string, path: string, exitCode: number = WRONG): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    return usage(`${name}: ${(error as Error).message}`, exitCode)
  }
}
