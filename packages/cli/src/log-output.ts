// Where the log goes: a standard stream or a file, at once as long as it takes it. What it does not
// take (the disk is full, the reader of a pipe stands still) waits in memory up to a limit and is
// then lost and counted: the log neither ends the broker nor holds it up.

import { closeSync, openSync, writeSync } from 'node:fs'

/** What waits for it. */
export const LOG_WAITING_BYTES_MAX: number = 1024 * 1024
const RETRY_MS = 100

/** What is written to, and what tells the time to try again. */
export interface LogOutputWorld {
  /** @returns how many of the bytes were taken @throws Error of the system */
  put(bytes: Uint8Array): number
  later(ms: number, act: () => void): void
}

const STREAMS: ReadonlyMap<string, number> = new Map([
  ['stdout', 1],
  ['stderr', 2],
])
/** Others on the machine need not know who connects. */
const FILE_MODE = 0o640

/** A standard stream, or a file that is written to at its end. */
export class LogDestination implements LogOutputWorld {
  readonly name: string
  private readonly path: string | null
  private descriptor: number

  /** @param to `stdout`, `stderr` or a path @throws Error of the system */
  constructor(to: string) {
    const stream = STREAMS.get(to)
    this.name = to
    this.path = stream === undefined ? to : null
    this.descriptor = stream ?? openSync(to, 'a', FILE_MODE)
  }

  put(bytes: Uint8Array): number {
    return writeSync(this.descriptor, bytes)
  }

  later(ms: number, act: () => void): void {
    setTimeout(act, ms).unref()
  }

  /** Goes on in a new file after somebody has moved the old one. @throws Error of the system */
  reopen(): void {
    if (this.path === null) return
    const descriptor = openSync(this.path, 'a', FILE_MODE)
    closeSync(this.descriptor)
    this.descriptor = descriptor
  }
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

  constructor(found: (lost: number) => void, world: LogOutputWorld) {
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
