// The engines of a run, in this process or in others, behind one asynchronous interface.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Engine } from './engine.ts'
import type {
  ConnectReport,
  IntervalReport,
  PartReport,
  Progress,
  SentTable,
} from './engine-reports.ts'
import type { LoadSettings } from './settings.ts'

export interface Part {
  connect(): Promise<ConnectReport>
  subscribe(): Promise<string[]>
  publish(startUs: number): Promise<void>
  stop(): Promise<void>
  storm(share: number): Promise<void>
  sentTable(): Promise<SentTable>
  progress(sent: SentTable): Promise<Progress>
  interval(): Promise<IntervalReport>
  report(sent: SentTable): Promise<PartReport>
  close(): Promise<void>
}

/** What goes to another process, and what comes back. */
export interface Call {
  readonly id: number
  readonly method: keyof Part
  readonly args: readonly unknown[]
}

export interface Answer {
  readonly id: number
  readonly value: unknown
  readonly error: string | null
}

export interface WorkerStart {
  readonly settings: LoadSettings
  readonly worker: number
  readonly run: number
}

export function openParts(settings: LoadSettings, run: number): Part[] {
  if (settings.processes === 1) return [localPart(new Engine(settings, 0, run))]
  return Array.from(
    { length: settings.processes },
    (_, worker) => new RemotePart({ settings, worker, run }),
  )
}

/** Calls a method of an engine by name. */
export async function callEngine(
  engine: Engine,
  method: keyof Part,
  args: readonly unknown[],
): Promise<unknown> {
  const call = engine[method] as (...all: readonly unknown[]) => unknown
  return await call.apply(engine, [...args])
}

function localPart(engine: Engine): Part {
  return {
    connect: () => engine.connect(),
    subscribe: () => engine.subscribe(),
    publish: startUs => engine.publish(startUs),
    stop: async () => engine.stop(),
    storm: share => engine.storm(share),
    sentTable: async () => engine.sentTable(),
    progress: async sent => engine.progress(sent),
    interval: async () => engine.interval(),
    report: async sent => engine.report(sent),
    close: () => engine.close(),
  }
}

const WORKER_PATH = fileURLToPath(new URL('./worker.js', import.meta.url))

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

class RemotePart implements Part {
  private readonly child: ChildProcess
  private readonly waiting = new Map<number, Waiting>()
  private lastId = 0
  private gone: Error | null = null

  constructor(start: WorkerStart) {
    // Typed arrays go through the pipe as they are.
    this.child = fork(WORKER_PATH, [], { serialization: 'advanced' })
    this.child.send(start)
    this.child.on('message', answer => this.settle(answer as Answer))
    this.child.on('exit', code => this.end(new Error(`a process of the tester ended with ${code}`)))
    this.child.on('error', error => this.end(error))
  }

  connect(): Promise<ConnectReport> {
    return this.call('connect', []) as Promise<ConnectReport>
  }

  subscribe(): Promise<string[]> {
    return this.call('subscribe', []) as Promise<string[]>
  }

  publish(startUs: number): Promise<void> {
    return this.call('publish', [startUs]) as Promise<void>
  }

  stop(): Promise<void> {
    return this.call('stop', []) as Promise<void>
  }

  storm(share: number): Promise<void> {
    return this.call('storm', [share]) as Promise<void>
  }

  sentTable(): Promise<SentTable> {
    return this.call('sentTable', []) as Promise<SentTable>
  }

  progress(sent: SentTable): Promise<Progress> {
    return this.call('progress', [sent]) as Promise<Progress>
  }

  interval(): Promise<IntervalReport> {
    return this.call('interval', []) as Promise<IntervalReport>
  }

  report(sent: SentTable): Promise<PartReport> {
    return this.call('report', [sent]) as Promise<PartReport>
  }

  async close(): Promise<void> {
    await this.call('close', [])
    this.gone = new Error('the process was told to end')
    if (this.child.connected) this.child.disconnect()
  }

  private call(method: keyof Part, args: readonly unknown[]): Promise<unknown> {
    if (this.gone !== null) return Promise.reject(this.gone)
    const id = ++this.lastId
    const call: Call = { id, method, args }
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      this.child.send(call)
    })
  }

  private settle(answer: Answer): void {
    const waiting = this.waiting.get(answer.id)
    this.waiting.delete(answer.id)
    if (answer.error === null) waiting?.resolve(answer.value)
    else waiting?.reject(new Error(answer.error))
  }

  private end(error: Error): void {
    this.gone ??= error
    for (const { reject } of this.waiting.values()) reject(this.gone)
    this.waiting.clear()
  }
}
