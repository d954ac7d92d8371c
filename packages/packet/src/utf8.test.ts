// UTF-8 against the platform's own decoder, and at its borders.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { text } from './testing/arbitraries.ts'
import { bytesOf } from './testing/vectors.ts'
import { decodeUtf8, encodeUtf8, encodeUtf8Into, isWellFormedUtf8, utf8ByteLength } from './utf8.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const platform = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What the platform decodes, null when it refuses; MQTT refuses U+0000 as well. */
function expected(bytes: Uint8Array): string | null {
  try {
    const decoded = platform.decode(bytes)
    return decoded.includes('\0') ? null : decoded
  } catch {
    return null
  }
}

function actual(bytes: Uint8Array): string | null {
  try {
    return decodeUtf8(bytes, 0, bytes.length)
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'malformed-packet')
    return null
  }
}

function agree(bytes: Uint8Array): void {
  const decoded = expected(bytes)
  assert.equal(actual(bytes), decoded)
  assert.equal(isWellFormedUtf8(bytes, 0, bytes.length), decoded !== null)
}

test('text of any characters comes back [MQTT-1.5.4-1]', () => {
  fc.assert(
    fc.property(text, any => {
      const bytes = encodeUtf8(any)
      assert.deepEqual(bytes, new TextEncoder().encode(any))
      assert.equal(utf8ByteLength(any), bytes.length)
      agree(bytes)
    }),
    { numRuns: 1000 },
  )
})

test('any bytes are decoded as the platform decodes them [MQTT-1.5.4-1]', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), agree), { numRuns: 2000 })
})

test('bytes at the borders of UTF-8 are decoded as the platform decodes them', () => {
  const borders = [0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf]
  const leads = [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff]
  const byte = fc.constantFrom(...borders, ...leads, 0x61)
  const bytes = fc.array(byte, { maxLength: 20 }).map(some => Uint8Array.from(some))
  fc.assert(fc.property(bytes, agree), { numRuns: 5000 })
})

test('every character is encoded and decoded', () => {
  for (let point = 1; point <= 0x10ffff; point += point < 0x3000 ? 1 : 61) {
    if (point >= 0xd800 && point <= 0xdfff) continue
    const char = String.fromCodePoint(point)
    const bytes = encodeUtf8(char)
    assert.equal(bytes.length, Buffer.byteLength(char))
    assert.equal(decodeUtf8(bytes, 0, bytes.length), char)
  }
})

const refused = {
  'a continuation byte alone': '80',
  'a lead byte alone': 'c3',
  'two of three bytes': 'e2 82',
  'three of four bytes': 'f0 9f 98',
  'an overlong slash in two bytes': 'c0 af',
  'an overlong slash in three bytes': 'e0 80 af',
  'an overlong slash in four bytes': 'f0 80 80 af',
  'the overlong U+0000 of other formats': 'c0 80',
  'a high surrogate': 'ed a0 80',
  'a low surrogate': 'ed bf bf',
  'a surrogate pair in six bytes': 'ed a0 bd ed b8 80',
  'a character above U+10FFFF': 'f4 90 80 80',
  'a lead byte of five bytes': 'f8 88 80 80 80',
  'the byte FE': 'fe',
  'U+0000 [MQTT-1.5.4-2]': '61 00',
  'U+0000 within eight bytes of ASCII [MQTT-1.5.4-2]': '"abc" 00 "defgh"',
  'a lead byte that the end cuts off behind ASCII': '"abcdefgh" e2 82',
}
for (const [name, bytes] of Object.entries(refused)) {
  test(`${name} is refused`, () => {
    const wrong = bytesOf(bytes)
    assert.throws(() => decodeUtf8(wrong, 0, wrong.length), { code: 'malformed-packet' })
    assert.equal(isWellFormedUtf8(wrong, 0, wrong.length), false)
  })
}

const accepted = {
  nothing: '',
  'U+0001': '01',
  'U+007F': '7f',
  'U+0080': 'c2 80',
  'U+07FF': 'df bf',
  'U+0800': 'e0 a0 80',
  'U+D7FF, before the surrogates': 'ed 9f bf',
  'U+E000, behind the surrogates': 'ee 80 80',
  'U+FFFF': 'ef bf bf',
  'U+10000': 'f0 90 80 80',
  'U+10FFFF': 'f4 8f bf bf',
}
for (const [name, bytes] of Object.entries(accepted)) {
  test(`${name} is accepted`, () => agree(bytesOf(bytes)))
}

test('a byte order mark stays in the string [MQTT-1.5.4-3]', () => {
  assert.equal(decodeUtf8(bytesOf('ef bb bf "a"'), 0, 4), '\ufeffa')
})

test('bytes outside the range are not looked at', () => {
  const bytes = bytesOf('ff "abcdefghijk" ff')
  assert.equal(decodeUtf8(bytes, 1, 12), 'abcdefghijk')
  assert.equal(isWellFormedUtf8(bytes, 1, 12), true)
  const cut = bytesOf('e2 82 ac')
  assert.throws(() => decodeUtf8(cut, 0, 2), { code: 'malformed-packet' })
})

test('the longest strings do not exhaust the stack', () => {
  for (const char of ['a', 'ü', '€', '😀']) {
    const long = char.repeat(65_535)
    const bytes = encodeUtf8(long)
    assert.equal(decodeUtf8(bytes, 0, bytes.length), long)
  }
})

test('a payload may hold U+0000', () => {
  assert.equal(isWellFormedUtf8(bytesOf('61 00'), 0, 2, true), true)
  assert.equal(isWellFormedUtf8(bytesOf('00 80'), 0, 2, true), false)
  assert.deepEqual(encodeUtf8('\0'), Uint8Array.of(0))
})

test('a lone surrogate is not encoded', () => {
  for (const wrong of ['\ud800', 'a\udc00b', '\ud800\ud800', '\udbff', '\udc00\ud800']) {
    assert.throws(() => encodeUtf8(wrong), { code: 'invalid-packet' })
    assert.equal(utf8ByteLength(wrong), Buffer.byteLength(wrong))
  }
})

test('text is encoded in place', () => {
  const bytes = new Uint8Array(6)
  assert.equal(encodeUtf8Into('aü', bytes, 2), 3)
  assert.deepEqual(bytes, bytesOf('00 00 61 c3 bc 00'))
})
