// What a client writes, byte by byte: CONNECT in each version, and the packets whose layout the
// standard fixes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openClient } from './client.ts'
import type { ConnectOptions } from './options.ts'
import type { PublishOptions } from './publisher.ts'
import { World } from './testing/world.ts'

const text = (value: string): number[] => [0, value.length, ...new TextEncoder().encode(value)]

async function firstWrite(options: ConnectOptions): Promise<number[]> {
  const world = new World()
  void world.begin(options)
  await world.settle()
  return [...(world.peer.writes[0] ?? [])]
}

const Full: ConnectOptions = {
  clientId: 'id',
  username: 'user',
  password: 'pass',
  keepAliveSeconds: 60,
  will: { topic: 'w', payload: 'bye', qos: 1, retain: true, delaySeconds: 5 },
}

type Part = readonly [name: string, bytes: readonly number[]]

const USER_PASS_WILL = 0xee // user name, password, will retain, will QoS 1, will, clean start

/** The parts of CONNECT in their order, the properties sorted: theirs is free. */
const ConnectV5: readonly Part[] = [
  ['CONNECT is the first packet [MQTT-3.1.0-1]', [0x10, 51]],
  ['it says MQTT and 5', [...text('MQTT'), 5]],
  ['flags say what follows [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19]', [USER_PASS_WILL]],
  ['the keep alive is in seconds', [0, 60]],
  ['the properties are ours', [10, 0x19, 1, 0x21, 1, 0, 0x27, 0, 0x10, 0, 0]],
  ['the client identifier is first [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]', text('id')],
  ['then the properties of the will', [5, 0x18, 0, 0, 0, 5]],
  ['then its topic [MQTT-3.1.3-11]', text('w')],
  ['then its payload', text('bye')],
  ['then the user name [MQTT-3.1.3-12]', text('user')],
  ['then the password', text('pass')],
]

const ConnectV3: readonly Part[] = [
  ['CONNECT is the first packet [MQTT-3.1.0-1 v3]', [0x10, 34]],
  ['it says MQTT and 4', [...text('MQTT'), 4]],
  [
    'flags say what follows [MQTT-3.1.2-9 v3] [MQTT-3.1.2-19 v3] [MQTT-3.1.2-21 v3]',
    [USER_PASS_WILL],
  ],
  ['the keep alive is in seconds', [0, 60]],
  [
    'the client identifier is first [MQTT-3.1.3-1 v3] [MQTT-3.1.3-3 v3] [MQTT-3.1.3-4 v3]',
    text('id'),
  ],
  ['then the topic of the will [MQTT-3.1.3-10 v3]', text('w')],
  ['then its payload', text('bye')],
  ['then the user name [MQTT-3.1.3-11 v3]', text('user')],
  ['then the password', text('pass')],
]

for (const [protocolVersion, parts] of [
  [5, ConnectV5],
  [4, ConnectV3],
] as const) {
  let at = 0
  for (const [name, bytes] of parts) {
    const start = at
    at += bytes.length
    test(`level ${protocolVersion}: ${name}`, async () => {
      const all = await firstWrite({ ...Full, protocolVersion })
      const got = all.slice(start, start + bytes.length)
      const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
      assert.deepEqual(sorted(got), sorted(bytes))
      if (!name.includes('properties are')) assert.deepEqual(got, bytes)
      assert.equal(all.length, (all[1] ?? 0) + 2)
    })
  }
}

test('CONNECT of MQTT 3.1 has the name of that time', async () => {
  const body = [...text('MQIsdp'), 3, 2, ...[0, 60], ...text('id')]
  const bytes = await firstWrite({ clientId: 'id', protocolVersion: 3 })
  assert.deepEqual(bytes, [0x10, body.length, ...body])
})

const Bare: readonly (readonly [4 | 5, string])[] = [
  [5, 'a CONNECT without will has none of its flags [MQTT-3.1.2-11] [MQTT-3.1.2-13]'],
  [5, 'a CONNECT without user has none of its flags [MQTT-3.1.2-16] [MQTT-3.1.2-18]'],
  [4, 'no will, none of its flags [MQTT-3.1.2-11 v3] [MQTT-3.1.2-13 v3] [MQTT-3.1.2-15 v3]'],
  [4, 'no user, none of its flags [MQTT-3.1.2-18 v3] [MQTT-3.1.2-20 v3]'],
]

