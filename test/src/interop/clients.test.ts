// Clients that are not ours against the broker, over real sockets: Mosquitto's commands and npm's
// `mqtt`.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import mqtt from 'mqtt'
import { skipWithout } from '../support/skip.ts'

const LIMIT_MS = 20_000
const MOSQUITTO = '/usr/bin/mosquitto_pub'

interface Result {
  readonly code: number | null
  readonly output: string
}

/** Runs a command to its end, within a bounded time. */
function run(command: string, args: readonly string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: LIMIT_MS })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, output }))
  })
}

/** Resolves when somebody has subscribed. */
function subscribed(broker: BrokerServer): Promise<void> {
  return new Promise(resolve => broker.once('subscribe', () => resolve()))
}

async function withBroker(use: (broker: BrokerServer, port: number) => Promise<void>) {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  try {
    await use(broker, port)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

for (const version of ['31', '311', '5']) {
  for (const qos of ['0', '1', '2']) {
    test(`mosquitto_pub and mosquitto_sub, version ${version}, QoS ${qos}`, async context => {
      if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto-clients')) return
      await withBroker(async (broker, port) => {
        const common = ['-p', String(port), '-V', version, '-q', qos]
        const ready = subscribed(broker)
        const subscriber = run('mosquitto_sub', [
          ...common,
          '-t',
          'a/#',
          '-v',
          '-C',
          '2',
          '-W',
          '15',
        ])
        await ready
        await run('mosquitto_pub', [...common, '-t', 'a/b', '-m', 'one'])
        const published = await run('mosquitto_pub', [...common, '-t', 'a', '-m', 'two', '-r'])
        assert.equal(published.code, 0)
        assert.deepEqual(await subscriber, { code: 0, output: 'a/b one\na two\n' })
        const retained = await run('mosquitto_sub', [...common, '-t', '+', '-C', '1', '-W', '15'])
        assert.deepEqual(retained, { code: 0, output: 'two\n' })
      })
    })
  }
}

test('mosquitto_sub resumes its session and gets what it missed', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto-clients')) return
  await withBroker(async (_broker, port) => {
    const common = ['-p', String(port), '-q', '1', '-t', 'a']
    const session = [...common, '-i', 'me', '-c']
    await run('mosquitto_sub', [...session, '-E'])
    for (const message of ['one', 'two']) await run('mosquitto_pub', [...common, '-m', message])
    const missed = await run('mosquitto_sub', [...session, '-C', '2', '-W', '15'])
    assert.deepEqual(missed, { code: 0, output: 'one\ntwo\n' })
  })
})

test('a will of mosquitto_sub is published when it is killed', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto-clients')) return
  await withBroker(async (broker, port) => {
    const at = ['-p', String(port)]
    let ready = subscribed(broker)
    const watcher = run('mosquitto_sub', [...at, '-t', 'will', '-C', '1', '-W', '15'])
    await ready
    ready = subscribed(broker)
    const will = ['--will-topic', 'will', '--will-payload', 'gone']
    const victim = spawn('mosquitto_sub', [...at, '-t', 'x', ...will], { stdio: 'ignore' })
    await ready
    victim.kill('SIGKILL')
    assert.deepEqual(await watcher, { code: 0, output: 'gone\n' })
  })
})

/** A client of npm's `mqtt` without a network. */
async function memoryClient(broker: BrokerServer, protocolVersion: 4 | 5) {
  const options = { protocolVersion, reconnectPeriod: 0 }
  const client = new mqtt.MqttClient(() => broker.connect(), options)
  await new Promise<void>(resolve => client.once('connect', () => resolve()))
  return client
}

for (const protocolVersion of [4, 5] as const) {
  for (const way of ['tcp', 'ws', 'memory'] as const) {
    test(`npm's mqtt over ${way}, level ${protocolVersion}, every QoS`, async () => {
      await withBroker(async (broker, port) => {
        const options = { protocolVersion, reconnectPeriod: 0 }
        const connect = async (): Promise<mqtt.MqttClient> => {
          if (way === 'memory') return memoryClient(broker, protocolVersion)
          if (way === 'tcp') return mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options)
          const { url } = await broker.listen({ port: 0, ws: true })
          return mqtt.connectAsync(url, options)
        }
        const [subscriber, publisher] = [await connect(), await connect()]
        const got: string[] = []
        const all = new Promise<void>(resolve => {
          subscriber.on('message', (topic, payload) => {
            got.push(`${topic} ${payload}`)
            if (got.length === 3) resolve()
          })
        })
        await subscriber.subscribeAsync('t/#', { qos: 2 })
        for (const qos of [0, 1, 2] as const) await publisher.publishAsync(`t/${qos}`, 'm', { qos })
        await all
        assert.deepEqual(got, ['t/0 m', 't/1 m', 't/2 m'])
        await publisher.endAsync()
        await subscriber.endAsync()
      })
    })
  }
}
