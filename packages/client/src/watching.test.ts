// Who looks at a client from outside: `node:diagnostics_channel`, `dump` and `onPacket`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describePacket } from '@godwit/packet'
import type { ClientEvent } from './events.ts'
import { publishOf, short, World } from './testing/world.ts'
import type { Channel, Channels } from './transport.ts'

/** Keeps what is published, and fails when that is done for nobody. */
class HeardChannel implements Channel {
  hasSubscribers = false
  readonly heard: unknown[] = []

  publish(message: unknown): void {
    assert.ok(this.hasSubscribers, 'a message is made, and nobody listens')
    this.heard.push(message)
  }
}

function heardChannels(): { [K in keyof Channels]: HeardChannel } {
  return {
    events: new HeardChannel(),
    publish: new HeardChannel(),
    message: new HeardChannel(),
  }
}

test('channels get messages and events, and nothing is made while nobody listens', async () => {
  const world = new World()
  const channels = heardChannels()
  world.channels = channels
  const client = await world.connected({ clientId: 'meter' })
  const { peer } = world
  client.subscribe('b', { listener: () => undefined })
  const round = async (): Promise<void> => {
    void client.publish('a', 'x')
    void client.publish('a', 'x', { qos: 1 })
    client.tryPublish('a', 'x', { qos: 2 })
    void client.publish('#', 'x')
    peer.send(publishOf('b', 'y'), publishOf('b', 'z', 1, 7))
    await world.settle()
  }
  await round()
  for (const channel of Object.values(channels)) channel.hasSubscribers = true
  await round()
  await client.close()
  const sent = (qos: number): object => ({ clientId: 'meter', topic: 'a', qos })
  assert.deepEqual(channels.publish.heard.slice(0, 3), [sent(0), sent(1), sent(2)])
  assert.deepEqual(channels.message.heard, [
    { clientId: 'meter', topic: 'b', qos: 0 },
    { clientId: 'meter', topic: 'b', qos: 1 },
  ])
  const events = channels.events.heard as { clientId: string; event: ClientEvent }[]
  assert.ok(events.every(({ clientId }) => clientId === 'meter'))
  // The topic that is none, then the publishes that the end has left without an answer.
  const types = events.map(({ event }) => event.type)
  assert.deepEqual([...new Set(types)], ['error', 'closed'])
  const [{ event }] = events as [(typeof events)[0]]
  assert.ok(event.type === 'error' && event.error.code === 'invalid-argument')
})

test('dump gets one line for each packet, decoded, in both directions', async () => {
  const world = new World()
  world.describe = describePacket
  const lines: string[] = []
  const begun = world.begin({
    clientId: 'meter',
    username: 'ann',
    password: 'pencil',
    dump: line => lines.push(line),
  })
  await world.settle()
  world.peer.accept()
  const client = await begun
  const { peer } = world
  const subscription = client.subscribe('b')
  await world.settle()
  peer.suback(1, 1)
  void client.publish('a', 'x', { qos: 2 })
  await world.settle()
  peer.pubrec(2)
  await world.settle()
  peer.pubcomp(2)
  peer.send(publishOf('b', 'two\nlines', 1, 9))
  await subscription.next()
  void subscription.next()
  await world.settle()
  await client.close()
  assert.deepEqual(
    lines.map(line => line.replace(/ \{.*| user.*/, '')),
    [
      'out CONNECT "meter" level=5 clean keepAlive=60s',
      'in  CONNACK SUCCESS',
      'out SUBSCRIBE id=1 "b" qos=1',
      'in  SUBACK id=1 GRANTED_QOS_1',
      'out PUBLISH "a" qos=2 id=2 payload="x"',
      'in  PUBREC id=2',
      'out PUBREL id=2',
      'in  PUBCOMP id=2',
      String.raw`in  PUBLISH "b" qos=1 id=9 payload="two\nlines"`,
      'out PUBACK id=9',
      'out DISCONNECT NORMAL_DISCONNECTION',
    ],
  )
  assert.ok(
    lines.every(line => !line.includes('pencil')),
    'a password is shown',
  )
})

test('onPacket sees each packet that the server gets, and each that it sends', async () => {
  const world = new World()
  const seen: string[] = []
  const begun = world.begin({
    onPacket: (direction, packet) => seen.push(`${direction} ${short(packet)}`),
  })
  await world.settle()
  world.peer.accept()
  const client = await begun
  const sent: string[] = world.peer.takeShort()
  void client.publish('a', 'x')
  client.tryPublish('b', 'y')
  await world.settle()
  await world.advance(60_000)
  await client.close()
  sent.push(...world.peer.takeShort())
  assert.deepEqual(
    seen.filter(line => line.startsWith('sent')),
    sent.map(line => `sent ${line}`),
  )
  assert.deepEqual(
    seen.filter(line => line.startsWith('received')),
    ['received CONNACK'],
  )
})
