// What the simulation (test/src/simulation) has found, each as the shortest way to the fault.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PacketType } from '@godwit/packet'
import { Model } from '../store/testing/model.ts'
import { connectPacket, text, World } from '../testing/harness.ts'
import type { StoreReader } from './ports.ts'

const NEVER = 0xffff_ffff

test('an expired message that waits in a group goes to no member, whatever its QoS [MQTT-3.3.2-5]', () => {
  const world = new World()
  const slow = world.connect({ clientId: 'slow', properties: { receiveMaximum: 1 } })
  slow.subscribe('$share/g/t', 1)
  const publisher = world.connect({ clientId: 'publisher' })
  publisher.publish('t', 'first', { qos: 1 })
  publisher.publish('t', 'late', { qos: 1, packetId: 2, properties: { messageExpiryInterval: 1 } })
  assert.deepEqual(slow.takePublishes().map(text), ['first'])
  world.advance(2000)
  const member = world.connect({ clientId: 'member' })
  member.subscribe('$share/g/t', 0)
  assert.deepEqual(member.takePublishes(), [])
  assert.equal(world.broker.ledger.totalOf('expired'), 1)
})

test('QoS 0 behind a CONNACK that a slow disk holds back expires [MQTT-3.3.2-5]', () => {
  const world = new World()
  world.store.slow = true
  const properties = { sessionExpiryInterval: 60, topicAliasMaximum: 1 }
  const client = world.open().send(connectPacket({ clientId: 'c', cleanStart: false, properties }))
  client.subscribe('t')
  for (const [payload, messageExpiryInterval] of [
    ['short', 1],
    ['long', 10],
  ] as const) {
    client.publish('t', payload, { properties: { messageExpiryInterval } })
  }
  client.publish('t', 'last')
  world.advance(4000)
  world.store.finish()
  const got = client.takePublishes()
  assert.deepEqual(got.map(text), ['long', 'last'])
  assert.equal(got[0]?.properties.messageExpiryInterval, 6)
  assert.equal(world.broker.ledger.totalOf('expired'), 1)
  assert.equal(world.broker.ledger.total, 1)
})

test('groups keep their ids over a restart: none is written anew while members are read', () => {
  const world = restored(reader => {
    for (const id of [1, 2]) {
      reader.session(session(id))
      reader.subscription({ sessionId: id, filter: `$share/g${id}/t`, options: 1, identifier: 0 })
    }
    reader.group(1, 'g2', 't')
    reader.group(2, 'g1', 't')
  })
  assert.deepEqual(
    world.store.records.filter(([name]) => name === 'putGroup'),
    [],
  )
})

test('a group whose members have all ended with the process ends as well', () => {
  const world = restored(reader => reader.group(7, 'g', 't'))
  assert.equal(world.broker.groups.count, 0)
  assert.deepEqual(
    world.store.records.filter(([name]) => name === 'removeGroup'),
    [['removeGroup', 7]],
  )
})

test('a session that lasts as long as its connection has ended with the process [MQTT-4.1.0-2]', () => {
  const world = restored(reader => reader.session({ ...session(1), sessionExpirySeconds: 0 }))
  const client = world.open()
  const [connack] = client.ask(connectPacket({ clientId: 'c1', cleanStart: false }))
  assert.ok(connack?.type === PacketType.CONNACK && !connack.sessionPresent)
  assert.deepEqual(world.store.records[0], ['removeSession', 1])
})

test('a retained message that came live is not sent again when a slow subscriber has room', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'publisher' })
  publisher.publish('a', 'old', { retain: true })
  const client = world.connect({ clientId: 'slow', properties: { receiveMaximum: 1 } })
  client.subscribe('live', 1)
  publisher.publish('live', 'fills the window', { qos: 1 })
  client.subscribe('a', 0)
  client.subscribe('#', 0)
  publisher.publish('b', 'live', { retain: true })
  const before = client.takePublishes()
  const after = client.acknowledge(PacketType.PUBACK, 1)
  const all = [...before, ...after].flatMap(packet =>
    packet.type === PacketType.PUBLISH ? [text(packet)] : [],
  )
  assert.deepEqual(all, ['live', 'old', 'old'])
})

