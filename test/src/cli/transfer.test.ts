// `godwit export` and `godwit import` as people call them: a session, its subscription, its queue
// and a retained message go from one directory to another, and a broker goes on there.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@godwit/broker'
import mqtt from 'mqtt'

const GODWIT = fileURLToPath(new URL('../../../packages/cli/bin/godwit.js', import.meta.url))
const LIMIT_MS = 60_000
const STORE = { segmentBytes: 65_536, checkpointBytes: 65_536 }

interface Ended {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

function godwit(words: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [GODWIT, ...words], { timeout: LIMIT_MS })
    let [output, errors] = ['', '']
    child.stdout.on('data', chunk => {
      output += chunk
    })
    child.stderr.on('data', chunk => {
      errors += chunk
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, output, errors }))
    // A command that refuses the directory does not read its input.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-transfer-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function withBroker(directory: string, use: (port: number) => Promise<void>): Promise<void> {
  const broker = createBroker({ store: { directory, ...STORE }, statsIntervalSeconds: 0 })
  try {
    const { port } = await broker.listen({ port: 0 })
    await use(port)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

function connect(port: number, clientId: string): Promise<mqtt.MqttClient> {
  return mqtt.connectAsync({
    ...{ port, host: '127.0.0.1', clientId, clean: false, protocolVersion: 5, reconnectPeriod: 0 },
    properties: { sessionExpiryInterval: 3600 },
  })
}

/** A session that is away, two messages that wait for it, one of them retained. */
async function fill(port: number): Promise<void> {
  const subscriber = await connect(port, 'subscriber')
  await subscriber.subscribeAsync('a/#', { qos: 2 })
  await subscriber.endAsync()
  const publisher = await connect(port, 'publisher')
  await publisher.publishAsync('a/bytes', Buffer.from([0, 255, 128]), { qos: 2 })
  await publisher.publishAsync('a/kept', 'text', { qos: 1, retain: true })
  await publisher.endAsync()
}

async function assertGoesOn(port: number): Promise<void> {
  const subscriber = mqtt.connect({
    ...{ port, host: '127.0.0.1', clientId: 'subscriber', clean: false, protocolVersion: 5 },
    ...{ reconnectPeriod: 0, properties: { sessionExpiryInterval: 3600 } },
  })
  const got: string[] = []
  await new Promise<void>((resolve, reject) => {
    subscriber.on('error', reject)
    subscriber.on('message', (topic, payload) => {
      got.push(`${topic} ${payload.toString('hex')}`)
      if (got.length === 2) resolve()
    })
  })
  // This client hands a message at QoS 2 over when the whole handshake is done.
  assert.deepEqual(got.toSorted(), ['a/bytes 00ff80', 'a/kept 74657874'])
  await subscriber.endAsync()
}

test('a store goes to another directory as lines, and a broker goes on there', async context => {
  const [from, to] = [temporaryDirectory(context), temporaryDirectory(context)]
  await withBroker(from, fill)
  const exported = await godwit(['export', '--data', from])
  assert.equal(exported.code, 0, exported.errors)
  const lines = exported.output.trimEnd().split('\n')
  const types = lines.map(line => JSON.parse(line).type)
  assert.deepEqual(types.slice(0, 3), ['godwit-export', 'session', 'session'])
  assert.deepEqual(types.filter(type => type === 'message' || type === 'delivery').length, 4)
  const imported = await godwit(['import', '--data', to], exported.output)
  assert.deepEqual([imported.code, imported.output], [0, ''], imported.errors)
  assert.match(imported.errors, new RegExp(`^${lines.length - 2} records were imported`))
  await withBroker(to, assertGoesOn)
})

test('the exit code and the text say why an export or import is refused', async context => {
  const directory = temporaryDirectory(context)
  const nothing = await godwit(['export', '--data', directory])
  assert.equal(nothing.code, 74)
  assert.match(nothing.errors, /there is no store in /)
  const broken = await godwit(['import', '--data', directory], '{"type":"godwit-export"}\n')
  assert.equal(broken.code, 65)
  assert.match(broken.errors, /line 1: field "at": expected a text, got nothing/)
  await withBroker(directory, async port => {
    await fill(port)
    const locked = await godwit(['export', '--data', directory])
    assert.equal(locked.code, 73)
    assert.match(locked.errors, /is in use by process/)
  })
  const { output } = await godwit(['export', '--data', directory])
  const refused = await godwit(['import', '--data', directory], output)
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /is not empty: --replace removes what it holds/)
  const replaced = await godwit(['import', '--data', directory, '--replace'], output)
  assert.equal(replaced.code, 0, replaced.errors)
  await withBroker(directory, assertGoesOn)
})

test('a damaged database is said in one line', async context => {
  const directory = temporaryDirectory(context)
  writeFileSync(join(directory, 'state.db'), 'no database '.repeat(1000))
  const damaged = await godwit(['export', '--data', directory])
  assert.equal(damaged.code, 65)
  assert.match(damaged.errors, /^Error: .*state\.db cannot be used: file is not a database\n$/)
})
