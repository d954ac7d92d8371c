// An engine in another process: its methods are called through a pipe. What goes through is data.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadSettings, ManySettings } from './settings.ts'

/** The first message to a process: what it is. */
export interface WorkerStart {
  readonly settings: LoadSettings | ManySettings
  readonly worker: number
  readonly run: number
}

export interface Call {
  readonly id: number
  readonly method: string
  readonly args: readonly unknown[]
}

export interface Answer {
  readonly id: number
  readonly value: unknown
  readonly error: string | null
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A call that does nothing. */
export const READY = 'ready'
const WORKER_PATH = fileURLToPath(new URL('./worker.js', import.meta.url))

export class Remote {
  /** Resolves when the process has begun to answer. */
  readonly ready: Promise<void>
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
    this.ready = this.call(READY).then(() => undefined)
    // Who waits for nothing hears of it from the call that fails.
    this.ready.catch(() => undefined)
  }

  /** @throws Error when the process is gone, or the method failed there */
  call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    if (this.gone !== null) return Promise.reject(this.gone)
    const id = ++this.lastId
    const call: Call = { id, method, args }
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      this.child.send(call)
    })
  }

  /** Lets the process end. */
  leave(): void {
    this.gone = new Error('the process was told to end')
    if (this.child.connected) this.child.disconnect()
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
