// The worker thread of the store, with what it does (checkpoint-service.ts) and real files.

import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { Ballast } from './ballast.ts'
import { CheckpointService, type ChunkAnswer, type Request } from './checkpoint-service.ts'
import { CHUNKS_MANY, type WorkerSettings } from './checkpoint-thread.ts'
import { crashPoints } from './crash-points.ts'
import { collectGarbage } from './garbage.ts'
import { STORE_ID_BYTES } from './log-format.ts'

// The compiler of WebAssembly works in as many threads as there are, each of which keeps the memory
// it once had: some 15 MB in all, for a compilation that takes no longer without them. The command
// knows of it (packages/cli/bin/code-cache.js).
setFlagsFromString('--wasm-num-compilation-tasks=1')

const settings = workerData as WorkerSettings
const { databasePath, ballastBytes } = settings
let chunkCount = 0

const service = new CheckpointService({
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

parentPort?.on('message', (request: Request) => service.take(request))

function sendChunk(chunk: ChunkAnswer): void {
  // All has been read: what that took is not needed again.
  if (chunk === null && chunkCount > CHUNKS_MANY) collectGarbage()
  chunkCount = chunk === null ? 0 : chunkCount + 1
  settings.chunks.postMessage(chunk)
  Atomics.add(settings.signal, 0, 1)
  Atomics.notify(settings.signal, 0)
}
