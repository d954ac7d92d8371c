// Frames of RFC 6455: what a client writes, what it reads however it is cut, what it refuses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloseStatus, encodeFrame, FrameError, FrameReader, Opcode } from './websocket-frames.ts'

interface Read {
  readonly data: number[]
  readonly controls: [number, number[]][]
  readonly reader: FrameReader
}

function reading(): Read {
  const data: number[] = []
  const controls: [number, number[]][] = []
  const reader = new FrameReader({
    data: bytes => data.push(...bytes),
    control: (opcode, payload) => controls.push([opcode, [...payload]]),
  })
  return { data, controls, reader }
}

/** An unmasked frame, as a server writes it. */
function frame(first: number, payload: readonly number[]): number[] {
  const { length } = payload
  if (length < 126) return [first, length, ...payload]
  if (length < 65_536) return [first, 126, length >> 8, length & 0xff, ...payload]
  const bytes = [24, 16, 8, 0].map(shift => (length >>> shift) & 0xff)
  return [first, 127, 0, 0, 0, 0, ...bytes, ...payload]
}

const BINARY = 0x82
const BINARY_FIRST = 0x02
const CONTINUED = 0x00
const CONTINUED_LAST = 0x80
const PING = 0x89
const PONG = 0x8a
const CLOSE = 0x88

test('data of several frames and messages is one stream [MQTT-6.0.0-2] [MQTT-6.0.0-2 v3]', () => {
  const wire = [
    ...frame(BINARY, [1, 2]),
    ...frame(BINARY_FIRST, [3]),
    ...frame(CONTINUED, [4]),
    // A control frame may come between.
    ...frame(PING, [9, 9]),
    ...frame(CONTINUED, []),
    ...frame(CONTINUED_LAST, [5]),
    ...frame(PONG, []),
    ...frame(BINARY, []),
    ...frame(BINARY, [6]),
  ]
  const expected = [1, 2, 3, 4, 5, 6]
  const controls = [
    [Opcode.PING, [9, 9]],
    [Opcode.PONG, []],
  ]
  for (let size = 1; size <= wire.length; size++) {
    const read = reading()
    for (let at = 0; at < wire.length; at += size) {
      read.reader.push(Uint8Array.from(wire.slice(at, at + size)))
    }
    assert.deepEqual(read.data, expected, `chunks of ${size}`)
    assert.deepEqual(read.controls, controls, `chunks of ${size}`)
  }
})

for (const length of [0, 125, 126, 65_535, 65_536, 200_000]) {
  test(`a frame of ${length} bytes is read, whole and cut`, () => {
    const payload = Array.from({ length }, (_, i) => i & 0xff)
    for (const size of [1, 7, 1_000_000]) {
      const { reader } = reading()
      let sum = 0
      const read = new FrameReader({
        data: bytes => {
          sum += bytes.length
        },
        control: () => assert.fail('no control frame'),
      })
      const wire = Uint8Array.from(frame(BINARY, payload))
      for (let at = 0; at < wire.length; at += size) read.push(wire.subarray(at, at + size))
      assert.equal(sum, length)
      assert.equal(reader.stopped, false)
    }
  })

  test(`a frame of ${length} bytes is written masked, and is what it was when unmasked`, () => {
    const payload = Uint8Array.from({ length }, (_, i) => i * 7)
    const mask = Uint8Array.of(1, 2, 3, 250)
    const bytes = encodeFrame(Opcode.BINARY, payload, mask)
    assert.equal(bytes[0], BINARY)
    assert.ok(((bytes[1] ?? 0) & 0x80) !== 0)
    const header = length < 126 ? 2 : length < 65_536 ? 4 : 10
    assert.deepEqual(bytes.subarray(header, header + 4), mask)
    const unmasked = bytes.subarray(header + 4).map((byte, i) => byte ^ (mask[i & 3] ?? 0))
    assert.deepEqual(unmasked, payload)
    const plain = frame(BINARY, [...payload])
    plain[1] = (plain[1] ?? 0) | 0x80
    assert.deepEqual([...bytes.subarray(0, header)], plain.slice(0, header))
  })
}

const Wrong: readonly (readonly [string, number[], number])[] = [
  // [MQTT-6.0.0-1]
  ['a text frame', frame(0x81, [65]), CloseStatus.UNSUPPORTED_DATA],
  ['a reserved bit', frame(0xc2, [1]), CloseStatus.PROTOCOL_ERROR],
  ['a masked frame from the server', [BINARY, 0x81, 0, 0, 0, 0, 1], CloseStatus.PROTOCOL_ERROR],
  ['an opcode that nobody knows', frame(0x83, [1]), CloseStatus.PROTOCOL_ERROR],
  ['a control opcode that nobody knows', frame(0x8b, []), CloseStatus.PROTOCOL_ERROR],
  ['a continuation of nothing', frame(CONTINUED_LAST, [1]), CloseStatus.PROTOCOL_ERROR],
  [
    'a message within another',
    [...frame(BINARY_FIRST, [1]), ...frame(BINARY, [2])],
    CloseStatus.PROTOCOL_ERROR,
  ],
  ['a ping in fragments', frame(0x09, [1]), CloseStatus.PROTOCOL_ERROR],
  ['a ping of 126 bytes', frame(PING, new Array(126).fill(0)), CloseStatus.PROTOCOL_ERROR],
  ['a close of one byte', frame(CLOSE, [3]), CloseStatus.PROTOCOL_ERROR],
  ['a length that is longer than needed', [BINARY, 126, 0, 1, 1], CloseStatus.PROTOCOL_ERROR],
  [
    'a length of 64 bits that is longer than needed',
    [BINARY, 127, 0, 0, 0, 0, 0, 0, 0, 1, 1],
    CloseStatus.PROTOCOL_ERROR,
  ],
  [
    'a length that no number holds',
    [BINARY, 127, 255, 255, 255, 255, 255, 255, 255, 255],
    CloseStatus.PROTOCOL_ERROR,
  ],
]

for (const [name, wire, status] of Wrong) {
  test(`${name} is refused with status ${status}`, () => {
    const isWrong = (error: unknown): boolean => {
      return error instanceof FrameError && error.status === status
    }
    assert.throws(() => reading().reader.push(Uint8Array.from(wire)), isWrong)
    assert.throws(() => {
      const { reader } = reading()
      for (const byte of wire) reader.push(Uint8Array.of(byte))
    }, isWrong)
  })
}

test('a ping of 125 bytes is taken', () => {
  const { reader, controls } = reading()
  reader.push(Uint8Array.from(frame(PING, new Array(125).fill(1))))
  assert.equal(controls[0]?.[1].length, 125)
})

test('nothing is read after a close frame', () => {
  const { reader, controls, data } = reading()
  reader.push(Uint8Array.from([...frame(CLOSE, [3, 232]), ...frame(BINARY, [1])]))
  reader.push(Uint8Array.from(frame(BINARY, [2])))
  assert.deepEqual(controls, [[Opcode.CLOSE, [3, 232]]])
  assert.deepEqual(data, [])
})

test('a frame that announces a terabyte costs nothing before its bytes come', () => {
  const { reader, data } = reading()
  reader.push(Uint8Array.of(BINARY, 127, 0, 0, 1, 0, 0, 0, 0, 0))
  reader.push(Uint8Array.of(1, 2, 3))
  assert.deepEqual(data, [1, 2, 3])
})
