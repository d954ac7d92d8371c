// Every option of mosquitto.conf once: what becomes of it in a broker here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '@godwit/broker'
import { CONFIG_FIELDS } from '../config-schema.ts'
import { CommandFailure } from '../failure.ts'
import type { Machine } from './listeners.ts'
import { loadMosquittoConf } from './load.ts'
import { BRIDGE_OPTIONS, MosquittoOptions } from './options.ts'

const MACHINE: Machine = {
  lookup: host => (host === 'localhost' ? Promise.resolve(['127.0.0.1', '::1']) : refuse()),
  interfaces: () => ({ lo: ['127.0.0.1', '::1'], eth0: ['192.0.2.2', 'fe80::1', 'fd00::2'] }),
}

function refuse(): Promise<never> {
  return Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
}

const TLS = 'certfile c\nkeyfile k\ncafile a\n'

/** By option: the lines, and what the fields that it changes are then, or what is said of it. */
const Mapped: readonly [name: string, lines: string, expected: unknown][] = [
  ['acl_file', 'acl_file a b', { access: { aclFile: 'a b' } }],
  ['password_file', 'password_file p', { access: { passwordFile: 'p' } }],
  ['allow_anonymous', 'allow_anonymous true', { access: { allowAnonymous: true } }],
  [
    'allow_zero_length_clientid',
    'allow_zero_length_clientid 0',
    { broker: { allowEmptyClientId: false } },
  ],
  ['auto_id_prefix', 'auto_id_prefix x-', { broker: { assignedClientIdPrefix: 'x-' } }],
  [
    'listener_auto_id_prefix',
    'listener_auto_id_prefix y-',
    { broker: { assignedClientIdPrefix: 'y-' } },
  ],
  ['clientid_prefixes', 'clientid_prefixes secure-', { clientIdPrefix: 'secure-' }],
  ['persistence', 'persistence true', { broker: { store: { directory: 'godwit' } } }],
  [
    'retained_persistence',
    'retained_persistence 1',
    { broker: { store: { directory: 'godwit' } } },
  ],
  [
    'persistence_location',
    'persistence true\npersistence_location /var/lib/m/',
    { broker: { store: { directory: '/var/lib/m/godwit' } } },
  ],
  [
    'persistence_file',
    'persistence true\npersistence_file m.db',
    { broker: { store: { directory: 'm.db.godwit' } } },
  ],
  [
    'persistent_client_expiration',
    'persistent_client_expiration 2m',
    { limits: { legacySessionExpirySeconds: 5_184_000, sessionExpirySecondsMax: 5_184_000 } },
  ],
  [
    'max_inflight_messages',
    'max_inflight_messages 7',
    { limits: { inflightMax: 7, receiveMaximum: 7 } },
  ],
  ['max_inflight_messages', 'max_inflight_messages 0', { limits: { inflightMax: 65_535 } }],
  ['max_queued_messages', 'max_queued_messages 5', { limits: { queuedMessagesMax: 25 } }],
  [
    'max_queued_messages',
    'max_queued_messages 0',
    { limits: { queuedMessagesMax: Number.MAX_SAFE_INTEGER } },
  ],
  ['max_queued_bytes', 'max_queued_bytes 500', { limits: { queuedBytesMax: 500 } }],
  [
    'max_packet_size',
    'max_packet_size 100',
    { limits: { packetBytesMax: 100, connectPacketBytesMax: 100 } },
  ],
  ['packet_max_connect', 'packet_max_connect 99', { limits: { connectPacketBytesMax: 99 } }],
  ['message_size_limit', 'message_size_limit 10', { payloadBytesMax: 10 }],
  ['message_size_limit', 'message_size_limit 0', { payloadBytesMax: null }],
  ['memory_limit', 'memory_limit 5000', { limits: { totalQueuedBytesMax: 5000 } }],
  ['max_keepalive', 'max_keepalive 60', { limits: { keepAliveSecondsMax: 60 } }],
  ['global_max_clients', 'global_max_clients 9', { limits: { sessionsMax: 9 } }],
  ['global_max_connections', 'global_max_connections 8', { limits: { connectionsMax: 8 } }],
  ['retain_available', 'retain_available false', { limits: { retainAvailable: false } }],
  ['sys_interval', 'sys_interval 0', { broker: { statsIntervalSeconds: 0 } }],
  ['log_dest', 'log_dest stdout\nlog_dest file /x y', { log: { to: ['stdout', '/x y'] } }],
  ['log_dest', 'log_dest stdout\nlog_dest none', { log: { to: [] } }],
  ['log_type', 'log_type error\nlog_type warning', { log: { level: 'warn' } }],
  ['log_type', 'log_type all', { log: { level: 'debug' } }],
  ['log_type', 'log_type all\nlog_type none', { log: { level: 'silent' } }],
  ['connection_messages', 'connection_messages false', { log: { connections: false } }],
  ['pid_file', 'pid_file /run/x.pid', { pidFile: '/run/x.pid' }],
  ['user', 'user joe', { user: 'joe' }],
  ['check_retain_source', 'check_retain_source false', {}],
  ['include_dir', 'include_dir /nowhere/conf.d', 'include_dir: ENOENT'],
  [
    'per_listener_settings',
    'per_listener_settings true\nlistener 1\nallow_anonymous true',
    { ownAccess: new Map([['[::]:1', { allowAnonymous: true }]]) },
  ],
]

