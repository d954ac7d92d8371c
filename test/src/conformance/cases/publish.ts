// Section 3.3: PUBLISH in both directions, retained messages, properties that pass through.

import { PacketType, type Properties } from '@godwit/packet'
import { field, frame, textOf, utf8 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { publish } from '../packets.ts'
import type { Probe } from '../probe.ts'
import type { Wire } from '../wire.ts'

const WAITED_MS = 2200
const EXPIRY_SECONDS = 100

/** A message with these properties, as a subscriber gets them. */
async function passed(probe: Probe, properties: Properties): Promise<Properties> {
  const topic = probe.topic('passed')
  const watcher = await probe.watch(topic)
  await (await probe.connect()).publish(topic, 'x', { properties })
  return (await watcher.message('x')).properties
}

/** The broker forwards no such message: it refuses it, or ends the connection. */
async function isRefused(probe: Probe, topic: string, bytes: Uint8Array): Promise<void> {
  const watcher = await probe.watch(topic)
  await probe.breaks(bytes)
  await watcher.silent(await probe.connect())
}

function rawPublish(topic: string, properties: readonly number[]): Uint8Array {
  return frame(0x30, field(topic), properties.length, properties, 0x41)
}

export const PUBLISH: readonly Case[] = [
  ...cases(
    { v5: '3.3.1-2 4.3.1-1', v3: '3.3.1-2 4.3.1-1' },
    'a message of QoS 1 with DUP to a subscription of QoS 0, and one of QoS 0',
    'both come at QoS 0 and without DUP',
    async probe => {
      const topic = probe.topic('dup')
      const watcher = await probe.watch(topic)
      const publisher = await probe.connect()
      await publisher.publish(topic, 'one', { qos: 1, dup: true })
      await publisher.publish(topic, 'two')
      for (const payload of ['one', 'two']) {
        const { qos, dup } = await watcher.message(payload)
        check(qos === 0 && !dup, `it has QoS ${qos}, DUP ${dup}`)
      }
    },
  ),
  ...cases(
    { v5: '3.3.1-3', v3: '3.3.1-3' },
    'messages of QoS 1 and 2 with DUP',
    'the first copy that goes to a subscriber has no DUP',
    async probe => {
      const topic = probe.topic('dup')
      const watcher = await probe.watch(topic, 2)
      const publisher = await probe.connect()
      for (const qos of [1, 2] as const) {
        await publisher.publish(topic, 'x', { qos, dup: true })
        const message = await watcher.message('x')
        check(!message.dup, `it has DUP at QoS ${qos}`)
        await watcher.finish(message)
      }
    },
  ),
  ...cases(
    { v5: '3.3.1-4', v3: '3.3.1-4' },
    'PUBLISH with QoS 3',
    'the connection ends',
    async probe => {
      await probe.breaks(frame(0x36, field(probe.topic('x')), [0, 1], probe.v5 ? [0] : [], 0x41))
    },
  ),
  ...cases(
    { v5: '3.3.1-5', v3: '3.3.1-5 3.3.1-6 3.3.1-7' },
    'two retained messages of one topic, the second of QoS 0; then a subscription',
    'it gets the second one only',
    async probe => {
      const topic = probe.topic('retained')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'old', { qos: 1, retain: true })
      await publisher.publish(topic, 'new', { retain: true })
      await publisher.ping()
      const watcher = await probe.watch(topic, 1)
      await watcher.message('new')
      await watcher.silent(publisher)
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.3.1-6', v3: '3.3.1-10' },
    'a retained message, then an empty one with RETAIN',
    'a present subscriber gets the empty one, a later one gets none',
    async probe => {
      const topic = probe.topic('removed')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 1, retain: true })
      const present = await probe.watch(topic)
      await present.message('x')
      await publisher.publish(topic, '', { qos: 1, retain: true })
      await present.message('')
      await (await probe.watch(topic)).silent(publisher)
    },
  ),
  ...cases(
    { v5: '3.3.1-7', v3: '3.3.1-11' },
    'an empty message with RETAIN, then a subscription',
    'it gets none',
    async probe => {
      const topic = probe.topic('empty')
      const publisher = await probe.connect()
      await publisher.publish(topic, '', { qos: 1, retain: true })
      await (await probe.watch(topic)).silent(publisher)
    },
  ),
  ...cases(
    { v5: '3.3.1-8', v3: '3.3.1-12' },
    'a retained message, then one without RETAIN, and an empty one; then a subscription',
    'it gets the retained message',
    async probe => {
      const topic = probe.topic('untouched')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'kept', { qos: 1, retain: true })
      await publisher.publish(topic, 'other', { qos: 1 })
      await publisher.publish(topic, '', { qos: 1 })
      const watcher = await probe.watch(topic)
      await watcher.message('kept')
      await watcher.silent(publisher)
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v3: '3.3.1-8' },
    'a retained message, then a subscription',
    'it comes with RETAIN 1',
    async probe => {
      const topic = probe.topic('late')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 1, retain: true })
      check((await (await probe.watch(topic)).message('x')).retain, 'RETAIN is 0')
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.3.1-12', v3: '3.3.1-9' },
    'a subscription (in MQTT 5.0 with Retain As Published 0), then a message with RETAIN',
    'it comes with RETAIN 0',
    async probe => {
      const topic = probe.topic('present')
      const watcher = await probe.watch(topic)
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { qos: 1, retain: true })
      check(!(await watcher.message('x')).retain, 'RETAIN is 1')
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.3.1-13' },
    'a subscription with Retain As Published 1, then messages with and without RETAIN',
    'they come with the RETAIN of the publisher',
    async probe => {
      const topic = probe.topic('published')
      const watcher = await probe.connect()
      await watcher.subscribe({ filter: topic, retainAsPublished: true })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x', { retain: true })
      await publisher.publish(topic, 'y')
      check((await watcher.message('x')).retain, 'RETAIN is 0')
      check(!(await watcher.message('y')).retain, 'RETAIN is 1')
      await publisher.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.3.1-9' },
    'a retained message, then the same subscription with Retain Handling 0 twice',
    'it comes both times',
    async probe => {
      await retainHandling(probe, 0, true, true)
    },
  ),
  ...cases(
    { v5: '3.3.1-10' },
    'a retained message, then the same subscription with Retain Handling 1 twice',
    'it comes the first time',
    async probe => {
      await retainHandling(probe, 1, true, false)
    },
  ),
  ...cases(
    { v5: '3.3.1-11' },
    'a retained message, then a subscription with Retain Handling 2',
    'it does not come',
    async probe => {
      await retainHandling(probe, 2, false, false)
    },
  ),
  ...cases(
    { v5: '3.3.2-1', v3: '3.3.2-1' },
    'a message to a topic of characters of one to four bytes',
    'it comes with the topic as it was',
    async probe => {
      const topic = probe.topic('aé€😀', ' ', '')
      const watcher = await probe.watch(topic)
      await (await probe.connect()).publish(topic, 'x')
      check((await watcher.message('x')).topic === topic, 'the topic is another')
    },
  ),
  ...cases(
    { v5: '3.3.2-2 4.7.0-1' },
    'messages of QoS 1 to topics with "+" and "#"',
    'they end the connection, or PUBACK refuses them; nobody gets them',
    async probe => {
      const watcher = await probe.watch(probe.topic('#'))
      for (const wildcard of ['+', '#']) {
        const client = await probe.connect()
        client.send(frame(0x32, field(probe.topic(wildcard)), [0, 5], 0, 0x41))
        const answer = await answerOf(client.wire)
        check(answer === null || answer >= 0x80, `PUBACK has ${answer}`)
      }
      await watcher.silent(await probe.connect())
    },
  ),
  ...cases(
    { v3: '3.3.2-2 4.7.1-1' },
    'messages of QoS 0 to topics with "+" and "#"',
    'they end the connection; nobody gets them',
    async probe => {
      const watcher = await probe.watch(probe.topic('#'))
      for (const wildcard of ['+', '#']) {
        await probe.breaks(frame(0x30, field(probe.topic(wildcard)), 0x41))
      }
      await watcher.silent(await probe.connect())
    },
  ),
  ...cases(
    { v5: '3.3.2-3', v3: '3.3.2-3' },
    'messages to topics that match a filter, and to such that do not',
    'those that match come, with their topics',
    async probe => {
      const watcher = await probe.watch(probe.topic('+', 'b', '#'))
      const publisher = await probe.connect()
      const matching = [
        probe.topic('a', 'b'),
        probe.topic('c', 'b', 'd', 'e'),
        probe.topic('', 'b'),
      ]
      const others = [probe.topic('a'), probe.topic('a', 'c'), probe.topic('a', 'a', 'b')]
      for (const topic of [...matching, ...others]) await publisher.publish(topic, 'x')
      const topics = (await watcher.messages(publisher)).map(({ topic }) => topic)
      check(topics.join(' ') === matching.join(' '), `they are ${topics.join(' ')}`)
    },
  ),
  ...cases(
    { v5: '3.3.2-4' },
    'messages with Payload Format Indicator 1 and 0',
    'it passes unaltered',
    async probe => {
      for (const value of [1, 0]) {
        const { payloadFormatIndicator = 0 } = await passed(probe, {
          payloadFormatIndicator: value,
        })
        check(payloadFormatIndicator === value, `${value} became ${payloadFormatIndicator}`)
      }
    },
  ),
  ...cases(
    { v5: '3.3.2-5' },
    'a message that expires after 1 s, and one that does not, for a client that is away longer',
    'it gets the one that does not expire',
    async probe => {
      const topic = probe.topic('expires')
      const clientId = probe.id()
      const away = await probe.connectKept(clientId)
      await away.subscribe({ filter: topic, qos: 1 })
      await away.leave()
      const publisher = await probe.connect()
      const properties = { messageExpiryInterval: 1 }
      await publisher.publish(topic, 'short', { qos: 1, properties })
      await publisher.publish(topic, 'long', { qos: 1 })
      await probe.elapse(WAITED_MS)
      const again = await probe.connectKept(clientId)
      await again.message('long')
    },
  ),
  ...cases(
    { v5: '3.3.2-6' },
    `a message that expires after ${EXPIRY_SECONDS} s, for a client that is away for two`,
    'the interval that it gets is less by the time that has passed',
    async probe => {
      const topic = probe.topic('waits')
      const clientId = probe.id()
      const away = await probe.connectKept(clientId)
      await away.subscribe({ filter: topic, qos: 1 })
      await away.leave()
      const beganMs = performance.now()
      const properties = { messageExpiryInterval: EXPIRY_SECONDS }
      await (await probe.connect()).publish(topic, 'x', { qos: 1, properties })
      await probe.elapse(WAITED_MS)
      const again = await probe.connectKept(clientId)
      const left = (await again.message('x')).properties.messageExpiryInterval ?? -1
      const passedSeconds = (performance.now() - beganMs) / 1000
      const isRight = left < EXPIRY_SECONDS && left >= EXPIRY_SECONDS - passedSeconds - 1
      check(isRight, `after ${passedSeconds.toFixed(1)} s it is ${left}`)
    },
  ),
  ...cases(
    { v5: '3.3.2-13' },
    'PUBLISH with a Response Topic that is not UTF-8',
    'the connection ends',
    async probe => {
      const topic = probe.topic('response')
      await isRefused(probe, topic, rawPublish(topic, [0x08, ...field([0xc0, 0xaf])]))
    },
  ),
  ...cases(
    { v5: '3.3.2-14' },
    'PUBLISH with a Response Topic that has a wildcard',
    'the connection ends',
    async probe => {
      const topic = probe.topic('response')
      await isRefused(probe, topic, rawPublish(topic, [0x08, ...field('a/+')]))
    },
  ),
  ...cases(
    { v5: '3.3.2-15' },
    'a message with a Response Topic',
    'it passes unaltered',
    async probe => {
      const { responseTopic } = await passed(probe, { responseTopic: 'reply/é' })
      check(responseTopic === 'reply/é', `it is ${responseTopic}`)
    },
  ),
  ...cases(
    { v5: '3.3.2-16' },
    'a message with Correlation Data of all bytes',
    'it passes unaltered',
    async probe => {
      const correlationData = Uint8Array.from({ length: 256 }, (_, i) => i)
      const came = (await passed(probe, { correlationData })).correlationData ?? utf8('')
      check(came.join() === correlationData.join(), 'it is another')
    },
  ),
  ...cases(
    { v5: '3.3.2-17 3.3.2-18' },
    'a message with user properties, a name twice and an empty one',
    'all pass, in their order',
    async probe => {
      const userProperties = [
        ['b', '1'],
        ['a', 'é'],
        ['', ''],
        ['b', '2'],
      ] as const
      const came = (await passed(probe, { userProperties })).userProperties ?? []
      check(JSON.stringify(came) === JSON.stringify(userProperties), `they are ${came.join(' ')}`)
    },
  ),
  ...cases(
    { v5: '3.3.2-19' },
    'PUBLISH with a Content Type that is not UTF-8',
    'the connection ends',
    async probe => {
      const topic = probe.topic('type')
      await isRefused(probe, topic, rawPublish(topic, [0x03, ...field([0xed, 0xa0, 0x80])]))
    },
  ),
  ...cases(
    { v5: '3.3.2-20' },
    'a message with a Content Type',
    'it passes unaltered',
    async probe => {
      const { contentType } = await passed(probe, { contentType: 'text/plain; x=é' })
      check(contentType === 'text/plain; x=é', `it is ${contentType}`)
    },
  ),
  ...cases(
    { v5: '3.3.4-1', v3: '3.3.4-1' },
    'messages of QoS 0, 1 and 2',
    'nothing, PUBACK, PUBREC',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('answers')
      client.send(publish(topic, 'x'), { type: PacketType.PINGREQ })
      await client.wire.expectNext(PacketType.PINGRESP)
      client.send(publish(topic, 'x', { qos: 1, packetId: 4 }))
      await client.wire.expectNext(PacketType.PUBACK)
      client.send(publish(topic, 'x', { qos: 2, packetId: 5 }))
      await client.wire.expectNext(PacketType.PUBREC)
    },
  ),
]

/** The reason code of PUBACK, or null when the connection ends. */
async function answerOf(wire: Wire): Promise<number | null> {
  try {
    return (await wire.expect(PacketType.PUBACK)).reasonCode
  } catch (error) {
    if (wire.ended) return null
    throw error
  }
}

async function retainHandling(
  probe: Probe,
  handling: 0 | 1 | 2,
  first: boolean,
  second: boolean,
): Promise<void> {
  const topic = probe.topic('handling')
  const publisher = await probe.connect()
  await publisher.publish(topic, 'kept', { qos: 1, retain: true })
  const watcher = await probe.connect()
  for (const expected of [first, second]) {
    await watcher.subscribe({ filter: topic, retainHandling: handling })
    const payloads = (await watcher.messages(publisher)).map(({ payload }) => textOf(payload))
    check(payloads.join() === (expected ? 'kept' : ''), `it gets "${payloads.join()}"`)
  }
  await publisher.publish(topic, '', { retain: true })
}
