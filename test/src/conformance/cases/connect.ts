// Sections 3.1 and 3.2: what a CONNECT may say, who is let in, CONNACK. Sessions and wills are in
// files of their own.

import { encodePacket as encode, isReasonCode, PacketType } from '@godwit/packet'
import { field, frame, uint16 } from '../bytes.ts'
import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { publish, willOf } from '../packets.ts'
import type { Probe } from '../probe.ts'

const UNKNOWN_METHOD = 'GODWIT-CONFORMANCE'
const FLAG = { clean: 2, will: 4, willRetain: 0x20, password: 0x40, username: 0x80 }

/** CONNECT by hand: its flags, then whatever is to follow the client id. */
function connectFrame(probe: Probe, flags: number, ...rest: readonly number[][]): Uint8Array {
  const properties = probe.v5 ? [0] : []
  const head = [...field('MQTT'), probe.level, flags, ...uint16(0), ...properties]
  return frame(0x10, head, field(probe.id()), rest.flat())
}

function willFields(probe: Probe): number[] {
  return [...(probe.v5 ? [0] : []), ...field(probe.topic('will')), ...field('gone')]
}

async function refusesEach(probe: Probe, frames: readonly Uint8Array[]): Promise<void> {
  await Promise.all(frames.map(bytes => probe.refused(bytes)))
}

/** CONNECT with an authentication method that no broker knows. */
function unknownMethod(probe: Probe, clientId: string, properties = {}): Uint8Array {
  const all = { authenticationMethod: UNKNOWN_METHOD, ...properties }
  return encode(probe.connectPacket({ clientId, properties: all }), probe.level)
}

