// A connection without a network: a stream for a client in the same process and the wire for the
// broker. Bytes cross in a microtask of their own, so that neither side runs within the other.

import { Duplex } from 'node:stream'
import type { Origin, Wire } from './core/ports.ts'

/** The core's end of it. */
interface Receiver {
  bytes(chunk: Uint8Array): void
  drained(): void
  closed(cause: string): void
}

/** Ends what its client does not close by itself. */
interface Linger {
  add(wire: Wire): void
  delete(wire: Wire): void
}

const CLOSED_BY_CLIENT = 'the client closed the connection'

/**
 * Opens a connection to the broker.
 * @returns the client's end: what is written to it the broker reads
 */
export function openMemoryConnection(open: (wire: Wire) => Receiver, linger: Linger): Duplex {
  const stream = new ClientStream()
  const wire = new MemoryWire(stream, linger)
  stream.wire = wire
  wire.receiver = open(wire)
  return stream
}

class ClientStream extends Duplex {
  wire: MemoryWire | null = null

  constructor() {
    super({ allowHalfOpen: false })
  }

  override _read(): void {
    this.wire?.wanted()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.wire?.take(chunk, done)
  }

  override _final(done: () => void): void {
    this.wire?.finish()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.wire?.close(error?.message ?? CLOSED_BY_CLIENT)
    this.wire?.gone()
    done(error)
  }
}

class MemoryWire implements Wire {
  readonly origin: Origin
  receiver: Receiver | null = null
  private readonly stream: ClientStream
  private readonly linger: Linger
  /** Bytes for the client that it has not asked for. */
  private outgoing: Uint8Array[] = []
  private outgoingBytes = 0
  private scheduled = false
  private wants = true
  private ended = false
  /** What the client wrote while the broker does not read. */
  private held: { chunk: Uint8Array; done: () => void } | null = null
  private paused = false

  constructor(stream: ClientStream, linger: Linger) {
    this.stream = stream
    this.linger = linger
    this.origin = {
      transport: 'memory',
      remoteAddress: '',
      remotePort: 0,
      listener: 'memory',
      certificate: null,
    }
  }

  write(pieces: readonly Uint8Array[]): void {
    if (this.ended) return
    for (const piece of pieces) {
      this.outgoing.push(piece)
      this.outgoingBytes += piece.length
    }
    this.schedule()
  }

  pendingBytes(): number {
    return this.outgoingBytes
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.linger.add(this)
    this.schedule()
  }

  destroy(): void {
    this.ended = true
    this.outgoing = []
    this.outgoingBytes = 0
    if (!this.stream.destroyed) queueMicrotask(() => this.stream.destroy())
  }

  pauseReading(): void {
    this.paused = true
  }

  resumeReading(): void {
    this.paused = false
    const held = this.held
    this.held = null
    if (held !== null) this.take(held.chunk, held.done)
  }

  /** The client wrote. The chunk is its own again when `done` is called: it is copied. */
  take(chunk: Uint8Array, done: () => void): void {
    queueMicrotask(() => {
      if (this.paused && this.receiver !== null) {
        this.held = { chunk, done }
        return
      }
      this.receiver?.bytes(chunk.slice())
      done()
    })
  }

  /** The stream is closed, for whoever had one. */
  gone(): void {
    this.linger.delete(this)
  }

  /** The client reads on. */
  wanted(): void {
    this.wants = true
    if (this.outgoing.length > 0 || this.ended) this.schedule()
  }

  /** The client has ended its side: it still gets what is on its way, and then the end. */
  finish(): void {
    queueMicrotask(() => {
      if (!this.ended) this.linger.add(this)
      this.close(CLOSED_BY_CLIENT)
      this.schedule()
    })
  }

  close(cause: string): void {
    const { receiver, held } = this
    this.receiver = null
    this.held = null
    this.ended = true
    held?.done()
    if (receiver !== null) queueMicrotask(() => receiver.closed(cause))
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => this.deliver())
  }

  private deliver(): void {
    this.scheduled = false
    const waited = this.outgoing.length > 0
    let taken = 0
    while (this.wants && taken < this.outgoing.length) {
      const piece = this.outgoing[taken++] as Uint8Array
      this.outgoingBytes -= piece.length
      this.wants = this.stream.push(piece)
    }
    this.outgoing.splice(0, taken)
    if (this.outgoing.length > 0) return
    if (this.ended) {
      if (!this.stream.readableEnded && !this.stream.destroyed) this.stream.push(null)
      this.close('the broker closed the connection')
    } else if (waited) this.receiver?.drained()
  }
}
