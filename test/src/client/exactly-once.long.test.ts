// QoS 2 exactly once, whatever byte of the exchange is the last one of a connection: a wire that is
// cut after so many bytes, in either direction, at the publisher and at the subscriber.
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createBroker } from '@godwit/broker'
import { type ConnectOptions, connect } from '@godwit/client'
import { type Client, connect as connectLite } from '@godwit/client/lite'
import { dialing } from '../support/lite.ts'

const COUNT = 3

/** Passes bytes both ways until its budget is used up; then both ends are gone. */
interface Wire {
  /** Bytes that passed, to the broker and from it. */
  readonly passed: { up: number; down: number }
  readonly stream: Duplex
  readonly whole: boolean
}

function cutWire(broker: Duplex, budget: { up: number; down: number }): Wire {
  const passed = { up: 0, down: 0 }
  const state = { whole: true }
  const down = new PassThrough()
  const cut = (): void => {
    state.whole = false
    broker.destroy()
    stream.destroy()
  }
  const pass = (direction: 'up' | 'down', to: Duplex, chunk: Uint8Array): void => {
    if (!state.whole) return
    const left = budget[direction] - passed[direction]
    const part = chunk.subarray(0, Math.max(0, left))
    passed[direction] += part.length
    // The last bytes still arrive.
    if (part.length === chunk.length) to.write(part)
    else if (part.length > 0) to.write(part, cut)
    else cut()
  }
  const stream = Object.assign(down, {
    write: (chunk: Uint8Array): boolean => {
      pass('up', broker, chunk)
      return true
    },
    end: () => {
      broker.end()
      return stream
    },
  })
  const push = PassThrough.prototype.write.bind(down)
  const inner = { write: push } as unknown as Duplex
  broker.on('data', (chunk: Uint8Array) => pass('down', inner, chunk))
  broker.on('close', () => stream.destroy())
  stream.on('close', () => broker.destroy())
  return {
    passed,
    stream,
    get whole() {
      return state.whole
    },
  }
}

const Never = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY }

type Open = (target: () => Duplex, options: ConnectOptions) => Promise<Client>

/** What both clients have is the same; so is the test. */
const Clients: readonly (readonly [string, Open])[] = [
  ['', connect],
  ['lite, ', (target, options) => connectLite(() => dialing(target()), options)],
]

interface Outcome {
  readonly received: string[]
  /** Bytes of the connection that was to be cut. */
  readonly passed: { up: number; down: number }
  readonly wasCut: boolean
}

/** Publishes a few messages over wires of which the first of one side is cut. */
async function exchange(
  side: 'publisher' | 'subscriber',
  budget: { up: number; down: number },
  protocolVersion: 4 | 5,
  open: Open,
): Promise<Outcome> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  await broker.ready
  const wires: Wire[] = []
  const target = (own: 'publisher' | 'subscriber') => (): Duplex => {
    const first = own === side && wires.length === 0
    const wire = cutWire(broker.connect(), first ? budget : Never)
    if (own === side) wires.push(wire)
    return wire.stream
  }
  const common: ConnectOptions = {
    protocolVersion,
    sessionExpirySeconds: 1000,
    reconnect: { first: true, initialDelayMs: 0 },
    closeTimeoutMs: 1,
  }
  // Before MQTT 5.0 a session that survives must have been asked for at once.
  const kept = protocolVersion === 4 ? { cleanStart: false } : {}
  const subscriber = await open(target('subscriber'), { clientId: 's', ...common, ...kept })
  const subscription = subscriber.subscribe('once', { qos: 2 })
  await subscription.ready
  const publisher = await open(target('publisher'), { clientId: 'p', ...common, ...kept })
  const received: string[] = []
  const reading = (async () => {
    for await (const message of subscription) received.push(message.text())
  })()
  const published: Promise<unknown>[] = []
  for (let i = 0; i < COUNT; i++) {
    published.push(publisher.publish('once', `${i}`, { qos: 2 }))
  }
  await Promise.all(published)
  // Comes after all the others, so that what should not come twice has had its chance.
  await publisher.publish('once', 'last', { qos: 2 })
  while (received.at(-1) !== 'last') await new Promise(resolve => setImmediate(resolve))
  await publisher.close()
  await subscriber.close()
  await reading
  await broker.close({ drainSeconds: 0 })
  const [first] = wires
  assert.ok(first !== undefined)
  return { received, passed: first.passed, wasCut: !first.whole }
}

const Expected = [...Array.from({ length: COUNT }, (_, i) => `${i}`), 'last']

const Cases = Clients.flatMap(([name, open]) =>
  (['publisher', 'subscriber'] as const).flatMap(side =>
    ([5, 4] as const).map(protocolVersion => ({ name, open, side, protocolVersion })),
  ),
)

for (const { name, open, side, protocolVersion } of Cases) {
  test(`${name}level ${protocolVersion}: each comes once, ${side} cut at every byte`, async () => {
    const { passed, received, wasCut } = await exchange(side, Never, protocolVersion, open)
    assert.deepEqual(received, Expected)
    assert.equal(wasCut, false)
    for (const direction of ['up', 'down'] as const) {
      let cuts = 0
      for (let at = 0; at < passed[direction]; at++) {
        const budget = { ...Never, [direction]: at }
        const outcome = await exchange(side, budget, protocolVersion, open)
        assert.deepEqual(outcome.received, Expected, `${direction} ${at}`)
        if (outcome.wasCut) cuts++
      }
      // The last bytes belong to the goodbye.
      assert.ok(cuts > passed[direction] - 10, `${cuts} cuts in ${passed[direction]} bytes`)
    }
  })
}
