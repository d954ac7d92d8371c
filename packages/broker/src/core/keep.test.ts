// Copies that outlive the turn of the message they were made of.

import assert from 'node:assert/strict'
import test from 'node:test'
import { encodePacket, encodeUtf8, PublishView } from '@godwit/packet'
import { keptCopy } from './keep.ts'
import { Message, NEVER_EXPIRES } from './message.ts'

const GAP = 5
/** Reused, as the broker does: it remembers places of the frame before. */
const view = new PublishView()

test('a message that is kept has bytes of its own, identifier 1, its parts in place', () => {
  for (const level of [4, 5] as const) {
    for (const qos of [2, 1, 0] as const) {
      const passing = pass(level, qos, false)
      const before = passing.frame.slice()
      const kept = keptCopy(passing)
      passing.bytes.fill(0xee)

      const expected = before.slice()
      if (qos > 0) expected.set([0, 1], passing.packetIdAt - passing.start)
      assert.deepEqual(kept.frame, expected)
      assert.deepEqual(kept.payload, encodeUtf8('payload'))
      assert.deepEqual(kept.bytes.subarray(kept.topicStart, kept.topicEnd), encodeUtf8('a/topic'))
      if (qos > 0) assert.equal(kept.packetIdAt, passing.packetIdAt - GAP)
      assert.equal(kept.propertiesEnd - kept.propertiesStart, level === 5 ? 6 : 0)
      assert.deepEqual(
        [kept.start, kept.qos, kept.retain, kept.topic, kept.publisher, kept.plain],
        [0, qos, true, 'a/topic', 'someone', true],
      )
    }
  }
})

test('a message that is kept leaves DUP and its expiry interval behind', () => {
  const passing = pass(5, 1, true)
  passing.expiresAtMs = 7_000
  const kept = keptCopy(passing)
  assert.equal((kept.frame[0] ?? 0) & 8, 0)
  assert.equal(kept.expiresAtMs, 7_000)
  assert.equal(kept.propertiesEnd - kept.propertiesStart, 6)
  assert.deepEqual(kept.payload, encodeUtf8('payload'))
})

/** As sockets give them: `slice` of a Buffer is a view. */
for (const [what, retain, payloadBytes] of [
  ['a small message', false, 30],
  ['a retained message', true, 30],
  ['a large message', false, 5000],
] as const) {
  test(`${what} from a Buffer is copied, and the Buffer left as it is`, () => {
    const payload = new Uint8Array(payloadBytes).fill(7)
    const packet = { type: 3, topic: 'a/topic', payload, qos: 1, retain, dup: false } as const
    const frame = Buffer.from(encodePacket({ ...packet, packetId: 0x1234, properties: {} }, 4))
    const before = Buffer.from(frame)
    const bodyStart = frame.length > 129 ? 3 : 2
    view.read(frame[0] ?? 0, frame, bodyStart, frame.length, 4)
    const message = new Message()
    message.load(view, frame, 0, 4)
    message.topic = 'a/topic'
    const kept = keptCopy(message)
    assert.deepEqual(frame, before)
    frame.fill(0xee)
    assert.deepEqual(kept.payload, payload)
    assert.notEqual(kept.bytes.buffer, frame.buffer)
  })
}

test('small messages share a block, and none lies over another', () => {
  const kept: Message[] = []
  for (let i = 0; i < 200; i++) kept.push(keptCopy(small(i)))
  for (const [i, message] of kept.entries()) {
    assert.deepEqual(message.payload, new Uint8Array(i).fill(i))
    assert.ok(message.bytes.length <= 2048)
  }
  assert.ok(new Set(kept.map(message => message.bytes)).size < 40)
})

function small(byteCount: number): Message {
  const payload = new Uint8Array(byteCount).fill(byteCount)
  const type = 3
  const packet = {
    type,
    topic: 't',
    payload,
    qos: 1,
    retain: false,
    dup: false,
    packetId: 1,
  } as const
  const frame = encodePacket({ ...packet, properties: {} }, 4)
  view.read(frame[0] ?? 0, frame, byteCount > 122 ? 3 : 2, frame.length, 4)
  const message = new Message()
  message.load(view, frame, 0, 4)
  return message
}

/** A message as it passes: a view on a chunk that holds other bytes before and behind it. */
function pass(level: 4 | 5, qos: 0 | 1 | 2, lives: boolean): Message {
  const properties = level === 4 ? {} : { contentType: 'abc' }
  const frame = encodePacket(
    {
      type: 3,
      topic: 'a/topic',
      payload: encodeUtf8('payload'),
      qos,
      retain: true,
      dup: lives,
      packetId: qos === 0 ? 0 : 0x1234,
      properties: lives ? { ...properties, messageExpiryInterval: 7 } : properties,
    },
    level,
  )
  const chunk = new Uint8Array(GAP + frame.length + GAP)
  chunk.set(frame, GAP)
  view.read(frame[0] ?? 0, chunk, GAP + 2, GAP + frame.length, level)
  const message = new Message()
  message.load(view, chunk, GAP, level)
  message.topic = 'a/topic'
  message.publisher = 'someone'
  message.expiresAtMs = NEVER_EXPIRES
  return message
}
