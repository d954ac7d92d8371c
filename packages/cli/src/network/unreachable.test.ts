// What is said about certificates, from the errors that Node makes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { connectFailure } from '../bench/connect-failure.ts'
import { unreachableText } from './unreachable.ts'

const CHOICE = {
  webSocket: false,
  webSocketPath: '/mqtt',
  cafile: null,
  capath: null,
  tlsVersion: null,
  level: 5,
} as const

/** What Node says when a certificate with these names comes from this host. */
function textFor(host: string, names: Partial<PeerCertificate>): string {
  const error = checkServerIdentity(host, names as PeerCertificate)
  assert.ok(error !== undefined)
  const attempt = { where: `${host}:8883`, host, secure: true }
  return unreachableText(error, attempt, CHOICE)
}

const ADVICE = 'give -h one of its names, or --insecure, which takes any'

for (const [host, names, expected] of [
  [
    'broker',
    { subject: {}, subjectaltname: 'DNS:other, DNS:b.example' },
    'DNS:other, DNS:b.example',
  ],
  ['127.0.0.1', { subject: {}, subjectaltname: 'DNS:localhost' }, 'DNS:localhost'],
  ['127.0.0.1', { subject: {}, subjectaltname: 'IP Address:10.0.0.1' }, 'IP Address:10.0.0.1'],
  ['broker', { subject: { CN: 'other' } }, 'other'],
  ['broker', { subject: {} }, 'another name'],
] as const) {
  test(`a certificate for ${expected} that comes from ${host} is told by its names`, () => {
    const text = textFor(host, names as unknown as Partial<PeerCertificate>)
    const names_ = `is for ${expected}, not for ${host}: ${ADVICE}`
    assert.equal(text, `Error: the certificate of ${host}:8883 ${names_}`)
  })
}

test('the testers name the file of --cafile as the clients do', () => {
  const error = Object.assign(new Error('self-signed'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const target = { kind: 'tls', host: 'broker', port: 8883, path: '' } as const
  const say = (cafile: string | null): string =>
    connectFailure(error, { targets: [target], level: 5, cafile }, 0)
  assert.match(say('mine.pem'), /^nobody in mine\.pem has signed the certificate of broker:8883 /)
  assert.match(say(null), /^nobody in the certificates that Node trusts has signed /)
})
