// From what is typed to settings: the flags of the Go programs, ours, and what cannot be.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { type BenchCommand, Flags, helpOf, parseFlags } from './flags.ts'
import { loadSettings, manySettings, pingSettings } from './options.ts'

function ping(...args: string[]) {
  return pingSettings(parseFlags('ping', args), '')
}

function load(...args: string[]) {
  return loadSettings(parseFlags('load', args), '')
}

function many(...args: string[]) {
  return manySettings(parseFlags('many', args), '')
}

test("pingtest's flags mean what they meant, and -id is a prefix", () => {
  const typed = '-pairs 7 -wsubs 3 -messages 50 -host broker:1999 -dump -id me -user u -pass p'
  const { publishers, subscribers, messages, connection, arrivals } = ping(...typed.split(' '))
  assert.deepEqual([publishers, subscribers, messages, arrivals], [7, 3, 50, null])
  const { targets, dump, clientIdPrefix, username, password } = connection
  assert.deepEqual(targets, [{ kind: 'tcp', host: 'broker', port: 1999, path: '' }])
  assert.deepEqual([dump, clientIdPrefix, username], [true, 'me', 'u'])
  assert.equal(Buffer.from(password ?? []).toString(), 'p')
})

test("loadtest's and many's flags and defaults are kept", () => {
  const { publishers, subscribers, messages, shape } = load()
  assert.deepEqual([publishers, subscribers, messages, shape], [50, 50, 100, 'one-to-one'])
  assert.equal(ping().messages, 1000)
  assert.deepEqual([ping().publishers, ping().subscribers], [100, 20])
  const { sessions, paceMs, connection, topic, message } = many()
  assert.deepEqual([sessions, paceMs, connection.connectsPerSecond], [10, 60_000, 100])
  assert.equal(topic, 'many/{client}')
  const typed = many('-conns=20', '-wait', '0', '-pace', '1', 'my/topic', 'my message')
  assert.deepEqual([typed.sessions, typed.paceMs, typed.topic], [20, 1000, 'my/topic'])
  assert.equal(typed.message, 'my message')
  assert.equal(typed.connection.connectsPerSecond, 0)
  assert.notEqual(message, '')
})

test('a ping without its times is none, and small messages are counted only', () => {
  assert.throws(() => ping('--size', '19'), /at least 20 bytes/)
  assert.throws(() => ping('--plain'), CommandFailure)
  assert.equal(ping('--size', '20').plain, false)
  const sizes = ['12', '11', '0..40'].map(size => load('--size', size).plain)
  assert.deepEqual(sizes, [false, true, true])
})

test('a value that looks like a flag of the Go programs stays a value', () => {
  assert.equal(ping('--user=-host').connection.username, '-host')
})

test('a rate makes an open loop of ten seconds, unless messages are counted', () => {
  const { arrivals, durationMs, messages } = load('--rate', '5k/s')
  assert.deepEqual(
    [arrivals, durationMs, messages],
    [{ kind: 'constant', perSecond: 5000 }, 10_000, 0],
  )
  const counted = load('--rate', '5k/s', '--messages', '10', '--arrival', 'poisson')
  assert.deepEqual(
    [counted.durationMs, counted.messages, counted.arrivals?.kind],
    [0, 10, 'poisson'],
  )
  const each = load('--rate-per-client', '10', '--publishers', '7')
  assert.deepEqual(each.arrivals, { kind: 'constant', perSecond: 70 })
  assert.deepEqual(load('--burst', '5/1s').arrivals, { kind: 'burst', size: 5, everyUs: 1e6 })
})

test('shapes have the numbers of clients that make sense for them', () => {
  const sides = (...args: string[]) => {
    const { publishers, subscribers } = load('--conns', '20', ...args)
    return [publishers, subscribers]
  }
  assert.deepEqual(sides(), [10, 10])
  assert.deepEqual(sides('--fan', 'fan-out'), [1, 10])
  assert.deepEqual(sides('--fan', 'fan-in'), [10, 1])
  assert.deepEqual(sides('--fan', 'shared', '--subscribers', '3'), [10, 3])
  assert.deepEqual(sides('--publishers', '4'), [4, 4])
})

test('addresses come from a URL, a list of targets, a host', () => {
  const targetOf = (...args: string[]) => load(...args).connection.targets
  const web = { kind: 'wss', host: 'b.example', port: 443, path: '/mqtt' }
  assert.deepEqual(targetOf('-L', 'wss://b.example'), [web])
  assert.deepEqual(targetOf('-L', 'ws://[::1]:80/x?y'), [
    { kind: 'ws', host: '::1', port: 80, path: '/x?y' },
  ])
  assert.deepEqual(targetOf('--target', 'a:1,b', '-p', '2'), [
    { kind: 'tcp', host: 'a', port: 1, path: '' },
    { kind: 'tcp', host: 'b', port: 2, path: '' },
  ])
  assert.deepEqual(targetOf('--tls'), [{ kind: 'tls', host: 'localhost', port: 8883, path: '' }])
  const { username, password } = load('-L', 'mqtt://me:p%40ss@h').connection
  assert.deepEqual([username, Buffer.from(password ?? []).toString()], ['me', 'p@ss'])
})

