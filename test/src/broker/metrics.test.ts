// What the metrics say while things happen: clients, messages of each QoS, losses, a disk that gets
// full and has room again. Asked for over HTTP, as a collector does.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type BrokerOptions, type BrokerServer, createBroker, OptionError } from '@godwit/broker'
import { openDiskStore } from '@godwit/broker/store/disk'
import { MemoryStore } from '@godwit/broker/store/memory'
import { MACHINE_DIRECTORY, SimulatedMachine } from '@godwit/broker/store/testing/simulated-machine'
import { PacketType } from '@godwit/packet'
import { nextEvent, withBroker } from '../support/brokers.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const OPEN_METRICS = { headers: { accept: 'application/openmetrics-text; version=1.0.0' } }
const KEPT = { cleanStart: false, properties: { sessionExpiryInterval: 60 } } as const
const MIB = 1024 * 1024
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** The values of an answer by name and labels, as they are written. */
function valuesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

class Collector {
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  async values(): Promise<Map<string, number>> {
    return valuesOf(await (await fetch(`${this.url}/metrics`)).text())
  }

  /** Values by name, one after the other. */
  async all(...names: readonly string[]): Promise<(number | undefined)[]> {
    const values = await this.values()
    return names.map(name => values.get(name))
  }

  /** @returns status, reason and space of /readyz */
  async readiness(): Promise<unknown[]> {
    const answer = await fetch(`${this.url}/readyz`)
    const { reason, space } = (await answer.json()) as { reason?: string; space: string }
    return [answer.status, reason ?? null, space]
  }
}

async function withCollector(
  options: BrokerOptions,
  use: (collector: Collector, broker: BrokerServer, port: number) => Promise<void>,
): Promise<void> {
  await withBroker(options, async broker => {
    const { url } = await broker.listenMetrics({ port: 0 })
    const { port } = await broker.listen({ port: 0 })
    await use(new Collector(url), broker, port)
  })
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-metrics-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Name, type and labels of each metric, `le` left out. */
function served(text: string): Map<string, string> {
  const types = new Map<string, string>()
  const labels = new Map<string, Set<string>>()
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '')
    const sample = /^([a-z_]+)\{(.*)\} /.exec(line)
    if (sample === null) continue
    const [, name = '', inside = ''] = sample
    const known = labels.get(name) ?? new Set()
    for (const [, label = ''] of inside.matchAll(/([a-z_]+)="/g))
      if (label !== 'le') known.add(label)
    labels.set(name, known)
  }
  return new Map(
    [...types].map(([name, type]) => [name, `${type} ${[...(labels.get(name) ?? [])].join()}`]),
  )
}

test('the guide has a row for each metric that is served, and no other', async t => {
  const rows = readFileSync(join(ROOT, 'docs/broker.md'), 'utf8').matchAll(
    /^\| `((?:godwit|process|nodejs)_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$/gm,
  )
  const told = new Map<string, string>()
  const helps = new Map<string, string>()
  for (const [, name = '', type = '', labels = '', help = ''] of rows) {
    told.set(name, `${type} ${labels.replaceAll('`', '').replaceAll(' ', '')}`)
    helps.set(name, help)
  }
  await withCollector({ store: { directory: temporary(t) } }, async collector => {
    const text = await (await fetch(`${collector.url}/metrics`)).text()
    assert.deepEqual([...told], [...served(text)])
    assert.ok(told.size > 50)
    for (const [name, help] of helps) assert.ok(text.includes(`# HELP ${name} ${help}\n`), name)
  })
})

test('names follow the conventions of Prometheus', async t => {
  await withCollector({ store: { directory: temporary(t) } }, async collector => {
    for (const [name, type] of served(await (await fetch(`${collector.url}/metrics`)).text())) {
      assert.match(name, /^(?:godwit|process|nodejs)_[a-z_]+$/)
      assert.equal(name.endsWith('_total'), type.startsWith('counter'), name)
      assert.doesNotMatch(name, /_(?:ms|milliseconds|kib|mib|percent)(?:_|$)/)
    }
  })
})

