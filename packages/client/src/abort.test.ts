// Every operation that takes time takes an AbortSignal: one that fires ends it, one that has fired
// keeps it from beginning, and one that never fires is not held any longer than the operation.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from './client.ts'
import type { MqttError } from './errors.ts'
import { World } from './testing/world.ts'

type Operation = (client: Client, signal: AbortSignal) => Promise<unknown>

async function read(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const message of messages) assert.fail(`${message} came`)
}

/** What is under way, and its end if it is not `aborted`. */
const Operations: Readonly<Record<string, Operation>> = {
  'publish of QoS 1': (client, signal) => client.publish('a', 'x', { qos: 1, signal }),
  'publish of QoS 2': (client, signal) => client.publish('a', 'x', { qos: 2, signal }),
  'subscribe, until it is granted': (client, signal) => client.subscribe('a', { signal }).ready,
  'subscribe in a loop': (client, signal) => read(client.subscribe('a', { signal })),
  'subscribe with forEach': (client, signal) => client.subscribe('a', { signal }).forEach(String),
  unclaimed: (client, signal) => read(client.unclaimed({ signal })),
  unsubscribe: (client, signal) => client.unsubscribe('a', { signal }),
  request: (client, signal) => client.request('a', 'x', { signal }),
  requestMany: (client, signal) => read(client.requestMany('a', 'x', { signal, idleMs: 9e6 })),
  respond: (client, signal) => client.respond('a', () => 'x', { signal }).done,
  reauthenticate: (client, signal) => client.reauthenticate({ signal }),
  drain: (client, signal) => {
    client.publish('a', 'x', { qos: 1 }).catch(() => undefined)
    return client.drain({ signal })
  },
}

const authenticator = {
  method: 'test',
  start: () => new Uint8Array(1),
  next: () => new Uint8Array(1),
}

function connected(world: World): Promise<Client> {
  return world.connected(
    { clientId: 'a', authenticator },
    { properties: { authenticationMethod: 'test' } },
  )
}

/** Counts who listens. */
class CountedSignal extends EventTarget {
  readonly aborted = false
  readonly reason: unknown = undefined
  readonly onabort = null
  private readonly listeners = new Set<() => void>()

  get count(): number {
    return this.listeners.size
  }

  throwIfAborted(): void {
    // It never is.
  }

  override addEventListener(_type: string, listener: () => void): void {
    this.listeners.add(listener)
  }

  override removeEventListener(_type: string, listener: () => void): void {
    this.listeners.delete(listener)
  }
}

for (const [name, operation] of Object.entries(Operations)) {
  test(`${name} ends when its signal fires, with the reason of the signal`, async () => {
    const world = new World()
    const client = await connected(world)
    const controller = new AbortController()
    const outcome = operation(client, controller.signal)
    const reason = new Error('enough')
    const rejects = assert.rejects(outcome, (error: MqttError) => {
      assert.deepEqual([error.code, error.cause], ['aborted', reason])
      return true
    })
    await world.settle()
    controller.abort(reason)
    await world.settle()
    await rejects
  })

  test(`${name} fails at once when its signal has fired, and sends nothing`, async () => {
    const world = new World()
    const client = await connected(world)
    const rejects = assert.rejects(operation(client, AbortSignal.abort()), { code: 'aborted' })
    await world.settle()
    await rejects
    // What `drain` waits for is not its own, and it closes all the same.
    const sent = world.peer.takeShort()
    assert.deepEqual(sent, name === 'drain' ? ['PUBLISH 1 a x', 'DISCONNECT'] : [])
  })

  test(`${name} lets go of its signal when it is over`, async () => {
    const world = new World()
    const client = await connected(world)
    const signal = new CountedSignal()
    const outcome = operation(client, signal as unknown as AbortSignal).catch(() => undefined)
    await world.settle()
    assert.equal(signal.count, 1)
    await client.close()
    await world.settle()
    await outcome
    assert.equal(signal.count, 0)
  })
}

test('a refused UNSUBSCRIBE is no unhandled rejection when nobody waits for it', async () => {
  const world = new World()
  const client = await connected(world)
  const subscription = client.subscribe('a')
  await world.settle()
  world.peer.take()
  world.peer.suback(1, 1)
  const left = subscription.unsubscribe({ signal: AbortSignal.abort() })
  await assert.rejects(left, { code: 'aborted' })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['UNSUBSCRIBE 2 a'])
  // An unhandled rejection would fail this test.
  world.peer.unsuback(2, 0x87)
  await world.settle()
})

test('events end when their signal fires, without an error', async () => {
  const world = new World()
  const client = await connected(world)
  const controller = new AbortController()
  const { signal } = controller
  const ended = read(client.events({ signal }))
  await world.settle()
  controller.abort()
  await ended
  await read(client.events({ signal }))
  await client.close()
})
