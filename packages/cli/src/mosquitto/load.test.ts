// Whole files of Mosquitto: what is read in which order, where it listens, who may come in, and
// that each fault is said with its file and line.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../config-file.ts'
import { CommandFailure } from '../failure.ts'
import { applyFlags } from '../serve-flags.ts'
import type { Machine } from './listeners.ts'
import { loadMosquittoConf } from './load.ts'
import { isMosquittoConf } from './recognise.ts'
import { inOrder } from './statements.ts'

const MACHINE: Machine = {
  lookup: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
  interfaces: () => ({ lo: ['127.0.0.1', '::1'] }),
}
const WITHOUT_IPV6: Machine = { ...MACHINE, interfaces: () => ({ lo: ['127.0.0.1'] }) }

function load(text: string, machine = MACHINE): ReturnType<typeof loadMosquittoConf> {
  return loadMosquittoConf(text, 'm.conf', machine)
}

async function failure(text: string): Promise<string> {
  try {
    await load(text)
  } catch (error) {
    assert.ok(error instanceof CommandFailure, String(error))
    return error.message
  }
  return assert.fail(`it was accepted: ${text}`)
}

async function namesOf(text: string, machine = MACHINE): Promise<unknown[] | null> {
  const { config } = await load(text, machine)
  return config.listeners?.map(({ name }) => name) ?? null
}

