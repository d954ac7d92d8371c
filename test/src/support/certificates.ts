// Certificates for tests, made when they are needed: an authority, what it signs and what it
// revokes. Nothing of it is ever written into the repository. The only file that imports x509.

import './reflect.ts'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

const DAY_MS = 24 * 60 * 60 * 1000
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const KEY_COMPROMISE = 1

x509.cryptoProvider.set(webcrypto)

/** A certificate and its key, in PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface CertificateWish {
  readonly commonName: string
  /** DNS names and IP addresses. */
  readonly names?: readonly string[]
  /** Its time was over yesterday. */
  readonly expired?: boolean
}

let serials = 1

export class Authority {
  /** Its own certificate, in PEM. */
  readonly cert: string
  readonly #name: string
  readonly #keys: webcrypto.CryptoKeyPair
  /** Of what it has signed. A pair has none: as it is, it is an option of a listener. */
  readonly #serials = new Map<KeyPair, string>()

  private constructor(name: string, cert: string, keys: webcrypto.CryptoKeyPair) {
    this.#name = name
    this.cert = cert
    this.#keys = keys
  }

  static async create(commonName: string): Promise<Authority> {
    const keys = await newKeys()
    const name = `CN=${commonName}`
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: nextSerial(),
      name,
      ...validity(false),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
      ],
    })
    return new Authority(name, certificate.toString('pem'), keys)
  }

  async issue(wish: CertificateWish): Promise<KeyPair> {
    const keys = await newKeys()
    const serial = nextSerial()
    const names = (wish.names ?? ['127.0.0.1', 'localhost']).map(value => ({
      type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
      value,
    }))
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: `CN=${wish.commonName}`,
      issuer: this.#name,
      ...validity(wish.expired === true),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [new x509.SubjectAlternativeNameExtension(names)],
    })
    const pair = { cert: certificate.toString('pem'), key: await pemOf(keys.privateKey) }
    this.#serials.set(pair, serial)
    return pair
  }

  /** The list of what it has revoked, in PEM. */
  async revoke(...revoked: readonly KeyPair[]): Promise<string> {
    const now = Date.now()
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.#name,
      thisUpdate: new Date(now - DAY_MS),
      nextUpdate: new Date(now + 30 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
      entries: revoked.map(pair => ({
        serialNumber: this.#serials.get(pair) ?? '',
        revocationDate: new Date(now - DAY_MS),
        reason: KEY_COMPROMISE,
      })),
    })
    // OpenSSL knows it by this label only.
    return crl
      .toString('pem')
      .replaceAll('-----BEGIN CRL-----', '-----BEGIN X509 CRL-----')
      .replaceAll('-----END CRL-----', '-----END X509 CRL-----')
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

function validity(expired: boolean): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return {
    notBefore: new Date(now - 10 * DAY_MS),
    notAfter: new Date(expired ? now - DAY_MS : now + 30 * DAY_MS),
  }
}

function nextSerial(): string {
  serials++
  return serials.toString(16).padStart(4, '0')
}

export interface TestCertificates {
  /** The CA's certificate, PEM. */
  readonly ca: string
  readonly server: KeyPair
  /** Its common name is `client-1`. */
  readonly client: KeyPair
}

/** A CA, a server's certificate for 127.0.0.1 and localhost, a client's. */
export async function makeCertificates(): Promise<TestCertificates> {
  const authority = await Authority.create('Test CA')
  return {
    ca: authority.cert,
    server: await authority.issue({ commonName: 'localhost' }),
    client: await authority.issue({ commonName: 'client-1' }),
  }
}
