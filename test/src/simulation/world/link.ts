// One network connection: bytes both ways, cut anywhere, late, and lost when it breaks. The broker
// holds one end as its Wire, a client the other. What was written is not copied before it goes, so
// a broker that used its buffers again too early would send nonsense.

import type { Origin, Wire } from '@godwit/broker/core/ports'
import type { Reading } from '../model/rules/keep-alive.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'

export interface NetworkOptions {
  /** The longest that a piece takes. */
  readonly delayMsMax: number
  /** How probable it is that a piece is only a few bytes. */
  readonly crumbs: number
  /** What the systems of both sides take before the broker's writes wait. */
  readonly windowBytes: number
}

/** The end that the broker's process has. */
export interface BrokerEnd {
  bytes(chunk: Uint8Array): void
  drained(): void
  closed(cause: string): void
}

/** The end that a client has. */
export interface ClientEnd {
  bytes(chunk: Uint8Array): void
  closed(): void
}

const LINGER_MS = 5000
const CRUMB_BYTES = 12
const PIECE_BYTES_MAX = 1500

class Pipe {
  bytes = 0
  /** Nothing comes out, and nobody is told. */
  frozen = false
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: NetworkOptions
  readonly #sink: (chunk: Uint8Array) => void
  #chunks: Uint8Array[] = []
  #coming = false
  #paused = false
  #dead = false
  #atEnd: (() => void) | null = null

  constructor(
    schedule: Schedule,
    random: SeededRandom,
    options: NetworkOptions,
    sink: (chunk: Uint8Array) => void,
  ) {
    this.#schedule = schedule
    this.#random = random
    this.#options = options
    this.#sink = sink
  }

  push(chunk: Uint8Array): void {
    if (this.#dead || this.#atEnd !== null || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.bytes += chunk.length
    this.#plan()
  }

  pause(paused: boolean): void {
    this.#paused = paused
    this.#plan()
  }

  /** After the last byte. */
  finish(atEnd: () => void): void {
    this.#atEnd ??= atEnd
    this.#plan()
  }

  destroy(): void {
    this.#dead = true
    this.#chunks = []
    this.bytes = 0
  }

  #plan(): void {
    if (this.#coming || this.#paused || this.#dead || this.frozen) return
    if (this.bytes === 0 && this.#atEnd === null) return
    this.#coming = true
    this.#schedule.after(this.#random.below(this.#options.delayMsMax + 1), () => {
      this.#coming = false
      if (this.#paused || this.#dead || this.frozen) return
      this.#deliver()
      this.#plan()
    })
  }

  #deliver(): void {
    if (this.bytes === 0) {
      const atEnd = this.#atEnd
      this.#dead = true
      atEnd?.()
      return
    }
    const crumb = this.#random.chance(this.#options.crumbs)
    const wanted = this.#random.between(1, crumb ? CRUMB_BYTES : PIECE_BYTES_MAX)
    const piece = new Uint8Array(Math.min(wanted, this.bytes))
    for (let at = 0; at < piece.length; ) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) break
      const part = chunk.subarray(0, piece.length - at)
      piece.set(part, at)
      at += part.length
      if (part.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.length)
    }
    this.bytes -= piece.length
    this.#sink(piece)
  }
}

export class Link implements Wire {
  readonly origin: Origin
  readonly id: number
  broker: BrokerEnd | null = null
  client: ClientEnd | null = null
  /** Nothing passes, and the client has not heard of it. */
  get isSilent(): boolean {
    return this.#up.frozen && this.client !== null
  }

  /** The broker's side is closed. */
  hasEnded = false
  /** Sees what the broker writes, though the other side may have gone. */
  tap: (pieces: readonly Uint8Array[]) => void = () => undefined
  /** Told when bytes of the broker have to wait. */
  slowed: () => void = () => undefined
  /** Told when the broker ends it, after what it has written. */
  ending: () => void = () => undefined
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: NetworkOptions
  readonly #up: Pipe
  readonly #down: Pipe
  #hadPending = false
  #reading = { isPaused: false, pausedMs: 0, sinceMs: 0 }
  #brokerEnded = false

