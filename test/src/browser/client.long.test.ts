// The client in a real browser, over WebSocket against our broker: what it sends and receives,
// how it comes back, and what survives a reload of the page.

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type BrokerOptions, type BrokerServer, createBroker } from '@godwit/broker'
import type * as Mqtt from '@godwit/client/browser'
import type * as Lite from '@godwit/client/lite'
import {
  addressOf,
  type BrowserContext,
  missingBrowser,
  openBrowser,
  openContext,
  type Page,
  serveFiles,
} from '../support/browser.ts'
import { bundle } from '../support/bundle.ts'
import { skipWithout } from '../support/skip.ts'

/** What the page of these tests has put into its globals. */
interface PageGlobals {
  readonly mqtt: typeof Mqtt
  readonly lite: typeof Lite
  client: Mqtt.Client
  got: string[]
}

const HTML = '<!doctype html><title>godwit</title><script type="module" src="/page.js"></script>'
const SCRIPT = `import * as mqtt from '@godwit/client'
  import * as lite from '@godwit/client/lite'
  Object.assign(globalThis, { mqtt, lite })`

const missing = missingBrowser()
type Opened<T> = { value: T; close: () => Promise<unknown> }
let browser: Opened<Awaited<ReturnType<typeof openBrowser>>> | null = null
let address = ''
let closeServer: () => void = () => undefined

before(async () => {
  if (missing !== undefined) return
  const { files } = await bundle(SCRIPT)
  const scripts = [...files].map(([name, text]) => [`/${name}`, text] as const)
  const server = await serveFiles(new Map([['/', HTML], ...scripts]))
  address = addressOf(server)
  closeServer = () => {
    server.closeAllConnections()
    server.close()
  }
  const value = await openBrowser()
  browser = { value, close: () => value.close() }
})

after(async () => {
  await browser?.close()
  closeServer()
})

interface World {
  readonly broker: BrokerServer
  readonly url: string
  readonly context: BrowserContext
  readonly page: Page
}

/** A broker with WebSocket and a page in a new profile. Null: the test is left out. */
async function open(test: TestContext, options: BrokerOptions = {}): Promise<World | null> {
  if (skipWithout(test, missing) || browser === null) return null
  const broker = createBroker({ statsIntervalSeconds: 0, ...options })
  test.after(() => broker.close({ drainSeconds: 0 }))
  await broker.ready
  const { url } = await broker.listen({ port: 0, ws: { origins: [address] } })
  const context = await openContext(browser.value)
  test.after(() => context.close())
  return { broker, url, context, page: await openPage(context) }
}

async function openPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  await page.goto(address)
  await page.waitForFunction(() => 'mqtt' in globalThis)
  return page
}

for (const level of [5, 4] as const) {
  test(`a page publishes and receives at every QoS, protocol level ${level}`, async context => {
    const world = await open(context)
    if (world === null) return
    const got = await world.page.evaluate(
      async ([url, protocolVersion]) => {
        const { mqtt } = globalThis as unknown as PageGlobals
        const client = await mqtt.connect(url, { protocolVersion })
        const subscription = client.subscribe('page/+name', { qos: 2 })
        await subscription.ready
        const large = new Uint8Array(300_000).fill(7)
        const sent = Promise.all([
          client.publish('page/zero', 'a'),
          client.publish('page/one', 'é', { qos: 1 }),
          client.publish('page/two', large, { qos: 2 }),
        ])
        const lines: string[] = []
        for await (const message of subscription) {
          const { length } = message.payload
          lines.push(
            `${message.params.name} ${message.qos} ${length} ${message.text().slice(0, 1)}`,
          )
          if (lines.length === 3) break
        }
        await sent
        await client.close()
        return lines
      },
      [world.url, level] as const,
    )
    assert.deepEqual(got, ['zero 0 1 a', 'one 1 2 é', 'two 2 300000 \u0007'])
  })
}

