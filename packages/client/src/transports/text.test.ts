// Texts of payloads as Node's Buffer decodes them, against the platform's own decoder.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bufferText } from './text.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const decoder = new TextDecoder()

function assertSame(bytes: Uint8Array, start: number, end: number): void {
  const part = bytes.subarray(start, end)
  assert.equal(bufferText(bytes, start, end), decoder.decode(part), `[${part}]`)
}

test('a text is what TextDecoder makes of it, well-formed or not', () => {
  const parts = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }).map(text => new TextEncoder().encode(text)),
  )
  fc.assert(
    fc.property(parts, parts, parts, (before, bytes, after) => {
      const all = Uint8Array.from([...before, ...bytes, ...after])
      assertSame(all, before.length, before.length + bytes.length)
      // Cut where it may be in the midst of a character.
      assertSame(all, before.length >> 1, before.length + (bytes.length >> 1))
    }),
  )
})

test('a byte order mark is left out when it is first and whole', () => {
  const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf)
  for (let start = 0; start <= bytes.length; start++) {
    for (let end = start; end <= bytes.length; end++) assertSame(bytes, start, end)
  }
  assert.equal(bufferText(bytes, 0, 4), 'a')
})

test('arrays that follow one another are not taken for each other, however large', () => {
  for (const length of [10, 65_536, 65_537, 10, 200_000]) {
    const memory = new ArrayBuffer(length + 3)
    for (const letter of ['a', 'b']) {
      const bytes = new Uint8Array(memory, 3).fill(letter.charCodeAt(0))
      assert.equal(bufferText(bytes, 0, length), letter.repeat(length))
    }
  }
})
