// SCRAM-SHA-256 over a connection: coming in, authenticating again, and failing. MQTT 5.0 section
// 4.12.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BrokerOptions, scramKeys } from '@godwit/broker'
import { type Packet, PacketType } from '@godwit/packet'
import { withBroker } from '../support/brokers.ts'
import { connectPacket, RawClient } from '../support/raw-client.ts'
import { ScramClient } from '../support/scram-client.ts'

const METHOD = 'SCRAM-SHA-256'
const USERS = { ann: 'pencil', bob: 'rubber' }
const OPTIONS: BrokerOptions = { scram: { users: USERS, iterations: 4096 } }

function auth(reasonCode: number, data: Uint8Array, method = METHOD): Packet {
  const properties = { authenticationMethod: method, authenticationData: data }
  return { type: PacketType.AUTH, reasonCode, properties }
}

function dataOf(packet: Packet | null): Uint8Array {
  assert.ok(packet !== null && 'properties' in packet)
  return packet.properties.authenticationData ?? new Uint8Array(0)
}

/** CONNECT and AUTH as far as they go. @returns the last packet of the server */
async function login(client: RawClient, scram: ScramClient, clientId = ''): Promise<Packet | null> {
  const properties = { authenticationMethod: METHOD, authenticationData: scram.first }
  client.send(connectPacket({ clientId, properties }))
  const challenge = await client.next()
  if (challenge?.type !== PacketType.AUTH) return challenge
  assert.equal(challenge.reasonCode, 0x18)
  client.send(auth(0x18, scram.final(dataOf(challenge))))
  return client.next()
}

async function withClient(
  options: BrokerOptions,
  use: (
    client: RawClient,
    broker: Parameters<Parameters<typeof withBroker>[1]>[0],
  ) => Promise<void>,
): Promise<void> {
  await withBroker(options, async broker => {
    const client = new RawClient(broker.connect())
    await use(client, broker)
    client.destroy()
  })
}

test('who knows the password comes in, and the broker proves that it knows it', async () => {
  await withClient(OPTIONS, async (client, broker) => {
    const scram = new ScramClient('ann', 'pencil')
    const connack = await login(client, scram, 'c')
    assert.equal(connack?.type, PacketType.CONNACK)
    assert.equal(connack.reasonCode, 0)
    assert.equal(connack.properties.authenticationMethod, METHOD)
    assert.equal(scram.accepts(dataOf(connack)), true)
    assert.equal(broker.clients()[0]?.username, 'ann')
  })
})

for (const [what, username, password] of [
  ['a wrong password', 'ann', 'pencils'],
  ['the password of another', 'ann', 'rubber'],
  ['a user that does not exist', 'eve', 'pencil'],
] as const) {
  test(`${what} is not authorized, and is told no earlier than others`, async () => {
    await withClient(OPTIONS, async client => {
      const last = await login(client, new ScramClient(username, password))
      assert.equal(last?.type, PacketType.CONNACK)
      assert.equal(last.reasonCode, 0x87)
      await client.closed
    })
  })
}

test('keys instead of passwords, and a lookup that takes its time', async () => {
  const keys = scramKeys('pencil', 4096)
  const users = async (name: string) => {
    await Promise.resolve()
    return name === 'ann' ? keys : null
  }
  await withClient({ scram: { users } }, async client => {
    const connack = await login(client, new ScramClient('ann', 'pencil'))
    assert.equal(connack?.type === PacketType.CONNACK && connack.reasonCode, 0)
  })
})

test('a lookup that fails refuses with 0x88: the client may come again', async () => {
  const users = () => Promise.reject(new Error('the database is down'))
  await withClient({ scram: { users } }, async client => {
    const last = await login(client, new ScramClient('ann', 'pencil'))
    assert.equal(last?.type === PacketType.CONNACK && last.reasonCode, 0x88)
  })
})

