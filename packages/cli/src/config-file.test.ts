// The configuration file: what it says, and that whatever is wrong is named with line and field.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OptionError } from '@godwit/broker'
import { limitErrors, located } from './config.ts'
import { loadConfig, parseConfig } from './config-file.ts'
import { CommandFailure } from './failure.ts'

function failure(text: string): string {
  try {
    parseConfig(text, 'godwit.yaml')
  } catch (error) {
    assert.ok(error instanceof CommandFailure, String(error))
    assert.equal(error.exitCode, 2)
    return error.message
  }
  return assert.fail('it was accepted')
}

const WHOLE = `# everything there is
listeners:
  - port: 1883
    host: 0.0.0.0
    name: plain
    backlog: 100
    connectionsMax: 10
  - port: 8883
    tls:
      certFile: server.crt
      keyFile: server.key
      caFile: ca.crt
      crlFile: crl.pem
      clientCertificate: optional
      minVersion: TLSv1.3
  - port: 8083
    ws:
      path: /live
      origins: [https://app.example]
    proxyProtocol: { trustCertificate: true }
  - unix: { path: /run/mqtt.sock, mode: 0o660 }
statsIntervalSeconds: 30
nodeName: one
responseTopicPrefix: responses
dump: true
drainSeconds: 2.5
log: { level: debug, format: json }
metrics: { port: 9883, host: '::1' }
limits:
  packetBytesMax: 4096
  fullQueue: refuse
  retainAvailable: false
`

test('a file that says everything is understood', () => {
  const { config } = parseConfig(WHOLE, 'godwit.yaml')
  assert.equal(config.listeners?.length, 4)
  assert.deepEqual(config.listeners?.[0], {
    port: 1883,
    host: '0.0.0.0',
    name: 'plain',
    backlog: 100,
    connectionsMax: 10,
  })
  assert.deepEqual(config.listeners?.[3], { unix: { path: '/run/mqtt.sock', mode: 0o660 } })
  assert.equal(config.broker.statsIntervalSeconds, 30)
  assert.deepEqual(config.broker.limits, {
    packetBytesMax: 4096,
    fullQueue: 'refuse',
    retainAvailable: false,
  })
  assert.deepEqual(config.log, {
    level: 'debug',
    format: 'json',
    to: ['stdout'],
    connections: false,
  })
  assert.equal(config.drainSeconds, 2.5)
})

test('an empty file says nothing, and that is allowed', () => {
  for (const text of ['', '# only a comment\n', '{}\n']) {
    const { config } = parseConfig(text, 'godwit.yaml')
    assert.equal(config.listeners, null)
    assert.equal(config.log.level, 'info')
  }
})

for (const [what, text, place, field] of [
  ['an unknown field', 'dump: true\nport: 1883\n', 'godwit.yaml:2:1', 'port'],
  [
    'an unknown field of a listener',
    'listeners:\n  - prot: 1\n',
    'godwit.yaml:2:5',
    'listeners[1].prot',
  ],
  ['a port out of range', 'listeners:\n  - port: 70000\n', 'godwit.yaml:2:5', 'listeners[1].port'],
  [
    'a port that is text',
    'listeners:\n  - port: 1\n  - port: mqtt\n',
    'godwit.yaml:3:5',
    'listeners[2].port',
  ],
  [
    'a limit that is text',
    'limits:\n  packetBytesMax: 1 MB\n',
    'godwit.yaml:2:3',
    'packetBytesMax',
  ],
  ['an unknown limit', 'limits:\n\n  packetMax: 1\n', 'godwit.yaml:3:3', 'limits.packetMax'],
  ['an unknown policy', 'limits: { fullQueue: wait }\n', 'godwit.yaml:1:11', 'limits.fullQueue'],
  ['a level that is none', 'log:\n  level: loud\n', 'godwit.yaml:2:3', 'log.level'],
  ['TLS without a key', 'listeners:\n  - tls:\n      certFile: x\n', 'godwit.yaml:2:5', 'keyFile'],
  ['a list where an object is due', 'limits: [1, 2]\n', 'godwit.yaml:1:1', 'limits'],
  ['a text where the file is due', 'hello\n', 'godwit.yaml', 'the file'],
  ['an indentation that is wrong', 'limits:\n  a: 1\n b: 2\n', 'godwit.yaml:3', ''],
  ['a bracket that is not closed', 'limits: {\n', 'godwit.yaml:', ''],
  ['a key that comes twice', 'dump: true\ndump: false\n', 'godwit.yaml:2:1', ''],
  ['an alias that stands for nothing', 'log: *other\n', 'godwit.yaml', 'other'],
] as const) {
  test(`${what} is named with its place`, () => {
    const message = failure(text)
    assert.ok(message.startsWith(place), message)
    assert.ok(message.includes(field), message)
  })
}

