// CONNACK while its batch is not durable yet, and CONNACK and DISCONNECT that a client could not
// take. MQTT 5.0 sections 3.1.2.11.4, 3.2 and 4.13.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnackPacket, encodePacket, type Packet, PacketType } from '@godwit/packet'
import { only } from '../testing/bytes.ts'
import { connectPacket, OpenGuard, type TestClient, World } from '../testing/harness.ts'
import { connectKept, typesOf, watch } from '../testing/v5.ts'
import type { AuthenticationVerdict } from './ports.ts'

const KEPT = connectPacket({ clientId: 'kept', properties: { sessionExpiryInterval: 60 } })
const PINGREQ = Uint8Array.of(0xc0, 0)

/** A client that has sent CONNECT to a broker whose store has not kept its session yet. */
function connecting(world: World): TestClient {
  world.store.slow = true
  const client = world.open()
  client.send(KEPT)
  return client
}

test('CONNACK waits until the session is durable', () => {
  const world = new World()
  const client = connecting(world)
  assert.deepEqual(client.take(), [])
  world.store.finish()
  only(client.take(), PacketType.CONNACK)
})

test('CONNACK comes first, whatever is asked before it is out [MQTT-3.2.0-1]', () => {
  const world = new World()
  const client = connecting(world)
  client.subscribe('t', 1)
  client.publish('t', 'own', { qos: 1, packetId: 3 }).send(PINGREQ)
  assert.deepEqual(client.take(), [])
  world.store.finish()
  world.settle()
  world.store.finish()
  const types = typesOf(client.take())
  assert.equal(types[0], PacketType.CONNACK)
  assert.deepEqual(types.slice(1, 4), [PacketType.SUBACK, PacketType.PUBACK, PacketType.PINGRESP])
  assert.equal(types.filter(type => type === PacketType.CONNACK).length, 1)
})

test('only one CONNACK comes while messages for the session go on [MQTT-3.2.0-2]', () => {
  const world = new World()
  const before = connectKept(world, 'kept')
  before.subscribe('t', 1)
  before.cut()
  const publisher = world.connect({ clientId: 'p' })
  world.store.slow = true
  const client = world.open()
  client.send(connectPacket({ ...KEPT, cleanStart: false }))
  publisher.publish('t', 'one', { qos: 1, packetId: 1 })
  publisher.publish('t', 'zero')
  assert.deepEqual(client.take(), [])
  const got: Packet[] = []
  for (let i = 0; i < 5; i++) {
    world.store.finish()
    got.push(...client.take())
  }
  const [connack, ...others] = got
  assert.equal(connack?.type, PacketType.CONNACK)
  assert.equal((connack as ConnackPacket).sessionPresent, true)
  assert.deepEqual(typesOf(others), [PacketType.PUBLISH, PacketType.PUBLISH])
})

test('a connection that fails before its CONNACK is out gets nothing', () => {
  const world = new World()
  const client = connecting(world)
  client.send(encodePacket(KEPT, 5))
  assert.equal(client.ended, true)
  world.store.finish()
  assert.deepEqual(client.take(), [])
})

test('a keep alive that ends before CONNACK is out ends the connection without DISCONNECT', () => {
  const world = new World()
  world.store.slow = true
  const client = world.open()
  client.send(connectPacket({ ...KEPT, keepAliveSeconds: 1 }))
  world.advance(2000)
  assert.equal(client.ended, true)
  world.store.finish()
  assert.deepEqual(client.take(), [])
})

test('a takeover before CONNACK is out answers the second connection only', () => {
  const world = new World()
  const first = connecting(world)
  const second = world.open()
  second.send(connectPacket({ ...KEPT, cleanStart: false }))
  assert.equal(first.ended, true)
  world.store.finish()
  assert.deepEqual(first.take(), [])
  only(second.take(), PacketType.CONNACK)
})

test('a client that says goodbye before CONNACK is out gets none', () => {
  const world = new World()
  const client = connecting(world)
  client.disconnect()
  world.store.finish()
  assert.deepEqual(client.take(), [])
  assert.equal(client.ended, true)
})

/** Sends everybody elsewhere. */
class MovedGuard extends OpenGuard {
  readonly #verdict: AuthenticationVerdict
  constructor(serverReference: string, reasonString = 'moved') {
    super()
    this.#verdict = { reasonCode: 0x9d, reasonString, serverReference }
  }
  override authenticate(): AuthenticationVerdict {
    return this.#verdict
  }
}

function refusal(guard: OpenGuard, maximumPacketSize?: number): Packet[] {
  const world = new World({ guard })
  const properties = maximumPacketSize === undefined ? {} : { maximumPacketSize }
  return world.open().ask(connectPacket({ properties }))
}

test('a refusal names the other server and says why', () => {
  const connack = only(refusal(new MovedGuard('there.example')), PacketType.CONNACK)
  assert.equal(connack.reasonCode, 0x9d)
  assert.equal(connack.properties.serverReference, 'there.example')
  assert.equal(connack.properties.reasonString, 'moved')
})

test('a reason string that does not fit is left out, the server reference stays', () => {
  const guard = new MovedGuard('there.example', 'a reason of many words')
  const connack = only(refusal(guard, 24), PacketType.CONNACK)
  assert.deepEqual(connack.properties, { serverReference: 'there.example' })
})

