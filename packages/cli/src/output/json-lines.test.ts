// Messages as lines of JSON: nothing is lost on the way there and back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, type PublishPacket, type QoS } from '@godwit/packet'
import fc from 'fast-check'
import { fromJsonLine, LineError, toJsonLine } from './json-lines.ts'
import { lines } from './lines.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  text.map(value => Uint8Array.from(Buffer.from(value))),
)
const properties = fc.record(
  {
    payloadFormatIndicator: fc.constantFrom(0, 1),
    messageExpiryInterval: fc.nat(),
    contentType: text,
    responseTopic: fc.constantFrom('a', 'b/ä'),
    correlationData: fc.uint8Array({ maxLength: 20 }),
    userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
)

test('a message is the same after a line of JSON, whatever is in it', () => {
  fc.assert(
    fc.property(payload, properties, fc.boolean(), fc.nat(2), (bytes, given, retain, qos) => {
      const message: PublishPacket = {
        type: PacketType.PUBLISH,
        topic: 'tö/pic',
        payload: bytes,
        qos: qos as QoS,
        retain,
        dup: false,
        packetId: 1,
        properties: given,
      }
      const line = toJsonLine(message, 1_767_495_909_123.456)
      assert.ok(!line.includes('\n'))
      const back = fromJsonLine(line)
      assert.deepEqual(Buffer.from(back.payload), Buffer.from(bytes))
      assert.deepEqual(plain(back.properties), plain(given))
      assert.deepEqual(
        [back.topic, back.qos, back.retain, back.timeMs],
        ['tö/pic', qos, retain, 1_767_495_909_123.456],
      )
    }),
    { numRuns: 500 },
  )
})

/** Bytes of any kind as a list, so that they can be compared. */
function plain(value: object): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, each: unknown) => {
      const bytes = each as { readonly type?: string; readonly data?: number[] }
      if (bytes?.type === 'Buffer') return bytes.data
      return each instanceof Uint8Array ? [...each] : each
    }),
  )
}

test('a line may be as short as people write it', () => {
  assert.deepEqual(fromJsonLine('{}'), {
    topic: '',
    payload: new Uint8Array(0),
    qos: null,
    retain: null,
    properties: {},
    timeMs: null,
  })
  const { payload: bytes, properties: given } = fromJsonLine(
    '{"topic":"a","payload":{"t":21.5},"userProperties":{"a":"b"}}',
  )
  assert.equal(Buffer.from(bytes).toString(), '{"t":21.5}')
  assert.deepEqual(given.userProperties, [['a', 'b']])
})

const wrong: readonly (readonly [line: string, text: RegExp])[] = [
  ['{', /is not JSON/],
  ['[]', /is not a JSON object/],
  ['null', /is not a JSON object/],
  ['{"topic":1}', /topic 1/],
  ['{"topic":"a/#"}', /topic "a\/#"/],
  ['{"qos":3}', /qos is 0, 1 or 2/],
  ['{"retain":1}', /retain is true or false/],
  ['{"time":"now"}', /time is in milliseconds/],
  ['{"payloadBase64":"?"}', /payloadBase64 is not base64/],
  ['{"payloadBase64":1}', /payloadBase64 is not base64/],
  ['{"contentType":1}', /contentType is a string/],
  ['{"messageExpiryInterval":"1"}', /messageExpiryInterval is a number/],
  ['{"correlationData":1}', /correlationData is a string/],
  ['{"userProperties":[["a"]]}', /a list of pairs/],
  ['{"userProperties":{"a":1}}', /a list of pairs/],
]

for (const [line, expected] of wrong) {
  test(`${line} is no message`, () => {
    assert.throws(
      () => fromJsonLine(line),
      (error: unknown) => error instanceof LineError && expected.test(error.message),
    )
  })
}

test('lines are cut at newlines however the chunks come', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(9)), async (all, sizes) => {
      // Many newlines, so that empty lines come too.
      const bytes = Buffer.from(all.map(byte => (byte < 80 ? 0x0a : byte)))
      const chunks: Buffer[] = []
      let at = 0
      for (const size of sizes) {
        chunks.push(bytes.subarray(at, at + size))
        at += size
      }
      chunks.push(bytes.subarray(at))
      const got: string[] = []
      for await (const line of lines(from(chunks))) got.push(Buffer.from(line).toString('latin1'))
      const expected = bytes.toString('latin1').split('\n')
      if (expected.at(-1) === '') expected.pop()
      assert.deepEqual(got, expected)
    }),
    { numRuns: 300 },
  )
})

async function* from(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}
