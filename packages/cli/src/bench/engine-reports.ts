// What an engine tells the coordinator: plain data that goes through a pipe. No behaviour.

import type { Properties } from '@godwit/packet'
import type { HealthReport } from './health.ts'
import type { Delivery } from './verdict.ts'

/** By stream: how many messages were sent. */
export type SentTable = Uint32Array

export interface ConnectReport {
  readonly wanted: number
  readonly connected: number
  readonly seconds: number
  /** Histogram of the time to CONNACK. */
  readonly encoded: string
  readonly errors: readonly (readonly [text: string, count: number])[]
  /** Of one CONNACK. */
  readonly connack: Properties
  /** The largest that will be sent; 0 when it is not known. */
  readonly packetBytesMax: number
}

export interface IntervalReport {
  readonly fromSeconds: number
  readonly toSeconds: number
  /** Since the beginning. */
  readonly sent: number
  readonly acked: number
  readonly received: number
  readonly connections: number
  /** Histograms of this interval. */
  readonly response: string
  readonly service: string
  readonly ack: string
  readonly loopDelayMs: number
  readonly isWarmup: boolean
}

/** Counters at one moment. */
export interface Snapshot {
  atUs: number
  scheduled: number
  sent: number
  acked: number
  received: number
}

export interface Totals {
  readonly sent: number
  readonly acked: number
  readonly received: number
  readonly unverified: number
  readonly compared: number
  readonly refused: number
  readonly missed: number
  /** At the end. */
  readonly unacknowledged: number
  readonly broken: number
  readonly reconnects: number
  readonly slowReceived: number
}

export interface PartReport {
  /** Whether the warm-up was over before the end. */
  readonly hasMeasured: boolean
  /** When the measured time began, and when publishing ended. */
  readonly base: Snapshot
  readonly end: Snapshot
  readonly startUs: number
  readonly lastArrivalUs: number
  readonly totals: Totals
  readonly delivery: Delivery
  readonly forgottenGaps: number
  readonly encoded: Readonly<Record<'response' | 'service' | 'ack' | 'connect' | 'slip', string>>
  readonly health: HealthReport
  readonly errors: readonly (readonly [text: string, count: number])[]
}

export interface Progress {
  /** Deliveries that `sent` asks for here, and those that came. */
  readonly expected: number
  readonly received: number
  /** Messages that are due, allowed or not acknowledged. */
  readonly open: number
}
