// Many sessions, against our broker and one that does wrong on purpose.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createBroker } from '@godwit/broker'
import { manyOf, noSignal } from '../testing/bench-settings.ts'
import { type Faults, FaultyBroker } from '../testing/faulty-broker.ts'
import { RunFailure } from './coordinator.ts'
import { runMany } from './many.ts'
import { openProgress } from './progress.ts'
import type { RunResult, TrialResult } from './result.ts'

const QUIET = openProgress(true, process.stderr)

async function hold(
  port: number,
  options: string,
  signal: AbortSignal = noSignal(),
): Promise<{ result: RunResult; trial: TrialResult; text: string }> {
  const { result, lines } = await runMany(manyOf(port, options), true, QUIET, signal)
  const [trial] = result.trials
  assert.ok(trial !== undefined)
  return { result, trial, text: lines.join('\n') }
}

async function againstOurs(options: string): ReturnType<typeof hold> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  try {
    return await hold(port, options)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

async function against(faults: Faults, options: string): ReturnType<typeof hold> {
  const broker = await FaultyBroker.open(faults)
  try {
    return await hold(broker.port, options)
  } finally {
    await broker.close()
  }
}

// Each waits for time more than it computes.
describe('many sessions', { concurrency: 4 }, () => {
  for (const qos of [0, 1, 2]) {
    test(`QoS ${qos}: all sessions publish at their pace and are alive at the end`, async () => {
      const options = `--conns 40 --wait 0 --pace 200ms --hold 1500ms --qos ${qos}`
      const { result, trial, text } = await againstOurs(options)
      assert.equal(result.exitCode, 0, text)
      assert.equal(trial.connect.connected, 40)
      // Each publishes 6 times or so; a busy machine is slower, and never faster.
      assert.ok(trial.counts.sent >= 40 && trial.counts.sent <= 400, `${trial.counts.sent}`)
      // What was on its way at the end is waited for.
      assert.equal(trial.counts.acked, trial.counts.sent)
      assert.equal(trial.counts.unacknowledged, 0)
      assert.equal(trial.verdict.perfect, true)
      assert.match(text, /every session is alive/)
    })
  }

  test('sessions subscribe to what they publish, if they are told to, and receive it', async () => {
    const options = '--conns 20 --wait 0 --pace 200ms --hold 1s --qos 1 --subscribe many/{client}'
    const { trial } = await againstOurs(options)
    assert.ok(trial.counts.received >= trial.counts.acked - 20 && trial.counts.received > 0)
  })

  test('silent sessions are kept alive by pings', async () => {
    const { result, trial } = await againstOurs('--conns 5 --wait 0 --pace 0 -k 2 --hold 3s')
    assert.equal(result.exitCode, 0)
    assert.equal(trial.counts.sent, 0)
    assert.ok(trial.counts.acked >= 5)
  })

  test('a storm cuts sessions and brings them back', async () => {
    const broker = createBroker({ statsIntervalSeconds: 0 })
    const { port } = await broker.listen({ port: 0 })
    const settings = manyOf(port, '--conns 30 --wait 0 --pace 300ms --hold 2s --qos 1')
    const stormy = { ...settings, storm: { share: 0.5, everyUs: 500e3 } }
    try {
      const { result } = await runMany(stormy, true, QUIET, noSignal())
      assert.equal(result.exitCode, 0)
      assert.ok((result.trials[0]?.counts.reconnects ?? 0) > 0)
      assert.equal(result.trials[0]?.verdict.perfect, true)
    } finally {
      await broker.close({ drainSeconds: 0 })
    }
  })

  test('several processes hold the sessions together, with ids of their own', async () => {
    const options = '--conns 25 --wait 0 --pace 200ms --hold 1s --qos 1 --processes 2'
    const { trial, result } = await againstOurs(options)
    assert.equal(result.exitCode, 0)
    assert.equal(trial.connect.connected, 25)
    assert.equal(trial.delivery.received, 25)
    assert.equal(trial.tester.processes, 2)
  })

  test('sessions from several addresses of this machine all connect', async () => {
    const options = '--conns 60 --wait 0 --pace 200ms --hold 1s --qos 1 --processes 2'
    const { result, trial } = await againstOurs(`${options} --source-address 127.0.0.2-127.0.0.4`)
    assert.equal(result.exitCode, 0)
    assert.equal(trial.connect.connected, 60)
    assert.equal(trial.verdict.perfect, true)
  })

  test('a session that the broker drops is broken, comes back, and is an error', async () => {
    const options = '--conns 10 --wait 0 --pace 200ms --hold 1500ms --qos 1'
    const { result, trial } = await against({ breakAt: 12 }, options)
    assert.equal(result.exitCode, 1)
    assert.equal(trial.counts.brokenConnections, 1)
    assert.equal(trial.counts.reconnects, 1)
  })

  test('sessions without answers are not alive, however open they are', async () => {
    const options = '--conns 10 --wait 0 --pace 200ms --hold 500ms --connect-timeout 3s --qos 1'
    const { result, trial, text } = await against({ deafFrom: 5 }, options)
    assert.equal(result.exitCode, 1)
    assert.ok(trial.delivery.lost > 0)
    assert.match(text, /sessions are NOT alive/)
  })

  test('late answers are waited for at the end, and what was not said is told', async () => {
    const options = '--conns 10 --wait 0 --pace 100ms --hold 900ms --qos 1'
    const { result, trial, text } = await against({ ackDelayMs: 500 }, options)
    assert.equal(result.exitCode, 0, text)
    assert.ok(trial.counts.sent >= 10)
    assert.equal(trial.counts.acked, trial.counts.sent)
    assert.ok(trial.counts.missed > 0, 'a session says nothing while it waits for an answer')
    assert.ok((trial.latencies.ack?.summary.min ?? 0) >= 490_000)
    assert.match(text, /NOT sent: the session was down or had no answer yet/)
    // The rates are of the time that the sessions were held, not of the waiting after it.
    assert.ok(trial.elapsedSeconds > trial.measuredSeconds)
    assert.equal(trial.rates.sent, trial.counts.sent / trial.measuredSeconds)
    const sum = trial.intervals.reduce((total, { acked }) => total + acked, 0)
    assert.equal(sum, trial.counts.acked, 'the time line has them too')
  })

  test('answers that never come are still out, and are no answers', async () => {
    const options = '--conns 10 --wait 0 --pace 100ms --hold 400ms --qos 1 --connect-timeout 1s'
    const { result, trial, text } = await against({ acks: 0 }, options)
    assert.equal(result.exitCode, 1)
    assert.equal(trial.counts.acked, 0)
    assert.equal(trial.counts.unacknowledged, trial.counts.sent)
    assert.match(text, /answers +0 of \d+, \d+ still out/)
  })

  test('refused messages are answers that say no', async () => {
    const options = '--conns 10 --wait 0 --pace 100ms --hold 400ms --qos 2'
    const { trial, text } = await against({ ack: () => 0x97 }, options)
    assert.equal(trial.counts.refused, trial.counts.sent)
    assert.equal(trial.counts.unacknowledged, 0)
    assert.match(text, /answers +0 of \d+, \d+ refused/)
  })

  test('a session that is refused ends the run, if its number was wished', async () => {
    const faults = { connack: (number: number) => (number === 5 ? 0x97 : 0) }
    await assert.rejects(
      against(faults, '--conns 10 --wait 0 --hold 1s'),
      (error: unknown) => error instanceof RunFailure && /1 of 10.*0x97/.test(error.message),
    )
  })

  test('as many sessions as possible are opened, and the limit is no error', async () => {
    const faults = { connack: (number: number) => (number > 40 ? 0x97 : 0) }
    const options = '--conns 0 --wait 0 --pace 200ms --hold 300ms --connect-concurrency 8'
    const { result, trial, text } = await against(faults, options)
    assert.equal(result.exitCode, 0)
    assert.equal(trial.connect.connected, 40)
    assert.match(text, /CONNACK says 0x97/)
  })

  test('more sessions than fit are refused with advice before the first is opened', async () => {
    const broker = await FaultyBroker.open({})
    await assert.rejects(
      hold(broker.port, '--conns 10_000_000 --hold 1s'),
      (error: unknown) => error instanceof RunFailure && /--source-address/.test(error.message),
    )
    assert.equal(broker.connections, 0)
    await broker.close()
  })

  test('sessions that are held until interrupted end with their report', async () => {
    const broker = await FaultyBroker.open({})
    const controller = new AbortController()
    const watching = { ...QUIET, update: () => controller.abort() }
    const settings = manyOf(broker.port, '--conns 5 --wait 0 --pace 100ms --qos 1')
    const { result } = await runMany(settings, true, watching, controller.signal)
    await broker.close()
    assert.equal(result.exitCode, 0)
    assert.equal(result.trials[0]?.delivery.received, 5)
  })
})
