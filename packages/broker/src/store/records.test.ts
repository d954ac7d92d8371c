// Every record of the store, written and read back, and what is no record.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StoreError } from './errors.ts'
import { readRecords } from './record-reader.ts'
import { Op, type RecordSink, RecordWriter } from './record-writer.ts'
import { listingSink } from './testing/sinks.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const HEADER_BYTES = 20

function readBack(records: RecordWriter): unknown[][] {
  const calls: unknown[][] = []
  readRecords(records.toBytes(), HEADER_BYTES, records.length, listingSink(calls))
  return calls
}

const message = {
  id: 7,
  frame: Uint8Array.of(0x32, 3, 0, 1, 65),
  protocolLevel: 5,
  expiresAtMs: 1_790_000_000_123,
  publisher: 'sensor/ü',
} as const

const times = { delaySeconds: 30, expirySeconds: -1, fireAtMs: 0 }
const will = { sessionId: 3, message, ...times, user: { username: 'ann' } }

function writeEach(to: RecordSink): void {
  to.putSession({
    id: 3,
    clientId: 'клиент',
    protocolLevel: 3,
    sessionExpirySeconds: 0xffff_ffff,
    disconnectedAtMs: 1_790_000_000_000,
  })
  to.removeSession(Number.MAX_SAFE_INTEGER)
  to.putSubscription({ sessionId: 3, filter: 'a/+/#', options: 0x3f, identifier: 268_435_455 })
  to.removeSubscription(3, '')
  to.putMessage(message)
  const numbers = { ownerId: 3, sequence: 2 ** 40, byteLength: 300, messageId: 7, flags: 6 }
  const delivery = { ...numbers, identifiers: [1, 300] }
  to.putDelivery(delivery)
  to.removeDelivery(3, 128)
  to.putInflight(3, 65_535, 127, 3)
  to.putReceived(3, 1)
  to.removeReceived(3, 16_384)
  to.putRetained('t', 7)
  to.removeRetained('t/😀')
  to.putWill(will)
  to.removeWill(0)
  to.putGroup(9, 'workers', 'jobs/#')
  to.removeGroup(9)
  to.putGroupDelivery({ ...delivery, identifiers: null })
  to.removeGroupDelivery(9, 2 ** 32)
}

test('every record is read back as it was written', () => {
  const written: unknown[][] = []
  writeEach(listingSink(written))
  const records = new RecordWriter(HEADER_BYTES)
  writeEach(records)
  assert.equal(records.count, written.length)
  const read = readBack(records)
  for (const [i, call] of written.entries()) {
    // A will refers to its message by id only.
    if (call[0] === 'putWill') {
      const [, got] = read[i] as [string, typeof will]
      assert.deepEqual({ ...got, message: got.message.id }, { ...will, message: message.id })
    } else assert.deepEqual(read[i], call)
  }
  assert.equal(read.length, written.length)
})

test('any numbers and texts survive', () => {
  const number = fc.maxSafeNat()
  const text = fc.string({ unit: 'grapheme', maxLength: 300 })
  fc.assert(
    fc.property(number, number, text, fc.uint8Array({ maxLength: 70_000 }), (a, b, name, frame) => {
      const records = new RecordWriter(HEADER_BYTES)
      records.removeDelivery(a, b)
      records.putGroup(a, name, name)
      records.putMessage({ id: b, frame, protocolLevel: 4, expiresAtMs: a, publisher: name })
      assert.deepEqual(readBack(records), [
        ['removeDelivery', a, b],
        ['putGroup', a, name, name],
        ['putMessage', { id: b, frame, protocolLevel: 4, expiresAtMs: a, publisher: name }],
      ])
    }),
  )
})

test('removals and states in flight that follow one another become one record', () => {
  const records = new RecordWriter(HEADER_BYTES)
  const written: unknown[][] = []
  for (const to of [records, listingSink(written)]) {
    for (let i = 0; i < 400; i++) to.putInflight(3, 65_100 + i, 2 ** 33 + i, 1)
    for (let i = 0; i < 400; i++) to.removeDelivery(3, 2 ** 33 + i)
  }
  assert.equal(records.count, 2)
  assert.deepEqual(readBack(records), written)
})

