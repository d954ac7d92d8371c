// TLS and mutual TLS, for MQTT and for WebSocket, with certificates made for the test.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { type CertificateOptions, checkListen, type ListenOptions } from '@godwit/broker'
import { nextEvent, untilEmpty, withBroker } from '../support/brokers.ts'
import { Authority, type KeyPair } from '../support/certificates.ts'
import { connectPacket, RawClient } from '../support/raw-client.ts'

const authority = await Authority.create('the authority')
const stranger = await Authority.create('somebody else')
const server = await authority.issue({ commonName: 'broker' })
const device = await authority.issue({ commonName: 'device-7', names: ['device.example'] })
const SERVER: CertificateOptions = { cert: server.cert, key: server.key }
const MUTUAL: CertificateOptions = { ...SERVER, ca: authority.cert }

function tlsTo(port: number, options: ConnectionOptions = {}): TLSSocket {
  return connectTls({ port, host: '127.0.0.1', ca: authority.cert, ...options })
}

/** What becomes of a client: its user-visible identity, or how it failed. */
async function attempt(
  tls: CertificateOptions,
  options: ConnectionOptions,
): Promise<{ connack: number | null; commonName: string | null; refused: string | null }> {
  let commonName: string | null = null
  let connack: number | null = null
  let refused: string | null = null
  const hooks = {
    authenticate: ({ origin }: { origin: { certificate: { commonName: string } | null } }) => {
      commonName = origin.certificate?.commonName ?? null
      return true
    },
  }
  await withBroker({ hooks }, async broker => {
    broker.on('refused', event => {
      refused = event.text
    })
    const { port } = await broker.listen({ port: 0, tls })
    const client = new RawClient(tlsTo(port, options))
    client.send(connectPacket())
    const packet = await client.next()
    if (packet !== null && 'reasonCode' in packet) connack = packet.reasonCode
    else if (refused === null) await nextEvent(broker, 'refused')
    client.destroy()
  })
  return { connack, commonName, refused }
}

test('a client comes in over TLS', async () => {
  const { connack, commonName } = await attempt(SERVER, {})
  assert.deepEqual([connack, commonName], [0, null])
})

test('a client that does not know the authority does not come in', async () => {
  const { connack, refused } = await attempt(SERVER, { ca: stranger.cert })
  assert.equal(connack, null)
  assert.match(refused ?? '', /handshake failed/)
})

test('a client with a certificate is known by its name', async () => {
  const { connack, commonName } = await attempt(MUTUAL, { cert: device.cert, key: device.key })
  assert.deepEqual([connack, commonName], [0, 'device-7'])
})

test('the whole subject of a certificate is as RFC 2253 writes it', async () => {
  let subject: string | undefined
  const hooks = {
    authenticate: ({ origin }: { origin: { certificate: { subject: string } | null } }) => {
      subject = origin.certificate?.subject
      return true
    },
  }
  await withBroker({ hooks }, async broker => {
    const { port } = await broker.listen({ port: 0, tls: MUTUAL })
    const { cert, key } = await authority.issue({ commonName: 'é\\, x, O=Example\\+, C=DE' })
    const client = new RawClient(tlsTo(port, { cert, key }))
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
  })
  assert.equal(subject, 'C=DE,O=Example\\+,CN=\\C3\\A9\\, x')
})

test('a directory of authorities is what openssl rehash has made of it', async () => {
  await withFolder(async folder => {
    const tls = { ...SERVER, caDirectory: folder }
    assert.throws(() => checkListen({ tls }), /caDirectory .*expected files such as .*rehash/)
    writeFileSync(join(folder, 'stranger.pem'), stranger.cert)
    assert.throws(() => checkListen({ tls }), /caDirectory/)
    writeFileSync(join(folder, '5ed36f99.0'), authority.cert)
    const identity = { cert: device.cert, key: device.key }
    assert.equal((await attempt(tls, identity)).commonName, 'device-7')
    assert.equal((await attempt(tls, await stranger.issue({ commonName: 'x' }))).connack, null)
    assert.throws(() => checkListen({ tls: { ...tls, caDirectory: join(folder, 'no') } }), /ENOENT/)
  })
})

test('the alternative names of a certificate reach the hook', async () => {
  let names: readonly string[] = []
  const hooks = {
    authenticate: ({
      origin,
    }: {
      origin: { certificate: { names: readonly string[] } | null }
    }) => {
      names = origin.certificate?.names ?? []
      return true
    },
  }
  await withBroker({ hooks }, async broker => {
    const { port } = await broker.listen({ port: 0, tls: MUTUAL })
    const { cert, key } = await authority.issue({
      commonName: 'x',
      names: ['a.example', '192.0.2.1'],
    })
    const client = new RawClient(tlsTo(port, { cert, key }))
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
  })
  assert.deepEqual(names, ['a.example', '192.0.2.1'])
})

