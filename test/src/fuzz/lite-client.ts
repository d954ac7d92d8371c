// The lite client in place of the full one: what the fuzzed application asks of it that it does not
// have is refused, or done in the way it has.

import type { Client, ClientEvent, ConnectOptions, Message, Subscription } from '@godwit/client'
import { MqttError } from '@godwit/client'
import type { Client as LiteClient, Message as LiteMessage } from '@godwit/client/lite'
import { openLite, type Platform } from '@godwit/client/protocol'

/** What is looked at inside. */
interface Inside {
  readonly session: {
    readonly inflight: ReadonlyMap<number, unknown>
    readonly line: ReadonlySet<{ readonly packetId: number }>
    readonly askedCount: number
    readonly receipts: { readonly held: ReadonlyMap<number, unknown> }
  }
}

/** Opens a lite client that looks like a full one. */
export async function openLiteClient(
  platform: Platform,
  url: string,
  options: ConnectOptions,
): Promise<Client> {
  const readers: ((event: ClientEvent) => void)[] = []
  const onEvent = (event: ClientEvent): void => {
    for (const read of readers) read(event)
  }
  const { receiveMaximum, packetBytesMax, topicAliasMaximum, keepAliveSeconds } = options
  const own = { receiveMaximum, packetBytesMax, topicAliasMaximum, keepAliveSeconds }
  const world = {
    nowMs: () => platform.nowMs(),
    random: () => platform.random(),
    randomBytes: (length: number) => platform.randomBytes(length),
    atTurnEnd: (task: () => void) => platform.atTurnEnd(task),
    after: (delayMs: number, task: () => void) => platform.after(delayMs, task),
    cancel: (timer: unknown) => platform.cancel(timer),
    dial: (at: URL) => platform.dial(at, {} as never),
  }
  const client = await openLite(world, url, { ...options, ...defined(own), onEvent })
  return new Proxy(client, {
    get(_, name) {
      const more = moreOf(client, readers)
      if (Object.hasOwn(more, name)) return Reflect.get(more, name)
      const value: unknown = Reflect.get(client, name)
      return typeof value === 'function' ? value.bind(client) : value
    },
  }) as unknown as Client
}

function defined<T extends object>(fields: T): { [K in keyof T]-?: NonNullable<T[K]> } {
  const all = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(all) as { [K in keyof T]-?: NonNullable<T[K]> }
}

const lacking = (): Promise<never> => Promise.reject(new MqttError('not-supported', 'not here'))

function moreOf(client: LiteClient, readers: ((event: ClientEvent) => void)[]): object {
  const { session } = client as unknown as Inside
  const { inflight, line, askedCount, receipts } = session
  return {
    request: lacking,
    reauthenticate: lacking,
    writable: Promise.resolve(),
    drain: () => client[Symbol.asyncDispose](),
    tryPublish: (topic: string, payload: Uint8Array) => {
      client.publish(topic, payload).catch(() => undefined)
      return true
    },
    publish: (topic: string, payload: Uint8Array, options: object) => {
      return client.publish(topic, payload, options)
    },
    subscribe: (filter: string, options: { listener?: (message: Message) => void } = {}) => {
      const { listener, ...rest } = options
      const given = listener && { listener: (each: LiteMessage) => listener(acked(each)) }
      const subscription = client.subscribe(filter.replace('+level', '+'), { ...rest, ...given })
      const next = subscription.next.bind(subscription)
      return Object.assign(subscription, {
        async next() {
          const taken = await next()
          if (taken.done !== true) acked(taken.value)
          return taken
        },
      }) as unknown as Subscription
    },
    events: () => eventsOf(readers),
    stats: {
      inflight: inflight.size - askedCount,
      queued: [...line].filter(({ packetId }) => packetId === 0).length,
      waiting: 0,
      queuedBytes: 0,
      unacknowledged: receipts.held.size,
    },
  }
}

function acked(message: LiteMessage): Message {
  return Object.assign(message, { ack: () => undefined }) as unknown as Message
}

async function* eventsOf(readers: ((event: ClientEvent) => void)[]): AsyncGenerator<ClientEvent> {
  const events: ClientEvent[] = []
  let wake = (): void => undefined
  readers.push(event => {
    events.push(event)
    wake()
  })
  for (;;) {
    for (const event of events.splice(0)) {
      yield event
      if (event.type === 'closed') return
    }
    if (events.length === 0) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
}
