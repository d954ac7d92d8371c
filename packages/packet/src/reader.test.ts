// The reader and the writer: every data type of section 1.5, there and back and at its limits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Reader } from './reader.ts'
import { text } from './testing/arbitraries.ts'
import { bytesOf } from './testing/vectors.ts'
import { variableIntegerByteLength, Writer } from './writer.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

function readerOf(hex: string): Reader {
  const reader = new Reader()
  const bytes = bytesOf(hex)
  reader.reset(bytes, 0, bytes.length)
  return reader
}

test('numbers are big-endian and unsigned', () => {
  assert.equal(readerOf('ff').uint8(), 255)
  assert.equal(readerOf('01 02').uint16(), 258)
  assert.equal(readerOf('ff ff').uint16(), 65_535)
  assert.equal(readerOf('01 02 03 04').uint32(), 0x01020304)
  assert.equal(readerOf('ff ff ff ff').uint32(), 4_294_967_295)
  assert.equal(readerOf('80 00 00 00').uint32(), 2_147_483_648)
})

const integers: readonly (readonly [value: number, hex: string])[] = [
  [0, '00'],
  [127, '7f'],
  [128, '80 01'],
  [16_383, 'ff 7f'],
  [16_384, '80 80 01'],
  [2_097_151, 'ff ff 7f'],
  [2_097_152, '80 80 80 01'],
  [268_435_455, 'ff ff ff 7f'],
]
for (const [value, hex] of integers) {
  test(`the variable byte integer ${value} is ${hex}`, () => {
    assert.equal(readerOf(hex).variableInteger(), value)
    const writer = new Writer()
    writer.variableInteger(value)
    assert.deepEqual(writer.finish(), bytesOf(hex))
    assert.equal(variableIntegerByteLength(value), writer.length)
  })
}

for (const hex of ['80 00', 'ff 00', '80 80 00', '81 80 80 00']) {
  test(`${hex} is longer than it needs to be [MQTT-1.5.5-1]`, () => {
    assert.throws(() => readerOf(hex).variableInteger(), { code: 'malformed-packet' })
  })
}

test('a variable byte integer of five bytes is refused', () => {
  assert.throws(() => readerOf('80 80 80 80 01').variableInteger(), { code: 'malformed-packet' })
  assert.throws(() => readerOf('ff ff ff ff 7f').variableInteger(), { code: 'malformed-packet' })
})

test('no read goes past the end, even when the buffer goes on', () => {
  const reads: ((reader: Reader) => unknown)[] = [
    reader => reader.uint16(),
    reader => reader.uint32(),
    reader => reader.variableInteger(),
    reader => reader.string(),
    reader => reader.binary(),
    reader => reader.take(2),
  ]
  for (const read of reads) {
    const reader = new Reader()
    reader.reset(bytesOf('80 80 01 00 00'), 0, 1)
    assert.throws(() => read(reader), { code: 'malformed-packet', reasonCode: 0x81 })
  }
  assert.throws(() => readerOf('').uint8(), { code: 'malformed-packet' })
  assert.throws(() => readerOf('00 03 "ab"').string(), { code: 'malformed-packet' })
  assert.throws(() => readerOf('00 03 "ab"').binary(), { code: 'malformed-packet' })
})

test('binary data and the rest are views on the input', () => {
  const reader = readerOf('00 02 01 02 03 04')
  const binary = reader.binary()
  const rest = reader.rest()
  assert.deepEqual([...binary, ...rest], [1, 2, 3, 4])
  assert.equal(binary.buffer, reader.bytes.buffer)
  assert.equal(rest.buffer, reader.bytes.buffer)
  reader.finish()
})

test('bytes behind the last field are refused', () => {
  const reader = readerOf('01 02')
  reader.uint8()
  assert.throws(() => reader.finish(), { code: 'malformed-packet' })
})

test('what is written in a row is read in a row, however small the buffer was', () => {
  const fields = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('uint8' as const), value: fc.nat(0xff) }),
      fc.record({ kind: fc.constant('uint16' as const), value: fc.nat(0xffff) }),
      fc.record({ kind: fc.constant('uint32' as const), value: fc.nat(0xffff_ffff) }),
      fc.record({ kind: fc.constant('variableInteger' as const), value: fc.nat(268_435_455) }),
      fc.record({ kind: fc.constant('string' as const), value: text }),
      fc.record({ kind: fc.constant('binary' as const), value: fc.uint8Array() }),
    ),
  )
  fc.assert(
    fc.property(fields, some => {
      const writer = new Writer(0)
      for (const { kind, value } of some) {
        if (kind === 'string') writer.string(value, 'a string')
        else if (kind === 'binary') writer.binary(value, 'bytes')
        else writer[kind](value)
      }
      const bytes = writer.finish()
      const reader = new Reader()
      reader.reset(bytes, 0, bytes.length)
      for (const { kind, value } of some) assert.deepEqual(reader[kind](), value)
      reader.finish()
    }),
  )
})

test('a length is filled in where it was left open, of any size', () => {
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const writer = new Writer()
    writer.uint8(0xaa)
    const mark = writer.open()
    writer.raw(new Uint8Array(size).fill(7), 'bytes')
    writer.close(mark)
    writer.uint8(0xbb)
    const reader = new Reader()
    reader.reset(writer.bytes, 1, writer.length)
    assert.equal(reader.variableInteger(), size)
    assert.equal(
      reader.rest().findIndex(byte => byte !== 7),
      size,
    )
    assert.equal(writer.bytes[writer.length - 1], 0xbb)
  }
})

test('lengths can be left open within one another', () => {
  const writer = new Writer(1)
  const outer = writer.open()
  const inner = writer.open()
  writer.raw(new Uint8Array(200), 'bytes')
  writer.close(inner)
  writer.close(outer)
  assert.deepEqual(writer.finish().subarray(0, 5), bytesOf('ca 01 c8 01 00'))
  assert.equal(writer.length, 204)
})

test('a writer is used again after reset and its copy stays', () => {
  const writer = new Writer()
  writer.uint8(1)
  const copy = writer.finish()
  writer.reset()
  writer.uint8(2)
  assert.deepEqual(copy, Uint8Array.of(1))
  assert.deepEqual(writer.finish(), Uint8Array.of(2))
})

test('strings and binary data of 65,535 bytes are written, one byte more is refused', () => {
  const writer = new Writer()
  writer.string('a'.repeat(65_535), 'a name')
  writer.binary(new Uint8Array(65_535), 'a key')
  assert.equal(writer.length, 2 * 65_537)
  const message = /^expected a name with a length from 0 to 65535, got 65536$/
  assert.throws(() => writer.string('a'.repeat(65_536), 'a name'), { message })
  assert.throws(() => writer.string('ü'.repeat(32_768), 'a name'), { message })
  assert.throws(() => writer.binary(new Uint8Array(65_536), 'a key'), { code: 'invalid-packet' })
})

test('strings that MQTT cannot carry are refused [MQTT-1.5.4-1] [MQTT-1.5.4-2]', () => {
  const writer = new Writer()
  for (const wrong of ['a\0', '\ud800', 'a\udc00']) {
    assert.throws(() => writer.string(wrong, 'a name'), { code: 'invalid-packet' })
  }
})

test('a variable byte integer that needs five bytes is refused', () => {
  for (const wrong of [268_435_456, -1, 0.5, Number.NaN]) {
    assert.throws(() => new Writer().variableInteger(wrong), { code: 'invalid-packet' })
  }
})
