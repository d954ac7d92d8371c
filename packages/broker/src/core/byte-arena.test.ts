// Pieces of bytes by address: none lies in another, and what was freed is used for any size.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteArena } from './byte-arena.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const CHUNK_BYTES = 1024 * 1024
const BYTES_MAX = 65_535 + 16

interface Piece {
  readonly address: number
  readonly byteLength: number
  readonly mark: number
}

function mark(arena: ByteArena, byteLength: number, value: number): Piece {
  const address = arena.allocate(byteLength)
  const start = arena.offsetOf(address)
  arena.bytesOf(address).fill(value, start, start + byteLength)
  return { address, byteLength, mark: value }
}

function isWhole(arena: ByteArena, { address, byteLength, mark }: Piece): boolean {
  const start = arena.offsetOf(address)
  const bytes = arena.bytesOf(address).subarray(start, start + byteLength)
  return bytes.length === byteLength && bytes.every(byte => byte === mark)
}

test('pieces that come and go keep their bytes, at addresses of their own', () => {
  const Size = fc.oneof(fc.integer({ min: 4, max: 300 }), fc.integer({ min: 4, max: BYTES_MAX }))
  const Step = fc.record({ byteLength: Size, frees: fc.boolean(), which: fc.nat() })
  fc.assert(
    fc.property(fc.array(Step, { minLength: 50, maxLength: 200 }), steps => {
      const arena = new ByteArena()
      const pieces: Piece[] = []
      for (const [i, { byteLength, frees, which }] of steps.entries()) {
        if (frees && pieces.length > 0) {
          const [piece] = pieces.splice(which % pieces.length, 1)
          assert.ok(piece !== undefined && isWhole(arena, piece))
          arena.free(piece.address, piece.byteLength)
        } else pieces.push(mark(arena, byteLength, i % 256))
      }
      assert.ok(pieces.every(piece => piece.address > 0 && isWhole(arena, piece)))
      assert.equal(new Set(pieces.map(({ address }) => address)).size, pieces.length)
    }),
    { numRuns: 60 },
  )
})

test('the first words of a piece are its own', () => {
  const arena = new ByteArena()
  const address = arena.allocate(20)
  for (const index of [0, 1, 2, 3]) arena.setWord(address, index, 0xffff_fff0 + index)
  assert.deepEqual(
    [0, 1, 2, 3].map(index => arena.word(address, index)),
    [0xffff_fff0, 0xffff_fff1, 0xffff_fff2, 0xffff_fff3],
  )
})

test('who fills and empties it with one size after the other takes no more than once', () => {
  const arena = new ByteArena()
  let peak = 0
  for (let byteLength = 20; byteLength <= BYTES_MAX; byteLength += 500) {
    const count = Math.ceil((4 * CHUNK_BYTES) / byteLength)
    const pieces = Array.from({ length: count }, () => arena.allocate(byteLength))
    for (const address of pieces) arena.free(address, byteLength)
    if (peak === 0) peak = arena.byteLength
  }
  // Sizes are rounded up by an eighth, and the end of a chunk may have room for no further one.
  assert.ok(arena.byteLength <= peak + 2 * CHUNK_BYTES, `${arena.byteLength} after ${peak}`)
})

test('what was freed of a full chunk is used before another chunk is', () => {
  const arena = new ByteArena()
  const pieces: number[] = []
  while (arena.byteLength <= 2 * CHUNK_BYTES) pieces.push(arena.allocate(1024))
  const freed = new Set(pieces.filter((_address, i) => i % 3 === 0))
  for (const address of freed) arena.free(address, 1024)
  const before = arena.byteLength
  for (let i = 0; i < freed.size; i++) arena.allocate(1024)
  assert.equal(arena.byteLength, before)
})