test('a retained message that was replaced while it waited is not sent after the newer one', () => {
  const world = new World()
  const publisher = world.connect({ clientId: 'publisher' })
  publisher.publish('a', 'old', { retain: true })
  const client = world.connect({ clientId: 'slow', properties: { receiveMaximum: 1 } })
  client.subscribe('live', 1)
  publisher.publish('live', 'fills the window', { qos: 1 })
  const early = client.takePublishes()
  client.send({
    type: PacketType.SUBSCRIBE,
    packetId: 9,
    subscriptions: [
      { filter: 'a', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
    ],
    properties: {},
  })
  publisher.publish('a', 'new', { retain: true })
  const later = client.acknowledge(PacketType.PUBACK, early[0]?.packetId ?? 0)
  const payloads = later.flatMap(packet =>
    packet.type === PacketType.PUBLISH ? [text(packet)] : [],
  )
  assert.deepEqual(payloads, ['new'])
})

test("a client's own will does not come back to it where it asked for No Local [MQTT-3.8.3-3]", () => {
  const world = new World()
  const options = {
    clientId: 'c',
    cleanStart: false,
    properties: { sessionExpiryInterval: 60 },
    will: { topic: 't', payload: new Uint8Array([1]), qos: 1, retain: false, properties: {} },
  } as const
  const client = world.connect(options)
  client.subscribe('t', 1, { noLocal: true })
  const other = world.connect({ clientId: 'other' })
  other.subscribe('t', 1)
  client.cut()
  assert.equal(other.takePublishes().length, 1)
  const again = world.connect({ ...options, will: null })
  assert.deepEqual(again.early, [])
})

test('a process that stood still takes nothing from the expiry of a session', () => {
  const world = new World()
  const properties = { sessionExpiryInterval: 3 }
  const client = world.connect({ clientId: 'c', properties })
  world.monotonicMs += 2900
  world.wallMs += 2900
  client.disconnect()
  world.advance(1000)
  const again = world.connect({ clientId: 'c', cleanStart: false, properties })
  assert.equal(again.connack?.sessionPresent, true)
})

test('a process that stood still does not take its clients for silent', () => {
  const world = new World()
  const client = world.connect({ clientId: 'c', keepAliveSeconds: 2 })
  world.monotonicMs += 60_000
  world.broker.tick()
  world.settle()
  assert.equal(client.ended, false)
  world.advance(2900)
  assert.equal(client.ended, false)
  world.advance(200)
  assert.equal(client.ended, true)
})

test('a QoS 2 message that has become too large to be sent again frees its identifier', () => {
  const world = new World()
  const options = { clientId: 'c', cleanStart: false, properties: { sessionExpiryInterval: 60 } }
  const client = world.connect(options)
  client.subscribe('t', 2)
  const publisher = world.connect({ clientId: 'publisher' })
  publisher.publish('t', 'x'.repeat(200), { qos: 2 })
  assert.equal(client.takePublishes()[0]?.packetId, 1)
  client.cut()
  const properties = { sessionExpiryInterval: 60, maximumPacketSize: 100 }
  const again = world.connect({ ...options, properties })
  const released = { type: PacketType.PUBREL, packetId: 1, reasonCode: 0, properties: {} }
  assert.deepEqual(again.early, [released])
  assert.equal(world.broker.ledger.totalOf('packet-too-large'), 1)
  assert.deepEqual(again.acknowledge(PacketType.PUBCOMP, 1), [])
  assert.deepEqual(world.store.records.at(-1)?.[0], 'removeDelivery')
})

test('CONNACK without a session waits until the end of the one before is durable', () => {
  const world = new World()
  world.connect({ clientId: 'c', properties: { sessionExpiryInterval: 60 } }).cut()
  world.store.slow = true
  // The first clean start goes before its answer, the second one finds nothing to end.
  const first = world.open()
  first.send(connectPacket({ clientId: 'c', cleanStart: true }))
  first.cut()
  const second = world.open()
  assert.deepEqual(second.ask(connectPacket({ clientId: 'c', cleanStart: true })), [])
  world.store.finish()
  world.settle()
  assert.equal(second.take()[0]?.type, PacketType.CONNACK)
})

test('what waits for a group goes to a member that returns and has nothing of its own', () => {
  for (const qos of [1, 2] as const) {
    for (const kept of [undefined, new Model()]) {
      const world = new World(kept === undefined ? {} : { kept })
      const options = {
        clientId: 'm',
        cleanStart: false,
        properties: { sessionExpiryInterval: 60 },
      }
      const member = world.connect(options)
      member.subscribe('$share/g/t', qos)
      member.cut()
      world.connect({ clientId: 'publisher' }).publish('t', 'waits', { qos })
      const packets = world.connect(options).early
      const got = packets.flatMap(packet => (packet.type === PacketType.PUBLISH ? [packet] : []))
      const place = kept === undefined ? 'memory' : 'the store'
      assert.deepEqual(got.map(text), ['waits'], `QoS ${qos} from ${place}`)
    }
  }
})

test('a retained message of QoS 0 that nobody receives is on its way to the disk at once', () => {
  const world = new World()
  const publisher = world.connect()
  world.settle()
  const batch = world.store.openBatch
  publisher.publish('t', 'state', { qos: 0, retain: true })
  assert.equal(world.store.openBatch, batch + 1)
})

test('what a tick writes down is on its way to the disk', () => {
  const world = new World()
  const properties = { messageExpiryInterval: 1 }
  world.connect().publish('t', 'state', { qos: 1, retain: true, properties })
  world.advance(5000)
  assert.equal(world.broker.retainer.messages.count, 0)
  assert.equal(world.store.dirty, false)
})

/** A world whose broker has started on what `load` gives it. */
function restored(load: (reader: StoreReader) => void): World {
  return new World({ load })
}

function session(id: number): Parameters<StoreReader['session']>[0] {
  return {
    id,
    clientId: `c${id}`,
    protocolLevel: 5,
    sessionExpirySeconds: NEVER,
    disconnectedAtMs: 1,
  }
}
