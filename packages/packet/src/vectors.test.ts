// Every vector four ways: decoded, encoded, there and back, and cut at every byte.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder } from './decoder.ts'
import { encodePacket, packetByteLength, writePacket } from './encoder.ts'
import { PacketError } from './errors.ts'
import type { Packet } from './packets.ts'
import { readPacket } from './read-packet.ts'
import type { BadVector, Vector } from './testing/vectors.ts'
import {
  badConnackVectors,
  badConnectVectors,
  connackVectors,
  connectVectors,
} from './testing/vectors-connect.ts'
import {
  badControlVectors,
  badSubscribeVectors,
  controlVectors,
  subscribeVectors,
} from './testing/vectors-others.ts'
import {
  ackVectors,
  badAckVectors,
  badPublishVectors,
  publishVectors,
} from './testing/vectors-publish.ts'
import { Writer } from './writer.ts'

const vectors: readonly Vector[] = [
  ...connectVectors,
  ...connackVectors,
  ...publishVectors,
  ...ackVectors,
  ...subscribeVectors,
  ...controlVectors,
]
const badVectors: readonly BadVector[] = [
  ...badConnectVectors,
  ...badConnackVectors,
  ...badPublishVectors,
  ...badAckVectors,
  ...badSubscribeVectors,
  ...badControlVectors,
]

type Framed = Pick<Vector, 'level' | 'sender'>

/** The packets of a stream that arrives in these chunks. */
function decode({ level, sender }: Framed, ...chunks: readonly Uint8Array[]): Packet[] {
  const decoder = new Decoder(1_000_000)
  const packets: Packet[] = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    while (decoder.next()) {
      const { first, bytes, bodyStart, end } = decoder
      packets.push(readPacket(first, bytes, bodyStart, end, level, sender))
    }
  }
  assert.equal(decoder.pendingBytes, 0)
  return packets
}

for (const vector of vectors) {
  const { name, level, bytes, packet, canonical } = vector

  test(`${name} is decoded`, () => {
    assert.deepEqual(decode(vector, bytes), [packet])
  })

  test(`${name} is encoded`, () => {
    assert.deepEqual(encodePacket(packet, level), canonical)
    assert.equal(packetByteLength(packet, level), canonical.length)
    const writer = new Writer(1)
    writePacket(writer, packet, level)
    writePacket(writer, packet, level)
    assert.deepEqual(writer.finish(), Uint8Array.from([...canonical, ...canonical]))
  })

  test(`${name} comes back as it was encoded`, () => {
    assert.deepEqual(decode(vector, encodePacket(packet, level)), [packet])
  })

  test(`${name} is decoded wherever the stream is cut`, () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      assert.deepEqual(decode(vector, bytes.subarray(0, cut), bytes.subarray(cut)), [packet])
    }
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
    assert.deepEqual(decode(vector, ...single), [packet])
    const twice = Uint8Array.from([...bytes, ...bytes])
    assert.deepEqual(decode(vector, twice), [packet, packet])
  })

  test(`${name} without its last bytes is refused or another packet, and never a crash`, () => {
    const { first, bodyStart, end } = frameOf(canonical)
    for (let cut = bodyStart; cut < end; cut++) {
      try {
        const shorter = readPacket(first, canonical, bodyStart, cut, level, vector.sender)
        assert.notDeepEqual(shorter, packet)
      } catch (error) {
        assert.ok(error instanceof PacketError, `${cut}: ${error}`)
        assert.ok(['malformed-packet', 'protocol-error'].includes(error.code))
      }
    }
  })
}

for (const vector of badVectors) {
  const { name, level, sender, bytes, code, reasonCode } = vector

  test(`${name} is refused`, () => {
    const { first, bodyStart, end } = frameOf(bytes)
    assert.throws(() => readPacket(first, bytes, bodyStart, end, level, sender), {
      name: 'PacketError',
      code,
      reasonCode,
    })
  })
}

/** Where the parts of a frame are, and a check that it is one. */
function frameOf(bytes: Uint8Array): Decoder {
  const decoder = new Decoder(1_000_000)
  decoder.push(bytes)
  assert.ok(decoder.next())
  assert.equal(decoder.end, bytes.length)
  return decoder
}

test('there are at least as many malformed vectors as well-formed ones', () => {
  assert.ok(badVectors.length >= vectors.length)
})

test('a failed write leaves what was written before', () => {
  const writer = new Writer()
  writePacket(writer, { type: 12 }, 4)
  const packet = connectVectors[0]?.packet
  assert.ok(packet?.type === 1)
  assert.throws(() => writePacket(writer, { ...packet, username: '\0' }, 4), {
    code: 'invalid-packet',
  })
  assert.deepEqual(writer.finish(), Uint8Array.of(0xc0, 0))
})
