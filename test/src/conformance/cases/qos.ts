// Sections 4.3, 4.4 and 4.6: the handshakes of QoS 1 and 2 in both roles, resending, order.

import { isReasonCode, PacketType, type PublishPacket } from '@godwit/packet'
import { textOf } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { ack, publish } from '../packets.ts'
import type { Client, Probe } from '../probe.ts'

const { PUBACK, PUBREC, PUBREL, PUBCOMP } = PacketType
const MESSAGES = 30

/** A kept session that has got one message at the QoS and not acknowledged it. */
async function unacknowledged(probe: Probe, qos: 1 | 2): Promise<[Client, PublishPacket]> {
  const topic = probe.topic('flight')
  const client = await probe.connectKept(probe.id())
  await client.subscribe({ filter: topic, qos })
  await (await probe.connect()).publish(topic, 'x', { qos })
  return [client, await client.message('x')]
}

async function again(probe: Probe, client: Client): Promise<Client> {
  client.wire.cut()
  return await probe.connectKept(client.id)
}

/** Nothing comes until PINGRESP. */
async function isQuiet(client: Client): Promise<void> {
  client.send({ type: PacketType.PINGREQ })
  await client.wire.expectNext(PacketType.PINGRESP)
}

/** Two messages under one identifier, `dup` of the second. @returns what a subscriber gets */
async function twice(
  probe: Probe,
  qos: 1 | 2,
  dup: boolean,
  between: (client: Client) => Promise<void>,
): Promise<string[]> {
  const topic = probe.topic('twice')
  const watcher = await probe.watch(topic, 2)
  const client = await probe.connect()
  const answer = qos === 1 ? PUBACK : PUBREC
  client.send(publish(topic, 'one', { qos, packetId: 5 }))
  await client.acknowledged(answer, 5)
  await between(client)
  client.send(publish(topic, 'two', { qos, packetId: 5, dup }))
  await client.acknowledged(answer, 5)
  // A broker may deliver at PUBLISH or at PUBREL.
  if (qos === 2) await client.release(5)
  return (await watcher.messages(client)).map(({ payload }) => textOf(payload))
}

