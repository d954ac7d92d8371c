// MQTT over TLS, with or without certificates of clients.

import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Origin } from '../core/ports.ts'
import {
  type CertificateOptions,
  certificateOf,
  readSecureContext,
  tlsServerOptions,
} from './certificates.ts'
import {
  type BindOptions,
  type Listener,
  type ListenerHost,
  originOf,
  SocketOptions,
  startListening,
  stopListening,
  tcpAddress,
  watch,
} from './listener.ts'
import { ProxyFront, type ProxyProtocolOptions } from './proxy-front.ts'
import { openSocket } from './socket-wire.ts'

export interface TlsListenerOptions extends BindOptions {
  readonly name: string
  readonly tls: CertificateOptions
  readonly proxyProtocol: ProxyProtocolOptions | null
}

export async function listenTls(
  host: ListenerHost,
  options: TlsListenerOptions,
): Promise<Listener> {
  const { name, tls, proxyProtocol } = options
  const proxy = proxyProtocol === null ? null : new ProxyFront(host, name, proxyProtocol)
  const secure = createServer({
    ...SocketOptions,
    ...tlsServerOptions(tls, host.handshakeTimeoutMs),
  })
  secure.on('secureConnection', socket => {
    openSocket(socket, secureOrigin(socket, 'tls', name, proxy), host)
  })
  const front = proxy === null ? secure : frontOf(secure, proxy)
  const handshakes = watchHandshakes(secure, name, host)
  watch(front, name, host, options)
  await startListening(front, options)
  return {
    address: tcpAddress(front, name, 'tls'),
    reload: () => secure.setSecureContext(readSecureContext(tls)),
    close: () => stopListening(front),
    destroy: () => {
      proxy?.destroy()
      for (const socket of handshakes) socket.destroy()
    },
  }
}

/** A server that reads PROXY headers and hands its sockets to `inner`, which does not listen. */
export function frontOf(inner: Server, proxy: ProxyFront): Server {
  return createTcpServer(SocketOptions, socket => {
    proxy.acceptFor(socket, ready => inner.emit('connection', ready))
  })
}

export function secureOrigin(
  socket: TLSSocket,
  transport: Origin['transport'],
  listener: string,
  proxy: ProxyFront | null,
): Origin {
  const certificate = certificateOf(socket)
  return proxy === null
    ? originOf(socket, transport, listener, certificate)
    : proxy.originFor(socket, transport, certificate)
}

/**
 * Reports handshakes that failed.
 * @returns all sockets of the server: Node does not tell which of them are still in their handshake
 */
export function watchHandshakes(
  server: TlsServer,
  name: string,
  host: ListenerHost,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  function onClose(this: Socket): void {
    sockets.delete(this)
  }
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', onClose)
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Of a certificate that is refused Node's error says only that the connection is gone.
    const cause: unknown = socket.authorizationError ?? error.code ?? error.message
    const text = `the TLS handshake failed: ${String(cause)}${guessOf(error.code)}`
    host.refused(originOf(socket, 'tls', name, null), text)
    socket.destroy()
  })
  return sockets
}

/** OpenSSL tells by the first bytes what is no TLS at all; an old version has a code of its own. */
function guessOf(code: string | undefined): string {
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return ': what came is not TLS, maybe plain MQTT; this listener speaks TLS only'
  }
  if (code === 'ERR_SSL_HTTP_REQUEST')
    return ': this looks like HTTP; this listener speaks TLS only'
  return ''
}