test('a client authenticates again on a live connection [MQTT-4.12.1-1]', async () => {
  await withClient(OPTIONS, async client => {
    await login(client, new ScramClient('ann', 'pencil'))
    for (let round = 0; round < 3; round++) {
      const again = new ScramClient('ann', 'pencil')
      client.send(auth(0x19, again.first))
      const challenge = await client.expect(PacketType.AUTH)
      assert.equal(challenge.reasonCode, 0x18)
      // Messages go on meanwhile.
      await client.ping()
      client.send(auth(0x18, again.final(dataOf(challenge))))
      const done = await client.expect(PacketType.AUTH)
      assert.equal(done.reasonCode, 0)
      assert.equal(again.accepts(dataOf(done)), true)
    }
  })
})

for (const [what, username, password] of [
  ['with a wrong password', 'ann', 'wrong'],
  ['as somebody else', 'bob', 'rubber'],
] as const) {
  test(`authenticating again ${what} ends the connection [MQTT-4.12.1-2]`, async () => {
    await withClient(OPTIONS, async client => {
      await login(client, new ScramClient('ann', 'pencil'))
      const again = new ScramClient(username, password)
      client.send(auth(0x19, again.first))
      client.send(auth(0x18, again.final(dataOf(await client.expect(PacketType.AUTH)))))
      assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x87)
      await client.closed
    })
  })
}

for (const [what, packet] of [
  ['another method', auth(0x19, Buffer.from(''), 'PLAIN')],
  ['a step that nobody began', auth(0x18, Buffer.from(''))],
] as const) {
  test(`AUTH with ${what} is a protocol error [MQTT-4.12.0-5]`, async () => {
    await withClient(OPTIONS, async client => {
      await login(client, new ScramClient('ann', 'pencil'))
      client.send(packet)
      assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x82)
    })
  })
}

test('AUTH of a client that came without a method is a protocol error [MQTT-4.12.0-7]', async () => {
  await withClient({}, async client => {
    await client.connect()
    client.send(auth(0x19, Buffer.from('')))
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x82)
  })
})

test('an unknown method is refused with 0x8C [MQTT-4.12.0-1]', async () => {
  await withClient(OPTIONS, async client => {
    const properties = { authenticationMethod: 'GS2-KRB5' }
    assert.equal((await client.connect({ properties })).reasonCode, 0x8c)
  })
})

test('without the method nobody comes in where there is nothing else', async () => {
  await withClient(OPTIONS, async client => {
    assert.equal((await client.connect({ username: 'ann' })).reasonCode, 0x87)
  })
})

test('beside SCRAM the hook lets others in by password', async () => {
  const hooks = {
    authenticate: ({ password }: { password: Uint8Array | null }) =>
      Buffer.from(password ?? []).toString() === 'sesame',
  }
  await withBroker({ ...OPTIONS, hooks }, async broker => {
    for (const [password, code] of [
      ['sesame', 0],
      ['other', 0x87],
    ] as const) {
      const client = new RawClient(broker.connect())
      assert.equal((await client.connect({ password: Buffer.from(password) })).reasonCode, code)
      client.destroy()
    }
  })
})

test('SUBSCRIBE in the middle of the exchange is a protocol error [MQTT-3.1.2-30]', async () => {
  await withClient(OPTIONS, async client => {
    const scram = new ScramClient('ann', 'pencil')
    const properties = { authenticationMethod: METHOD, authenticationData: scram.first }
    client.send(connectPacket({ properties }))
    await client.expect(PacketType.AUTH)
    client.send([0x82, 6, 0, 1, 0, 0, 1, 0x61, 0])
    assert.equal((await client.expect(PacketType.CONNACK)).reasonCode, 0x82)
    await client.closed
  })
})

test('an exchange that is not finished in time is cut off', async () => {
  // A machine that is busy may not come to the first answer in time: then there is more of it.
  for (let connectTimeoutMs = 300, isBegun = false; !isBegun; connectTimeoutMs *= 2) {
    await withBroker({ ...OPTIONS, limits: { connectTimeoutMs } }, async broker => {
      const client = RawClient.tcp((await broker.listen({ port: 0 })).port)
      const scram = new ScramClient('ann', 'pencil')
      const properties = { authenticationMethod: METHOD, authenticationData: scram.first }
      client.send(connectPacket({ properties }))
      isBegun = (await client.next())?.type === PacketType.AUTH
      await client.closed
    })
  }
})
