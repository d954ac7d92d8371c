// Section 4.8.2: shared subscriptions.

import { PacketType, type QoS } from '@godwit/packet'
import { field, frame, uint16 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check, NoAnswer } from '../outcome.ts'
import { ack } from '../packets.ts'
import type { Client, Probe } from '../probe.ts'

const { PUBACK, PUBREC, SUBACK } = PacketType

async function refuses(probe: Probe, filters: readonly string[]): Promise<void> {
  await needsShared(probe)
  for (const filter of filters) {
    const client = await probe.connect()
    client.send(frame(0x82, uint16(1), 0, field(filter), 0))
    try {
      const { reasonCodes } = await client.wire.expect(SUBACK)
      check((reasonCodes[0] ?? 0) >= 0x80, `"${filter}" is granted`)
    } catch (error) {
      if (!client.wire.ended) throw error
    }
  }
}

async function needsShared(probe: Probe): Promise<void> {
  const { connack } = await probe.connect()
  if (connack.properties.sharedSubscriptionAvailable === 0) {
    probe.notApplicable('CONNACK says that there are no shared subscriptions')
  }
}

/** Two members of one group, with kept sessions, and a message that one of them has got. */
async function group(probe: Probe, qos: QoS) {
  await needsShared(probe)
  const topic = probe.topic('shared', probe.id())
  const members: Client[] = []
  for (let i = 0; i < 2; i++) {
    const member = await probe.connectKept(probe.id())
    await member.subscribe({ filter: `$share/group/${topic}`, qos })
    members.push(member)
  }
  const [one, two] = members as [Client, Client]
  const publisher = await probe.connect()
  await publisher.publish(topic, 'x', { qos })
  const untilMs = performance.now() + probe.limitMs
  while (performance.now() < untilMs) {
    for (const member of members) {
      await member.ping()
      if (!member.wire.inbox.some(({ packet }) => packet.type === PacketType.PUBLISH)) continue
      return { taker: member, other: member === one ? two : one, publisher }
    }
  }
  throw new NoAnswer('no member of the group gets the message')
}

export const SHARED: readonly Case[] = [
  ...cases(
    { v5: '4.8.2-1' },
    'SUBSCRIBE to "$share//a"',
    'SUBACK refuses it, or the connection ends',
    async probe => {
      await refuses(probe, ['$share//a'])
    },
  ),
  ...cases(
    { v5: '4.8.2-2' },
    'SUBSCRIBE to "$share/g+/a", "$share/g#/a", "$share/g" and "$share/g/"',
    'SUBACK refuses them, or the connection ends',
    async probe => {
      await refuses(probe, ['$share/g+/a', '$share/g#/a', '$share/g', '$share/g/'])
    },
  ),
  ...cases(
    { v5: '4.8.2-3' },
    'a shared subscription of QoS 0 and one of QoS 1 in groups of their own, a message of QoS 2',
    'it comes at QoS 0 and at QoS 1',
    async probe => {
      await needsShared(probe)
      const topic = probe.topic('shared')
      const publisher = await probe.connect()
      for (const granted of [0, 1] as const) {
        const member = await probe.watch(`$share/g${granted}/${topic}`, granted)
        await publisher.publish(topic, 'x', { qos: 2 })
        const message = await member.message('x')
        check(message.qos === granted, `QoS 2 to ${granted} comes at ${message.qos}`)
        await member.finish(message)
      }
    },
  ),
  ...cases(
    { v5: '4.8.2-4' },
    'a shared message of QoS 2 that one member has got, whose client goes and comes back',
    'the same member gets it again and finishes it; the other never gets it',
    async probe => {
      const { taker, other, publisher } = await group(probe, 2)
      const first = await taker.message('x')
      taker.wire.cut()
      await other.silent(publisher)
      const again = await probe.connectKept(taker.id)
      const second = await again.message('x')
      check(second.packetId === first.packetId, 'it has another identifier')
      await again.finish(second)
      await other.silent(publisher)
    },
  ),
  ...cases(
    { v5: '4.8.2-5' },
    'a shared message of QoS 2 that one member has got, whose session ends before PUBREC',
    'the other does not get it',
    async probe => {
      const { taker, other, publisher } = await group(probe, 2)
      await taker.message('x')
      await taker.leave(0, { sessionExpiryInterval: 0 })
      await other.silent(publisher)
    },
  ),
  ...cases(
    { v5: '4.8.2-6' },
    'a shared message of QoS 1, and one of QoS 2, that a member refuses with 0x80',
    'no other member gets it',
    async probe => {
      for (const qos of [1, 2] as const) {
        const { taker, other, publisher } = await group(probe, qos)
        const { packetId } = await taker.message('x')
        taker.send(ack(qos === 1 ? PUBACK : PUBREC, packetId, 0x80))
        await taker.ping()
        await other.silent(publisher)
        await taker.leave()
        await other.leave()
      }
    },
  ),
]