test('connections, clients and sessions are counted', async () => {
  await withCollector({}, async (collector, broker, port) => {
    const names = [
      'godwit_connections',
      'godwit_clients_connected',
      'godwit_clients_connected_peak',
      'godwit_sessions{state="connected"}',
      'godwit_sessions{state="disconnected"}',
      'godwit_connections_opened_total',
      'godwit_session_takeovers_total',
    ]
    assert.deepEqual(await collector.all(...names), [0, 0, 0, 0, 0, 0, 0])
    const one = RawClient.tcp(port)
    await one.connect({ clientId: 'one', ...KEPT })
    const two = RawClient.tcp(port)
    await two.connect({ clientId: 'two' })
    assert.deepEqual(await collector.all(...names), [2, 2, 2, 2, 0, 2, 0])
    const again = RawClient.tcp(port)
    await again.connect({ clientId: 'one', ...KEPT })
    await one.closed
    const gone = nextEvent(broker, 'clientDisconnected')
    again.destroy()
    await gone
    assert.deepEqual(await collector.all(...names), [1, 1, 2, 1, 1, 3, 1])
    two.destroy()
  })
})

test('who is not let in is counted by the reason', async () => {
  const hooks = { authenticate: () => 0x86 }
  await withCollector({ hooks }, async (collector, _broker, port) => {
    const client = RawClient.tcp(port)
    assert.equal((await client.connect({ username: 'joe' })).reasonCode, 0x86)
    await client.closed
    const noise = RawClient.tcp(port).send([0x30, 0, 0])
    await noise.closed
    const values = await collector.values()
    const refused = (reason: string) =>
      values.get(`godwit_connections_refused_total{reason="${reason}"}`)
    assert.equal(refused('bad_user_name_or_password'), 1)
    assert.equal(refused('protocol_error'), 1)
    assert.equal(refused('banned'), 0, 'what has not happened is there')
    assert.equal(refused('other'), 0)
    assert.equal(values.get('godwit_authentication_failures_total'), 1)
    assert.equal(values.get('godwit_protocol_errors_total'), 1)
  })
})

test('messages are counted by QoS as they come and as they go', async () => {
  await withCollector({}, async (collector, _broker, port) => {
    const subscriber = RawClient.tcp(port)
    await subscriber.connect({ clientId: 's' })
    await subscriber.subscribe('t/#')
    const publisher = RawClient.tcp(port)
    await publisher.connect({ clientId: 'p' })
    // Runs of QoS 0 go another way than single messages.
    for (let i = 0; i < 5; i++) publisher.send(publishPacket('t/0', 'x'))
    publisher.send(publishPacket('t/1', 'x', { qos: 1, packetId: 1 }))
    publisher.send(publishPacket('t/1', 'x', { qos: 1, packetId: 2 }))
    publisher.send(publishPacket('t/2', 'x', { qos: 2, packetId: 3 }))
    publisher.send(publishPacket('nobody', 'x'))
    for (let i = 0; i < 8; i++) await subscriber.expect(PacketType.PUBLISH)
    for (const _ of 'aa') await publisher.expect(PacketType.PUBACK)
    await publisher.expect(PacketType.PUBREC)
    await publisher.ping()
    const values = await collector.values()
    const byQos = (name: string) =>
      ['0', '1', '2'].map(qos => values.get(`godwit_messages_${name}_total{qos="${qos}"}`))
    assert.deepEqual(byQos('received'), [6, 2, 1])
    assert.deepEqual(byQos('sent'), [5, 2, 1])
    assert.equal(values.get('godwit_messages_in_flight'), 3)
    assert.equal(values.get('godwit_messages_unmatched_total'), 1)
    assert.equal(values.get('godwit_subscriptions'), 1)
    assert.ok((values.get('godwit_received_bytes_total') ?? 0) > 60)
    assert.ok((values.get('godwit_sent_bytes_total') ?? 0) > 60)
    assert.equal(values.get('godwit_packets_received_total'), 2 + 1 + 9 + 1)
    for (const client of [subscriber, publisher]) client.destroy()
  })
})

test('what is retained, what waits and what is lost is there', async () => {
  await withCollector({ limits: { queuedMessagesMax: 2 } }, async (collector, broker, port) => {
    const away = RawClient.tcp(port)
    await away.connect({ clientId: 'away', ...KEPT })
    await away.subscribe('t', '$share/g/s')
    const gone = nextEvent(broker, 'clientDisconnected')
    away.destroy()
    await gone
    for (const payload of ['1', '2', '3']) broker.publish('t', payload, { qos: 1 })
    broker.publish('s', 'x', { qos: 1 })
    broker.publish('r', 'kept', { retain: true })
    const values = await collector.values()
    assert.equal(values.get('godwit_messages_queued'), 3)
    assert.ok((values.get('godwit_queued_bytes') ?? 0) > 10)
    assert.equal(values.get('godwit_messages_lost_total{reason="queue-full"}'), 1)
    assert.equal(values.get('godwit_messages_lost_total{reason="offline"}'), 0)
    assert.equal(values.get('godwit_retained_messages'), 1)
    assert.ok((values.get('godwit_retained_bytes') ?? 0) > 4)
    assert.equal(values.get('godwit_shared_groups'), 1)
  })
})