export const CONNECT: readonly Case[] = [
  ...cases(
    { v5: '3.1.0-1', v3: '3.1.0-1' },
    'PINGREQ, and PUBLISH, as the first packet',
    'each ends the connection',
    async probe => {
      for (const first of [
        frame(0xc0),
        frame(0x30, field(probe.topic('x')), probe.v5 ? [0] : []),
      ]) {
        const wire = await probe.open()
        wire.send(first)
        await wire.end()
      }
    },
  ),
  ...cases(
    { v5: '3.1.0-2', v3: '3.1.0-2' },
    'a second CONNECT',
    'the connection ends',
    async probe => {
      const clientId = probe.id()
      const client = await probe.connect({ clientId })
      client.send(probe.connectPacket({ clientId }))
      await client.end()
    },
  ),
  ...cases(
    { v5: '3.1.2-1', v3: '3.1.2-1' },
    'CONNECT with the protocol name "MQTX"',
    'it is not let in: CONNACK with a refusal, or nothing, then the end',
    async probe => {
      const properties = probe.v5 ? [0] : []
      const head = [...field('MQTX'), probe.level, 2, ...uint16(0), ...properties]
      const connack = await probe.refused(frame(0x10, head, field(probe.id())))
      const codes = probe.v5 ? [0x84, 1] : [1, 0x84]
      check(!connack || codes.includes(connack.reasonCode), `the code is ${connack?.reasonCode}`)
    },
  ),
  ...cases(
    { v5: '3.1.2-2' },
    'CONNECT with the protocol version 6',
    'CONNACK 0x84 (in the words of 3.1.1: 0x01), or nothing, then the end',
    async probe => {
      const head = [...field('MQTT'), 6, 2, ...uint16(0), 0]
      const connack = await probe.refused(frame(0x10, head, field(probe.id())))
      check(!connack || [0x84, 1].includes(connack.reasonCode), `it is ${connack?.reasonCode}`)
    },
  ),
  ...cases(
    { v3: '3.2.2-5' },
    'CONNECT with the protocol level 2',
    'a CONNACK that refuses it is followed by the end',
    async probe => {
      const head = [...field('MQTT'), 2, 2, ...uint16(0)]
      await probe.refused(frame(0x10, head, field(probe.id())))
    },
  ),
  ...cases(
    { v3: '3.1.2-2' },
    'CONNECT with the protocol level 2',
    'CONNACK 0x01, then the end',
    async probe => {
      const head = [...field('MQTT'), 2, 2, ...uint16(0)]
      const connack = await probe.refused(frame(0x10, head, field(probe.id())))
      check(connack !== null, 'there is no CONNACK')
      check(connack.reasonCode === 1, `the code is ${connack.reasonCode}`)
    },
  ),
  ...cases(
    { v5: '3.1.2-3', v3: '3.1.2-3' },
    'CONNECT with the reserved flag',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean | 1))
    },
  ),
  ...cases(
    { v5: '3.1.2-9' },
    'CONNECT with Will Flag 1 and no will topic, or no will payload',
    'neither is let in',
    async probe => {
      const flags = FLAG.clean | FLAG.will
      await refusesEach(probe, [
        connectFrame(probe, flags, [0]),
        connectFrame(probe, flags, [0], field('will')),
      ])
    },
  ),
  ...cases(
    { v5: '3.1.2-11' },
    'CONNECT with a will QoS and no will',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean | 8))
    },
  ),
  ...cases(
    { v5: '3.1.2-12', v3: '3.1.2-14' },
    'CONNECT with will QoS 3',
    'it is not let in',
    async probe => {
      const flags = FLAG.clean | FLAG.will | 0x18
      await probe.refused(connectFrame(probe, flags, willFields(probe)))
    },
  ),
  ...cases(
    { v5: '3.1.2-13' },
    'CONNECT with Will Retain and no will',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean | FLAG.willRetain))
    },
  ),
  ...cases(
    { v5: '3.1.2-16', v3: '3.1.2-18' },
    'CONNECT with a user name that it does not announce',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean, field('user')))
    },
  ),
  ...cases(
    { v5: '3.1.2-17', v3: '3.1.2-19' },
    'CONNECT that announces a user name and has none',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean | FLAG.username))
    },
  ),
  ...cases(
    { v5: '3.1.2-18', v3: '3.1.2-20' },
    'CONNECT with a password that it does not announce',
    'it is not let in',
    async probe => {
      const flags = FLAG.clean | FLAG.username
      await probe.refused(connectFrame(probe, flags, field('user'), field('secret')))
    },
  ),
  ...cases(
    { v5: '3.1.2-19', v3: '3.1.2-21' },
    'CONNECT that announces a password and has none',
    'it is not let in',
    async probe => {
      const flags = FLAG.clean | FLAG.username | FLAG.password
      await probe.refused(connectFrame(probe, flags, field('user')))
    },
  ),
  ...cases(
    { v3: '3.1.2-22' },
    'CONNECT with a password and no user name',
    'it is not let in',
    async probe => {
      await probe.refused(connectFrame(probe, FLAG.clean | FLAG.password, field('secret')))
    },
  ),
  ...cases(
    { v5: '3.1.2-28' },
    'CONNECT without Request Response Information, and with 0',
    'CONNACK has no Response Information',
    async probe => {
      for (const properties of [{}, { requestResponseInformation: 0 }]) {
        const { connack } = await probe.connect({ properties })
        check(connack.properties.responseInformation === undefined, 'it has one')
      }
    },
  ),
  ...cases(
    { v5: '3.1.3-5', v3: '3.1.3-5' },
    'CONNECT with client ids of 1 and of 23 letters and digits',
    'both are let in',
    async probe => {
      const long = `${probe.id()}ABCDEFGHIJKLMNOPQRSTUVWXYZ`.slice(0, 23)
      for (const clientId of ['Z', long]) await probe.connect({ clientId })
    },
  ),
  ...cases(
    { v5: '3.1.3-6 3.2.2-16' },
    'two CONNECTs without client id',
    'each gets an assigned client id of its own',
    async probe => {
      const [one, other] = [await anonymous(probe), await anonymous(probe)]
      check(one.id !== '' && other.id !== '', 'there is no assigned client id')
      check(one.id !== other.id, `both are "${one.id}"`)
      await one.ping()
    },
  ),
  ...cases(
    { v5: '3.1.3-7' },
    'CONNECT without client id and with a session expiry, then with the id that was assigned',
    'the session is resumed',
    async probe => {
      const first = await anonymous(probe, { sessionExpiryInterval: 60 })
      first.wire.cut()
      const again = await probe.connectKept(first.id)
      check(again.connack.sessionPresent, 'Session Present is 0')
    },
  ),
  ...cases(
    { v3: '3.1.3-6' },
    'two CONNECTs without client id and with a clean session',
    'both are let in and neither ends the other',
    async probe => {
      const one = await probe.connect({ clientId: '' })
      const other = await probe.connect({ clientId: '' })
      await one.ping()
      await other.ping()
    },
  ),
  ...cases(
    { v3: '3.1.3-9' },
    'CONNECT without client id and without a clean session, which some brokers take',
    'if it is refused, then with CONNACK 0x02',
    async probe => {
      const wire = await probe.open()
      wire.send(frame(0x10, field('MQTT'), 4, 0, uint16(0), field('')))
      const { reasonCode } = await wire.expect(PacketType.CONNACK)
      if (reasonCode === 0) probe.notApplicable('the broker does not refuse that client id')
      check(reasonCode === 2, `the code is ${reasonCode}`)
      await wire.end()
    },
  ),
  ...cases(
    { v3: '3.1.3-8' },
    'CONNECT without client id and without a clean session',
    'CONNACK 0x02, then the end',
    async probe => {
      const head = [...field('MQTT'), 4, 0, ...uint16(0)]
      const connack = await probe.refused(frame(0x10, head, field('')))
      check(connack !== null, 'there is no CONNACK')
      check(connack.reasonCode === 2, `the code is ${connack.reasonCode}`)
    },
  ),
  ...cases(
    { v5: '3.1.4-1' },
    'CONNECT that ends in the middle, that has bytes behind its end, or an unknown property',
    'none is let in',
    async probe => {
      const head = [...field('MQTT'), 5, 2, ...uint16(0)]
      await refusesEach(probe, [
        frame(0x10, head, 0, [0, 9, 0x61]),
        frame(0x10, head, 0, field(probe.id()), [1, 2, 3]),
        frame(0x10, head, [2, 0x7f, 1], field(probe.id())),
        frame(0x10, head, [5, 0x02, 0, 0, 0, 1], field(probe.id())),
      ])
    },
  ),
  ...cases(
    { v3: '3.2.2-6' },
    'CONNECT that ends in the middle, for which there is no return code',
    'the connection ends, without CONNACK',
    async probe => {
      const cut = frame(0x10, field('MQTT'), 4, 2, uint16(0), [0, 9, 0x61])
      check((await probe.refused(cut)) === null, 'there is a CONNACK')
    },
  ),
  ...cases(
    { v3: '3.1.4-1' },
    'CONNECT that ends in the middle, that has bytes behind its end, or whose flags are wrong',
    'each ends the connection, without CONNACK',
    async probe => {
      const head = [...field('MQTT'), 4, 2, ...uint16(0)]
      const wrong = [
        frame(0x10, head, [0, 9, 0x61]),
        frame(0x10, head, field(probe.id()), [1, 2, 3]),
        connectFrame(probe, FLAG.clean | FLAG.willRetain),
      ]
      for (const bytes of wrong) {
        check((await probe.refused(bytes)) === null, 'there is a CONNACK')
      }
    },
  ),
  ...cases(
    { v5: '3.1.4-3', v3: '3.1.4-2' },
    'CONNECT with the client id of a connected client',
    'the old connection ends; what DISCONNECT it gets in MQTT 5.0 has 0x8E',
    async probe => {
      const clientId = probe.id()
      const old = await probe.connect({ clientId })
      const fresh = await probe.connect({ clientId })
      const code = (await old.end())?.reasonCode
      check(code === undefined || code === 0x8e, `DISCONNECT has ${code}`)
      await fresh.ping()
    },
  ),
  ...cases(
    { v5: '3.1.4-5', v3: '3.1.4-4' },
    'a CONNECT that is in order',
    'CONNACK 0',
    async probe => {
      await probe.connect()
    },
  ),
  ...cases(
    { v5: '3.1.4-6', v3: '3.1.4-5' },
    'CONNECT with a reserved flag and PUBLISH, in one write',
    'the message reaches nobody',
    async probe => {
      const topic = probe.topic('after')
      const watcher = await probe.watch(topic)
      const wire = await probe.open()
      wire.send(connectFrame(probe, FLAG.clean | 1), publish(topic, 'x'))
      await wire.end()
      await watcher.silent(await probe.connect())
    },
  ),
  ...cases(
    { v5: '3.2.0-1', v3: '3.2.0-1' },
    'CONNECT that resumes a session with messages, and PINGREQ, in one write',
    'CONNACK comes first',
    async probe => {
      const topic = probe.topic('first')
      const clientId = probe.id()
      const before = await probe.connectKept(clientId)
      await before.subscribe({ filter: topic, qos: 1 })
      before.wire.cut()
      await (await probe.connect()).publish(topic, 'x', { qos: 1 })
      const wire = await probe.open()
      const properties = probe.v5 ? { sessionExpiryInterval: 60 } : {}
      const connect = probe.connectPacket({ clientId, cleanStart: false, properties })
      wire.send(connect, { type: PacketType.PINGREQ })
      await wire.expectNext(PacketType.CONNACK)
      await wire.expect(PacketType.PUBLISH)
      await wire.expect(PacketType.PINGRESP)
    },
  ),
  ...cases(
    { v5: '3.2.0-2' },
    'CONNECT, then packets of all kinds',
    'there is no second CONNACK',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('once')
      await client.subscribe(topic)
      await client.publish(topic, 'x', { qos: 2 })
      await client.ping()
      const second = client.wire.inbox.some(({ packet }) => packet.type === PacketType.CONNACK)
      check(!second, 'there is')
    },
  ),
  ...cases(
    { v5: '3.2.2-1' },
    'CONNECTs that start and resume a session',
    'bits 7 to 1 of the flags of CONNACK are 0',
    async probe => {
      const clientId = probe.id()
      for (let i = 0; i < 2; i++) {
        const wire = await probe.open()
        const properties = { sessionExpiryInterval: 60 }
        wire.send(probe.connectPacket({ clientId, cleanStart: false, properties }))
        const { bytes } = await wire.receive('CONNACK', () => true)
        check(((bytes[2] ?? 0) & 0xfe) === 0, `the flags are ${bytes[2]}`)
        wire.cut()
      }
    },
  ),
  ...cases(
    { v5: '3.2.2-6' },
    'CONNECT with an unknown authentication method and the client id of a session',
    'Session Present is 0 in the refusal',
    async probe => {
      const { id, wire } = await probe.connectKept(probe.id())
      wire.cut()
      const connack = await probe.refused(unknownMethod(probe, id))
      check(!connack?.sessionPresent, 'Session Present is 1')
    },
  ),
  ...cases(
    { v3: '3.2.2-4' },
    'CONNECT with the protocol level 2 and the client id of a session',
    'Session Present is 0 in the refusal',
    async probe => {
      const { id, wire } = await probe.connectKept(probe.id())
      wire.cut()
      const head = [...field('MQTT'), 2, 0, ...uint16(0)]
      const connack = await probe.refused(frame(0x10, head, field(id)))
      check(!connack?.sessionPresent, 'Session Present is 1')
    },
  ),
  ...cases(
    { v5: '3.2.2-7 4.12.0-1' },
    'CONNECT with an unknown authentication method',
    'CONNACK 0x8C or 0x87, or nothing, then the end',
    async probe => {
      const connack = await probe.refused(unknownMethod(probe, probe.id()))
      const code = connack?.reasonCode
      check(code === undefined || code === 0x8c || code === 0x87, `the code is ${code}`)
    },
  ),
  ...cases(
    { v5: '3.2.2-8' },
    'CONNECTs that are refused for a malformed packet, the version, the method',
    'the reason codes of CONNACK are among the listed ones',
    async probe => {
      const head = [...field('MQTT'), 6, 2, ...uint16(0), 0]
      for (const bytes of [
        connectFrame(probe, FLAG.clean | 1),
        frame(0x10, head, field(probe.id())),
        unknownMethod(probe, probe.id()),
      ]) {
        const connack = await probe.refused(bytes)
        const code = connack?.reasonCode ?? 0
        check(code < 6 || isReasonCode(PacketType.CONNACK, code, 5), `the code is ${code}`)
      }
    },
  ),
  ...cases(
    { v5: '3.2.2-9' },
    'CONNECT, then PUBLISH of QoS 1 and 2 as far as CONNACK allows them',
    'they are acknowledged',
    async probe => {
      const client = await probe.connect()
      const most = client.connack.properties.maximumQoS ?? 2
      const topic = probe.topic('qos')
      if (most > 0) await client.publish(topic, 'x', { qos: 1 })
      if (most > 1) await client.publish(topic, 'x', { qos: 2 })
    },
  ),
  ...cases({ v5: '3.2.2-10' }, 'SUBSCRIBE with QoS 2', 'it is granted at some QoS', async probe => {
    await probe.watch(probe.topic('any'), 2)
  }),
  ...cases(
    { v5: '3.2.2-12' },
    'CONNECT with a will of QoS 2',
    'CONNACK 0x9B where QoS 2 is not supported',
    async probe => {
      const { connack } = await probe.connect()
      const { maximumQoS = 2 } = connack.properties
      if (maximumQoS === 2) probe.notApplicable('CONNACK says nothing of a Maximum QoS')
      const packet = probe.connectPacket({ will: willOf(probe.topic('w'), 'x', { qos: 2 }) })
      const refusal = await probe.refused(packet)
      check(!refusal || refusal.reasonCode === 0x9b, `the code is ${refusal?.reasonCode}`)
    },
  ),
  ...cases(
    { v5: '3.2.2-13' },
    'CONNECT with a retained will',
    'CONNACK 0x9A where retained messages are not supported',
    async probe => {
      const { connack } = await probe.connect()
      const { retainAvailable = 1 } = connack.properties
      if (retainAvailable === 1) probe.notApplicable('CONNACK says that Retain is available')
      const packet = probe.connectPacket({ will: willOf(probe.topic('w'), 'x', { retain: true }) })
      const refusal = await probe.refused(packet)
      check(!refusal || refusal.reasonCode === 0x9a, `the code is ${refusal?.reasonCode}`)
    },
  ),
  ...cases(
    { v5: '3.2.2-19 3.2.2-20' },
    'CONNECT with an unknown authentication method and a Maximum Packet Size of 24',
    'CONNACK is no larger: the Reason String and User Properties are left out',
    async probe => {
      const wire = await probe.open()
      wire.send(unknownMethod(probe, probe.id(), { maximumPacketSize: 24 }))
      probe.checkSizes(await wire.end(), 24)
    },
  ),
  ...cases(
    { v5: '4.12.0-6' },
    'CONNECT without an authentication method',
    'there is no AUTH, and no method in CONNACK',
    async probe => {
      const { connack, wire } = await probe.connect()
      check(connack.properties.authenticationMethod === undefined, 'CONNACK has a method')
      wire.send({ type: PacketType.PINGREQ })
      await wire.expectNext(PacketType.PINGRESP)
    },
  ),
  ...cases(
    { v5: '3.1.2-22', v3: '3.1.2-24' },
    'CONNECT with a keep alive of 1 s, then nothing',
    'the connection ends, in MQTT 5.0 perhaps with DISCONNECT 0x8D, and the will goes out',
    async probe => {
      const topic = probe.topic('silent')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ keepAliveSeconds: 1, will: willOf(topic, 'gone') })
      const seconds = client.connack.properties.serverKeepAlive ?? 1
      if (seconds > 1) probe.notApplicable(`the broker sets a keep alive of ${seconds} s`)
      await client.wire.endInSilence()
      await watcher.message('gone')
    },
  ),
  ...cases(
    { v5: '3.2.2-22' },
    'CONNECT with a keep alive of 1 s, answered without Server Keep Alive, then nothing',
    'the connection ends after the keep alive of the client',
    async probe => {
      const { connack, wire } = await probe.connect({ keepAliveSeconds: 1 })
      if (connack.properties.serverKeepAlive !== undefined) {
        probe.notApplicable('the broker sends a Server Keep Alive')
      }
      await wire.endInSilence()
    },
  ),
]

function anonymous(probe: Probe, properties = {}) {
  return probe.connect({ clientId: '', properties })
}
