// The output of a turn: whatever is appended comes out in order, patched and copied where it must.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Arena, giveBackPieces, Output } from './outbox.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const ARENA_BYTES = 256 * 1024

function joined(pieces: readonly Uint8Array[]): Buffer {
  return Buffer.concat(pieces)
}

interface Part {
  /** Which of the buffers, the last one being the arena. */
  readonly source: number
  readonly start: number
  readonly length: number
  readonly packetId: number
}

const PartOf = fc.record({
  source: fc.nat(2),
  start: fc.nat(3000),
  length: fc.oneof(fc.integer({ min: 4, max: 90 }), fc.integer({ min: 4, max: 20_000 })),
  packetId: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 })),
})

function filled(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255)
}

/** Appends the parts; gives back what has to come out. */
function append(output: Output, parts: readonly Part[], sources: readonly Uint8Array[]): Buffer {
  const expected: Buffer[] = []
  for (const { source, start, length, packetId } of parts) {
    const buffer = sources[source] as Uint8Array
    const copy = Buffer.from(buffer.subarray(start, start + length))
    if (packetId === 0) output.append(buffer, start, start + length)
    else {
      output.appendWithId(buffer, start, start + length, start + 1, packetId)
      copy.writeUInt16BE(packetId, 1)
    }
    expected.push(copy)
  }
  return joined(expected)
}

test('pieces come out as they went in, with their packet identifiers', () => {
  const sources = [filled(30_000, 1), filled(30_000, 2), filled(30_000, 3)]
  const originals = sources.map(source => Buffer.from(source))
  const arena = sources[2] as Uint8Array
  fc.assert(
    fc.property(fc.array(PartOf, { minLength: 1, maxLength: 30 }), fc.boolean(), (parts, share) => {
      const output = new Output()
      const into: Uint8Array[] = []
      // An output is used again and again.
      for (let round = 0; round < 2; round++) {
        const expected = append(output, parts, sources)
        assert.equal(output.bytes, expected.length)
        output.take(arena, share, into)
        assert.deepEqual(joined(into), expected)
        assert.equal(output.bytes, 0)
        // What is in the arena is overwritten in the next turn, and a slow receiver pins nothing.
        const kept = into.filter(piece => piece.buffer === arena.buffer)
        assert.equal(kept.length, 0)
        if (!share) assert.ok(into.every(piece => sources.every(s => s.buffer !== piece.buffer)))
      }
    }),
  )
  assert.deepEqual(
    sources.map(source => Buffer.from(source)),
    originals,
  )
})

test('neighbours in one buffer are one piece and go out as they lie when alone', () => {
  const chunk = filled(1000, 5)
  const output = new Output()
  output.append(chunk, 0, 400)
  output.append(chunk, 400, 1000)
  const into: Uint8Array[] = []
  output.take(new Uint8Array(8), true, into)
  assert.equal(into.length, 1)
  assert.equal(into[0], chunk)
})

test('a small slice of a large chunk is copied: it would keep all of it', () => {
  const chunk = filled(60_000, 5)
  const output = new Output()
  output.append(chunk, 100, 200)
  const into: Uint8Array[] = []
  output.take(new Uint8Array(8), true, into)
  assert.notEqual(into[0]?.buffer, chunk.buffer)
  assert.deepEqual(joined(into), Buffer.from(chunk.subarray(100, 200)))
})

test('what was given back is used again, what was not stays as it is', () => {
  const output = new Output()
  const arena = new Uint8Array(8)
  const take = (length: number, value: number): Uint8Array[] => {
    const into: Uint8Array[] = []
    for (let i = 0; i < 2; i++) output.append(filled(length, value), 0, length)
    output.take(arena, true, into)
    return into
  }
  const [first] = take(300, 1)
  const [second] = take(400, 2)
  giveBackPieces()
  const [third] = take(500, 3)
  assert.equal(third?.byteOffset, second?.byteOffset)
  assert.deepEqual(joined([first as Uint8Array]), joined([filled(300, 1), filled(300, 1)]))
  // More than a block, or than what is left of it: nothing that was handed out lies under it.
  const large = take(90_000, 4)
  const kept = take(20_000, 5)
  giveBackPieces()
  for (let i = 0; i < 20; i++) take(15_000, 6)
  assert.deepEqual(joined(large), joined([filled(90_000, 4), filled(90_000, 4)]))
  assert.deepEqual(joined([third as Uint8Array]), joined([filled(500, 3), filled(500, 3)]))
  assert.equal(joined(kept).length, 40_000)
})

test('a frame that chunks had cut apart goes out as it is, before the rest of its chunk', () => {
  const frame = filled(4000, 1)
  const chunk = filled(60_000, 2)
  const output = new Output()
  output.append(frame, 0, 4000)
  output.append(chunk, 100, 60_000)
  const into: Uint8Array[] = []
  output.take(new Uint8Array(8), true, into)
  assert.deepEqual(
    into.map(piece => piece.buffer),
    [frame.buffer, chunk.buffer],
  )
})

test('a small piece, a part of something large and a piece of the arena are copied', () => {
  const chunk = filled(60_000, 2)
  const arena = filled(9000, 3)
  for (const [from, start, end] of [
    [filled(500, 1), 0, 500],
    [filled(30_000, 1), 0, 4000],
    [arena, 0, 4000],
  ] as const) {
    const output = new Output()
    output.append(from, start, end)
    output.append(chunk, 0, 60_000)
    const into: Uint8Array[] = []
    output.take(arena, true, into)
    assert.notEqual(into[0]?.buffer, from.buffer)
    assert.deepEqual(joined(into), joined([from.subarray(start, end), chunk]))
  }
})

test('an arena that is full gets a new block, and what was handed out stays', () => {
  const arena = new Arena()
  arena.reserve(100)
  const first = arena.bytes
  first.fill(7, 0, 100)
  arena.at = 100
  arena.reserve(ARENA_BYTES)
  assert.notEqual(arena.bytes, first)
  assert.equal(arena.at, 0)
  assert.equal(first[99], 7)
  arena.reserve(3 * ARENA_BYTES)
  assert.ok(arena.bytes.length >= 3 * ARENA_BYTES)
  arena.reset()
  assert.equal(arena.bytes.length, ARENA_BYTES, 'one huge packet does not keep its room for ever')
})
