// The packets of a publisher: what a seed decides, and what is the same when a message goes again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Batch, FrameSource } from './frames.ts'
import type { PayloadPlan } from './payload-check.ts'
import { Random } from './random.ts'

function sourceOf(seed: number, payload: PayloadPlan): FrameSource {
  const plan = {
    ...({ level: 5, qos: 1, retain: false, streamFrom: 0, inTurn: false, payload } as const),
    ...{ topics: ['a', 'b', 'c', 'd', 'e'], plain: false, run: 7, client: 3 },
  }
  return new FrameSource(plan, new Random(seed))
}

/** The bytes of so many messages, with the same times. */
function bytesOf(source: FrameSource, count: number): Buffer {
  const batch = new Batch(source.roomBytes * count, () => undefined)
  for (let i = 0; i < count; i++) {
    const topic = source.nextTopic()
    source.append(batch, topic, i, i + 1, false, 1000, 2000)
  }
  return Buffer.from(batch.bytes.subarray(0, batch.length))
}

const KINDS: readonly PayloadPlan[] = [
  { kind: 'size', bytesMin: 20, bytesMax: 900 },
  { kind: 'template', text: '{"n":{seq},"r":{random:1000000}}' },
]

for (const payload of KINDS) {
  test(`${payload.kind}: the same seed gives the same topics and payloads, another others`, () => {
    const bytes = bytesOf(sourceOf(1, payload), 50)
    assert.deepEqual(bytesOf(sourceOf(1, payload), 50), bytes)
    assert.notDeepEqual(bytesOf(sourceOf(2, payload), 50), bytes)
  })
}

test('a message that goes again has the number of the first time in its payload', () => {
  const source = sourceOf(1, { kind: 'template', text: '<{seq}>' })
  const batch = new Batch(source.roomBytes * 2, () => undefined)
  source.append(batch, 0, 41, 9, false, 1000, 2000)
  const first = Buffer.from(batch.bytes.subarray(0, batch.length))
  batch.length = 0
  source.sequences[0] = 500
  source.append(batch, 0, 41, 9, true, 1000, 2000)
  const again = Buffer.from(batch.bytes.subarray(0, batch.length))
  assert.ok(first.includes('<41>'))
  assert.equal(again[0], (first[0] ?? 0) | 8)
  assert.deepEqual(again.subarray(1), first.subarray(1))
})
