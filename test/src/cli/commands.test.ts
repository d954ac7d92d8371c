// pub, sub, rr and ticktock as programs, where they are more than Mosquitto's clients; what they
// have in common is compared in ../interop/mosquitto.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { devNull, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type BrokerOptions,
  type BrokerServer,
  createBroker,
  type PublishedMessage,
} from '@godwit/broker'
import { nextEvent, until } from '../support/brokers.ts'
import { skipWithout } from '../support/skip.ts'
import { GODWIT, type Running, run, start } from './godwit.ts'

interface Served {
  readonly broker: BrokerServer
  readonly at: readonly string[]
  readonly received: PublishedMessage[]
}

/** A broker that notes what it gets. */
async function serve(context: TestContext, hooks: BrokerOptions['hooks'] = {}): Promise<Served> {
  const received: PublishedMessage[] = []
  const broker = createBroker({
    statsIntervalSeconds: 0,
    hooks: {
      publish: message => {
        received.push({ ...message, payload: Uint8Array.from(message.payload) })
        return undefined
      },
      ...hooks,
    },
  })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  return { broker, at: ['-h', '127.0.0.1', '-p', String(port)], received }
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return folder
}

const BINARY = Uint8Array.from([0, 255, 10, 13, 34, 0xc3, 0x28])

test('what sub --json prints, pub --json publishes again, byte for byte', async context => {
  const { broker, at, received } = await serve(context)
  const ready = nextEvent(broker, 'subscribe')
  const sub = start(['sub', ...at, '-q', '2', '-t', 'in/#', '-C', '3', '--json'])
  await ready
  const properties = {
    contentType: 'x/y',
    correlationData: BINARY,
    userProperties: [
      ['a', 'b'],
      ['a', 'ü'],
    ],
  } as const
  broker.publish('in/text', 'grüße\n"', { qos: 1, properties })
  broker.publish('in/bytes', BINARY, { qos: 2 })
  broker.publish('in/empty', '')
  const { stdout, code } = await sub.ended
  assert.equal(code, 0)
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 3)
  assert.equal(JSON.parse(lines[1] ?? '').payloadBase64, Buffer.from(BINARY).toString('base64'))
  const out = stdout.replaceAll('"in/', '"out/')
  assert.equal((await run(['pub', ...at, '--json'], out)).code, 0)
  assert.deepEqual(
    received.map(({ topic, payload, qos }) => [topic, Buffer.from(payload), qos]),
    [
      ['out/text', Buffer.from('grüße\n"'), 1],
      ['out/bytes', Buffer.from(BINARY), 2],
      ['out/empty', Buffer.alloc(0), 0],
    ],
  )
  const got = received[0]?.properties
  assert.deepEqual(got?.userProperties, properties.userProperties)
  assert.deepEqual(Uint8Array.from(got?.correlationData ?? []), BINARY)
})

test('where there is no MQTT 5 lines go without properties, and pub says so', async context => {
  const { at, received } = await serve(context, {
    authenticate: ({ protocolLevel }) => (protocolLevel === 5 ? 0x84 : 0),
  })
  const line = '{"topic":"a","payload":"x","contentType":"t"}\n'
  const old = await run(['pub', ...at, '--json'], `${line}${line}`)
  assert.equal(old.code, 0)
  assert.match(old.stderr, /^Warning: properties are left out: .* MQTT 5\.0.*\n$/)
  const asked = await run(['pub', ...at, '--json', '-V', '311'], line)
  assert.match(asked.stderr, /^Warning: properties are left out/)
  const none = await run(['pub', ...at, '--json'], '{"topic":"a","payload":"x"}\n')
  assert.deepEqual([none.code, none.stderr], [0, ''])
  assert.equal(received.length, 4)
})

test('a line that is no message ends pub --json with its number', async context => {
  const { at, received } = await serve(context)
  const lines = '{"topic":"a","payload":"x"}\n\n{"topic":"a","qos":7}\n'
  const { code, stderr } = await run(['pub', ...at, '--json'], lines)
  assert.equal(code, 1)
  assert.match(stderr, /line 3 of standard input qos is 0, 1 or 2, not 7/)
  assert.equal(received.length, 1)
  assert.match((await run(['pub', ...at, '--json'], '{}')).stderr, /a line has no topic/)
})

/** Resolves when it has printed so many lines. */
function printed({ child }: Running, count: number): Promise<void> {
  let lines = 0
  return new Promise(resolve => {
    child.stdout.on('data', (chunk: Buffer) => {
      lines += chunk.toString().split('\n').length - 1
      if (lines >= count) resolve()
    })
  })
}