test('OpenMetrics is given to who asks for it, and changes nothing for others', async () => {
  await withCollector({}, async collector => {
    const before = [...(await collector.values()).keys()]
    const open = await fetch(`${collector.url}/metrics`, OPEN_METRICS)
    const type = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    assert.equal(open.headers.get('content-type'), type)
    const text = await open.text()
    assert.ok(text.endsWith('\n# EOF\n'))
    assert.match(text, /^# TYPE godwit_packets_sent counter$/m)
    assert.deepEqual([...valuesOf(text).keys()], before)
    const plain = await fetch(`${collector.url}/metrics`)
    assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.deepEqual([...valuesOf(await plain.text()).keys()], before)
  })
})

test('several who ask at the same time are all answered', async () => {
  await withCollector({}, async collector => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => collector.values()))
    for (const values of answers) assert.equal(values.get('godwit_ready'), 1)
  })
})

test('histograms of the store grow with its batches, and add up', async t => {
  await withCollector({ store: { directory: temporary(t) } }, async (collector, _broker, port) => {
    const client = RawClient.tcp(port)
    await client.connect({ clientId: 'kept', ...KEPT })
    for (let packetId = 1; packetId <= 3; packetId++) {
      client.send(publishPacket('r', 'x', { qos: 1, packetId, retain: true }))
      await client.expect(PacketType.PUBACK)
    }
    const values = await collector.values()
    for (const name of ['commit_records', 'commit_bytes', 'commit_seconds', 'fsync_seconds']) {
      const full = `godwit_store_${name}`
      const count = values.get(`${full}_count`) ?? 0
      assert.ok(count >= 4, `${name}: ${count}`)
      assert.equal(values.get(`${full}_bucket{le="+Inf"}`), count, name)
      const buckets = [...values].filter(([key]) => key.startsWith(`${full}_bucket`))
      const counts = buckets.map(([, value]) => value)
      assert.deepEqual(
        counts,
        counts.toSorted((a, b) => a - b),
        'each holds those below it',
      )
      assert.ok((values.get(`${full}_sum`) ?? 0) > 0)
    }
    const inLog = values.get('godwit_store_log_bytes')
    assert.equal(inLog, values.get('godwit_store_commit_bytes_sum'))
    assert.ok((values.get('godwit_store_checkpoint_lag_seconds') ?? 0) > 0)
    assert.equal(values.get('godwit_store_segments{state="current"}'), 1)
    assert.ok((values.get('godwit_store_free_bytes') ?? 0) > 0)
    client.destroy()
  })
})

/** A broker on a disk that the test fills, which lives as long as the test. */
async function onSimulatedDisk(t: TestContext, lowSpace: number) {
  const machine = new SimulatedMachine(1, null)
  const broker = createBroker({
    statsIntervalSeconds: 0,
    store: async owner => {
      const sizes = { segmentBytes: 64 * 1024, checkpointBytes: 100 * 1024 }
      const options = { directory: MACHINE_DIRECTORY, lowSpace, ...sizes }
      const store = await openDiskStore(options, owner, SILENT, machine.start())
      return { store, close: () => store.close(), report: () => store.report() }
    },
  })
  let isOver = false
  const pump = (): void => {
    machine.disk.step()
    if (!isOver) setImmediate(pump)
  }
  pump()
  t.after(async () => {
    machine.fill(false)
    await broker.close({ drainSeconds: 0 })
    isOver = true
    machine.dispose()
  })
  const { url } = await broker.listenMetrics({ port: 0 })
  await broker.ready
  return { machine, broker, collector: new Collector(url) }
}

async function untilSpace(broker: BrokerServer, wanted: string): Promise<void> {
  while ((await nextEvent(broker, 'space')).space !== wanted);
}