test('a run holds as many as its count can say, then another begins', () => {
  const records = new RecordWriter(HEADER_BYTES)
  for (let sequence = 1; sequence <= 65_536; sequence++) records.removeDelivery(1, sequence)
  assert.equal(records.count, 2)
  assert.deepEqual(readBack(records).at(-1), ['removeDelivery', 1, 65_536])
})

/** Each differs in one thing from what would go on with the run. */
const breaks: readonly (readonly [what: string, write: (to: RecordSink) => void])[] = [
  ['another owner', to => to.putInflight(4, 11, 21, 1)],
  ['another state', to => to.putInflight(3, 11, 21, 2)],
  ['a packet identifier that is left out', to => to.putInflight(3, 12, 21, 1)],
  ['the first packet identifier again', to => to.putInflight(3, 1, 21, 1)],
  ['a sequence that is left out', to => to.putInflight(3, 11, 22, 1)],
  ['the same again', to => to.putInflight(3, 10, 20, 1)],
  ['another operation', to => to.removeDelivery(3, 21)],
]
for (const [what, write] of breaks) {
  test(`a run does not go on with ${what}`, () => {
    const records = new RecordWriter(0)
    const written: unknown[][] = []
    for (const to of [records, listingSink(written)]) {
      to.putInflight(3, 10, 20, 1)
      write(to)
      to.putInflight(3, 11, 21, 1)
    }
    const read: unknown[][] = []
    readRecords(records.toBytes(), 0, records.length, listingSink(read))
    assert.deepEqual(read, written)
    assert.ok(records.count > 1)
  })
}

test('a run does not go on in the batch after it, nor does a message', () => {
  const records = new RecordWriter(0)
  const other = new RecordWriter(0)
  const numbers = { ownerId: 3, sequence: 1, byteLength: message.frame.length, messageId: 7 }
  const delivery = { ...numbers, flags: 1, identifiers: null }
  records.putMessage(message)
  records.removeDelivery(1, 1)
  records.handOver(other)
  records.removeDelivery(1, 2)
  records.putDelivery(delivery)
  const read: unknown[][] = []
  readRecords(records.toBytes(), 0, records.length, listingSink(read))
  assert.deepEqual(read, [
    ['removeDelivery', 1, 2],
    ['putDelivery', delivery],
  ])
})

test('a delivery of the message before it does not repeat what that says', () => {
  const records = new RecordWriter(HEADER_BYTES)
  const written: unknown[][] = []
  const numbers = { ownerId: 3, sequence: 2, byteLength: message.frame.length, messageId: 7 }
  const other = { ...numbers, messageId: 8, flags: 6, identifiers: null }
  for (const to of [records, listingSink(written)]) {
    to.putMessage(message)
    to.putDelivery({ ...numbers, flags: 6, identifiers: [1, 300] })
    to.putDelivery({ ...numbers, ownerId: 4, flags: 5, identifiers: null })
    to.putDelivery(other)
  }
  assert.deepEqual(readBack(records), written)
})

test('a delivery before any message and a run of none are errors', () => {
  const delivery = Uint8Array.of(Op.PUT_DELIVERY_OF_LAST, 3, 1, 1, 0)
  const nothing = Uint8Array.of(Op.REMOVE_DELIVERIES, 3, 1, 0, 0)
  const read = (bytes: Uint8Array) => readRecords(bytes, 0, bytes.length, listingSink([]))
  assert.throws(() => read(delivery), /before its message/)
  assert.throws(() => read(nothing), /run of no records/)
})

test('an unknown operation is an error, never skipped', () => {
  const calls: unknown[][] = []
  assert.throws(
    () => readRecords(Uint8Array.of(99, 1), 0, 2, listingSink(calls)),
    (error: unknown) =>
      error instanceof StoreError && /operation 99 is unknown/.test(error.message),
  )
  assert.deepEqual(calls, [])
})

test('a record that is cut anywhere is an error', () => {
  const records = new RecordWriter(0)
  records.putMessage(message)
  cutAnywhere(records)
  records.reset()
  records.removeDelivery(3, 300)
  cutAnywhere(records)
})