/** A folder with these files. */
function folderOf(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-mosquitto-'))
  context.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

test('a file is told from YAML by its name, or else by its first line', () => {
  const Cases: readonly [path: string, text: string, isMosquitto: boolean][] = [
    ['m.yaml', 'listener 1883\n', false],
    ['m.json', '{}', false],
    ['m.conf', '', true],
    ['m.conf', '# nothing\n\n', true],
    ['m.conf', '# x\nlisteners:\n  - {}\n', false],
    ['m.conf', '{ "data": "none" }', false],
    ['m.conf', '---\ndata: none', false],
    ['m.conf', 'listner 1883', true],
    ['m.conf', 'pid_file /run/a: b\n', true],
    ['config', 'listener 1883', true],
    ['config', 'listener: 1883', false],
    ['config', '  allow_anonymous true', true],
    ['config', 'hello world', false],
    ['config', '', false],
    ['config', 'plugin_opt_x y', true],
  ]
  for (const [path, text, isMosquitto] of Cases) {
    assert.equal(isMosquittoConf(text, path), isMosquitto, `${path}: ${JSON.stringify(text)}`)
  }
})

test('a file on disk is read as what it is', async context => {
  const folder = folderOf(context, { 'a.conf': 'listener 4\n', b: 'data: none\n' })
  const { config } = await loadConfig(join(folder, 'a.conf'))
  assert.equal(config.listeners?.[0]?.port, 4)
  assert.equal((await loadConfig(join(folder, 'b'))).files, null)
})

test('files of a directory come as Mosquitto reads them, upper case first', () => {
  const names = ['b.conf', 'A.conf', '01.conf', 'a.conf', 'B.conf', '00.conf', 'ab.conf', 'Aa.conf']
  assert.deepEqual(inOrder(names), [
    ...['00.conf', '01.conf', 'A.conf', 'Aa.conf', 'a.conf', 'ab.conf', 'B.conf', 'b.conf'],
  ])
})

test('included files stand in their place, and listeners end with their file', async context => {
  const folder = folderOf(context, {
    'd/b.conf': 'listener 3\nmax_connections 30\n',
    'd/A.conf': 'sys_interval 5\nlistener 2\n',
    'd/no.txt': 'foo 1\n',
  })
  const text = `listener 1\ninclude_dir ${join(folder, 'd')}\nmax_connections 10\nsys_interval 6\n`
  const { config, files } = await load(text)
  assert.deepEqual(
    config.listeners?.map(({ port, connectionsMax }) => [port, connectionsMax]),
    [
      [1, 10],
      [2, undefined],
      [3, 30],
    ],
  )
  assert.equal(config.broker.statsIntervalSeconds, 6)
  assert.deepEqual(files, ['m.conf', join(folder, 'd/A.conf'), join(folder, 'd/b.conf')])
})

test('a fault in an included file is said with that file', async context => {
  const folder = folderOf(context, { 'd/a.conf': '\nfoo 1\ninclude_dir x\n' })
  const path = join(folder, 'd/a.conf')
  const lines = (await failure(`include_dir ${join(folder, 'd')}\nbar 1`)).split('\n')
  assert.deepEqual(lines, [
    `${path}:3: include_dir is for the main file only`,
    `${path}:2: Mosquitto has no option "foo"`,
    'm.conf:2: Mosquitto has no option "bar"',
  ])
})

test('without a listener only this machine is listened to, without passwords by all', async () => {
  const { config } = await load('# nothing\n')
  assert.equal(config.listeners, null)
  // Null is: where there are passwords nobody comes in without a name, also when a flag gives them.
  assert.equal(config.access.allowAnonymous, null)
  assert.equal((await load('per_listener_settings true')).config.access.allowAnonymous, null)
  const local = config.localListeners.map(({ host, port }) => [host, port])
  assert.deepEqual(local, [
    ['127.0.0.1', 1883],
    ['::1', 1883],
  ])
  assert.deepEqual(applyFlags(config, { port: '0' }).listeners, [{ port: 0 }])
  assert.equal(applyFlags(config, {}).listeners.length, 2)
  assert.equal((await load('', WITHOUT_IPV6)).config.localListeners.length, 1)
  assert.equal((await load('allow_anonymous false\n')).config.access.allowAnonymous, false)
})

test('with a listener nobody comes in without a name unless it is said', async () => {
  for (const text of ['listener 1', 'port 1', 'bind_address 127.0.0.1', 'listener 0 /run/x']) {
    assert.equal((await load(text)).config.access.allowAnonymous, false, text)
    const open = await load(`${text}\nallow_anonymous true\n`)
    assert.equal(open.config.access.allowAnonymous, true)
  }
})

test('options before the first listener are for the default one', async () => {
  assert.deepEqual(await namesOf('max_connections 5\n'), ['127.0.0.1:1883', '[::1]:1883'])
  assert.deepEqual(await namesOf('max_connections 5\nlistener 7\n'), ['[::]:7', '[::]:1883'])
  assert.deepEqual(await namesOf('sys_interval 5\nlistener 7\n'), ['[::]:7'])
  assert.deepEqual(await namesOf('port 8\nlistener 7\n', WITHOUT_IPV6), ['0.0.0.0:7', '0.0.0.0:8'])
  const { notes } = await load('max_connections 5\nlistener 7\n')
  assert.match(notes[0] ?? '', /^m\.conf:1: max_connections .*port 1883 is listened on as well/)
})

test('options that say what is usual open nothing and ask for no TLS', async () => {
  for (const option of [
    'max_connections -1',
    'protocol mqtt',
    'max_qos 2',
    'max_qos 1\nmax_qos 2',
    'require_certificate false',
    'use_identity_as_username false',
    'use_subject_as_username false',
  ]) {
    assert.deepEqual(await namesOf(`${option}\nlistener 7 127.0.0.1\n`), ['127.0.0.1:7'], option)
    assert.deepEqual(await namesOf(`listener 7 127.0.0.1\n${option}\n`), ['127.0.0.1:7'], option)
    assert.deepEqual(await namesOf(option), null)
  }
})

test('with per_listener_settings each listener has what follows it', async () => {
  const { config } = await load(`per_listener_settings true
listener 1
password_file p
acl_file a
listener 2
allow_anonymous true
listener 3
`)
  assert.deepEqual(
    [...config.ownAccess].map(([name, own]) => [name, { ...own }]),
    [
      [
        '[::]:1',
        {
          passwordFile: 'p',
          allowAnonymous: false,
          aclFile: 'a',
          certificateUserNames: undefined,
        },
      ],
      ['[::]:2', { passwordFile: undefined, allowAnonymous: true, ...NOTHING_ELSE }],
      ['[::]:3', { passwordFile: undefined, allowAnonymous: false, ...NOTHING_ELSE }],
    ],
  )
  assert.equal(config.access.passwordFile, null)
  assert.equal(config.access.allowAnonymous, false)
})

const NOTHING_ELSE = { aclFile: undefined, certificateUserNames: undefined }

test('what Mosquitto has otherwise by itself is as there', async () => {
  const { config } = await load('listener 1\n')
  assert.equal(config.broker.store, 'none')
  assert.deepEqual(config.broker.limits, {
    packetBytesMax: 268_435_460,
    queuedBytesMax: 1024 ** 3,
    legacySessionExpirySeconds: 0xffff_ffff,
  })
  assert.equal(config.broker.assignedClientIdPrefix, 'auto-')
  assert.equal(config.user, 'mosquitto')
  assert.deepEqual(config.log, {
    level: 'info',
    format: 'pretty',
    to: ['stderr'],
    connections: true,
  })
})

for (const [what, text, said] of [
  ['an option that is mistyped', 'allow_anonymos true', 'm.conf:1: .*was allow_anonymous meant\\?'],
  ['a tab', 'listener\t1883', 'm.conf:1: expected a space after listener, got a tab'],
  [
    'a comment that is moved in',
    'listener 1\n # x',
    'm.conf:2: expected an option; a comment begins',
  ],
  ['a port that is none', 'listener mqtt', 'm.conf:1: listener: expected a port from 0 to 65535'],
  ['a port too large', 'listener 65536', 'got "65536"'],
  ['a listener without a port', 'listener', 'got nothing'],
  ['a Unix socket without a path', 'listener 0', 'm.conf:1: listener: expected the path'],
  ['two addresses', 'listener 1 127.0.0.1 ::1', 'got "::1" too'],
  ['a host that is not there', 'listener 1 nowhere.invalid', 'm.conf:1: there is no host nowhere'],
  ['an address of another family', 'listener 1 ::1\nsocket_domain ipv4', 'an address of ipv4'],
  [
    'an interface that is not there',
    'listener 1\nbind_interface eth9',
    'm.conf:2: .*\\(lo\\), got',
  ],
  [
    'a file that comes twice',
    'acl_file a\nacl_file b',
    'm.conf:2: acl_file: it stands at m.conf:1',
  ],
  ['half of TLS', 'listener 1\ncertfile c', 'm.conf:2: certfile: TLS needs certfile and keyfile'],
  [
    'TLS without its files',
    'listener 1\nrequire_certificate true',
    'certfile and keyfile is not there',
  ],
  [
    'certificates without an authority',
    'listener 1\ncertfile c\nkeyfile k\nrequire_certificate true',
    'm.conf:4: require_certificate: expected a cafile',
  ],
  [
    'names of certificates that nobody has to bring',
    'listener 1\ncertfile c\nkeyfile k\ncafile a\nuse_identity_as_username true',
    'm.conf:5: use_identity_as_username: expected require_certificate true',
  ],
  [
    'a Unix socket with TLS',
    'listener 0 /x\ncertfile c\nkeyfile k',
    'm.conf:1: a Unix socket has neither TLS',
  ],
  [
    'settings per listener too late',
    'allow_anonymous true\nper_listener_settings true',
    'm.conf:2: per_listener_settings: expected before m.conf:1',
  ],
  [
    'QoS that differs',
    'listener 1\nmax_qos 1\nlistener 2\nmax_qos 2',
    'm.conf:4: max_qos: expected the same at every listener',
  ],
  [
    'QoS at one of two',
    'listener 1\nmax_qos 1\nlistener 2',
    'm.conf:2: max_qos: expected the same',
  ],
  [
    'an old TLS',
    'listener 1\ntls_version tlsv1.1',
    'expected one of tlsv1.2, tlsv1.3, got "tlsv1.1"',
  ],
  ['a log on a topic', 'log_dest topic', 'm.conf:1: log_dest topic is not there'],
  ['a log nowhere', 'log_dest printer', 'm.conf:1: log_dest: expected one of stdout'],
  ['a log in no file', 'log_dest file', 'm.conf:1: log_dest file: expected a path'],
  [
    'a log in two files',
    'log_dest file a\nlog_dest file b',
    'm.conf:2: log_dest file: it stands at',
  ],
  ['a time without a unit', 'persistent_client_expiration 5', 'expected a number of hours'],
  [
    'an HTTP interface',
    'listener 1\nprotocol http_api',
    'm.conf:2: protocol http_api is not there',
  ],
] as const) {
  test(`${what} is said with its line`, async () => {
    const message = await failure(`${text}\n`)
    assert.match(message, new RegExp(said))
    assert.doesNotMatch(message, /undefined|\[object/)
  })
}

for (const [what, text, said] of [
  [
    'what counts last',
    'sys_interval 1\nsys_interval 2',
    'm.conf:2: sys_interval: it counts instead',
  ],
  ['what stands behind a value', 'allow_anonymous true false', 'm.conf:1: .*"false" behind it'],
  ['retained messages and rights', 'acl_file a', 'm.conf:1: check_retain_source true is not there'],
  [
    'a place without persistence',
    'persistence_location /x',
    'm.conf:1: .*without persistence true',
  ],
  [
    'a log that is not there',
    'log_dest syslog',
    'm.conf:1: log_dest syslog is not there: .*stderr|standard',
  ],
  ['aliases of no listener', 'max_topic_alias 5\nlistener 1', 'm.conf:1: .*it is for none'],
  ['memory', 'memory_limit 5000', 'm.conf:1: memory_limit bounds each of'],
] as const) {
  test(`${what}: a warning tells of it, and it goes on`, async () => {
    const { notes } = await load(`${text}\n`)
    assert.equal(notes.length, 1)
    assert.match(notes[0] ?? '', new RegExp(said))
  })
}

test('a comment behind a value is none of it, and one in a path is', async () => {
  const { config, notes } = await load('sys_interval 7 # seconds\npassword_file a # b\n')
  assert.equal(config.broker.statsIntervalSeconds, 7)
  assert.equal(config.access.passwordFile, 'a # b')
  assert.deepEqual(notes, [])
})

test('all that is wrong is said at once', async () => {
  const message = await failure('foo 1\nlistener x\nplugin a\nmax_keepalive 70000\n')
  assert.deepEqual(
    message.split('\n').map(line => line.slice(0, 8)),
    ['m.conf:1', 'm.conf:2', 'm.conf:3', 'm.conf:4'],
  )
})

test('what the broker has against a value gets its line', async () => {
  const { source } = await load('listener 1\nmax_packet_size 100\nlistener 2\n')
  assert.equal(source.locate(['limits', 'packetBytesMax']), 'm.conf:2')
  assert.equal(source.locate(['listeners', 1]), 'm.conf:3')
  assert.equal(source.locate(['listeners', 1, 'tls']), 'm.conf:3')
  assert.equal(source.locate(['nodeName']), null)
})
