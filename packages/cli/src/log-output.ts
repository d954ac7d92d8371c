// Where the log goes: standard output, at once as long as it takes it. What it does not take (the
// disk is full, the reader of a pipe stands still) waits in memory up to a limit and is then lost
// and counted: the log neither ends the broker nor holds it up.

import { writeSync } from 'node:fs'

/** What waits for standard output. */
export const LOG_WAITING_BYTES_MAX: number = 1024 * 1024
const RETRY_MS = 100

/** What is written to, and what tells the time to try again. */
export interface LogOutputWorld {
  /** @returns how many of the bytes were taken @throws Error of the system */
  put(bytes: Uint8Array): number
  later(ms: number, act: () => void): void
}

const STANDARD_OUTPUT: LogOutputWorld = {
  put: bytes => writeSync(1, bytes),
  later: (ms, act) => void setTimeout(act, ms).unref(),
}

export class LogOutput {
  private readonly world: LogOutputWorld
  /** Lines are taken again after so many were not. */
  private readonly found: (lost: number) => void
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private lost = 0
  private retries = false
  private isClosed = false

  constructor(found: (lost: number) => void, world: LogOutputWorld = STANDARD_OUTPUT) {
    this.found = found
    this.world = world
  }

  write(line: string): void {
    if (this.isClosed) return
    const bytes = Buffer.from(line)
    if (this.waitingBytes + bytes.length > LOG_WAITING_BYTES_MAX) {
      this.lost++
      return
    }
    this.waiting.push(bytes)
    this.waitingBytes += bytes.length
    if (!this.retries) this.flush()
  }

  /** Tries to write what waits. */
  flush(): void {
    try {
      this.drain()
    } catch (error) {
      this.refused(error as NodeJS.ErrnoException)
      return
    }
    const { lost } = this
    if (lost === 0) return
    this.lost = 0
    this.found(lost)
  }

  private drain(): void {
    let done = 0
    try {
      for (let first = this.waiting[0]; first !== undefined; first = this.waiting[done]) {
        const count = this.world.put(first)
        this.waitingBytes -= count
        if (count < first.length) this.waiting[done] = first.subarray(count)
        else done++
      }
    } finally {
      this.waiting.splice(0, done)
    }
  }

  private refused({ code }: NodeJS.ErrnoException): void {
    if (code === 'EPIPE') {
      // Nobody reads it any more, and nobody will.
      this.isClosed = true
      this.waiting = []
      this.waitingBytes = 0
      return
    }
    if (this.retries) return
    this.retries = true
    this.world.later(RETRY_MS, () => {
      this.retries = false
      this.flush()
    })
  }
}