/** Options of a listener: what they make of it. */
const OfListener: readonly [name: string, lines: string, expected: object[]][] = [
  ['listener', '', [{ name: '[::]:1', host: '::', port: 1 }]],
  ['listener', 'listener 0 /run/x', [{ name: '/run/x', unix: '/run/x' }]],
  [
    'listener',
    'listener 2 localhost # here',
    [
      { name: '127.0.0.1:2', host: '127.0.0.1', port: 2 },
      { name: '[::1]:2', host: '::1', port: 2 },
    ],
  ],
  ['port', 'port 3', [{ name: '[::]:3', host: '::', port: 3 }]],
  [
    'bind_address',
    'bind_address 10.0.0.1\nport 3',
    [{ name: '10.0.0.1:3', host: '10.0.0.1', port: 3 }],
  ],
  [
    'bind_interface',
    'bind_interface eth0',
    [
      { name: '192.0.2.2:1', host: '192.0.2.2', port: 1 },
      { name: '[fd00::2]:1', host: 'fd00::2', port: 1 },
    ],
  ],
  ['socket_domain', 'socket_domain ipv4', [{ name: '0.0.0.0:1', host: '0.0.0.0', port: 1 }]],
  [
    'socket_domain',
    'socket_domain ipv6',
    [{ name: '[::]:1', host: '::', ipv6Only: true, port: 1 }],
  ],
  ['protocol', 'protocol mqtt', [{}]],
  ['protocol', 'protocol websockets', [{ ws: { path: '*' } }]],
  [
    'websockets_origin',
    'protocol websockets\nwebsockets_origin https://a\nwebsockets_origin https://b',
    [{ ws: { path: '*', origins: ['https://a', 'https://b'] } }],
  ],
  ['max_connections', 'max_connections 5', [{ connectionsMax: 5 }]],
  ['max_connections', 'max_connections -1', [{}]],
  ['enable_proxy_protocol', 'enable_proxy_protocol 2', [{ proxyProtocol: true }]],
  ['certfile', 'certfile c\nkeyfile k', [{ tls: { certFile: 'c', keyFile: 'k' } }]],
  ['keyfile', 'keyfile k k\ncertfile c', [{ tls: { certFile: 'c', keyFile: 'k k' } }]],
  ['cafile', TLS, [{ tls: { caFile: 'a', clientCertificate: 'none' } }]],
  [
    'capath',
    'certfile c\nkeyfile k\ncapath d\nrequire_certificate true',
    [{ tls: { caDirectory: 'd', clientCertificate: 'required' } }],
  ],
  [
    'require_certificate',
    `${TLS}require_certificate true`,
    [{ tls: { clientCertificate: 'required' } }],
  ],
  ['crlfile', `${TLS}require_certificate true\ncrlfile r`, [{ tls: { crlFile: 'r' } }]],
  ['tls_version', `${TLS}tls_version tlsv1.3`, [{ tls: { minVersion: 'TLSv1.3' } }]],
  [
    'ciphers',
    `${TLS}ciphers X`,
    [
      {
        tls: {
          ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:X',
        },
      },
    ],
  ],
  ['ciphers_tls1.3', `${TLS}ciphers X\nciphers_tls1.3 Y`, [{ tls: { ciphers: 'Y:X' } }]],
]

