// hot
// A wire over a socket of Node: TCP, TLS or Unix. One object per connection beside the socket and
// no closure: the handlers are shared, and find the wire on the socket. What most connections never
// need (where they come from, a listener for 'data') they do not get.
// bench (connect): see "A connection costs what it uses" in ARCHITECTURE.md.

import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Origin, Wire } from '../core/ports.ts'
import type { Linger } from './linger.ts'
import { type ListenerHost, type Receiver, TCP_KEEP_ALIVE_MS } from './listener.ts'

const WIRE = Symbol('wire')
const NOTHING = new Uint8Array(0)

/** Says of a socket where it comes from, as long as it is open. */
export type Describe = (socket: Socket) => Origin

interface WiredSocket extends Socket {
  [WIRE]?: SocketWire
}

/**
 * Makes a connection of a socket. Its errors end the connection, whatever they are.
 * @param origin if it is to be found out when somebody asks, how
 */
export function openSocket(socket: Socket, origin: Origin | Describe, host: ListenerHost): void {
  const wired: WiredSocket = socket
  const wire = new SocketWire(wired, origin, host.linger)
  wired[WIRE] = wire
  socket.on('error', onError)
  socket.on('close', onClose)
  wire.receiver = host.open(wire)
  wired.push = push
  // Nothing has touched it since it was accepted: it is being read, and calls `push`.
  const isFresh = socket.readableFlowing === null && socket.readableLength === 0
  wire.proves = !Pushing.has(socket.constructor)
  if (!isFresh || wire.proves) wire.listen()
}

/** Kinds of sockets that were seen to call `push`. Until then they have a listener for 'data'. */
const Pushing = new WeakSet<object>()

class SocketWire implements Wire {
  /** What a socket takes at once is in the kernel, or encrypted, when its write returns. */
  readonly copies = true
  receiver: Receiver | null = null
  cause: Error | null = null
  /** The core has been told of bytes that wait. */
  waits = false
  /** There is a listener for 'data'. */
  private listens = false
  /** Whether its kind of socket calls `push` is not known. */
  proves = false
  private answered = false
  private where: Origin | Describe
  private readonly socket: WiredSocket
  private readonly linger: Linger
  private ended = false

  constructor(socket: WiredSocket, origin: Origin | Describe, linger: Linger) {
    this.where = origin
    this.socket = socket
    this.linger = linger
  }

  listen(): void {
    if (this.listens) return
    this.listens = true
    this.socket.on('data', onData)
  }

  get origin(): Origin {
    if (typeof this.where === 'function') this.where = this.where(this.socket)
    return this.where
  }

  write(pieces: readonly Uint8Array[]): void {
    const socket = this.socket
    if (this.ended || socket.destroyed) return
    this.answered = true
    if (pieces.length === 1) writeOne(socket, pieces[0] as Uint8Array)
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
    if (this.socket.readableFlowing !== null) this.socket.resume()
    this.socket.end()
    this.linger.add(this)
  }

  destroy(): void {
    this.ended = true
    this.socket.destroy()
  }

  pauseReading(): void {
    this.socket.pause()
    // What comes meanwhile goes the stream's way when reading goes on.
    this.listen()
  }

  resumeReading(): void {
    this.socket.resume()
  }

  watchPeer(): void {
    this.socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS)
  }

  /** The peer has ended its side: we end ours when what was written has gone. */
  peerEnded(): void {
    // Who was not let in will be spoken of, and can be asked for the last time.
    if (!this.answered) void this.origin
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

const SMALL_BYTES = 64
/** Buffers by their length, free again when a socket has taken at once what was in them. */
const small: (Buffer | undefined)[] = new Array(SMALL_BYTES + 1).fill(undefined)

/**
 * Writes what is small out of a buffer that was used before: of a plain array Node would make a
 * Buffer each time, which is dearer than to copy a few bytes.
 */
function writeOne(socket: Socket, piece: Uint8Array): void {
  const { length } = piece
  if (length > SMALL_BYTES) {
    socket.write(piece)
    return
  }
  let buffer = small[length]
  if (buffer === undefined) small[length] = buffer = Buffer.allocUnsafeSlow(length)
  for (let i = 0; i < length; i++) buffer[i] = piece[i] as number
  socket.write(buffer)
  if (socket.writableLength > 0) small[length] = undefined
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
  const wire = this[WIRE]
  const isPlain = this.readableFlowing !== false && this.readableLength === 0
  if (wire !== undefined && isPlain) {
    if (chunk instanceof Uint8Array && wire.receiver !== null) {
      if (wire.proves) {
        wire.proves = false
        Pushing.add(this.constructor)
      }
      wire.receiver.bytes(chunk)
      return true
    }
    if (chunk === null) wire.peerEnded()
  } else if (chunk === null) this.once('end', onEnd)
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
