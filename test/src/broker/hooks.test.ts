// Hooks: what they are asked, what their answers do, and that one which throws, hangs or answers
// late hurts nothing but what it was asked about.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  BrokerOptions,
  BrokerServer,
  Hooks,
  PublishAnswer,
  PublishedMessage,
} from '@godwit/broker'
import { PacketType } from '@godwit/packet'
import { nextEvent, withBroker } from '../support/brokers.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'

const HANG = (): Promise<never> => new Promise(() => undefined)

interface Rig {
  readonly broker: BrokerServer
  readonly errors: string[]
  /** A client that has come in. */
  join(clientId: string, level?: 3 | 4 | 5): Promise<RawClient>
}

async function withHooks(
  hooks: Hooks,
  use: (rig: Rig) => Promise<void>,
  options: BrokerOptions = {},
): Promise<void> {
  await withBroker({ hooks, hookTimeoutMs: 200, ...options }, async broker => {
    // Neither a hook that hangs nor a memory connection keeps a process: a listener does.
    await broker.listen({ port: 0 })
    const errors: string[] = []
    broker.on('error', error => errors.push(error.message))
    const clients: RawClient[] = []
    const join = async (clientId: string, level: 3 | 4 | 5 = 5): Promise<RawClient> => {
      const client = new RawClient(broker.connect(), level)
      clients.push(client)
      assert.equal((await client.connect({ clientId })).reasonCode, 0)
      return client
    }
    await use({ broker, errors, join })
    for (const client of clients) client.destroy()
  })
}

/** The reason code of a message at QoS 1. */
async function publish(client: RawClient, topic: string, payload = 'm'): Promise<number> {
  client.send(publishPacket(topic, payload, { qos: 1, packetId: 1 }))
  return (await client.expect(PacketType.PUBACK)).reasonCode
}

for (const [answer, code] of [
  [true, 0],
  [0, 0],
  [false, 0x87],
  [0x86, 0x86],
  [{ reasonCode: 0x9d, serverReference: 'there.example' }, 0x9d],
  [Promise.resolve(true), 0],
  [Promise.resolve(0x8a), 0x8a],
] as const) {
  test(`authenticate answering ${JSON.stringify(answer)} gives CONNACK ${code}`, async () => {
    await withHooks({ authenticate: () => answer }, async ({ broker }) => {
      const client = new RawClient(broker.connect())
      assert.equal((await client.connect()).reasonCode, code)
      client.destroy()
    })
  })
}

for (const [what, authenticate] of [
  [
    'throws',
    (): never => {
      throw new Error('broken')
    },
  ],
  ['rejects', () => Promise.reject(new Error('broken'))],
  ['hangs', HANG],
  ['returns a code that is none', () => 5],
] as const) {
  test(`an authenticate hook that ${what} refuses with 0x88, and is reported`, async () => {
    await withHooks({ authenticate }, async ({ broker, errors }) => {
      const client = new RawClient(broker.connect())
      assert.equal((await client.connect()).reasonCode, 0x88)
      await client.closed
      assert.equal(errors.length, 1)
    })
  })
}

test('authenticate sees who comes, and may name the user', async () => {
  const seen: unknown[] = []
  const hooks: Hooks = {
    authenticate: ({ clientId, username, password, protocolLevel, origin }) => {
      seen.push([clientId, username, String(Buffer.from(password ?? [])), protocolLevel])
      assert.equal(origin.transport, 'memory')
      return { reasonCode: 0, username: 'known' }
    },
    authorizePublish: ({ username }) => username === 'known',
  }
  await withHooks(hooks, async ({ broker }) => {
    const client = new RawClient(broker.connect())
    const password = Buffer.from('secret')
    await client.connect({ clientId: 'c', username: 'ann', password })
    assert.deepEqual(seen, [['c', 'ann', 'secret', 5]])
    assert.equal(await publish(client, 't'), 0x10)
    client.destroy()
  })
})