for (const [text, said] of [
  ['listeners:\n  - tls:\n      certFile: x\n', 'tls.keyFile: it is missing: expected a text'],
  ['scram: {}\n', 'scram.users: it is missing: expected an object'],
  ['nodeName: 3\n', 'nodeName: expected a text, got 3'],
  ['nodeName: ""\n', 'nodeName: expected a text that is not empty, got ""'],
  ['dump: "yes"\n', 'dump: expected true or false, got "yes"'],
  ['listeners: {}\n', 'listeners: expected a list, got an object'],
  ['listeners: [{port: 70000}]\n', 'port: expected a number, at most 65535, got 70000'],
  ['listeners: [{port: 1.5}]\n', 'port: expected a whole number, got 1.5'],
  ['listeners: [{backlog: 0}]\n', 'backlog: expected a number, at least 1, got 0'],
  ['listeners: [{ws: 3}]\n', 'ws: expected true or false or an object, got 3'],
  ['listeners: [{ws: {path: x}}]\n', 'ws.path: expected a text that begins with /, or *, got "x"'],
  ['listeners: [{unix: {mode: 1}}]\n', 'unix.path: it is missing: expected a text'],
  [
    'log: {level: loud}\n',
    'level: expected one of fatal, error, warn, info, debug, trace, silent, got',
  ],
  ['log:\n', 'log: expected an object, got null'],
  ['lisseners: []\n', 'lisseners: there is no such field; was listeners meant?'],
  ['listeners: [{tls: {cert: x}}]\n', 'tls.cert: there is no such field; was certFile meant?'],
  ['listeners: [{ws: {pth: /x}}]\n', 'ws.pth: there is no such field; was path meant?'],
  ['limits: {packetBytes: 5}\n', 'packetBytes: there is no such field; was packetBytesMax meant?'],
  ['colour: 5\n', 'colour: there is no such field'],
] as const) {
  test(`what was expected and what came is said: ${JSON.stringify(text)}`, () => {
    const message = failure(text)
    assert.ok(message.includes(said), message)
    assert.doesNotMatch(message, /received|undefined|invalid/i)
  })
}

test('all that is wrong is named, not only the first', () => {
  const message = failure('dump: 3\nlimits:\n  packetBytesMax: x\nlisteners:\n  - prot: 1\n')
  const places = message.split('\n').map(line => line.split(': ')[0])
  assert.deepEqual(places.sort(), ['godwit.yaml:1:1', 'godwit.yaml:3:3', 'godwit.yaml:5:5'])
})

test('YAML with a fault is not taken for a mosquitto.conf', () => {
  const forgottenColon = 'data: none\nport 1883'
  const faults = ['port: 1883', 'listeners: 1', '- listener', 'data ./here', 'log: [']
  for (const text of [...faults, forgottenColon]) {
    assert.throws(
      () => parseConfig(text, 'g.yaml'),
      (error: Error) => {
        assert.doesNotMatch(error.message, /Mosquitto/)
        return true
      },
    )
  }
})

test('a file that cannot be read is said', async () => {
  await assert.rejects(loadConfig('/nowhere/godwit.yaml'), {
    name: 'CommandFailure',
    message: /cannot be read.*ENOENT/,
  })
})

test('what the broker has against an option gets its place in the file', () => {
  const { source } = parseConfig('dump: false\nlimits:\n  receiveMaximum: 0\n', 'godwit.yaml')
  const error = located(new OptionError('limits.receiveMaximum', 'expected more'), source)
  assert.ok(error instanceof CommandFailure)
  assert.equal(error.message, 'godwit.yaml:3:3: limits.receiveMaximum: expected more')
  const other = located(new OptionError('nodeName', 'x'), source)
  assert.equal(other instanceof CommandFailure && other.message, 'nodeName: x')
  const own = new Error('something else')
  assert.equal(located(own, source), own)
})

test('limits out of their range are named together with everything else', () => {
  const limits = 'limits:\n  maximumQoS: 3\n  inflightMax: x\n  receiveMaximum: 0\n'
  const message = failure(`${limits}foo: 1\n`)
  for (const text of ['yaml:2:3: limits.maximumQoS', 'limits.inflightMax', 'yaml:5:1: foo']) {
    assert.ok(message.includes(text), text)
  }
  assert.match(message, /godwit\.yaml:4:3: limits\.receiveMaximum: expected a whole number from 1/)
  const { config, source } = parseConfig('limits: {maximumQoS: 3, receiveMaximum: 0}\n', 'x')
  assert.equal(limitErrors(config.broker.limits, source).length, 2)
  assert.deepEqual(limitErrors({ maximumQoS: 1, inflightMax: 5 }, source), [])
})

test('a listener with access of its own has a name of its own', () => {
  const { config } = parseConfig('listeners:\n  - {}\n  - { aclFile: a }\n', 'x.yaml')
  assert.deepEqual(config.listeners, [{}, { name: 'listener 2' }])
  assert.equal(config.ownAccess.get('listener 2')?.aclFile, 'a')
  for (const name of ['tcp', 'one']) {
    const yaml = `listeners: [{ name: one }, { name: ${name}, allowAnonymous: true }]`
    assert.throws(() => parseConfig(yaml, 'x.yaml'), /needs a name of its own/)
  }
})

test('the log goes to one place, to several, or nowhere', () => {
  const to = (yaml: string) => parseConfig(`log: { to: ${yaml} }`, 'x.yaml').config.log.to
  assert.deepEqual(to('stderr'), ['stderr'])
  assert.deepEqual(to('[stdout, /var/log/x]'), ['stdout', '/var/log/x'])
  assert.deepEqual(to('none'), [])
  assert.match(failure('log: { to: [] }'), /log\.to/)
})

test('metrics need a port, and have no other fields', () => {
  assert.match(failure('metrics: {}\n'), /godwit\.yaml:1:1: metrics\.port: it is missing/)
  assert.match(failure('metrics:\n  port: 70000\n'), /godwit\.yaml:2:3: metrics\.port: .*65535/)
  assert.match(
    failure('metrics:\n  port: 1\n  hst: a\n'),
    /yaml:3:3: metrics\.hst: .*was host meant/,
  )
  assert.match(failure('metrics: 9883\n'), /metrics: expected an object, got 9883/)
})
