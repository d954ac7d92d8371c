// MQTT 3.1.1 sections 3.1.2.5 to 3.1.2.7 and 3.14: wills.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QoS, Will } from '@godwit/packet'
import { connectOld, frame, OLD_LEVELS, publishesOf, texts } from '../../testing/bytes.ts'
import { type TestClient, text, World } from '../../testing/harness.ts'

function will(options: Partial<Will> = {}): Will {
  const payload = new TextEncoder().encode('gone')
  return { topic: 'will', payload, qos: 0, retain: false, properties: {}, ...options }
}

function watcherOf(world: World): TestClient {
  const watcher = connectOld(world, 'watcher')
  watcher.subscribe('will', 2)
  return watcher
}

const Ends: readonly (readonly [string, (client: TestClient, world: World) => void])[] = [
  ['the network fails', client => client.cut()],
  ['the keep alive runs out', (_client, world) => world.advance(20_000)],
  ['the client breaks the protocol', client => client.send(frame(0x00))],
  ['another connection takes over', (_client, world) => connectOld(world, 'c').disconnect()],
  ['the server ends the connection', (_client, world) => world.broker.disconnect('c', 0x98, '')],
]

for (const level of OLD_LEVELS) {
  for (const cleanStart of [true, false]) {
    for (const [what, end] of Ends) {
      test(`a will goes out when ${what}, ${level}, clean ${cleanStart} [MQTT-3.1.2-8 v3]`, () => {
        const world = new World()
        const watcher = watcherOf(world)
        const options = { protocolLevel: level, cleanStart, keepAliveSeconds: 10, will: will() }
        const client = connectOld(world, 'c', options)
        assert.deepEqual(watcher.take(), [])
        end(client, world)
        world.settle()
        assert.deepEqual(texts(watcher.take()), ['gone'])
      })
    }

    test(`DISCONNECT drops the will, ${level}, clean ${cleanStart} [MQTT-3.14.4-3 v3] [MQTT-3.1.2-10 v3]`, () => {
      const world = new World()
      const watcher = watcherOf(world)
      const client = connectOld(world, 'c', { protocolLevel: level, cleanStart, will: will() })
      client.disconnect()
      client.cut()
      world.advance(20_000)
      assert.equal(client.ended, true)
      // The next connection of the session has no will: nothing of the old one is left.
      connectOld(world, 'c', { protocolLevel: level, cleanStart }).cut()
      assert.deepEqual(watcher.take(), [])
    })

    test(`a will goes out once, ${level}, clean ${cleanStart} [MQTT-3.1.2-10 v3]`, () => {
      const world = new World()
      const watcher = watcherOf(world)
      connectOld(world, 'c', { protocolLevel: level, cleanStart, will: will() }).cut()
      connectOld(world, 'c', { protocolLevel: level, cleanStart }).cut()
      world.advance(20_000)
      assert.deepEqual(texts(watcher.take()), ['gone'])
    })
  }

  for (const qos of [0, 1, 2] as const satisfies readonly QoS[]) {
    test(`a will of QoS ${qos} goes out at its QoS, level ${level} [MQTT-3.1.2-8 v3]`, () => {
      const world = new World()
      const watcher = watcherOf(world)
      connectOld(world, 'c', { protocolLevel: level, will: will({ qos }) }).cut()
      const [publish] = watcher.takePublishes()
      assert.equal(publish?.qos, qos)
      assert.equal(publish && text(publish), 'gone')
    })
  }

  test(`a will without RETAIN is not kept, level ${level} [MQTT-3.1.2-16 v3]`, () => {
    const world = new World()
    const watcher = watcherOf(world)
    connectOld(world, 'c', { protocolLevel: level, will: will() }).cut()
    assert.equal(watcher.takePublishes()[0]?.retain, false)
    assert.deepEqual(publishesOf(watcher.subscribe('will')), [])
  })

  test(`a will with RETAIN is kept, level ${level} [MQTT-3.1.2-17 v3]`, () => {
    const world = new World()
    const watcher = watcherOf(world)
    connectOld(world, 'c', { protocolLevel: level, will: will({ retain: true }) }).cut()
    assert.equal(watcher.takePublishes()[0]?.retain, false)
    const [kept] = publishesOf(watcher.subscribe('will'))
    assert.equal(kept?.retain, true)
    assert.equal(kept && text(kept), 'gone')
  })

  test(`without the will flag nothing goes out, level ${level} [MQTT-3.1.2-12 v3]`, () => {
    const world = new World()
    const watcher = connectOld(world, 'watcher')
    watcher.subscribe('#')
    connectOld(world, 'c', { protocolLevel: level }).cut()
    assert.deepEqual(watcher.take(), [])
  })
}

test('the will of a new connection replaces that of the session [MQTT-3.1.2-8 v3]', () => {
  const world = new World()
  const watcher = watcherOf(world)
  connectOld(world, 'c', { cleanStart: false, will: will() }).disconnect()
  const payload = new TextEncoder().encode('second')
  connectOld(world, 'c', { cleanStart: false, will: will({ payload }) }).cut()
  assert.deepEqual(texts(watcher.take()), ['second'])
})

test('an empty retained will removes the retained message [MQTT-3.1.2-17 v3]', () => {
  const world = new World()
  const watcher = connectOld(world, 'watcher')
  watcher.publish('will', 'kept', { retain: true })
  connectOld(world, 'c', { will: will({ retain: true, payload: new Uint8Array(0) }) }).cut()
  assert.deepEqual(publishesOf(watcher.subscribe('will')), [])
})

test('DISCONNECT ends the connection and what comes behind it is not read', () => {
  const world = new World()
  const watcher = connectOld(world, 'watcher')
  watcher.subscribe('#')
  const client = connectOld(world, 'c')
  client.send(Uint8Array.from([...frame(0xe0), ...frame(0x30, [0, 1, 0x61], 1)]))
  assert.equal(client.ended, true)
  assert.deepEqual(watcher.take(), [])
})

test('a will for a topic of the server is refused', () => {
  const client = new World().open(4)
  const topic = '$SYS/broker/version'
  const flags = 0x26
  const text = [...new TextEncoder().encode(topic)]
  client.send(
    frame(0x10, [0, 4, 77, 81, 84, 84, 4, flags, 0, 0, 0, 1, 99], 0, text.length, text, 0, 1, 49),
  )
  const [connack] = client.take()
  assert.ok(connack && 'reasonCode' in connack)
  assert.equal(connack.reasonCode, 5)
  assert.equal(client.ended, true)
})
