// Whole trials against a broker that does wrong on purpose, and against ours.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '@godwit/broker'
import type { Properties } from '@godwit/packet'
import { loadOf, noSignal, pingOf, SILENT } from '../testing/bench-settings.ts'
import { type Fate, type Faults, FaultyBroker } from '../testing/faulty-broker.ts'
import { RunFailure, runTrial } from './coordinator.ts'
import type { TrialResult } from './result.ts'
import { exitCodeOf } from './run.ts'
import type { LoadSettings } from './settings.ts'

async function against(
  faults: Faults,
  settingsOf: (port: number) => LoadSettings,
): Promise<{ trial: TrialResult; settings: LoadSettings; broker: FaultyBroker }> {
  const broker = await FaultyBroker.open(faults)
  try {
    const settings = settingsOf(broker.port)
    return { trial: await runTrial(settings, SILENT, noSignal()), settings, broker }
  } finally {
    await broker.close()
  }
}

async function againstOurs(settingsOf: (port: number) => LoadSettings): Promise<TrialResult> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  try {
    return await runTrial(settingsOf(port), SILENT, noSignal())
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

const FAST = '--drain 300ms --timeout 300ms'

for (const version of ['31', '311', '5']) {
  for (const qos of [0, 1, 2] as const) {
    test(`version ${version}, QoS ${qos}: all arrive once and in order`, async () => {
      const options = `-V ${version} --qos ${qos} --conns 8 --messages 300`
      const { delivery, verdict, counts, rates } = await againstOurs(port => loadOf(port, options))
      const { expected, received, lost } = delivery
      assert.deepEqual({ expected, received, lost }, { expected: 1200, received: 1200, lost: 0 })
      assert.equal(verdict.perfect, true, verdict.text)
      assert.equal(counts.acked, qos === 0 ? 0 : 1200)
      assert.ok(rates.received > 0)
    })
  }
}

for (const qos of [0, 1, 2] as const) {
  const options = `--qos ${qos} --conns 4 --messages 100 ${FAST}`

  test(`QoS ${qos}: lost messages are counted, and end with exit code 1`, async () => {
    const fate = (number: number): Fate => (number % 20 === 7 ? 'lose' : 'pass')
    const { trial, settings } = await against({ fate }, port => loadOf(port, options))
    assert.equal(trial.delivery.lost, 10)
    assert.equal(trial.delivery.duplicated + trial.delivery.reordered, 0)
    assert.equal(trial.verdict.contractMet, qos === 0)
    assert.equal(exitCodeOf([trial], settings, null), 1)
    const tolerant = { ...settings, allowLoss: true }
    assert.equal(exitCodeOf([trial], tolerant, null), qos === 0 ? 0 : 1)
  })

  test(`QoS ${qos}: duplicates are counted, and break all contracts but QoS 1`, async () => {
    const fate = (number: number): Fate => (number % 25 === 3 ? 'duplicate' : 'pass')
    const { trial, settings } = await against({ fate }, port => loadOf(port, options))
    assert.equal(trial.delivery.duplicated, 8)
    assert.equal(trial.delivery.lost + trial.delivery.reordered, 0)
    assert.equal(trial.verdict.contractMet, qos === 1)
    assert.equal(exitCodeOf([trial], settings, null), qos === 1 ? 0 : 1)
  })

  test(`QoS ${qos}: reordered messages are counted, and break every contract`, async () => {
    const fate = (number: number): Fate => (number % 10 === 4 ? 'hold' : 'pass')
    // One publisher: otherwise the next message may be another's, which is no disorder.
    const one = `--qos ${qos} --publishers 1 --messages 200 ${FAST}`
    const { trial, settings } = await against({ fate }, port => loadOf(port, one))
    assert.equal(trial.delivery.reordered, 20)
    assert.equal(trial.delivery.lost + trial.delivery.duplicated, 0)
    assert.equal(trial.verdict.contractMet, false)
    assert.equal(exitCodeOf([trial], settings, null), 1)
  })
}

test('a broker that does nothing wrong is not blamed', async () => {
  const { trial, settings } = await against({}, port => loadOf(port, '--conns 10 --messages 50'))
  assert.equal(trial.verdict.perfect, true)
  assert.equal(exitCodeOf([trial], settings, null), 0)
})

for (const processes of [1, 2]) {
  test(`a stall of the broker is in the percentiles of ${processes} processes`, async () => {
    const faults = { stall: { after: 200, ms: 1000 } }
    const open = '--publishers 2 --rate 400/s --duration 2s --qos 1 --max-inflight 1'
    const options = `${open} --processes ${processes}`
    const { trial } = await against(faults, port => loadOf(port, options))
    const { response, service } = trial.latencies
    assert.equal(trial.tester.processes, processes)
    assert.equal(trial.delivery.lost, 0)
    assert.equal(response?.summary.count, 800)
    // Half of all messages was due during the stall: they waited for half of it on average.
    assert.ok((response?.summary.max ?? 0) > 900_000, `max ${response?.summary.max}`)
    assert.ok((response?.summary.p90 ?? 0) > 400_000, `p90 ${response?.summary.p90}`)
    assert.ok((response?.summary.mean ?? 0) > 200_000, `mean ${response?.summary.mean}`)
    // Only the two messages that were under way waited after they were sent.
    const share = (response?.summary.mean ?? 0) / (service?.summary.mean ?? 1)
    assert.ok(share > 3, `response ${response?.summary.mean}, service ${service?.summary.mean}`)
  })
}

test('what was due during the warm-up is in no percentile', async () => {
  const faults = { stall: { after: 20, ms: 500 } }
  const options = '--publishers 1 --rate 200/s --warmup 1500ms --duration 500ms --drain 2s'
  const { trial } = await against(faults, port => loadOf(port, options))
  const count = trial.latencies.response?.summary.count ?? 0
  assert.equal(trial.delivery.lost, 0)
  assert.ok(trial.delivery.received >= 300)
  assert.ok(count > 0 && count <= 110, `${count} recorded`)
})

test('a ping that is lost is given up after the timeout, and the pair goes on', async () => {
  const fate = (number: number): Fate => (number === 5 ? 'lose' : 'pass')
  const options = `--pairs 1 --wsubs 1 --messages 10 ${FAST}`
  const { trial } = await against({ fate }, port => pingOf(port, options))
  // Either a question or its answer was lost; the watcher misses it too.
  assert.ok(trial.delivery.lost >= 2, `${trial.delivery.lost} lost`)
  assert.ok((trial.latencies.response?.summary.count ?? 0) >= 9)
})

test('pairs and watchers have client ids of their own with one prefix', async () => {
  const options = '--pairs 3 --wsubs 2 --messages 5 --id mine- --start-number 10'
  const { trial, broker } = await against({}, port => pingOf(port, options))
  const ids = [...broker.connects.keys()].filter(id => id !== 'mine-version').sort()
  assert.deepEqual(
    ids,
    [10, 11, 12, 13, 14, 15, 16, 17].map(n => `mine-${n}`),
  )
  // Each pair exchanges 5 questions and answers, each watcher sees those of the first pair.
  assert.equal(trial.delivery.expected, 3 * 10 + 2 * 10)
  assert.equal(trial.verdict.perfect, true)
})

test('a connection that is refused ends the run before it begins', async () => {
  const faults = { connack: (number: number) => (number === 3 ? 0x87 : 0) }
  await assert.rejects(
    against(faults, port => loadOf(port, '--conns 6')),
    (error: unknown) => error instanceof RunFailure && /1 of 6.*0x87/.test(error.message),
  )
})

test('refused publishes are counted and noted', async () => {
  const faults = { ack: (number: number) => (number % 10 === 0 ? 0x97 : 0) }
  const options = `--publishers 1 --messages 100 --qos 1 ${FAST}`
  const { trial } = await against(faults, port => loadOf(port, options))
  assert.equal(trial.counts.refused, 10)
  assert.equal(trial.counts.acked, 90)
  assert.match(trial.notes.join('\n'), /refused with 0x97 \(10 times\)/)
})

for (const qos of [1, 2]) {
  const few = `--publishers 1 --messages 20 --qos ${qos} ${FAST}`

  test(`QoS ${qos}: who delivers and never acknowledges has broken the contract`, async () => {
    const { trial, settings } = await against({ acks: 0 }, port => loadOf(port, few))
    assert.equal(trial.delivery.lost, 0)
    assert.equal(trial.counts.acked, 0)
    assert.equal(trial.counts.unacknowledged, 20)
    assert.match(trial.verdict.text, /BROKEN \(unacknowledged 20\)/)
    assert.equal(exitCodeOf([trial], settings, null), 1)
  })

  test(`QoS ${qos}: a closed loop that gets no acknowledgement ends all the same`, async () => {
    const options = `--publishers 1 --messages 1000 --qos ${qos} ${FAST}`
    const { trial, settings } = await against({ acks: 0 }, port => loadOf(port, options))
    assert.match(trial.notes.join(), /no acknowledgement within 300 ms/)
    assert.equal(exitCodeOf([trial], settings, null), 1)
  })

  test(`QoS ${qos}: acknowledgements that come late are waited for`, async () => {
    // At QoS 2 there are two of them in --drain.
    const { trial, settings } = await against({ ackDelayMs: 100 }, port => loadOf(port, few))
    assert.equal(trial.counts.acked, 20)
    assert.equal(trial.verdict.perfect, true, trial.verdict.text)
    assert.ok((trial.latencies.ack?.summary.min ?? 0) >= 95_000)
    assert.equal(exitCodeOf([trial], settings, null), 0)
  })

  test(`QoS ${qos}: a second acknowledgement counts for nothing, and is noted`, async () => {
    const { trial } = await against({ acks: 2 }, port => loadOf(port, few))
    assert.equal(trial.counts.acked, 20)
    assert.equal(trial.latencies.ack?.summary.count, 20)
    assert.match(trial.notes.join(), qos === 1 ? /a PUBACK came for no message/ : /a PUBCOMP came/)
  })

  test(`QoS ${qos}: a ping whose answers nobody acknowledges ends, and is broken`, async () => {
    const options = `--pairs 1 --wsubs 0 --messages 300 --qos ${qos} ${FAST}`
    const { trial, settings } = await against({ acks: 0 }, port => pingOf(port, options))
    assert.ok(trial.counts.unacknowledged > 0)
    assert.equal(exitCodeOf([trial], settings, null), 1)
  })
}

for (const [qos, at] of [
  [2, 1],
  [1, 0],
  [0, 1],
] as const) {
  test(`QoS ${qos}: a message that is delivered at QoS ${at} breaks the contract`, async () => {
    const deliverAt = (number: number) => (number % 10 === 2 ? at : qos)
    const options = `--publishers 2 --messages 50 --qos ${qos} ${FAST}`
    const { trial, settings } = await against({ deliverAt }, port => loadOf(port, options))
    assert.equal(trial.delivery.otherQoS, 10)
    assert.equal(trial.delivery.lost, 0)
    assert.match(trial.verdict.text, /BROKEN \(at another QoS 10\)/)
    assert.equal(exitCodeOf([trial], settings, null), 1)
    const plain = await against({ deliverAt }, port => loadOf(port, `${options} --plain`))
    assert.equal(plain.trial.delivery.otherQoS, 10)
  })
}

test('a subscription that is granted less than it asked for is no subscription', async () => {
  const faults = { grant: () => 0 }
  await assert.rejects(
    against(faults, port => loadOf(port, '--conns 4 --qos 1')),
    (error: unknown) => error instanceof RunFailure && /grants QoS 0, not 1/.test(error.message),
  )
})

test('what a broker does not take by its CONNACK is not sent, nor held against it', async () => {
  const refused = async (limits: Properties, options: string, why: RegExp): Promise<void> => {
    const isIt = (error: unknown) => error instanceof RunFailure && why.test(error.message)
    const faults = { limits, ack: () => assert.fail('a message was sent') }
    await assert.rejects(
      against(faults, port => loadOf(port, options)),
      isIt,
    )
  }
  await refused({ maximumPacketSize: 1000 }, '--conns 2 --qos 1 --size 1000', /up to 1000 bytes/)
  await refused({ maximumPacketSize: 500 }, '--conns 2 --qos 1 --size 9..600', /this run have 6/)
  await refused({ maximumQoS: 1 }, '--conns 2 --qos 2', /QoS up to 1/)
  await refused({ retainAvailable: 0 }, '--conns 2 --qos 1 --retain', /no retained/)
  await refused({ retainAvailable: 0 }, '--conns 2 --qos 1 --retained 10', /no retained/)
  await refused({ sharedSubscriptionAvailable: 0 }, '--qos 1 --fan shared', /no shared/)
  await refused({ wildcardSubscriptionAvailable: 0 }, '--qos 1 --fan fan-in', /no wildcards/)
  const fits = `--conns 2 --qos 1 --size 900 --messages 10 ${FAST}`
  const { trial } = await against({ limits: { maximumPacketSize: 1000 } }, port => {
    return loadOf(port, fits)
  })
  assert.equal(trial.verdict.perfect, true)
})

test('a run that is over before its warm-up says that nothing was measured', async () => {
  const options = `--conns 4 --messages 20 --warmup 1h --slo rate.received>0 ${FAST}`
  const { trial, settings } = await against({}, port => loadOf(port, options))
  assert.deepEqual(trial.notes, ['the run was over before the warm-up: nothing was measured'])
  assert.deepEqual([trial.counts.sent, trial.counts.received, trial.rates.received], [0, 0, 0])
  assert.equal(trial.delivery.expected, 40, 'and yet it is verified')
  assert.equal(exitCodeOf([trial], settings, null), 4)
})

test('a connection that breaks is no success, even if nothing else is missing', async () => {
  const options = `--publishers 2 --subscribers 2 --rate 100/s --duration 500ms ${FAST}`
  const { trial, settings } = await against({ breakAt: 10 }, port => loadOf(port, options))
  assert.equal(trial.counts.brokenConnections, 1)
  assert.equal(exitCodeOf([trial], settings, null), 1)
})

test('fan-out: each subscriber gets each message', async () => {
  const options = '--fan fan-out --subscribers 20 --messages 30'
  const { delivery } = await againstOurs(port => loadOf(port, options))
  assert.deepEqual([delivery.expected, delivery.received, delivery.foreign], [600, 600, 0])
})

test('fan-in: one subscriber gets the messages of all publishers', async () => {
  const options = '--fan fan-in --publishers 20 --messages 30'
  const { delivery } = await againstOurs(port => loadOf(port, options))
  assert.deepEqual([delivery.expected, delivery.received, delivery.lost], [600, 600, 0])
})

test('shared: the members of the group together get each message once', async () => {
  const options = '--fan shared --publishers 5 --subscribers 4 --messages 40 --qos 1'
  const { delivery, verdict } = await againstOurs(port => loadOf(port, options))
  assert.deepEqual([delivery.expected, delivery.received, delivery.lost], [200, 200, 0])
  assert.equal(verdict.perfect, true, verdict.text)
})

test('shared: a message that two members got is a duplicate', async () => {
  const fate = (number: number): Fate => (number === 9 ? 'duplicate' : 'pass')
  const options = `--fan shared --publishers 2 --subscribers 3 --messages 20 --qos 2 ${FAST}`
  const { trial } = await against({ fate }, port => loadOf(port, options))
  assert.equal(trial.delivery.duplicated, 1)
  assert.equal(trial.verdict.contractMet, false)
})

test('topics by chance: the order is judged per publisher and topic', async () => {
  const options = '--publishers 3 --messages 200 --topic t/{client}/{random:7} --size 64..300'
  const { delivery, verdict } = await againstOurs(port => loadOf(port, options))
  assert.equal(delivery.expected, 600)
  assert.equal(verdict.perfect, true, verdict.text)
})

test('payloads without room for the header are counted, and the report says so', async () => {
  const small = await againstOurs(port => loadOf(port, '--publishers 2 --messages 50 --size 14'))
  assert.equal(small.verdict.perfect, true)
  assert.equal(small.latencies.response, undefined)
  assert.match(small.notes.join(), /no latency was measured/)
  const plain = '--publishers 2 --messages 50 --payload hello --plain'
  const counted = await againstOurs(port => loadOf(port, plain))
  assert.equal(counted.delivery.received, 100)
  assert.match(counted.notes.join(), /--plain: messages were only counted/)
  const mixed = '--publishers 2 --messages 50 --size 0..40'
  const tiny = await againstOurs(port => loadOf(port, mixed))
  assert.deepEqual([tiny.delivery.received, tiny.delivery.lost], [100, 0])
  assert.match(tiny.notes.join(), /payloads below 12 bytes: messages were only counted/)
})

for (const fan of ['one-to-one', 'fan-in', 'fan-out', 'shared']) {
  test(`${fan}: arrivals without a header open the windows of a closed loop too`, async () => {
    const many = `--publishers ${fan === 'fan-out' ? 1 : 3} --subscribers 3 --messages 2000 --plain`
    const options = `--fan ${fan} ${fan === 'one-to-one' ? many.replace(/--sub\S+ 3/, '') : many}`
    // A window that nobody opens would be opened after this time.
    const settings = (port: number) => loadOf(port, `${options} --window 10 --timeout 1h`)
    const trial = await againstOurs(settings)
    const { received } = trial.delivery
    assert.equal(received, fan === 'fan-in' ? 18_000 : 6000)
    assert.equal(trial.verdict.perfect, true, trial.verdict.text)
  })
}

test('retained messages: each subscriber gets all of them, and none is left behind', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  try {
    const options = '--retained 500 --publishers 2 --subscribers 3 --qos 1'
    const trial = await runTrial(loadOf(port, options), SILENT, noSignal())
    assert.equal(trial.delivery.expected, 1500)
    assert.equal(trial.verdict.perfect, true, trial.verdict.text)
    assert.equal(trial.latencies.response?.summary.count, 1500)
    assert.equal(broker.stats().retainedMessages, 0)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
})

test('slow subscribers are not judged and do not stop the others', async () => {
  const options = '--fan fan-out --subscribers 4 --slow 1 --slow-rate 1k --size 2k --messages 400'
  const { delivery, verdict } = await againstOurs(port => loadOf(port, options))
  assert.deepEqual([delivery.expected, delivery.lost], [1200, 0])
  assert.equal(verdict.perfect, true)
})

test('a storm cuts and reconnects, and at QoS 1 nothing is lost', async () => {
  const storm = '--qos 1 --publishers 5 --rate 500/s --duration 1500ms'
  const settings = (port: number) => ({
    ...loadOf(port, storm),
    storm: { share: 0.5, everyUs: 400e3 },
    keepsSession: true,
  })
  const trial = await againstOurs(settings)
  assert.ok(trial.counts.reconnects > 0)
  assert.equal(trial.counts.brokenConnections, 0)
  assert.equal(trial.delivery.lost, 0)
  assert.equal(trial.verdict.contractMet, true, trial.verdict.text)
})

test('an interrupted trial still has its figures', async () => {
  const broker = await FaultyBroker.open({})
  const controller = new AbortController()
  const watcher = { ...SILENT, interval: () => controller.abort() }
  const settings = loadOf(broker.port, '--publishers 1 --rate 100/s --duration 1h')
  const trial = await runTrial(settings, watcher, controller.signal)
  await broker.close()
  assert.equal(trial.wasInterrupted, true)
  assert.ok(trial.delivery.received > 0)
  assert.equal(exitCodeOf([trial], settings, null), 130)
})

test('several processes share the work, and their figures are one', async () => {
  const options = '--publishers 4 --messages 200 --qos 1 --processes 2'
  const { delivery, tester, connect, latencies } = await againstOurs(port => loadOf(port, options))
  assert.equal(connect.connected, 8)
  assert.deepEqual([delivery.expected, delivery.received, delivery.lost], [800, 800, 0])
  assert.equal(tester.processes, 2)
  assert.equal(latencies.response?.summary.count, 800)
  assert.equal(latencies.ack?.summary.count, 800)
})

test('a fan-out from one process to another is timed by one clock', async () => {
  const options = '--fan fan-out --subscribers 4 --rate 200/s --duration 500ms --processes 2'
  const { latencies, verdict } = await againstOurs(port => loadOf(port, options))
  assert.equal(verdict.perfect, true)
  assert.ok((latencies.response?.summary.min ?? 0) >= 1)
  assert.ok((latencies.response?.summary.max ?? 0) < 60e6)
})

test('over WebSocket, in frames of every size, nothing is lost', async () => {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0, ws: true })
  try {
    const options = `--url ws://127.0.0.1:${port} --publishers 3 --messages 300 --size 20..70000`
    const trial = await runTrial(loadOf(0, `${options} --qos 1`), SILENT, noSignal())
    assert.equal(trial.delivery.received, 900)
    assert.equal(trial.verdict.contractMet, true, trial.verdict.text)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
})

for (const version of ['311', '5']) {
  test(`version ${version}: kept sessions are gone when the run is over`, async () => {
    const broker = createBroker({ statsIntervalSeconds: 0 })
    const { port } = await broker.listen({ port: 0 })
    let sessions = 0
    const watcher = {
      ...SILENT,
      settled: () => {
        sessions = broker.stats().sessions
      },
    }
    try {
      const options = `--publishers 3 --messages 50 --qos 1 --keep-session -V ${version}`
      const trial = await runTrial(loadOf(port, options), watcher, noSignal())
      assert.equal(trial.verdict.perfect, true)
      assert.equal(sessions, 6)
      assert.equal(broker.stats().sessions, 0)
    } finally {
      await broker.close({ drainSeconds: 0 })
    }
  })
}
