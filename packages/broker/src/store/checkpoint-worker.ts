// The worker thread of the store: owns the database, follows the log, answers one request after the
// other. checkpoint.ts is the other end.

import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Ballast } from './ballast.ts'
import { crashPoints } from './crash-points.ts'
import { StoreError, textOf } from './errors.ts'
import type { LogRange } from './log.ts'
import { STORE_ID_BYTES } from './log-format.ts'
import type { PageRequest } from './page-writer.ts'
import { type Recovered, Replica } from './replica.ts'
import { type Chunk, chunksOf } from './state-reader.ts'

export interface WorkerSettings {
  readonly databasePath: string
  readonly logDirectory: string
  readonly salvage: boolean
  readonly overlayBytesMax: number
  readonly ballastBytes: number
  readonly crash: string
  /** Grows with each chunk that was posted to `chunks`. */
  readonly signal: Int32Array
  readonly chunks: MessagePort
}

export type Request =
  | { readonly type: 'recover' }
  /** Chunks begin anew. */
  | { readonly type: 'load' }
  | { readonly type: 'chunk' }
  | { readonly type: 'follow'; readonly ranges: readonly LogRange[] }
  | { readonly type: 'flush' }
  | ({ readonly type: 'fetch'; readonly ticket: number } & PageRequest)
  | { readonly type: 'close' }

export type Answer =
  | { readonly type: 'recovered'; readonly recovered: Recovered }
  | { readonly type: 'applied'; readonly sequence: number; readonly reserved: boolean }
  /** Writing into the database failed; it can be tried again when there is space. */
  | { readonly type: 'flush-failed'; readonly text: string }
  | { readonly type: 'failed'; readonly code: StoreError['code']; readonly text: string }
  | { readonly type: 'page'; readonly ticket: number; readonly records: Uint8Array }
  | { readonly type: 'closed' }

/** What goes through the port of chunks; null is the end. */
export type ChunkAnswer = Chunk | null | { readonly failure: string }

const settings = workerData as WorkerSettings
let replica: Replica | null = null
let chunks: Iterator<Chunk> | null = null

parentPort?.on('message', (request: Request) => {
  try {
    handle(request)
  } catch (error) {
    if (request.type === 'chunk') sendChunk({ failure: textOf(error) })
    const code = error instanceof StoreError ? error.code : 'io'
    answer({ type: 'failed', code, text: textOf(error) })
  }
})

function handle(request: Request): void {
  switch (request.type) {
    case 'recover': {
      replica = new Replica({
        path: settings.databasePath,
        logDirectory: settings.logDirectory,
        salvage: settings.salvage,
        overlayBytesMax: settings.overlayBytesMax,
        ballast: ballastOf(settings),
        reached: crashPoints(settings.crash),
        newId: () => new Uint8Array(randomBytes(STORE_ID_BYTES)),
      })
      answer({ type: 'recovered', recovered: replica.recover(Date.now()) })
      break
    }
    case 'load':
      chunks = replica === null ? null : chunksOf(replica.state.database)
      break
    case 'chunk':
      nextChunk()
      break
    case 'follow':
      replica?.follow(request.ranges)
      if (replica?.overlayFull) flush()
      break
    case 'flush':
      flush()
      break
    case 'fetch':
      if (replica === null) return
      answer({ type: 'page', ticket: request.ticket, records: replica.page(request) })
      break
    default:
      replica?.close()
      collectGarbage()
      // checkpoint.ts ends the thread: one that ends by itself may wait for ever.
      answer({ type: 'closed' })
  }
}

/**
 * A thread that ends waits for its compiler, and the compiler for a collection if the heap is just
 * full, which the ending thread never does. After a collection the heap is not full.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}

function ballastOf({ databasePath, ballastBytes }: WorkerSettings): Ballast {
  return new Ballast(join(dirname(databasePath), 'ballast'), ballastBytes)
}

function flush(): void {
  if (replica === null) return
  try {
    const sequence = replica.flush()
    answer({ type: 'applied', sequence, reserved: replica.reserved })
  } catch (error) {
    answer({ type: 'flush-failed', text: textOf(error) })
  }
}

function nextChunk(): void {
  const next = chunks?.next()
  if (next?.done !== false) chunks = null
  sendChunk(next?.done === false ? next.value : null)
}

function sendChunk(chunk: ChunkAnswer): void {
  settings.chunks.postMessage(chunk)
  Atomics.add(settings.signal, 0, 1)
  Atomics.notify(settings.signal, 0)
}

function answer(message: Answer): void {
  parentPort?.postMessage(message)
}
