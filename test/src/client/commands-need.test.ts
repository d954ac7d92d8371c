// What the command line needs of the client, against the broker: partial grants, identifiers of its
// own, filters of an earlier client, goodbyes with properties.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type BrokerServer, createBroker, type Hooks } from '@godwit/broker'
import { type Client, connect, MqttError } from '@godwit/client'
import { type Packet, PacketType } from '@godwit/packet'

interface Served {
  readonly broker: BrokerServer
  readonly url: string
}

async function serve(context: TestContext, hooks: Hooks = {}): Promise<Served> {
  const broker = createBroker({ statsIntervalSeconds: 0, hooks })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  return { broker, url: `mqtt://127.0.0.1:${port}` }
}

function closing(context: TestContext, client: Client): Client {
  context.after(() => client.close())
  return client
}

const refusesNo: Hooks = { authorizeSubscribe: (_client, filter) => !filter.startsWith('no/') }

for (const protocolVersion of [4, 5] as const) {
  test(`a partial subscription goes on, version ${protocolVersion}`, async context => {
    const { broker, url } = await serve(context, refusesNo)
    const client = closing(context, await connect(url, { protocolVersion }))
    const filters = ['no/a', 'a/#', 'no/b']
    const subscription = client.subscribe<string>(filters, { partial: true })
    const { reasonCodes, qos } = await subscription.ready
    assert.equal(qos, 1)
    assert.deepEqual(
      reasonCodes.map(code => code >= 0x80),
      [true, false, true],
    )
    broker.publish('a/b', 'x')
    const { value } = await subscription.next()
    assert.equal(value?.topic, 'a/b')
    await subscription.unsubscribe()
  })
}

test('a partial subscription of which nothing is granted is refused', async context => {
  const { url } = await serve(context, refusesNo)
  const client = closing(context, await connect(url))
  const subscription = client.subscribe<string>(['no/a', 'no/b'], { partial: true })
  await assert.rejects(subscription.ready, { code: 'subscribe-refused', reasonCode: 0x87 })
})

test('a subscription that is not partial ends when one filter is refused', async context => {
  const { url } = await serve(context, refusesNo)
  const client = closing(context, await connect(url))
  await assert.rejects(client.subscribe<string>(['a', 'no/b']).ready, MqttError)
})

test('a subscription identifier of your own comes with each message', async context => {
  const { broker, url } = await serve(context)
  const client = closing(context, await connect(url))
  const subscription = client.subscribe('a', { identifier: 42 })
  await subscription.ready
  broker.publish('a', 'x')
  const { value } = await subscription.next()
  assert.deepEqual(value?.properties.subscriptionIdentifiers, [42])
  for (const identifier of [0, 268_435_456]) {
    assert.throws(() => client.subscribe('b', { identifier }), { code: 'invalid-argument' })
  }
})

test('a client unsubscribes from what an earlier one of its session has left', async context => {
  const { broker, url } = await serve(context)
  const session = { clientId: 'me', sessionExpirySeconds: 100 }
  const first = await connect(url, session)
  await first.subscribe<string>(['a', 'b'], { qos: 1 }).ready
  await first.close()
  broker.publish('b', 'kept', { qos: 1 })
  const seen: Packet[] = []
  const second = closing(
    context,
    await connect(url, {
      ...session,
      cleanStart: false,
      onPacket: (direction, packet) => direction === 'sent' && seen.push(packet),
    }),
  )
  const listener = new Promise<string>(resolve => {
    second.unclaimed({ listener: message => resolve(message.text()) })
  })
  assert.equal(await listener, 'kept')
  const left = once(broker, 'unsubscribe')
  await second.unsubscribe('a', { userProperties: [['why', 'moved']] })
  assert.equal((await left)[0].filter, 'a')
  const packet = seen.find(({ type }) => type === PacketType.UNSUBSCRIBE)
  assert.ok(packet !== undefined && 'properties' in packet)
  assert.deepEqual(packet.properties.userProperties, [['why', 'moved']])
  await second.unsubscribe(['never/was'])
  await second.subscribe('mine').ready
  await assert.rejects(second.unsubscribe('mine'), { code: 'invalid-argument' })
  await assert.rejects(second.unsubscribe('a/#/b'), { code: 'invalid-argument' })
})

test('CONNECT asks for what is wanted, and DISCONNECT takes user properties', async context => {
  const { url } = await serve(context)
  const seen: Packet[] = []
  const onPacket = (direction: 'sent' | 'received', packet: Packet): void => {
    if (direction === 'sent') seen.push(packet)
  }
  const quiet = { problemInformation: false, responseInformation: false, onPacket }
  const client = await connect(url, quiet)
  await client.close({ userProperties: [['bye', 'now']] })
  const [first, last] = [seen[0], seen.at(-1)]
  assert.ok(first?.type === PacketType.CONNECT && last?.type === PacketType.DISCONNECT)
  assert.equal(first.properties.requestProblemInformation, 0)
  assert.equal(first.properties.requestResponseInformation, undefined)
  assert.deepEqual(last.properties.userProperties, [['bye', 'now']])
  const other = await connect(url, { onPacket })
  await other.close()
  const again = seen.filter(({ type }) => type === PacketType.CONNECT)[1]
  assert.ok(again?.type === PacketType.CONNECT)
  assert.equal(again.properties.requestProblemInformation, undefined)
  assert.equal(again.properties.requestResponseInformation, 1)
})
