// What -F has that Debian's mosquitto_sub, against which it is compared elsewhere, has not:
// Mosquitto 2.1's separators, numbers and widths of hexadecimal. And the times, with a clock that
// stands.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { PacketType, type PublishPacket } from '@godwit/packet'
import { checkFormat, formatter } from './format.ts'
import { momentAt } from './moment.ts'
import { strftime } from './strftime.ts'

const AT_MS = Date.UTC(2026, 0, 4, 3, 5, 9, 123)

function message(payload: Uint8Array | string, more: Partial<PublishPacket> = {}): PublishPacket {
  return {
    type: PacketType.PUBLISH,
    topic: 'a/b',
    payload: Buffer.from(payload),
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: {},
    ...more,
  }
}

function format(text: string, of: PublishPacket, warn: (text: string) => void = () => undefined) {
  return formatter(text, { pretty: false, warn, now: () => momentAt(AT_MS) })(of)
}

const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all)

test('hexadecimal has a separator every so many digits', () => {
  const of = message(bytes(0, 0xab, 0xcd))
  assert.equal(format('%.2:x', of), '00:ab:cd')
  assert.equal(format('%.2X', of), '00 AB CD')
  assert.equal(format('%.4-x', of), '00ab-cd')
  assert.equal(format('%.1/x', message(bytes(0x12))), '1/2')
  assert.equal(format('%.2:x|', message('')), '|')
})

test('a width of hexadecimal pads, and cuts bytes', () => {
  assert.equal(format('%8x|', message(bytes(1, 2))), '    0102|')
  assert.equal(format('%08x|', message(bytes(1, 2))), '00000102|')
  assert.equal(format('%-8x|', message(bytes(1, 2))), '0102    |')
  assert.equal(format('%2x|', message(bytes(1, 2, 3))), '0102|')
})

test('floats and doubles are read from the payload', () => {
  const float = Buffer.alloc(4)
  float.writeFloatLE(-1.5)
  const double = Buffer.alloc(8)
  double.writeDoubleLE(Math.PI)
  assert.equal(
    format('%f %.2f %10.1f|%-8.0f|%09.2f', message(float)),
    ['-1.500000', '-1.50', '      -1.5|-2      |-00001.50'].join(' '),
  )
  assert.equal(format('%d %.10d', message(double)), '3.141593 3.1415926536')
  double.writeDoubleLE(1e22)
  assert.equal(format('%.1d', message(double)), '10000000000000000000000.0')
  double.writeDoubleLE(Number.NEGATIVE_INFINITY)
  assert.equal(format('%d %06d', message(double)), '-inf   -inf')
})

test('a payload that is no float is said to be none', () => {
  const said: string[] = []
  assert.equal(
    format('%f.%d', message('abc'), text => said.push(text)),
    '.',
  )
  assert.equal(said.length, 2)
  assert.match(said[0] ?? '', /non-float data received/)
})

test('%J of what is no JSON prints nothing and says so', () => {
  const said: string[] = []
  const of = message('{"a":')
  assert.equal(
    format('[%J]', of, text => said.push(text)),
    '[]',
  )
  assert.deepEqual(said, ['Error: Message payload is not valid JSON on topic a/b.'])
  assert.equal(format('[%J]', message(bytes(0x22, 0xff, 0x22))), '[]', 'not UTF-8')
})

test('times agree within a message', () => {
  const zone = strftime('z', new Date(AT_MS))
  const local = `${strftime('F', new Date(AT_MS))}T${strftime('T', new Date(AT_MS))}`
  const of = message('x')
  assert.equal(format('%I @N %U', of), `${local}${zone} 123000000 1767495909.123000000`)
  assert.match(format('%j', of), new RegExp(`"tst":"${local}.123000\\${zone}"`))
})

for (const wrong of ['%', '%-', '%05', '%.', '%.2', '%y', 'a@', '\\', '\\x', '%.2:']) {
  test(`${wrong} is no format`, () => {
    assert.throws(() => checkFormat(wrong), /specifier/)
  })
}

test('strftime prints what date prints', () => {
  const letters = [...'aAbBCdDeFgGhHIjklmMnpPrRsStTuUVwWyYzZ%']
  const days = Array.from({ length: 40 }, (_, i) => Date.UTC(2023, 11, 25) / 1000 + i * 3_456_789)
  const pattern = letters.map(letter => `%${letter}`).join('|')
  const env = { ...process.env, TZ: 'UTC', LC_ALL: 'C' }
  const before = process.env['TZ']
  process.env['TZ'] = 'UTC'
  try {
    for (const seconds of days) {
      const run = spawnSync('date', ['-d', `@${seconds}`, `+${pattern}`], { env, encoding: 'utf8' })
      const ours = letters.map(letter => strftime(letter, new Date(seconds * 1000))).join('|')
      assert.equal(ours, run.stdout.replace(/\n$/, ''))
    }
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, 'TZ')
    else process.env['TZ'] = before
  }
})
