// The log in parts of any size, through the elision and the overlay into the database, against the
// model: what is there afterwards, and what pages say before it is written.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StoredPage } from '../core/ports.ts'
import { Elision } from './elision.ts'
import { StoreError } from './errors.ts'
import { Overlay } from './overlay.ts'
import { pageOf } from './page-reader.ts'
import { readPage } from './page-writer.ts'
import { RecordWriter } from './record-writer.ts'
import { State } from './state.ts'
import { ChunkReader, chunksOf } from './state-reader.ts'
import { Model, modelReader, RandomRecords } from './testing/model.ts'
import { SeededRandom } from './testing/random.ts'

const seedCount = Number(process.env['GODWIT_SEEDS'] ?? 8)
const firstSeed = Number(process.env['GODWIT_FIRST_SEED'] ?? 1)

interface World {
  readonly state: State
  readonly overlay: Overlay
  readonly model: Model
}

function pageIn(
  { state, overlay }: World,
  sessionId: number,
  from: number,
  most: number,
): StoredPage {
  const request = { sessionId, fromSequence: from, messagesMax: most, bytesMax: 3000 }
  return pageOf(1, readPage(state.database, overlay, request))
}

/** Every session as pages say it is, before the overlay is written. */
function readSessions(world: World, most: number): Model {
  const read = new Model()
  for (const session of world.model.sessions.values()) {
    read.putSession(session)
    for (let from = 0; ; ) {
      const page = pageIn(world, session.id, from, most)
      for (const { delivery, message, packetId, state } of page.entries) {
        from = delivery.sequence + 1
        read.putMessage(message)
        read.putDelivery(delivery)
        if (packetId > 0) read.putInflight(session.id, packetId, delivery.sequence, state)
      }
      for (const packetId of page.received) read.putReceived(session.id, packetId)
      if (page.will !== null) {
        read.putMessage(page.will.message)
        read.putWill(page.will)
      }
      if (page.entries.length === 0) break
    }
  }
  return read
}

function factsOf(model: Model, kinds: RegExp): string[] {
  return model.facts().filter(fact => kinds.test(fact))
}

function run(seed: number, path: string): void {
  const random = new SeededRandom(seed)
  const state = new State({
    path,
    newId: () => new Uint8Array(16),
    reached: () => undefined,
  })
  const world: World = { state, overlay: new Overlay(), model: new Model() }
  const { overlay, model } = world
  const elision = new Elision()
  const writer = new RecordWriter(0)
  const records = new RandomRecords(random, model, [model, writer])
  for (let part = 1; part <= 20; part++) {
    const frames = Array.from({ length: 1 + random.below(4) }, () => {
      writer.reset()
      for (let i = random.below(60); i >= 0; i--) records.step()
      const bytes = writer.toBytes()
      return { bytes, start: 0, end: bytes.length }
    })
    elision.apply(frames, overlay)
    const seen = readSessions(world, 1 + random.below(6))
    const kinds = /^(session|queue|received|will) /
    assert.deepEqual(factsOf(seen, kinds), factsOf(model, kinds), `pages, part ${part}`)
    if (random.chance(0.6)) continue
    state.apply(overlay, part, 1)
    overlay.clear()
    const loaded = new Model()
    const reader = new ChunkReader(modelReader(loaded))
    for (const chunk of chunksOf(state.database)) reader.read(chunk)
    const others = /^(session|subscription|retained|group|share) /
    assert.deepEqual(factsOf(loaded, others), factsOf(model, others), `state, part ${part}`)
    const [row] = state.database.query('SELECT count(*) AS n FROM message')
    assert.equal(Number(row?.['n']), model.referenced().size, 'no message is kept for nobody')
  }
  state.close()
}

test(`${seedCount} seeds of records: pages and database are what the model says`, () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-elision-'))
  try {
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
      try {
        run(seed, join(directory, `${seed}.db`))
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        })
      }
      for (const name of fs.readdirSync(directory)) fs.rmSync(join(directory, name))
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
})

test('what came and went within a part leaves nothing behind', () => {
  const overlay = new Overlay()
  const writer = new RecordWriter(0)
  const frame = new Uint8Array(50)
  const message = { frame, protocolLevel: 5, expiresAtMs: 0, publisher: 'p' } as const
  for (let id = 1; id <= 5000; id++) {
    const delivery = { ownerId: 1, sequence: id, byteLength: 50, messageId: id, flags: 1 }
    writer.putMessage({ id, ...message })
    writer.putDelivery({ ...delivery, identifiers: [1, 2] })
    writer.putInflight(1, id, id, 1)
    writer.removeDelivery(1, id)
  }
  new Elision().apply([{ bytes: writer.toBytes(), start: 0, end: writer.length }], overlay)
  assert.equal(overlay.empty, true)
  assert.equal(overlay.messages.size + overlay.queues.size + overlay.inflight.size, 0)
})

test('an unknown operation, or a record that is cut, is an error', () => {
  const elision = new Elision()
  const unknown = { bytes: Uint8Array.of(99, 1), start: 0, end: 2 }
  assert.throws(() => elision.apply([unknown], new Overlay()), StoreError)
  const writer = new RecordWriter(0)
  writer.putGroup(300, 'a', 'b')
  for (let end = 1; end < writer.length; end++) {
    const cut = { bytes: writer.toBytes().subarray(0, end), start: 0, end }
    assert.throws(() => elision.apply([cut], new Overlay()), StoreError, `at ${end}`)
  }
})
