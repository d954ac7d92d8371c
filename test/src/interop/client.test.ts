// Our client against servers that are not ours: Mosquitto 2.0 and npm's aedes.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Client, type ConnectOptions, connect } from '@godwit/client'
import { connect as connectLite, type Client as LiteClient } from '@godwit/client/lite'
import { Aedes } from 'aedes'
import { dialing } from '../support/lite.ts'
import { skipWithout } from '../support/skip.ts'

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find(path => existsSync(path))
const LARGE_BYTES = 200_000

/** Starts Mosquitto on a Unix socket. @returns its URL, undefined when the test must stop */
async function mosquitto(context: TestContext): Promise<string | undefined> {
  if (skipWithout(context, MOSQUITTO === undefined ? 'mosquitto' : undefined)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'godwit-mosquitto-'))
  const socket = join(folder, 'sock')
  const config = join(folder, 'conf')
  const lines = [
    // It takes a path up to the first space.
    'listener 0 ./sock',
    'allow_anonymous true',
    'max_topic_alias 10',
    // Started by root it would become somebody who may not write to the folder.
    'user root',
  ]
  await writeFile(config, `${lines.join('\n')}\n`)
  const child: ChildProcess = spawn(MOSQUITTO ?? '', ['-c', config], {
    stdio: 'ignore',
    cwd: folder,
  })
  context.after(async () => {
    const closed = once(child, 'close')
    child.kill()
    await closed
    await rm(folder, { recursive: true })
  })
  return `unix:${socket}`
}

/** Connects; the server may still be starting. */
function patient(url: string, options: ConnectOptions = {}): Promise<Client> {
  const reconnect = { first: true, initialDelayMs: 50, maxDelayMs: 50, attemptsMax: 1000 }
  return connect(url, { ...options, reconnect })
}

/** The same with the lite client, over a stream. */
function patientLite(url: string, options: ConnectOptions = {}): Promise<LiteClient> {
  const reconnect = { first: true, initialDelayMs: 50, maxDelayMs: 50, attemptsMax: 1000 }
  const path = url.replace('unix:', '')
  return connectLite(() => dialing(createConnection({ path })), { ...options, reconnect })
}

/** Messages of each QoS there and back. */
async function exchange(client: LiteClient): Promise<void> {
  const subscription = client.subscribe('echo/+', { qos: 2 })
  await subscription.ready
  const large = new Uint8Array(LARGE_BYTES).fill(7)
  const results = Promise.all([
    client.publish('echo/0', 'zero'),
    client.publish('echo/1', 'one', { qos: 1 }),
    client.publish('echo/2', large, { qos: 2 }),
    client.publish('echo/3', '', { qos: 2 }),
  ])
  const got: [string, number, number][] = []
  for await (const message of subscription) {
    got.push([message.topic.slice('echo/'.length), message.qos, message.payload.length])
    if (got.length === 4) break
  }
  await results
  assert.deepEqual(got, [
    ['0', 0, 4],
    ['1', 1, 3],
    ['2', 2, LARGE_BYTES],
    ['3', 2, 0],
  ])
}

for (const protocolVersion of [5, 4, 3] as const) {
  for (const [name, open] of [
    ['', patient],
    ['lite, ', patientLite],
  ] as const) {
    test(`Mosquitto: ${name}each QoS there and back, level ${protocolVersion}`, async context => {
      const url = await mosquitto(context)
      if (url === undefined) return
      const client = await open(url, { protocolVersion })
      await exchange(client)
      await client.close()
      assert.deepEqual(await client.closed, { error: null })
    })
  }
}

// With a receive maximum below its own window Mosquitto 2.0.11 sends one message too many.
test('Mosquitto: many messages of QoS 2 come once each', async context => {
  const url = await mosquitto(context)
  if (url === undefined) return
  await using client = await patient(url)
  const subscription = client.subscribe('n', { qos: 2 })
  await subscription.ready
  const count = 300
  const sent: Promise<unknown>[] = []
  for (let i = 0; i < count; i++) sent.push(client.publish('n', `${i}`, { qos: 2 }))
  const got: number[] = []
  for await (const message of subscription) if (got.push(Number(message.text())) === count) break
  await Promise.all(sent)
  assert.deepEqual(
    got.sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i),
  )
})

