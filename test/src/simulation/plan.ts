// What a run is like, drawn from its seed: who takes part, which limits the broker has, and what
// goes wrong. Each kind of fault is there in some runs only, so that runs differ in kind.

import {
  DEFAULT_LIMITS,
  DEFAULT_PAGING,
  DEFAULT_SHARES,
  type Limits,
  type Paging,
  type Shares,
} from '@godwit/broker/core/limits'
import type { StoreLimits } from '@godwit/broker/store/store-limits'
import type { ProtocolLevel } from '@godwit/packet'
import type { NetworkOptions } from './world/link.ts'
import type { SeededRandom } from './world/random.ts'

export interface ClientPlan {
  readonly id: string
  readonly level: ProtocolLevel
  readonly isReal: boolean
  readonly usesScram: boolean
  readonly ackDelayMsMax: number
  /** The mean time between two things that it does. */
  readonly paceMs: number
}

/** How the real store is used; null in a plan: a model of a store is. */
export interface DiskPlan {
  readonly latencyMsMax: number
  readonly segmentBytes: number
  readonly checkpointBytes: number
  readonly checkpointMs: number
  readonly limits: StoreLimits
  readonly shortWriteChance: number
  /** How probable it is that a process ends at a named point of the store. */
  readonly pointChance: number
}

/** What the embedder's functions are asked and answer; null in a plan: there are none. */
export interface GuardPlan {
  readonly hasScram: boolean
  readonly asks: readonly ('connect' | 'publish' | 'subscribe' | 'inspect')[]
  /** The longest that they think, but now and then. */
  readonly delayMsMax: number
  /** Nobody may publish on this topic; what is published on the other goes nowhere. */
  readonly forbidden: string
  readonly discarded: string
}

export interface Plan {
  readonly clients: readonly ClientPlan[]
  readonly safetyMs: number
  readonly limits: Limits
  readonly paging: Paging
  readonly shares: Shares
  readonly latencyMsMax: number
  readonly tracePackets: boolean
  readonly network: NetworkOptions
  /** Mean time between two faults of a kind; 0: never. */
  readonly crashMs: number
  readonly cutMs: number
  readonly slowMs: number
  readonly stallMs: number
  readonly jumpMs: number
  readonly fullMs: number
  readonly syncFailMs: number
  readonly disk: DiskPlan | null
  readonly guard: GuardPlan | null
  /** Mean time between two messages of the embedder; 0: never. */
  readonly embedMs: number
  /** How probable it is that a client does not wait for CONNACK. */
  readonly hurry: number
  /** How probable each is, of all that a client does. */
  readonly weights: Readonly<Record<Action, number>>
  readonly topics: readonly string[]
  readonly filters: readonly string[]
  /** A message may be refused for want of room. */
  readonly mayRefuse: boolean
}

export type Action =
  | 'publish'
  | 'burst'
  | 'subscribe'
  | 'unsubscribe'
  | 'goodbye'
  | 'vanish'
  | 'takeover'
  | 'reauthenticate'
  | 'offend'
  | 'idle'

const TOPICS = [
  'a',
  'a/b',
  'a/b/c',
  'b',
  'b/c',
  '/',
  'a//b',
  '$odd/a',
  'c/1',
  'c/2',
  'c/3',
  'c/worth-an-alias',
]
const FILTERS = ['#', 'a/#', 'a/+', '+/b', 'a/b', 'b', 'b/c', '+', 'c/+', '$odd/#', '/', 'a/+/c']
const SHARED = ['$share/g/a/#', '$share/g/c/+', '$share/h/a/#', '$share/g/b', '$share/h/#']

/** @param hasDisk the real store is used */
export function planOf(random: SeededRandom, hasDisk: boolean): Plan {
  const some = (probability: number, low: number, high: number): number =>
    random.chance(probability) ? random.between(low, high) : 0
  const topics = subset(random, TOPICS, 2)
  const guard = random.chance(0.4) ? guardPlanOf(random.fork(), topics) : null
  const clients = clientsOf(random, guard?.hasScram === true)
  const isTiny = random.chance(0.4)
  // A client before MQTT 5.0 cannot be told that there is no room: it would try for ever.
  const isNew = clients.every(client => client.level === 5)
  const latencyMsMax = random.pick([0, 2, 5, 30, 100])
  const crashMs = some(0.65, 1500, 12_000)
  const disk = hasDisk ? diskPlanOf(random.fork(), latencyMsMax, crashMs > 0) : null
  const limits = isTiny ? tinyLimits(random, isNew) : limitsOf(random)
  const fullMs = some(0.2, 3000, 15_000)
  const hasRoom = limits.fullQueue !== 'refuse' && limits.totalQueuedBytesMax > 1_000_000
  return {
    clients,
    disk,
    mayRefuse: fullMs > 0 || !hasRoom,
    guard,
    embedMs: some(0.3, 50, 2000),
    paging: random.chance(0.6) ? smallPages(random) : DEFAULT_PAGING,
    shares: random.chance(0.4) ? smallShares(random) : DEFAULT_SHARES,
    crashMs,
    latencyMsMax,
    syncFailMs: disk !== null && crashMs > 0 ? some(0.4, 5000, 20_000) : 0,
    safetyMs: random.between(5, 40) * 1000,
    limits,
    tracePackets: random.chance(0.2),
    network: {
      delayMsMax: random.pick([0, 1, 5, 40]),
      crumbs: random.pick([0, 0.05, 0.5]),
      windowBytes: random.pick([200, 2000, 100_000]),
    },
    cutMs: some(0.7, 300, 5000),
    slowMs: some(0.5, 500, 4000),
    stallMs: some(0.2, 3000, 15_000),
    jumpMs: some(0.1, 3000, 15_000),
    fullMs,
    hurry: random.pick([0, 0.1, 0.5]),
    weights: {
      publish: random.between(5, 20),
      burst: random.between(0, 4),
      subscribe: random.between(2, 6),
      unsubscribe: random.between(0, 3),
      goodbye: random.between(0, 2),
      vanish: random.between(0, 2),
      takeover: random.between(0, 2),
      reauthenticate: guard?.hasScram ? 2 : 0,
      offend: random.pick([0, 1]),
      idle: random.between(0, 5),
    },
    topics,
    filters: [
      ...subset(random, FILTERS, 2),
      ...(random.chance(0.5) ? subset(random, SHARED, 1) : []),
    ],
  }
}