test('a page loads what few pages need when it asks for it', async context => {
  const world = await open(context)
  if (world === null) return
  const loaded: string[] = []
  world.page.on('request', request => loaded.push(new URL(request.url()).pathname))
  const [answer, many, packets] = await world.page.evaluate(async url => {
    const { mqtt } = globalThis as unknown as PageGlobals
    const server = await mqtt.connect(url)
    const responder = server.respond('ask', request => `${request.text()}!`)
    await responder.ready
    const packets: string[] = []
    const onPacket = (direction: string, { type }: { type: number }): void => {
      packets.push(`${direction} ${type}`)
    }
    const client = await mqtt.connect(url, { onPacket })
    const answer = (await client.request('ask', 'who')).text()
    const many: string[] = []
    for await (const each of client.requestMany('ask', 'all', { answersMax: 1 })) {
      many.push(each.text())
    }
    await client.close()
    await server.close()
    return [answer, many, packets] as const
  }, world.url)
  assert.equal(answer, 'who!')
  assert.deepEqual(many, ['all!'])
  assert.deepEqual(packets.slice(0, 2), ['sent 1', 'received 2'])
  assert.equal(packets.at(-1), 'sent 14')
  assert.deepEqual(loaded.filter(path => path.startsWith('/parts')).length, 1)
})

test('a part that cannot be loaded fails what needs it, and nothing else', async context => {
  const world = await open(context)
  if (world === null) return
  await world.page.route('**/parts*', route => route.abort())
  const codes = await world.page.evaluate(async url => {
    const { mqtt } = globalThis as unknown as PageGlobals
    const codeOf = (error: unknown): string => {
      return error instanceof mqtt.MqttError ? error.code : String(error)
    }
    const client = await mqtt.connect(url)
    const codes = [
      await client.request('ask', 'who').then(String, codeOf),
      await mqtt.connect(url, { onPacket: () => undefined }).then(String, codeOf),
    ]
    const { reasonCode } = await client.publish('still', 'here', { qos: 1 })
    await client.close()
    return [...codes, reasonCode]
  }, world.url)
  assert.deepEqual(codes, ['connect-failed', 'connect-failed', 0x10])
})

test('a page of another origin is not let in, and is told so', async context => {
  const world = await open(context)
  if (world === null) return
  const { url } = await world.broker.listen({ port: 0, ws: { origins: ['https://other.example'] } })
  const code = await world.page.evaluate(async target => {
    const { mqtt } = globalThis as unknown as PageGlobals
    try {
      await mqtt.connect(target, { reconnect: false })
      return 'connected'
    } catch (error) {
      return error instanceof mqtt.MqttError ? error.code : String(error)
    }
  }, url)
  assert.equal(code, 'connect-failed')
})

test('a page that lost its connection comes back with its subscriptions', async context => {
  const world = await open(context)
  if (world === null) return
  const { broker, page, url } = world
  const clientId = await page.evaluate(async target => {
    const globals = globalThis as unknown as PageGlobals
    const client = await globals.mqtt.connect(target, { reconnect: { initialDelayMs: 1 } })
    globals.client = client
    globals.got = []
    const subscription = client.subscribe('news/#', { qos: 1 })
    await subscription.ready
    void (async () => {
      for await (const message of subscription) globals.got.push(message.text())
    })()
    return client.clientId
  }, url)

  const back = new Promise(resolve => broker.once('subscribe', resolve))
  assert.equal(broker.disconnectClient(clientId, 0x8b), true)
  await back
  broker.publish('news/today', 'again', { qos: 1 })
  await page.waitForFunction(() => {
    const { got } = globalThis as unknown as PageGlobals
    return got.length === 1 && got[0] === 'again'
  })
})

