// The worker thread of the store, with what it does (checkpoint-service.ts) and real files.

import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { Ballast } from './ballast.ts'
import { CheckpointService, type ChunkAnswer, type Request } from './checkpoint-service.ts'
import type { WorkerSettings } from './checkpoint-thread.ts'
import { crashPoints } from './crash-points.ts'
import { STORE_ID_BYTES } from './log-format.ts'

const settings = workerData as WorkerSettings
const { databasePath, ballastBytes } = settings

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
    if (answer.type === 'closed') collectGarbage()
    parentPort?.postMessage(answer)
  },
  sendChunk,
})

parentPort?.on('message', (request: Request) => service.take(request))

/**
 * A thread that ends waits for its compiler, and the compiler for a collection if the heap is just
 * full, which the ending thread never does. After a collection the heap is not full.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}

function sendChunk(chunk: ChunkAnswer): void {
  settings.chunks.postMessage(chunk)
  Atomics.add(settings.signal, 0, 1)
  Atomics.notify(settings.signal, 0)
}
