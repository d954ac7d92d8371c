// The words of pub, sub, rr and check. What Mosquitto's clients have too is compared with them in
// test/src/interop/mosquitto; here is what only Godwit has, and what is left.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { ClientChoice, type ClientCommand } from './choice.ts'
import { optionGroups, parseClientWords } from './parse.ts'

function parse(
  line: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ClientChoice {
  const [command, ...words] = line
  const choice = parseClientWords(command as ClientCommand, words, { environment, pid: 4711 })
  assert.ok(choice instanceof ClientChoice)
  return choice
}

function refused(line: string, text: RegExp): void {
  assert.throws(
    () => parse(line.split(' ')),
    (error: unknown) => {
      assert.ok(error instanceof CommandFailure)
      assert.equal(error.exitCode, 1)
      assert.match(error.message, text)
      return true
    },
  )
}

test('words without an option are a topic and a message for pub, topics for sub', () => {
  const pub = parse(['pub', 'a/b', 'hello world'])
  assert.deepEqual(pub.topics, ['a/b'])
  assert.deepEqual(pub.source, { kind: 'text', text: 'hello world' })
  assert.deepEqual(parse(['pub', '-m', 'x', 'a']).topics, ['a'])
  assert.deepEqual(parse(['pub', '-t', 'a', 'x']).source, { kind: 'text', text: 'x' })
  assert.deepEqual(parse(['sub', '-t', 'a', 'b', 'c/#']).topics, ['a', 'b', 'c/#'])
  assert.deepEqual(parse(['pub', '--', '-t', '-m']).topics, ['-t'])
  refused('pub a b c', /'c' is one word too many/)
  refused('pub a/+ x', /Invalid publish topic 'a\/\+'/)
  refused('sub a#', /Invalid subscription topic 'a#'/)
})

test('the first word may be a URL, with or without the topic', () => {
  const first = parse(['pub', 'mqtts://joe:se%40cret@broker/a/b', 'x'])
  const { host, port, username, password, topics, secureUrl } = first
  assert.deepEqual(
    [host, port, username, password, topics, secureUrl],
    ['broker', 8883, 'joe', 'se@cret', ['a/b'], true],
  )
  const second = parse(['sub', 'ws://[::1]:9001', 'a', 'b'])
  assert.deepEqual(
    [second.host, second.port, second.topics, second.webSocket],
    ['::1', 9001, ['a', 'b'], true],
  )
  assert.equal(parse(['pub', 'mqtt://broker/a', 'x', '-p', '1884']).port, 1884)
})

test('the path of a ws: URL is where the WebSocket is, that of -L is a topic', () => {
  const { host, port, webSocketPath, topics, source } = parse(['pub', 'ws://broker/live', 'a', 'x'])
  assert.deepEqual([host, port, webSocketPath, topics], ['broker', 80, '/live', ['a']])
  assert.deepEqual(source, { kind: 'text', text: 'x' })
  const secure = parse(['sub', 'wss://broker', 'a'])
  assert.deepEqual([secure.port, secure.webSocketPath, secure.secureUrl], [443, '/mqtt', true])
  const given = parse(['sub', '-L', 'ws://broker/mqtt', '--ws-path', '/live'])
  assert.deepEqual([given.port, given.webSocketPath, given.topics], [1883, '/live', ['mqtt']])
  assert.equal(parse(['sub', '--ws-path', '/x?y=1', 'a']).webSocket, true)
  refused('sub a --ws-path live', /begins with a slash, not "live"/)
  refused('sub a --ws-path /a\r\nHost:x', /begins with a slash/)
})

test('a Unix socket may be a URL too', () => {
  for (const url of ['unix:/run/a%20b', 'unix:///run/a%20b']) {
    const { unix, topics } = parse(['sub', url, 'a'])
    assert.deepEqual([unix, topics], ['/run/a b', ['a']])
  }
  assert.equal(parse(['check', 'unix:/run/x']).unix, '/run/x')
  refused('check unix:run', /expected .* unix:\/path, not unix:run/)
})

test('a URL without a topic leaves -t what it is, one with another topic is an error', () => {
  for (const url of ['mqtt://broker', 'mqtt://broker/']) {
    const { host, topics } = parse(['pub', url, '-t', 'a', '-m', 'x'])
    assert.deepEqual([host, topics], ['broker', ['a']])
    assert.deepEqual(parse(['sub', '-t', 'a', url]).topics, ['a'])
    assert.deepEqual(parse(['rr', url, '-t', 'a', '-e', 'b', '-m', 'x']).topics, ['a'])
  }
  const twice = /the path of a URL is a topic: 'mqtt' in it, and -t 'a'/
  refused('pub mqtt://broker/mqtt -t a -m x', twice)
  refused('pub mqtt:// -t a -m x', /host missing/)
})

test('the flags of the Go programs are what they were', () => {
  const choice = parse([
    ...['pub', '-host', 'there:1884', '-id', 'me', '-user', 'u', '-pass=p', '-dump'],
    ...['-retain=false', '-wait', 'topic', 'message'],
  ])
  const { host, port, id, username, password, dump, retain, wait } = choice
  assert.deepEqual(
    [host, port, id, username, password, dump, retain, wait],
    ['there', 1884, 'me', 'u', 'p', true, false, true],
  )
  refused('pub -retain=perhaps a b', /-retain takes no value/)
})

test('options may have their value behind an equals sign', () => {
  assert.equal(parse(['sub', '--topic=a', '--qos=2']).qos, 2)
  refused('sub --topic=a --verbose=yes', /--verbose takes no value/)
})

test('an option of another command is named', () => {
  refused('pub -C 1 a b', /Unknown option '-C' \(it is one of godwit sub\)/)
  refused('sub --nonsense', /Unknown option '--nonsense'\.$/)
  refused('pub a b --keyform pem', /If keyform is set, keyfile must be also specified/)
  refused('pub --retian a b', /Unknown option '--retian': was --retain meant\?$/)
})

test('a value may be anything, and the last of two wins', () => {
  assert.deepEqual(parse(['pub', '-t', 'a', '-m', '--help']).source, {
    kind: 'text',
    text: '--help',
  })
  assert.equal(parse(['sub', '-q', '1', '-q', '2', 'a']).qos, 2)
  assert.equal(parseClientWords('sub', ['--help'], { environment: {}, pid: 1 }), 'help')
  assert.equal(parseClientWords('sub', ['--version'], { environment: {}, pid: 1 }), 'version')
})

test('-D goes to its packet and makes it MQTT 5', () => {
  const line = ['sub', 'a', '-D', 'connect', 'user-property', 'a', 'b']
  const choice = parse([...line, '-D', 'Connect', 'receive-maximum', '7'])
  assert.equal(choice.level, 5)
  assert.deepEqual(choice.properties.connect, { userProperties: [['a', 'b']], receiveMaximum: 7 })
  refused('sub a -D connect receive-maximum 0', /out of range/)
  refused('pub a b -D publish response-topic #', /a topic without wildcards/)
  refused('sub a -D connect user-property x', /not enough arguments/)
})

test('sessions that are kept need a client id', () => {
  assert.equal(parse(['sub', '-c', '-i', 'me', '-V', '5', 'a']).sessionExpirySeconds, 0xffff_ffff)
  assert.equal(parse(['sub', '-x', '60', 'a']).level, 5)
  assert.equal(parse(['sub', '-I', 'me-', 'a']).id, 'me-4711')
  refused('sub -c -I me- a', /must provide a client id/)
  refused('sub -x ∞ a', /must provide a client id/)
  refused('sub -x -2 a', /-x takes seconds/)
})

test('JSON and recordings keep properties: MQTT 5.0, unless another version is asked for', () => {
  for (const words of [
    ['sub', 'a', '--json'],
    ['sub', 'a', '--record', 'f'],
    ['pub', '--json'],
    ['pub', '--replay', 'f'],
  ]) {
    const { level, fallsBack } = parse(words)
    assert.deepEqual([level, fallsBack], [5, true], words.join(' '))
    const asked = parse([...words, '-V', '311'])
    assert.deepEqual([asked.level, asked.fallsBack], [4, false])
    const exactly = parse([...words, '-V', '5'])
    assert.deepEqual([exactly.level, exactly.fallsBack], [5, false])
  }
  assert.deepEqual([parse(['sub', 'a']).level, parse(['pub', 'a', 'b']).level], [4, 4])
  assert.equal(parse(['check', '--json']).fallsBack, false)
})

test('replay has a speed', () => {
  assert.equal(parse(['pub', '--replay', 'f', '--speed', '2x']).replaySpeed, 2)
  assert.equal(parse(['pub', '--replay', 'f', '--speed', '.5']).replaySpeed, 0.5)
  assert.equal(
    parse(['pub', '--replay', 'f', '--speed', 'max']).replaySpeed,
    Number.POSITIVE_INFINITY,
  )
  refused('pub --replay f --speed 0', /--speed takes/)
  refused('pub --replay f --speed fast', /--speed takes/)
})

test('passwords come from where they are said to be', () => {
  assert.deepEqual(parse(['sub', '-u', 'u', '--pw-env', 'SECRET', 'a']).passwordPlace, {
    kind: 'environment',
    name: 'SECRET',
  })
  refused('sub --pw-ask a', /-P needs -u/)
})

test('check takes a server', () => {
  const choice = parse(['check', 'mqtts://u:p@there:18/', '-W', '3', '--json'])
  const { host, port, username, password, secureUrl, timeoutSeconds, json } = choice
  assert.deepEqual(
    [host, port, username, password, secureUrl, timeoutSeconds, json],
    ['there', 18, 'u', 'p', true, 3, true],
  )
  assert.deepEqual([parse(['check', ':18']).host, parse(['check', ':18']).port], ['localhost', 18])
  const { webSocket, webSocketPath: path } = parse(['check', 'ws://there/live'])
  assert.deepEqual([webSocket, path], [true, '/live'])
  refused('check http://there', /expected mqtt, mqtts, ws or wss:/)
  refused('check a b', /one word too many/)
})

test('a proxy has an address, and perhaps a user', () => {
  assert.deepEqual(parse(['sub', 'a', '--proxy', 'socks5h://u%3A:p%40@[::1]']).proxy, {
    host: '::1',
    port: 1080,
    username: 'u:',
    password: 'p@',
  })
  refused('sub a --proxy http://x', /--proxy takes socks5h/)
})

test('options of the user come from a file, which the command line overrides', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  try {
    const file = join(folder, 'options')
    writeFileSync(file, '# mine\r\n-t from/file\n-F %t  %p\n-D publish user-property a b c\n-q 1\n')
    assert.throws(() => parse(['pub', '-o', file, 'x']), /Unknown option '-F'/)
    writeFileSync(file, '-t from/file\n-D publish user-property a b c\n-q 1\n')
    const choice = parse(['pub', '-o', file, '-m', 'x', '-q', '2'])
    assert.deepEqual([choice.topics, choice.qos], [['from/file'], 2])
    assert.deepEqual(choice.properties.publish, { userProperties: [['a', 'b c']] })
    mkdirSync(join(folder, '.config'))
    writeFileSync(join(folder, '.config/mosquitto_sub'), '-q 1')
    assert.equal(parse(['sub', 'a'], { HOME: folder }).qos, 1)
    writeFileSync(join(folder, '.config/godwit_sub'), '-q 2')
    assert.equal(parse(['sub', 'a'], { HOME: folder }).qos, 2)
    refused(`sub a -o ${folder}/none`, /the options file cannot be read: ENOENT/)
    refused('sub a -o', /no options file specified/)
    refused('sub a -o x -o y', /Duplicate -o/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('no two options of a command have the same name', () => {
  for (const command of ['pub', 'sub', 'rr', 'check'] as const) {
    const names = optionGroups(command).flatMap(({ options }) => options.flatMap(o => o.names))
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
      command,
    )
  }
})