for (const [protocolVersion, name] of Bare) {
  test(name, async () => {
    const bytes = await firstWrite({ clientId: 'id', protocolVersion })
    assert.equal(bytes[9], 2)
    assert.deepEqual(bytes.slice(-4), text('id'))
    const properties = protocolVersion === 5 ? 11 : 0
    assert.equal(bytes.length, 2 + 10 + properties + 4)
  })
}

const Unwritable: readonly (readonly [string, ConnectOptions])[] = [
  ['a client identifier that is not Unicode [MQTT-3.1.3-4]', { clientId: 'a\ud800' }],
  ['a client identifier with U+0000 [MQTT-1.5.4-2]', { clientId: 'a\0' }],
  ['a user name that is not Unicode [MQTT-3.1.3-12]', { username: '\udc00' }],
  ['a will topic that is not Unicode [MQTT-3.1.3-11]', { will: { topic: 'w\ud800' } }],
  ['a will of QoS 3 [MQTT-3.1.2-12]', { will: { topic: 'w', qos: 3 as 2 } }],
  ['a user property that is not Unicode [MQTT-1.5.7-1]', { userProperties: [['k', '\ud800']] }],
]

for (const [name, options] of Unwritable) {
  test(`${name} is refused, and nothing is written`, async () => {
    const world = new World()
    const client = openClient(world, 'test://server', options)
    client.catch(() => undefined)
    await world.settle()
    await assert.rejects(client, { code: 'invalid-argument' })
    assert.equal(world.peers[0]?.writes.length ?? 0, 0)
  })
}

for (const protocolVersion of [5, 4] as const) {
  const ids =
    protocolVersion === 5
      ? 'their flags and a filter [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.10.3-1]'
      : 'a filter at least [MQTT-3.10.3-1 v3] [MQTT-3.10.3-2 v3]'
  test(`SUBSCRIBE and UNSUBSCRIBE have ${ids}`, async () => {
    const world = new World()
    const client = await world.connected({ protocolVersion })
    const subscription = client.subscribe('a/b')
    await world.settle()
    const none = protocolVersion === 5 ? [0] : []
    const join = [0, 1, ...none, ...text('a/b'), 1]
    assert.deepEqual([...(world.peer.writes.at(-1) ?? [])], [0x82, join.length, ...join])
    world.peer.suback(1, 1)
    void subscription.unsubscribe()
    await world.settle()
    const leave = [0, 2, ...none, ...text('a/b')]
    assert.deepEqual([...(world.peer.writes.at(-1) ?? [])], [0xa2, leave.length, ...leave])
  })
}

test('PUBLISH has no subscription identifier, whatever it is given [MQTT-3.3.4-6]', async () => {
  const world = new World()
  const client = await world.connected()
  const { length } = world.peer.writes
  const code = 'invalid-argument'
  for (const options of [{ subscriptionIdentifiers: [7] }, { subscriptionIdentifier: 7 }]) {
    await assert.rejects(client.publish('a', 'x', options as PublishOptions), { code })
  }
  await world.settle()
  assert.equal(world.peer.writes.length, length)
  await client.publish('a', 'x', {})
  await world.settle()
  assert.deepEqual([...(world.peer.writes.at(-1) ?? [])], [0x30, 5, ...text('a'), 0, 0x78])
})

test('a byte order mark stays where it is [MQTT-1.5.4-3] [MQTT-1.5.3-3 v3]', async () => {
  const world = new World()
  const client = await world.connected()
  void client.publish('\ufeffa', '\ufeffx')
  const subscription = client.subscribe('#')
  await world.settle()
  const mark = [0xef, 0xbb, 0xbf]
  const body = [0, 4, ...mark, 0x61, 0, ...mark, 0x78]
  assert.deepEqual([...(world.peer.writes.at(-1) ?? [])].slice(0, 2 + body.length), [
    0x30,
    body.length,
    ...body,
  ])
  world.peer.sendBytes([0x30, body.length, ...body])
  const { value } = await subscription.next()
  assert.equal(value?.topic, '\ufeffa')
  assert.deepEqual([...(value?.payload ?? [])], [...mark, 0x78])
})

test('acknowledgements repeat the identifier [MQTT-2.2.1-5] [MQTT-2.3.1-6 v3]', async () => {
  const world = new World()
  await world.connected()
  world.peer.publish('a', 'x', 1, 0x1234)
  world.peer.publish('a', 'x', 2, 0x5678)
  await world.settle()
  assert.deepEqual(
    [...(world.peer.writes.at(-1) ?? [])],
    [0x40, 2, 0x12, 0x34, 0x50, 2, 0x56, 0x78],
  )
})
