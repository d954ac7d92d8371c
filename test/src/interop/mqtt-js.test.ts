// npm's `mqtt` against the broker, over TCP, WebSocket and memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerServer } from '@godwit/broker'
import mqtt from 'mqtt'
import { until, withBroker } from '../support/brokers.ts'

const WAYS = ['tcp', 'ws', 'memory'] as const
const LEVELS = [4, 5] as const

type Connect = (options?: mqtt.IClientOptions) => Promise<mqtt.MqttClient>

/** How clients connect in this way; the client is connected when it is there. */
async function connector(
  broker: BrokerServer,
  way: (typeof WAYS)[number],
  protocolVersion: 4 | 5,
): Promise<Connect> {
  const common = { protocolVersion, reconnectPeriod: 0 } as const
  if (way === 'memory') {
    return async options => {
      const client = new mqtt.MqttClient(() => broker.connect(), { ...common, ...options })
      await new Promise<void>(resolve => client.once('connect', () => resolve()))
      return client
    }
  }
  const { url } = await broker.listen(way === 'ws' ? { port: 0, ws: true } : { port: 0 })
  return options => mqtt.connectAsync(url, { ...common, ...options })
}

/** The next `count` messages as `topic payload`. */
function messages(client: mqtt.MqttClient, count: number): Promise<string[]> {
  const got: string[] = []
  return new Promise(resolve => {
    client.on('message', (topic, payload) => {
      got.push(`${topic} ${payload}`)
      if (got.length === count) resolve(got)
    })
  })
}

for (const way of WAYS) {
  for (const level of LEVELS) {
    const how = `${way}, level ${level}`

    test(`every QoS, both ways: ${how}`, async () => {
      await withBroker({}, async broker => {
        const connect = await connector(broker, way, level)
        const [subscriber, publisher] = [await connect(), await connect()]
        const got = messages(subscriber, 3)
        await subscriber.subscribeAsync('t/#', { qos: 2 })
        for (const qos of [0, 1, 2] as const) await publisher.publishAsync(`t/${qos}`, 'm', { qos })
        assert.deepEqual(await got, ['t/0 m', 't/1 m', 't/2 m'])
        await publisher.endAsync()
        await subscriber.endAsync()
        await until(() => broker.stats().connections === 0, 'they have gone')
      })
    })

    test(`retained messages and unsubscribing: ${how}`, async () => {
      await withBroker({}, async broker => {
        const connect = await connector(broker, way, level)
        const client = await connect()
        await client.publishAsync('r/1', 'kept', { retain: true, qos: 1 })
        const got = messages(client, 1)
        await client.subscribeAsync('r/+', { qos: 1 })
        assert.deepEqual(await got, ['r/1 kept'])
        await client.unsubscribeAsync('r/+')
        assert.equal(broker.stats().subscriptions, 0)
        await client.publishAsync('r/1', '', { retain: true, qos: 1 })
        assert.equal(broker.stats().retainedMessages, 0)
        await client.endAsync()
      })
    })

    test(`a will, and a session with what it missed: ${how}`, async () => {
      await withBroker({}, async broker => {
        const connect = await connector(broker, way, level)
        const kept: mqtt.IClientOptions = {
          clientId: 'kept',
          clean: false,
          ...(level === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}),
        }
        const before = await connect(kept)
        await before.subscribeAsync(['w', 't'], { qos: 2 })
        await before.endAsync()
        const will = { topic: 'w', payload: Buffer.from('gone'), qos: 1 as const, retain: false }
        const dying = await connect({ will })
        await dying.publishAsync('t', 'one', { qos: 2 })
        dying.stream.destroy()
        await until(() => broker.stats().clientsConnected === 0, 'it has died')
        const again = connect(kept)
        const client = await again
        const got = new Set<string>()
        client.on('message', (topic, payload) => got.add(`${topic} ${payload}`))
        await until(() => got.size === 2, 'what was missed comes')
        assert.deepEqual([...got].sort(), ['t one', 'w gone'])
        await client.endAsync()
      })
    })

    test(`a refusal is told: ${how}`, async () => {
      const hooks = { authenticate: () => false }
      await withBroker({ hooks }, async broker => {
        const url = way === 'memory' ? '' : (await broker.listen({ port: 0, ws: way === 'ws' })).url
        const options = { protocolVersion: level, reconnectPeriod: 0 } as const
        const client =
          way === 'memory'
            ? new mqtt.MqttClient(() => broker.connect(), options)
            : mqtt.connect(url, options)
        const error = await new Promise<Error | mqtt.ErrorWithReasonCode>(resolve => {
          client.once('error', resolve)
        })
        assert.equal('code' in error && error.code, level === 5 ? 0x87 : 5)
        await client.endAsync(true)
      })
    })
  }

  test(`properties, aliases and subscription identifiers of MQTT 5.0: ${way}`, async () => {
    await withBroker({}, async broker => {
      const connect = await connector(broker, way, 5)
      const subscriber = await connect({ properties: { topicAliasMaximum: 10 } })
      const publisher = await connect({ autoAssignTopicAlias: true })
      const got: { topic: string; packet: mqtt.IPublishPacket }[] = []
      subscriber.on('message', (topic, _payload, packet) => got.push({ topic, packet }))
      await subscriber.subscribeAsync('a/b', { qos: 1, properties: { subscriptionIdentifier: 7 } })
      for (let i = 0; i < 5; i++) {
        await publisher.publishAsync('a/b', `m${i}`, {
          qos: 1,
          properties: {
            contentType: 'text/plain',
            responseTopic: 'back',
            correlationData: Buffer.from([1, 2]),
            userProperties: { name: 'value' },
          },
        })
      }
      await until(() => got.length === 5, 'all have come')
      for (const [i, { topic, packet }] of got.entries()) {
        const { payload, properties } = packet
        assert.equal(topic, 'a/b')
        assert.equal(String(payload), `m${i}`)
        assert.equal(properties?.contentType, 'text/plain')
        assert.equal(properties?.responseTopic, 'back')
        assert.deepEqual(properties?.correlationData, Buffer.from([1, 2]))
        assert.deepEqual({ ...properties?.userProperties }, { name: 'value' })
        assert.equal(properties?.subscriptionIdentifier, 7)
      }
      // The first tells the alias, the others leave out the topic.
      assert.deepEqual(
        got.map(({ packet }) => packet.topic),
        ['a/b', '', '', '', ''],
      )
      await publisher.endAsync()
      await subscriber.endAsync()
    })
  })
}

test('a client comes back by itself and gets what was in flight', async () => {
  await withBroker({}, async broker => {
    const { url } = await broker.listen({ port: 0 })
    const client = await mqtt.connectAsync(url, {
      protocolVersion: 5,
      clientId: 'back',
      clean: false,
      reconnectPeriod: 50,
      properties: { sessionExpiryInterval: 3600 },
    })
    await client.subscribeAsync('t', { qos: 2 })
    const got: string[] = []
    client.on('message', (_topic, payload) => got.push(String(payload)))
    for (let round = 0; round < 5; round++) {
      broker.publish('t', `before ${round}`, { qos: 2 })
      broker.disconnectClient('back')
      broker.publish('t', `after ${round}`, { qos: 2 })
      await until(() => got.length >= 2 * (round + 1), 'both have come')
    }
    const expected = [0, 1, 2, 3, 4].flatMap(round => [`before ${round}`, `after ${round}`])
    assert.deepEqual(got, expected)
    await client.endAsync()
  })
})
