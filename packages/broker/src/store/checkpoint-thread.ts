// The thread of the database as the main thread sees it: requests go to it, answers come from it.
// Its production form is worker-thread.ts; testing/simulated-thread.ts is the other one.

import type { MessagePort } from 'node:worker_threads'
import type { Answer, ChunkAnswer, Request } from './checkpoint-service.ts'

/** Tens of thousands of rows: the heap has grown. */
export const CHUNKS_MANY = 32

export interface CheckpointSettings {
  readonly databasePath: string
  readonly logDirectory: string
  readonly salvage: boolean
  readonly overlayBytesMax: number
  readonly ballastBytes: number
}

/** What the worker is given when it starts. */
export interface WorkerPorts {
  /** Grows with each chunk that was posted to `chunks`. */
  readonly signal: Int32Array
  readonly chunks: MessagePort
}

/** What it is told first, before any request. */
export interface WorkerSettings extends CheckpointSettings {
  readonly crash: string
}

export interface ThreadEvents {
  answered(answer: Answer): void
  /** It has ended by itself. */
  died(cause: Error): void
}

export interface CheckpointThread {
  /** Requests are answered in their order, later. */
  request(request: Request): void
  /** Waits for the answer to a request of type 'chunk'. */
  nextChunk(): ChunkAnswer
  /** Whether it keeps the process alive. */
  hold(isHeld: boolean): void
  /** Ends it without any ceremony. */
  terminate(): Promise<void>
}
