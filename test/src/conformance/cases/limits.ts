// Sections 3.1.2.11, 3.3.2.3.4, 3.3.4, 4.9 and the sizes of answers: what client and broker allow
// each other.

import { PacketType } from '@godwit/packet'
import { field, frame, textOf } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { ack, publish, subscribe } from '../packets.ts'
import type { Client, Probe } from '../probe.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP, PUBLISH, SUBACK } = PacketType
const SMALL = 100
const WINDOW = 2

/** A client with a Receive Maximum of two and a subscription of QoS 2, and five messages for it. */
async function fullWindow(probe: Probe, qos: 1 | 2): Promise<[Client, Client]> {
  const topic = probe.topic('window')
  const client = await probe.connect({ properties: { receiveMaximum: WINDOW } })
  await client.subscribe({ filter: topic, qos: 2 })
  const publisher = await probe.connect()
  for (let i = 0; i < 5; i++) await publisher.publish(topic, `${i}`, { qos })
  await client.ping()
  return [client, publisher]
}

function waiting(client: Client): number {
  return client.wire.inbox.filter(({ packet }) => packet.type === PUBLISH).length
}

async function aliasMaximum(probe: Probe): Promise<number> {
  const { connack } = await probe.connect()
  const most = connack.properties.topicAliasMaximum ?? 0
  if (most === 0) probe.notApplicable('CONNACK says that the broker takes no topic aliases')
  return most
}