test('who is refused is told with the user name that it gave', async () => {
  await withHooks({ authenticate: () => false }, async ({ broker }) => {
    const refused = nextEvent(broker, 'refused')
    const client = new RawClient(broker.connect())
    await client.connect({ clientId: 'c', username: 'ann' })
    const { clientId, username, reasonCode } = await refused
    assert.deepEqual([clientId, username, reasonCode], ['c', 'ann', 0x87])
    client.destroy()
  })
})

for (const late of [false, true]) {
  const when = late ? 'late' : 'at once'

  test(`authorizePublish answering ${when}: refused messages go nowhere`, async () => {
    const hooks: Hooks = {
      authorizePublish: (_client, topic) => {
        const answer = topic.startsWith('open/')
        return late ? Promise.resolve(answer) : answer
      },
    }
    await withHooks(hooks, async ({ join, broker }) => {
      const subscriber = await join('s')
      await subscriber.subscribe('#')
      const publisher = await join('p')
      assert.equal(await publish(publisher, 'closed/a'), 0x87)
      assert.equal(await publish(publisher, 'open/a'), 0)
      assert.equal(await subscriber.message(), 'open/a m')
      const old = await join('old', 4)
      assert.equal(await publish(old, 'closed/b'), 0, 'MQTT 3.1.1 has no code for it')
      const reasons = broker.losses().map(({ reason, topic }) => `${reason} ${topic}`)
      assert.deepEqual(reasons, ['not-authorized closed/a', 'not-authorized closed/b'])
    })
  })

  test(`authorizeSubscribe answering ${when}: a code per filter`, async () => {
    const hooks: Hooks = {
      authorizeSubscribe: (_client, filter) => {
        const answer = filter === 'b' ? 0x87 : 0
        return late ? Promise.resolve(answer) : answer
      },
    }
    await withHooks(hooks, async ({ join, broker }) => {
      const client = await join('s')
      assert.deepEqual(await client.subscribe('a', 'b', 'c'), [2, 0x87, 2])
      assert.equal(broker.stats().subscriptions, 2)
      const old = await join('old', 4)
      assert.deepEqual(await old.subscribe('a', 'b'), [2, 0x80])
    })
  })

  test(`the publish hook answering ${when} changes, discards and refuses`, async () => {
    const answers = new Map<string, ReturnType<NonNullable<Hooks['publish']>>>([
      ['same', undefined],
      ['gone', 'discard'],
      ['bad', 0x99],
      ['new', { topic: 'other', payload: Buffer.from('changed') }],
    ])
    const hooks: Hooks = {
      publish: ({ topic }) => {
        const answer = answers.get(topic)
        return late ? Promise.resolve(answer as undefined) : answer
      },
    }
    await withHooks(hooks, async ({ join, broker }) => {
      const subscriber = await join('s')
      await subscriber.subscribe('#')
      const publisher = await join('p')
      const codes: number[] = []
      for (const topic of answers.keys()) codes.push(await publish(publisher, topic))
      assert.deepEqual(codes, [0, 0, 0x99, 0])
      assert.equal(await subscriber.message(), 'same m')
      assert.equal(await subscriber.message(), 'other changed')
      const reasons = broker.losses().map(({ reason }) => reason)
      assert.deepEqual(reasons.sort(), ['discarded-by-hook', 'not-authorized'])
    })
  })
}

const throwing = (): never => {
  throw new Error('broken')
}

