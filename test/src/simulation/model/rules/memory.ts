// When all have left, nothing of them is left: in the broker's memory, and in its store. Remembered
// routes are bounded and stay; so do buffers that wait to be used again.

import type { Broker } from '@godwit/broker/core/broker'
import { broken } from '../failure.ts'

/** Classes of the core whose objects belong to somebody. */
const OWNED: ReadonlySet<string> = new Set([
  'Connection',
  'Session',
  'Subscription',
  'Delivery',
  'Group',
  'Timer',
  'Inflight',
  'RetainedWalk',
])
/** Remembered routes and lists that are reused keep what they last pointed at. */
const PASSING: ReadonlySet<string> = new Set([
  'routes',
  'found',
  'ports',
  'sweep',
  'anySession',
  'sleeping',
])

/** @param stored how much the store keeps of each kind */
export function checkEmpty(broker: Broker, stored: Readonly<Record<string, number>>): void {
  const left = census(broker)
  const own: Record<string, number> = {
    sessions: broker.sessions.count,
    questions: broker.sleep.openQuestions,
    keptSessions: broker.sessions.byStoredId.size,
    subscriptions: broker.subscriptionCount,
    filterBytes: broker.filterBytes,
    willBytes: broker.wills.byteCount,
    aliasPoolBytes: broker.aliasPool.byteCount,
    incomingBytes: broker.incoming.byteCount,
    groups: broker.groups.count,
    queuedBytes: broker.queues.totalBytes,
    pendingBytes: broker.sender.totalPendingBytes,
    retained: broker.retainer.messages.count,
    retainedBytes: broker.retainer.messages.bytes,
    connections: broker.counters.connectionsNow,
    clients: broker.counters.clientsConnected,
    ...stored,
  }
  for (const [name, count] of [...left, ...Object.entries(own)]) {
    if (count !== 0) broken('memory', `all have left and ${name} is ${count}`)
  }
}

/** Counts what can be reached from the broker. */
function census(broker: Broker): Map<string, number> {
  const counts = new Map<string, number>()
  const seen = new Set<object>([broker])
  const waiting: object[] = [broker]
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    if (ArrayBuffer.isView(value)) return
    seen.add(value)
    waiting.push(value)
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const name = next.constructor?.name ?? ''
    if (OWNED.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
    if (next instanceof Map) for (const [key, value] of next) [key, value].forEach(visit)
    else if (next instanceof Set) next.forEach(visit)
    else {
      for (const [key, value] of Object.entries(next)) if (!PASSING.has(key)) visit(value)
    }
  }
  return counts
}
