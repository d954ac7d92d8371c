// The worker of the store, from outside. It can be started before anybody knows for which store:
// until it can answer takes longer than all else at a start, so `godwit serve` does that first.
// In the bundle of the command this is a file of its own, and throws none of our errors.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { plainArguments } from '../plain-arguments.ts'
import type { Answer, ChunkAnswer, Request } from './checkpoint-service.ts'
import {
  CHUNKS_MANY,
  type CheckpointSettings,
  type CheckpointThread,
  type ThreadEvents,
  type WorkerPorts,
  type WorkerSettings,
} from './checkpoint-thread.ts'
import { collectGarbage } from './garbage.ts'

/** A chunk takes milliseconds; a thread that needs longer than this has died. */
const CHUNK_TIMEOUT_MS = 60_000
/** The worker's heap: what it collects between two checkpoints, with room to spare. */
const WORKER_HEAP_MB = 1024
/** What it reads lives short: more would only make the process larger. */
const WORKER_YOUNG_MB = 8

interface Started {
  readonly worker: Worker
  readonly signal: Int32Array
  readonly chunks: MessagePort
  /** It has ended before anybody took it. */
  failure: Error | null
}

/** What was started ahead and not taken yet. */
let ahead: Started | null = null

/** Starts the thread of the next store that is opened. It does not keep the process alive. */
export function startAhead(): void {
  if (ahead !== null) return
  const started = start()
  started.worker.unref()
  started.worker.on('error', cause => {
    started.failure = cause
  })
  ahead = started
}

/** There will be no store. */
export async function dropAhead(): Promise<void> {
  const started = takeAhead()
  await started?.worker.terminate()
  started?.chunks.close()
}

export class WorkerThread implements CheckpointThread {
  private readonly started: Started
  private chunkCount = 0

  constructor(settings: CheckpointSettings, crash: string, events: ThreadEvents) {
    const started = takeAhead() ?? start()
    this.started = started
    const { worker } = started
    worker.removeAllListeners('error')
    worker.on('message', (answer: Answer) => events.answered(answer))
    worker.on('error', (cause: Error) => events.died(cause))
    worker.ref()
    const told: WorkerSettings = { ...settings, crash }
    worker.postMessage(told)
  }

  request(request: Request): void {
    this.started.worker.postMessage(request)
  }

  nextChunk(): ChunkAnswer {
    const { signal, chunks } = this.started
    for (;;) {
      const seen = Atomics.load(signal, 0)
      const received = receiveMessageOnPort(chunks) as { message: ChunkAnswer } | undefined
      if (received !== undefined) return this.took(received.message)
      if (Atomics.wait(signal, 0, seen, CHUNK_TIMEOUT_MS) === 'timed-out') {
        return { failure: 'the thread of the database does not answer' }
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
    const { worker } = this.started
    if (isHeld) worker.ref()
    else worker.unref()
  }

  async terminate(): Promise<void> {
    const { worker, chunks } = this.started
    await worker.terminate()
    chunks.close()
  }
}

/** @returns null when there is none, or none that lives */
function takeAhead(): Started | null {
  const started = ahead
  ahead = null
  return started === null || started.failure !== null ? null : started
}

function start(): Started {
  const { port1, port2 } = new MessageChannel()
  const signal = new Int32Array(new SharedArrayBuffer(4))
  const workerData: WorkerPorts = { signal, chunks: port2 }
  const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
    workerData,
    ...plainArguments(),
    transferList: [port2],
    resourceLimits: {
      maxOldGenerationSizeMb: WORKER_HEAP_MB,
      maxYoungGenerationSizeMb: WORKER_YOUNG_MB,
    },
  })
  return { worker, signal, chunks: port1, failure: null }
}
