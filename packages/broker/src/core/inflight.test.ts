// Packet identifiers under way to a client, against a plain model: a list of what was given.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PACKET_ID_MAX } from '@godwit/packet'
import fc from 'fast-check'
import { Inflight } from './inflight.ts'
import { Message } from './message.ts'
import { InflightState } from './ports.ts'
import { Delivery } from './session.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const { NONE, QOS_1_SENT, QOS_2_SENT, RELEASED } = InflightState

interface Entry {
  readonly packetId: number
  state: number
  readonly delivery: Delivery | null
  sent: boolean
}

/** What an Inflight must be like, in the plainest form. */
class Model {
  entries: Entry[] = []
  nextId = 1

  add(state: number, delivery: Delivery | null, sent: boolean): number {
    const packetId = this.nextId
    this.nextId = packetId === PACKET_ID_MAX ? 1 : packetId + 1
    this.entries.push({ packetId, state, delivery, sent })
    return packetId
  }
  find(packetId: number): Entry | undefined {
    return this.entries.find(entry => entry.packetId === packetId)
  }
  nextUnsent(): number {
    return this.entries.find(entry => !entry.sent)?.packetId ?? 0
  }
}

const Step = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), qos: fc.constantFrom(1, 2) }),
  fc.record({ kind: fc.constant('assign' as const), qos: fc.constantFrom(1, 2) }),
  fc.record({ kind: fc.constant('finish' as const), pick: fc.nat(100) }),
  fc.record({ kind: fc.constant('release' as const), pick: fc.nat(100) }),
  fc.record({ kind: fc.constant('rewind' as const) }),
  fc.record({ kind: fc.constant('send' as const) }),
)

type StepValue = typeof Step extends fc.Arbitrary<infer T> ? T : never

function stateOfQoS(qos: number): number {
  return qos === 1 ? QOS_1_SENT : QOS_2_SENT
}

function apply(step: StepValue, inflight: Inflight, model: Model): void {
  switch (step.kind) {
    case 'begin':
      // A message goes out at once only where none waits before it.
      if (model.nextUnsent() !== 0 || inflight.unsentSpan > 0) return
      assert.equal(
        inflight.begin(stateOfQoS(step.qos)),
        model.add(stateOfQoS(step.qos), null, true),
      )
      return
    case 'assign': {
      const delivery = new Delivery(new Message(), 1, false, null)
      const given = inflight.assign(stateOfQoS(step.qos), delivery)
      assert.equal(given, model.add(stateOfQoS(step.qos), delivery, false))
      return
    }
    case 'send': {
      const id = inflight.nextUnsent()
      assert.equal(id, model.nextUnsent())
      if (id === 0) return
      inflight.markSent()
      const entry = model.find(id)
      if (entry !== undefined) entry.sent = true
      return
    }
    case 'rewind':
      inflight.rewind()
      for (const entry of model.entries) entry.sent = false
      return
    default: {
      const entry = model.entries[step.pick % Math.max(model.entries.length, 1)]
      if (entry === undefined) return
      if (step.kind === 'release') {
        inflight.release(entry.packetId)
        entry.state = RELEASED
        return
      }
      inflight.finish(entry.packetId)
      model.entries = model.entries.filter(other => other !== entry)
    }
  }
}

function compare(inflight: Inflight, model: Model): void {
  const seen: [number, number, Delivery | null][] = []
  inflight.each((packetId, state, delivery) => seen.push([packetId, state, delivery]))
  assert.deepEqual(
    seen,
    model.entries.map(({ packetId, state, delivery }) => [packetId, state, delivery]),
  )
  assert.equal(inflight.active, model.entries.length)
  assert.equal(inflight.sent, model.entries.filter(entry => entry.sent).length)
  for (const { packetId, state, delivery } of model.entries) {
    assert.equal(inflight.stateOf(packetId), state)
    assert.equal(inflight.deliveryOf(packetId), delivery)
  }
}

test('it does what a plain list would do, whatever the order of acknowledgements', () => {
  fc.assert(
    fc.property(fc.array(Step, { maxLength: 200 }), steps => {
      const inflight = new Inflight()
      const model = new Model()
      for (const step of steps) {
        apply(step, inflight, model)
        compare(inflight, model)
      }
    }),
    { numRuns: 300 },
  )
})

test('identifiers go from 1 to 65 535 and begin again at 1, never 0', () => {
  const inflight = new Inflight()
  for (let round = 0; round < 2; round++) {
    for (let id = 1; id <= PACKET_ID_MAX; id++) {
      assert.equal(inflight.begin(QOS_1_SENT), id)
      inflight.finish(id)
    }
  }
  assert.equal(inflight.active, 0)
})

test('when all identifiers are taken there is none, until the oldest is finished', () => {
  const inflight = new Inflight()
  for (let id = 1; id <= PACKET_ID_MAX; id++) inflight.begin(QOS_1_SENT)
  assert.equal(inflight.begin(QOS_1_SENT), 0)
  assert.equal(inflight.assign(QOS_2_SENT, null), 0)
  assert.equal(inflight.active, PACKET_ID_MAX)
  inflight.finish(2)
  assert.equal(inflight.begin(QOS_1_SENT), 0, 'the ring begins at the oldest')
  inflight.finish(1)
  assert.equal(inflight.begin(QOS_1_SENT), 1)
})

test('an identifier that is not in use has no state and no delivery', () => {
  const inflight = new Inflight()
  for (const id of [0, 1, 65_535]) {
    assert.equal(inflight.stateOf(id), NONE)
    assert.equal(inflight.deliveryOf(id), null)
  }
  inflight.begin(QOS_2_SENT)
  assert.equal(inflight.stateOf(1), QOS_2_SENT)
  assert.equal(inflight.stateOf(2), NONE)
  assert.equal(inflight.stateOf(65_535), NONE)
})

test('what was stored comes back under its identifiers, across the end of their range', () => {
  const inflight = new Inflight()
  const deliveries = [65_534, 65_535, 2].map(id => {
    const delivery = new Delivery(new Message(), 2, false, null)
    inflight.restore(id, id === 2 ? RELEASED : QOS_2_SENT, delivery)
    return delivery
  })
  const order: number[] = []
  inflight.each(packetId => order.push(packetId))
  assert.deepEqual(order, [65_534, 65_535, 2])
  assert.equal(inflight.deliveryOf(65_535), deliveries[1])
  assert.equal(inflight.stateOf(1), NONE)
  assert.equal(inflight.nextUnsent(), 65_534)
  assert.equal(inflight.assign(QOS_1_SENT, null), 3)
})