for (const [what, broken] of [
  ['throws', throwing],
  ['rejects', () => Promise.reject(new Error('broken'))],
  ['hangs', HANG],
] as const) {
  test(`an authorizePublish that ${what} refuses this message only`, async () => {
    const hooks: Hooks = { authorizePublish: (_c, topic) => (topic === 'bad' ? broken() : true) }
    await withHooks(hooks, async ({ join, errors }) => {
      const [publisher, subscriber] = [await join('p'), await join('s')]
      await subscriber.subscribe('#')
      assert.equal(await publish(publisher, 'bad'), 0x87)
      assert.equal(await publish(publisher, 'good'), 0)
      assert.equal(await subscriber.message(), 'good m')
      assert.equal(errors.length, 1)
    })
  })

  test(`a subscribe hook that ${what} refuses this filter only`, async () => {
    const hooks: Hooks = { subscribe: (_c, filter) => (filter === 'bad' ? broken() : true) }
    await withHooks(hooks, async ({ join, errors }) => {
      const client = await join('s')
      assert.deepEqual(await client.subscribe('a', 'bad', 'b'), [2, 0x87, 2])
      assert.equal(errors.length, 1)
    })
  })

  test(`a publish hook that ${what} refuses this message only`, async () => {
    const hooks: Hooks = { publish: ({ topic }) => (topic === 'bad' ? broken() : undefined) }
    await withHooks(hooks, async ({ join, errors }) => {
      const [publisher, subscriber] = [await join('p'), await join('s')]
      await subscriber.subscribe('#')
      assert.equal(await publish(publisher, 'bad'), 0x83)
      assert.equal(await publish(publisher, 'good'), 0)
      assert.equal(await subscriber.message(), 'good m')
      assert.equal(errors.length, 1)
    })
  })
}

test('an authorizeReceive that throws keeps the message back, and is reported', async () => {
  const hooks: Hooks = {
    authorizeReceive: (_client, topic) => (topic === 'bad' ? throwing() : true),
  }
  await withHooks(hooks, async ({ broker, join, errors }) => {
    const client = await join('s')
    await client.subscribe('#')
    broker.publish('bad', 'm')
    broker.publish('good', 'm')
    assert.equal(await client.message(), 'good m')
    assert.equal(errors.length, 1)
  })
})

test('a hook that hangs holds up its own client only', async () => {
  const hooks: Hooks = { authorizePublish: (_c, topic) => (topic === 'slow' ? HANG() : true) }
  await withHooks(
    hooks,
    async ({ join }) => {
      const [stuck, other] = [await join('stuck'), await join('other')]
      stuck.send(publishPacket('slow', 'm', { qos: 1, packetId: 1 }))
      for (let i = 0; i < 5; i++) assert.equal(await publish(other, 'quick'), 0x10)
    },
    { hookTimeoutMs: 60_000 },
  )
})

test('late answers keep the order of a client', async () => {
  const waiting: (() => void)[] = []
  const hooks: Hooks = {
    publish: ({ topic }) =>
      topic === 'late' ? new Promise(resolve => waiting.push(() => resolve(undefined))) : undefined,
  }
  await withHooks(
    hooks,
    async ({ join }) => {
      const [publisher, subscriber] = [await join('p'), await join('s')]
      await subscriber.subscribe('#')
      publisher.send(publishPacket('late', '1')).send(publishPacket('quick', '2'))
      publisher.send(publishPacket('late', '3')).send(publishPacket('quick', '4'))
      await subscriber.ping()
      waiting.shift()?.()
      assert.equal(await subscriber.message(), 'late 1')
      assert.equal(await subscriber.message(), 'quick 2')
      await subscriber.ping()
      waiting.shift()?.()
      assert.equal(await subscriber.message(), 'late 3')
      assert.equal(await subscriber.message(), 'quick 4')
    },
    { hookTimeoutMs: 60_000 },
  )
})

test('a permission that goes is gone for who is connected, when that is told', async () => {
  let isAllowed = true
  let asked = 0
  const hooks: Hooks = {
    authorizePublish: () => {
      asked++
      return isAllowed
    },
  }
  await withHooks(hooks, async ({ broker, join }) => {
    const client = await join('p')
    for (let i = 0; i < 3; i++) assert.equal(await publish(client, 't'), 0x10)
    assert.equal(asked, 1, 'the answer is remembered')
    isAllowed = false
    broker.permissionsChanged()
    assert.equal(await publish(client, 't'), 0x87)
  })
})

