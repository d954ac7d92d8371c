// What the thread of the database does: owns the database, follows the log, answers one request
// after the other. checkpoint-worker.ts runs it in a thread; checkpoint.ts is who asks.

import type { Ballast } from './ballast.ts'
import { StoreError, textOf } from './errors.ts'
import type { LogRange } from './log.ts'
import type { PageRequest } from './page-writer.ts'
import { type Recovered, Replica, type ReplicaOptions } from './replica.ts'
import { type Chunk, chunksOf } from './state-reader.ts'

export type Request =
  | { readonly type: 'recover' }
  | { readonly type: 'begin'; readonly segment: number }
  /** Chunks begin anew. */
  | { readonly type: 'load' }
  | { readonly type: 'chunk' }
  | { readonly type: 'follow'; readonly ranges: readonly LogRange[] }
  | { readonly type: 'flush' }
  | ({ readonly type: 'fetch'; readonly ticket: number } & PageRequest)
  | { readonly type: 'close' }

export type Answer =
  | { readonly type: 'recovered'; readonly recovered: Recovered }
  | { readonly type: 'begun' }
  | {
      readonly type: 'applied'
      readonly sequence: number
      readonly firstSegment: number
      readonly reserved: boolean
    }
  /** Writing into the database failed; it can be tried again when there is space. */
  | { readonly type: 'flush-failed'; readonly text: string }
  | { readonly type: 'failed'; readonly code: StoreError['code']; readonly text: string }
  | { readonly type: 'page'; readonly ticket: number; readonly records: Uint8Array<ArrayBuffer> }
  | { readonly type: 'closed' }

/** What answers 'chunk'; null is the end. */
export type ChunkAnswer = Chunk | null | { readonly failure: string }

export interface CheckpointServiceOptions extends Omit<ReplicaOptions, 'ballast'> {
  readonly ballast: Pick<Ballast, 'wanted' | 'possible' | 'take' | 'release'>
  readonly wallMs: () => number
  readonly answer: (answer: Answer) => void
  readonly sendChunk: (chunk: ChunkAnswer) => void
}

export class CheckpointService {
  private readonly options: CheckpointServiceOptions
  private replica: Replica | null = null
  private chunks: Iterator<Chunk> | null = null

  constructor(options: CheckpointServiceOptions) {
    this.options = options
  }

  /** Answers, and never throws. */
  take(request: Request): void {
    try {
      this.handle(request)
    } catch (error) {
      if (request.type === 'chunk') this.options.sendChunk({ failure: textOf(error) })
      const code = error instanceof StoreError ? error.code : 'io'
      this.options.answer({ type: 'failed', code, text: textOf(error) })
    }
  }

  private handle(request: Request): void {
    const { replica, options } = this
    switch (request.type) {
      case 'recover': {
        const opened = new Replica(options)
        this.replica = opened
        options.answer({ type: 'recovered', recovered: opened.recover(options.wallMs()) })
        break
      }
      case 'begin':
        replica?.begin(request.segment)
        options.answer({ type: 'begun' })
        // In a new directory it is much to write, for which nobody need wait.
        options.ballast.take()
        break
      case 'load':
        this.chunks = replica === null ? null : chunksOf(replica.state.database)
        break
      case 'chunk':
        this.nextChunk()
        break
      case 'follow':
        replica?.follow(request.ranges)
        if (replica?.overlayFull) this.flush(replica)
        break
      case 'flush':
        if (replica !== null) this.flush(replica)
        break
      case 'fetch':
        if (replica === null) return
        options.answer({ type: 'page', ticket: request.ticket, records: replica.page(request) })
        break
      default:
        replica?.close()
        // checkpoint.ts ends the thread: one that ends by itself may wait for ever.
        options.answer({ type: 'closed' })
    }
  }

  private flush(replica: Replica): void {
    try {
      const sequence = replica.flush()
      const { firstSegment, reserved } = replica
      this.options.answer({ type: 'applied', sequence, firstSegment, reserved })
    } catch (error) {
      this.options.answer({ type: 'flush-failed', text: textOf(error) })
    }
  }

  private nextChunk(): void {
    const next = this.chunks?.next()
    if (next?.done !== false) this.chunks = null
    this.options.sendChunk(next?.done === false ? next.value : null)
  }
}