function cutAnywhere(records: RecordWriter): void {
  for (let end = 1; end < records.length; end++) {
    assert.throws(
      () => readRecords(records.toBytes(), 0, end, listingSink([])),
      StoreError,
      `at ${end}`,
    )
  }
}

test('a state in flight that does not exist is an error', () => {
  const records = new RecordWriter(0)
  records.putInflight(1, 1, 1, 4)
  assert.throws(() => readRecords(records.toBytes(), 0, records.length, listingSink([])), /state 4/)
})

test('a text longer than MQTT allows is refused', () => {
  const records = new RecordWriter(0)
  records.putGroup(1, 'x'.repeat(65_535), 'f')
  assert.throws(() => records.putGroup(1, 'x'.repeat(65_536), 'f'), RangeError)
})

test('what lies in many chunks is one after the other, wherever a chunk ends', () => {
  const records = new RecordWriter(HEADER_BYTES)
  const written: unknown[][] = []
  const run = { ownerId: 3, sequence: 1, byteLength: 70_000, messageId: 7, flags: 1 }
  for (const to of [records, listingSink(written)]) {
    for (let i = 0; i < 40; i++) {
      to.putMessage({ ...message, frame: new Uint8Array(70_000 + 7919 * i).fill(i) })
      to.putDelivery({ ...run, sequence: i, identifiers: [1, 300] })
      for (let k = 0; k < 500; k++) to.removeDelivery(3, 2 ** 33 + i * 600 + k)
      to.putGroup(i, 'ä'.repeat(30_000), 'f')
    }
    to.putMessage({ ...message, frame: new Uint8Array(3_000_000).fill(9) })
  }
  assert.ok(records.pieces().length > 10)
  const pieces = records.pieces()
  assert.equal(
    pieces.reduce((sum, piece) => sum + piece.length, 0),
    records.length,
  )
  assert.deepEqual(Buffer.concat(pieces), Buffer.from(records.toBytes()))
  assert.deepEqual(readBack(records), written)
})

test('a run that a chunk cuts off is two records, both of them right', () => {
  for (let fill = 65_490; fill < 65_540; fill++) {
    const records = new RecordWriter(0)
    const written: unknown[][] = []
    for (const to of [records, listingSink(written)]) {
      to.putMessage({ ...message, frame: new Uint8Array(fill - 40) })
      for (let i = 0; i < 5; i++) to.removeDelivery(1, 1 + i)
      for (let i = 0; i < 5; i++) to.putInflight(1, 10 + i, 1 + i, 1)
    }
    const read: unknown[][] = []
    readRecords(records.toBytes(), 0, records.length, listingSink(read))
    assert.deepEqual(read, written, String(fill))
  }
})

test('chunks are used again, from batch to batch and from one writer to the other', () => {
  const open = new RecordWriter(HEADER_BYTES)
  const inFlight = new RecordWriter(HEADER_BYTES)
  const memories = new Set<ArrayBufferLike>()
  for (let batch = 0; batch < 20; batch++) {
    open.putMessage({ ...message, frame: new Uint8Array(1_200_000).fill(batch) })
    open.handOver(inFlight)
    assert.equal(open.length, HEADER_BYTES)
    for (const { buffer } of inFlight.pieces()) memories.add(buffer)
    const [[, put] = []] = readBack(inFlight)
    assert.equal((put as { frame: Uint8Array }).frame[5], batch)
  }
  assert.ok(memories.size <= 10, String(memories.size))
})

test('of a batch that was large only a few chunks are kept', () => {
  const open = new RecordWriter(HEADER_BYTES)
  const large = new Uint8Array(20_000_000)
  open.putMessage({ ...message, frame: large })
  const before = new Set(open.pieces().map(({ buffer }) => buffer))
  open.reset()
  assert.equal(open.length, HEADER_BYTES)
  open.putMessage({ ...message, frame: large })
  const kept = open.pieces().filter(({ buffer }) => before.has(buffer))
  assert.equal(kept.length, 5, 'the last one, and four of the others')
})
