// Ten thousand connections at once, opened, used and closed again and again, and a million
// subscriptions: memory comes back.

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PacketType } from '@godwit/packet'
import { until, untilEmpty, withBroker } from '../support/brokers.ts'
import { RawClient } from '../support/raw-client.ts'
import type { CrowdOrder } from './crowd.child.ts'

const CLIENTS = 10_000
const ROUNDS = 4
const MIB = 1024 * 1024

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Bytes that are still in use when everything that can go is gone. */
async function heapBytes(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    await new Promise(resolve => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
}

async function ask(crowd: ChildProcess, what: CrowdOrder | 'leave'): Promise<number> {
  const answered = once(crowd, 'message')
  crowd.send(what)
  const [answer] = (await answered) as [{ open: number }]
  return answer.open
}

test('ten thousand connections come and go without growth of memory', async context => {
  // Who is slow here is the crowd on its machine, not an attacker.
  await withBroker({ limits: { connectTimeoutMs: 300_000 } }, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const crowd = fork(new URL('./crowd.child.js', import.meta.url))
    const failed = once(crowd, 'exit').then(() => {
      throw new Error('the crowd has died')
    })
    const rounds = async (): Promise<number[]> => {
      const heaps: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        assert.equal(await ask(crowd, { port, clients: CLIENTS }), CLIENTS)
        assert.equal(broker.stats().clientsConnected, CLIENTS)
        assert.equal(await ask(crowd, 'leave'), 0)
        await untilEmpty(broker)
        const { sessions, subscriptions } = broker.stats()
        // Clients of MQTT 3.1.1 came with clean session: nobody leaves anything.
        assert.deepEqual([sessions, subscriptions], [0, 0])
        heaps.push(await heapBytes())
      }
      return heaps
    }
    const heaps = await Promise.race([rounds(), failed])
    crowd.removeAllListeners('exit')
    failed.catch(() => undefined)
    crowd.kill()
    const shown = heaps.map(bytes => (bytes / MIB).toFixed(1)).join(', ')
    context.diagnostic(`heap after each round of ${CLIENTS}: ${shown} MiB`)
    // The first round makes what is kept for the next: pools, tables, compiled code.
    const grown = (heaps[ROUNDS - 1] ?? 0) - (heaps[0] ?? 0)
    assert.ok(grown < 2 * MIB, `${grown} bytes more after ${ROUNDS - 1} further rounds: ${shown}`)
  })
})

test('a million subscriptions are taken, and their memory comes back', async context => {
  await withBroker({}, async broker => {
    const before = await heapBytes()
    const clients: RawClient[] = []
    for (let c = 0; c < 100; c++) {
      const client = new RawClient(broker.connect())
      clients.push(client)
      await client.connect({ clientId: `c${c}` })
      for (let from = 0; from < 10_000; from += 1000) {
        const subscriptions = Array.from({ length: 1000 }, (_, i) => ({
          filter: i % 2 === 0 ? `site/${c}/${from + i}` : `site/${c}/${from + i}/+`,
          qos: 1 as const,
          noLocal: false,
          retainAsPublished: false,
          retainHandling: 0 as const,
        }))
        client.send({ type: PacketType.SUBSCRIBE, packetId: 1, subscriptions, properties: {} })
        const { reasonCodes } = await client.expect(PacketType.SUBACK)
        assert.ok(reasonCodes.every(code => code === 1))
      }
      // One more than a session may have.
      assert.deepEqual(await client.subscribe(`more/${c}`), [0x97])
    }
    assert.equal(broker.stats().subscriptions, 1_000_000)
    const each = ((await heapBytes()) - before) / 1_000_000
    context.diagnostic(`${each.toFixed(0)} bytes of heap per subscription`)
    assert.ok(each < 1000)
    broker.publish('site/7/4', 'found')
    assert.equal(await clients[7]?.message(), 'site/7/4 found')
    broker.publish('site/99/9999/x', 'found too')
    assert.equal(await clients[99]?.message(), 'site/99/9999/x found too')
    for (const client of clients) client.destroy()
    clients.length = 0
    await until(() => broker.stats().subscriptions === 0, 'all are gone')
    const left = (await heapBytes()) - before
    assert.ok(left < 20 * MIB, `${left} bytes are left of a million subscriptions`)
  })
})
