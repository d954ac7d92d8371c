// The same mosquitto.conf at Mosquitto and at Godwit, one after the other on the same ports: what
// mosquitto_pub and mosquitto_sub can do there, exit codes included, is the same.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hashPassword } from '@godwit/broker'
import { WebSocket } from 'ws'
import { Authority } from '../support/certificates.ts'
import { freePorts } from '../support/listening.ts'
import { RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'
import { serve } from '../support/served.ts'
import { skipWithout } from '../support/skip.ts'
import { webSocketStream } from '../support/web-socket.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'
const GODWIT = new URL('../../../packages/cli/bin/godwit.js', import.meta.url).pathname
const HOST = '127.0.0.1'
const authority = await Authority.create('the authority')
const stranger = await Authority.create('somebody else')

/** Where it listens, and where the files are. */
interface Place {
  readonly ports: readonly number[]
  readonly folder: string
}

/** What is tried: the name of it, and what came of it. */
type Probe = (place: Place) => Promise<string>

interface Case {
  readonly what: string
  readonly conf: string
  readonly files?: Readonly<Record<string, string>>
  readonly probes: readonly Probe[]
}

/** A command of Mosquitto; `{0}` is the first port. */
function command(program: string, line: string, shows: boolean): Probe {
  return async ({ ports, folder }) => {
    const filled = line.replaceAll(/\{(\d)\}/g, (_, index) => String(ports[Number(index)]))
    const words = filled.split(' ').map(word => (word === "''" ? '' : word))
    const { code, output } = await run(program, words, { cwd: folder })
    const shown = shows ? ` ${JSON.stringify(output)}` : ''
    return `${program} ${line}: ${code}${shown}`
  }
}

function pub(line: string): Probe {
  return command('mosquitto_pub', `-h ${HOST} -p {0} -t t -m m ${line}`.trim(), false)
}

/** Without the code: who does not trust a certificate says 8, or 1 when it finds out early. */
function comesIn(probe: Probe): Probe {
  return async place => ((await probe(place)).endsWith(': 0') ? 'comes in' : 'is shut out')
}

/**
 * What is retained for somebody at these topics: something, which is waited for however slow the
 * machine is, or nothing within a second, which is exit code 27.
 */
const Waiting = { something: '-C 1 -W 50', nothing: '-C 1 -W 1' } as const
type Comes = keyof typeof Waiting

function sub(line: string, comes: Comes): Probe {
  return command('mosquitto_sub', `-h ${HOST} -p {0} ${Waiting[comes]} ${line}`, true)
}

/** CONNACK over a WebSocket at a path, or that there is none. */
function webSocket(path: string, username: string | null): Probe {
  return async ({ ports }) => {
    const url = `ws://${HOST}:${ports[1]}${path}`
    const client = new RawClient(webSocketStream(new WebSocket(url, ['mqtt'])))
    const connack = await client.connect({ clientId: 'w', username })
    client.destroy()
    return `${url.replace(/:\d+/, '')} as ${username}: ${connack.reasonCode}`
  }
}

const ANN = '-u ann -P secret'
const ACL = `topic read news
user ann
topic readwrite home/#
topic deny home/safe
topic write drop
topic readwrite t
pattern readwrite own/%u/#
`
const OVER_TLS = `-h ${HOST} -p {0} --cafile ca.crt`

function tls(more: string): Probe {
  return command('mosquitto_pub', `${OVER_TLS} -m m -q 1 -V 5 -t t ${more}`.trim(), false)
}

/** Publishes a retained message, and looks whether who asks for it gets it. */
function throughTls(topic: string, who: string, reader: string, comes: Comes): Probe[] {
  return [
    command('mosquitto_pub', `${OVER_TLS} -m m -q 1 -r -t ${topic} ${who}`, false),
    command('mosquitto_sub', `${OVER_TLS} ${Waiting[comes]} -t ${topic} ${reader}`, true),
  ]
}

const DEVICE = '--cert device.crt --key device.key'
const LONG = '--cert long.crt --key long.key'

/** A payload of so many bytes, retained, and whether it is kept. */
function payload(bytes: number, how: string, comes: Comes): Probe[] {
  const words = `-h ${HOST} -p {0} -t size/${bytes} -r ${how} -m ${'x'.repeat(bytes)}`
  return [command('mosquitto_pub', words, false), sub(`-t size/${bytes} -F %l`, comes)]
}

const Cases: readonly Case[] = [
  {
    what: 'without a password file nobody comes in at a listener',
    conf: `listener {0} ${HOST}\n`,
    probes: [pub(''), pub('-V 5'), pub(ANN), pub('-u ann'), pub(`${ANN} -V 5`)],
  },
  {
    what: 'whoever comes is let in where it says so',
    conf: `listener {0} ${HOST} # here\nallow_anonymous true # all\n`,
    probes: [pub(''), pub('-V 5'), pub(ANN), pub('-u ann'), pub('-V 31 -i c')],
  },
  {
    what: 'a password file and an ACL',
    conf: `listener {0} ${HOST}\npassword_file ./users\nacl_file ./acl\n`,
    files: { acl: ACL },
    probes: [
      ...['', ANN, '-u ann -P wrong', '-u ann', '-u bob -P secret', `${ANN} -V 5`].map(pub),
      ...['home/a', 'home/safe', 'drop', 'own/ann/a', 'own/bob/a', 'news'].map(topic =>
        command(
          'mosquitto_pub',
          `-h ${HOST} -p {0} -t ${topic} -m kept -r -q 1 -V 5 ${ANN}`,
          false,
        ),
      ),
      ...['home/a', 'own/ann/a'].map(topic => sub(`-t ${topic} ${ANN}`, 'something')),
      sub(`-t home/safe ${ANN}`, 'nothing'),
    ],
  },
  {
    what: 'a password file that guests need not be in',
    conf: `listener {0} ${HOST}\npassword_file ./users\nallow_anonymous true\n`,
    probes: [pub(''), pub(ANN), pub('-u ann -P wrong'), pub('-u bob'), pub('-V 5 -u bob')],
  },
  {
    what: 'settings of each listener, from included files',
    conf: `per_listener_settings true
listener {0} ${HOST}
password_file ./users
include_dir ./conf.d
acl_file ./acl
`,
    files: {
      acl: ACL,
      'conf.d/B.conf': `listener {2} ${HOST}\n`,
      'conf.d/a.conf': `listener {1} ${HOST}\nallow_anonymous true\n`,
    },
    probes: [
      ...[0, 1, 2].flatMap(port =>
        ['', ANN, '-u ann -P wrong'].map(who =>
          command(
            'mosquitto_pub',
            `-h ${HOST} -p {${port}} -t home/safe -m x -q 1 -V 5 ${who}`.trim(),
            false,
          ),
        ),
      ),
    ],
  },
  {
    what: 'TLS with a password, and without TLS nothing',
    conf: `listener {0} ${HOST}
certfile ./server.crt
keyfile ./server.key
tls_version tlsv1.2
password_file ./users
`,
    probes: [
      tls(ANN),
      tls(''),
      tls(`${ANN} --tls-version tlsv1.3`),
      comesIn(pub(`--cafile other.crt ${ANN}`)),
    ],
  },
  {
    what: 'certificates of clients whose names are user names',
    conf: `listener {0} ${HOST}
certfile ./server.crt
keyfile ./server.key
cafile ./ca.crt
require_certificate true
use_identity_as_username true
password_file ./users
acl_file ./acl
`,
    files: { acl: ACL },
    probes: [
      ...throughTls('own/device-7/x', DEVICE, DEVICE, 'something'),
      ...throughTls('own/device-7/x', DEVICE, `${DEVICE} ${ANN}`, 'something'),
      ...throughTls('own/ann/x', `${DEVICE} ${ANN}`, DEVICE, 'nothing'),
    ],
  },
  {
    what: 'the whole subject as user name',
    conf: `listener {0} ${HOST}
certfile ./server.crt
keyfile ./server.key
cafile ./ca.crt
require_certificate true
use_subject_as_username true
acl_file ./acl
`,
    files: { acl: 'user C=DE,O=Exa\\+mple,CN=\\C3\\A9\\, x\ntopic readwrite own/device-7/x\n' },
    probes: [
      ...throughTls('own/device-7/x', LONG, LONG, 'something'),
      ...throughTls('own/device-7/y', LONG, LONG, 'nothing'),
      ...throughTls('own/device-7/x', DEVICE, DEVICE, 'nothing'),
    ],
  },
  {
    what: 'a certificate is revoked',
    conf: `listener {0} ${HOST}
certfile ./server.crt
keyfile ./server.key
cafile ./ca.crt
require_certificate true
crlfile ./revoked.crl
allow_anonymous true
`,
    probes: [tls(LONG)],
  },
  {
    what: 'WebSockets at whatever path',
    conf: `listener {0} ${HOST}
listener {1} ${HOST}
protocol websockets
password_file ./users
allow_anonymous true
`,
    probes: [
      webSocket('/', null),
      webSocket('/mqtt', null),
      webSocket('/a/b', null),
      webSocket('/mqtt', 'bob'),
    ],
  },
  {
    what: 'a Unix socket, and a listener for both families',
    conf: 'listener 0 ./socket\nlistener {0}\nallow_anonymous true\n',
    probes: [
      command('mosquitto_pub', '--unix ./socket -t t -m m -q 1', false),
      pub(''),
      command('mosquitto_pub', '-h ::1 -p {0} -t t -m m -q 1', false),
    ],
  },
  {
    what: 'one family only',
    conf: 'listener {0}\nsocket_domain ipv4\nallow_anonymous true\n',
    probes: [pub(''), command('mosquitto_pub', '-h ::1 -p {0} -t t -m m -q 1', false)],
  },
  {
    what: 'client ids',
    conf: `listener {0} ${HOST}\nallow_anonymous true\nclientid_prefixes secure-\n`,
    probes: [pub('-i secure-1'), pub('-i other'), pub('-V 5 -i other')],
  },
  {
    what: 'retained messages are not there, nor QoS 2',
    conf: `listener {0} ${HOST}\nallow_anonymous true\nretain_available false\nmax_qos 1\n`,
    probes: [pub('-V 5 -q 1'), pub('-V 5 -q 1 -r'), pub('-V 5 -q 2')],
  },
  {
    what: 'the size of packets and of payloads',
    conf: `listener {0} ${HOST}
allow_anonymous true
max_packet_size 200
message_size_limit 100
`,
    probes: [
      ...payload(100, '-q 1 -V 5', 'something'),
      ...payload(101, '-q 1 -V 5', 'nothing'),
      ...payload(102, '-q 0', 'nothing'),
      ...payload(99, '-q 0', 'something'),
    ],
  },
  {
    what: 'large messages pass',
    conf: `listener {0} ${HOST}\nallow_anonymous true\n`,
    files: { large: 'x'.repeat(6_000_000) },
    probes: [
      command('mosquitto_pub', `-h ${HOST} -p {0} -t t -f large -r -q 1`, false),
      sub('-t t -F %l', 'something'),
    ],
  },
]

for (const one of Cases) {
  test(`as with Mosquitto: ${one.what}`, async context => {
    if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
    const place = await prepare(context, one)
    const theirs = await tryAt(place, one, startMosquitto)
    const ours = await tryAt(place, one, startGodwit)
    assert.deepEqual(ours, theirs)
    assert.equal(theirs.length, one.probes.length)
  })
}

test('who is shut out by TLS comes in at neither, whatever the exit code', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
  const mutual = Cases.find(({ conf }) => conf.includes('crlfile'))
  assert.ok(mutual !== undefined)
  const probes = [
    ...['', '--cert revoked.crt --key revoked.key', '--cert other.crt --key other.key'].map(tls),
    pub(''),
  ]
  const place = await prepare(context, mutual)
  for (const start of [startMosquitto, startGodwit]) {
    const outcomes = await tryAt(place, { ...mutual, probes }, start)
    // TLS 1.3 tells a client after it has sent CONNECT: how far it has come is chance.
    for (const outcome of outcomes) assert.doesNotMatch(outcome, /: 0$/)
  }
})