test('Mosquitto: aliases both ways, and properties as they were', async context => {
  const url = await mosquitto(context)
  if (url === undefined) return
  await using client = await patient(url, { topicAliasMaximum: 10 })
  assert.equal(client.negotiated.topicAliasMaximum, 10)
  const topic = 'a/topic/of/some/length'
  const subscription = client.subscribe(topic)
  await subscription.ready
  const options = {
    contentType: 'text/plain',
    correlationData: new Uint8Array([1, 2, 3]),
    userProperties: [['k', 'v']] as const,
  }
  for (let i = 0; i < 3; i++) void client.publish(topic, `${i}`, { qos: 1, ...options })
  for (let i = 0; i < 3; i++) {
    const { value } = await subscription.next()
    assert.equal(value?.topic, topic)
    assert.equal(value.text(), `${i}`)
    assert.equal(value.properties.contentType, 'text/plain')
    assert.deepEqual(value.properties.correlationData, options.correlationData)
    assert.deepEqual(value.properties.userProperties, options.userProperties)
  }
})

test('Mosquitto: a request finds its answer', async context => {
  const url = await mosquitto(context)
  if (url === undefined) return
  await using client = await patient(url)
  const responder = client.respond('add/one', request => `${Number(request.text()) + 1}`)
  await responder.ready
  const answers = await Promise.all([1, 2, 3].map(n => client.request('add/one', `${n}`)))
  assert.deepEqual(
    answers.map(answer => answer.text()),
    ['2', '3', '4'],
  )
  await assert.rejects(client.request('nobody', ''), { code: 'no-responders' })
  await responder.close()
})

test('Mosquitto: filters that overlap give each subscription its messages', async context => {
  const url = await mosquitto(context)
  if (url === undefined) return
  await using client = await patient(url)
  const exact = client.subscribe('o/a')
  const wild = client.subscribe('o/#')
  await Promise.all([exact.ready, wild.ready])
  await client.publish('o/a', 'x', { qos: 1 })
  await client.publish('o/b', 'y', { qos: 1 })
  const texts = [
    (await exact.next()).value?.text(),
    (await wild.next()).value?.text(),
    (await wild.next()).value?.text(),
  ]
  assert.deepEqual(texts, ['x', 'x', 'y'])
  assert.equal(exact.buffered, 0)
  assert.equal(wild.buffered, 0)
})

test('Mosquitto: a session waits for its client', async context => {
  const url = await mosquitto(context)
  if (url === undefined) return
  const options = { clientId: 'waits', sessionExpirySeconds: 100 }
  const first = await patient(url, options)
  await first.subscribe('w', { qos: 2 }).ready
  await first.close()
  await using other = await patient(url)
  await other.publish('w', 'meanwhile', { qos: 2 })
  await using second = await patient(url, { ...options, cleanStart: false })
  assert.equal(second.negotiated.sessionPresent, true)
  const { value } = await second.subscribe('w', { qos: 2 }).next()
  assert.equal(value?.text(), 'meanwhile')
})

async function aedes(context: TestContext): Promise<string> {
  const broker = await Aedes.createBroker()
  const server = createServer(broker.handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(async () => {
    await new Promise<void>(resolve => broker.close(() => resolve()))
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `mqtt://127.0.0.1:${address.port}`
}

test('aedes: it does not know MQTT 5.0, so MQTT 3.1.1 it is', async context => {
  const url = await aedes(context)
  const port = Number(new URL(url).port)
  for (const client of [
    await connect(url),
    await connectLite(() => dialing(createConnection({ port, host: '127.0.0.1' }))),
  ]) {
    assert.equal(client.negotiated.protocolVersion, 4)
    await exchange(client)
    await client.close()
  }
})

test('aedes: a session waits for its client', async context => {
  const url = await aedes(context)
  const options = { clientId: 'waits', protocolVersion: 4, cleanStart: false } as const
  const first = await connect(url, options)
  await first.subscribe('w', { qos: 1 }).ready
  await first.close()
  const other = await connect(url, { protocolVersion: 4 })
  await other.publish('w', 'meanwhile', { qos: 1 })
  const second = await connect(url, options)
  assert.equal(second.negotiated.sessionPresent, true)
  const { value } = await second.subscribe('w', { qos: 1 }).next()
  assert.equal(value?.text(), 'meanwhile')
  await Promise.all([second.close(), other.close()])
})
