// Reads the PROXY header of sockets before anything else sees them: MQTT, TLS or HTTP.
// Where it is asked for it is required: a client that comes without a proxy is turned away.

import type { Socket } from 'node:net'
import type { Origin } from '../core/ports.ts'
import { type ListenerHost, originOf } from './listener.ts'
import { type ProxyHeader, ProxyHeaderError, ProxyHeaderReader } from './proxy-protocol.ts'

export interface ProxyProtocolOptions {
  /** Believe the name of a certificate that the proxy says it has verified. */
  readonly trustCertificate: boolean
}

const CHECK_INTERVAL_MS = 250

interface Waiting {
  readonly reader: ProxyHeaderReader
  readonly accepted: (origin: Origin) => void
  readonly onReadable: () => void
  readonly onClose: () => void
  readonly dueMs: number
}

export class ProxyFront {
  private readonly host: ListenerHost
  private readonly listener: string
  private readonly options: ProxyProtocolOptions
  private readonly waiting = new Map<Socket, Waiting>()
  private readonly origins = new Map<string, Origin>()
  private timer: NodeJS.Timeout | null = null

  constructor(host: ListenerHost, listener: string, options: ProxyProtocolOptions) {
    this.host = host
    this.listener = listener
    this.options = options
  }

  /** Calls `accepted` when the header has come; what follows it is still to be read. */
  accept(socket: Socket, accepted: (origin: Origin) => void): void {
    const waiting: Waiting = {
      reader: new ProxyHeaderReader(),
      accepted,
      onReadable: () => this.read(socket),
      onClose: () => this.forget(socket),
      dueMs: performance.now() + this.host.handshakeTimeoutMs,
    }
    this.waiting.set(socket, waiting)
    socket.on('readable', waiting.onReadable)
    socket.on('error', ignore)
    socket.on('close', waiting.onClose)
    this.timer ??= setInterval(() => this.sweep(), CHECK_INTERVAL_MS).unref()
  }

  /**
   * The same for a server that makes another socket of this one: `originFor` tells of whom, as
   * long as the connection is open.
   */
  acceptFor(socket: Socket, inject: (socket: Socket) => void): void {
    this.accept(socket, origin => {
      const key = keyOf(socket)
      this.origins.set(key, origin)
      socket.once('close', () => this.origins.delete(key))
      inject(socket)
    })
  }

  originFor(
    socket: Socket,
    transport: Origin['transport'],
    certificate: Origin['certificate'],
  ): Origin {
    const proxied = this.origins.get(keyOf(socket))
    if (proxied === undefined) return originOf(socket, transport, this.listener, certificate)
    return { ...proxied, transport, certificate: certificate ?? proxied.certificate }
  }

  /** Ends those that have not said who they are. */
  destroy(): void {
    for (const socket of this.waiting.keys()) {
      this.forget(socket)
      socket.destroy()
    }
  }

  private read(socket: Socket): void {
    const waiting = this.waiting.get(socket)
    if (waiting === undefined) return
    for (;;) {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      try {
        const result = waiting.reader.push(chunk)
        if (result !== null) {
          this.pass(socket, waiting, result.header, result.rest)
          return
        }
      } catch (error) {
        if (!(error instanceof ProxyHeaderError)) throw error
        this.refuse(socket, error.message)
        return
      }
    }
  }

  private pass(socket: Socket, waiting: Waiting, header: ProxyHeader, rest: Uint8Array): void {
    this.forget(socket)
    socket.off('error', ignore)
    const own = originOf(socket, 'tcp', this.listener, null)
    const { source, commonName } = header
    const certificate =
      commonName !== null && this.options.trustCertificate
        ? { commonName, names: [], subject: '' }
        : null
    const { address, port } = source ?? { address: own.remoteAddress, port: own.remotePort }
    if (rest.length > 0) socket.unshift(rest)
    waiting.accepted({ ...own, remoteAddress: address, remotePort: port, certificate })
  }

  private refuse(socket: Socket, text: string): void {
    this.host.refused(originOf(socket, 'tcp', this.listener, null), text)
    this.forget(socket)
    socket.destroy()
  }

  private forget(socket: Socket): void {
    const waiting = this.waiting.get(socket)
    if (waiting === undefined) return
    this.waiting.delete(socket)
    socket.off('readable', waiting.onReadable)
    socket.off('close', waiting.onClose)
    if (this.waiting.size > 0 || this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }

  private sweep(): void {
    const nowMs = performance.now()
    for (const [socket, { dueMs }] of this.waiting) {
      if (dueMs > nowMs) break
      this.refuse(socket, 'the PROXY header took too long')
    }
  }
}

/** Both ends of the connection: of all that are open at one time no two have the same. */
function keyOf(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function ignore(): void {
  // 'close' follows.
}