test('what a page published before its reload goes out once, from IndexedDB', async context => {
  // At first the broker answers nothing to PUBLISH: the messages stay in flight in the page.
  let heard: () => void = () => undefined
  const hears = new Promise<void>(resolve => {
    heard = resolve
  })
  let answers = false
  const publish = (): true | Promise<true> => {
    heard()
    return answers || new Promise(() => undefined)
  }
  const world = await open(context, { hookTimeoutMs: 600_000, hooks: { publish } })
  if (world === null) return
  const { broker, page, url } = world

  await page.evaluate(async target => {
    const { mqtt } = globalThis as unknown as PageGlobals
    const store = mqtt.indexedDbStore('till')
    const client = await mqtt.connect(target, { clientId: 'till', store, sessionExpirySeconds: 60 })
    void client.publish('sale/1', 'twelve', { qos: 2 }).catch(() => undefined)
    void client.publish('sale/2', 'thirteen', { qos: 1 }).catch(() => undefined)
  }, url)
  // The two are one commit of the store, and nothing leaves before it.
  await hears

  answers = true
  const received: string[] = []
  broker.on('published', ({ topic, payload }) => {
    received.push(`${topic} ${new TextDecoder().decode(payload)}`)
  })
  await page.reload()
  await page.waitForFunction(() => 'mqtt' in globalThis)
  const left = await page.evaluate(async target => {
    const { mqtt } = globalThis as unknown as PageGlobals
    const options = { clientId: 'till', sessionExpirySeconds: 60 }
    const client = await mqtt.connect(target, { ...options, store: mqtt.indexedDbStore('till') })
    await client.drain()
    const again = await mqtt.connect(target, { ...options, store: mqtt.indexedDbStore('till') })
    const { inflight, queued } = again.stats
    await again.close()
    return { inflight, queued }
  }, url)
  assert.deepEqual(left, { inflight: 0, queued: 0 })
  assert.deepEqual(received, ['sale/1 twelve', 'sale/2 thirteen'])
})

test('a session in IndexedDB is open in one tab only', async context => {
  const world = await open(context)
  if (world === null) return
  const options = { clientId: 'only', sessionExpirySeconds: 60 }
  await world.page.evaluate(
    async ([url, given]) => {
      const globals = globalThis as unknown as PageGlobals
      const store = globals.mqtt.indexedDbStore('only')
      globals.client = await globals.mqtt.connect(url, { ...given, store })
    },
    [world.url, options] as const,
  )
  const second = await openPage(world.context)
  const text = await second.evaluate(
    async ([url, given]) => {
      const { mqtt } = globalThis as unknown as PageGlobals
      try {
        await mqtt.connect(url, { ...given, store: mqtt.indexedDbStore('only') })
        return 'connected'
      } catch (error) {
        const { message, cause } = error as Error
        return `${message}: ${cause instanceof Error ? cause.message : cause}`
      }
    },
    [world.url, options] as const,
  )
  assert.match(text, /open in another tab/)
  assert.equal(world.broker.stats().clientsConnected, 1)
})

test('a page with the lite client publishes, receives and comes back', async context => {
  const world = await open(context)
  if (world === null) return
  const got = await world.page.evaluate(async url => {
    const { lite } = globalThis as unknown as PageGlobals
    const client = await lite.connect(url, { reconnect: { initialDelayMs: 1 }, clientId: 'page' })
    const lines: string[] = []
    const subscription = client.subscribe('page/+', { qos: 2 })
    await subscription.ready
    Object.assign(globalThis, { client, subscription })
    const large = new Uint8Array(300_000).fill(7)
    await Promise.all([
      client.publish('page/zero', 'a'),
      client.publish('page/one', 'é', { qos: 1 }),
      client.publish('page/two', large, { qos: 2 }),
    ])
    for (let i = 0; i < 3; i++) {
      const { value } = await subscription.next()
      lines.push(`${value?.topic} ${value?.qos} ${value?.payload.length}`)
    }
    return lines
  }, world.url)
  assert.deepEqual(got, ['page/zero 0 1', 'page/one 1 2', 'page/two 2 300000'])
  const back = new Promise(resolve => world.broker.once('clientConnected', resolve))
  world.broker.disconnectClient('page', 0x8b)
  await back
  const after = await world.page.evaluate(async () => {
    const { client, subscription } = globalThis as unknown as {
      client: Lite.Client
      subscription: Lite.Subscription
    }
    await client.publish('page/back', 'again', { qos: 2 })
    const { value } = await subscription.next()
    await client.close()
    return [value?.text(), client.state]
  })
  assert.deepEqual(after, ['again', 'closed'])
})
