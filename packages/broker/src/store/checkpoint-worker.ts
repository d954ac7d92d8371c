// The worker thread of the store, with what it does (checkpoint-service.ts) and real files.

import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { Ballast } from './ballast.ts'
import type { CheckpointService, ChunkAnswer, Request } from './checkpoint-service.ts'
import { CHUNKS_MANY, type WorkerPorts, type WorkerSettings } from './checkpoint-thread.ts'
import { crashPoints } from './crash-points.ts'
import { collectGarbage } from './garbage.ts'
import { STORE_ID_BYTES } from './log-format.ts'

/**
 * The compiler of WebAssembly works in as many threads as there are, each of which keeps the memory
 * it once had: some 15 MB in all, for a compilation that takes no longer without them. And a start
 * goes thirty times through SQLite's large loop, which V8 takes for reason enough to spend half a
 * second of another core on better code for it; that is for who has much to write.
 *
 * They are for the whole process, and code that V8 has kept is worth nothing under other flags. So
 * they wait until the main thread has come so far, which knows of them (bin/code-cache.js in cli).
 */
const Flags = ['--wasm-num-compilation-tasks=1', '--wasm-tiering-budget=2147483647']

const { signal, chunks } = workerData as WorkerPorts
const early: Request[] = []
let chunkCount = 0
let service: CheckpointService | null = null

parentPort?.on('message', (message: WorkerSettings | Request) => {
  if (!('type' in message)) void begin(message)
  else if (service === null) early.push(message)
  else service.take(message)
})

async function begin(settings: WorkerSettings): Promise<void> {
  for (const flag of Flags) setFlagsFromString(flag)
  const begun = serviceFor(settings, await import('./checkpoint-service.ts'))
  service = begun
  for (const request of early.splice(0)) begun.take(request)
}

function serviceFor(
  settings: WorkerSettings,
  { CheckpointService }: typeof import('./checkpoint-service.ts'),
): CheckpointService {
  const { databasePath, ballastBytes } = settings
  return new CheckpointService({
    path: databasePath,
    logDirectory: settings.logDirectory,
    salvage: settings.salvage,
    overlayBytesMax: settings.overlayBytesMax,
    ballast: new Ballast(join(dirname(databasePath), 'ballast'), ballastBytes),
    reached: crashPoints(settings.crash),
    newId: () => new Uint8Array(randomBytes(STORE_ID_BYTES)),
    wallMs: () => Date.now(),
    answer: answer => {
      // A thread that ends waits for its compiler, and the compiler for a collection if the heap is
      // just full, which the ending thread never does. After a collection the heap is not full.
      if (answer.type === 'closed') collectGarbage()
      // A page may have megabytes, which the event loop need not copy.
      parentPort?.postMessage(answer, answer.type === 'page' ? [answer.records.buffer] : [])
    },
    sendChunk,
  })
}

function sendChunk(chunk: ChunkAnswer): void {
  // All has been read: what that took is not needed again.
  if (chunk === null && chunkCount > CHUNKS_MANY) collectGarbage()
  chunkCount = chunk === null ? 0 : chunkCount + 1
  chunks.postMessage(chunk)
  Atomics.add(signal, 0, 1)
  Atomics.notify(signal, 0)
}
