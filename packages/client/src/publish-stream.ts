// A stream that publishes what is written to it. It keeps no more messages under way than it is
// told to, so that its source is read as fast as the server takes.

import type { Client } from './client.ts'
import { ignore } from './deferred.ts'
import { invalidArgument } from './errors.ts'
import type { Payload } from './options.ts'
import type { PublishOptions } from './publisher.ts'

const CONCURRENCY = 64

export interface PublishStreamOptions extends PublishOptions {
  /** Messages under way at the same time. Default: 64. */
  readonly concurrency?: number
}

/** The platform's `WritableStream`, as far as streams ask of one another. */
export interface PublishStream {
  readonly locked: boolean
  abort(reason?: unknown): Promise<void>
  close(): Promise<void>
  getWriter(): PublishStreamWriter
}

export interface PublishStreamWriter {
  readonly closed: Promise<undefined>
  readonly desiredSize: number | null
  readonly ready: Promise<undefined>
  abort(reason?: unknown): Promise<void>
  close(): Promise<void>
  releaseLock(): void
  write(chunk?: Payload): Promise<void>
}

interface Controller {
  error(reason: unknown): void
}

/** What is used of the platform's streams. */
interface Streams {
  readonly WritableStream: new (sink: {
    write(chunk: Payload, controller: Controller): Promise<void>
    close(): Promise<void>
  }) => PublishStream
}

/**
 * A stream whose chunks become messages on one topic, in order:
 *
 *     await readable.pipeTo(publishStream(client, 'log', { qos: 1 }))
 *
 * Its end waits for every acknowledgement. What cannot be published ends the stream with its error.
 * It does not close the client.
 * @throws MqttError `invalid-argument`
 */
export function publishStream(
  client: Client,
  topic: string,
  options: PublishStreamOptions = {},
): PublishStream {
  const { concurrency = CONCURRENCY, ...own } = options
  if (!(concurrency >= 1))
    throw invalidArgument(`concurrency: expected 1 or more, got ${concurrency}`)
  const { WritableStream } = globalThis as unknown as Streams
  const running = new Set<Promise<void>>()
  let freed: (done: Promise<void>) => void = ignore
  return new WritableStream({
    async write(chunk, controller) {
      const done: Promise<void> = client
        .publish(topic, chunk, own)
        .then(ignore, (error: unknown) => {
          controller.error(error)
          throw error
        })
        .finally(() => {
          running.delete(done)
          freed(done)
        })
      // Whoever writes is told by the stream.
      done.catch(ignore)
      running.add(done)
      // Not `Promise.race`: one that lasts would remember each race.
      if (running.size >= concurrency)
        await new Promise<void>(resolve => {
          freed = resolve
        })
    },
    async close() {
      await Promise.all(running)
    },
  })
}
