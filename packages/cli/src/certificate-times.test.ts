// Which certificates of listeners are warned of, and when.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { tellCertificates } from './certificate-times.ts'

const cert = `-----BEGIN CERTIFICATE-----
MIIBbjCCAROgAwIBAgIUcTgTKEvLBcGVQvstxPSsgyUL9RswCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBdDAeFw0yNjExMjkyMTQ3MTVaFw0yNjEyMjkyMTQ3MTVaMAwx
CjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATnmV6t7M/xruqw
yO4o+aM0WWvcMQ9cklP7imXMXcE+otCqQ/zNBgTprhosV/QyoW1nQF2CM2e/ANv7
uRFF9Kdko1MwUTAdBgNVHQ4EFgQUMHyxtQYWXtacCbqTSaQCKxwz+mQwHwYDVR0j
BBgwFoAUMHyxtQYWXtacCbqTSaQCKxwz+mQwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNJADBGAiEA0KBxw4cVdagOeX6P0CtonzeCI+UIA5P7uwroBSD2TF0C
IQDudPpgVs5GT2yIVh20v2NLQBkg6p3Mda/sqxjUck5m7g==
-----END CERTIFICATE-----`

const { validFrom, validTo } = new X509Certificate(cert)
const DAY_MS = 24 * 3600 * 1000

function told(nowMs: number, listeners = [{ tls: { cert } }]): string[] {
  const lines: string[] = []
  tellCertificates(listeners, { warn: text => lines.push(text) }, nowMs)
  return lines
}

test('a certificate is warned of fourteen days before its end, and before its beginning', () => {
  const endMs = Date.parse(validTo)
  assert.deepEqual(told(endMs - 14 * DAY_MS - 1000), [])
  assert.match(told(endMs - 14 * DAY_MS + 1000)[0] ?? '', /expires on .*, in 14 days; SIGHUP/)
  assert.match(told(endMs - 1000)[0] ?? '', /, in 1 days/)
  assert.match(told(endMs)[0] ?? '', /the certificate expired on .*: clients will refuse it/)
  assert.match(told(Date.parse(validFrom) - 1000)[0] ?? '', /is not valid before/)
})

test('one certificate of two listeners is told of once, what is none not at all', () => {
  const nowMs = Date.parse(validTo)
  assert.equal(told(nowMs, [{ tls: { cert } }, { tls: { cert } }]).length, 1)
  assert.deepEqual(told(nowMs, [{ tls: { cert: 'none' } }]), [])
  const lines: string[] = []
  const log = { warn: (text: string) => lines.push(text) }
  tellCertificates([{}, { tls: { certFile: '/nonexistent', keyFile: 'k' } }], log, nowMs)
  assert.deepEqual(lines, [])
})
