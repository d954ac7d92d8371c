// Checks argon2id in threads of its own: WebAssembly would hold the event loop for a tenth of a
// second each, and whoever tries passwords would stop the broker. A thread is started when all have
// something to do and ends when it has had nothing for a while; so memory is given back.

import { Worker } from 'node:worker_threads'
import { plainArguments } from '../plain-arguments.ts'
import { CHECKS_AT_ONCE } from './check-line.ts'

/** Sent to the thread. */
export interface ArgonQuestion {
  readonly id: number
  readonly password: Uint8Array
  readonly hash: string
}

/** Sent back. */
export interface ArgonAnswer {
  readonly id: number
  readonly isRight: boolean
  readonly error: string | null
}

interface Waiting {
  resolve(isRight: boolean): void
  reject(error: Error): void
}

const IDLE_MS = 10_000

class ArgonThread {
  private worker: Worker | null = null
  private readonly waiting = new Map<number, Waiting>()
  private nextId = 1
  private idle: NodeJS.Timeout | null = null

  get isIdle(): boolean {
    return this.waiting.size === 0
  }

  check(password: Uint8Array, hash: string): Promise<boolean> {
    // A view on a larger buffer would be copied with all of it.
    const question: ArgonQuestion = { id: this.nextId++, password: Uint8Array.from(password), hash }
    return new Promise((resolve, reject) => {
      // If there can be no thread now, this throws and nobody waits.
      const worker = this.running()
      this.waiting.set(question.id, { resolve, reject })
      worker.ref()
      worker.postMessage(question)
    })
  }

  private running(): Worker {
    if (this.idle !== null) clearTimeout(this.idle)
    this.idle = null
    if (this.worker !== null) return this.worker
    const worker = new Worker(new URL('./argon-worker.js', import.meta.url), plainArguments())
    worker.on('message', (answer: ArgonAnswer) => this.take(answer))
    worker.on('error', (error: Error) => this.died(worker, error))
    worker.on('exit', () => this.died(worker, new Error('the thread for argon2id has ended')))
    this.worker = worker
    return worker
  }

  private take({ id, isRight, error }: ArgonAnswer): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    if (error === null) waiting?.resolve(isRight)
    else waiting?.reject(new Error(error))
    if (this.waiting.size > 0) return
    // It keeps nobody's process alive: whoever asks does, as long as there is no answer.
    this.worker?.unref()
    this.idle = setTimeout(() => this.rest(), IDLE_MS).unref()
  }

  private rest(): void {
    const { worker } = this
    this.worker = null
    this.idle = null
    void worker?.terminate()
  }

  private died(worker: Worker, error: Error): void {
    if (this.worker !== worker) return
    this.worker = null
    const all = [...this.waiting.values()]
    this.waiting.clear()
    for (const { reject } of all) reject(error)
  }
}

const threads = Array.from({ length: CHECKS_AT_ONCE }, () => new ArgonThread())
/** Of those who all have something to do the next one. */
let turn = 0

/** Whether the hash is of this password. @throws Error when it cannot be checked */
export function checkArgon(password: Uint8Array, hash: string): Promise<boolean> {
  const busy = threads[turn++ % threads.length] as ArgonThread
  const thread = threads.find(({ isIdle }) => isIdle) ?? busy
  return thread.check(password, hash)
}