export const LIMITS: readonly Case[] = [
  ...cases(
    { v5: '3.1.2-24 3.1.2-25' },
    `a Maximum Packet Size of ${SMALL}; a message of 200 bytes, and a small one`,
    'the large one does not come, and the small one does',
    async probe => {
      const topic = probe.topic('size')
      const client = await probe.connect({ properties: { maximumPacketSize: SMALL } })
      await client.subscribe({ filter: topic, qos: 1 })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'x'.repeat(200), { qos: 1 })
      await publisher.publish(topic, 'small', { qos: 1 })
      await client.message('small')
    },
  ),
  ...cases(
    { v5: '3.1.2-26 3.3.2-11' },
    'a Topic Alias Maximum of 2; messages to four topics, twice',
    'aliases are 1 or 2, and stand for the right topics',
    async probe => {
      const topics = ['a', 'b', 'c', 'd'].map(level => probe.topic(level))
      const client = await probe.connect({ properties: { topicAliasMaximum: 2 } })
      await client.subscribe(probe.topic('+'))
      const publisher = await probe.connect()
      const known = new Map<number, string>()
      for (const topic of [...topics, ...topics]) {
        await publisher.publish(topic, topic)
        const message = await client.message(topic)
        const alias = message.properties.topicAlias
        check(alias === undefined || (alias > 0 && alias <= 2), `the alias is ${alias}`)
        if (alias !== undefined && message.topic !== '') known.set(alias, message.topic)
        const named = message.topic || known.get(alias ?? 0)
        check(named === topic, `alias ${alias} is for ${named}`)
      }
    },
  ),
  ...cases(
    { v5: '3.1.2-27' },
    'no Topic Alias Maximum, and one of 0; messages to one topic',
    'they come without alias, with their topic',
    async probe => {
      for (const properties of [{}, { topicAliasMaximum: 0 }]) {
        const topic = probe.topic('alias')
        const client = await probe.connect({ properties })
        await client.subscribe(topic)
        const publisher = await probe.connect()
        for (let i = 0; i < 3; i++) {
          await publisher.publish(topic, 'x')
          const message = await client.message('x')
          check(message.properties.topicAlias === undefined, 'there is an alias')
          check(message.topic === topic, 'there is no topic')
        }
      }
    },
  ),
  ...cases(
    { v5: '3.1.2-29' },
    'Request Problem Information 0; packets of all kinds, some of which fail',
    'only PUBLISH, CONNACK and DISCONNECT have Reason Strings or User Properties',
    async probe => {
      const client = await probe.connect({ properties: { requestProblemInformation: 0 } })
      const topic = probe.topic('words')
      client.send(subscribe(1, [topic, '$SYS/x']), ack(PUBREL, 77), ack(PUBREC, 78))
      await client.unsubscribe('never', topic)
      await client.publish(topic, 'x', { qos: 1 })
      await client.publish(topic, 'x', { qos: 2 })
      await client.ping()
      for (const { packet } of client.wire.inbox) {
        const properties = 'properties' in packet ? packet.properties : {}
        const hasWords = properties.reasonString !== undefined || properties.userProperties
        check(!hasWords, 'there are')
      }
    },
  ),
  ...cases(
    { v5: '3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3' },
    `a Maximum Packet Size of ${SMALL}; handshakes that succeed, and such that fail`,
    'no PUBACK, PUBREC, PUBREL or PUBCOMP is larger',
    async probe => {
      const client = await probe.connect({ properties: { maximumPacketSize: SMALL } })
      const topic = probe.topic('t')
      client.send(publish(topic, 'x', { qos: 1, packetId: 1 }))
      client.send(publish(topic, 'x', { qos: 2, packetId: 2 }), ack(PUBREL, 2))
      const wanted = new Set<number>([PUBACK, PUBREC, PUBCOMP])
      while (wanted.size > 0) {
        const received = await client.wire.receive('an answer', ({ type }) => wanted.has(type))
        wanted.delete(received.packet.type)
        probe.checkSizes([received], SMALL)
      }
      client.send(ack(PUBREC, 78))
      try {
        const received = await client.wire.receive('PUBREL', ({ type }) => type === PUBREL)
        probe.checkSizes([received], SMALL)
      } catch (error) {
        if (!client.wire.ended) throw error
      }
    },
  ),
  ...cases(
    { v5: '3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2' },
    `a Maximum Packet Size of ${SMALL}; SUBSCRIBE and UNSUBSCRIBE of which a part fails`,
    'SUBACK and UNSUBACK are no larger',
    async probe => {
      const client = await probe.connect({ properties: { maximumPacketSize: SMALL } })
      client.send(subscribe(1, [probe.topic('a'), '$SYS/x']))
      const suback = await client.wire.receive('SUBACK', ({ type }) => type === SUBACK)
      client.send({
        type: PacketType.UNSUBSCRIBE,
        packetId: 2,
        filters: ['never', probe.topic('a')],
        properties: {},
      })
      const unsuback = await client.wire.receive('UNSUBACK', ({ type }) => {
        return type === PacketType.UNSUBACK
      })
      probe.checkSizes([suback, unsuback], SMALL)
    },
  ),
  ...cases(
    { v5: '3.3.2-7' },
    'an alias for a topic; on the next connection of the session the alias alone',
    'the connection ends',
    async probe => {
      await aliasMaximum(probe)
      const topic = probe.topic('alias')
      const client = await probe.connectKept(probe.id())
      await client.publish(topic, 'x', { properties: { topicAlias: 1 } })
      await client.ping()
      client.wire.cut()
      const again = await probe.connectKept(client.id)
      again.send(frame(0x30, field(''), [3, 0x23, 0, 1], 0x41))
      await again.end()
    },
  ),
  ...cases(
    { v5: '3.3.2-8' },
    'PUBLISH with the topic alias 0',
    'the connection ends',
    async probe => {
      await probe.breaks(frame(0x30, field(probe.topic('zero')), [3, 0x23, 0, 0], 0x41))
    },
  ),
  ...cases(
    { v5: '3.3.2-12' },
    'PUBLISH with every alias up to the Topic Alias Maximum of the broker (200 at most), twice',
    'all are taken, each for its topic',
    async probe => {
      const most = await aliasMaximum(probe)
      const aliases = Array.from({ length: Math.min(most, 200) }, (_, i) => i + 1)
      if (!aliases.includes(most)) aliases[aliases.length - 1] = most
      const watcher = await probe.watch(probe.topic('+'))
      const client = await probe.connect()
      for (const topicAlias of aliases) {
        client.send(publish(probe.topic(`${topicAlias}`), 'x', { properties: { topicAlias } }))
      }
      for (const topicAlias of aliases) {
        client.send(publish('', `${topicAlias}`, { properties: { topicAlias } }))
      }
      const all = await watcher.messages(client)
      check(all.length === aliases.length * 2, `${all.length} of ${aliases.length * 2} come`)
      for (const { topic, payload } of all.slice(aliases.length)) {
        check(topic === probe.topic(textOf(payload)), `${textOf(payload)} is for ${topic}`)
      }
    },
  ),
  ...cases(
    { v5: '3.3.4-9' },
    `a Receive Maximum of ${WINDOW}; five messages of QoS 1`,
    `${WINDOW} come, one more after each PUBACK`,
    async probe => {
      const [client] = await fullWindow(probe, 1)
      for (let i = 0; i < 5; i++) {
        const message = await client.message(`${i}`)
        check(waiting(client) <= WINDOW - 1, `${waiting(client) + 1} are under way`)
        client.send(ack(PUBACK, message.packetId))
        await client.ping()
      }
    },
  ),
  ...cases(
    { v5: '4.9.0-1 4.9.0-2' },
    `a Receive Maximum of ${WINDOW}; five messages of QoS 2`,
    `${WINDOW} come, one more after each PUBCOMP and none after PUBREC`,
    async probe => {
      const [client] = await fullWindow(probe, 2)
      const first = await client.message('0')
      check(waiting(client) === WINDOW - 1, `${waiting(client) + 1} are under way`)
      client.send(ack(PUBREC, first.packetId))
      await client.acknowledged(PUBREL, first.packetId)
      await client.ping()
      check(waiting(client) === WINDOW - 1, 'PUBREC lets another one come')
      client.send(ack(PUBCOMP, first.packetId))
      await client.message('1')
      await client.message('2')
    },
  ),
  ...cases(
    { v5: '3.3.4-10 4.9.0-3' },
    `a Receive Maximum of ${WINDOW} that is used up; PINGREQ, SUBSCRIBE, PUBLISH of QoS 1 and 2`,
    'all are answered',
    async probe => {
      const [client] = await fullWindow(probe, 1)
      const topic = probe.topic('other')
      await client.ping()
      await client.subscribe(topic)
      await client.publish(probe.topic('a'), 'x', { qos: 1 })
      await client.publish(probe.topic('a'), 'x', { qos: 2 })
      await client.unsubscribe(topic)
    },
  ),
]
