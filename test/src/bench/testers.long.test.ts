// What the testers can do, measured: a million messages per second of one core, many sessions in
// little memory, all brokers that are installed.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { godwit } from '../support/godwit.ts'
import { skipWithout } from '../support/skip.ts'

const RELAY = fileURLToPath(new URL('../support/relay.js', import.meta.url))
const COMMAND = fileURLToPath(new URL('../../../packages/cli/bin/godwit.js', import.meta.url))
const SESSIONS = 10_000
const SESSION_BYTES_MAX = 6 * 1024

/** A process that ends with the test. */
function start(context: TestContext, command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  context.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  })
  return child
}

test('one core sends and receives a million QoS 0 messages of 64 B per second', async context => {
  const relay = start(context, process.execPath, [RELAY])
  const [line] = await once(relay.stdout ?? relay, 'data')
  const where = ['-p', String(line).trim(), '-h', '127.0.0.1']
  const options = ['--publishers', '50', '--duration', '4s', '--warmup', '1s', '--json', '--quiet']
  const { code, output } = await godwit('bench', 'load', ...where, ...options)
  const [trial] = JSON.parse(output).trials
  const perCpuSecond = trial.counts.received / trial.tester.cpuSeconds
  context.diagnostic(
    `${Math.round(trial.rates.received)} messages/s, ${Math.round(perCpuSecond)} per CPU second`,
  )
  assert.equal(code, 0)
  assert.equal(trial.delivery.lost, 0)
  // By CPU time, since the machine may have other work to do.
  assert.ok(perCpuSecond > 1e6, `${perCpuSecond} messages per CPU second of the tester`)
})

test('ten thousand sessions cost at most 6 KiB each in the tester', async context => {
  const flags = ['--port', '0', '--data', 'none', '--log-level', 'info', '--json']
  const broker = start(context, process.execPath, [COMMAND, 'serve', ...flags])
  let port = ''
  // Leaving the loop would close the pipe that the broker goes on to write to.
  for await (const chunk of broker.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    port = /mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1] ?? ''
    if (port !== '') break
  }
  broker.stdout?.resume()
  const where = ['-p', port, '-h', '127.0.0.1', '--json', '--quiet']
  const options = ['--conns', String(SESSIONS), '--wait', '0', '--pace', '10', '--hold', '12s']
  const { code, output, errors } = await godwit('bench', 'many', ...where, ...options)
  assert.equal(code, 0, errors)
  const [trial] = JSON.parse(output).trials
  assert.equal(trial.connect.connected, SESSIONS)
  assert.equal(trial.delivery.lost, 0)
  assert.ok(trial.counts.sent > SESSIONS / 2)
  const note = trial.notes.find((text: string) => text.includes('memory per session'))
  context.diagnostic(note)
  const [, number = '', unit = ''] = /^([\d.]+) (B|KiB)/.exec(note) ?? []
  const bytes = Number(number) * (unit === 'KiB' ? 1024 : 1)
  assert.ok(bytes > 0 && bytes <= SESSION_BYTES_MAX, note)
})

test('every broker that is installed takes part in a comparison', async context => {
  const missing = ['/usr/sbin/mosquitto', '/usr/sbin/nats-server'].find(path => !existsSync(path))
  if (skipWithout(context, missing)) return
  const options = [
    '--scenarios',
    'pairs-qos1',
    '--seconds',
    '1',
    '--repeat',
    '1',
    '--json',
    '--quiet',
  ]
  const { code, output } = await godwit('bench', 'compare-brokers', ...options)
  assert.equal(code, 0)
  const { measurements, missing: absent } = JSON.parse(output)
  assert.deepEqual(absent, [])
  const names = measurements.map((one: { broker: string }) => one.broker)
  assert.deepEqual(names, ['godwit', 'godwit-durable', 'mosquitto', 'nats', 'aedes'])
  for (const one of measurements) {
    assert.equal(one.failure, null, one.broker)
    assert.ok(one.receivedPerSecond > 0, one.broker)
    assert.equal(one.lost, 0, one.broker)
  }
})
