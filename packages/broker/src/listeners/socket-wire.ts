// hot
// A wire over a socket of Node: TCP, TLS or Unix. One object per connection beside the socket and
// no closure: the handlers are shared, and find the wire on the socket.
// bench (idle connections): closures instead cost 200 to 600 bytes per connection more.

import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Origin, Wire } from '../core/ports.ts'
import type { Linger } from './linger.ts'
import type { ListenerHost, Receiver } from './listener.ts'

const WIRE = Symbol('wire')
const NOTHING = new Uint8Array(0)

interface WiredSocket extends Socket {
  [WIRE]?: SocketWire
}

/** Makes a connection of a socket. Its errors end the connection, whatever they are. */
export function openSocket(socket: Socket, origin: Origin, host: ListenerHost): void {
  const wired: WiredSocket = socket
  const wire = new SocketWire(wired, origin, host.linger)
  wired[WIRE] = wire
  socket.on('error', onError)
  socket.on('close', onClose)
  wire.receiver = host.open(wire)
  socket.on('end', onEnd)
  socket.on('data', onData)
  wired.push = push
}

class SocketWire implements Wire {
  readonly origin: Origin
  /** What a socket takes at once is in the kernel, or encrypted, when its write returns. */
  readonly copies = true
  receiver: Receiver | null = null
  cause: Error | null = null
  /** The core has been told of bytes that wait. */
  waits = false
  private readonly socket: WiredSocket
  private readonly linger: Linger
  private ended = false

  constructor(socket: WiredSocket, origin: Origin, linger: Linger) {
    this.origin = origin
    this.socket = socket
    this.linger = linger
  }

  write(pieces: readonly Uint8Array[]): void {
    const socket = this.socket
    if (this.ended || socket.destroyed) return
    if (pieces.length === 1) socket.write(pieces[0] as Uint8Array)
    else {
      socket.cork()
      for (let i = 0; i < pieces.length; i++) socket.write(pieces[i] as Uint8Array)
      socket.uncork()
    }
    if (socket.writableLength === 0) return
    if (!this.waits) this.waitForRest()
  }

  pendingBytes(): number {
    return this.socket.writableLength
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    // What still comes is read and thrown away: unread bytes would make the system send RST, which
    // can overtake our last packet.
    this.socket.resume()
    this.socket.end()
    this.linger.add(this)
  }

  destroy(): void {
    this.ended = true
    this.socket.destroy()
  }

  pauseReading(): void {
    this.socket.pause()
  }

  resumeReading(): void {
    this.socket.resume()
  }

  /** The peer has ended its side: we end ours when what was written has gone. */
  peerEnded(): void {
    this.ended = true
    this.linger.add(this)
  }

  /** The socket is closed: nothing of it is left to wait for. */
  gone(): void {
    this.linger.delete(this)
  }

  flushed(): void {
    if (!this.waits || this.socket.destroyed) return
    if (this.socket.writableLength > 0) {
      this.waitForRest()
      return
    }
    this.waits = false
    this.receiver?.drained()
  }

  /** 'drain' comes only above the high-water mark; below it an empty write tells of the rest. */
  private waitForRest(): void {
    this.waits = true
    if (this.socket.writableNeedDrain) this.socket.once('drain', onDrain)
    else this.socket.write(NOTHING, () => this.flushed())
  }
}

const pushToStream = Readable.prototype.push

/**
 * Takes a chunk before the stream does, which would only emit it again. Whatever is not plain (the
 * end, reading that is paused, chunks that wait) goes the stream's way, and comes by `onData`; so
 * would everything if a version of Node did not call `push`.
 * bench (`one at a time, 100 pairs` of the yardstick): a bare relay takes 9.4 us a message so, and
 * 11.1 us by 'data'.
 */
function push(this: WiredSocket, chunk: unknown, encoding?: BufferEncoding): boolean {
  const receiver = this[WIRE]?.receiver
  if (
    receiver &&
    chunk instanceof Uint8Array &&
    this.readableFlowing === true &&
    this.readableLength === 0
  ) {
    receiver.bytes(chunk)
    return true
  }
  return pushToStream.call(this, chunk, encoding)
}

function onData(this: WiredSocket, chunk: Buffer): void {
  this[WIRE]?.receiver?.bytes(chunk)
}

function onDrain(this: WiredSocket): void {
  this[WIRE]?.flushed()
}

function onEnd(this: WiredSocket): void {
  this[WIRE]?.peerEnded()
}

function onError(this: WiredSocket, error: Error): void {
  const wire = this[WIRE]
  if (wire !== undefined) wire.cause = error
}

function onClose(this: WiredSocket): void {
  const wire = this[WIRE]
  if (wire === undefined || wire.receiver === null) return
  const { receiver, cause } = wire
  wire.receiver = null
  wire.gone()
  receiver.closed(cause === null ? 'the connection was closed' : describe(cause))
}

function describe(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ECONNRESET') return 'the peer reset the connection'
  if (code === 'EPIPE') return 'the peer closed the connection while it was written to'
  if (code === 'ETIMEDOUT') return 'the network no longer answers'
  return code === undefined ? error.message : `${code}: ${error.message}`
}
