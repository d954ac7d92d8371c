// Sections 3.1.2.4, 3.1.2.11.2, 3.2.2.1.1 and 4.1: sessions, what is kept of them and for how long.

import { PacketType } from '@godwit/packet'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import type { Client, Probe } from '../probe.ts'

/** A broker may look at its sessions from time to time only. */
const EXPIRED_MS = 3500

/** A kept session with one subscription of QoS 1, whose client is gone. */
async function keptSession(probe: Probe, topic: string): Promise<string> {
  const clientId = probe.id()
  const client = await probe.connectKept(clientId)
  await client.subscribe({ filter: topic, qos: 1 })
  await client.leave()
  return clientId
}

async function publishOnce(probe: Probe, topic: string, payload: string): Promise<Client> {
  const publisher = await probe.connect()
  await publisher.publish(topic, payload, { qos: 1 })
  return publisher
}

export const SESSIONS: readonly Case[] = [
  ...cases(
    { v5: '3.1.2-4 3.1.4-4', v3: '3.1.2-6 3.1.4-3' },
    'CONNECT with a clean start and the client id of a session with a subscription',
    'Session Present is 0 and the subscription is gone',
    async probe => {
      const topic = probe.topic('clean')
      const clientId = await keptSession(probe, topic)
      const again = await probe.connect({ clientId, cleanStart: true })
      check(!again.connack.sessionPresent, 'Session Present is 1')
      await again.silent(await publishOnce(probe, topic, 'x'))
    },
  ),
  ...cases(
    { v5: '3.1.2-5 3.1.2-23', v3: '3.1.2-4' },
    'CONNECT without a clean start and with the client id of a session with a subscription',
    'Session Present is 1 and the subscription is there',
    async probe => {
      const topic = probe.topic('resume')
      const again = await probe.connectKept(await keptSession(probe, topic))
      check(again.connack.sessionPresent, 'Session Present is 0')
      await publishOnce(probe, topic, 'x')
      await again.message('x')
    },
  ),
  ...cases(
    { v5: '3.1.2-6' },
    'CONNECT without a clean start and with a new client id',
    'Session Present is 0; the session works, and is there the next time',
    async probe => {
      const first = await probe.connectKept(probe.id())
      check(!first.connack.sessionPresent, 'Session Present is 1 at first')
      await first.leave()
      const again = await probe.connectKept(first.id)
      check(again.connack.sessionPresent, 'Session Present is 0 the second time')
    },
  ),
  ...cases(
    { v5: '4.5.0-1', v3: '3.1.2-5 4.5.0-1' },
    'messages of QoS 1 and 2 for a client that is connected and for one that is not',
    'both get both',
    async probe => {
      const topic = probe.topic('offline')
      const clientId = probe.id()
      const away = await probe.connectKept(clientId)
      await away.subscribe({ filter: topic, qos: 2 })
      await away.leave()
      const present = await probe.watch(topic, 2)
      const publisher = await probe.connect()
      await publisher.publish(topic, 'one', { qos: 1 })
      await publisher.publish(topic, 'two', { qos: 2 })
      for (const receiver of [present, await probe.connectKept(clientId)]) {
        for (const payload of ['one', 'two']) await receiver.finish(await receiver.message(payload))
      }
    },
  ),
  ...cases(
    { v3: '3.1.2-7' },
    'a retained message of a client whose session ends',
    'it is there for a later subscriber',
    async probe => {
      const topic = probe.topic('stays')
      const publisher = await probe.connect()
      await publisher.publish(topic, 'kept', { qos: 1, retain: true })
      await publisher.leave()
      await (await probe.watch(topic)).message('kept')
      await (await probe.connect()).publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.1.3-2', v3: '3.1.3-2' },
    'two client ids with a session each',
    'each resumes its own',
    async probe => {
      const topics = [probe.topic('one'), probe.topic('two')] as const
      const ids = [
        await keptSession(probe, topics[0]),
        await keptSession(probe, topics[1]),
      ] as const
      const one = await probe.connectKept(ids[0])
      const two = await probe.connectKept(ids[1])
      const publisher = await publishOnce(probe, topics[0], 'for one')
      await one.message('for one')
      await two.silent(publisher)
    },
  ),
  ...cases(
    { v5: '3.2.2-2', v3: '3.2.2-1' },
    'CONNECT with a clean start, without and with a session of that client id',
    'Session Present is 0 with CONNACK 0',
    async probe => {
      const clientId = await keptSession(probe, probe.topic('x'))
      for (const id of [probe.id(), clientId]) {
        const { connack } = await probe.connect({ clientId: id, cleanStart: true })
        check(!connack.sessionPresent, 'Session Present is 1')
      }
    },
  ),
  ...cases(
    { v5: '3.2.2-3', v3: '3.2.2-2' },
    'CONNECT without a clean start, when there is a session',
    'Session Present is 1; also when the session was taken over',
    async probe => {
      const clientId = await keptSession(probe, probe.topic('x'))
      const first = await probe.connectKept(clientId)
      check(first.connack.sessionPresent, 'Session Present is 0')
      const second = await probe.connectKept(clientId)
      check(second.connack.sessionPresent, 'Session Present is 0 after a takeover')
    },
  ),
  ...cases(
    { v3: '3.2.2-3' },
    'CONNECT without a clean session, when there is no session',
    'Session Present is 0',
    async probe => {
      const { connack } = await probe.connectKept(probe.id())
      check(!connack.sessionPresent, 'Session Present is 1')
    },
  ),
  ...cases(
    { v5: '4.1.0-1', v3: '4.1.0-1 4.1.0-2' },
    'a session that ends with its connection: a subscription, then messages one after the other',
    'they come as long as the connection is open',
    async probe => {
      const topic = probe.topic('open')
      const client = await probe.watch(topic, 1)
      for (const payload of ['1', '2', '3']) {
        await publishOnce(probe, topic, payload)
        await client.finish(await client.message(payload))
      }
    },
  ),
  ...cases(
    { v5: '4.1.0-2' },
    'a session with a Session Expiry Interval of 1 s, whose client comes back later',
    'Session Present is 0 and the subscription is gone',
    async probe => {
      const topic = probe.topic('expired')
      const clientId = probe.id()
      const properties = { sessionExpiryInterval: 1 }
      const client = await probe.connect({ clientId, properties })
      await client.subscribe({ filter: topic, qos: 1 })
      await client.leave()
      await probe.elapse(EXPIRED_MS)
      const again = await probe.connectKept(clientId)
      check(!again.connack.sessionPresent, 'Session Present is 1')
      await again.silent(await publishOnce(probe, topic, 'x'))
    },
  ),
  ...cases(
    { v5: '3.14.4-1 3.14.4-2 4.13.2-1' },
    'CONNECT with the client id of a connected client',
    'the old connection gets DISCONNECT of 0x80 or more, nothing behind it, and ends',
    async probe => {
      const topic = probe.topic('end')
      const old = await probe.watch(topic)
      await probe.connect({ clientId: old.id })
      const rest = (await old.wire.end()).map(({ packet }) => packet)
      const at = rest.findIndex(({ type }) => type === PacketType.DISCONNECT)
      check(at < 0 || at === rest.length - 1, 'something comes behind DISCONNECT')
    },
  ),
  ...cases(
    { v5: '3.14.2-1 3.14.2-2' },
    'a takeover, and a second CONNECT',
    'DISCONNECT has a listed reason code and no Session Expiry Interval',
    async probe => {
      const clientId = probe.id()
      const old = await probe.connect({ clientId, properties: { sessionExpiryInterval: 60 } })
      const fresh = await probe.connect({ clientId })
      fresh.send(probe.connectPacket({ clientId }))
      for (const client of [old, fresh]) {
        const disconnect = await client.end()
        const properties = disconnect?.properties ?? {}
        check(properties.sessionExpiryInterval === undefined, 'it has an interval')
      }
    },
  ),
  ...cases(
    { v5: '3.14.2-3 3.14.2-4' },
    'a takeover of a client with a Maximum Packet Size of 40',
    'DISCONNECT is no larger: the Reason String and User Properties are left out',
    async probe => {
      const clientId = probe.id()
      const old = await probe.connect({ clientId, properties: { maximumPacketSize: 40 } })
      await probe.connect({ clientId })
      probe.checkSizes(await old.wire.end(), 40)
    },
  ),
  ...cases(
    { v5: '3.14.0-1' },
    'CONNECT with a reserved flag, and with an unknown authentication method',
    'there is no DISCONNECT',
    async probe => {
      for (const properties of [{ authenticationMethod: 'GODWIT-CONFORMANCE' }]) {
        // Whatever but CONNACK comes before the end is a mismatch.
        await probe.refused(probe.connectPacket({ properties }))
      }
    },
  ),
]
