// The program of a process that a run has beside its first: an engine that is called through the
// pipe to its parent, and ends with it.

import { Engine } from './engine.ts'
import { ManyEngine } from './many-engine.ts'
import { type Answer, type Call, READY, type WorkerStart } from './remote.ts'

let engine: Engine | ManyEngine | null = null

process.on('message', message => {
  if (engine !== null) {
    void serve(engine, message as Call)
    return
  }
  const { settings, worker, run } = message as WorkerStart
  engine =
    settings.kind === 'many' ? new ManyEngine(settings, worker) : new Engine(settings, worker, run)
})
process.on('disconnect', () => process.exit())
// Ctrl-C reaches all processes of a terminal: the parent says what happens then.
process.on('SIGINT', () => undefined)

async function serve(target: Engine | ManyEngine, { id, method, args }: Call): Promise<void> {
  let answer: Answer
  try {
    const call = Reflect.get(target, method) as (...all: readonly unknown[]) => unknown
    const value = method === READY ? null : await call.apply(target, [...args])
    answer = { id, value, error: null }
  } catch (error) {
    answer = { id, value: null, error: (error as Error).message }
  }
  process.send?.(answer)
}
