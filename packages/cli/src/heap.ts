// How V8's heap may grow in a process that is a broker.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'

const LOOK_MS = 2000
const SMALL_BYTES = 32 * 1024 * 1024
const LARGE_BYTES = 64 * 1024 * 1024
/** Five times what lives: enough that what sockets have read seldom makes V8 mark the heap. */
const SMALL_GROWTH_PERCENT = 400
/** V8's own choice. */
const DEFAULT_GROWTH_PERCENT = 0

/** What is asked and told. */
export interface HeapWorld {
  heapUsed(): number
  grow(percent: number): void
  /** @returns what ends it */
  every(ms: number, look: () => void): () => void
}

const REAL_WORLD: HeapWorld = {
  // Not process.memoryUsage: that reads a file, which a process out of descriptors cannot.
  heapUsed: () => getHeapStatistics().used_heap_size,
  grow: percent => setFlagsFromString(`--heap-growing-percent=${percent}`),
  every: (ms, look) => {
    const timer = setInterval(look, ms)
    timer.unref()
    return () => clearInterval(timer)
  },
}

/**
 * Gives a small heap room. What sockets have read lies outside of the heap but counts against its
 * limit, and the limit of a heap of 9 MB is so near that V8 marks it every 70 ms under load: a
 * third of the processor time of QoS 0. A large heap has room enough, and there memory counts
 * for more.
 * @returns what ends it
 */
export function giveHeapRoom(world: HeapWorld = REAL_WORLD): () => void {
  let isSmall = false
  const look = (): void => {
    const heapUsed = world.heapUsed()
    const small = isSmall ? heapUsed < LARGE_BYTES : heapUsed < SMALL_BYTES
    if (small !== isSmall) world.grow(small ? SMALL_GROWTH_PERCENT : DEFAULT_GROWTH_PERCENT)
    isSmall = small
  }
  look()
  const stop = world.every(LOOK_MS, look)
  return () => {
    stop()
    if (isSmall) world.grow(DEFAULT_GROWTH_PERCENT)
  }
}