test('a hook may publish and disconnect while it is asked', async () => {
  let own: BrokerServer | null = null
  const hooks: Hooks = {
    publish: ({ topic }, { clientId }) => {
      if (topic === 'audit') return undefined
      own?.publish('audit', `${clientId} ${topic}`)
      if (topic === 'forbidden') own?.disconnectClient(clientId, 0x98)
      return undefined
    },
  }
  await withHooks(hooks, async ({ broker, join }) => {
    own = broker
    const [publisher, auditor] = [await join('p'), await join('a')]
    await auditor.subscribe('audit')
    publisher.send(publishPacket('forbidden', 'm'))
    assert.equal(await auditor.message(), 'audit p forbidden')
    assert.equal((await publisher.expect(PacketType.DISCONNECT)).reasonCode, 0x98)
  })
})

for (const [what, replacement, text] of [
  ['a topic with a wildcard', { topic: 'a/#' }, 'expected a topic without wildcards'],
  ['a payload that is a string', { payload: 'text' }, 'expected a payload that is a Uint8Array'],
  [
    'an expiry that is no number',
    { properties: { messageExpiryInterval: 'soon' } },
    'expected a message expiry interval of 0 to 4294967295, got soon',
  ],
] as const) {
  for (const isLate of [false, true]) {
    const when = isLate ? 'later' : 'at once'
    test(`a publish hook that makes ${what}, ${when}: only this message is refused`, async () => {
      const answer = replacement as Partial<PublishedMessage>
      const publishHook = (message: PublishedMessage): PublishAnswer | Promise<PublishAnswer> => {
        if (message.topic === 'fine') return undefined
        return isLate ? Promise.resolve(answer) : answer
      }
      await withHooks({ publish: publishHook }, async ({ errors, join }) => {
        const client = await join('one')
        assert.equal(await publish(client, 'changed'), 0x83)
        assert.equal(await publish(client, 'fine'), 0x10)
        assert.equal(errors.length, 1)
        assert.match(errors[0] ?? '', new RegExp(text))
      })
    })
  }
}

test('a reason code of a hook that a packet cannot have becomes 0x83 there [MQTT-3.4.2-1]', async () => {
  const hooks = { authorizePublish: () => 0x82, authorizeSubscribe: () => 0x9d }
  await withHooks(hooks, async ({ join }) => {
    const client = await join('one')
    assert.equal(await publish(client, 'topic'), 0x83)
    client.send(publishPacket('topic', 'm', { qos: 2, packetId: 2 })) // [MQTT-3.5.2-1]
    assert.equal((await client.expect(PacketType.PUBREC)).reasonCode, 0x83)
    assert.deepEqual(await client.subscribe('filter'), [0x83]) // [MQTT-3.9.3-2]
  })
})

test('an authorizeReceive that answers by a promise keeps the message back', async () => {
  const authorizeReceive = (() => Promise.resolve(true)) as unknown as () => boolean
  await withHooks({ authorizeReceive }, async ({ errors, join }) => {
    const client = await join('one')
    await client.subscribe('#')
    assert.equal(await publish(client, 'topic'), 0x10)
    await client.ping()
    assert.match(errors[0] ?? '', /returned a promise, expected true or false/)
  })
})

test('hooks may answer by whatever has a then', async () => {
  // biome-ignore lint/suspicious/noThenProperty: that is what it is about
  const yes = { then: (answer: (value: boolean) => void) => answer(true) }
  const later = (() => yes) as unknown as () => Promise<boolean>
  const hooks = { authenticate: later, authorizeSubscribe: later, authorizePublish: later }
  await withHooks(hooks, async ({ join }) => {
    const client = await join('one')
    assert.deepEqual(await client.subscribe('filter'), [2])
    assert.equal(await publish(client, 'topic'), 0x10)
  })
})

test('a hook that publishes to a topic which is none hears of it itself', async () => {
  let own: BrokerServer | null = null
  const publishHook = (): undefined => {
    own?.publish('a/#', 'm')
  }
  await withHooks({ publish: publishHook }, async ({ broker, errors, join }) => {
    own = broker
    const client = await join('one')
    assert.equal(await publish(client, 'topic'), 0x83)
    assert.deepEqual(errors, ['the topic has a wildcard or is empty'])
  })
})
