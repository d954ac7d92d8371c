// Sections 3.8 to 3.11, 3.3.4 and 4.7: subscriptions, their options, and which topics they match.

import { isReasonCode, PacketType, type QoS } from '@godwit/packet'
import { field, frame, textOf, uint16 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { ack, publish, subscribe, unsubscribe } from '../packets.ts'
import type { Client, Probe } from '../probe.ts'

const { PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK } = PacketType
const LEVELS = [0, 1, 2] as const

/** SUBSCRIBE by hand: one filter with its options byte. */
function subscribeFrame(probe: Probe, filter: string, options: number): Uint8Array {
  return frame(0x82, uint16(1), probe.v5 ? [0] : [], field(filter), options)
}

/** SUBACK refuses each of these filters, or the connection ends. */
async function refusesFilters(probe: Probe, filters: readonly string[]): Promise<void> {
  for (const filter of filters) {
    const client = await probe.connect()
    client.send(subscribeFrame(probe, filter, 0))
    try {
      const { reasonCodes } = await client.wire.expect(SUBACK)
      check((reasonCodes[0] ?? 0) >= 0x80, `"${filter}" is granted`)
    } catch (error) {
      if (!client.wire.ended) throw error
    }
  }
}

async function payloads(client: Client, by: Client): Promise<string> {
  return (await client.messages(by)).map(({ payload }) => textOf(payload)).join()
}

export const SUBSCRIBING: readonly Case[] = [
  ...cases(
    { v5: '3.8.3-3' },
    "subscriptions with No Local 1 and 0, then a message of one's own and one of another",
    "with No Local 1 only the other's comes",
    async probe => {
      const topic = probe.topic('local')
      const client = await probe.connect()
      await client.subscribe({ filter: topic, qos: 1, noLocal: true })
      const other = await probe.connect()
      await other.subscribe({ filter: topic })
      await client.publish(topic, 'own', { qos: 1 })
      await other.publish(topic, 'from another')
      check((await payloads(client, other)) === 'from another', 'it gets its own')
      check((await payloads(other, client)) === 'own,from another', 'the other lacks one')
    },
  ),
  ...cases(
    { v5: '3.8.3-4' },
    'SUBSCRIBE with No Local to a shared filter',
    'the connection ends',
    async probe => {
      const { connack } = await probe.connect()
      if (connack.properties.sharedSubscriptionAvailable === 0) {
        probe.notApplicable('CONNACK says that there are no shared subscriptions')
      }
      await probe.breaks(subscribeFrame(probe, '$share/g/a', 4))
    },
  ),
  ...cases(
    { v5: '3.8.3-5', v3: '3.8.3-4' },
    'SUBSCRIBE with reserved bits in the options, and with QoS 3',
    'each ends the connection',
    async probe => {
      const wrong = probe.v5 ? [0x40, 0x80, 3, 0x30] : [4, 0x80, 3]
      for (const options of wrong) {
        await probe.breaks(subscribeFrame(probe, probe.topic('bits'), options))
      }
    },
  ),
  ...cases(
    { v5: '3.8.4-1 3.8.4-2', v3: '3.8.4-1 3.8.4-2' },
    'SUBSCRIBE with identifier 65 535',
    'SUBACK with it',
    async probe => {
      const client = await probe.connect()
      client.send(subscribe(65_535, [probe.topic('a')]))
      check((await client.wire.expect(SUBACK)).packetId === 65_535, 'it has another')
    },
  ),
  ...cases(
    { v5: '3.8.4-3' },
    'the same filter again with another QoS and No Local',
    "one copy comes, with the new QoS, and none of one's own messages",
    async probe => {
      const topic = probe.topic('again')
      const client = await probe.connect()
      await client.subscribe(topic)
      await client.subscribe({ filter: topic, qos: 1, noLocal: true })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 1 })
      await client.publish(topic, 'own')
      const all = await client.messages(publisher)
      check(all.length === 1, `${all.length} messages come`)
      check(all[0]?.qos === 1, `it has QoS ${all[0]?.qos}`)
    },
  ),
  ...cases(
    { v5: '3.8.4-4', v3: '3.8.4-3' },
    'a retained message; the same filter again with another QoS, while messages come',
    'the retained message comes again, and none of the others is lost or doubled',
    async probe => {
      const topic = probe.topic('replace')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'kept', { qos: 1, retain: true })
      const client = await probe.watch(topic)
      await client.message('kept')
      const all: string[] = []
      for (let i = 0; i < 20; i++) {
        publisher.send(publish(topic, `${i}`))
        all.push(`${i}`)
        if (i === 10) client.send(subscribe(9, [{ filter: topic, qos: 1 }]))
      }
      await client.wire.expect(SUBACK)
      const came = (await payloads(client, publisher)).split(',')
      check(came.includes('kept'), 'the retained message does not come again')
      const others = came.filter(payload => payload !== 'kept')
      check(others.join() === all.join(), `the others are ${others.join()}`)
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.8.4-5', v3: '3.8.4-4' },
    'SUBSCRIBE with three filters',
    'one SUBACK; messages to all three come',
    async probe => {
      const topics = ['a', 'b', 'c'].map(level => probe.topic(level))
      const client = await probe.connect()
      await client.subscribe(topics)
      const publisher = await probe.connect()
      for (const topic of topics) await publisher.publish(topic, topic.at(-1) ?? '')
      check((await payloads(client, publisher)) === 'a,b,c', 'they do not all come')
      const more = client.wire.inbox.some(({ packet }) => packet.type === SUBACK)
      check(!more, 'there is a second SUBACK')
    },
  ),
  ...cases(
    { v5: '3.8.4-6 3.8.4-7 3.9.3-1', v3: '3.8.4-5 3.9.3-1' },
    'SUBSCRIBE with filters of QoS 2, 0, 1 and 2',
    'SUBACK has one reason code for each, in their order: 2, 0, 1, 2, or less',
    async probe => {
      const client = await probe.connect()
      const wanted: QoS[] = [2, 0, 1, 2]
      client.send(
        subscribe(
          8,
          wanted.map((qos, i) => ({ filter: probe.topic(`${i}`), qos })),
        ),
      )
      const { reasonCodes } = await client.wire.expect(SUBACK)
      const inOrder = wanted.every((qos, i) => (reasonCodes[i] ?? 0xff) <= qos)
      check(reasonCodes.length === 4 && inOrder, `they are ${reasonCodes.join()}`)
      check(reasonCodes[1] === 0, `they are ${reasonCodes.join()}`)
    },
  ),
  ...cases(
    { v5: '3.9.3-2', v3: '3.9.3-2' },
    'SUBSCRIBE with filters that are in order, and with one of $SYS',
    'the codes of SUBACK are among the listed ones',
    async probe => {
      const client = await probe.connect()
      const filters = [probe.topic('a'), '$SYS/broker/x', probe.topic('b')]
      client.send(subscribe(8, filters))
      const { reasonCodes } = await client.wire.expect(SUBACK)
      const listed = (code: number): boolean =>
        probe.v5 ? isReasonCode(SUBACK, code, 5) : code < 3 || code === 0x80
      check(reasonCodes.length === 3 && reasonCodes.every(listed), `they are ${reasonCodes.join()}`)
    },
  ),
  ...cases(
    { v5: '3.8.4-8', v3: '3.8.4-6' },
    'messages of QoS 0, 1 and 2 to subscriptions of QoS 0, 1 and 2',
    'each comes at the lower of the two',
    async probe => {
      const publisher = await probe.connect()
      for (const granted of LEVELS) {
        const topic = probe.topic(`${granted}`)
        const watcher = await probe.watch(topic, granted)
        for (const qos of LEVELS) {
          await publisher.publish(topic, `${qos}`, { qos })
          const message = await watcher.message(`${qos}`)
          const lower = Math.min(qos, granted)
          check(message.qos === lower, `QoS ${qos} to ${granted} comes at ${message.qos}`)
          await watcher.finish(message)
        }
      }
    },
  ),
  ...cases(
    { v5: '3.10.4-1', v3: '3.10.4-1' },
    'UNSUBSCRIBE from filters that are like those subscribed to, and from one of them',
    'only that one is gone',
    async probe => {
      const filters = [probe.topic('+'), probe.topic('#'), probe.topic('a')]
      const client = await probe.connect()
      await client.subscribe(filters)
      await client.unsubscribe(probe.topic('A'), probe.topic('a', ''), probe.topic('+', '#'))
      await client.unsubscribe(probe.topic('#'))
      const publisher = await probe.connect()
      await publisher.publish(probe.topic('b'), 'by +')
      await publisher.publish(probe.topic('b', 'c'), 'by #')
      check((await payloads(client, publisher)) === 'by +', 'others are gone, or the one is not')
    },
  ),
  ...cases(
    { v5: '3.10.4-2', v3: '3.10.4-2' },
    'UNSUBSCRIBE, then a message',
    'it does not come',
    async probe => {
      const topic = probe.topic('gone')
      const client = await probe.watch(topic, 1)
      await client.unsubscribe(topic)
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 1 })
      await client.silent(publisher)
    },
  ),
  ...cases(
    { v5: '3.10.4-3', v3: '3.10.4-3' },
    'UNSUBSCRIBE while a message of QoS 2 is on its way',
    'its handshake goes on: PUBREC gets PUBREL',
    async probe => {
      const topic = probe.topic('begun')
      const client = await probe.watch(topic, 2)
      await (await probe.connect()).publish(topic, 'x', { qos: 2 })
      const { packetId } = await client.message('x')
      await client.unsubscribe(topic)
      client.send(ack(PUBREC, packetId))
      const { reasonCode } = await client.acknowledged(PUBREL, packetId)
      check(reasonCode === 0, `PUBREL has ${reasonCode}`)
      client.send(ack(PUBCOMP, packetId))
      await client.ping()
    },
  ),
  ...cases(
    { v5: '3.10.4-4', v3: '3.10.4-4' },
    'UNSUBSCRIBE with identifier 300',
    'UNSUBACK with it',
    async probe => {
      const client = await probe.watch(probe.topic('a'))
      client.send(unsubscribe(300, [probe.topic('a')]))
      check((await client.wire.expect(UNSUBACK)).packetId === 300, 'it has another')
    },
  ),
  ...cases(
    { v5: '3.10.4-5', v3: '3.10.4-5' },
    'UNSUBSCRIBE from what was not subscribed to',
    'UNSUBACK with the identifier',
    async probe => {
      const client = await probe.connect()
      client.send(unsubscribe(301, [probe.topic('never')]))
      check((await client.wire.expect(UNSUBACK)).packetId === 301, 'it has another')
    },
  ),
  ...cases(
    { v5: '3.10.4-6', v3: '3.10.4-6' },
    'UNSUBSCRIBE from two of three filters',
    'one UNSUBACK; both are gone',
    async probe => {
      const topics = ['a', 'b', 'c'].map(level => probe.topic(level))
      const client = await probe.connect()
      await client.subscribe(topics)
      await client.unsubscribe(topics[0] ?? '', topics[2] ?? '')
      const publisher = await probe.connect()
      for (const topic of topics) await publisher.publish(topic, topic.at(-1) ?? '')
      check((await payloads(client, publisher)) === 'b', 'others come, or less')
    },
  ),
  ...cases(
    { v5: '3.11.3-1 3.11.3-2' },
    'UNSUBSCRIBE from filters: subscribed to, not, and subscribed to',
    'UNSUBACK has 0x00, 0x11, 0x00',
    async probe => {
      const client = await probe.connect()
      await client.subscribe([probe.topic('a'), probe.topic('c')])
      const filters = ['a', 'b', 'c'].map(level => probe.topic(level))
      const { reasonCodes } = await client.unsubscribe(...filters)
      check(reasonCodes.join() === '0,17,0', `it has ${reasonCodes.join()}`)
    },
  ),
  ...cases(
    { v5: '3.3.4-2', v3: '3.3.5-1' },
    'overlapping subscriptions of QoS 0, 2 and 1, then a message of QoS 2',
    'a copy comes at QoS 2',
    async probe => {
      const topic = probe.topic('overlap')
      const client = await probe.connect()
      await client.subscribe([
        { filter: topic, qos: 0 },
        { filter: probe.topic('#'), qos: 2 },
        { filter: probe.topic('+'), qos: 1 },
      ])
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 2 })
      const all = (await client.messages(publisher)).map(({ qos }) => qos)
      check(Math.max(-1, ...all) === 2, `copies come at QoS ${all.join()}`)
    },
  ),
  ...cases(
    { v5: '3.3.4-3 3.3.4-4 3.3.4-5' },
    'overlapping subscriptions with the identifiers 7 and 268 435 455, then a message',
    'a single copy has both; of several each has its own',
    async probe => {
      const { properties } = (await probe.connect()).connack
      if (properties.subscriptionIdentifierAvailable === 0) {
        probe.notApplicable('CONNACK says that there are no subscription identifiers')
      }
      const topic = probe.topic('ids')
      const client = await probe.connect()
      await client.subscribe(topic, { subscriptionIdentifiers: [7] })
      await client.subscribe(probe.topic('+'), { subscriptionIdentifiers: [268_435_455] })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x')
      const all = (await client.messages(publisher)).map(message => {
        return [...(message.properties.subscriptionIdentifiers ?? [])].sort().join('+')
      })
      const come = all.sort().join(' and ')
      const right = ['268435455+7', '268435455 and 7', '7 and 268435455']
      check(right.includes(come), `they come as "${come}"`)
    },
  ),
  ...cases(
    { v5: '4.7.1-1', v3: '4.7.1-2' },
    'SUBSCRIBE to "a/#/b", "a#" and "#a"',
    'SUBACK refuses them, or the connection ends',
    async probe => {
      await refusesFilters(probe, ['a/#/b', 'a#', '#a'])
    },
  ),
  ...cases(
    { v5: '4.7.1-2', v3: '4.7.1-3' },
    'SUBSCRIBE to "a+", "+a" and "a/b+/c"',
    'SUBACK refuses them, or the connection ends',
    async probe => {
      await refusesFilters(probe, ['a+', '+a', 'a/b+/c'])
    },
  ),
  ...cases(
    { v5: '4.7.2-1', v3: '4.7.2-1' },
    'a subscription to "+/…" and one to "#"; a message to "$…/…", and what the broker publishes',
    'no topic that begins with "$" comes',
    async probe => {
      const name = probe.id()
      const client = await probe.watch(`+/${name}`)
      const all = await probe.watch('#')
      const publisher = await probe.connect()
      const stranger = await probe.connect()
      stranger.send(publish(`$${name}/${name}`, 'x'))
      await publisher.publish(`a/${name}`, 'y')
      check((await payloads(client, publisher)) === 'y', 'it comes')
      const topics = (await all.messages(publisher)).map(({ topic }) => topic)
      check(!topics.some(topic => topic.startsWith('$')), 'a topic with "$" comes to "#"')
    },
  ),
  ...cases(
    { v5: '4.7.3-1', v3: '4.7.3-1' },
    'SUBSCRIBE to an empty filter; PUBLISH to an empty topic',
    'SUBACK refuses it, or the connection ends; the connection ends',
    async probe => {
      await refusesFilters(probe, [''])
      await probe.breaks(frame(0x30, field(''), probe.v5 ? [0] : [], 0x41))
    },
  ),
  ...cases(
    { v5: '4.7.3-3', v3: '4.7.3-3' },
    'a filter and a topic of 65 535 bytes',
    'they work, or are refused in a way that the standard has',
    async probe => {
      const topic = probe.topic('l').padEnd(65_535, 'o')
      const client = await probe.connect()
      client.send(subscribe(6, [topic]))
      try {
        const { reasonCodes } = await client.wire.expect(SUBACK)
        if ((reasonCodes[0] ?? 0) >= 0x80) return
        client.send(publish(topic, 'x'))
        check((await client.message('x')).topic === topic, 'it is another topic')
      } catch (error) {
        if (!client.wire.ended) throw error
      }
    },
  ),
  ...cases(
    { v5: '4.7.3-4', v3: '4.7.3-4' },
    'subscriptions to topics that differ in case, in the form of "é", by a slash more',
    'each message comes to the one filter that is written the same',
    async probe => {
      const filters = ['a', 'A', 'a/', '/a', 'a//b', 'a/b', '\u00e9', 'e\u0301', '\u2126', '\u03a9']
      const client = await probe.connect()
      const publisher = await probe.connect()
      for (const filter of filters) {
        await client.subscribe(probe.topic(filter))
        for (const topic of filters) await publisher.publish(probe.topic(topic), topic)
        const came = await payloads(client, publisher)
        check(came === filter, `"${filter}" gets "${came}"`)
        await client.unsubscribe(probe.topic(filter))
      }
    },
  ),
]
