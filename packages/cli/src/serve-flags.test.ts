// The flags of `godwit serve`: which listeners they make, which limits they set, what they refuse.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ListenOptions } from '@godwit/broker'
import { EMPTY_CONFIG } from './config.ts'
import { parseConfig } from './config-file.ts'
import { applyFlags, LIMIT_FLAGS, type ServeFlags } from './serve-flags.ts'

const NONE = EMPTY_CONFIG.config
const TLS = { tlsCert: 'c', tlsKey: 'k' } as const
const TLS_FILES = { certFile: 'c', keyFile: 'k' }

const Listeners: [flags: ServeFlags, expected: ListenOptions[]][] = [
  [{}, [{}]],
  [{ port: '1884' }, [{ port: 1884 }]],
  [{ host: '0.0.0.0' }, [{ host: '0.0.0.0' }]],
  [{ host: '::', port: '0' }, [{ host: '::', port: 0 }]],
  [{ addr: '127.0.0.2:1885' }, [{ host: '127.0.0.2', port: 1885 }]],
  [{ addr: '[::1]:1885' }, [{ host: '::1', port: 1885 }]],
  [{ ...TLS }, [{ tls: TLS_FILES }]],
  [{ ...TLS, tlsPort: '9' }, [{ port: 9, tls: TLS_FILES }]],
  [{ ...TLS, port: '1' }, [{ port: 1 }, { tls: TLS_FILES }]],
  [{ ...TLS, tlsCa: 'a', tlsCrl: 'r' }, [{ tls: { ...TLS_FILES, caFile: 'a', crlFile: 'r' } }]],
  [
    { ...TLS, tlsCa: 'a', tlsClient: 'optional' },
    [{ tls: { ...TLS_FILES, caFile: 'a', clientCertificate: 'optional' } }],
  ],
  [{ wsPort: '8' }, [{ port: 8, ws: {} }]],
  [{ port: '1', wsPort: '8', wsPath: '/x' }, [{ port: 1 }, { port: 8, ws: { path: '/x' } }]],
  [{ wsPort: '8', wsOrigin: ['https://a'] }, [{ port: 8, ws: { origins: ['https://a'] } }]],
  [{ ...TLS, wssPort: '9' }, [{ port: 9, ws: {}, tls: TLS_FILES }]],
  [{ unix: '/run/x' }, [{ unix: { path: '/run/x' } }]],
  [{ unix: '/run/x', unixMode: '660' }, [{ unix: { path: '/run/x', mode: 0o660 } }]],
  [{ port: '1', proxyProtocol: true }, [{ port: 1, proxyProtocol: true }]],
  [{ proxyProtocol: true }, [{ proxyProtocol: true }]],
]

for (const [flags, expected] of Listeners) {
  test(`it listens as the flags say: ${JSON.stringify(flags)}`, () => {
    assert.deepEqual(applyFlags(NONE, flags).listeners, expected)
  })
}

test('listeners of flags come beside those of the file, limits in their place', () => {
  const file = 'listeners:\n  - port: 1\nlimits:\n  packetBytesMax: 100\n  inflightMax: 5\n'
  const { config } = parseConfig(file, 'x')
  const { listeners, broker } = applyFlags(config, { port: '2', maxPacketSize: '1k' })
  assert.deepEqual(listeners, [{ port: 1 }, { port: 2 }])
  assert.deepEqual(broker.limits, { packetBytesMax: 1024, inflightMax: 5 })
})

test('an empty list of listeners is not the default, and flags may fill it', () => {
  const { config } = parseConfig('listeners: []\n', 'x')
  assert.throws(() => applyFlags(config, {}), /nothing to listen on: listeners is empty/)
  assert.throws(() => applyFlags(config, { proxyProtocol: true }), /nothing to listen on/)
  assert.deepEqual(applyFlags(config, { port: '7' }).listeners, [{ port: 7 }])
})

test('--proxy-protocol beside listeners of the file only is refused', () => {
  const { config } = parseConfig('listeners:\n  - port: 1\n', 'x')
  assert.throws(() => applyFlags(config, { proxyProtocol: true }), /proxyProtocol: true/)
})

