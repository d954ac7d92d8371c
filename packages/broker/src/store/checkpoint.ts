// The main end of the thread that owns the database. It tells the thread which parts of the
// log are new, when to write, and hears which batch the database has. It never waits, but for the
// reading of all at start.

import type { StoreReader } from '../core/ports.ts'
import type { Answer, Request } from './checkpoint-service.ts'
import type { CheckpointThread, ThreadEvents } from './checkpoint-thread.ts'
import { StoreError } from './errors.ts'
import type { LogRange } from './log.ts'
import type { PageRequest } from './page-writer.ts'
import type { Recovered } from './replica.ts'
import { ChunkReader } from './state-reader.ts'

/** So many are asked for ahead, so that both threads work. */
const CHUNKS_AHEAD = 4

export interface CheckpointEvents {
  /** `reserved`: space for bad times is there. */
  applied(sequence: number, firstSegment: number, reserved: boolean): void
  /** It can be tried again when there is space. */
  flushFailed(text: string): void
  page(ticket: number, records: Uint8Array): void
  failed(cause: StoreError): void
}

export class Checkpoint {
  private readonly thread: CheckpointThread
  private events: CheckpointEvents | null = null
  private recovering: {
    resolve(recovered: Recovered): void
    reject(cause: Error): void
  } | null = null
  private beginning: {
    resolve(): void
    reject(cause: Error): void
  } | null = null
  private pagesAwaited = 0
  private closing: (() => void) | null = null

  constructor(start: (events: ThreadEvents) => CheckpointThread) {
    this.thread = start({
      answered: answer => this.take(answer),
      died: cause => {
        const { message } = cause
        this.fail(new StoreError('io', `the thread of the database ended: ${message}`, cause))
      },
    })
  }

  /** @throws StoreError `newer-version`, `corrupt`, `io` */
  recover(): Promise<Recovered> {
    return new Promise((resolve, reject) => {
      this.recovering = { resolve, reject }
      this.request({ type: 'recover' })
    })
  }

  /**
   * Notes that the log begins with this segment, which has to be there at the next start. Nothing
   * may be acknowledged before.
   * @throws StoreError `io`
   */
  begin(segment: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.thread.hold(true)
      this.beginning = { resolve, reject }
      this.request({ type: 'begin', segment })
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
      const chunk = this.thread.nextChunk()
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
    if (this.pagesAwaited++ === 0) this.thread.hold(true)
    this.request({ type: 'fetch', ticket, ...request })
  }

  close(): Promise<void> {
    this.thread.hold(true)
    return new Promise(resolve => {
      this.closing = resolve
      this.request({ type: 'close' })
    })
  }

  /** Ends the thread without any ceremony. */
  terminate(): Promise<void> {
    return this.thread.terminate()
  }

  private request(request: Request): void {
    this.thread.request(request)
  }

  private take(answer: Answer): void {
    switch (answer.type) {
      case 'recovered':
        // From now on it does not keep the process alive by itself.
        this.thread.hold(false)
        this.recovering?.resolve(answer.recovered)
        this.recovering = null
        break
      case 'begun':
        this.thread.hold(false)
        this.beginning?.resolve()
        this.beginning = null
        break
      case 'applied':
        this.events?.applied(answer.sequence, answer.firstSegment, answer.reserved)
        break
      case 'flush-failed':
        this.events?.flushFailed(answer.text)
        break
      case 'page':
        if (--this.pagesAwaited === 0 && this.closing === null) this.thread.hold(false)
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
    const starting = this.recovering ?? this.beginning
    this.recovering = null
    this.beginning = null
    if (starting !== null) starting.reject(cause)
    else this.events?.failed(cause)
  }
}
