// The lite client as the shared tests want it: with the events and the numbers that they look at.

import type { Client } from '../client.ts'
import { type ClientEvent, EventReader } from '../events.ts'
import { openLite } from '../lite/client.ts'
import type { ConnectTarget as LiteTarget } from '../lite/types.ts'
import type { ConnectOptions } from '../options.ts'
import type { ConnectTarget } from '../target.ts'
import type { Platform } from '../transport.ts'

/** What the tests look at inside. */
interface Inside {
  readonly session: {
    readonly inflight: ReadonlyMap<number, unknown>
    readonly line: ReadonlySet<unknown>
    readonly askedCount: number
    readonly subscriptions: ReadonlySet<unknown>
    readonly receipts: { readonly held: ReadonlyMap<number, unknown> }
  }
}

export function openLiteForTests(
  platform: Platform,
  target: ConnectTarget,
  options: ConnectOptions,
): Promise<Client> {
  const readers = new Set<EventReader>()
  let closed: ClientEvent | null = null
  const onEvent = (event: ClientEvent): unknown => {
    if (event.type === 'closed') closed = event
    for (const reader of readers) reader.push(event)
    return options.onEvent?.(event)
  }
  const dial = (url: URL) => platform.dial(url, {} as never)
  const own = Object.assign(Object.create(platform) as Platform, { dial })
  return openLite(own, target as LiteTarget, { ...options, onEvent }).then(client => {
    const { session } = client as unknown as Inside
    const events = (): EventReader => {
      const reader = new EventReader(leaving => readers.delete(leaving))
      readers.add(reader)
      if (closed !== null) reader.push(closed)
      return reader
    }
    const stats = {
      get inflight() {
        return session.inflight.size - session.askedCount
      },
      get queued() {
        return session.line.size
      },
      waiting: 0,
      get unacknowledged() {
        return session.receipts.held.size
      },
      get subscriptions() {
        return session.subscriptions.size
      },
    }
    return Object.assign(client, { events, stats }) as unknown as Client
  })
}