test('each limit has its flag, in its own unit', () => {
  for (const { name, flags, limit } of LIMIT_FLAGS) {
    const [word = '', unit = ''] = flags.split(' ')
    const text = unit === '<size>' ? '2k' : unit === '<time>' ? '2m' : '2'
    const { limits } = applyFlags(NONE, { [name]: text }).broker
    const factor = limit.endsWith('Ms') ? 1000 : 1
    const expected = unit === '<size>' ? 2048 : unit === '<time>' ? 120 * factor : 2
    assert.deepEqual(limits, { [limit]: expected }, word)
  }
})

for (const [flags, text] of [
  [{ port: '70000' }, '--port'],
  [{ port: 'mqtt' }, '--port'],
  [{ addr: 'x:y:z' }, '--addr'],
  [{ tlsCert: 'c' }, '--tls-key'],
  [{ tlsKey: 'k' }, '--tls-cert'],
  [{ tlsCa: 'a' }, '--tls-ca'],
  [{ tlsPort: '1' }, '--tls-port'],
  [{ wssPort: '1' }, '--wss-port'],
  [{ ...TLS, tlsClient: 'maybe' }, '--tls-client'],
  [{ tlsClient: 'none' }, '--tls-client'],
  [{ tlsCrl: 'r' }, '--tls-crl'],
  [{ unix: '/x', unixMode: '999' }, '--unix-mode'],
  [{ unixMode: '660' }, '--unix-mode'],
  [{ wsPath: '/x' }, '--ws-path'],
  [{ wsOrigin: ['https://a'] }, '--ws-origin'],
  [{ logLevel: 'loud' }, '--log-level'],
  [{ drain: 'soon' }, '--drain'],
  [{ metricsPort: '65536' }, '--metrics-port'],
  [{ metricsHost: '::1' }, '--metrics-host needs --metrics-port'],
  [{ statsInterval: '-1' }, '--stats-interval'],
  [{ maxPacketSize: 'big' }, '--max-packet-size'],
  [{ maxInflight: '1.5' }, '--max-inflight'],
] as const) {
  test(`what a flag cannot be is said by its name: ${JSON.stringify(flags)}`, () => {
    assert.throws(
      () => applyFlags(NONE, flags),
      (error: Error) => error.name === 'CommandFailure' && error.message.includes(text),
    )
  })
}

test('--low-space is a size or a share, of a directory of data only', () => {
  const storeOf = (lowSpace: string) => applyFlags(NONE, { data: 'd', lowSpace }).broker.store
  assert.deepEqual(storeOf('2g'), { directory: 'd', lowSpace: 2 * 1024 ** 3 })
  assert.deepEqual(storeOf('7.5%'), { directory: 'd', lowSpace: '7.5%' })
  assert.throws(() => storeOf('101%'), /--low-space takes a size or up to 100%/)
  assert.throws(() => storeOf('much'), /--low-space takes a size/)
  assert.throws(() => applyFlags(NONE, { data: 'none', lowSpace: '1g' }), /--low-space needs a dir/)
})

test('metrics are where the flags say, else where the file does, else nowhere', () => {
  const { config } = parseConfig('metrics:\n  port: 5\n  host: 10.0.0.1\n', 'x')
  assert.equal(applyFlags(NONE, {}).metrics, null)
  assert.deepEqual(applyFlags(NONE, { metricsPort: '0' }).metrics, { port: 0 })
  assert.deepEqual(applyFlags(config, {}).metrics, { port: 5, host: '10.0.0.1' })
  assert.deepEqual(applyFlags(config, { metricsPort: '6' }).metrics, { port: 6, host: '10.0.0.1' })
  assert.deepEqual(applyFlags(config, { metricsHost: '::1' }).metrics, { port: 5, host: '::1' })
})

test('an address without a host is every address, by its name', () => {
  const { listeners } = applyFlags(NONE, { addr: ':1885' })
  assert.match(listeners[0]?.host ?? '', /^(::|0\.0\.0\.0)$/)
})