function diskPlanOf(random: SeededRandom, latencyMsMax: number, crashes: boolean): DiskPlan {
  const checkpointBytes = random.pick([4000, 30_000, 1_000_000])
  return {
    // Each batch takes several operations, one after the other.
    latencyMsMax: Math.ceil(latencyMsMax / 2),
    segmentBytes: random.pick([4096, 16_384, 65_536]),
    checkpointBytes,
    checkpointMs: random.pick([200, 2000, 30_000]),
    limits: {
      followBytes: random.pick([1, 2000, 1_000_000]),
      overlayBytesMax: random.pick([5000, 100_000, 10_000_000]),
      openBatchBytesMax: random.pick([3000, 1_000_000]),
      logBytesMax: checkpointBytes * random.pick([2, 100]),
    },
    shortWriteChance: random.pick([0, 0, 0.2]),
    pointChance: crashes ? random.pick([0, 0.5, 0.9]) : 0,
  }
}

/** Queues are read in many pages. */
function smallPages(random: SeededRandom): Paging {
  const inMemoryMax = random.pick([4, 10, 40])
  return {
    inMemoryMax,
    firstPage: random.between(1, inMemoryMax / 2),
    page: random.between(1, inMemoryMax / 2),
    refillAt: random.between(0, inMemoryMax / 4),
    oldest: random.pick([1, 3, 20]),
  }
}

/** Publishers rest after a few messages, and groups are looked at in many turns. */
function smallShares(random: SeededRandom): Shares {
  return {
    workPerTurn: random.pick([1, 5, 30]),
    heldLooks: random.pick([1, 3, 64]),
    memberLooks: random.pick([1, 4, 100_000]),
    heldAnswers: random.pick([1, 10, 65_536]),
  }
}

function guardPlanOf(random: SeededRandom, topics: readonly string[]): GuardPlan {
  const all = ['connect', 'publish', 'subscribe', 'inspect'] as const
  return {
    hasScram: random.chance(0.5),
    asks: all.filter(() => random.chance(0.6)),
    delayMsMax: random.pick([0, 5, 50, 300]),
    forbidden: random.pick(topics),
    discarded: random.pick(topics),
  }
}

function clientsOf(random: SeededRandom, hasScram: boolean): ClientPlan[] {
  const count = random.between(2, 7)
  const levels: readonly ProtocolLevel[] = random.pick([[5], [5, 5, 4, 3], [4, 3], [5, 5, 5, 4]])
  return Array.from({ length: count }, (_, index) => {
    const level = random.pick(levels)
    return {
      id: `c${index}`,
      level,
      // The library speaks MQTT 3.1.1 and 5.
      isReal: random.chance(0.3) && level > 3,
      usesScram: hasScram && level === 5 && random.chance(0.7),
      ackDelayMsMax: random.pick([0, 5, 100, 1500]),
      paceMs: random.pick([20, 100, 300, 1000]),
    }
  })
}

function limitsOf(random: SeededRandom): Limits {
  return {
    ...DEFAULT_LIMITS,
    routesMax: random.pick([2, 16, 1024]),
    ledgerEntriesMax: 1_000_000,
    receiveMaximum: random.pick([5, 100, 1024]),
    legacySessionExpirySeconds: random.pick([3, 20, 3600]),
  }
}

function tinyLimits(random: SeededRandom, isNew: boolean): Limits {
  return {
    ...limitsOf(random),
    receiveMaximum: random.pick([1, 2, 10]),
    inflightMax: random.pick([1, 2, 5, 1024]),
    topicAliasMaximum: random.pick([0, 1, 3]),
    outgoingTopicAliasMax: random.pick([0, 1, 3]),
    subscriptionsPerSessionMax: random.pick([1, 3, 1000]),
    queuedMessagesMax: random.pick([1, 3, 10, 1000]),
    queuedBytesMax: random.pick([300, 3000, 1_000_000]),
    fullQueue: isNew ? random.pick(['drop-oldest', 'refuse']) : 'drop-oldest',
    totalQueuedBytesMax: isNew ? random.pick([5000, 100_000_000]) : 100_000_000,
    packetBytesMax: random.pick([2500, 1_000_000]),
    outgoingBytesMax: random.pick([500, 500, 5000, 1_000_000]),
    totalOutgoingBytesMax: random.pick([3000, 100_000_000]),
    retainedMessagesMax: isNew ? random.pick([1, 3, 1000]) : 1000,
    retainedBytesMax: isNew ? random.pick([500, 1_000_000]) : 1_000_000,
    sessionExpirySecondsMax: random.pick([2, 10, 0xffff_ffff]),
    keepAliveSecondsMax: random.pick([0, 0, 4]),
    willDelaySecondsMax: random.pick([1, 100]),
    maximumQoS: random.pick([2, 2, 2, 1]),
  }
}

function subset<T>(random: SeededRandom, from: readonly T[], atLeast: number): T[] {
  const chosen = from.filter(() => random.chance(0.5))
  while (chosen.length < atLeast) chosen.push(random.pick(from))
  return chosen
}