for (const [who, identity, why] of [
  ['without a certificate', async () => ({}), /DID_NOT_RETURN_A_CERTIFICATE/],
  [
    'with a certificate of a stranger',
    () => stranger.issue({ commonName: 'device-7' }),
    /UNABLE_TO_|SELF_SIGNED/,
  ],
  [
    'with a certificate whose time is over',
    () => authority.issue({ commonName: 'device-7', expired: true }),
    /CERT_HAS_EXPIRED/,
  ],
] as const) {
  test(`mutual TLS lets nobody in ${who}`, async () => {
    const { connack, refused } = await attempt(MUTUAL, await identity())
    assert.equal(connack, null)
    assert.match(refused ?? '', /handshake failed/)
    assert.match(refused ?? '', why)
  })

  test(`where a certificate is optional, one ${who} comes in without a name`, async () => {
    const tls: CertificateOptions = { ...MUTUAL, clientCertificate: 'optional' }
    const { connack, commonName } = await attempt(tls, await identity())
    assert.deepEqual([connack, commonName], [0, null])
  })
}

test('a certificate that was revoked lets nobody in, the others do', async () => {
  const revoked = await authority.issue({ commonName: 'stolen' })
  const tls: CertificateOptions = { ...MUTUAL, crl: await authority.revoke(revoked) }
  const thief = await attempt(tls, { cert: revoked.cert, key: revoked.key })
  assert.equal(thief.connack, null)
  const owner = await attempt(tls, { cert: device.cert, key: device.key })
  assert.deepEqual([owner.connack, owner.commonName], [0, 'device-7'])
})

test('TLS 1.2 is refused where 1.3 is asked for', async () => {
  const tls: CertificateOptions = { ...SERVER, minVersion: 'TLSv1.3' }
  assert.equal((await attempt(tls, { maxVersion: 'TLSv1.2' })).connack, null)
  assert.equal((await attempt(tls, {})).connack, 0)
})

/** Writes certificates into files that a listener reads. */
function certificateFiles(folder: string, { cert, key }: KeyPair, crl: string): CertificateOptions {
  const path = (name: string): string => join(folder, name)
  writeFileSync(path('server.crt'), cert)
  writeFileSync(path('server.key'), key)
  writeFileSync(path('ca.crt'), authority.cert)
  writeFileSync(path('crl.pem'), crl)
  return {
    certFile: path('server.crt'),
    keyFile: path('server.key'),
    caFile: path('ca.crt'),
    crlFile: path('crl.pem'),
  }
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-tls-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

for (const ws of [false, true]) {
  test(`certificates and CRL are read again without a restart, WebSocket ${ws}`, async () => {
    await withFolder(async folder => {
      const tls = certificateFiles(folder, server, await authority.revoke())
      await withBroker({}, async broker => {
        const { port } = await broker.listen({ port: 0, tls, ws })
        const identity = { cert: device.cert, key: device.key }
        const before = tlsTo(port, identity)
        await new Promise<void>(resolve => before.once('secureConnect', () => resolve()))
        assert.equal(before.getPeerCertificate().subject.CN, 'broker')
        const renewed = await authority.issue({ commonName: 'renewed' })
        certificateFiles(folder, renewed, await authority.revoke(device))
        broker.reloadCertificates()
        const other = await authority.issue({ commonName: 'other' })
        const after = tlsTo(port, { cert: other.cert, key: other.key })
        await new Promise<void>(resolve => after.once('secureConnect', () => resolve()))
        assert.equal(after.getPeerCertificate().subject.CN, 'renewed')
        assert.equal(before.destroyed, false, 'who is connected stays')
        const refused = nextEvent(broker, 'refused')
        const revoked = tlsTo(port, identity).on('error', () => undefined)
        assert.match((await refused).text, /handshake failed/)
        for (const socket of [before, after, revoked]) socket.destroy()
      })
    })
  })
}

test('a certificate that cannot be read leaves the old ones in place', async () => {
  await withFolder(async folder => {
    const tls = certificateFiles(folder, server, await authority.revoke())
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0, tls })
      writeFileSync(join(folder, 'server.crt'), 'rubbish')
      assert.throws(() => broker.reloadCertificates())
      rmSync(join(folder, 'server.key'))
      assert.throws(() => broker.reloadCertificates(), /ENOENT/)
      const client = new RawClient(tlsTo(port, { cert: device.cert, key: device.key }))
      assert.equal((await client.connect()).reasonCode, 0)
      client.destroy()
    })
  })
})

test('a handshake that does not come to an end is cut off', async () => {
  await withBroker({ limits: { connectTimeoutMs: 300 } }, async broker => {
    const { port } = await broker.listen({ port: 0, tls: SERVER })
    const silent = new RawClient(connectTcp(port, '127.0.0.1'))
    await silent.closed
    const half = new RawClient(connectTcp(port, '127.0.0.1')).send([0x16, 3, 1])
    await half.closed
    await untilEmpty(broker)
  })
})

test('plain MQTT on a TLS port is turned away, and the port goes on', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, tls: SERVER })
    const plain = RawClient.tcp(port).send(connectPacket())
    assert.equal(await plain.next(), null)
    const client = new RawClient(tlsTo(port))
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
  })
})

test('what cannot be listened with is said before anything listens', async () => {
  const bad: ListenOptions[] = [
    { tls: { cert: server.cert } },
    { tls: { key: server.key } },
    { tls: { ...SERVER, clientCertificate: 'required' } },
    { tls: { cert: 'rubbish', key: server.key } },
    { tls: { cert: device.cert, key: server.key } },
    { tls: { certFile: '/nowhere/server.crt', key: server.key } },
  ]
  for (const listener of bad) assert.throws(() => checkListen(listener), { name: 'OptionError' })
  assert.doesNotThrow(() => checkListen({ tls: MUTUAL }))
})