for (const [what, conf, line] of [
  ['an unknown option', 'listener 1\n\nlistner 2\n', 3],
  ['a word for a boolean', '# x\nallow_anonymous yes\n', 2],
  ['nothing for a boolean', 'allow_anonymous\n', 1],
  ['a comment that is moved in', 'sys_interval 1\n # x\n', 2],
  ['a tab', 'listener\t1883\n', 1],
  ['a port out of range', 'listener 70000\n', 1],
  ['a Unix socket without a path', 'listener 0\n', 1],
  ['a file twice', 'password_file a\npassword_file b\n', 2],
  ['settings per listener too late', 'allow_anonymous true\nper_listener_settings true\n', 2],
  ['a time without a unit', 'persistent_client_expiration 5\n', 1],
  ['a type of lines that is none', 'log_type foo\n', 1],
  ['a directory that is not there', 'sys_interval 1\ninclude_dir ./nowhere\n', 2],
  ['a packet too small', 'max_packet_size 10\n', 1],
  ['a protocol that is none', 'listener 1\nprotocol mqttt\n', 2],
] as const) {
  test(`neither starts with ${what}, and both name its line`, async context => {
    if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
    const { folder } = await prepare(context, { what, conf, probes: [] })
    const theirs = await run(MOSQUITTO, ['-c', 'm.conf'], { cwd: folder })
    const ours = await run(process.execPath, [GODWIT, 'serve', '--config', 'm.conf'], {
      cwd: folder,
    })
    assert.notEqual(theirs.code, 0)
    assert.equal(ours.code, 2)
    for (const { output, errors } of [theirs, ours]) {
      assert.match(output + errors, new RegExp(`m\\.conf:${line}\\b`))
    }
  })
}