/** Those that hold for all listeners here, or for who comes in there. */
const Others: readonly [name: string, lines: string, expected: object][] = [
  ['max_qos', 'max_qos 1', { limits: { maximumQoS: 1 } }],
  ['maximum_qos', 'maximum_qos 0', { limits: { maximumQoS: 0 } }],
  ['max_topic_alias', 'max_topic_alias 4', { limits: { topicAliasMaximum: 4 } }],
  ['max_topic_alias_broker', 'max_topic_alias_broker 3', { limits: { outgoingTopicAliasMax: 3 } }],
  [
    'listener_allow_anonymous',
    'listener_allow_anonymous true',
    { ownAccess: new Map([['[::]:1', { allowAnonymous: true }]]) },
  ],
  [
    'use_identity_as_username',
    `${TLS}require_certificate true\nuse_identity_as_username true`,
    { ownAccess: new Map([['[::]:1', { certificateUserNames: true, passwordFile: 'none' }]]) },
  ],
  [
    'use_subject_as_username',
    `${TLS}require_certificate true\nuse_subject_as_username true`,
    { ownAccess: new Map([['[::]:1', { certificateUserNames: 'subject', passwordFile: 'none' }]]) },
  ],
]

/** A value that each takes which does nothing here: the start goes on and the log says so. */
const Ignored: readonly [name: string, value: string][] = [
  ['allow_duplicate_messages', 'true'],
  ['autosave_interval', '1800'],
  ['autosave_on_changes', 'false'],
  ['store_clean_interval', '10'],
  ['retry_interval', '20'],
  ['max_inflight_bytes', '1000'],
  ['set_tcp_nodelay', 'false'],
  ['packet_buffer_size', '4096'],
  ['packet_max_auth', '100000'],
  ['packet_max_sub', '100000'],
  ['packet_max_simple', '10000'],
  ['log_facility', '5'],
  ['log_timestamp', 'false'],
  ['log_timestamp_format', '%Y-%m-%dT%H:%M:%S'],
  ['websockets_log_level', '255'],
  ['websockets_headers_size', '2048'],
  ['dhparamfile', 'dh.pem'],
]

/** A value of each that stops the start, and one that says what is so here, if there is any. */
const Refused: readonly [name: string, value: string, harmless?: string][] = [
  ['queue_qos0_messages', 'true', 'false'],
  ['upgrade_outgoing_qos', 'true', 'false'],
  ['retain_expiry_interval', '60'],
  ['enable_control_api', 'true', 'false'],
  ['psk_file', 'psk'],
  ['psk_hint', 'hint'],
  ['mount_point', 'a/'],
  ['http_dir', '/srv'],
  ['use_username_as_clientid', 'true', 'false'],
  ['accept_protocol_versions', '4, 5', '3, 4, 5'],
  ['proxy_protocol_v2_require_tls', 'true', 'false'],
  ['disable_client_cert_date_checks', 'true', 'false'],
  ['tls_engine', 'tpm'],
  ['tls_engine_kpass_sha1', '00'],
  ['tls_keyform', 'engine', 'pem'],
  ['plugin', '/lib/x.so'],
  ['auth_plugin', '/lib/x.so'],
  ['global_plugin', '/lib/x.so'],
  ['plugin_load', 'name /lib/x.so'],
  ['plugin_use', 'name'],
  ['auth_plugin_deny_special_chars', 'true'],
  ['connection', 'cloud'],
]

function load(lines: string): ReturnType<typeof loadMosquittoConf> {
  return loadMosquittoConf(lines, 'm.conf', MACHINE)
}

async function failure(lines: string): Promise<string> {
  try {
    await load(lines)
  } catch (error) {
    assert.ok(error instanceof CommandFailure, String(error))
    assert.equal(error.exitCode, 2)
    return error.message
  }
  return assert.fail(`it was accepted: ${lines}`)
}

/** Options of listeners are said of one on port 1. */
function withListener(name: string, lines: string): string {
  const isPlace = ['listener', 'port', 'bind_address'].includes(name) && lines !== ''
  const { scope } = MosquittoOptions.get(name) ?? {}
  return scope === 'listener' && !isPlace ? `listener 1\n${lines}\n` : `${lines}\n`
}

/** What is expected may be a part. */
function assertPart(actual: unknown, expected: unknown, what: string): void {
  const isPart = typeof expected === 'object' && expected !== null && !(expected instanceof Map)
  if (!isPart || Array.isArray(expected)) {
    assert.deepEqual(plain(actual), plain(expected), what)
    return
  }
  for (const [name, value] of Object.entries(expected)) {
    const own = (actual as Readonly<Record<string, unknown>>)[name]
    assertPart(own, value, `${what}.${name}`)
  }
}

