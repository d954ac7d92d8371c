// The main end of the worker that owns the database. It tells the worker which parts of the
// log are new, when to write, and hears which batch the database has. It never waits, but for the
// reading of all at start.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { StoreReader } from '../core/ports.ts'
import type { Answer, ChunkAnswer, Request, WorkerSettings } from './checkpoint-worker.ts'
import { StoreError } from './errors.ts'
import type { LogRange } from './log.ts'
import type { PageRequest } from './page-writer.ts'
import type { Recovered } from './replica.ts'
import { ChunkReader } from './state-reader.ts'

/** A chunk takes milliseconds; a thread that needs longer than this has died. */
const CHUNK_TIMEOUT_MS = 60_000
/** So many are asked for ahead, so that both threads work. */
const CHUNKS_AHEAD = 4
/** The worker's heap: what it collects between two checkpoints, with room to spare. */
const WORKER_HEAP_MB = 1024
/** What it reads lives short: more would only make the process larger. */
const WORKER_YOUNG_MB = 8

export interface CheckpointOptions {
  readonly databasePath: string
  readonly logDirectory: string
  readonly salvage: boolean
  readonly overlayBytesMax: number
  readonly ballastBytes: number
  readonly crash: string
}

export interface CheckpointEvents {
  /** `reserved`: space for bad times is there. */
  applied(sequence: number, reserved: boolean): void
  /** It can be tried again when there is space. */
  flushFailed(text: string): void
  page(ticket: number, records: Uint8Array): void
  failed(cause: StoreError): void
}

export class Checkpoint {
  private readonly worker: Worker
  private readonly signal = new Int32Array(new SharedArrayBuffer(4))
  private readonly chunks: MessagePort
  private events: CheckpointEvents | null = null
  private recovering: {
    resolve(recovered: Recovered): void
    reject(cause: Error): void
  } | null = null
  private pagesAwaited = 0
  private closing: (() => void) | null = null

  constructor(options: CheckpointOptions) {
    const channel = new MessageChannel()
    this.chunks = channel.port1
    const settings: WorkerSettings = { ...options, signal: this.signal, chunks: channel.port2 }
    this.worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
      workerData: settings,
      transferList: [channel.port2],
      resourceLimits: {
        maxOldGenerationSizeMb: WORKER_HEAP_MB,
        maxYoungGenerationSizeMb: WORKER_YOUNG_MB,
      },
    })
    this.worker.on('message', (answer: Answer) => this.take(answer))
    this.worker.on('error', (cause: Error) => {
      this.fail(new StoreError('io', `the thread of the database ended: ${cause.message}`, cause))
    })
  }

  /** @throws StoreError `newer-version`, `corrupt`, `io` */
  recover(): Promise<Recovered> {
    return new Promise((resolve, reject) => {
      this.recovering = { resolve, reject }
      this.request({ type: 'recover' })
    })
  }

  listen(events: CheckpointEvents): void {
    this.events = events
  }

  /** Gives the reader all that is in the database. This thread waits meanwhile. */
  load(reader: StoreReader): void {
    const chunkReader = new ChunkReader(reader)
    this.request({ type: 'load' })
    for (let i = 0; i < CHUNKS_AHEAD; i++) this.request({ type: 'chunk' })
    let open = true
    for (let awaited = CHUNKS_AHEAD; awaited > 0; awaited--) {
      const chunk = this.nextChunk()
      if (chunk === null || !open) {
        open = false
        continue
      }
      if ('failure' in chunk) throw new StoreError('io', chunk.failure)
      this.request({ type: 'chunk' })
      awaited++
      chunkReader.read(chunk)
    }
  }

  /** These parts of the log are durable. */
  follow(ranges: readonly LogRange[]): void {
    if (ranges.length > 0) this.request({ type: 'follow', ranges })
  }

  /** `applied` or `flushFailed` answers. */
  flush(): void {
    this.request({ type: 'flush' })
  }

  /** `page` answers. What has been followed counts. */
  fetch(ticket: number, request: PageRequest): void {
    if (this.pagesAwaited++ === 0) this.worker.ref()
    this.request({ type: 'fetch', ticket, ...request })
  }

  close(): Promise<void> {
    this.worker.ref()
    return new Promise(resolve => {
      this.closing = resolve
      this.request({ type: 'close' })
    })
  }

  /** Ends the thread without any ceremony. */
  async terminate(): Promise<void> {
    await this.worker.terminate()
    this.chunks.close()
  }

  private nextChunk(): ChunkAnswer {
    for (;;) {
      const seen = Atomics.load(this.signal, 0)
      const received = receiveMessageOnPort(this.chunks) as { message: ChunkAnswer } | undefined
      if (received !== undefined) return received.message
      if (Atomics.wait(this.signal, 0, seen, CHUNK_TIMEOUT_MS) === 'timed-out') {
        throw new StoreError('io', 'the thread of the database does not answer')
      }
    }
  }

  private request(request: Request): void {
    this.worker.postMessage(request)
  }

  private take(answer: Answer): void {
    switch (answer.type) {
      case 'recovered':
        // From now on it does not keep the process alive by itself.
        this.worker.unref()
        this.recovering?.resolve(answer.recovered)
        this.recovering = null
        break
      case 'applied':
        this.events?.applied(answer.sequence, answer.reserved)
        break
      case 'flush-failed':
        this.events?.flushFailed(answer.text)
        break
      case 'page':
        if (--this.pagesAwaited === 0 && this.closing === null) this.worker.unref()
        this.events?.page(answer.ticket, answer.records)
        break
      case 'failed':
        this.fail(new StoreError(answer.code, answer.text))
        break
      default:
        void this.closed()
    }
  }

  /**
   * The database is closed; the thread is ended from here. A thread whose event loop runs dry waits
   * for its compiler, which may wait for a garbage collection, which only the thread could do: seen
   * in Node 20 in every second run of disk.test.ts, three at a time.
   */
  private async closed(): Promise<void> {
    await this.terminate()
    this.closing?.()
  }

  private fail(cause: StoreError): void {
    if (this.recovering !== null) {
      this.recovering.reject(cause)
      this.recovering = null
    } else this.events?.failed(cause)
  }
}
