// Runs of frames that begin alike, as long as a plain comparison of the frames says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RunDecoder } from './run-decoder.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const PACKET_BYTES_MAX = 1000

function frame(first: number, prefix: Uint8Array, payloadLength: number): Buffer {
  const length = prefix.length + payloadLength
  const header = length < 128 ? [first, length] : [first, (length & 127) | 128, length >> 7]
  return Buffer.concat([Uint8Array.from(header), prefix, Buffer.alloc(payloadLength, 7)])
}

/** In the middle of a buffer, as what comes from a socket may be. */
function chunkOf(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.concat([Buffer.alloc(3), ...frames])
  return new Uint8Array(bytes.buffer, bytes.byteOffset + 3, bytes.length - 3)
}

function runOf(chunk: Uint8Array, prefixLength: number, packetBytesMax: number): RunDecoder {
  const decoder = new RunDecoder(PACKET_BYTES_MAX)
  decoder.push(chunk)
  assert.equal(decoder.next(), true)
  decoder.extendRun(prefixLength, packetBytesMax)
  return decoder
}

for (const prefixLength of [0, 1, 3, 4, 5, 8, 13]) {
  test(`a run ends before a frame that differs in any of ${prefixLength} bytes`, () => {
    const prefix = Uint8Array.from({ length: prefixLength }, (_, i) => i + 1)
    for (const runLength of [1, 2, 4, 5, 6, 20]) {
      const run = Array.from({ length: runLength }, (_, i) => frame(0x30, prefix, i % 5))
      const end = Buffer.concat(run).length
      for (let at = 0; at < prefixLength; at++) {
        const other = prefix.with(at, 200)
        const decoder = runOf(chunkOf([...run, frame(0x30, other, 3)]), prefixLength, 100)
        assert.deepEqual([decoder.start, decoder.end], [0, end], `byte ${at} after ${runLength}`)
        assert.equal(decoder.next(), true)
        assert.equal(decoder.start, end)
      }
      assert.equal(runOf(chunkOf([...run, frame(0x31, prefix, 3)]), prefixLength, 100).end, end)
      assert.equal(runOf(chunkOf([...run, frame(0x30, prefix, 98)]), prefixLength, 99).end, end)
      const cut = frame(0x30, prefix, 9).subarray(0, -1)
      assert.equal(runOf(chunkOf([...run, cut]), prefixLength, 100).end, end)
    }
  })
}

test('a run is as long as a comparison frame by frame says', () => {
  const part = fc.record({
    first: fc.constantFrom(0x30, 0x30, 0x30, 0x31),
    prefix: fc.constantFrom('same topic', 'same topic', 'same topic', 'same topik', 'some topic'),
    payloadLength: fc.constantFrom(0, 1, 60, 120, 200, 300),
    repeats: fc.integer({ min: 1, max: 12 }),
  })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(400), (parts, limit) => {
      const frames = parts.flatMap(({ first, prefix, payloadLength, repeats }) =>
        Array.from({ length: repeats }, () => frame(first, Buffer.from(prefix), payloadLength)),
      )
      const chunk = chunkOf(frames)
      const decoder = new RunDecoder(PACKET_BYTES_MAX)
      decoder.push(chunk)
      let at = 0
      for (let i = 0; i < frames.length; ) {
        assert.equal(decoder.next(), true)
        const count = decoder.extendRun('same topic'.length, limit)
        const run = frames.slice(i, i + count)
        assert.deepEqual([decoder.start, decoder.end], [at, at + Buffer.concat(run).length])
        const [head] = run
        const begins = (each: Buffer) => beginOf(each) === beginOf(head ?? each)
        assert.ok(run.every(begins))
        const next = frames[i + count]
        if (next !== undefined) assert.ok(!begins(next) || next.length > limit)
        i += count
        at = decoder.end
      }
      assert.equal(decoder.next(), false)
    }),
    { numRuns: 300 },
  )
})

/** First byte and topic. */
function beginOf(bytes: Buffer): string {
  const headerLength = (bytes[1] ?? 0) > 127 ? 3 : 2
  return `${bytes[0]} ${bytes.toString('latin1', headerLength, headerLength + 10)}`
}