/** Without fields that are undefined. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(([key, inner]) => [key, plain(inner)])
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}

for (const [name, lines, expected] of [...Mapped, ...Others]) {
  test(`${name} is what it is in Mosquitto: ${JSON.stringify(lines)}`, async () => {
    if (typeof expected === 'string') {
      assert.ok((await failure(lines)).includes(expected))
      return
    }
    const { config } = await load(withListener(name, lines))
    assertPart({ ...config, limits: config.broker.limits }, expected, name)
  })
}

for (const [name, lines, expected] of OfListener) {
  test(`${name} makes a listener: ${JSON.stringify(lines)}`, async () => {
    const { config } = await load(withListener(name, lines))
    assert.equal(config.listeners?.length, expected.length)
    for (const [index, one] of expected.entries()) assertPart(config.listeners?.[index], one, name)
  })
}

for (const [name, value] of Ignored) {
  test(`${name} changes nothing, and the log says so`, async () => {
    const quiet = await load('listener 1\n')
    const { config, notes } = await load(`listener 1\n${name} ${value}\n`)
    assert.deepEqual(config, quiet.config)
    assert.equal(notes.length, 1)
    assert.match(notes[0] ?? '', new RegExp(`^m\\.conf:2: ${name} is for nothing here: .{10}`))
  })
}

for (const [name, value, harmless] of Refused) {
  test(`${name} stops the start with its line and what to do`, async () => {
    const message = await failure(`listener 1\n\n${name} ${value}\n`)
    assert.match(message, new RegExp(`^m\\.conf:3: ${name} is not there: .{20}`))
    assert.equal(message.split('\n').length, 1)
    if (harmless === undefined) return
    const { notes } = await load(`listener 1\n${name} ${harmless}\n`)
    assert.deepEqual(notes, [])
  })
}

test('no option is without a row of its own', () => {
  const rows = [...Mapped, ...OfListener, ...Others, ...Ignored, ...Refused].map(([name]) => name)
  const missing = [...MosquittoOptions.keys()].filter(name => {
    return !rows.includes(name) && !BRIDGE_OPTIONS.includes(name)
  })
  assert.deepEqual(missing, [])
})

test('each option says no when its value is none, with what was expected', async () => {
  for (const [name, { reader, scope, handling }] of MosquittoOptions) {
    if (scope === 'bridge' || scope === 'plugin' || name === 'listener') continue
    const nothing = await failure(`listener 1\n${name}\n`)
    assert.ok(nothing.includes(`m.conf:2: ${name}: expected`), `${name}: ${nothing}`)
    assert.ok(nothing.includes('got nothing'), nothing)
    if (reader.read('?') !== null || handling.kind === 'refused') continue
    const wrong = await failure(`listener 1\n${name} ?\n`)
    assert.ok(wrong.includes(`m.conf:2: ${name}: expected ${reader.expected}, got "?"`), wrong)
  }
})

test('a bridge is said once, at its beginning', async () => {
  const all = BRIDGE_OPTIONS.map(name => `${name} x`).join('\n')
  const message = await failure(`connection a\n${all}\nconnection b\ntopic #\nlistener 1\n`)
  const lines = message.split('\n').map(line => line.split(':').slice(0, 2).join(':'))
  assert.deepEqual(lines, ['m.conf:1', `m.conf:${BRIDGE_OPTIONS.length + 2}`])
  assert.match(await failure('topic # both\nusername x\n'), /^m\.conf:1: topic is not there[^\n]*$/)
})

test('options of a plugin go with it', async () => {
  const message = await failure('plugin /a.so\nplugin_opt_x y\nauth_opt_z 1\nplugin /b.so\n')
  assert.deepEqual(
    message.split('\n').map(line => line.slice(0, 16)),
    ['m.conf:1: plugin', 'm.conf:4: plugin'],
  )
})

test('what is named for an option is a field here, and a limit that there is', () => {
  for (const [name, { handling }] of MosquittoOptions) {
    if (handling.kind !== 'mapped') continue
    const [, limits = ''] = /^limits: \{ (.*) \}$/.exec(handling.here) ?? []
    for (const limit of limits === '' ? [] : limits.split(', ')) {
      assert.ok(limit in DEFAULT_LIMITS, `${name}: ${limit}`)
    }
    const [field = ''] = handling.here.split(/[:, ]/)
    assert.ok(['read', 'not', ...CONFIG_FIELDS].includes(field), `${name}: ${field}`)
  }
})
