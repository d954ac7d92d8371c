// The broker of the benchmarks of the store, in a process of its own: tells where it listens, and
// at each message how long its event loop stood still since the one before, and for what.

import { existsSync, openSync, readSync } from 'node:fs'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { createBroker } from '@godwit/broker'
import { DiskStore } from '@godwit/broker/store/disk'
import { Log } from '@godwit/broker/store/log'

/** In milliseconds. */
export interface Stall {
  /** How late the event loop was, whatever the reason. */
  readonly p99Ms: number
  readonly maxMs: number
  /** The longest that the store kept it at one time, without the time it waited for a processor. */
  readonly storeMs: number
  /** The longest collection of garbage. */
  readonly collectionMs: number
}

const RESOLUTION_MS = 1
/** What the store does in the event loop, but for the records, which are the core's turn. */
const STORE_CALLS = ['handOver', 'tell', 'flush', 'applied', 'sendFetches', 'fetch', 'shortage']
const SCHEDULE = `/proc/self/task/${process.pid}/schedstat`
let storeMs = 0
let collectionMs = 0

/**
 * How long this thread was ready and had no processor, in nanoseconds: what others did on a
 * busy machine, the store did not do. Linux has it as the second number.
 */
class Waiting {
  private readonly descriptor = existsSync(SCHEDULE) ? openSync(SCHEDULE, 'r') : -1
  private readonly buffer = Buffer.alloc(64)

  nanoseconds(): number {
    if (this.descriptor < 0) return 0
    const byteCount = readSync(this.descriptor, this.buffer, 0, this.buffer.length, 0)
    return Number(this.buffer.toString('latin1', 0, byteCount).split(' ')[1] ?? 0)
  }
}

const waiting = new Waiting()
const [, , directory = ''] = process.argv
for (const name of STORE_CALLS) time(DiskStore.prototype, name)
// Up to the first time that it waits for the disk: checksum and copy of a batch.
time(Log.prototype, 'append')
const limits = { queuedMessagesMax: 100_000_000, queuedBytesMax: Number.MAX_SAFE_INTEGER }
// A checkpoint every two seconds: a run of ten has several, whatever its load.
const store = directory === '' ? 'none' : ({ directory, checkpointMs: 2000 } as const)
const broker = createBroker({ store, limits })
const { port } = await broker.listen({ port: 0 })
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delays.enable()
const collections = new PerformanceObserver(list => {
  for (const { duration } of list.getEntries()) collectionMs = Math.max(collectionMs, duration)
})
collections.observe({ entryTypes: ['gc'] })
process.send?.({ port })
process.on('message', () => {
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  const stall: Stall = {
    p99Ms: late(delays.percentile(99)),
    maxMs: late(delays.max),
    storeMs,
    collectionMs,
  }
  process.send?.(stall)
  delays.reset()
  storeMs = 0
  collectionMs = 0
})
process.on('disconnect', () => process.exit())

/** Notes the longest call of a method. */
function time(prototype: object, name: string): void {
  const methods = prototype as Record<string, (...values: unknown[]) => unknown>
  const method = methods[name]
  if (method === undefined) throw new Error(`the store has no method ${name}`)
  methods[name] = function timed(this: object, ...values: unknown[]): unknown {
    const waitedBefore = waiting.nanoseconds()
    const startedMs = performance.now()
    const result = method.apply(this, values)
    const tookMs = performance.now() - startedMs
    if (tookMs > storeMs) {
      const waitedMs = (waiting.nanoseconds() - waitedBefore) / 1e6
      storeMs = Math.max(storeMs, tookMs - waitedMs)
    }
    return result
  }
}
