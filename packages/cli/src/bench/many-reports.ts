// What the engines of `many` tell: each interval, and at the end.

import type { HealthReport } from './health.ts'

export interface ManyInterval {
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly up: number
  readonly published: number
  readonly answered: number
  /** Questions without an answer yet. */
  readonly open: number
  readonly received: number
  readonly ack: string
  readonly loopDelayMs: number
  readonly memoryBytes: number
}

export interface ManyReport {
  readonly published: number
  /** Due, and not said: the session was down or still waited for an answer. */
  readonly missed: number
  /** Messages and pings that ask for an answer, but those of the roll call. */
  readonly asked: number
  readonly answered: number
  readonly refused: number
  /** Questions whose connection was gone before the answer. */
  readonly cutOff: number
  readonly received: number
  readonly broken: number
  readonly reconnects: number
  /** Connects that failed after the first round. */
  readonly failedReconnects: number
  /** Sessions that gave no answer in time and were given up. */
  readonly dead: number
  /** Sessions that answered the last roll call, and those that should have. */
  readonly alive: number
  readonly sessions: number
  readonly ack: string
  readonly connect: string
  /** Bytes that a session costs this process. */
  readonly bytesPerSession: number
  readonly health: HealthReport
  readonly errors: readonly (readonly [text: string, count: number])[]
}