test('low space is in the metrics and goes again, and the broker stays ready', async t => {
  const { machine, broker, collector } = await onSimulatedDisk(t, 10 * MIB)
  const names = ['godwit_store_low_space', 'godwit_store_full', 'godwit_ready']
  assert.deepEqual(await collector.all(...names), [0, 0, 1])
  const low = untilSpace(broker, 'low')
  machine.disk.capacityBytes = machine.disk.usedBytes() + 5 * MIB
  await low
  assert.deepEqual(await collector.all(...names), [1, 0, 1])
  const [free = 0] = await collector.all('godwit_store_free_bytes')
  assert.ok(free > 0 && free <= 5 * MIB, String(free))
  assert.deepEqual(await collector.readiness(), [200, null, 'low'])
  const enough = untilSpace(broker, 'enough')
  machine.fill(false)
  await enough
  assert.deepEqual(await collector.all(...names), [0, 0, 1])
  assert.deepEqual(await collector.readiness(), [200, null, 'enough'])
})

test('a full disk is in the metrics, makes the broker not ready, and goes again', async t => {
  const { machine, broker, collector } = await onSimulatedDisk(t, 0)
  const names = ['godwit_store_full', 'godwit_ready']
  assert.deepEqual(await collector.all(...names), [0, 1])
  const full = untilSpace(broker, 'full')
  machine.fill(true)
  broker.publish('r', 'x', { qos: 1, retain: true })
  await full
  assert.deepEqual(await collector.all(...names), [1, 0])
  assert.deepEqual(await collector.readiness(), [503, 'full', 'full'])
  assert.equal((await fetch(`${collector.url}/healthz`)).status, 200)
  const enough = untilSpace(broker, 'enough')
  machine.fill(false)
  await enough
  assert.deepEqual(await collector.all(...names), [0, 1])
  assert.deepEqual(await collector.readiness(), [200, null, 'enough'])
})

test('it is ready from when the store is read until it stops, healthy all the time', async () => {
  let opened: () => void = () => undefined
  let closed: () => void = () => undefined
  const opening = new Promise<void>(resolve => {
    opened = resolve
  })
  const stopping = new Promise<void>(resolve => {
    closed = resolve
  })
  const broker = createBroker({
    store: async owner => {
      await opening
      const store = new MemoryStore()
      store.attach(owner)
      return { store, close: () => stopping }
    },
  })
  const { url } = await broker.listenMetrics({ port: 0 })
  const collector = new Collector(url)
  assert.deepEqual(await collector.readiness(), [503, 'starting', 'enough'])
  const early = await collector.values()
  assert.equal(early.get('godwit_ready'), 0)
  assert.equal(early.has('godwit_connections'), false)
  opened()
  await broker.ready
  assert.deepEqual(await collector.readiness(), [200, null, 'enough'])
  const ended = broker.close({ drainSeconds: 0 })
  assert.deepEqual(await collector.readiness(), [503, 'draining', 'enough'])
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  closed()
  await ended
  await assert.rejects(fetch(`${url}/healthz`))
  await assert.rejects(broker.listenMetrics({ port: 0 }), /the broker is closed/)
})

test('a store that cannot be opened is told', async () => {
  const broker = createBroker({ store: () => Promise.reject(new Error('no')) })
  const { url } = await broker.listenMetrics({ port: 0 })
  await assert.rejects(broker.ready, /no/)
  assert.deepEqual(await new Collector(url).readiness(), [503, 'failed', 'enough'])
  await broker.close()
})

test('a program serves the text by a server of its own', async () => {
  await withBroker({}, async broker => {
    const server = createServer(async (_request, response) => {
      const { contentType, text } = await broker.metrics({ openMetrics: true })
      response.setHeader('Content-Type', contentType).end(text)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const values = valuesOf(await (await fetch(`http://127.0.0.1:${port}`)).text())
    assert.equal(values.get('godwit_connections'), 0)
    server.close()
  })
})

test('options that are not what they must be are named, and a port that is taken too', async () => {
  await withBroker({}, async broker => {
    for (const options of [{ port: -1 }, { port: 65_536 }, { port: 1.5 }, { host: '' }]) {
      await assert.rejects(broker.listenMetrics(options), OptionError)
    }
    const { port } = await broker.listenMetrics({ port: 0 })
    await assert.rejects(broker.listenMetrics({ port }), { code: 'EADDRINUSE' })
  })
})

test('whoever does not ask for metrics loads neither prom-client nor the server', async () => {
  const program = `
    import { createRequire } from 'node:module'
    import { createBroker } from '@godwit/broker'
    const loaded = () =>
      Object.keys(createRequire(import.meta.url).cache).some(path => path.includes('prom-client'))
    const broker = createBroker()
    await broker.listen({ port: 0 })
    const before = loaded()
    await broker.metrics()
    console.log(before, loaded())
    await broker.close()`
  const result = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT })
  assert.equal(result.output, 'false true\n', result.errors)
})