/** `sub` with these options, that gets two messages if it goes on. */
async function recorded(context: TestContext, options: string[], output: number | 'pipe' = 'pipe') {
  const { broker, at } = await serve(context)
  const ready = nextEvent(broker, 'subscribe')
  const words = [GODWIT, 'sub', ...at, 'a', '-C', '2', ...options]
  const sub = spawn(process.execPath, words, { stdio: ['ignore', output, 'pipe'] })
  let stderr = ''
  sub.stderr?.on('data', chunk => {
    stderr += chunk
  })
  await ready
  broker.publish('a', 'one')
  broker.publish('a', 'two')
  const [code] = await once(sub, 'close')
  return { code, stderr }
}

const NO_FULL = process.platform === 'linux' ? undefined : 'Linux, for /dev/full'
const NO_SPACE = 'ENOSPC: no space left on device, write'

test('a recording for which there is no room ends with one line and exit code 1', async context => {
  if (skipWithout(context, NO_FULL)) return
  const { code, stderr } = await recorded(context, ['--record', '/dev/full'])
  assert.deepEqual([code, stderr], [1, `Error: --record: ${NO_SPACE}\n`])
})

test('an output for which there is no room ends with one line and exit code 1', async context => {
  if (skipWithout(context, NO_FULL)) return
  const full = openSync('/dev/full', 'w')
  context.after(() => closeSync(full))
  const { code, stderr } = await recorded(context, [], full)
  assert.deepEqual([code, stderr], [1, `Error: standard output: ${NO_SPACE}\n`])
})

test('a recording may go to what cannot be synced', async context => {
  const { code, stderr } = await recorded(context, ['--record', devNull])
  assert.deepEqual([code, stderr], [0, ''])
})

test('what is only counted on the terminal is recorded all the same', async context => {
  const file = join(folderOf(context), 'recording')
  await recorded(context, ['--message-rate', '--record', file])
  assert.equal(readFileSync(file, 'utf8').trim().split('\n').length, 2)
})

test('a recording is replayed in its own time, or as fast as it goes', async context => {
  const { broker, at, received } = await serve(context)
  const file = join(folderOf(context), 'recording')
  const ready = nextEvent(broker, 'subscribe')
  const sub = start(['sub', ...at, 'a', '-C', '2', '--record', file])
  await ready
  broker.publish('a', 'one', { properties: { contentType: 'x/y' } })
  broker.publish('a', 'two')
  const printed = await sub.ended
  assert.equal(printed.stdout, 'one\ntwo\n', printed.stderr)
  const [first, second] = readFileSync(file, 'utf8').trim().split('\n')
  const start1 = JSON.parse(first ?? '')
  assert.ok(JSON.parse(second ?? '').time >= start1.time)
  const later = (ms: number): string =>
    `${first}\n${JSON.stringify({ ...start1, payload: 'late', time: start1.time + ms })}\n`
  writeFileSync(file, later(400))
  const startedMs = performance.now()
  assert.equal((await run(['replay', file, ...at])).code, 0)
  assert.ok(performance.now() - startedMs >= 400)
  writeFileSync(file, later(86_400_000))
  assert.equal((await run(['pub', ...at, '--replay', file, '--speed', 'max'])).code, 0)
  assert.deepEqual(
    received.map(({ payload }) => Buffer.from(payload).toString()),
    ['one', 'late', 'one', 'late'],
  )
  assert.deepEqual(
    received.map(({ properties }) => properties.contentType),
    ['x/y', 'x/y', 'x/y', 'x/y'],
  )
  const missing = await run(['replay', `${file}.none`, ...at])
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /cannot be read: ENOENT/)
})

test('rr prints the response to its own request and no other', async context => {
  const { broker, at } = await serve(context, {
    publish: ({ topic, payload, properties }) => {
      if (topic !== 'service') return undefined
      const { responseTopic = '', correlationData = BINARY } = properties
      const echo = `re ${Buffer.from(payload)}`
      setImmediate(() => {
        const other = { properties: { correlationData: Uint8Array.from([1, 2, 3]) } }
        broker.publish(responseTopic, "somebody else's", other)
        broker.publish(responseTopic, echo, { properties: { correlationData } })
      })
      return undefined
    },
  })
  broker.publish('me', 'an old answer', { retain: true })
  const one = await run(['rr', ...at, '-t', 'service', '-e', 'me', '-m', 'x', '--latency'])
  assert.equal(one.code, 0, one.stderr)
  assert.match(one.stdout, /^re x\nLatency: \d+\.\d{6}(?:ms|µs)\n$/)
  const requests = Array.from({ length: 50 }, (_, i) => `${i}\n`).join('')
  const many = await run(['rr', ...at, '-t', 'service', '-e', 'me', '-l', '--latency'], requests)
  assert.equal(many.code, 0, many.stderr)
  const answers = many.stdout.trim().split('\n')
  assert.match(answers.pop() ?? '', /^Latency of 50: min .* p50 .* p99 .* max /)
  assert.deepEqual(
    answers.map(answer => Number(answer.replace('re ', ''))).sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  )
})

