// A tester that stands still itself, as on a busy machine, blames nobody else for it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadOf, noSignal, SILENT } from '../testing/bench-settings.ts'
import { FaultyBroker } from '../testing/faulty-broker.ts'
import { runTrial } from './coordinator.ts'

const STANDSTILL_MS = 500

/** Longer than all that the trials here wait for. */
function standStill(): void {
  const endMs = performance.now() + STANDSTILL_MS
  while (performance.now() < endMs);
}

test('a standstill while the last acknowledgements are waited for is not their time', async () => {
  const broker = await FaultyBroker.open({ ackDelayMs: 100 })
  let looks = 0
  const watcher = {
    ...SILENT,
    draining: () => {
      if (looks++ === 0) setImmediate(standStill)
    },
  }
  const options = '--publishers 1 --messages 20 --qos 1 --drain 200ms'
  const trial = await runTrial(loadOf(broker.port, options), watcher, noSignal())
  await broker.close()
  assert.equal(trial.verdict.perfect, true, trial.verdict.text)
  assert.ok(looks > 1, `${looks} looks`)
})

for (const qos of [1, 2]) {
  test(`QoS ${qos}: a standstill in a closed loop is no answer that does not come`, async () => {
    const fate = (number: number) => {
      // Its answers are written then, and nobody has read them.
      if (number === 50) setImmediate(standStill)
      return 'pass' as const
    }
    const broker = await FaultyBroker.open({ fate })
    const options = `--publishers 1 --messages 1000 --qos ${qos} --window 10 --max-inflight 10`
    const settings = loadOf(broker.port, `${options} --timeout 200ms`)
    const trial = await runTrial(settings, SILENT, noSignal())
    await broker.close()
    assert.deepEqual(trial.notes, [])
    assert.equal(trial.counts.brokenConnections, 0)
    assert.equal(trial.verdict.perfect, true, trial.verdict.text)
  })
}
