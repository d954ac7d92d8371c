// TCP, TLS and Unix sockets in Node.

import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { DialOptions, TlsOptions, Transport, TransportHandler } from '../transport.ts'
import { explain, foreignAnswer, nothingCame } from './explain.ts'
import { StreamTransport } from './stream.ts'
import { secureContextOf } from './tls-context.ts'

const READ_BYTES = 65_536

// All sockets read into one buffer: what is read is handled before the next one is read.
let shared: Uint8Array | null = null

/** Where a socket connects to. */
export type TcpAddress =
  | { readonly host: string; readonly port: number; readonly localAddress?: string }
  | { readonly path: string }

const TRANSPORT = Symbol('transport')

/** A socket that knows its transport, so that all sockets have the same listeners. */
type KnownSocket = Socket & { [TRANSPORT]: TcpTransport }

/** Opens a TCP connection. */
export function openTcp(where: TcpAddress, handler: TransportHandler): Transport {
  return new TcpTransport(where, handler)
}

/** Ten thousand of these are what a process of many clients has besides the clients. */
class TcpTransport implements Transport {
  readonly handler: TransportHandler
  failure: Error | null = null
  private readonly socket: Socket
  private began = false

  constructor(where: TcpAddress, handler: TransportHandler) {
    this.handler = handler
    shared ??= new Uint8Array(READ_BYTES)
    const onread = { buffer: shared, callback: readerOf(this) }
    const socket = connectTcp({ ...where, noDelay: true, onread }) as KnownSocket
    socket[TRANSPORT] = this
    socket.once('connect', onConnect).on('drain', onDrain).on('error', onError)
    socket.on('close', onClose)
    this.socket = socket
  }

  get canPause(): boolean {
    return true
  }

  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    const { socket } = this
    if (socket.destroyed) return true
    socket.write(bytes)
    return socket.writableLength === 0
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
    // What still comes is not for us, but the end behind it is.
    this.socket.resume()
  }

  destroy(): void {
    this.socket.destroy()
  }

  received(length: number, bytes: Uint8Array): void {
    const chunk = length === bytes.length ? bytes : bytes.subarray(0, length)
    const foreign = this.began ? null : foreignAnswer(chunk, 'mqtt')
    this.began = true
    if (foreign === null) this.handler.received(chunk)
    else this.socket.destroy(foreign)
  }

  closed(): void {
    const { failure, socket, handler } = this
    if (failure !== null) handler.closed(explain(failure, 'mqtt'))
    else handler.closed(socket.bytesRead === 0 ? nothingCame('mqtt') : null)
  }
}

/** The one function that each socket must have of its own. */
function readerOf(transport: TcpTransport): (length: number, bytes: Uint8Array) => boolean {
  return (length, bytes) => {
    transport.received(length, bytes)
    return true
  }
}

function onConnect(this: Socket): void {
  transportOf(this).handler.opened()
}

function onDrain(this: Socket): void {
  transportOf(this).handler.drained()
}

function onError(this: Socket, error: Error): void {
  transportOf(this).failure = error
}

function onClose(this: Socket): void {
  transportOf(this).closed()
}

function transportOf(socket: Socket): TcpTransport {
  return (socket as KnownSocket)[TRANSPORT]
}

/** Opens a TLS connection. */
export function openTls(
  host: string,
  port: number,
  options: DialOptions,
  handler: TransportHandler,
): Transport {
  const { localAddress } = options
  const socket: TLSSocket = connectTls({
    host,
    port,
    ...(localAddress !== '' && { localAddress }),
    ...tlsOptions(host, options.tls),
  })
  socket.setNoDelay(true)
  const certified = options.tls.cert !== undefined
  let began = false
  const watched: TransportHandler = {
    opened: () => handler.opened(),
    received: bytes => {
      const foreign = began ? null : foreignAnswer(bytes, 'mqtts')
      began = true
      if (foreign === null) handler.received(bytes)
      else socket.destroy(foreign)
    },
    drained: () => handler.drained(),
    closed: failure => {
      const isSilent = failure === null && !began
      handler.closed(isSilent ? nothingCame('mqtts', certified) : failure)
    },
  }
  socket.once('secureConnect', () => watched.opened())
  return new StreamTransport(socket, watched, failure => {
    return failure === null ? null : explain(failure, 'mqtts', certified)
  })
}

/** TLS options as `node:tls` and `node:https` take them. @throws MqttError `invalid-argument` */
export function tlsOptions(host: string, tls: TlsOptions): Record<string, unknown> {
  const { alpn, serverName } = tls
  // An IP address is no name to be told in the handshake.
  const name = serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    rejectUnauthorized: tls.verify !== false,
    ...(name !== undefined && { servername: name }),
    secureContext: secureContextOf(tls),
    ...(alpn !== undefined && { ALPNProtocols: alpn }),
  }
}
