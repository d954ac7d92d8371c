// Properties of the codec as a whole, on packets and bytes made at random.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ProtocolLevel } from './constants.ts'
import { describePacket } from './dump.ts'
import { encodePacket, packetByteLength } from './encoder.ts'
import { PacketError } from './errors.ts'
import type { Packet } from './packets.ts'
import { PublishView } from './publish-view.ts'
import { readPacket, type Sender } from './read-packet.ts'
import { packetFrom, publishFrom } from './testing/arbitraries.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const LEVELS = [3, 4, 5] as const
const SENDERS = ['client', 'server'] as const

/** Reads the one frame that `bytes` are. */
function decode(bytes: Uint8Array, level: ProtocolLevel, sender: Sender): Packet {
  const [first = 0] = bytes
  return readPacket(first, bytes, bodyStartOf(bytes), bytes.length, level, sender)
}

function bodyStartOf(bytes: Uint8Array): number {
  let at = 1
  while ((bytes[at] ?? 0) >= 128) at++
  return at + 1
}

function codeOf(action: () => unknown): string | null {
  try {
    action()
    return null
  } catch (error) {
    assert.ok(error instanceof PacketError, `${error}`)
    return error.code
  }
}

for (const level of LEVELS) {
  for (const sender of SENDERS) {
    const packets = packetFrom(sender, level)

    test(`what a ${sender} encodes at level ${level} is decoded as it was`, () => {
      fc.assert(
        fc.property(packets, packet => {
          const bytes = encodePacket(packet, level)
          assert.equal(packetByteLength(packet, level), bytes.length)
          assert.equal(bytes.buffer.byteLength, bytes.length)
          assert.deepEqual(decode(bytes, level, sender), packet)
        }),
        { numRuns: 500 },
      )
    })

    test(`a packet of a ${sender} at level ${level} is described on one printable line`, () => {
      fc.assert(
        fc.property(packets, packet => {
          assert.doesNotMatch(describePacket(packet), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
        }),
      )
    })

    test(`a spoiled packet of a ${sender} at level ${level} is refused or another one`, () => {
      const spoiled = fc.tuple(packets, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat())
      fc.assert(
        fc.property(spoiled, ([packet, place, mask, length]) => {
          const bytes = encodePacket(packet, level)
          const start = bodyStartOf(bytes)
          const end = start + (length % (bytes.length - start + 1))
          // The first byte or one of the body, and then the frame ends somewhere.
          const at = (start + (place % (bytes.length - start + 1))) % bytes.length
          bytes[at] = (bytes[at] ?? 0) ^ mask
          const [first = 0] = bytes
          codeOf(() => {
            const other = readPacket(
              first,
              bytes,
              start,
              Math.min(end, bytes.length),
              level,
              sender,
            )
            // What was accepted can be written and read again.
            const again = encodePacket(other, level)
            assert.deepEqual(decode(again, levelOf(other, level), sender), other)
          })
        }),
        { numRuns: 500 },
      )
    })
  }

  test(`any bytes at level ${level} are a packet or refused`, () => {
    const any = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40 }), fc.constantFrom(...SENDERS))
    fc.assert(
      fc.property(any, ([first, bytes, sender]) => {
        codeOf(() => readPacket(first, bytes, 0, bytes.length, level, sender))
      }),
      { numRuns: 2000 },
    )
  })

  test(`a view of a PUBLISH at level ${level} accepts what a client's packet may be`, () => {
    const any = fc.tuple(publishFrom('client', level), fc.nat(), fc.nat(1000))
    const view = new PublishView()
    fc.assert(
      fc.property(any, ([packet, place, mask]) => {
        const bytes = encodePacket(packet, level)
        const start = bodyStartOf(bytes)
        const at = start + (place % (bytes.length - start))
        // Every fourth packet or so is spoiled.
        if (mask < 256) bytes[at] = mask
        const [first = 0] = bytes
        const read = () => view.read(first, bytes, start, bytes.length, level)
        const code = codeOf(() => decode(bytes, level, 'client'))
        const viewed = codeOf(read)
        // The view leaves the topic to the broker, which makes a string of it.
        if (viewed === null && (code === 'topic-name-invalid' || code === 'malformed-packet')) {
          assert.ok(!isTopic(bytes.subarray(view.topicStart, view.topicEnd)))
        } else if (code !== 'topic-name-invalid') assert.equal(viewed, code)
      }),
      { numRuns: 2000 },
    )
  })
}

function isTopic(bytes: Uint8Array): boolean {
  try {
    return !/[+#\0]/.test(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return false
  }
}

function levelOf(packet: Packet, level: ProtocolLevel): ProtocolLevel {
  return packet.type === 1 ? packet.protocolLevel : level
}
