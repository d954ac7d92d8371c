// What all listeners have in common: what they are given, and what they give.

import type { AddressInfo, Server, Socket } from 'node:net'
import type { Origin, Wire } from '../core/ports.ts'
import type { Descriptors } from './descriptors.ts'
import type { Linger } from './linger.ts'

/** Who takes what comes in on a wire; a connection of the core. */
export interface Receiver {
  bytes(chunk: Uint8Array): void
  /** So many more have come, and are for nobody before the rest of their frame. */
  collected(byteCount: number): void
  drained(): void
  closed(cause: string): void
}

/** What a listener needs of the rest. One for all listeners of a broker. */
export interface ListenerHost {
  /** A network connection has come. */
  open(wire: Wire): Receiver
  /** Somebody was turned away before there was a connection. */
  refused(origin: Origin, text: string): void
  /** A server that listens has failed. */
  failed(listener: string, error: Error): void
  /** For TLS, HTTP and the PROXY header. */
  readonly handshakeTimeoutMs: number
  /** How much of one WebSocket message is collected. */
  readonly frameBytesMax: number
  readonly linger: Linger
  readonly descriptors: Descriptors
}

/** Where a listener listens. */
export interface ListeningAddress {
  readonly name: string
  readonly transport: Origin['transport']
  /** IP address, or '' for a Unix socket. */
  readonly host: string
  /** 0 for a Unix socket. */
  readonly port: number
  /** Path of the Unix socket, or of the WebSocket endpoint, or ''. */
  readonly path: string
  /** What a client is given to come here, e.g. `mqtt://127.0.0.1:1883`. */
  readonly url: string
}

export interface Listener {
  readonly address: ListeningAddress
  /** Reads certificates again; only TLS listeners have some. */
  reload(): void
  /** Takes no more connections. Those that are open stay. */
  close(): void
  /** Ends whatever of it is not a connection of the broker yet. */
  destroy(): void
}

/** What every listener on an address of its own can be told. */
export interface BindOptions {
  readonly host: string
  /** Of an IPv6 address: IPv4 is left out. */
  readonly ipv6Only: boolean
  readonly port: number
  readonly backlog: number
  /** Connections of this listener; the limit of the broker counts those of all. */
  readonly connectionsMax: number
}

/** Many subscribers that come back at once wait here. */
export const DEFAULT_BACKLOG = 4096

/** The system looks after a peer that has been silent for so long, where it is asked to. */
export const TCP_KEEP_ALIVE_MS = 60_000

/**
 * What a server of Node is created with whose handshakes come before MQTT: small packets must not
 * wait for others, and the system finds a peer that has vanished without a word.
 */
export const SocketOptions: {
  readonly noDelay: true
  readonly keepAlive: true
  readonly keepAliveInitialDelay: number
} = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS }

/** Resolves when the server listens, rejects when it cannot. */
export function startListening(
  server: Server,
  where:
    | { host: string; port: number; backlog: number; ipv6Only: boolean }
    | { path: string; backlog: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** No more connections come; those that are open stay. */
export function stopListening(server: Server): void {
  if (server.listening) server.close()
}

/** Where a server on TCP listens. */
export function tcpAddress(
  server: Server,
  name: string,
  transport: Origin['transport'],
  path = '',
): ListeningAddress {
  const { address: host, port, family } = server.address() as AddressInfo
  const schemes = {
    tcp: 'mqtt',
    tls: 'mqtts',
    ws: 'ws',
    wss: 'wss',
    unix: '',
    memory: '',
    unknown: '',
  }
  const scheme = schemes[transport]
  const shown = family === 'IPv6' ? `[${host}]` : host
  return { name, transport, host, port, path, url: `${scheme}://${shown}:${port}${path}` }
}

/** Counts what the limit of a listener turned away, and reports errors of the server. */
export function watch(
  server: Server,
  name: string,
  host: ListenerHost,
  options: BindOptions,
): void {
  host.descriptors.watch(server, options.connectionsMax)
  server.on('drop', drop => {
    const remoteAddress = drop?.remoteAddress ?? ''
    const remotePort = drop?.remotePort ?? 0
    const origin: Origin = {
      transport: 'tcp',
      remoteAddress,
      remotePort,
      listener: name,
      certificate: null,
    }
    host.refused(origin, whyDropped(host, name, options.connectionsMax))
  })
  server.on('error', error => host.failed(name, error))
}

/** Why a server of Node took a connection no further than to close it. */
export function whyDropped(host: ListenerHost, name: string, connectionsMax: number): string {
  const { descriptors } = host
  return descriptors.isShut
    ? `the process may have ${descriptors.most} files open, most of which are connections`
    : `the listener ${name} has ${connectionsMax} connections`
}

/** What a socket says about the other end. */
export function originOf(
  socket: Socket,
  transport: Origin['transport'],
  listener: string,
  certificate: Origin['certificate'],
): Origin {
  return {
    transport,
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    listener,
    certificate,
  }
}
