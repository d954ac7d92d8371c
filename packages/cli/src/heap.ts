// How V8's heap may grow in a process that is a broker.

import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'

const LOOK_MS = 2000
const SMALL_BYTES = 32 * 1024 * 1024
const LARGE_BYTES = 64 * 1024 * 1024
/** Five times what lives: enough that what sockets have read seldom makes V8 mark the heap. */
const SMALL_GROWTH_PERCENT = 400
/** V8's own choice. */
const DEFAULT_GROWTH_PERCENT = 0

const YOUNG_LOOK_MS = 200
/** Of both halves of the young generation. */
const YOUNG_BYTES = 16 * 1024 * 1024
/** How many times as large as before it becomes: V8's own choice, and not at all. */
const DEFAULT_YOUNG_FACTOR = 2
const NO_YOUNG_FACTOR = 1

/** What is asked and told. */
export interface HeapWorld {
  heapUsed(): number
  /** Both halves of the young generation. */
  youngBytes(): number
  grow(percent: number): void
  growYoung(factor: number): void
  /** @returns what ends it */
  every(ms: number, look: () => void): () => void
}

export const nodeHeap: HeapWorld = {
  // Not process.memoryUsage: that reads a file, which a process out of descriptors cannot.
  heapUsed: () => getHeapStatistics().used_heap_size,
  grow: percent => setFlagsFromString(`--heap-growing-percent=${percent}`),
  youngBytes: () => {
    const young = getHeapSpaceStatistics().find(space => space.space_name === 'new_space')
    return young?.space_size ?? 0
  },
  growYoung: factor => setFlagsFromString(`--semi-space-growth-factor=${factor}`),
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
export function giveHeapRoom(world: HeapWorld = nodeHeap): () => void {
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

/**
 * Keeps the young generation from growing beyond what makes a broker faster. Who opens thousands
 * of sessions makes V8 double it, up to 32 MB on Node 20 and 128 MB on Node 24: nothing gives that
 * back while it is in use, and all that is alive in it is copied in one piece. Its largest size
 * can only be told to a process that starts; how far it grows from where it is, at any time. When
 * V8 has shrunk it meanwhile, it may grow again.
 * @returns what ends it
 */
export function boundYoungHeap(world: HeapWorld = nodeHeap): () => void {
  let isBound = false
  const bind = (bound: boolean): void => {
    if (bound !== isBound) world.growYoung(bound ? NO_YOUNG_FACTOR : DEFAULT_YOUNG_FACTOR)
    isBound = bound
  }
  const stop = world.every(YOUNG_LOOK_MS, () => bind(world.youngBytes() >= YOUNG_BYTES))
  return () => {
    stop()
    bind(false)
  }
}