for (const [size, reference] of [
  [20, 'x'.repeat(20)],
  [undefined, 'x'.repeat(2000)],
  [undefined, 'x'.repeat(70_000)],
] as const) {
  const most = size ?? 'any length'
  test(`no server reference of ${reference.length} bytes where the client takes ${most}`, () => {
    const connack = only(refusal(new MovedGuard(reference), size), PacketType.CONNACK)
    assert.equal(connack.reasonCode, 0x9d)
    assert.equal(connack.properties.serverReference, undefined)
  })
}

test('a client that takes not even the refusal gets nothing [MQTT-3.1.2-24]', () => {
  assert.deepEqual(refusal(new MovedGuard('there.example'), 4), [])
})

test('a client that wants no problem information gets no reason string', () => {
  const world = new World()
  const client = world.connect({ properties: { requestProblemInformation: 0 } })
  world.broker.drain(0x8b, 'there.example')
  const disconnect = only(client.take(), PacketType.DISCONNECT)
  assert.deepEqual(disconnect.properties, { serverReference: 'there.example' })
})

test('DISCONNECT keeps its server reference where the reason string does not fit', () => {
  const world = new World()
  const client = world.connect({ properties: { maximumPacketSize: 40 } })
  world.broker.drain(0x8b, 'there.example')
  const disconnect = only(client.take(), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, 0x8b)
  assert.deepEqual(disconnect.properties, { serverReference: 'there.example' })
})

test('DISCONNECT leaves out a server reference that no packet could take', () => {
  const world = new World()
  const client = world.connect()
  world.broker.drain(0x8b, 'x'.repeat(70_000))
  const disconnect = only(client.take(), PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, 0x8b)
  assert.equal(disconnect.properties.serverReference, undefined)
})

test('a client that cannot take its CONNACK is told so [MQTT-3.1.2-24]', () => {
  const world = new World()
  const client = world.open()
  const connack = only(
    client.ask(connectPacket({ properties: { maximumPacketSize: 10 } })),
    PacketType.CONNACK,
  )
  assert.equal(connack.reasonCode, 0x95)
  assert.deepEqual(connack.properties, {})
  assert.equal(client.ended, true)
  assert.equal(world.broker.sessions.byClientId.size, 0)
})

test('a client that takes no CONNACK at all is let go without one [MQTT-3.1.2-24]', () => {
  const world = new World()
  const client = world.open()
  assert.deepEqual(client.ask(connectPacket({ properties: { maximumPacketSize: 4 } })), [])
  assert.equal(client.ended, true)
})

test('a CONNACK that does not fit neither ends the old session nor sends its will', () => {
  const world = new World()
  const before = connectKept(world, 'kept')
  before.subscribe('t', 1)
  const again = connectPacket({ ...KEPT, properties: { maximumPacketSize: 10 } })
  only(world.open().ask(again), PacketType.CONNACK)
  assert.equal(before.ended, false)
  world.connect({ clientId: 'p' }).publish('t', 'still here')
  assert.equal(before.takePublishes().length, 1)
})

test('a client that takes exactly its CONNACK is let in', () => {
  const world = new World()
  const { connack } = world.connect({ clientId: 'a' })
  assert.ok(connack)
  const length = encodePacket(connack, 5).length
  world.connect({ clientId: 'b', properties: { maximumPacketSize: length } })
  const client = world.open()
  const tooSmall = connectPacket({ properties: { maximumPacketSize: length - 1 } })
  assert.equal(only(client.ask(tooSmall), PacketType.CONNACK).reasonCode, 0x95)
})

test('a SUBACK that a client cannot take ends its connection [MQTT-3.1.2-24]', () => {
  const world = new World()
  const watcher = watch(world, 'w')
  const { connack } = world.connect({ clientId: 'a' })
  assert.ok(connack)
  const maximumPacketSize = encodePacket(connack, 5).length
  const client = world.connect({ clientId: 'b', properties: { maximumPacketSize } })
  const subscriptions = Array.from({ length: maximumPacketSize }, (_, i) => ({
    filter: `f/${i}`,
    qos: 0 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
  }))
  const type = PacketType.SUBSCRIBE
  const [disconnect] = client.ask({ type, packetId: 1, subscriptions, properties: {} })
  assert.equal(disconnect?.type, PacketType.DISCONNECT)
  assert.equal(disconnect.reasonCode, 0x95)
  assert.equal(client.ended, true)
  assert.equal(watcher.ended, false)
})

test('client ids that the broker gives begin as it is told', () => {
  const world = new World({ core: { assignedClientIdPrefix: 'auto-' } })
  const { connack } = world.connect({ clientId: '' })
  assert.match(connack?.properties.assignedClientIdentifier ?? '', /^auto-assigned0x+$/)
})

test('a client without an id is refused where it has to have one', () => {
  const world = new World({ core: { allowEmptyClientId: false } })
  const client = world.open()
  client.send(connectPacket({ clientId: '' }))
  assert.equal(only(client.take(), PacketType.CONNACK).reasonCode, 0x85)
  world.connect({ clientId: 'a' })
})
