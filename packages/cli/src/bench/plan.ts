// Who sends and receives what in a run of `ping` or `load`, and which process has which client.
// Pure: every process makes the same plan from the same settings and takes its part.

import type { LoadSettings } from './settings.ts'
import { filterOf, randomCount, topicsOf } from './templates.ts'

export type Role = 'publisher' | 'subscriber' | 'asker' | 'answerer' | 'watcher'

export interface ClientPlan {
  readonly index: number
  readonly role: Role
  readonly worker: number
  readonly topics: readonly string[]
  /** Of the first topic. */
  readonly streamFrom: number
  readonly filters: readonly string[]
  readonly receivesFrom: number
  /** How many streams it receives; 0 for none. */
  readonly receivesCount: number
  /** Of a shared subscription: what counts is what all members received. */
  readonly isShared: boolean
  readonly isSlow: boolean
}

export interface Plan {
  readonly clients: readonly ClientPlan[]
  readonly streams: number
  /** How many streams each publisher has. */
  readonly streamsPerPublisher: number
}

const NOTHING = { topics: [], streamFrom: 0, filters: [], receivesFrom: 0, receivesCount: 0 }
const RETAINED_TOPIC = 'retained'

export function planOf(settings: LoadSettings): Plan {
  if (settings.kind === 'ping') return planPing(settings)
  return settings.retainedMessages > 0 ? planRetained(settings) : planLoad(settings)
}

function planLoad(settings: LoadSettings): Plan {
  const { publishers, subscribers, topic, shape, processes, slowSubscribers } = settings
  const perPublisher = randomCount(topic)
  const everything = topic.includes('{client}') ? publishers * perPublisher : perPublisher
  const streams = publishers * perPublisher
  const isPaired = shape === 'one-to-one' && topic.includes('{client}')
  const prefix = shape === 'shared' ? '$share/godwit-bench/' : ''
  const all = `${prefix}${filterOf(topic, publishers === 1 ? 0 : null)}`
  const clients: ClientPlan[] = []
  for (let i = 0; i < subscribers; i++) {
    clients.push({
      ...NOTHING,
      index: clients.length,
      role: 'subscriber',
      // A group is counted as one, so it is in one process.
      worker: shape === 'shared' ? 0 : i % processes,
      filters: [isPaired ? filterOf(topic, i) : all],
      receivesFrom: isPaired ? i * perPublisher : 0,
      receivesCount: isPaired ? perPublisher : Math.max(everything, streams),
      isShared: shape === 'shared',
      isSlow: i < slowSubscribers,
    })
  }
  for (let i = 0; i < publishers; i++) {
    clients.push({
      ...NOTHING,
      index: clients.length,
      role: 'publisher',
      worker: i % processes,
      topics: topicsOf(topic, i),
      streamFrom: i * perPublisher,
      isShared: false,
      isSlow: false,
    })
  }
  return { clients, streams, streamsPerPublisher: perPublisher }
}

/** One publisher per process leaves retained messages, then all subscribers ask for all of them. */
function planRetained(settings: LoadSettings): Plan {
  const { publishers, subscribers, topic, processes, retainedMessages } = settings
  const base = `${topicsOf(topic, 0)[0] ?? topic}/${RETAINED_TOPIC}`
  const perPublisher = Math.ceil(retainedMessages / publishers)
  const clients: ClientPlan[] = []
  const common = { isShared: false, isSlow: false }
  for (let i = 0; i < subscribers; i++) {
    clients.push({
      ...NOTHING,
      ...common,
      index: clients.length,
      role: 'subscriber',
      worker: i % processes,
      filters: [`${base}/#`],
      receivesCount: publishers * perPublisher,
    })
  }
  for (let i = 0; i < publishers; i++) {
    clients.push({
      ...NOTHING,
      ...common,
      index: clients.length,
      role: 'publisher',
      worker: i % processes,
      topics: Array.from({ length: perPublisher }, (_, n) => `${base}/${i}/${n}`),
      streamFrom: i * perPublisher,
    })
  }
  return { clients, streams: publishers * perPublisher, streamsPerPublisher: perPublisher }
}

/** Pairs: one asks on its topic, the other answers on its own. Watchers see the first pair. */
function planPing(settings: LoadSettings): Plan {
  const { publishers: pairs, subscribers: watchers, topic, processes } = settings
  const clients: ClientPlan[] = []
  const common = { isShared: false, isSlow: false }
  for (let i = 0; i < pairs; i++) {
    const base = topicsOf(topic, i)[0] ?? topic
    const sides = [
      { role: 'answerer', mine: 2 * i + 1, theirs: 2 * i },
      { role: 'asker', mine: 2 * i, theirs: 2 * i + 1 },
    ] as const
    for (const { role, mine, theirs } of sides) {
      clients.push({
        ...common,
        index: clients.length,
        role,
        worker: i % processes,
        topics: [`${base}/${mine % 2}`],
        streamFrom: mine,
        filters: [`${base}/${theirs % 2}`],
        receivesFrom: theirs,
        receivesCount: 1,
      })
    }
  }
  const watched = `${topicsOf(topic, 0)[0] ?? topic}/#`
  for (let i = 0; i < watchers; i++) {
    clients.push({
      ...NOTHING,
      ...common,
      index: clients.length,
      role: 'watcher',
      worker: i % processes,
      filters: [watched],
      receivesCount: 2,
    })
  }
  return { clients, streams: 2 * pairs, streamsPerPublisher: 1 }
}
