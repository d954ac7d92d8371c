// hot
// The byte streams of the testers: TCP, TLS, and WebSocket over both. One reads into a buffer that
// all connections share: what came is valid until the callback returns.

import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { WebSocketFrames } from './websocket.ts'

/** Where a broker listens. */
export interface Target {
  readonly kind: 'tcp' | 'tls' | 'ws' | 'wss'
  readonly host: string
  readonly port: number
  /** Of a WebSocket. */
  readonly path: string
}

export interface TransportOwner {
  /** Bytes may be written now. */
  opened(): void
  /** `bytes[0, length)` are valid until this returns. */
  received(bytes: Uint8Array, length: number): void
  drained(): void
  /** Once, at the end; null when nothing went wrong. */
  closed(error: Error | null): void
}

export interface Transport {
  /** Bytes that the network has not taken wait: write no more until `drained`. */
  readonly isFull: boolean
  /** @param done called when the bytes are no longer needed, also on failure; or null */
  write(bytes: Uint8Array, done: (() => void) | null): void
  pause(): void
  resume(): void
  /** Sends the last bytes and closes. */
  end(bytes: Uint8Array): void
  /** Closes at once; the owner hears nothing more. */
  destroy(): void
}

const READ_BYTES = 256 * 1024
const readBuffer = new Uint8Array(READ_BYTES)

export function openTransport(
  target: Target,
  localAddress: string | null,
  tls: ConnectionOptions | null,
  owner: TransportOwner,
): Transport {
  const stream = new StreamTransport(target, localAddress, tls)
  const isWeb = target.kind === 'ws' || target.kind === 'wss'
  if (!isWeb) {
    stream.owner = owner
    return stream
  }
  const frames = new WebSocketFrames(`${target.host}:${target.port}`, target.path, stream, owner)
  stream.owner = frames
  return frames
}

class StreamTransport implements Transport {
  owner: TransportOwner | null = null
  private readonly socket: Socket
  private failure: Error | null = null

  constructor(target: Target, localAddress: string | null, tls: ConnectionOptions | null) {
    const { host, port, kind } = target
    const where = { host, port, ...(localAddress === null ? {} : { localAddress }) }
    const isSecure = kind === 'tls' || kind === 'wss'
    if (isSecure) {
      // An IP address is no name to be told in the handshake.
      const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
      this.socket = connectTls({ ...where, ...name, ...tls })
      this.socket.on('data', chunk => this.owner?.received(chunk, chunk.length))
    } else {
      const callback = (length: number): boolean => {
        this.owner?.received(readBuffer, length)
        return true
      }
      this.socket = connectTcp({ ...where, onread: { buffer: readBuffer, callback } })
    }
    this.socket.setNoDelay(true)
    this.socket.on(isSecure ? 'secureConnect' : 'connect', () => this.owner?.opened())
    this.socket.on('drain', () => this.owner?.drained())
    this.socket.on('error', error => {
      this.failure ??= error
    })
    this.socket.on('close', () => this.owner?.closed(this.failure))
  }

  get isFull(): boolean {
    return this.socket.writableNeedDrain
  }

  write(bytes: Uint8Array, done: (() => void) | null): void {
    if (done === null) this.socket.write(bytes)
    else this.socket.write(bytes, done)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(bytes: Uint8Array): void {
    this.socket.end(bytes)
  }

  destroy(): void {
    this.owner = null
    this.socket.destroy()
  }
}
