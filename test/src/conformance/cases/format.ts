// Chapters 1 and 2: data types, fixed header, packet identifiers, properties.

import { encodePacket as encode, PacketType } from '@godwit/packet'
import { field, frame, textOf, uint16 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { publish, subscribe, unsubscribe, willOf } from '../packets.ts'
import type { Probe } from '../probe.ts'

const SURROGATE = [0xed, 0xa0, 0x80]
const OVERLONG = [0xc0, 0xaf]
const CUT_SHORT = [0xe2, 0x82]
const WINDOW = 16

/** PUBLISH of QoS 0 to a topic of these bytes. */
function publishTo(probe: Probe, topic: readonly number[], properties: number[] = []): Uint8Array {
  const all = probe.v5 ? [properties.length, ...properties] : []
  return frame(0x30, field(topic), all, 0x41)
}

async function breaksEach(probe: Probe, frames: readonly Uint8Array[]): Promise<void> {
  await Promise.all(frames.map(bytes => probe.breaks(bytes)))
}

export const FORMAT: readonly Case[] = [
  ...cases(
    { v5: '1.5.4-1', v3: '1.5.3-1' },
    'PUBLISH to topics with a surrogate, an overlong form, a character that is cut short',
    'each ends the connection',
    async probe => {
      const wrong = [SURROGATE, OVERLONG, CUT_SHORT]
      await breaksEach(
        probe,
        wrong.map(bytes => publishTo(probe, [0x61, 0x2f, ...bytes])),
      )
    },
  ),
  ...cases(
    { v5: '1.5.4-2 4.7.3-2', v3: '1.5.3-2 4.7.3-2' },
    'PUBLISH to a topic with U+0000, SUBSCRIBE to a filter with it',
    'each ends the connection',
    async probe => {
      const filter = field([0x61, 0, 0x62])
      const properties = probe.v5 ? [0] : []
      await breaksEach(probe, [
        publishTo(probe, [0x61, 0, 0x62]),
        frame(0x82, uint16(9), properties, filter, 0),
      ])
    },
  ),
  ...cases(
    { v5: '1.5.4-3', v3: '1.5.3-3' },
    'PUBLISH to a topic that begins with EF BB BF',
    'the topic comes with U+FEFF, and does not match the filter without it',
    async probe => {
      const topic = `\ufeff${probe.topic('bom')}`
      const watcher = await probe.watch(topic)
      const other = await probe.watch(topic.slice(1))
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x')
      check((await watcher.message('x')).topic === topic, 'the topic lost its U+FEFF')
      await other.silent(publisher)
    },
  ),
  ...cases(
    { v5: '1.5.5-1' },
    'messages around 127 and 16 383 bytes',
    'they come with the shortest remaining length',
    async probe => {
      const topic = probe.topic('length')
      const watcher = await probe.watch(topic)
      const publisher = await probe.connect()
      const header = 2 + topic.length + 1
      for (const length of [127, 128, 16_383, 16_384]) {
        await publisher.publish(topic, 'x'.repeat(length - header))
        const { bytes } = await watcher.wire.receive('a message', ({ type }) => {
          return type === PacketType.PUBLISH
        })
        let headerLength = 2
        while ((bytes[headerLength - 1] ?? 0) > 127) headerLength++
        const rest = bytes.length - headerLength
        const least = rest < 128 ? 1 : rest < 16_384 ? 2 : 3
        check(headerLength - 1 === least, `${rest} is in ${headerLength - 1} bytes`)
      }
    },
  ),
  ...cases(
    { v5: '1.5.7-1' },
    'PUBLISH with user properties whose name, or value, is not UTF-8',
    'each ends the connection',
    async probe => {
      const topic = [...new TextEncoder().encode(probe.topic('pair'))]
      await breaksEach(probe, [
        publishTo(probe, topic, [0x26, ...field(OVERLONG), ...field('v')]),
        publishTo(probe, topic, [0x26, ...field('n'), ...field(SURROGATE)]),
      ])
    },
  ),
  ...cases(
    { v5: '2.1.3-1', v3: '2.2.2-2' },
    'PINGREQ, UNSUBSCRIBE, PUBACK and PUBREL whose flags are not the listed ones',
    'each ends the connection',
    async probe => {
      const properties = probe.v5 ? [0] : []
      await breaksEach(probe, [
        frame(0xc1),
        frame(0xa0, uint16(3), properties, field('a')),
        frame(0x4f, uint16(3)),
        frame(0x6a, uint16(3)),
      ])
    },
  ),
  ...cases(
    { v3: '2.2.2-1' },
    'a subscription and messages of every QoS to oneself',
    'every packet of the broker has the flags that the standard lists',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('flags')
      await client.subscribe({ filter: topic, qos: 2 })
      for (const qos of [1, 2] as const) {
        await client.publish(topic, 'x', { qos })
        await client.finish(await client.message('x'))
      }
      await client.unsubscribe(topic)
      // The reader of the suite refuses a packet with other flags.
      await client.ping()
    },
  ),
  ...cases(
    { v5: '2.2.1-2', v3: '2.3.1-5' },
    'a message of QoS 1 to a subscription of QoS 0',
    'it comes at QoS 0 and without packet identifier: topic, properties and payload fill it',
    async probe => {
      const topic = probe.topic('no-id')
      const watcher = await probe.watch(topic)
      await (await probe.connect()).publish(topic, 'payload', { qos: 1 })
      const { packet, bytes } = await watcher.wire.receive('a message', () => true)
      check(packet.type === PacketType.PUBLISH && packet.qos === 0, 'it is not of QoS 0')
      check(textOf(packet.payload) === 'payload', 'the payload is another')
      const length = 2 + 2 + topic.length + (probe.v5 ? 1 : 0) + 7
      check(probe.v5 || bytes.length === length, `it has ${bytes.length} bytes, not ${length}`)
    },
  ),
  ...cases(
    { v3: '2.3.1-1' },
    'SUBSCRIBE, UNSUBSCRIBE and PUBLISH of QoS 1 with packet identifier 0',
    'each ends the connection',
    async probe => {
      await breaksEach(probe, [
        frame(0x82, uint16(0), field('a'), 0),
        frame(0xa2, uint16(0), field('a')),
        frame(0x32, field(probe.topic('zero')), uint16(0), 0x41),
      ])
    },
  ),
  ...cases(
    { v5: '2.2.1-4', v3: '2.3.1-4' },
    `${WINDOW} messages of QoS 1 that the subscriber does not acknowledge`,
    'each has an identifier of its own, none of them 0',
    async probe => {
      const topic = probe.topic('ids')
      const watcher = await probe.watch(topic, 1)
      const publisher = await probe.connect()
      for (let i = 0; i < WINDOW; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
      const ids = new Set<number>()
      for (let i = 0; i < WINDOW; i++) ids.add((await watcher.message()).packetId)
      check(ids.size === WINDOW && !ids.has(0), `the identifiers are ${[...ids].join(', ')}`)
    },
  ),
  ...cases(
    { v5: '2.2.1-5', v3: '2.3.1-6' },
    'PUBLISH of QoS 1 with identifier 0x1234, of QoS 2 with 0xFEDC',
    'PUBACK, PUBREC and PUBCOMP repeat them; PUBREL that of the broker',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('repeat')
      await client.publish(topic, 'x', { qos: 1, packetId: 0x1234 })
      await client.publish(topic, 'x', { qos: 2, packetId: 0xfedc })
      await client.subscribe({ filter: topic, qos: 2 })
      await client.publish(topic, 'y', { qos: 2 })
      await client.finish(await client.message('y'))
    },
  ),
  ...cases(
    { v5: '2.2.1-6', v3: '2.3.1-7' },
    'SUBSCRIBE with identifier 0x4321, UNSUBSCRIBE with 0x8765',
    'SUBACK and UNSUBACK repeat them',
    async probe => {
      const client = await probe.connect()
      client.send(subscribe(0x4321, [probe.topic('a')]), unsubscribe(0x8765, [probe.topic('a')]))
      const suback = await client.wire.expect(PacketType.SUBACK)
      const unsuback = await client.wire.expect(PacketType.UNSUBACK)
      check(suback.packetId === 0x4321, `SUBACK has ${suback.packetId}`)
      check(unsuback.packetId === 0x8765, `UNSUBACK has ${unsuback.packetId}`)
    },
  ),
  ...cases(
    { v5: '2.2.2-1' },
    'a message without properties, and SUBSCRIBE',
    'PUBLISH and SUBACK have a property length, which is 0 when there are none',
    async probe => {
      const topic = probe.topic('none')
      const watcher = await probe.connect()
      watcher.send(subscribe(7, [topic]))
      const suback = await watcher.wire.receive('SUBACK', ({ type }) => type === PacketType.SUBACK)
      check(suback.bytes.length >= 6, 'SUBACK has no property length')
      await (await probe.connect({ protocolLevel: 4 })).publish(topic, 'z')
      const { packet, bytes } = await watcher.wire.receive('a message', () => true)
      const hasNone = packet.type === PacketType.PUBLISH && !Object.keys(packet.properties).length
      if (hasNone) check(bytes.at(-2) === 0, 'there is no property length of 0 before the payload')
    },
  ),
  ...cases(
    { v5: '4.2-1', v3: '7.1.1-1' },
    'CONNECT, SUBSCRIBE and PUBLISH in writes of a byte each',
    'they are understood, over TCP',
    async probe => {
      const wire = await probe.open()
      const topic = probe.topic('bytes')
      const packets = [probe.connectPacket(), subscribe(1, [topic]), publish(topic, 'x')]
      const whole = packets.map(packet => encode(packet, probe.level))
      for (const bytes of whole) for (const byte of bytes) wire.send(Uint8Array.of(byte))
      await wire.expectNext(PacketType.CONNACK)
      await wire.expectNext(PacketType.SUBACK)
      await wire.expectNext(PacketType.PUBLISH)
    },
  ),
  ...cases(
    { v5: '3.6.1-1', v3: '3.6.1-1' },
    'PUBREL with the flags 0000',
    'it ends the connection',
    async probe => {
      const client = await probe.connect()
      client.send(publish(probe.topic('rel'), 'x', { qos: 2, packetId: 3 }))
      await client.acknowledged(PacketType.PUBREC, 3)
      client.send(frame(0x60, uint16(3)))
      await client.end()
    },
  ),
  ...cases(
    { v5: '3.8.1-1', v3: '3.8.1-1' },
    'SUBSCRIBE with the flags 0000',
    'it ends the connection',
    async probe => {
      await probe.breaks(frame(0x80, uint16(1), probe.v5 ? [0] : [], field(probe.topic('f')), 0))
    },
  ),
  ...cases(
    { v5: '3.10.1-1', v3: '3.10.1-1' },
    'UNSUBSCRIBE with the flags 0000',
    'it ends the connection',
    async probe => {
      await probe.breaks(frame(0xa0, uint16(1), probe.v5 ? [0] : [], field(probe.topic('f'))))
    },
  ),
  ...cases(
    { v5: '3.14.1-1', v3: '3.14.1-1' },
    'DISCONNECT with the flags 0001',
    'it is malformed and no DISCONNECT: the connection ends, the will goes out',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ will: willOf(topic, 'gone') })
      client.send(frame(0xe1))
      await client.end()
      await watcher.message('gone')
    },
  ),
  ...cases(
    { v5: '3.15.1-1' },
    'AUTH with the flags 0001',
    'it ends the connection',
    async probe => {
      await probe.breaks(frame(0xf1, 0x19, 0))
    },
  ),
  ...cases({ v5: '3.12.4-1', v3: '3.12.4-1' }, 'PINGREQ, twice', 'PINGRESP, twice', async probe => {
    const client = await probe.connect()
    client.send({ type: PacketType.PINGREQ }, { type: PacketType.PINGREQ })
    await client.wire.expectNext(PacketType.PINGRESP)
    await client.wire.expectNext(PacketType.PINGRESP)
  }),
]