  constructor(id: number, schedule: Schedule, random: SeededRandom, options: NetworkOptions) {
    this.id = id
    this.origin = {
      transport: 'memory',
      remoteAddress: `link-${id}`,
      remotePort: id,
      listener: 'simulation',
      certificate: null,
    }
    this.#schedule = schedule
    this.#random = random
    this.#options = options
    this.#up = new Pipe(schedule, random, options, chunk => this.broker?.bytes(chunk))
    this.#down = new Pipe(schedule, random, options, chunk => {
      this.client?.bytes(chunk)
      if (!this.#hadPending || this.pendingBytes() > 0) return
      this.#hadPending = false
      schedule.after(0, () => this.broker?.drained())
    })
  }

  // The broker's side.

  write(pieces: readonly Uint8Array[]): void {
    if (this.#brokerEnded) return
    this.tap(pieces)
    for (const piece of pieces) this.#down.push(piece)
    if (this.pendingBytes() === 0) return
    this.#hadPending = true
    this.slowed()
  }

  pendingBytes(): number {
    return Math.max(0, this.#down.bytes - this.#options.windowBytes)
  }

  end(): void {
    if (this.#brokerEnded) return
    this.#brokerEnded = true
    this.ending()
    this.#down.finish(() => {
      this.#tellClient(0)
      this.#tellBroker(this.#delay(), 'the broker ended it')
    })
    this.#schedule.after(LINGER_MS, () => {
      // A reset: what the client has not read by then is lost, and it learns that.
      this.#tellClient(this.#delay())
      this.#tellBroker(0, 'lingered long enough')
    })
  }

  destroy(): void {
    this.#brokerEnded = true
    this.#down.destroy()
    this.#up.destroy()
    this.#tellClient(this.#delay())
    this.#tellBroker(this.#delay(), 'the broker destroyed it')
  }

  pauseReading(): void {
    this.#reading = { ...this.#reading, isPaused: true, pausedMs: this.#schedule.nowMs }
    this.#up.pause(true)
  }

  resumeReading(): void {
    this.#reading = { ...this.#reading, isPaused: false, sinceMs: this.#schedule.nowMs }
    this.#up.pause(false)
  }

  /** Whether the broker reads, and since when. */
  get reading(): Reading {
    return this.#reading
  }

  // The client's side.

  send(chunk: Uint8Array): void {
    this.#up.push(chunk)
  }

  /** The client reads no more for a while: bytes pile up towards it. */
  pauseClient(paused: boolean): void {
    this.#down.pause(paused)
  }

  /** The client ends it properly, after what it has sent. */
  close(): void {
    this.client = null
    this.#up.finish(() => this.#tellBroker(0, 'the client closed it'))
    // What still comes is read and thrown away.
    this.#down.pause(false)
  }

  // The network's side.

  /** It breaks: what is on its way is lost, each side learns of it in its own time. */
  cut(brokerLearnsMs: number = this.#delay()): void {
    this.#down.destroy()
    this.#up.destroy()
    this.#tellClient(this.#delay())
    this.#tellBroker(brokerLearnsMs, 'the network failed')
  }

  /** Nothing passes any more, nobody is told; the broker learns of it later, if at all. */
  freeze(brokerLearnsMs: number, clientLearnsMs: number): void {
    this.#down.frozen = true
    this.#up.frozen = true
    this.#tellClient(clientLearnsMs)
    this.#schedule.after(brokerLearnsMs, () => this.#tellBroker(0, 'the network was silent'))
  }

  /**
   * The broker's process is gone.
   * @param arrives how probable it is that what it wrote still arrives
   */
  orphan(arrives: number): void {
    this.broker = null
    this.#up.destroy()
    if (this.#random.chance(arrives)) this.#down.finish(() => this.#tellClient(0))
    else this.#down.destroy()
    this.#tellClient(this.#options.delayMsMax * 2 + this.#random.below(arrives * 400))
  }

  #delay(): number {
    return this.#random.below(this.#options.delayMsMax + 1)
  }

  #tellClient(delayMs: number): void {
    this.#schedule.after(delayMs, () => {
      const client = this.client
      this.client = null
      client?.closed()
    })
  }

  #tellBroker(delayMs: number, cause: string): void {
    this.#schedule.after(delayMs, () => {
      const broker = this.broker
      this.broker = null
      this.hasEnded = true
      this.#up.destroy()
      this.#down.destroy()
      broker?.closed(cause)
    })
  }
}