test('a refused message or subscription gives its reason code', async context => {
  const { at } = await serve(context, {
    authorizePublish: () => false,
    authorizeSubscribe: () => false,
  })
  const args = [...at, '-V', '5', '-q', '1', '-t', 'a']
  const pub = await run(['pub', ...args, '-l'], 'one\ntwo\n')
  assert.equal(pub.code, 0x87)
  assert.match(pub.stderr, /Publish 1 failed: Not authorized\.\n.*Publish 2 failed/)
  const sub = await run(['sub', ...args])
  assert.equal(sub.code, 0x87)
  assert.match(sub.stderr, /All subscription requests were denied/)
})

test('a session that was left gives its messages to the next', async context => {
  const { broker, at } = await serve(context)
  const mine = [...at, '-i', 'me', '-c', '-q', '1']
  assert.equal((await run(['sub', ...mine, '-t', 'old', '-E'])).code, 0)
  broker.publish('old', 'kept', { qos: 1 })
  const { stdout } = await run(['sub', ...mine, '-t', 'new', '-v', '-C', '1'])
  assert.equal(stdout, 'old kept\n')
  const left = nextEvent(broker, 'unsubscribe')
  const gone = start(['sub', ...mine, '-U', 'old', '-W', '60'])
  assert.equal((await left).filter, 'old')
  gone.child.kill('SIGINT')
  assert.equal((await gone.ended).code, 0)
})

test('a signal ends sub with success, and the broker publishes its will', async context => {
  const { broker, at, received } = await serve(context)
  const ready = nextEvent(broker, 'subscribe')
  const will = ['--will-topic', 'will', '--will-payload', 'gone']
  const sub = start(['sub', ...at, '-V', '5', '-t', 'a', ...will])
  const watcher = start(['sub', ...at, '-t', 'will', '-C', '1'])
  await ready
  await until(() => broker.stats().subscriptions === 2, 'both have subscribed')
  sub.child.kill('SIGTERM')
  assert.equal((await sub.ended).code, 0)
  assert.equal((await watcher.ended).stdout, 'gone\n')
  assert.equal(received.length, 0)
})

test('sub ends well when nobody reads what it prints', async context => {
  const { broker, at } = await serve(context)
  const ready = nextEvent(broker, 'subscribe')
  const sub = start(['sub', ...at, '-t', 'a'])
  await ready
  const gone = once(sub.child.stdout, 'close')
  sub.child.stdout.destroy()
  await gone
  broker.publish('a', 'x')
  const { code, stderr } = await sub.ended
  assert.equal(code, 0)
  assert.equal(stderr, '')
})

test('-W ends even when the broker does not answer CONNECT', async context => {
  const server = createServer(() => undefined)
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  context.after(() => server.close())
  const { port } = server.address() as { port: number }
  const { code, stderr } = await run(['sub', '-h', '127.0.0.1', '-p', `${port}`, 'a', '-W', '1'])
  assert.equal(code, 27)
  assert.equal(stderr, 'Timed out\n')
})

test('passwords come from the environment or a file', async context => {
  const { at, received } = await serve(context, {
    authenticate: ({ password }) => Buffer.from(password ?? []).toString() === 'geheim',
  })
  const file = join(folderOf(context), 'password')
  writeFileSync(file, 'geheim\r\nnot this\n')
  const pub = (...args: string[]) => run(['pub', ...at, '-u', 'u', ...args, 'a', 'x'], '', SECRET)
  assert.equal((await pub('--pw-env', 'SECRET')).code, 0)
  assert.equal((await pub('--pw-file', file)).code, 0)
  assert.equal(received.length, 2)
  assert.equal((await pub('-P', 'wrong')).code, 5)
  const missing = await pub('--pw-env', 'NOTHING')
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /no variable NOTHING/)
  assert.match((await pub('--pw-ask')).stderr, /there is no terminal/)
})

const SECRET = { SECRET: 'geheim' }

test('ticktock says what time it is, with the flags of the Go program', async context => {
  const { at } = await serve(context)
  const [, host, , port] = at
  const clock = start(['ticktock', '-host', `${host}:${port}`, '-who', 'clyde', '-delay', '20ms'])
  // That the broker has sent a tick is no sign that it was printed.
  await Promise.race([printed(clock, 2), clock.ended])
  clock.child.kill('SIGINT')
  const { stdout, code } = await clock.ended
  assert.equal(code, 0)
  assert.match(stdout, /^(?:tick\tclyde at \d{4}-\S+Z\tr: {2}false\n){2,}$/)
})
