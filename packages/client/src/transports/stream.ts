// A transport over anything that behaves as a duplex stream of Node does (a socket, a TLS socket,
// an in-memory pair) or over a pair of web streams. Who opens the stream is not its business.

import type { Transport, TransportHandler } from '../transport.ts'

/** What is used of a duplex stream of Node. */
export interface DuplexLike {
  readonly writableLength: number
  readonly destroyed: boolean
  on(event: string, listener: (...args: never[]) => void): unknown
  write(bytes: Uint8Array): boolean
  end(): unknown
  destroy(): unknown
  pause(): unknown
  resume(): unknown
}

/** What is used of a pair of web streams. */
export interface WebStreams {
  readonly readable: ReadableLike
  readonly writable: WritableLike
}

interface ReadableLike {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
    cancel(reason?: unknown): Promise<unknown>
  }
}

interface WritableLike {
  getWriter(): {
    readonly ready: Promise<unknown>
    write(bytes: Uint8Array): Promise<unknown>
    close(): Promise<unknown>
    abort(reason?: unknown): Promise<unknown>
  }
}

/** A stream that can be written to, and how it tells the client what happens. */
export class StreamTransport implements Transport {
  readonly canPause = true
  private readonly stream: DuplexLike
  private failure: Error | null = null

  /** @param ended why the stream has ended, given its last error */
  constructor(
    stream: DuplexLike,
    handler: TransportHandler,
    ended: (failure: Error | null) => Error | null = failure => failure,
  ) {
    this.stream = stream
    stream.on('data', (bytes: Uint8Array) => handler.received(plainBytes(bytes)))
    stream.on('drain', () => handler.drained())
    stream.on('error', (error: Error) => {
      this.failure = error
    })
    stream.on('end', () => stream.end())
    stream.on('close', () => handler.closed(ended(this.failure)))
  }

  get bufferedBytes(): number {
    return this.stream.writableLength
  }

  write(bytes: Uint8Array): boolean {
    if (this.stream.destroyed) return true
    this.stream.write(bytes)
    return false
  }

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  end(): void {
    this.stream.end()
    // What still comes is not for us, but the end behind it is.
    this.stream.resume()
  }

  destroy(): void {
    this.stream.destroy()
  }
}

/** Takes an open stream. */
export function openDuplex(stream: DuplexLike, handler: TransportHandler): Transport {
  const transport = new StreamTransport(stream, handler)
  queueMicrotask(() => handler.opened())
  return transport
}

/** Takes an open pair of web streams. */
export function openWebStreams(streams: WebStreams, handler: TransportHandler): Transport {
  return new WebStreamTransport(streams, handler)
}

class WebStreamTransport implements Transport {
  readonly canPause = true
  bufferedBytes = 0
  private readonly handler: TransportHandler
  private readonly reader: ReturnType<ReadableLike['getReader']>
  private readonly writer: ReturnType<WritableLike['getWriter']>
  private resumed: (() => void) | null = null
  private paused = false
  private over = false

  constructor(streams: WebStreams, handler: TransportHandler) {
    this.handler = handler
    this.reader = streams.readable.getReader()
    this.writer = streams.writable.getWriter()
    queueMicrotask(() => {
      if (this.over) return
      handler.opened()
      this.read().then(
        () => this.finish(null),
        (error: unknown) => this.finish(asError(error)),
      )
    })
  }

  write(bytes: Uint8Array): boolean {
    const { length } = bytes
    this.bufferedBytes += length
    this.writer.write(bytes).then(
      () => {
        this.bufferedBytes -= length
        if (this.bufferedBytes === 0 && !this.over) this.handler.drained()
      },
      (error: unknown) => this.finish(asError(error)),
    )
    return false
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.resumed?.()
    this.resumed = null
  }

  end(): void {
    this.resume()
    this.writer.close().catch((error: unknown) => this.finish(asError(error)))
  }

  destroy(): void {
    if (this.over) return
    this.resume()
    // Both may have failed already; that they are over is all that is asked.
    this.writer.abort().catch(ignore)
    this.reader.cancel().catch(ignore)
    queueMicrotask(() => this.finish(null))
  }

  private async read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.reader.read()
      if (done || this.over) return
      if (value !== undefined) this.handler.received(plainBytes(value))
      if (this.paused) {
        await new Promise<void>(resolve => {
          this.resumed = resolve
        })
      }
    }
  }

  private finish(error: Error | null): void {
    if (this.over) return
    this.over = true
    this.writer.abort().catch(ignore)
    this.reader.cancel().catch(ignore)
    this.handler.closed(error)
  }
}

/** A view that is no Buffer: what is cut from it must not be one either. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function ignore(): void {
  // The stream is over either way.
}
