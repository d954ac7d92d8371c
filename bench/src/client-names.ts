// What the processes of the benchmark of clients have in common.

export const TOPIC = 'site/17/device/4711/temperature'
/** Where a receiver says that it is ready, and that it got a batch. */
export const CONTROL_TOPIC = 'control'
export const PAYLOAD_BYTES = 100
export const BATCH_MESSAGES = 1000
/** Publishes of QoS 1 and 2 at the same time. */
export const WINDOW = 100
export const MANY_CLIENTS = 10_000

/** What a subject is told, as JSON in its arguments. */
export interface Task {
  readonly library: 'godwit' | 'mqtt'
  readonly scenario: string
  readonly port: number
}

/** What came of it. */
export interface Outcome {
  /** Messages per second of processor time, or clients. */
  readonly count: number
  readonly cpuSeconds: number
  readonly heapBytes: number
  readonly rssBytes: number
}
