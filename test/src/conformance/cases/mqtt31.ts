// MQTT 3.1, which has no statements with ids: what differs from 3.1.1, by the section of its text.

import { PacketType } from '@godwit/packet'
import { field, frame, uint16 } from '../bytes.ts'
import type { Case } from '../case.ts'
import { check } from '../outcome.ts'
import { publish } from '../packets.ts'
import type { Probe } from '../probe.ts'

function old(id: string, sends: string, expects: string, run: (probe: Probe) => Promise<void>) {
  return { id, standard: 'v31', level: 3, sends, expects, run } as const
}

export const MQTT_31: readonly Case[] = [
  old(
    '3.1-name',
    'CONNECT with the name "MQIsdp" and version 3',
    'CONNACK 0, whose first byte behind the length is 0',
    async probe => {
      const wire = await probe.open()
      wire.send(probe.connectPacket())
      const { bytes } = await wire.receive('CONNACK', () => true)
      check(bytes.join() === '32,2,0,0', `it is ${bytes.join()}`)
    },
  ),
  old(
    '3.1-version',
    'CONNECT with the name "MQIsdp" and version 4',
    'it is not let in; what CONNACK it gets has 0x01',
    async probe => {
      const wrong = frame(0x10, field('MQIsdp'), 4, 2, uint16(0), field(probe.id()))
      const code = (await probe.refused(wrong))?.reasonCode
      check(code === undefined || code === 1, `the code is ${code}`)
    },
  ),
  old(
    '3.1-user-name',
    'CONNECT that announces a user name and a password and ends without them',
    'it is let in: the remaining length takes precedence over the flags',
    async probe => {
      const wire = await probe.open()
      wire.send(frame(0x10, field('MQIsdp'), 3, 0xc2, uint16(0), field(probe.id())))
      const { reasonCode } = await wire.expect(PacketType.CONNACK)
      if (reasonCode === 4 || reasonCode === 5) probe.notApplicable('the broker wants a user name')
      check(reasonCode === 0, `the code is ${reasonCode}`)
    },
  ),
  old(
    '3.8-dup',
    'SUBSCRIBE, PUBREL and UNSUBSCRIBE with the DUP flag, as MQTT 3.1 sends them again',
    'SUBACK, PUBCOMP, UNSUBACK',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('dup')
      client.send(frame(0x8a, uint16(1), field(topic), 1))
      await client.wire.expect(PacketType.SUBACK)
      client.send(publish(topic, 'x', { qos: 2, packetId: 2 }))
      await client.acknowledged(PacketType.PUBREC, 2)
      client.send(frame(0x6a, uint16(2)))
      await client.acknowledged(PacketType.PUBCOMP, 2)
      client.send(frame(0xaa, uint16(3), field(topic)))
      await client.wire.expect(PacketType.UNSUBACK)
    },
  ),
  old(
    '4.1-flows',
    'messages of QoS 0, 1 and 2 to oneself, and a retained one',
    'they come at their QoS; all handshakes come to their end',
    async probe => {
      const client = await probe.connect()
      const topic = probe.topic('flows')
      await client.subscribe({ filter: topic, qos: 2 })
      for (const qos of [0, 1, 2] as const) {
        await client.publish(topic, `${qos}`, { qos, retain: qos === 1 })
        const message = await client.message(`${qos}`)
        check(message.qos === qos, `it has QoS ${message.qos}`)
        await client.finish(message)
      }
      const later = await probe.watch(topic)
      check((await later.message('1')).retain, 'the retained message has no RETAIN')
      await client.publish(topic, '', { retain: true })
    },
  ),
]