export const QOS: readonly Case[] = [
  ...cases(
    { v5: '3.3.1-1', v3: '3.3.1-1' },
    'a session with an unacknowledged message of QoS 1, whose client comes back',
    'the message comes again, with DUP',
    async probe => {
      const [client, first] = await unacknowledged(probe, 1)
      check(!first.dup, 'the first copy has DUP')
      const second = await (await again(probe, client)).message('x')
      check(second.dup, 'the second copy has no DUP')
    },
  ),
  ...cases(
    { v5: '4.3.2-1 4.3.2-2' },
    'two messages to a subscription of QoS 1',
    'they come with QoS 1, DUP 0 and an identifier of their own',
    async probe => {
      await freshMessages(probe, 1)
    },
  ),
  ...cases(
    { v5: '4.3.2-3', v3: '4.3.2-1' },
    'a message of QoS 1 that is not acknowledged, then acknowledged',
    'it comes again after a new connection until PUBACK, and not after it',
    async probe => {
      const [client, first] = await unacknowledged(probe, 1)
      check(first.qos === 1 && !first.dup && first.packetId > 0, 'the first copy is not in order')
      const second = await again(probe, client)
      const repeated = await second.message('x')
      check(repeated.packetId === first.packetId, 'it has another identifier')
      second.send(ack(PUBACK, repeated.packetId))
      await second.ping()
      await isQuiet(await again(probe, second))
    },
  ),
  ...cases(
    { v5: '4.3.2-4' },
    'PUBLISH of QoS 1 with identifier 65 535',
    'PUBACK with it',
    async probe => {
      const client = await probe.connect()
      await client.publish(probe.topic('x'), 'x', { qos: 1, packetId: 65_535 })
    },
  ),
  ...cases(
    { v5: '4.3.2-5', v3: '4.3.2-2' },
    'after PUBACK, PUBLISH of QoS 1 with the same identifier and DUP',
    'PUBACK; it is a new message',
    async probe => {
      const payloads = await twice(probe, 1, true, async () => undefined)
      check(payloads.join() === 'one,two', `the subscriber gets ${payloads.join()}`)
    },
  ),
  ...cases(
    { v5: '4.3.3-1 4.3.3-2' },
    'two messages to a subscription of QoS 2',
    'they come with QoS 2, DUP 0 and an identifier of their own',
    async probe => {
      await freshMessages(probe, 2)
    },
  ),
  ...cases(
    { v5: '4.3.3-3' },
    'a message of QoS 2 without PUBREC, whose subscriber comes back',
    'PUBLISH comes again, with its identifier',
    async probe => {
      const [client, first] = await unacknowledged(probe, 2)
      const second = await (await again(probe, client)).message('x')
      check(second.packetId === first.packetId, 'it has another identifier')
    },
  ),
  ...cases(
    { v5: '4.3.3-4' },
    'PUBREC for a message of QoS 2',
    'PUBREL with its identifier',
    async probe => {
      const [client, { packetId }] = await unacknowledged(probe, 2)
      client.send(ack(PUBREC, packetId))
      await client.acknowledged(PUBREL, packetId)
    },
  ),
  ...cases(
    { v5: '4.3.3-5 4.3.3-6', v3: '4.3.3-1' },
    'a message of QoS 2 with PUBREC and without PUBCOMP, whose subscriber comes back',
    'PUBREL comes again and PUBLISH does not; after PUBCOMP neither does',
    async probe => {
      const [client, { packetId }] = await unacknowledged(probe, 2)
      client.send(ack(PUBREC, packetId))
      await client.acknowledged(PUBREL, packetId)
      const second = await again(probe, client)
      const { packetId: other } = await second.wire.expectNext(PUBREL)
      check(other === packetId, `PUBREL has ${other}`)
      second.send(ack(PUBCOMP, packetId))
      await second.ping()
      await isQuiet(await again(probe, second))
    },
  ),
  ...cases(
    { v5: '4.3.3-7' },
    'a message of QoS 2 that expires after 1 s and was sent; its subscriber comes back later',
    'it comes again all the same',
    async probe => {
      const topic = probe.topic('expiry')
      const client = await probe.connectKept(probe.id())
      await client.subscribe({ filter: topic, qos: 2 })
      const properties = { messageExpiryInterval: 1 }
      await (await probe.connect()).publish(topic, 'x', { qos: 2, properties })
      await client.message('x')
      client.wire.cut()
      await probe.elapse(2200)
      await (await probe.connectKept(client.id)).message('x')
    },
  ),
  ...cases(
    { v5: '4.3.3-8' },
    'PUBLISH of QoS 2 with identifier 77',
    'PUBREC with it',
    async probe => {
      const client = await probe.connect()
      client.send(publish(probe.topic('x'), 'x', { qos: 2, packetId: 77 }))
      await client.acknowledged(PUBREC, 77)
    },
  ),
  ...cases(
    { v5: '4.3.3-9' },
    'PUBLISH of QoS 2 that PUBREC refuses, then another with its identifier',
    'the second one is a new message',
    async probe => {
      const client = await probe.connect()
      client.send(publish('$SYS/broker/version', 'x', { qos: 2, packetId: 5 }))
      let refused: number
      try {
        refused = (await client.acknowledged(PUBREC, 5)).reasonCode
      } catch (error) {
        if (client.wire.ended) probe.notApplicable('the broker ends the connection instead')
        throw error
      }
      if (refused < 0x80) probe.notApplicable('nothing is found that the broker refuses so')
      const topic = probe.topic('free')
      const watcher = await probe.watch(topic)
      await client.publish(topic, 'new', { qos: 2, packetId: 5 })
      await watcher.message('new')
    },
  ),
  ...cases(
    { v5: '4.3.3-10', v3: '4.3.3-2' },
    'PUBLISH of QoS 2 twice with the same identifier, before PUBREL; then PUBREL',
    'PUBREC twice, PUBCOMP; the message is delivered once',
    async probe => {
      const payloads = await twice(probe, 2, true, async () => undefined)
      check(payloads.length === 1, `the subscriber gets ${payloads.join()}`)
    },
  ),
  ...cases({ v5: '4.3.3-11' }, 'PUBREL', 'PUBCOMP with its identifier', async probe => {
    await (await probe.connect()).publish(probe.topic('x'), 'x', { qos: 2, packetId: 258 })
  }),
  ...cases(
    { v5: '4.3.3-12', v3: '4.3.3-2' },
    'after PUBCOMP, PUBLISH of QoS 2 with the same identifier',
    'it is a new message',
    async probe => {
      const payloads = await twice(probe, 2, false, async client => {
        await client.release(5)
      })
      check(payloads.join() === 'one,two', `the subscriber gets ${payloads.join()}`)
    },
  ),
  ...cases(
    { v5: '4.3.3-13' },
    'PUBLISH of QoS 2 that expires after 1 s; PUBREL 2 s later',
    'PUBCOMP',
    async probe => {
      const client = await probe.connect()
      const properties = { messageExpiryInterval: 1 }
      client.send(publish(probe.topic('x'), 'x', { qos: 2, packetId: 9, properties }))
      await client.acknowledged(PUBREC, 9)
      await probe.elapse(2200)
      await client.release(9)
    },
  ),
  ...cases(
    { v5: '4.4.0-1', v3: '4.4.0-1' },
    'unacknowledged messages of QoS 1 and 2; one at PUBREC; the client comes back',
    'PUBLISH and PUBREL come again with their identifiers, and not before',
    async probe => {
      const topic = probe.topic('resend')
      const client = await probe.connectKept(probe.id())
      await client.subscribe({ filter: topic, qos: 2 })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'one', { qos: 1 })
      await publisher.publish(topic, 'two', { qos: 2 })
      await publisher.publish(topic, 'three', { qos: 2 })
      const ids: number[] = []
      for (const payload of ['one', 'two', 'three']) {
        ids.push((await client.message(payload)).packetId)
      }
      client.send(ack(PUBREC, ids[2] ?? 0))
      await client.acknowledged(PUBREL, ids[2] ?? 0)
      await isQuiet(client)
      const second = await again(probe, client)
      check((await second.message('one')).packetId === ids[0], 'the identifier is another')
      check((await second.message('two')).packetId === ids[1], 'the identifier is another')
      await second.acknowledged(PUBREL, ids[2] ?? 0)
      await isQuiet(second)
    },
  ),
  ...cases(
    { v5: '4.4.0-2' },
    'PUBACK and PUBREC of 0x80 for messages; the client comes back',
    'they do not come again',
    async probe => {
      const topic = probe.topic('refused')
      const client = await probe.connectKept(probe.id())
      await client.subscribe({ filter: topic, qos: 2 })
      const publisher = await probe.connect()
      await publisher.publish(topic, 'one', { qos: 1 })
      await publisher.publish(topic, 'two', { qos: 2 })
      client.send(ack(PUBACK, (await client.message('one')).packetId, 0x80))
      client.send(ack(PUBREC, (await client.message('two')).packetId, 0x80))
      await client.ping()
      await isQuiet(await again(probe, client))
    },
  ),
  ...cases(
    { v5: '4.6.0-5 4.6.0-6', v3: '4.6.0-5 4.6.0-6' },
    `${MESSAGES} messages of each QoS to one topic, as fast as possible`,
    'those of one QoS come in their order',
    async probe => {
      const topic = probe.topic('order')
      const watcher = await probe.watch(topic, 2)
      const publisher = await probe.connect()
      for (let i = 1; i <= MESSAGES; i++) {
        for (const qos of [0, 1, 2] as const) {
          const packetId = qos * 1000 + i
          publisher.send(publish(topic, `${i}`, { qos, packetId: qos === 0 ? 0 : packetId }))
          if (qos === 2) publisher.send(ack(PUBREL, packetId))
        }
      }
      const last = [0, 0, 0]
      for (let i = 0; i < MESSAGES * 3; i++) {
        const message = await watcher.message()
        const number = Number(textOf(message.payload))
        const before = last[message.qos] ?? 0
        check(number > before, `${number} comes behind ${before} at QoS ${message.qos}`)
        last[message.qos] = number
        await watcher.finish(message)
      }
    },
  ),
  ...cases(
    { v5: '3.4.2-1 3.5.2-1' },
    'messages of QoS 1 and 2 to a topic that nobody subscribes to',
    'PUBACK and PUBREC have listed reason codes',
    async probe => {
      const client = await probe.connect()
      for (const qos of [1, 2] as const) {
        const answer = await client.publish(probe.topic('nobody'), 'x', { qos })
        const code = answer?.reasonCode ?? 0
        check(isReasonCode(answer?.type ?? PUBACK, code, 5), `the code is ${code}`)
      }
    },
  ),
  ...cases(
    { v5: '3.6.2-1 3.7.2-1' },
    'PUBREC and PUBREL for identifiers that nobody has',
    'PUBREL and PUBCOMP have a listed reason code (0x92 or 0), or the connection ends',
    async probe => {
      const pairs = [
        [PUBREC, PUBREL],
        [PUBREL, PUBCOMP],
      ] as const
      for (const [sent, wanted] of pairs) {
        const client = await probe.connect()
        client.send(ack(sent, 999))
        try {
          const { reasonCode } = await client.acknowledged(wanted, 999)
          check([0, 0x92].includes(reasonCode), `the code is ${reasonCode}`)
        } catch (error) {
          if (!client.wire.ended) throw error
        }
      }
    },
  ),
]

async function freshMessages(probe: Probe, qos: 1 | 2): Promise<void> {
  const topic = probe.topic('fresh')
  const watcher = await probe.watch(topic, qos)
  const publisher = await probe.connect()
  const ids = new Set<number>()
  for (const payload of ['one', 'two']) {
    await publisher.publish(topic, payload, { qos })
    const message = await watcher.message(payload)
    check(message.qos === qos && !message.dup, `it has QoS ${message.qos}, DUP ${message.dup}`)
    ids.add(message.packetId)
  }
  check(ids.size === 2, 'both have the same identifier')
}