/** Files that both can read, also when they have given up the rights of root. */
async function prepare(context: TestContext, { conf, files = {} }: Case): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o777)
  const ports = await freePorts(3)
  const all = { ...files, ...(await secrets(conf)), 'm.conf': conf }
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    const filled = text.replaceAll(/\{(\d)\}/g, (_, index) => String(ports[Number(index)]))
    writeFileSync(join(folder, name), filled, { mode: 0o644 })
  }
  return { ports, folder }
}

/** Passwords and certificates, where the file asks for some. */
async function secrets(conf: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  if (conf.includes('password_file')) {
    found['users'] = `ann:${await hashPassword(Buffer.from('secret'), 'sha512')}\n`
  }
  if (!conf.includes('certfile')) return found
  const revoked = await authority.issue({ commonName: 'revoked' })
  const pairs = {
    server: await authority.issue({ commonName: 'broker' }),
    device: await authority.issue({ commonName: 'device-7' }),
    long: await authority.issue({ commonName: 'é\\, x, O=Exa\\+mple, C=DE' }),
    other: await stranger.issue({ commonName: 'device-7' }),
    revoked,
  }
  for (const [name, { cert, key }] of Object.entries(pairs)) {
    found[`${name}.crt`] = cert
    found[`${name}.key`] = key
  }
  return { ...found, 'ca.crt': authority.cert, 'revoked.crl': await authority.revoke(revoked) }
}

async function tryAt(
  place: Place,
  { probes }: Case,
  start: (folder: string) => Promise<() => Promise<unknown>>,
): Promise<string[]> {
  const stop = await start(place.folder)
  try {
    const outcomes: string[] = []
    for (const probe of probes) outcomes.push(await probe(place))
    return outcomes
  } finally {
    await stop()
  }
}

async function startGodwit(folder: string): Promise<() => Promise<unknown>> {
  const served = await serve(['--config', 'm.conf'], { cwd: folder })
  return () => served.stop()
}

/** Resolves when it says that it runs. */
async function startMosquitto(folder: string): Promise<() => Promise<unknown>> {
  const child = spawn(MOSQUITTO, ['-c', 'm.conf', '-v'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
  })
  const ended = new Promise(resolve => child.on('close', resolve))
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (/ version \S+ running/.test(output)) resolve()
    })
    child.on('close', () => reject(new Error(`mosquitto has ended: ${output}`)))
  })
  return async () => {
    child.kill()
    await ended
  }
}
