// Section 4.13 of MQTT 5.0 and 4.8 of MQTT 3.1.1: what is malformed or out of order ends the
// connection. And a few steps of MQTT 3.1, which only differs in CONNECT and SUBACK.

import { PacketType } from '@godwit/packet'
import { field, frame, uint16 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check, Mismatch } from '../outcome.ts'
import { ack } from '../packets.ts'
import type { Probe } from '../probe.ts'

const FAILURE = 0x80

/** Each on a connection of its own. */
async function breaksAll(probe: Probe, wrong: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [what, bytes] of Object.entries(wrong)) {
    try {
      const code = (await probe.breaks(bytes))?.reasonCode ?? FAILURE
      check(code >= FAILURE, `DISCONNECT has ${code}`)
    } catch (error) {
      if (error instanceof Mismatch) throw new Mismatch(`${what}: ${error.message}`)
      throw error
    }
  }
}

export const ERRORS: readonly Case[] = [
  ...cases(
    { v5: '4.13.1-1' },
    'packets that are malformed: reserved type 0, a remaining length of five bytes, a topic that ' +
      'is longer than the packet, an unknown property, a property of another packet, ' +
      'SUBSCRIBE that ends in the middle',
    'each ends the connection',
    async probe => {
      const topic = field(probe.topic('x'))
      await breaksAll(probe, {
        'type 0': frame(0x00),
        'five bytes of length': Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01),
        'a long topic': frame(0x30, [0, 200, 0x61]),
        'an unknown property': frame(0x30, topic, [2, 0x7f, 0]),
        'a property of CONNECT': frame(0x30, topic, [3, 0x21, 0, 1]),
        'half a SUBSCRIBE': frame(0x82, uint16(1), 0, [0, 9, 0x61]),
      })
    },
  ),
  ...cases(
    { v5: '4.13.1-1' },
    'protocol errors: SUBSCRIBE and UNSUBSCRIBE without a filter, a property twice, an empty ' +
      'topic without alias, Subscription Identifier 0, CONNACK',
    'each ends the connection',
    async probe => {
      const topic = field(probe.topic('x'))
      await breaksAll(probe, {
        'SUBSCRIBE without a filter': frame(0x82, uint16(1), 0),
        'UNSUBSCRIBE without a filter': frame(0xa2, uint16(1), 0),
        'a property twice': frame(0x30, topic, [4, 0x01, 0, 0x01, 0]),
        'no topic': frame(0x30, field(''), 0),
        'an identifier of 0': frame(0x82, uint16(1), [2, 0x0b, 0], topic, 0),
        CONNACK: frame(0x20, [0, 0, 0]),
      })
    },
  ),
  ...cases(
    { v5: '4.13.1-1' },
    'CONNECTs with a Receive Maximum of 0, a Maximum Packet Size of 0, Session Expiry twice',
    'none is let in',
    async probe => {
      const head = [...field('MQTT'), 5, 2, ...uint16(0)]
      const expiry = [0x11, 0, 0, 0, 1]
      for (const properties of [
        [0x21, 0, 0],
        [0x27, 0, 0, 0, 0],
        [...expiry, ...expiry],
      ]) {
        const rest = [properties.length, ...properties, ...field(probe.id())]
        await probe.refused(frame(0x10, head, rest))
      }
    },
  ),
  ...cases(
    { v5: '4.13.1-1' },
    'DISCONNECT with a Session Expiry Interval, where CONNECT had 0',
    'it is a protocol error: DISCONNECT 0x82, or nothing, then the end',
    async probe => {
      await breaksAll(probe, { DISCONNECT: frame(0xe0, 0, [5, 0x11, 0, 0, 0, 9]) })
    },
  ),
  ...cases(
    { v3: '4.8.0-1' },
    'packets that violate the protocol: reserved types 0 and 15, a remaining length of five ' +
      'bytes, a topic that is longer than the packet, SUBSCRIBE and UNSUBSCRIBE without filter, ' +
      'CONNACK',
    'each ends the connection',
    async probe => {
      await breaksAll(probe, {
        'type 0': frame(0x00),
        'type 15': frame(0xf0),
        'five bytes of length': Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01),
        'a long topic': frame(0x30, [0, 200, 0x61]),
        'half a SUBSCRIBE': frame(0x82, uint16(1), [0, 9, 0x61]),
        'SUBSCRIBE without a filter': frame(0x82, uint16(1)),
        'UNSUBSCRIBE without a filter': frame(0xa2, uint16(1)),
        CONNACK: frame(0x20, [0, 0]),
      })
    },
  ),
  ...cases(
    { v3: '7.0.0-2' },
    'a session that needs nothing but the standard: CONNECT, SUBSCRIBE, PUBLISH, UNSUBSCRIBE',
    'all are answered',
    async probe => {
      const topic = probe.topic('plain')
      const client = await probe.connect()
      await client.subscribe({ filter: topic, qos: 1 })
      await client.publish(topic, 'x', { qos: 1 })
      client.send(ack(PacketType.PUBACK, (await client.message('x')).packetId))
      await client.unsubscribe(topic)
      await client.leave()
    },
  ),
]
