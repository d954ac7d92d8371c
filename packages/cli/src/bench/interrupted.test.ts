// Ctrl-C at every moment of a run: whatever there is by then is in a report.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { loadOf, manyOf, pingOf, SILENT } from '../testing/bench-settings.ts'
import { type Faults, FaultyBroker } from '../testing/faulty-broker.ts'
import { runTrial, type TrialWatcher } from './coordinator.ts'
import { runMany } from './many.ts'
import { openProgress } from './progress.ts'
import { trialLines } from './report-text.ts'
import type { RunResult, TrialResult } from './result.ts'
import { exitCodeOf } from './run.ts'
import type { LoadSettings } from './settings.ts'

const QUIET = openProgress(true, process.stderr)

interface Interrupted {
  readonly trial: TrialResult
  readonly text: string
  readonly exitCode: number
}

/** Runs until `when` is true of the broker, or the watcher says that it is enough. */
async function interrupted(
  faults: Faults,
  settingsOf: (port: number) => LoadSettings,
  when: (broker: FaultyBroker) => boolean,
  watcher: (abort: () => void) => Partial<TrialWatcher> = () => ({}),
): Promise<Interrupted> {
  const broker = await FaultyBroker.open(faults)
  const controller = new AbortController()
  const settings = settingsOf(broker.port)
  const all = { ...SILENT, ...watcher(() => controller.abort()) }
  const running = runTrial(settings, all, controller.signal)
  await Promise.race([running, broker.until(() => when(broker))])
  controller.abort()
  const trial = await running
  await broker.until(() => broker.connectionsNow === 0)
  await broker.close()
  const result = { trials: [trial], isOpenLoop: true, config: {} } as unknown as RunResult
  const text = trialLines(result, trial, 1).join('\n')
  return { trial, text, exitCode: exitCodeOf([trial], settings, null) }
}

describe('interrupted', { concurrency: 4 }, () => {
  for (const processes of [1, 2]) {
    const shared = `--processes ${processes}`
    for (const [name, settingsOf] of [
      ['load', (port: number) => loadOf(port, `--conns 20 ${shared}`)],
      ['ping', (port: number) => pingOf(port, `--pairs 10 --wsubs 2 ${shared}`)],
    ] as const) {
      test(`${name} whose CONNECT nobody answers, ${processes} processes`, async () => {
        const mute = { mute: PacketType.CONNECT }
        const { trial, text, exitCode } = await interrupted(mute, settingsOf, broker => {
          return broker.unanswered >= 4
        })
        assert.equal(exitCode, 130)
        assert.equal(trial.connect.connected, 0)
        assert.deepEqual(trial.connect.errors, [], 'that is not the fault of the broker')
        assert.match(text, /interrupted before anything was measured/)
        assert.match(text, /expected 0 {2}lost 0/)
      })

      test(`${name} whose SUBSCRIBE nobody answers, ${processes} processes`, async () => {
        const mute = { mute: PacketType.SUBSCRIBE }
        const { trial, text, exitCode } = await interrupted(mute, settingsOf, broker => {
          return broker.unanswered >= 4
        })
        assert.equal(exitCode, 130, text)
        assert.equal(trial.connect.failed, 0)
        assert.equal(trial.counts.brokenConnections, 0)
        assert.deepEqual(trial.intervals, [])
      })
    }

    test(`while connections are being made, ${processes} processes`, async () => {
      const slow = (port: number): LoadSettings => {
        return loadOf(port, `--conns 2000 --connect-rate 100/s --qos 1 ${shared}`)
      }
      const { trial, exitCode } = await interrupted({}, slow, broker => broker.connections >= 10)
      assert.equal(exitCode, 130)
      assert.ok(trial.connect.connected >= 5 && trial.connect.connected < 2000)
      assert.equal(trial.latencies.connect?.summary.count, trial.connect.connected)
    })

    test(`during the warm-up, ${processes} processes`, async () => {
      const warming = (port: number): LoadSettings => {
        return loadOf(port, `--publishers 2 --rate 200/s --warmup 1h --duration 1h ${shared}`)
      }
      const { trial, text, exitCode } = await interrupted(
        {},
        warming,
        () => false,
        abort => ({ interval: (_, { received }) => received > 0 && abort() }),
      )
      assert.equal(exitCode, 130, text)
      assert.equal(trial.counts.sent, 0)
      assert.equal(trial.counts.offered, 0)
      assert.equal(trial.latencies.response, undefined)
      assert.ok(trial.delivery.expected > 0, 'the warm-up is verified all the same')
      assert.equal(trial.delivery.lost, 0)
      assert.match(text, /interrupted before anything was measured/)
    })
  }

  test('sessions that outlive their connections are removed all the same', async () => {
    const kept = (port: number): LoadSettings => {
      return loadOf(port, '--conns 2000 --connect-rate 100/s --qos 1 --keep-session')
    }
    const broker = await FaultyBroker.open()
    const controller = new AbortController()
    const running = runTrial(kept(broker.port), SILENT, controller.signal)
    await broker.until(() => broker.connects.size >= 10)
    controller.abort()
    const { connect } = await running
    await broker.close()
    const twice = [...broker.connects.values()].filter(count => count === 2)
    assert.equal(twice.length, connect.connected)
  })

  for (const processes of [1, 2]) {
    test(`many whose CONNECT nobody answers, ${processes} processes`, async () => {
      const broker = await FaultyBroker.open({ mute: PacketType.CONNECT })
      const controller = new AbortController()
      const settings = manyOf(broker.port, `--conns 50 --wait 0 --processes ${processes}`)
      const running = runMany(settings, true, QUIET, controller.signal)
      // One of them asks for the version.
      await broker.until(() => broker.unanswered >= 6)
      controller.abort()
      const { result, lines } = await running
      await broker.close()
      const [trial] = result.trials
      assert.equal(result.exitCode, 130)
      assert.deepEqual(
        [trial?.connect.connected, trial?.delivery.expected, trial?.notes],
        [0, 0, []],
      )
      assert.match(lines.join('\n'), /no session was opened\n.*interrupted while sessions were/)
    })
  }

  test('many: a session that was not answered yet is none that died', async () => {
    const broker = await FaultyBroker.open({ muteAt: number => number % 2 === 1 })
    const controller = new AbortController()
    const running = runMany(
      manyOf(broker.port, '--conns 50 --wait 0 --qos 1'),
      true,
      QUIET,
      controller.signal,
    )
    await broker.until(() => broker.connections > 50)
    controller.abort()
    const { result } = await running
    await broker.close()
    const [trial] = result.trials
    assert.equal(result.exitCode, 130)
    assert.ok(trial !== undefined && trial.connect.connected > 0 && trial.connect.failed > 0)
    assert.equal(trial.delivery.lost, 0)
    assert.equal(trial.delivery.received, trial.connect.connected)
  })
})
