// A broker for the time of one test, and what it has told.

import {
  type BrokerEvents,
  type BrokerOptions,
  type BrokerServer,
  createBroker,
} from '@godwit/broker'

/** Runs `use` with a broker that is closed after it, whatever happens. */
export async function withBroker(
  options: BrokerOptions,
  use: (broker: BrokerServer) => Promise<void>,
): Promise<void> {
  const broker = createBroker({ statsIntervalSeconds: 0, ...options })
  try {
    await use(broker)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

/** The next event of this name; to be asked for before what causes it. */
export function nextEvent<N extends keyof BrokerEvents>(
  broker: BrokerServer,
  name: N,
): Promise<BrokerEvents[N][0]> {
  return new Promise(resolve => {
    // The types of EventEmitter do not see that the listener of N takes N's arguments.
    const once = broker.once.bind(broker) as (
      name: N,
      listener: (event: BrokerEvents[N][0]) => void,
    ) => void
    once(name, resolve)
  })
}

const LOOK_MS = 5
const PATIENCE_MS = 60_000

/**
 * Resolves when `condition` holds, which is looked at again and again: for what no event tells.
 * @throws Error when it does not hold within a minute
 */
export function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (condition()) resolve()
      else if (performance.now() > endMs) reject(new Error(`it does not come: ${what}`))
      else setTimeout(look, LOOK_MS)
    }
    look()
  })
}

/** Resolves when the broker has no connection any more. */
export function untilEmpty(broker: BrokerServer): Promise<void> {
  return until(() => broker.stats().connections === 0, 'no connection is left')
}

/**
 * What `promise` gives, or `otherwise` when that takes longer than `limitMs`: for what may never
 * come, so that the test can say so.
 */
export async function within<T>(limitMs: number, promise: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<T>(resolve => {
    timer = setTimeout(() => resolve(otherwise), limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
