// The thread of the database without a thread: what the real one does, one request after the other,
// when the disk's order says so. Requests and answers take their time and keep their order.

import type { CheckpointServiceOptions } from '../checkpoint-service.ts'
import {
  type Answer,
  CheckpointService,
  type ChunkAnswer,
  type Request,
} from '../checkpoint-service.ts'
import type { CheckpointThread, ThreadEvents } from '../checkpoint-thread.ts'

type ServiceOptions = Omit<CheckpointServiceOptions, 'answer' | 'sendChunk'>

export class SimulatedThread implements CheckpointThread {
  private readonly service: CheckpointService
  private readonly events: ThreadEvents
  /** Calls back later, or never when the process has died. */
  private readonly later: (run: () => void) => void
  private readonly requests: Request[] = []
  private readonly answers: Answer[] = []
  private readonly chunks: ChunkAnswer[] = []
  private ended = false

  constructor(options: ServiceOptions, events: ThreadEvents, later: (run: () => void) => void) {
    this.events = events
    this.later = later
    this.service = new CheckpointService({
      ...options,
      answer: answer => this.answer(answer),
      sendChunk: chunk => this.chunks.push(chunk),
    })
  }

  request(request: Request): void {
    this.requests.push(request)
    if (this.requests.length === 1) this.later(() => this.work())
  }

  nextChunk(): ChunkAnswer {
    for (;;) {
      const chunk = this.chunks.shift()
      if (chunk !== undefined) return chunk
      const request = this.requests.shift()
      if (request === undefined) throw new Error('a chunk is awaited that nobody has asked for')
      this.service.take(request)
    }
  }

  hold(): void {
    // There is no process that it could keep alive.
  }

  terminate(): Promise<void> {
    this.ended = true
    return Promise.resolve()
  }

  private work(): void {
    if (this.ended) return
    const request = this.requests.shift()
    if (request !== undefined) this.service.take(request)
    if (this.requests.length > 0) this.later(() => this.work())
  }

  private answer(answer: Answer): void {
    this.answers.push(answer)
    if (this.answers.length === 1) this.later(() => this.deliver())
  }

  private deliver(): void {
    if (this.ended) return
    const answer = this.answers.shift()
    if (this.answers.length > 0) this.later(() => this.deliver())
    if (answer !== undefined) this.events.answered(answer)
  }
}
