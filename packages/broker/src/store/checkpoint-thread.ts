// The thread of the database as the main thread sees it: requests go to it, answers come from it.
// Its production form is a worker; testing/simulated-thread.ts is the other one.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Answer, ChunkAnswer, Request } from './checkpoint-service.ts'
import { StoreError } from './errors.ts'
import { collectGarbage } from './garbage.ts'

/** A chunk takes milliseconds; a thread that needs longer than this has died. */
const CHUNK_TIMEOUT_MS = 60_000
/** Tens of thousands of rows: the heap has grown. */
export const CHUNKS_MANY = 32
/** The worker's heap: what it collects between two checkpoints, with room to spare. */
const WORKER_HEAP_MB = 1024
/** What it reads lives short: more would only make the process larger. */
const WORKER_YOUNG_MB = 8

export interface CheckpointSettings {
  readonly databasePath: string
  readonly logDirectory: string
  readonly salvage: boolean
  readonly overlayBytesMax: number
  readonly ballastBytes: number
}

/** What the worker is given. */
export interface WorkerSettings extends CheckpointSettings {
  readonly crash: string
  /** Grows with each chunk that was posted to `chunks`. */
  readonly signal: Int32Array
  readonly chunks: MessagePort
}

export interface ThreadEvents {
  answered(answer: Answer): void
  /** It has ended by itself. */
  died(cause: Error): void
}

export interface CheckpointThread {
  /** Requests are answered in their order, later. */
  request(request: Request): void
  /** Waits for the answer to a request of type 'chunk'. @throws StoreError `io` */
  nextChunk(): ChunkAnswer
  /** Whether it keeps the process alive. */
  hold(isHeld: boolean): void
  /** Ends it without any ceremony. */
  terminate(): Promise<void>
}

export class WorkerThread implements CheckpointThread {
  private readonly worker: Worker
  private readonly signal = new Int32Array(new SharedArrayBuffer(4))
  private readonly chunks: MessagePort
  private chunkCount = 0

  constructor(settings: CheckpointSettings, crash: string, events: ThreadEvents) {
    const channel = new MessageChannel()
    this.chunks = channel.port1
    const { signal } = this
    const workerData: WorkerSettings = { ...settings, crash, signal, chunks: channel.port2 }
    this.worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
      workerData,
      transferList: [channel.port2],
      resourceLimits: {
        maxOldGenerationSizeMb: WORKER_HEAP_MB,
        maxYoungGenerationSizeMb: WORKER_YOUNG_MB,
      },
    })
    this.worker.on('message', (answer: Answer) => events.answered(answer))
    this.worker.on('error', (cause: Error) => events.died(cause))
  }

  request(request: Request): void {
    this.worker.postMessage(request)
  }

  nextChunk(): ChunkAnswer {
    for (;;) {
      const seen = Atomics.load(this.signal, 0)
      const received = receiveMessageOnPort(this.chunks) as { message: ChunkAnswer } | undefined
      if (received !== undefined) return this.took(received.message)
      if (Atomics.wait(this.signal, 0, seen, CHUNK_TIMEOUT_MS) === 'timed-out') {
        throw new StoreError('io', 'the thread of the database does not answer')
      }
    }
  }

  private took(chunk: ChunkAnswer): ChunkAnswer {
    // What the reading of a large store took is not needed again.
    if (chunk === null && this.chunkCount > CHUNKS_MANY) collectGarbage()
    this.chunkCount = chunk === null ? 0 : this.chunkCount + 1
    return chunk
  }

  hold(isHeld: boolean): void {
    if (isHeld) this.worker.ref()
    else this.worker.unref()
  }

  async terminate(): Promise<void> {
    await this.worker.terminate()
    this.chunks.close()
  }
}
