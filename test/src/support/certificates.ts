// Certificates for tests, made when they run: a CA, a server's for 127.0.0.1 and localhost, a
// client's. The only file that imports @peculiar/x509.
import './reflect.ts'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000

/** A certificate and its key, PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface TestCertificates {
  /** The CA's certificate, PEM. */
  readonly ca: string
  readonly server: Identity
  /** Its common name is `client-1`. */
  readonly client: Identity
}

export async function makeCertificates(): Promise<TestCertificates> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await generateKeys()
  const notBefore = new Date(Date.now() - DAY_MS)
  const notAfter = new Date(Date.now() + DAY_MS)
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=Test CA',
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  })
  const issue = async (name: string, serialNumber: string): Promise<Identity> => {
    const own = await generateKeys()
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject: `CN=${name}`,
      issuer: authority.subject,
      notBefore,
      notAfter,
      signingAlgorithm: ALGORITHM,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    })
    return { cert: certificate.toString('pem'), key: await exportKey(own.privateKey) }
  }
  return {
    ca: authority.toString('pem'),
    server: await issue('localhost', '02'),
    client: await issue('client-1', '03'),
  }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key)
  return x509.PemConverter.encode(bytes, 'PRIVATE KEY')
}
