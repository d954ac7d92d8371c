// What the engines of `many` tell: each interval, and at the end.

import type { HealthReport } from './health.ts'

export interface ManyInterval {
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly up: number
  readonly published: number
  readonly answered: number
  readonly received: number
  readonly ack: string
  readonly loopDelayMs: number
  readonly memoryBytes: number
}

export interface ManyReport {
  readonly published: number
  readonly answered: number
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
  readonly refused: number
  readonly ack: string
  readonly connect: string
  /** Bytes that a session costs this process. */
  readonly bytesPerSession: number
  readonly health: HealthReport
  readonly errors: readonly (readonly [text: string, count: number])[]
}