const Wrong: readonly (readonly [command: BenchCommand, args: string, says: RegExp])[] = [
  ['load', '--conns 3', /even number/],
  ['load', '--fan star', /one-to-one, fan-out/],
  ['load', '--publishers 2 --subscribers 3', /as many subscribers/],
  ['load', '--rate 5 --burst 5/1s', /only one/],
  ['load', '--arrival poisson', /needs --rate/],
  ['load', '--size 5 --payload x', /only one/],
  ['load', '--payload-file no/such/file', /no such file/],
  ['load', '--qos 3', /0 to 2/],
  ['load', '--protocol-version 4.1', /5, 311 or 31/],
  ['load', '--pass x -V 311', /needs --user/],
  ['load', '--cert c.pem', /go together/],
  ['load', '--key k.pem', /go together/],
  ['load', '--cafile package.json', /--cafile: there is no certificate in PEM in package.json/],
  ['load', '--cert package.json --key package.json', /--cert: there is no certificate in PEM/],
  ['load', '--output no/such/r.json', /--output: no\/such\/r.json cannot be written \(ENOENT\)/],
  ['load', '--csv /proc/r.csv', /--csv: \/proc\/r.csv cannot be written/],
  ['load', '--output a.json --html a.json', /two reports would be written to a.json/],
  ['many', '--html packages', /--html: packages is a directory/],
  ['load', '--output -', /--output takes a file, not standard output: --json prints the result/],
  ['many', '--csv -', /--csv takes a file, not standard output: \/dev\/stdout is one/],
  ['load', '--abort-on-slo --slo delivery.lost==0', /needs a goal for the response/],
  ['load', '-L http://x', /mqtt, mqtts, ws or wss/],
  ['load', '-L mqtt://x --tls', /--url: mqtt: has no TLS, which other options ask for: use mqtts:/],
  ['many', '-L ws://x --insecure', /--url: ws: has no TLS, which other options ask for: use wss:/],
  ['load', '--retained 10 --rate 5', /--retained says/],
  ['load', '--retained 10 --duration 5s', /--retained says/],
  ['load', '--duration 0s', /--duration takes a time above 0 such as 30s, not "0s"/],
  ['load', '--topic a/{x}', /\{client\}/],
  ['load', '--slo response.p99', /takes a goal/],
  ['load', '--storm 50%', /every/],
  ['load', '--pairs 5', /unknown option/],
  ['load', '--rate', /argument missing/],
  ['load', 'word', /no option takes "word"/],
  ['ping', '--topic same', /needs \{client\}/],
  ['ping', '--topic {client}/{random:3}', /one topic/],
  ['many', 'a b c', /a topic and a message/],
  ['many', '--pace-jitter 120%', /a part/],
  ['many', '--subscribe a/#/b', /no topic filter/],
]
for (const [command, args, says] of Wrong) {
  test(`bench ${command} ${args} is refused with exit code 2`, () => {
    const read = { ping, load, many }[command as 'ping' | 'load' | 'many']
    assert.throws(
      () => read(...args.split(' ')),
      (error: unknown) => {
        assert.ok(error instanceof CommandFailure, String(error))
        assert.equal(error.exitCode, 2)
        assert.match(error.message, says)
        return true
      },
    )
  })
}

test('a password in a URL is decoded, and a percent sign that encodes nothing is one', () => {
  const passwordOf = (url: string): string =>
    Buffer.from(load('--url', url).connection.password ?? []).toString()
  assert.equal(passwordOf('mqtt://joe:a%40b@broker'), 'a@b')
  assert.equal(passwordOf('mqtt://joe:50%@broker'), '50%')
})

test('there are no more processes than clients of a kind, which would have nothing to do', () => {
  assert.equal(load('--conns', '6', '--processes', '50').processes, 3)
  assert.equal(load('--fan', 'fan-in', '--publishers', '9', '--processes', '50').processes, 9)
  assert.equal(ping('--pairs', '2', '--wsubs', '5', '--processes', '50').processes, 5)
  assert.equal(many('--conns', '7', '--processes', '50').processes, 7)
  assert.equal(many('--conns', '0', '--processes', '50').processes, 50)
  assert.equal(load('--conns', '100', '--processes', '4').processes, 4)
})

test('each option is described once for a command, and its letter is free', () => {
  for (const command of ['ping', 'load', 'many', 'compare', 'report', 'compare-brokers'] as const) {
    const flags = Flags.filter(flag => flag.commands.includes(command))
    const names = flags.flatMap(({ name, short }) => (short === undefined ? [name] : [name, short]))
    assert.equal(new Set(names).size, names.length, command)
    const help = helpOf(command, 'first', '\nexample')
    for (const { name } of flags) assert.ok(help.includes(`--${name}`), name)
  }
})

test('each option is in the guide', () => {
  const guide = readFileSync(new URL('../../../../docs/benchmarking.md', import.meta.url), 'utf8')
  const missing = Flags.filter(({ name }) => !new RegExp(`--?${name}(?![\\w-])`).test(guide))
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  )
})
